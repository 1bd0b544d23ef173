//! The certificate of the HTTP port: from files of the operator, or made by ourselves for a local network.
//!
//! Files are looked at now and then, and read again if they have changed, so that a certificate that was renewed is shown
//! without a restart. If what they hold cannot be used, the one before is shown on, and the log says why.

use std::fmt;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{Error, InconsistentKeys, ServerConfig};

/// How often the files are looked at. Guess: who renews a certificate does so days before it ends.
const LOOKED_AT_EVERY: Duration = Duration::from_secs(5);
/// How long a certificate of our own is shown. Source: browsers take none that lives for more than 398 days.
const OWN_DAYS: u64 = 397;
const DAY: Duration = Duration::from_secs(86_400);

/// Where the certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// PEM files: the certificate with those of its authorities, and its private key.
    Files(Files),
    /// We make it ourselves.
    Own,
}

/// The files of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Files {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// Why a certificate cannot be shown. The words say what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}: {error}")]
    Read {
        /// Which.
        path: String,
        /// Why.
        error: io::Error,
    },
    /// A file holds no certificate.
    #[error(
        "{0} holds no certificate in PEM; it is the file that begins with -----BEGIN CERTIFICATE-----"
    )]
    NoCertificate(String),
    /// A file holds no key.
    #[error(
        "{0} holds no private key in PEM; it is the file that begins with -----BEGIN PRIVATE KEY-----"
    )]
    NoKey(String),
    /// A key of a kind that is not understood, such as one that is encrypted.
    #[error(
        "the private key in {0} cannot be used; it has to be RSA, ECDSA or Ed25519, without a password"
    )]
    Key(String),
    /// The two do not belong together.
    #[error("the private key in {key} is not that of the certificate in {certificate}")]
    Mismatch {
        /// The file of the certificate.
        certificate: String,
        /// The file of the key.
        key: String,
    },
    /// A certificate of our own could not be made or kept.
    #[error("cannot make a certificate: {0}")]
    Own(String),
}

/// The certificate that the port shows, and where it comes from.
#[derive(Clone)]
pub(crate) struct Tls {
    shown: Arc<Shown>,
    files: Files,
    acceptor: TlsAcceptor,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("files", &self.files).finish_non_exhaustive()
    }
}

/// The certificate of this moment.
#[derive(Debug)]
struct Shown(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().expect("no panic under this lock").clone())
    }
}

impl Tls {
    /// Reads the files.
    pub(crate) fn open(files: Files) -> Result<Self, TlsError> {
        let shown = Arc::new(Shown(RwLock::new(Arc::new(read(&files)?))));
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| TlsError::Own(error.to_string()))?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(shown.clone());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { shown, files, acceptor: TlsAcceptor::from(Arc::new(config)) })
    }

    /// Makes a certificate for the names by which others in a local network come, or takes the one that is kept.
    pub(crate) fn own(files: Files, names: &[String]) -> Result<Self, TlsError> {
        if let Some(kept) = kept(&files, names) {
            return Ok(kept);
        }
        let failed = |error: &dyn fmt::Display| TlsError::Own(error.to_string());
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256);
        let key = key.map_err(|error| failed(&error))?;
        let mut params = rcgen::CertificateParams::new(names.to_vec());
        let params = params.as_mut().map_err(|error| failed(error))?;
        let now = SystemTime::now();
        params.not_before = now.checked_sub(DAY).unwrap_or(now).into();
        params.not_after = (now + DAY * OWN_DAYS as u32).into();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, "Peergraph node");
        params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.self_signed(&key).map_err(|error| failed(&error))?;
        let text = format!("{}{}\n{}", NAMES, names.join(" "), certificate.pem());
        crate::folder::replace(&files.key, key.serialize_pem().as_bytes())
            .and_then(|()| crate::folder::replace(&files.certificate, text.as_bytes()))
            .map_err(|error| failed(&error))?;
        Self::open(files)
    }

    pub(super) fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }

    /// The file of the certificate that is shown.
    pub(crate) fn certificate_file(&self) -> &Path {
        &self.files.certificate
    }

    /// SHA-256 of the certificate that is shown, as browsers show it.
    pub(crate) fn fingerprint(&self) -> String {
        let shown = self.shown.0.read().expect("no panic under this lock");
        let digest = Sha256::digest(shown.cert.first().map_or(&[][..], |it| it));
        let digits: Vec<String> = digest.iter().map(|byte| format!("{byte:02X}")).collect();
        digits.join(":")
    }

    /// Reads the files again when they have changed, until the future is dropped.
    pub(super) async fn follow(&self) {
        let mut seen = self.changed();
        loop {
            tokio::time::sleep(LOOKED_AT_EVERY).await;
            let changed = self.changed();
            if changed == seen {
                continue;
            }
            seen = changed;
            match read(&self.files) {
                Ok(read) => {
                    *self.shown.0.write().expect("no panic under this lock") = Arc::new(read);
                    tracing::info!(
                        fingerprint = self.fingerprint(),
                        "the certificate is another one"
                    );
                }
                Err(error) => tracing::warn!(%error, "the certificate before is shown on"),
            }
        }
    }

    fn changed(&self) -> [Option<SystemTime>; 2] {
        let at = |path: &Path| fs::metadata(path).and_then(|it| it.modified()).ok();
        [at(&self.files.certificate), at(&self.files.key)]
    }
}

/// The line before a certificate of our own that says for which names it is.
const NAMES: &str = "# made by peergraph for ";

/// A certificate of our own that is for these names and lives for some time.
fn kept(files: &Files, names: &[String]) -> Option<Tls> {
    let text = fs::read_to_string(&files.certificate).ok()?;
    let made = fs::metadata(&files.certificate).and_then(|it| it.modified()).ok()?;
    let young = made.elapsed().is_ok_and(|age| age < DAY * (OWN_DAYS as u32 - 30));
    let known: Vec<&str> = text.lines().next()?.strip_prefix(NAMES)?.split(' ').collect();
    let whole = names.iter().all(|name| known.contains(&name.as_str()));
    if young && whole { Tls::open(files.clone()).ok() } else { None }
}

/// The names for which a certificate of our own is made: of this machine, and its addresses.
pub(crate) fn own_names(addresses: impl IntoIterator<Item = IpAddr>) -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    for address in addresses {
        let name = address.to_string();
        if !address.is_unspecified() && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn read(files: &Files) -> Result<CertifiedKey, TlsError> {
    let (shown, hidden) =
        (files.certificate.display().to_string(), files.key.display().to_string());
    let bytes = |path: &Path| {
        let failed = |error| TlsError::Read { path: path.display().to_string(), error };
        fs::read(path).map_err(failed)
    };
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(&bytes(&files.certificate)?).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty());
    let chain = chain.ok_or_else(|| TlsError::NoCertificate(shown.clone()))?;
    let key = zeroize::Zeroizing::new(bytes(&files.key)?);
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(|_| TlsError::NoKey(hidden.clone()))?;
    let key = ring::sign::any_supported_type(&key).map_err(|_| TlsError::Key(hidden.clone()))?;
    let pair = CertifiedKey::new(chain, key);
    match pair.keys_match() {
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(pair),
        Err(_) => Err(TlsError::Mismatch { certificate: shown, key: hidden }),
    }
}
