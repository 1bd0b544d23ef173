//! The bytes of a short invitation: what fits a link that people send each other, and a QR code.
//!
//! ```text
//!  1  header   bits 0–1 kind (1 bearer, 2 password), bits 2–3 role, bit 4 whether it ends, the rest 0
//! 32  group    the group's id
//! 16  root     what its root certificate hashes to
//! 16  inviter  the first half of the peer id
//! 16  secret   of a bearer invitation; of one by password the id of its record
//!  4  end      seconds since 1970, big endian; only if it ends
//!     places   one after another: tag (1), length (1), content
//! ```
//!
//! | tag | place | content |
//! |---|---|---|
//! | 1 | the page of the link | how many segments of its path lead to the node (1) |
//! | 2 | a URL | scheme (1: 0 `http`, 1 `https`, 2 `ws`, 3 `wss`), then what follows `://` |
//! | 3 | WebRTC | fingerprint (32), then sockets: 4 or 6 (1), IP address (4 or 16), port (2) |
//!
//! With bit 7 a place is a node's, else the inviter's own. Places of other tags are skipped, as is the rest of one that holds
//! something unknown. They stand in the order of their use, and those that find no room are left out: first a node, since its
//! URL stays when addresses change, then the inviter's addresses in the order in which the host gave them, then further nodes.
use super::{BearerSecret, Invitation, InvitationError, InvitationKind, LINK_CHARS_MAX};
use super::{CHECK_BYTES, MAGIC};
use crate::address::Address;
use crate::cert::Role;
use crate::id::{Fingerprint, GroupId, PeerPrefix, RecordId, RootPin};
use crate::limits::{ADDRESSES_MAX, INVITATION_NODES_MAX};
use crate::node_url::NodeUrl;
use crate::time::WallTime;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Longest short invitation. Bytes. Guess: the longest URL of a node beside everything that must be there, twice over. An
/// invitation that is written keeps to [`LINK_CHARS_MAX`].
pub(super) const SHORT_BYTES_MAX: usize = 700;

const KIND: u8 = 0b11;
const ROLE_SHIFT: u8 = 2;
const ENDS: u8 = 0b1_0000;
const RESERVED: u8 = 0b1110_0000;
const BEARER: u8 = 1;
const PASSWORD: u8 = 2;

const PAGE: u8 = 1;
const URL: u8 = 2;
const RTC: u8 = 3;
const OF_NODE: u8 = 0x80;
const SCHEMES: [&str; 4] = ["http", "https", "ws", "wss"];

/// Writes a short invitation for a link to `page`. Nothing if it is a bound one.
pub(super) fn write(
    invitation: &Invitation,
    page: Option<&str>,
    bytes: &mut Vec<u8>,
) -> Option<()> {
    let (kind, role, secret) = match &invitation.kind {
        InvitationKind::Bound { .. } => return None,
        InvitationKind::Bearer { secret, role, .. } => (BEARER, role, secret.as_bytes()),
        InvitationKind::Password { id, role } => (PASSWORD, role, id.as_bytes()),
    };
    let end = invitation.expires.and_then(|end| u32::try_from(end.0.div_ceil(1000)).ok());
    bytes.push(kind | role.number() << ROLE_SHIFT | if end.is_some() { ENDS } else { 0 });
    bytes.extend_from_slice(invitation.group.as_bytes());
    bytes.extend_from_slice(invitation.root.as_bytes());
    bytes.extend_from_slice(invitation.inviter.as_bytes());
    bytes.extend_from_slice(secret);
    bytes.extend(end.map(u32::to_be_bytes).iter().flatten());
    let before = page.map_or(0, |page| page.len() + "#".len()) + MAGIC.len() + 1;
    let room = LINK_CHARS_MAX.saturating_sub(before) * 3 / 4;
    write_places(invitation, page, bytes, room.saturating_sub(CHECK_BYTES));
    Some(())
}

