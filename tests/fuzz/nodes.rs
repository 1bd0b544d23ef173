//! Whole nodes: what arrives on a link, and everything that a host can report.
use super::pair::{Pair, Side, address};
use bytes::Bytes;
use peergraph_core::cert::Role;
use peergraph_core::id::GroupId;
use peergraph_core::io::{
    Command, Draft, Filter, GroupCommand, Input, Invite, LinkId, Reply, StoreFault,
};
use peergraph_core::limits::{FRAME_BYTES_MAX, SIGNAL_BYTES_MAX};
use peergraph_core::record::RecordType;
use std::time::Duration;

/// A handshake over one link, whose frames are changed on their way. The first byte chooses the transport; then each
/// frame takes three bytes: what happens to it, where, and how.
pub fn handshake(data: &[u8]) {
    let mut reader = Reader(data);
    let web_socket = reader.byte() & 1 == 1;
    let mut pair = Pair::new(false);
    let honest = data.len() <= 1;
    pair.command(1, Command::Connect { node: address(0).into() });
    while let Some((side, mut input)) = pair.due.pop_front() {
        if let Input::LinkUp { transport, .. } = &mut input
            && web_socket
        {
            *transport = peergraph_core::io::Transport::WebSocket;
        }
        if let Input::Frame { link, bytes } = input {
            for bytes in reader.tampered(bytes) {
                pair.due.push_front((side, Input::Frame { link, bytes }));
                pair.step();
            }
        } else {
            pair.due.push_front((side, input));
            pair.step();
        }
    }
    pair.command(0, Command::Links);
    let links = pair.hosts[0].replies.iter().rev().find_map(|reply| match reply {
        Reply::Links(links) => Some(links),
        _ => None,
    });
    let ready = links.is_some_and(|links| links.iter().any(|link| link.peer.is_some()));
    assert!(ready || !honest, "an untouched handshake succeeds");
    pair.advance(Duration::from_secs(60));
}

/// Frames of a member to its neighbour, as many as the input has: two bytes of length, then the frame. All signatures are
/// taken for good, so that what lies behind them is reached.
pub fn message(data: &[u8]) {
    let (mut pair, group) = Pair::neighbours(true);
    let mut reader = Reader(data);
    let Some(link) = pair.link(0, 0) else { return };
    while !reader.0.is_empty() {
        let length = usize::from(reader.short()) % (FRAME_BYTES_MAX + 2);
        let bytes = reader.take(length);
        pair.handle(0, Input::Frame { link, bytes });
        pair.settle();
    }
    pair.advance(Duration::from_secs(130));
    // The node goes on after every input.
    pair.hosts[0].replies.clear();
    pair.command(0, Command::Group(group, GroupCommand::Publish { draft: draft(b"still here") }));
    pair.settle();
    let published = pair.hosts[0].replies.iter().any(|reply| matches!(reply, Reply::Record(_)));
    assert!(published || !in_group(&mut pair, group));
}

fn in_group(pair: &mut Pair, group: GroupId) -> bool {
    pair.hosts[0].replies.clear();
    pair.command(0, Command::Groups);
    pair.hosts[0]
        .replies
        .iter()
        .any(|reply| matches!(reply, Reply::Groups(groups) if groups.iter().any(|g| g.id == group)))
}

/// A program for two members of a group and their hosts: one byte says what happens, its operands follow.
pub fn node(data: &[u8]) {
    let (mut pair, group) = Pair::neighbours(true);
    let mut reader = Reader(data);
    // Longer programs are slow, and say little that shorter ones do not.
    for _ in 0..200 {
        if reader.0.is_empty() {
            break;
        }
        let choice = reader.byte();
        let side = Side::from(choice & 1);
        operate(&mut pair, group, choice >> 1, side, &mut reader);
    }
    pair.hosts.iter_mut().for_each(|host| host.slow = false);
    for side in [0, 1] {
        pair.write(side, None);
    }
    pair.reachable = true;
    pair.advance(Duration::from_secs(300));
}

