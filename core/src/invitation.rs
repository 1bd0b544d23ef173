//! Invitations: what lets somebody join, as a value and as a link.
//!
//! A **bound** invitation carries a membership that was issued to one identity; it is useless to others, and
//! can be used while no inviter is online. A **bearer** invitation carries a secret seed: whoever holds the link
//! can ask an inviting member for a membership. The seed's public key stands in a signed record of the group, so
//! that the group never holds the secret. The newcomer proves that it has the seed by signing the handshake
//! hash of the link and its own peer id ([`BearerSecret::prove`]): nobody else can use that proof. A **password** invitation holds no secret: the newcomer
//! proves the password to its maker (`password.rs`).
//!
//! # Text
//!
//! `pgi1` and base64url of a CBOR map and a check sum, the first 6 bytes of SHA-256 of the map; it stands in the
//! fragment of a link, `https://host/#pgi1…`, which browsers do not send to the host. The digit is the version.
//!
//! | key | what |
//! |---|---|
//! | 0 | kind: 0 bound, 1 bearer, 2 password |
//! | 1 | friendly name of the group |
//! | 2 | friendly name of the inviter |
//! | 3 | certificates: the whole chain (bound), or the root alone |
//! | 4 | addresses, as text; unknown ones are skipped |
//! | 5 | when it expires, milliseconds since 1970 |
//! | 6, 8 | of others than bound ones: id of the invitation record, role |
//! | 7 | of bearer ones: seed |
//! | 9 | as 6 and 8: application roles, where there are any |
//!
//! Group and invitee are not written: they are the peer ids of the first and last certificate.
use crate::address::Address;
use crate::cert::{self, CertError, Certificate, Role, VerifiedChain, verify_chain, verify_root};
use crate::error::Error;
use crate::id::{GroupId, PeerId, RecordId};
use crate::identity::{self, Domain, PublicKey, Verify, check_name};
use crate::limits::{
    ADDRESSES_MAX, APP_ROLES_MAX, CERTIFICATE_BYTES_MAX, CERTIFICATE_CLOCK_SKEW, CHAIN_MAX,
    INVITATION_TEXT_MAX,
};
use crate::policy::Grant;
use crate::time::WallTime;
use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::SigningKey;
use minicbor::data::Type;
use sha2::{Digest as _, Sha256};
use std::fmt;
use zeroize::Zeroizing;

#[cfg(test)]
mod tests;

/// What lets somebody join. Whoever sees a bearer one can use it: `Debug` does not show the secret,
/// [`to_text`](Self::to_text) does.
#[derive(Clone, PartialEq, Eq)]
pub struct Invitation {
    /// The group; the peer id of `root`.
    pub group: GroupId,
    /// The friendly name of the group: the name in `root`, or [`check`](Self::check) refuses.
    pub name: String,
    /// The friendly name of the inviter. Nobody vouches for it.
    pub inviter: String,
    /// The group's root certificate; of a bound invitation, the first of its chain.
    pub root: Certificate,
    /// Where members or nodes can be dialled. At most [`ADDRESSES_MAX`]; the rest is not written.
    pub addresses: Vec<Address>,
    /// When it ends.
    pub expires: WallTime,
    /// What it gives.
    pub kind: InvitationKind,
}

/// What an invitation gives.
#[derive(Clone, PartialEq, Eq)]
pub enum InvitationKind {
    /// A membership for one identity.
    Bound {
        /// Root first, the invitee's certificate last.
        chain: Vec<Certificate>,
        /// The invitee.
        for_peer: PeerId,
    },
    /// The right to ask for a membership.
    Bearer {
        /// The record of the group that names the public key of `secret`.
        id: RecordId,
        /// Proves the right.
        secret: BearerSecret,
        /// What members by this invitation may do.
        grant: Grant,
    },
    /// The right to ask for a membership, for who knows a password.
    Password {
        /// The record of the group that announces it.
        id: RecordId,
        /// What members by this invitation may do.
        grant: Grant,
    },
}

/// What people are shown before they join. Without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The group.
    pub group: GroupId,
    /// Its friendly name.
    pub name: String,
    /// The friendly name of the inviter. Nobody vouches for it.
    pub inviter: String,
    /// What the invited may do; nothing if the certificates say nothing.
    pub grant: Option<Grant>,
    /// Whether it needs a password.
    pub password: bool,
    /// For whom it is, with the friendly name that was given then; nothing if for whoever holds it.
    pub invitee: Option<(PeerId, String)>,
    /// When it ends.
    pub expires: WallTime,
    /// Where members or nodes can be dialled.
    pub addresses: Vec<Address>,
}

