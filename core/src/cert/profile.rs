//! The bytes of a certificate: rules 1–10 of the parent module, in both directions.
//!
//! Names are built from parts and read as parts, never as `CN=…` text. Signatures are read with
//! `BitString::as_bytes`, which looks at the unused bits.
use super::{CertError, Role};
use crate::id::{CertificateId, Digest, PeerId, Serial};
use crate::key::PublicKey;
use crate::limits::CERTIFICATE_BYTES_MAX;
use crate::name::PeerName;
use crate::name::check_name;
use crate::policy::{Policy, check_app_roles};
use crate::time::WallTime;
use der::asn1::{Any, BitString, Ia5String, ObjectIdentifier, OctetString};
use der::{DateTime, Decode as _, Encode as _, Sequence, Tag, Tagged as _};
use ed25519_dalek::VerifyingKey;
use spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use std::ops::Range;
use std::time::Duration;
use x509_cert::Version;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, KeyUsage, KeyUsages, SubjectKeyIdentifier,
};
use x509_cert::name::{RdnSequence, RelativeDistinguishedName};
use x509_cert::serial_number::SerialNumber;
use x509_cert::time::{Time, Validity};

#[cfg(test)]
mod tests;

/// Ed25519. Source: RFC 8410 §3.
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const SUBJECT_KEY_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.14");
const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const AUTHORITY_KEY_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.35");
/// Our own: kind and role. Below the arc that needs no registration (ITU-T X.667), with 31 random bits, since
/// the decoder holds arcs of 32 bits.
const OURS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.25.1916874467.1");

/// Before the peer id in the subject alternative name.
const PEER_NAME_PREFIX: &str = "urn:peergraph:";

/// Bytes of a key identifier. Source: RFC 7093 §2, a hash of the SubjectPublicKeyInfo, at the usual length.
const KEY_ID_BYTES: usize = 20;
/// The first bytes of a peer id.
pub(super) type KeyId = [u8; KEY_ID_BYTES];

/// The purpose of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Says who has a key.
    Identity,
    /// Begins the chains of a group.
    Root,
    /// Takes the place of the root's key, or of an earlier heir's, as the group's own.
    Heir,
    /// Makes its subject a member.
    Member(Role),
}

impl Kind {
    /// Whether its key signs other certificates.
    pub(super) const fn is_ca(self) -> bool {
        match self {
            Self::Identity => false,
            Self::Root | Self::Heir => true,
            Self::Member(role) => role.may_invite(),
        }
    }

    /// Kinds are numbered as in the reference, 1.7; heirs are ours.
    fn number(self) -> u8 {
        match self {
            Self::Member(_) => 1,
            Self::Root => 2,
            Self::Identity => 3,
            Self::Heir => 4,
        }
    }

    fn from_numbers(kind: u8, role: Option<u8>) -> Option<Self> {
        match (kind, role) {
            (1, Some(role)) => Role::from_number(role).map(Self::Member),
            (2, None) => Some(Self::Root),
            (3, None) => Some(Self::Identity),
            (4, None) => Some(Self::Heir),
            _ => None,
        }
    }
}

/// Content of our own extension.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
struct KindExtension {
    kind: u8,
    /// Of memberships only, and always.
    role: Option<u8>,
    /// Of memberships only; absent where there are none.
    app_roles: Option<Vec<String>>,
    /// Of roots only; absent for the default.
    policy: Option<OctetString>,
    /// Of memberships and heirs only, and always: the digest of the certificate above.
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", optional = "true")]
    above: Option<OctetString>,
    /// Of renewed memberships only: the second when the first of the line began.
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    since: Option<u64>,
    /// Of heirs only, and always: the digest of what of the earlier key's stays.
    #[asn1(context_specific = "2", tag_mode = "IMPLICIT", optional = "true")]
    lists: Option<OctetString>,
}

/// RFC 5280 §4.1.2 without the unique identifiers, which nobody may use.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
struct Tbs {
    #[asn1(context_specific = "0", default = "Default::default")]
    version: Version,
    serial: SerialNumber,
    algorithm: AlgorithmIdentifierOwned,
    issuer: RdnSequence,
    validity: Validity,
    subject: RdnSequence,
    key: SubjectPublicKeyInfoOwned,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT", optional = "true")]
    extensions: Option<Vec<Extension>>,
}

/// RFC 5280 §4.1.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
struct Signed {
    tbs: Tbs,
    algorithm: AlgorithmIdentifierOwned,
    signature: BitString,
}