fn operate(pair: &mut Pair, group: GroupId, choice: u8, side: Side, reader: &mut Reader<'_>) {
    match choice % 24 {
        0 => pair.advance(Duration::from_millis(u64::from(reader.short()))),
        1 => pair.advance(Duration::from_secs(u64::from(reader.byte()))),
        2 => (0..reader.byte()).for_each(|_| _ = pair.step()),
        3 => pair.settle(),
        // A frame is lost, comes twice, or is changed; order holds otherwise.
        4 => pair.due.retain(|(to, input)| *to != side || !matches!(input, Input::Frame { .. })),
        5 => {
            if let Some((to, Input::Frame { link, bytes })) = pair.due.front().cloned() {
                pair.due.pop_front();
                for bytes in reader.tampered(bytes) {
                    pair.due.push_front((to, Input::Frame { link, bytes }));
                    pair.step();
                }
            }
        }
        6 => {
            let (nth, length) = (reader.byte(), reader.byte());
            let bytes = reader.take(length.into());
            if let Some(link) = pair.link(side, nth.into()) {
                pair.handle(side, Input::Frame { link, bytes });
            }
        }
        7 => {
            if let Some(link) = pair.link(side, reader.byte().into()) {
                pair.hosts[side].up.remove(&link);
                pair.cut(side, link);
                pair.handle(side, Input::LinkDown { link });
            }
        }
        8 => pair.knock(side, reader.byte() & 1 == 0),
        9 => {
            let (nth, bytes) = (reader.byte(), usize::from(reader.short()) * 64);
            if let Some(link) = pair.link(side, nth.into()) {
                pair.handle(side, Input::Buffered { link, bytes });
            }
        }
        10 => {
            let (nth, length) = (reader.byte(), reader.byte());
            let signal = reader.take(usize::from(length).min(SIGNAL_BYTES_MAX));
            if let Some(link) = pair.link(side, nth.into()) {
                pair.handle(side, Input::Signal { link, signal });
            }
        }
        11 => pair.hosts[side].slow = reader.byte() & 1 == 0,
        12 => pair.write(side, None),
        13 => {
            let fault = match reader.byte() % 3 {
                0 => StoreFault::QuotaExceeded,
                1 => StoreFault::ReadOnly,
                _ => StoreFault::Broken,
            };
            pair.write(side, Some(fault));
        }
        14 => pair.restart(side),
        15 => pair.reachable = reader.byte() & 1 == 0,
        16 => {
            let length = usize::from(reader.byte());
            let bytes = reader.take(length);
            pair.command(
                side,
                Command::Group(group, GroupCommand::Publish { draft: draft(&bytes) }),
            );
        }
        17 => change(pair, group, side, reader.byte() & 1 == 0),
        18 => {
            let (uses, expires_in) =
                (reader.byte().into(), Duration::from_secs(reader.short().into()));
            let invite = Invite::Bearer { grant: Role::Member.into(), uses, expires_in };
            pair.command(side, Command::Group(group, GroupCommand::Invite { invite }));
        }
        19 => pair.command(
            side,
            Command::Group(group, GroupCommand::Records { filter: Filter::default() }),
        ),
        20 => {
            pair.command(side, Command::Group(group, GroupCommand::Members));
            pair.command(side, Command::Links);
        }
        21 => pair.command(side, Command::Connect { node: address(1 - side).into() }),
        22 => pair.handle(side, Input::Addresses(vec![address(side)])),
        _ if reader.byte() == 0 => pair.command(side, Command::Leave { group }),
        _ => pair.command(side, Command::Groups),
    }
}