/// Why a text is not an invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvitationError {
    /// Something else, or nonsense that somebody made with care.
    #[error("this is not an invitation; paste the whole link that you were sent")]
    NotAnInvitation,
    /// The check sum does not fit.
    #[error("this invitation is cut off or mistyped; copy the whole link again")]
    Truncated,
    /// Longer than [`TEXT_CHARS_MAX`].
    #[error("this text is too long for an invitation; paste the link alone")]
    TooLong,
    /// Made by a later release.
    #[error("this invitation was made by a newer version of this program; update it")]
    Version,
}

const MAGIC: &str = "pgi";
const VERSION: char = '1';
const CHECK_BYTES: usize = 6;
const NAME_BYTES_MAX: usize = 4 * crate::limits::FRIENDLY_NAME_MAX;

/// Longest text that is read. Characters. Source: the longest chain that there can be, in base64, and as much again
/// as an invitation without it has at most. [`fits_code`](Invitation::fits_code) tells what fits a QR code.
pub const TEXT_CHARS_MAX: usize = CHAIN_MAX * CERTIFICATE_BYTES_MAX / 3 * 4 + 16 * 1024;

impl Invitation {
    /// Whether `me` can use this at `now`, as far as one can tell without asking the group.
    ///
    /// # Errors
    /// [`Error::InvitationExpired`], [`Error::InvitationForAnother`], or [`Error::InvitationInvalid`] if the
    /// certificates or the names do not hold.
    pub fn check(&self, me: PeerId, now: WallTime, verify: Verify) -> Result<(), Error> {
        if self.root.name() != self.name {
            return Err(Error::InvitationInvalid(CertError::Name));
        }
        match &self.kind {
            InvitationKind::Bound { for_peer, .. } => {
                let chain = self.verified(verify).map_err(Error::InvitationInvalid)?;
                if *for_peer != me || chain.peer() != me {
                    return Err(Error::InvitationForAnother);
                }
                if !chain.covers(now) {
                    return Err(Error::InvitationExpired);
                }
            }
            InvitationKind::Bearer { .. } | InvitationKind::Password { .. } => {
                let group = verify_root(&self.root, verify).map_err(Error::InvitationInvalid)?;
                if group != self.group {
                    return Err(Error::InvitationInvalid(CertError::OtherGroup));
                }
            }
        }
        let expired = self.expires.after(CERTIFICATE_CLOCK_SKEW) < now;
        if expired { Err(Error::InvitationExpired) } else { Ok(()) }
    }

    /// The verified membership of a bound invitation; [`CertError::Kind`] for a bearer one.
    pub fn verified(&self, verify: Verify) -> Result<VerifiedChain, CertError> {
        let InvitationKind::Bound { chain, .. } = &self.kind else { return Err(CertError::Kind) };
        if chain.first() != Some(&self.root) {
            return Err(CertError::OtherGroup);
        }
        verify_chain(chain, self.group, verify)
    }

    /// What people are shown before they join.
    pub fn summary(&self) -> Summary {
        let (grant, invitee) = match &self.kind {
            InvitationKind::Bound { chain, for_peer } => {
                let leaf = chain.last();
                let name = leaf.map_or_else(String::new, |leaf| leaf.name().to_owned());
                (leaf.and_then(Certificate::grant), Some((*for_peer, name)))
            }
            InvitationKind::Bearer { grant, .. } | InvitationKind::Password { grant, .. } => {
                (Some(grant.clone()), None)
            }
        };
        Summary {
            group: self.group,
            name: self.name.clone(),
            inviter: self.inviter.clone(),
            grant,
            password: matches!(self.kind, InvitationKind::Password { .. }),
            invitee,
            expires: self.expires,
            addresses: self.addresses.clone(),
        }
    }

    /// The text that stands after `#` in a link. Deterministic. Secret, if this is a bearer invitation.
    pub fn to_text(&self) -> String {
        let mut bytes = Zeroizing::new(Vec::with_capacity(4 * 1024));
        self.write(&mut minicbor::Encoder::new(&mut *bytes)).expect("a vector takes every byte");
        let sum = check_sum(&bytes);
        bytes.extend(sum);
        let mut text = format!("{MAGIC}{VERSION}");
        BASE64URL_NOPAD.encode_append(&bytes, &mut text);
        text
    }

    /// Whether a text is short enough for a QR code.
    pub fn fits_code(text: &str) -> bool {
        text.len() <= INVITATION_TEXT_MAX
    }