/// Adds places up to `room` bytes in all; the first node even beyond that.
fn write_places(invitation: &Invitation, page: Option<&str>, bytes: &mut Vec<u8>, room: usize) {
    let page = page.and_then(|page| page.parse::<NodeUrl>().ok());
    let mut nodes = invitation.nodes.iter().take(INVITATION_NODES_MAX);
    if let Some(node) = nodes.next() {
        bytes.extend(node_place(node, page.as_ref()));
    }
    let addresses: Vec<&Address> = invitation.addresses.iter().take(ADDRESSES_MAX).collect();
    for (at, address) in addresses.iter().enumerate() {
        let Address::Rtc { fingerprint, .. } = address else {
            push_place(bytes, room, address_place(address, 0));
            continue;
        };
        // All sockets of one certificate in one place, where the first of them stands.
        let is_same = |other: &&&Address| matches!(other, Address::Rtc { fingerprint: it, .. } if it == fingerprint);
        if addresses[..at].iter().any(|other| is_same(&other)) {
            continue;
        }
        let mut place = place_of(RTC, fingerprint.as_bytes());
        let mut sockets = 0;
        for other in addresses[at..].iter().filter(is_same) {
            let Address::Rtc { socket, .. } = other else { continue };
            let socket = socket_bytes(*socket);
            if bytes.len() + place.len() + socket.len() <= room {
                place.extend(socket);
                sockets += 1;
            }
        }
        if sockets > 0 {
            place[1] = u8::try_from(place.len() - 2).unwrap_or(u8::MAX);
            bytes.extend(place);
        }
    }
    for node in nodes {
        push_place(bytes, room, node_place(node, page.as_ref()));
    }
}

fn push_place(bytes: &mut Vec<u8>, room: usize, place: Vec<u8>) {
    if bytes.len() + place.len() <= room {
        bytes.extend(place);
    }
}

/// A place, if its content is short enough for one.
fn place_of(tag: u8, content: &[u8]) -> Vec<u8> {
    match u8::try_from(content.len()) {
        Ok(length) => [&[tag, length], content].concat(),
        Err(_) => Vec::new(),
    }
}

fn node_place(node: &NodeUrl, page: Option<&NodeUrl>) -> Vec<u8> {
    if let Some(address) = node.address() {
        return address_place(address, OF_NODE);
    }
    if let Some(segments) = page.and_then(|page| segments_to(node, page)) {
        return place_of(PAGE | OF_NODE, &[segments]);
    }
    url_place(&node.to_string(), OF_NODE)
}

fn address_place(address: &Address, of: u8) -> Vec<u8> {
    match address {
        Address::Rtc { socket, fingerprint } => {
            let content = [&fingerprint.as_bytes()[..], &socket_bytes(*socket)].concat();
            place_of(RTC | of, &content)
        }
        Address::WebSocket { url } => url_place(&url.to_string(), of),
    }
}

fn url_place(url: &str, of: u8) -> Vec<u8> {
    let Some((scheme, rest)) = url.split_once("://") else { return Vec::new() };
    let Some(scheme) = (0..).zip(SCHEMES).find(|(_, it)| *it == scheme) else { return Vec::new() };
    place_of(URL | of, &[&[scheme.0], rest.as_bytes()].concat())
}

fn socket_bytes(socket: SocketAddr) -> Vec<u8> {
    let port = socket.port().to_be_bytes();
    match socket.ip() {
        IpAddr::V4(ip) => [&[4], &ip.octets()[..], &port].concat(),
        IpAddr::V6(ip) => [&[6], &ip.octets()[..], &port].concat(),
    }
}

/// How many segments of the page's path lead to the node. Nothing if the page is not below it.
fn segments_to(node: &NodeUrl, page: &NodeUrl) -> Option<u8> {
    let segments = u8::try_from(node.to_string().split('/').count().checked_sub(4)?).ok()?;
    (node_above(page, segments)? == *node).then_some(segments)
}

/// The node that is `segments` segments deep in the path of the page.
fn node_above(page: &NodeUrl, segments: u8) -> Option<NodeUrl> {
    if !page.is_web() {
        return None;
    }
    let url = page.to_string();
    // Scheme, nothing, host, then the segments of the path, the last of them empty.
    let parts: Vec<&str> = url.split('/').collect();
    let kept = parts.get(..3 + usize::from(segments)).filter(|kept| kept.len() < parts.len())?;
    format!("{}/", kept.join("/")).parse().ok()
}

