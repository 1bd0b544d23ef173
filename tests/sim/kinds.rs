//! The kinds of messages on the wires, and how many bytes of each.
use peergraph_core::wire::kind::{Kind, kind_name};
use serde::Serialize;
use std::collections::BTreeMap;

/// First byte of a frame that is a whole message, or the last part of one.
const WHOLE: u8 = 0;
const LAST: u8 = 2;
/// The kinds that stand for the handshake, and for frames that only their ends can read.
const HANDSHAKE: u8 = 254;
const SEALED: u8 = 255;

/// Follows what one end of a wire says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Saying {
    sealed: bool,
    /// Messages of the handshake that are to come.
    handshake: u8,
    /// The message of which a part is out.
    kind: Option<u8>,
    /// Under which number the last message of a graph went.
    pub(crate) graph: Option<u16>,
}

impl Saying {
    pub(crate) fn new(sealed: bool, initiator: bool) -> Self {
        Self { sealed, handshake: if initiator { 2 } else { 1 }, kind: None, graph: None }
    }

    /// A frame leaves: answers what it belongs to, and whether that ends with it.
    pub(crate) fn frame(&mut self, frame: &[u8]) -> (u8, bool) {
        let &[part, ref message @ ..] = frame else { return (SEALED, true) };
        if self.handshake == 0 && self.sealed {
            return (SEALED, true);
        }
        let said = if self.handshake > 0 { HANDSHAKE } else { message.first().map_or(0, |&k| k) };
        if let (&[kind, high, low, ..], None, 0) = (message, self.kind, self.handshake)
            && Kind::of(kind).is_some_and(Kind::is_of_graph)
        {
            self.graph = Some(u16::from_be_bytes([high, low]));
        }
        let kind = *self.kind.get_or_insert(said);
        let ended = part == WHOLE || part == LAST;
        if ended {
            self.kind = None;
            self.handshake = self.handshake.saturating_sub(1);
        }
        (kind, ended)
    }
}

/// Messages of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KindCount {
    /// How many.
    pub messages: u64,
    /// Bytes of their frames.
    pub bytes: u64,
}

/// Messages of all kinds.
#[derive(Clone, Debug)]
pub struct Kinds([KindCount; 256]);

impl Default for Kinds {
    fn default() -> Self {
        Self([KindCount::default(); 256])
    }
}

impl Kinds {
    pub(crate) fn add(&mut self, kind: u8, ended: bool, bytes: u64) {
        let count = &mut self.0[usize::from(kind)];
        count.messages += u64::from(ended);
        count.bytes += bytes;
    }

    /// Those of which there were any.
    pub fn by_name(&self) -> BTreeMap<&'static str, KindCount> {
        let mut named = BTreeMap::<_, KindCount>::new();
        for (kind, count) in (0..=u8::MAX).zip(&self.0).filter(|(_, count)| count.bytes > 0) {
            let name = match kind {
                HANDSHAKE => "handshake",
                SEALED => "sealed",
                kind => kind_name(kind),
            };
            let sum = named.entry(name).or_default();
            sum.messages += count.messages;
            sum.bytes += count.bytes;
        }
        named
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_belong_to_the_message_that_began() {
        let mut saying = Saying::new(false, false);
        assert_eq!(saying.frame(&[0, 9, 9]), (HANDSHAKE, true));
        assert_eq!(saying.frame(&[0, 1]), (1, true));
        assert_eq!(saying.frame(&[1, 42, 0, 1]), (42, false));
        assert_eq!(saying.frame(&[1, 7, 7]), (42, false));
        assert_eq!(saying.frame(&[2, 8]), (42, true));
        assert_eq!(saying.frame(&[0, 43]), (43, true));
        let mut sealed = Saying::new(true, true);
        for expected in [HANDSHAKE, HANDSHAKE, SEALED, SEALED] {
            assert_eq!(sealed.frame(&[0, 1]), (expected, true));
        }
    }
}