    /// Reads the text of [`to_text`](Self::to_text), or any URL that has it as its fragment. White space does not
    /// matter. Whether it can be used is for [`check`](Self::check) to say.
    pub fn from_text(text: &str) -> Result<Self, InvitationError> {
        if text.len() > TEXT_CHARS_MAX {
            return Err(InvitationError::TooLong);
        }
        let text = text.split_once('#').map_or(text, |(_, fragment)| fragment);
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let text = Zeroizing::new(text);
        let rest = text.strip_prefix(MAGIC).ok_or(InvitationError::NotAnInvitation)?;
        let body = match rest.chars().next() {
            None => return Err(InvitationError::Truncated),
            Some(VERSION) => &rest[VERSION.len_utf8()..],
            Some('0'..='9') => return Err(InvitationError::Version),
            Some(_) => return Err(InvitationError::NotAnInvitation),
        };
        let bytes = BASE64URL_NOPAD.decode(body.as_bytes());
        let bytes = Zeroizing::new(bytes.map_err(|_| InvitationError::Truncated)?);
        let (map, sum) =
            bytes.split_last_chunk::<CHECK_BYTES>().ok_or(InvitationError::Truncated)?;
        if check_sum(map) != *sum {
            return Err(InvitationError::Truncated);
        }
        Fields::read(map).and_then(Fields::finish).ok_or(InvitationError::NotAnInvitation)?
    }

    fn write<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        let root = std::slice::from_ref(&self.root);
        let (kind, chain, fields, grant) = match &self.kind {
            InvitationKind::Bound { chain, .. } => (0, chain.as_slice(), 6, None),
            InvitationKind::Bearer { grant, .. } => (1, root, 9, Some(grant)),
            InvitationKind::Password { grant, .. } => (2, root, 8, Some(grant)),
        };
        let app_roles = grant.map_or(&[][..], |grant| &grant.app_roles);
        e.map(fields + u64::from(!app_roles.is_empty()))?.u8(0)?.u8(kind)?;
        e.u8(1)?.str(&self.name)?;
        e.u8(2)?.str(&self.inviter)?;
        e.u8(3)?;
        cert::write_chain(chain, e)?;
        let addresses = &self.addresses[..self.addresses.len().min(ADDRESSES_MAX)];
        e.u8(4)?.encode(addresses)?;
        e.u8(5)?.u64(self.expires.0)?;
        if let InvitationKind::Bearer { id, .. } | InvitationKind::Password { id, .. } = &self.kind
        {
            e.u8(6)?.encode(id)?;
        }
        if let InvitationKind::Bearer { secret, .. } = &self.kind {
            e.u8(7)?.bytes(&*secret.seed)?;
        }
        if let Some(grant) = grant {
            e.u8(8)?.encode(grant.role)?;
        }
        if !app_roles.is_empty() {
            e.u8(9)?.encode(app_roles)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invitation")
            .field("group", &self.group)
            .field("name", &self.name)
            .field("inviter", &self.inviter)
            .field("expires", &self.expires)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for InvitationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bound { for_peer, .. } => write!(f, "Bound({for_peer:?})"),
            Self::Bearer { id, grant, .. } => write!(f, "Bearer({id:?}, {})", grant.role),
            Self::Password { id, grant } => write!(f, "Password({id:?}, {})", grant.role),
        }
    }
}

/// The fields of the text form, as they come.
#[derive(Default)]
struct Fields {
    kind: Option<u64>,
    name: Option<String>,
    inviter: Option<String>,
    chain: Vec<Certificate>,
    addresses: Vec<Address>,
    expires: Option<WallTime>,
    id: Option<RecordId>,
    secret: Option<BearerSecret>,
    role: Option<Role>,
    app_roles: Vec<String>,
}

impl Fields {
    /// Nothing if this is not such a map, or bytes follow it.
    fn read(map: &[u8]) -> Option<Self> {
        let mut fields = Self::default();
        let d = &mut minicbor::Decoder::new(map);
        let mut last = None;
        for _ in 0..d.map().ok()?? {
            let key = d.u64().ok()?;
            // Ascending keys: none comes twice.
            if last.is_some_and(|last| last >= key) {
                return None;
            }
            last = Some(key);
            match key {
                0 => fields.kind = Some(d.u64().ok()?),
                1 => fields.name = Some(read_name(d)?),
                2 => fields.inviter = Some(read_name(d)?),
                3 => fields.chain = cert::read_chain(d).ok()?,
                4 => fields.addresses = read_addresses(d)?,
                5 => fields.expires = Some(WallTime(d.u64().ok()?)),
                6 => fields.id = Some(d.decode().ok()?),
                7 => {
                    fields.secret = Some(BearerSecret::from_bytes(d.bytes().ok()?.try_into().ok()?))
                }
                8 => fields.role = Some(d.decode().ok()?),
                9 => fields.app_roles = read_app_roles(d)?,
                _ => d.skip().ok()?,
            }
        }
        (d.position() == map.len()).then_some(fields)
    }