/// The content of a certificate, read from bytes that follow rules 1–10.
pub(super) struct Parsed {
    pub(super) id: CertificateId,
    pub(super) kind: Kind,
    /// Empty but for memberships.
    pub(super) app_roles: Vec<String>,
    /// The default but for roots.
    pub(super) policy: Policy,
    /// Of memberships and heirs only, and always.
    pub(super) above: Option<CertificateId>,
    /// Its beginning, or that of the first of its line of renewals.
    pub(super) since: WallTime,
    /// Of heirs only, and always: the digest of what of the earlier key's stays.
    pub(super) lists: Option<Digest>,
    pub(super) serial: Serial,
    pub(super) issuer: String,
    pub(super) subject: String,
    pub(super) key: PublicKey,
    /// The key, decoded once for all signatures that it is to check.
    pub(super) point: VerifyingKey,
    pub(super) peer: PeerId,
    /// The peer name that an identity goes by; always its own.
    pub(super) peer_name: PeerName,
    pub(super) issuer_key_id: Option<KeyId>,
    pub(super) not_before: WallTime,
    pub(super) not_after: WallTime,
    /// Of CAs only, and always.
    pub(super) path_len: Option<u8>,
    pub(super) signature: [u8; 64],
    /// Where in the bytes the signed part is.
    pub(super) tbs: Range<usize>,
}

impl Parsed {
    /// Rules 1–10.
    pub(super) fn from_der(der: &[u8]) -> Result<Self, CertError> {
        if der.len() > CERTIFICATE_BYTES_MAX {
            return Err(CertError::TooLong);
        }
        let signed = Signed::from_der(der).map_err(|_| CertError::Encoding)?;
        if signed.to_der().map_err(|_| CertError::Encoding)? != der {
            return Err(CertError::Encoding);
        }
        let tbs = &signed.tbs;
        if tbs.version != Version::V3 || tbs.algorithm != ed25519() || signed.algorithm != ed25519()
        {
            return Err(CertError::Algorithm);
        }
        let signature = signed.signature.as_bytes().and_then(|bytes| bytes.try_into().ok());
        let signature = signature.ok_or(CertError::Encoding)?;
        let (key, point) = parse_key(&tbs.key)?;
        let peer = key.peer_id();
        let (not_before, not_after) = parse_validity(&tbs.validity)?;
        let extensions = Extensions::parse(tbs.extensions.as_deref().unwrap_or_default())?;
        let KindExtension { kind, role, app_roles, policy, above, since, lists } =
            read(extensions.ours, false).ok_or(CertError::Role)?;
        let kind = Kind::from_numbers(kind, role).ok_or(CertError::Role)?;
        let peer_name = extensions.peer_name(peer, kind)?;
        Ok(Self {
            id: certificate_id(der),
            kind,
            app_roles: parse_app_roles(kind, app_roles)?,
            policy: parse_policy(kind, policy)?,
            above: parse_above(kind, above)?,
            since: parse_since(kind, since, not_before)?,
            lists: parse_lists(kind, lists)?,
            serial: parse_serial(&tbs.serial)?,
            issuer: parse_name(&tbs.issuer)?,
            subject: parse_name(&tbs.subject)?,
            key,
            point,
            peer,
            peer_name,
            issuer_key_id: extensions.issuer_key_id()?,
            not_before,
            not_after,
            path_len: extensions.path_len(kind)?,
            signature,
            tbs: tbs_range(der, tbs)?,
        })
    }

    pub(super) fn key_id(&self) -> KeyId {
        key_id(self.peer)
    }
}

/// The content that a certificate is to have.
pub(super) struct Template<'a> {
    pub(super) kind: Kind,
    pub(super) app_roles: &'a [String],
    pub(super) policy: Option<Vec<u8>>,
    pub(super) above: Option<CertificateId>,
    pub(super) since: Option<WallTime>,
    pub(super) lists: Option<Digest>,
    pub(super) serial: [u8; 16],
    pub(super) issuer: &'a str,
    pub(super) subject: &'a str,
    pub(super) key: PublicKey,
    /// The host form of the peer name that an identity goes by, where that has a classifier.
    pub(super) host: Option<&'a str>,
    pub(super) issuer_key_id: Option<KeyId>,
    pub(super) not_before: WallTime,
    pub(super) not_after: WallTime,
    /// `Some` if and only if the kind is a CA.
    pub(super) path_len: Option<u8>,
}