/// Replaces or deletes the record that a host published or read last.
fn change(pair: &mut Pair, group: GroupId, side: Side, delete: bool) {
    let record = pair.hosts[side].replies.iter().rev().find_map(|reply| match reply {
        Reply::Record(record) => Some((record.id, record.kind.clone())),
        _ => None,
    });
    let Some((id, kind)) = record else { return };
    let payload = if delete { Bytes::new() } else { Bytes::from_static(b"changed") };
    let draft = Draft { id: Some(id), kind, delete, payload, ..draft(b"") };
    pair.command(side, Command::Group(group, GroupCommand::Publish { draft }));
}

fn draft(payload: &[u8]) -> Draft {
    Draft {
        id: None,
        kind: RecordType::new("chat.message").expect("a good type"),
        attributes: Vec::new(),
        payload: Bytes::copy_from_slice(payload),
        expires_in: None,
        delete: false,
        refresh: false,
        if_version: None,
        nonce: None,
    }
}

impl Pair {
    /// One of the open links of a host.
    fn link(&self, side: Side, nth: usize) -> Option<LinkId> {
        let up = &self.hosts[side].up;
        up.iter().nth(nth % up.len().max(1)).copied()
    }
}

/// The bytes of an input, used up from the front. After their end all further bytes are zero.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    fn short(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    fn take(&mut self, length: usize) -> Bytes {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        Bytes::copy_from_slice(taken)
    }

    /// Returns the frames that arrive in the place of this one.
    fn tampered(&mut self, frame: Bytes) -> Vec<Bytes> {
        if self.0.is_empty() {
            return vec![frame];
        }
        let (what, at, how) = (self.byte(), usize::from(self.byte()), self.byte());
        let mut bytes = frame.to_vec();
        match what % 6 {
            0 => return vec![frame],
            1 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= how;
                }
            }
            2 => bytes.truncate(at),
            3 => bytes.extend(std::iter::repeat_n(how, at)),
            4 => return vec![frame.clone(), frame],
            _ => bytes = self.take(at).to_vec(),
        }
        vec![bytes.into()]
    }
}

pub(crate) fn handshake_seeds() -> Vec<Vec<u8>> {
    vec![
        vec![0],
        vec![1],
        vec![0, 0, 0, 0, 1, 40, 1],
        vec![1, 4, 0, 0],
        vec![0, 0, 0, 0, 0, 0, 0, 2, 9, 0],
    ]
}

/// The genuine messages of a member to its neighbour: a record, its change, and the sync with which
/// it comes back.
pub(crate) fn message_seeds() -> Vec<Vec<u8>> {
    let (mut pair, group) = Pair::neighbours(true);
    pair.command(1, Command::Group(group, GroupCommand::Publish { draft: draft(b"hello") }));
    let mut seeds = Vec::new();
    let mut heard = Vec::new();
    for _ in 0..30 {
        while let Some((side, input)) = pair.due.front().cloned() {
            if let (0, Input::Frame { bytes, .. }) = (side, input) {
                let seed = [&(bytes.len() as u16).to_be_bytes(), &bytes[..]].concat();
                heard.extend_from_slice(&seed);
                seeds.push(seed);
            }
            pair.step();
        }
        pair.wake(Duration::from_secs(5));
    }
    seeds.push(heard);
    seeds.sort();
    seeds.dedup();
    seeds
}

pub(crate) fn node_seeds() -> Vec<Vec<u8>> {
    let op = |choice: u8, side: u8| choice << 1 | side;
    vec![
        [&[op(16, 1), 5][..], b"hello", &[op(3, 0), op(17, 1), 1, op(3, 0), op(17, 1), 0]].concat(),
        vec![op(11, 0), 0, op(16, 0), 1, b'x', op(14, 0), op(1, 0), 60],
        vec![op(8, 0), 0, op(6, 0), 1, 3, 0, 1, 0xa0, op(7, 0), 0, op(1, 0), 30],
        vec![op(18, 0), 2, 1, 0, op(19, 0), op(20, 1), op(22, 1), op(23, 1), 0, op(1, 0), 9],
    ]
}