/// Reads a short invitation of a link to `page`. Nothing if it is nonsense.
pub(super) fn read(
    bytes: &[u8],
    page: Option<&NodeUrl>,
) -> Option<Result<Invitation, InvitationError>> {
    let (&header, rest) = bytes.split_first()?;
    let role = Role::from_number(header >> ROLE_SHIFT & 0b11);
    let kind = header & KIND;
    let (Some(role), BEARER | PASSWORD, 0) = (role, kind, header & RESERVED) else {
        return Some(Err(InvitationError::Version));
    };
    let (group, rest) = rest.split_first_chunk()?;
    let (root, rest) = rest.split_first_chunk()?;
    let (inviter, rest) = rest.split_first_chunk()?;
    let (secret, mut rest) = rest.split_first_chunk()?;
    let mut expires = None;
    if header & ENDS != 0 {
        let (end, after) = rest.split_first_chunk()?;
        let since = Duration::from_secs(u64::from(u32::from_be_bytes(*end)));
        (expires, rest) = (Some(WallTime(0).after(since)), after);
    }
    let kind = match kind {
        BEARER => {
            InvitationKind::Bearer { id: None, secret: BearerSecret::from_bytes(*secret), role }
        }
        _ => InvitationKind::Password { id: RecordId::from_bytes(*secret), role },
    };
    let mut invitation = Invitation {
        group: GroupId::from_bytes(*group),
        root: RootPin::from_bytes(*root),
        inviter: PeerPrefix::from_bytes(*inviter),
        nodes: Vec::new(),
        addresses: Vec::new(),
        expires,
        kind,
    };
    read_places(rest, page, &mut invitation)?;
    Some(Ok(invitation))
}

fn read_places(mut rest: &[u8], page: Option<&NodeUrl>, invitation: &mut Invitation) -> Option<()> {
    while let Some((&tag, after)) = rest.split_first() {
        let (&length, after) = after.split_first()?;
        let (content, after) = after.split_at_checked(usize::from(length))?;
        rest = after;
        let of_node = tag & OF_NODE != 0;
        let node = |node: NodeUrl| {
            if invitation.nodes.len() < INVITATION_NODES_MAX && !invitation.nodes.contains(&node) {
                invitation.nodes.push(node);
            }
        };
        match (tag & !OF_NODE, of_node) {
            (PAGE, true) => {
                let above = |page| node_above(page, *content.first()?);
                page.and_then(above).into_iter().for_each(node);
            }
            (URL, true) => {
                read_url(content).and_then(|url| url.parse().ok()).into_iter().for_each(node)
            }
            (RTC, true) => read_rtc(content).into_iter().map(NodeUrl::from).for_each(node),
            (URL, false) => add(invitation, read_url(content).and_then(|url| url.parse().ok())),
            (RTC, false) => add(invitation, read_rtc(content)),
            _ => {}
        }
    }
    Some(())
}

fn add(invitation: &mut Invitation, addresses: impl IntoIterator<Item = Address>) {
    for address in addresses {
        let known = &mut invitation.addresses;
        if known.len() < ADDRESSES_MAX && !known.contains(&address) {
            known.push(address);
        }
    }
}

fn read_url(content: &[u8]) -> Option<String> {
    let (&scheme, rest) = content.split_first()?;
    let scheme = SCHEMES.get(usize::from(scheme))?;
    Some(format!("{scheme}://{}", std::str::from_utf8(rest).ok()?))
}

/// As many sockets as can be read.
fn read_rtc(content: &[u8]) -> Vec<Address> {
    let Some((fingerprint, mut rest)) = content.split_first_chunk() else { return Vec::new() };
    let fingerprint = Fingerprint::from_bytes(*fingerprint);
    let mut addresses = Vec::new();
    while let Some((socket, after)) = read_socket(rest) {
        addresses.push(Address::Rtc { socket, fingerprint });
        rest = after;
    }
    addresses
}

fn read_socket(bytes: &[u8]) -> Option<(SocketAddr, &[u8])> {
    let (&family, rest) = bytes.split_first()?;
    let (ip, rest): (IpAddr, _) = match family {
        4 => {
            let (ip, rest) = rest.split_first_chunk::<4>()?;
            ((*ip).into(), rest)
        }
        6 => {
            let (ip, rest) = rest.split_first_chunk::<16>()?;
            ((*ip).into(), rest)
        }
        _ => return None,
    };
    let (port, rest) = rest.split_first_chunk()?;
    Some((SocketAddr::new(ip, u16::from_be_bytes(*port)), rest))
}