impl Template<'_> {
    /// The whole certificate in DER, signed by `sign`.
    ///
    /// # Panics
    /// If a name or the validity breaks rules 5 or 6; callers have checked them.
    pub(super) fn to_der(&self, sign: impl FnOnce(&[u8]) -> [u8; 64]) -> Vec<u8> {
        let tbs = self.tbs().expect("all parts have been checked");
        let bytes = tbs.to_der().expect("its parts can be encoded");
        let signature = BitString::from_bytes(&sign(&bytes)).expect("64 bytes fit");
        let signed = Signed { tbs, algorithm: ed25519(), signature };
        signed.to_der().expect("its parts can be encoded")
    }

    fn tbs(&self) -> der::Result<Tbs> {
        Ok(Tbs {
            version: Version::V3,
            serial: SerialNumber::new(serial(self.serial).as_bytes())?,
            algorithm: ed25519(),
            issuer: name(self.issuer)?,
            validity: Validity::new(time(self.not_before), time(self.not_after)),
            subject: name(self.subject)?,
            key: SubjectPublicKeyInfoOwned {
                algorithm: ed25519(),
                subject_public_key: BitString::from_bytes(self.key.as_bytes())?,
            },
            extensions: Some(self.extensions()?),
        })
    }

    fn extensions(&self) -> der::Result<Vec<Extension>> {
        let ca = self.kind.is_ca();
        let basic = BasicConstraints { ca, path_len_constraint: self.path_len };
        let peer = self.key.peer_id();
        let own_key_id = SubjectKeyIdentifier(OctetString::new(key_id(peer))?);
        let mut names = vec![peer_uri(peer)?];
        if let Some(host) = self.host {
            names.push(GeneralName::DnsName(Ia5String::new(host)?));
        }
        let mut extensions = vec![
            extension(BASIC_CONSTRAINTS, true, &basic)?,
            extension(KEY_USAGE, true, &key_usage(ca))?,
            extension(SUBJECT_ALT_NAME, false, &names)?,
            extension(SUBJECT_KEY_ID, false, &own_key_id)?,
        ];
        if let Some(id) = self.issuer_key_id {
            let id = AuthorityKeyIdentifier {
                key_identifier: Some(OctetString::new(id)?),
                authority_cert_issuer: None,
                authority_cert_serial_number: None,
            };
            extensions.push(extension(AUTHORITY_KEY_ID, false, &id)?);
        }
        let role = match self.kind {
            Kind::Member(role) => Some(role.number()),
            Kind::Root | Kind::Heir | Kind::Identity => None,
        };
        let ours = KindExtension {
            kind: self.kind.number(),
            role,
            app_roles: (!self.app_roles.is_empty()).then(|| self.app_roles.to_vec()),
            policy: self.policy.as_deref().map(OctetString::new).transpose()?,
            above: self.above.map(|id| OctetString::new(*id.as_bytes())).transpose()?,
            since: self.since.map(|since| since.0 / 1_000),
            lists: self.lists.map(|it| OctetString::new(*it.as_bytes())).transpose()?,
        };
        extensions.push(extension(OURS, false, &ours)?);
        Ok(extensions)
    }
}

/// The known extensions of a certificate, each at most once.
#[derive(Default)]
struct Extensions<'a> {
    basic: Option<&'a Extension>,
    usage: Option<&'a Extension>,
    alt_name: Option<&'a Extension>,
    subject_key_id: Option<&'a Extension>,
    authority_key_id: Option<&'a Extension>,
    ours: Option<&'a Extension>,
}

impl<'a> Extensions<'a> {
    /// Rule 10.
    fn parse(list: &'a [Extension]) -> Result<Self, CertError> {
        let mut found = Self::default();
        for (i, extension) in list.iter().enumerate() {
            if list[..i].iter().any(|earlier| earlier.extn_id == extension.extn_id) {
                return Err(CertError::Extension);
            }
            let place = match extension.extn_id {
                BASIC_CONSTRAINTS => &mut found.basic,
                KEY_USAGE => &mut found.usage,
                SUBJECT_ALT_NAME => &mut found.alt_name,
                SUBJECT_KEY_ID => &mut found.subject_key_id,
                AUTHORITY_KEY_ID => &mut found.authority_key_id,
                OURS => &mut found.ours,
                _ if extension.critical => return Err(CertError::Extension),
                _ => continue,
            };
            *place = Some(extension);
        }
        Ok(found)
    }

