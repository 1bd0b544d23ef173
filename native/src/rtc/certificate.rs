//! The DTLS certificate of all our links: P-256, self-signed, kept over restarts.
//!
//! Its SHA-256 fingerprint is a part of our address (whoever dials us directly pins it), so the
//! host stores it. It says nothing about who we are: that is proved inside the link.

use std::fmt;
use std::time::{Duration, SystemTime};

use rtc::crypto::{RTCCryptoProvider, SignatureScheme};
use rtc::peer_connection::certificate::RTCCertificate;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Why a stored certificate cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// The text holds no PEM block `CERTIFICATE`.
    #[error("no certificate in the PEM text")]
    NoCertificate,
    /// The text holds no PEM block `PRIVATE KEY` with a P-256 key.
    #[error("no P-256 private key in the PEM text")]
    NoKey,
    /// The certificate is not for this key.
    #[error("the certificate does not belong to the private key")]
    Mismatch,
    /// A new certificate could not be made.
    #[error("making a certificate failed")]
    Generate,
}

/// A P-256 key with its self-signed certificate.
#[derive(Clone)]
pub struct Certificate {
    inner: RTCCertificate,
    der: CertificateDer<'static>,
    key: Zeroizing<Vec<u8>>,
}

impl Certificate {
    /// Makes a new key and certificate. The names in it say nothing about us.
    ///
    /// # Errors
    /// [`CertificateError::Generate`] when the system has no randomness.
    pub fn generate() -> Result<Self, CertificateError> {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)
            .map_err(|_| CertificateError::Generate)?;
        let mut params = rcgen::CertificateParams::new(Vec::<String>::new())
            .map_err(|_| CertificateError::Generate)?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, "link");
        let certificate = params.self_signed(&key).map_err(|_| CertificateError::Generate)?;
        Self::new(certificate.der().clone(), Zeroizing::new(key.serialize_der()))
    }

    /// Reads what [`Certificate::to_pem`] wrote.
    ///
    /// # Errors
    /// [`CertificateError`] says which part is missing or wrong.
    pub fn from_pem(pem: &str) -> Result<Self, CertificateError> {
        let der = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| CertificateError::NoCertificate)?;
        let key = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| CertificateError::NoKey)?;
        Self::new(der, Zeroizing::new(key.secret_pkcs8_der().to_vec()))
    }

    /// The certificate and the **private key** as PEM, for a file that only we may read.
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        let mut text = block("CERTIFICATE", &self.der);
        text.push_str(&block("PRIVATE KEY", &self.key));
        text
    }

    /// SHA-256 of the certificate: what a direct dialler pins.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        Sha256::digest(&self.der).into()
    }

    pub(super) fn inner(&self) -> RTCCertificate {
        self.inner.clone()
    }

    fn new(
        der: CertificateDer<'static>,
        key: Zeroizing<Vec<u8>>,
    ) -> Result<Self, CertificateError> {
        let pair = rcgen::KeyPair::from_pkcs8_der_and_sign_algo(
            &PrivatePkcs8KeyDer::from(key.as_slice()),
            &rcgen::PKCS_ECDSA_P256_SHA256,
        )
        .map_err(|_| CertificateError::NoKey)?;
        // The 65 bytes of the public point occur in a certificate only as its subject key.
        let point = rcgen::PublicKeyData::der_bytes(&pair);
        if !der.windows(point.len()).any(|part| part == point) {
            return Err(CertificateError::Mismatch);
        }
        // The certificate itself is valid for ages; links check fingerprints, not dates.
        let expires = SystemTime::now() + Duration::from_secs(100 * 365 * 86_400);
        let inner = RTCCertificate::from_pkcs8(
            crypto().crypto(),
            SignatureScheme::EcdsaP256Sha256,
            vec![der.clone()],
            &key,
            expires,
        )
        .map_err(|_| CertificateError::NoKey)?;
        Ok(Self { inner, der, key })
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, ..] = self.fingerprint();
        write!(f, "Certificate({a:02x}{b:02x}{c:02x})")
    }
}

/// The cryptography that all links use.
pub(super) fn crypto() -> std::sync::Arc<dyn RTCCryptoProvider> {
    rtc::crypto::default_provider().expect("a provider is compiled in")
}

fn block(tag: &str, bytes: &[u8]) -> Zeroizing<String> {
    let encoded = Zeroizing::new(data_encoding::BASE64.encode(bytes));
    let mut text = Zeroizing::new(String::with_capacity(encoded.len() * 2));
    text.push_str(&format!("-----BEGIN {tag}-----\n"));
    for start in (0..encoded.len()).step_by(64) {
        text.push_str(&encoded[start..encoded.len().min(start + 64)]);
        text.push('\n');
    }
    text.push_str(&format!("-----END {tag}-----\n"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_certificate_keeps_its_fingerprint() {
        let made = Certificate::generate().expect("generate");
        let read = Certificate::from_pem(&made.to_pem()).expect("read back");
        assert_eq!(made.fingerprint(), read.fingerprint());
        assert_ne!(made.fingerprint(), Certificate::generate().expect("another").fingerprint());
    }

    #[test]
    fn damaged_text_is_an_error_that_says_what_is_wrong() {
        let (one, two) = (Certificate::generate(), Certificate::generate());
        let (one, two) = (one.expect("one").to_pem(), two.expect("two").to_pem());
        let (certificate, key) = one.split_once("-----BEGIN PRIVATE").expect("two blocks");
        let key = format!("-----BEGIN PRIVATE{key}");
        let (_, other) = two.split_once("-----BEGIN PRIVATE").expect("two blocks");
        let mixed = format!("{certificate}-----BEGIN PRIVATE{other}");
        let error = |text: &str| Certificate::from_pem(text).expect_err("damaged");
        assert_eq!(error(""), CertificateError::NoCertificate);
        assert_eq!(error(&key), CertificateError::NoCertificate);
        assert_eq!(error(certificate), CertificateError::NoKey);
        assert_eq!(error(&mixed), CertificateError::Mismatch);
        for end in 0..one.len() - 1 {
            assert!(Certificate::from_pem(&one[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn the_key_does_not_show_in_debug_output() {
        let made = Certificate::generate().expect("generate");
        assert!(format!("{made:?}").len() < 24);
    }
}
