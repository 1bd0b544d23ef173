//! The bytes of a bound invitation: it works while nobody is online, so it carries its certificates.
//!
//! A header of 0, the length of the rest (3 bytes), and a CBOR map:
//!
//! | key | what |
//! |---|---|
//! | 0 | the friendly name of the inviter |
//! | 1 | the whole chain of certificates |
//! | 2, 3 | addresses, and URLs of nodes, as text; unknown ones are skipped |
//! | 4 | when it ends, milliseconds since 1970 |
use super::find::LONG_HEAD_BYTES;
use super::{Invitation, InvitationKind};
use crate::cert::{self, Certificate};
use crate::id::{PeerPrefix, RootPin};
use crate::limits::{ADDRESSES_MAX, FRIENDLY_NAME_MAX, INVITATION_NODES_MAX};
use crate::name::check_name;
use crate::time::WallTime;
use minicbor::data::Type;
use std::fmt::Display;
use std::str::FromStr;

const NAME_BYTES_MAX: usize = 4 * FRIENDLY_NAME_MAX;

/// Writes a bound invitation. Nothing if it is a short one.
pub(super) fn write(invitation: &Invitation, bytes: &mut Vec<u8>) -> Option<()> {
    let InvitationKind::Bound { chain, inviter, .. } = &invitation.kind else { return None };
    bytes.extend([0; LONG_HEAD_BYTES]);
    let e = &mut minicbor::Encoder::new(&mut *bytes);
    let mut write = || {
        e.map(4 + u64::from(invitation.expires.is_some()))?;
        e.u8(0)?.str(inviter)?.u8(1)?;
        cert::write_chain(chain, e)?;
        write_texts(e.u8(2)?, &invitation.addresses, ADDRESSES_MAX)?;
        write_texts(e.u8(3)?, &invitation.nodes, INVITATION_NODES_MAX)?;
        if let Some(end) = invitation.expires {
            e.u8(4)?.u64(end.0)?;
        }
        Ok::<_, minicbor::encode::Error<std::convert::Infallible>>(())
    };
    write().expect("a vector takes every byte");
    let length = u32::try_from(bytes.len() - LONG_HEAD_BYTES).unwrap_or(u32::MAX);
    bytes[1..LONG_HEAD_BYTES].copy_from_slice(&length.to_be_bytes()[1..]);
    Some(())
}

fn write_texts<W: minicbor::encode::Write>(
    e: &mut minicbor::Encoder<W>,
    texts: &[impl Display],
    max: usize,
) -> Result<(), minicbor::encode::Error<W::Error>> {
    let texts = &texts[..texts.len().min(max)];
    e.array(texts.len() as u64)?;
    texts.iter().try_for_each(|text| e.str(&text.to_string())?.ok())
}

/// Reads a bound invitation. Nothing if it is nonsense, or something follows it.
pub(super) fn read(bytes: &[u8]) -> Option<Invitation> {
    let map = bytes.get(LONG_HEAD_BYTES..)?;
    let d = &mut minicbor::Decoder::new(map);
    let (mut inviter, mut chain, mut expires) = (None, Vec::new(), None);
    let (mut addresses, mut nodes) = (Vec::new(), Vec::new());
    let mut last = None;
    for _ in 0..d.map().ok()?? {
        let key = d.u64().ok()?;
        // Ascending keys: none comes twice.
        if last.is_some_and(|last| last >= key) {
            return None;
        }
        last = Some(key);
        match key {
            0 => inviter = Some(read_name(d)?),
            1 => chain = cert::read_chain(d).ok()?,
            2 => addresses = read_texts(d, ADDRESSES_MAX)?,
            3 => nodes = read_texts(d, INVITATION_NODES_MAX)?,
            4 => expires = Some(WallTime(d.u64().ok()?)),
            _ => d.skip().ok()?,
        }
    }
    if d.position() != map.len() {
        return None;
    }
    let (root, for_peer) = (chain.first()?, chain.last()?.peer_id());
    Some(Invitation {
        group: root.peer_id().into(),
        root: RootPin::of(root.der()),
        inviter: inviter_of(&chain)?,
        nodes,
        addresses,
        expires,
        kind: InvitationKind::Bound { for_peer, inviter: inviter?, chain },
    })
}

/// The issuer of the last certificate of a chain; of a root alone, itself.
pub(super) fn inviter_of(chain: &[Certificate]) -> Option<PeerPrefix> {
    let above = chain.iter().rev().nth(1).or_else(|| chain.last())?;
    Some(PeerPrefix::of(above.peer_id()))
}

fn read_name(d: &mut minicbor::Decoder<'_>) -> Option<String> {
    let name = d.str().ok()?;
    let fits = name.len() <= NAME_BYTES_MAX && check_name(name).is_ok();
    fits.then(|| name.to_owned())
}

/// Texts of kinds that later releases invent are left out, as are those above the bound.
pub(super) fn read_texts<T: FromStr>(d: &mut minicbor::Decoder<'_>, max: usize) -> Option<Vec<T>> {
    let mut read = Vec::new();
    for _ in 0..d.array().ok()?? {
        if d.datatype().ok()? != Type::String {
            d.skip().ok()?;
            continue;
        }
        if let Ok(value) = d.str().ok()?.parse()
            && read.len() < max
        {
            read.push(value);
        }
    }
    Some(read)
}