    /// Rule 7.
    fn peer_name(&self, peer: PeerId, kind: Kind) -> Result<PeerName, CertError> {
        let names: Vec<GeneralName> = read(self.alt_name, false).ok_or(CertError::PeerName)?;
        let id: SubjectKeyIdentifier =
            read(self.subject_key_id, false).ok_or(CertError::PeerName)?;
        let uri = peer_uri(peer).map_err(|_| CertError::PeerName)?;
        let name = match names.as_slice() {
            [first] if *first == uri => PeerName::secured(peer, "").ok(),
            [first, GeneralName::DnsName(host)] if *first == uri && kind == Kind::Identity => {
                PeerName::from_host(host.as_str()).ok().filter(|name| {
                    // Exactly the host form, and not that of a name without classifier, which goes without saying.
                    let exact = name.to_host().is_ok_and(|form| form == host.as_str());
                    exact && name.peer() == Some(peer) && !name.classifier().is_empty()
                })
            }
            _ => None,
        };
        name.filter(|_| id.0.as_bytes() == key_id(peer)).ok_or(CertError::PeerName)
    }

    /// Rule 9.
    fn path_len(&self, kind: Kind) -> Result<Option<u8>, CertError> {
        let basic: BasicConstraints = read(self.basic, true).ok_or(CertError::Usage)?;
        let usage: KeyUsage = read(self.usage, true).ok_or(CertError::Usage)?;
        let ca = kind.is_ca();
        let agree =
            basic.ca == ca && basic.path_len_constraint.is_some() == ca && usage == key_usage(ca);
        if agree { Ok(basic.path_len_constraint) } else { Err(CertError::Usage) }
    }

    fn issuer_key_id(&self) -> Result<Option<KeyId>, CertError> {
        if self.authority_key_id.is_none() {
            return Ok(None);
        }
        let id: AuthorityKeyIdentifier =
            read(self.authority_key_id, false).ok_or(CertError::Issuer)?;
        let key_id = id.key_identifier.and_then(|id| id.as_bytes().try_into().ok());
        let alone = id.authority_cert_issuer.is_none() && id.authority_cert_serial_number.is_none();
        key_id.filter(|_| alone).map(Some).ok_or(CertError::Issuer)
    }
}

/// The content of an extension that must be there and be critical or not.
fn read<'a, T: der::Decode<'a>>(extension: Option<&'a Extension>, critical: bool) -> Option<T> {
    let extension = extension.filter(|extension| extension.critical == critical)?;
    T::from_der(extension.extn_value.as_bytes()).ok()
}

fn extension(
    id: ObjectIdentifier,
    critical: bool,
    value: &impl der::Encode,
) -> der::Result<Extension> {
    Ok(Extension { extn_id: id, critical, extn_value: OctetString::new(value.to_der()?)? })
}

fn ed25519() -> AlgorithmIdentifierOwned {
    AlgorithmIdentifierOwned { oid: ED25519, parameters: None }
}

fn key_usage(ca: bool) -> KeyUsage {
    let signs = KeyUsages::DigitalSignature;
    KeyUsage(if ca { signs | KeyUsages::KeyCertSign } else { signs.into() })
}

fn key_id(peer: PeerId) -> KeyId {
    *peer.as_bytes().first_chunk().expect("20 of 32 bytes")
}

fn peer_uri(peer: PeerId) -> der::Result<GeneralName> {
    let uri = format!("{PEER_NAME_PREFIX}{peer}");
    Ok(GeneralName::UniformResourceIdentifier(Ia5String::new(&uri)?))
}

/// A name of one common name.
fn name(text: &str) -> der::Result<RdnSequence> {
    let value = Any::new(Tag::Utf8String, text.as_bytes())?;
    let common_name = AttributeTypeAndValue { oid: COMMON_NAME, value };
    Ok(vec![RelativeDistinguishedName::try_from(vec![common_name])?].into())
}

/// Rule 5.
fn parse_name(name: &RdnSequence) -> Result<String, CertError> {
    let mut parts = name.iter().flat_map(|part| part.iter());
    let (Some(part), None) = (parts.next(), parts.next()) else { return Err(CertError::Name) };
    if name.len() != 1 || part.oid != COMMON_NAME || part.value.tag() != Tag::Utf8String {
        return Err(CertError::Name);
    }
    let text = std::str::from_utf8(part.value.value()).map_err(|_| CertError::Name)?;
    check_name(text).map_err(|_| CertError::Name)?;
    Ok(text.to_owned())
}

/// Rule 3: a serial number of these random bytes.
pub(super) fn serial(mut bytes: [u8; 16]) -> Serial {
    bytes[0] = bytes[0] & 0x3f | 0x40;
    Serial::from_bytes(bytes)
}

fn parse_serial(number: &SerialNumber) -> Result<Serial, CertError> {
    let bytes: [u8; 16] = number.as_bytes().try_into().map_err(|_| CertError::Serial)?;
    if bytes[0] & 0xc0 == 0x40 { Ok(Serial::from_bytes(bytes)) } else { Err(CertError::Serial) }
}