    /// Nothing if a field is missing.
    fn finish(self) -> Option<Result<Invitation, InvitationError>> {
        let root = self.chain.first()?.clone();
        let kind = match self.kind? {
            0 => {
                let for_peer = self.chain.last()?.peer_id();
                InvitationKind::Bound { chain: self.chain, for_peer }
            }
            1 if self.chain.len() == 1 => {
                let grant = Grant::new(self.role?, self.app_roles).ok()?;
                InvitationKind::Bearer { id: self.id?, secret: self.secret?, grant }
            }
            2 if self.chain.len() == 1 => {
                let grant = Grant::new(self.role?, self.app_roles).ok()?;
                InvitationKind::Password { id: self.id?, grant }
            }
            1 | 2 => return None,
            _ => return Some(Err(InvitationError::Version)),
        };
        Some(Ok(Invitation {
            group: root.peer_id().into(),
            name: self.name?,
            inviter: self.inviter?,
            root,
            addresses: self.addresses,
            expires: self.expires?,
            kind,
        }))
    }
}

fn read_app_roles(d: &mut minicbor::Decoder<'_>) -> Option<Vec<String>> {
    let count = usize::try_from(d.array().ok()??).ok().filter(|count| *count <= APP_ROLES_MAX)?;
    (0..count).map(|_| d.str().ok().map(str::to_owned)).collect()
}

fn read_name(d: &mut minicbor::Decoder<'_>) -> Option<String> {
    let name = d.str().ok()?;
    let fits = name.len() <= NAME_BYTES_MAX && check_name(name).is_ok();
    fits.then(|| name.to_owned())
}

/// Addresses of kinds that later releases invent are left out, as are those above the bound.
fn read_addresses(d: &mut minicbor::Decoder<'_>) -> Option<Vec<Address>> {
    let mut addresses = Vec::new();
    for _ in 0..d.array().ok()?? {
        if d.datatype().ok()? != Type::String {
            d.skip().ok()?;
            continue;
        }
        if let Ok(address) = d.str().ok()?.parse()
            && addresses.len() < ADDRESSES_MAX
        {
            addresses.push(address);
        }
    }
    Some(addresses)
}

fn check_sum(map: &[u8]) -> [u8; CHECK_BYTES] {
    let hash: [u8; 32] = Sha256::digest(map).into();
    *hash.first_chunk().expect("6 of 32 bytes")
}

/// The secret of a bearer invitation: the seed of an Ed25519 key. Wiped on drop.
#[derive(Clone)]
pub struct BearerSecret {
    seed: Zeroizing<[u8; 32]>,
}

impl BearerSecret {
    /// Takes 32 secret random bytes.
    pub fn from_bytes(seed: [u8; 32]) -> Self {
        Self { seed: Zeroizing::new(seed) }
    }

    /// The key that the group's invitation record names.
    pub fn public_key(&self) -> PublicKey {
        identity::public_key(&SigningKey::from_bytes(&self.seed))
    }

    /// Proves to everybody in `group` that `peer` holds the invitation.
    pub fn prove(&self, group: GroupId, peer: PeerId) -> [u8; 64] {
        let message = Domain::Redemption.message(&proof_message(group, &self.public_key(), peer));
        identity::sign(&SigningKey::from_bytes(&self.seed), &message)
    }
}

impl PartialEq for BearerSecret {
    fn eq(&self, other: &Self) -> bool {
        subtle::ConstantTimeEq::ct_eq(&self.seed[..], &other.seed[..]).into()
    }
}
impl Eq for BearerSecret {}

impl fmt::Debug for BearerSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerSecret(…)")
    }
}

/// What shows everybody in a group that a newcomer came by an invitation: its link's key and the newcomer's own have both
/// signed that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The invitation's public key.
    pub key: PublicKey,
    /// By that key.
    pub by_link: [u8; 64],
    /// By the newcomer's.
    pub by_newcomer: [u8; 64],
}

impl Proof {
    /// Whether it shows that the holder of the key `newcomer` came into `group` by the invitation.
    #[must_use]
    pub fn holds(&self, group: GroupId, newcomer: &PublicKey, verify: Verify) -> bool {
        let message = proof_message(group, &self.key, newcomer.peer_id());
        let message = Domain::Redemption.message(&message);
        verify(&self.key, &message, &self.by_link) && verify(newcomer, &message, &self.by_newcomer)
    }
}

/// What both keys sign under their domain.
pub(crate) fn proof_message(group: GroupId, key: &PublicKey, newcomer: PeerId) -> Vec<u8> {
    [&group.as_bytes()[..], key.as_bytes(), newcomer.as_bytes()].concat()
}