/// Rule 8.
fn parse_app_roles(kind: Kind, names: Option<Vec<String>>) -> Result<Vec<String>, CertError> {
    match (kind, names) {
        (_, None) => Ok(Vec::new()),
        (Kind::Member(_), Some(names)) if !names.is_empty() => {
            check_app_roles(&names)?;
            Ok(names)
        }
        (Kind::Member(_) | Kind::Root | Kind::Heir | Kind::Identity, Some(_)) => {
            Err(CertError::Role)
        }
    }
}

/// Rule 8.
fn parse_policy(kind: Kind, policy: Option<OctetString>) -> Result<Policy, CertError> {
    match (kind, policy) {
        (_, None) => Ok(Policy::default()),
        (Kind::Root, Some(bytes)) => Ok(Policy::from_bytes(bytes.as_bytes())?),
        (Kind::Member(_) | Kind::Heir | Kind::Identity, Some(_)) => Err(CertError::Policy),
    }
}

/// Rule 8.
fn parse_above(kind: Kind, above: Option<OctetString>) -> Result<Option<CertificateId>, CertError> {
    match (kind, above) {
        (Kind::Member(_) | Kind::Heir, Some(id)) => {
            let id = id.as_bytes().try_into().map_err(|_| CertError::Role)?;
            Ok(Some(CertificateId::from_bytes(id)))
        }
        (Kind::Root | Kind::Identity, None) => Ok(None),
        (Kind::Member(_) | Kind::Heir, None) | (Kind::Root | Kind::Identity, Some(_)) => {
            Err(CertError::Role)
        }
    }
}

/// Rule 8.
fn parse_since(
    kind: Kind,
    since: Option<u64>,
    not_before: WallTime,
) -> Result<WallTime, CertError> {
    let Some(since) = since else { return Ok(not_before) };
    let since = WallTime(since.saturating_mul(1_000));
    let renewed = matches!(kind, Kind::Member(_)) && since < not_before;
    if renewed { Ok(since) } else { Err(CertError::Validity) }
}

/// Rule 8.
fn parse_lists(kind: Kind, lists: Option<OctetString>) -> Result<Option<Digest>, CertError> {
    let lists = lists.map(|it| it.as_bytes().try_into().map(Digest::from_bytes));
    match lists.transpose().map_err(|_| CertError::Role)? {
        lists if lists.is_some() == (kind == Kind::Heir) => Ok(lists),
        _ => Err(CertError::Role),
    }
}

/// The name of the certificate with these bytes.
pub(super) fn certificate_id(der: &[u8]) -> CertificateId {
    CertificateId::from_bytes(*Digest::of(der).as_bytes())
}

/// Rules 2 and 4.
fn parse_key(info: &SubjectPublicKeyInfoOwned) -> Result<(PublicKey, VerifyingKey), CertError> {
    if info.algorithm != ed25519() {
        return Err(CertError::Algorithm);
    }
    let bytes = info.subject_public_key.as_bytes().and_then(|bytes| bytes.try_into().ok());
    bytes.and_then(PublicKey::decode).ok_or(CertError::Key)
}

/// The last second that X.509 can name: 9999-12-31 23:59:59, "no expiration" by RFC 5280 §4.1.2.5.
pub(super) const END_OF_TIME: WallTime = WallTime(253_402_300_799_000);

/// Whole seconds, rounded down, within what X.509 can name.
pub(super) fn whole_seconds(time: WallTime) -> WallTime {
    WallTime(time.min(END_OF_TIME).0 / 1_000 * 1_000)
}

fn time(time: WallTime) -> Time {
    let time = Duration::from_millis(whole_seconds(time).0);
    DateTime::from_unix_duration(time).map_or(Time::INFINITY, Time::from)
}

/// Rule 6.
fn parse_validity(validity: &Validity) -> Result<(WallTime, WallTime), CertError> {
    let wall = |time: Time| WallTime(time.to_unix_duration().as_secs().saturating_mul(1_000));
    let (not_before, not_after) = (wall(validity.not_before), wall(validity.not_after));
    if not_before < not_after { Ok((not_before, not_after)) } else { Err(CertError::Validity) }
}

/// Where the signed part is: after the header of the whole, whose encoding is known to be canonical.
fn tbs_range(der: &[u8], tbs: &Tbs) -> Result<Range<usize>, CertError> {
    let whole = der::asn1::AnyRef::from_der(der).map_err(|_| CertError::Encoding)?;
    let start = der.len() - whole.value().len();
    let tbs_len = tbs.encoded_len().map_err(|_| CertError::Encoding)?;
    Ok(start..start + usize::try_from(tbs_len).map_err(|_| CertError::Encoding)?)
}
