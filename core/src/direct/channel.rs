//! One channel of a direct link: its messages, a call, or a stream; what waits in it, and how much more may come.
//!
//! ```text
//!   application ──► queue ──(credit of the other end)──► frames … frames ──► inbox ──► application
//!                     │                                             ▲          │
//!                     └ a write waits while it is long              └─ credit ◄┘ as the application takes
//! ```
//!
//! Credit is a sum that only grows. A frame may be sent while what was sent is below it, so that the last one may go beyond it
//! by itself. A channel of which the application takes all that comes is given more at a time, as long as its direct link
//! has some to spare.
use crate::fault::Misbehaved;
use crate::io::error::Error;
use crate::io::{DirectError, DirectMessage, Outbox, Output, Reply, RequestId};
use crate::limits;
use crate::record::RecordType;
use crate::sorted::SortedMap;
use crate::wire::{self, ACT_BYTES, ACT_END, ACT_ITEM, DirectItem, DirectPart};
use bytes::Bytes;
use std::collections::VecDeque;

/// The kind of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Messages, both ways. Each direct link has one such channel, number 0.
    Messages,
    /// A request, and responses to it.
    Call,
    /// Bytes, both ways.
    Stream,
}

/// One channel, as one end holds it.
pub(super) struct Channel {
    pub(super) kind: Kind,
    /// Whether this end has begun it.
    pub(super) ours: bool,
    /// The parts that wait to be sent, and their cost.
    queue: VecDeque<Queued>,
    queued: u64,
    /// The latest message of each type of which only that counts.
    latest: SortedMap<String, DirectPart>,
    sent: u64,
    allowed: u64,
    /// Whether the end follows what waits, and whether it is sent.
    finishing: bool,
    ended: bool,
    writer: Option<(RequestId, Bytes)>,
    /// The cost of what came, of what the application took, and of what may come as the other end was told.
    came: u64,
    taken: u64,
    told: u64,
    /// How much may come ahead of what was taken.
    window: u64,
    /// The cost that was taken when the window grew last.
    grew: u64,
    inbox: VecDeque<Arrived>,
    /// Why nothing more comes, if that is so: nothing for the proper end.
    their_end: Option<Option<DirectError>>,
    /// Whether the application has heard of the end.
    heard: bool,
    /// Why this end has given up, if it has: what comes is dropped.
    given_up: Option<DirectError>,
    reader: Option<Reader>,
}

/// A part that waits to be sent, and who waits until the other end has it.
pub(super) struct Queued {
    pub(super) part: DirectPart,
    pub(super) request: Option<RequestId>,
}

/// Something that came.
struct Arrived {
    /// The part of its cost that the application has still to take.
    cost: u64,
    content: Content,
}

enum Content {
    Item(DirectItem),
    Bytes(Bytes),
}

/// An application that waits for what comes.
pub(super) struct Reader {
    pub(super) request: RequestId,
    /// At most so many bytes, of a stream.
    pub(super) most: usize,
}

/// The end of a request.
pub(super) fn done(out: &mut Outbox, request: RequestId, result: Result<Reply, Error>) {
    out.push_back(Output::Done { request, result });
}

/// The end of a request in vain.
pub(super) fn failed(out: &mut Outbox, request: RequestId, why: &DirectError) {
    done(out, request, Err(why.clone().into()));
}

/// A message as the application sees it.
pub(super) fn message_of(item: DirectItem) -> DirectMessage {
    let DirectItem { kind, payload, media_type, .. } = item;
    DirectMessage { kind: RecordType::new(&kind).ok(), payload: payload.into(), media_type }
}

impl Channel {
    pub(super) fn new(kind: Kind, ours: bool) -> Self {
        let (messages, other) = limits::DIRECT_CREDIT_FIRST;
        let credit = if kind == Kind::Messages { messages } else { other };
        Self {
            kind,
            ours,
            queue: VecDeque::new(),
            queued: 0,
            latest: SortedMap::new(),
            sent: 0,
            allowed: credit,
            // A caller says nothing but its request.
            finishing: false,
            ended: kind == Kind::Call && ours,
            writer: None,
            came: 0,
            taken: 0,
            told: credit,
            window: credit,
            grew: 0,
            inbox: VecDeque::new(),
            their_end: (kind == Kind::Call && !ours).then_some(None),
            heard: kind == Kind::Call && !ours,
            given_up: None,
            reader: None,
        }
    }

    // --- what we send --------------------------------------------------------------------------------

    /// Whether neither end has anything more to say.
    pub(super) fn is_over(&self) -> bool {
        self.ended && self.their_end.is_some()
    }

    /// The same, and the application has taken all that came, and heard of the end.
    pub(super) fn is_done(&self) -> bool {
        self.is_taken() && self.heard
    }

    /// The same, whether it has heard of the end or not.
    pub(super) fn is_taken(&self) -> bool {
        self.is_over() && self.inbox.is_empty() && self.reader.is_none()
    }

    /// Whether this end may still send; else why not.
    pub(super) fn check_writable(&self) -> Result<(), Error> {
        match &self.given_up {
            Some(why) => Err(why.clone().into()),
            None if self.finishing || self.ended => Err(DirectError::Closed.into()),
            None => Ok(()),
        }
    }

    /// The cost of what waits to be sent.
    pub(super) fn queued(&self) -> u64 {
        self.queued
    }

    /// Puts a part behind what waits. The one that begins a channel is sent whatever credit there is.
    pub(super) fn push(&mut self, part: DirectPart, request: Option<RequestId>) {
        self.queued += part.cost();
        self.queue.push_back(Queued { part, request });
    }

    /// Puts a message of which only the latest counts in the place of an earlier one. Whether there was one.
    pub(super) fn push_latest(&mut self, kind: String, part: DirectPart) -> bool {
        self.queued += part.cost();
        let before = self.latest.insert(kind, part);
        self.queued -= before.as_ref().map_or(0, DirectPart::cost);
        before.is_some()
    }

    /// How many such messages wait.
    pub(super) fn latest_waiting(&self) -> usize {
        self.latest.len()
    }

    /// Takes bytes to be sent, or keeps them until there is room. Nothing is kept already.
    pub(super) fn write(
        &mut self,
        number: u32,
        request: RequestId,
        bytes: Bytes,
        out: &mut Outbox,
    ) {
        if self.queued >= limits::DIRECT_WRITING_MAX {
            if let Some((earlier, _)) = self.writer.replace((request, bytes)) {
                failed(out, earlier, &DirectError::TakenOver);
            }
            return;
        }
        let mut bytes = bytes;
        while !bytes.is_empty() {
            let body = bytes.split_to(bytes.len().min(limits::DIRECT_CHUNK_BYTES_MAX));
            self.push(DirectPart { channel: number, act: ACT_BYTES, body }, None);
        }
        done(out, request, Ok(Reply::Ok));
    }

    /// Says no more after what waits.
    pub(super) fn finish(&mut self) {
        self.finishing = true;
    }

    /// Takes the next part to be sent, as far as credit goes; at last the end.
    pub(super) fn next(&mut self, number: u32, out: &mut Outbox) -> Option<Queued> {
        if self.queue.is_empty() && self.latest.is_empty() {
            if self.finishing && !self.ended && self.writer.is_none() {
                self.ended = true;
                let part = DirectPart { channel: number, act: ACT_END, body: Bytes::new() };
                return Some(Queued { part, request: None });
            }
            return None;
        }
        if self.sent >= self.allowed {
            return None;
        }
        let next = self.queue.pop_front().or_else(|| {
            let (_, part) = self.latest.pop_first()?;
            Some(Queued { part, request: None })
        })?;
        self.queued -= next.part.cost();
        self.sent += next.part.cost();
        if self.queued < limits::DIRECT_WRITING_MAX
            && let Some((request, bytes)) = self.writer.take()
        {
            self.write(number, request, bytes, out);
        }
        Some(next)
    }

    /// Whether [`next`](Self::next) has something.
    pub(super) fn has_next(&self) -> bool {
        let waits = !self.queue.is_empty() || !self.latest.is_empty();
        let end = self.finishing && !self.ended && self.writer.is_none();
        if waits { self.sent < self.allowed } else { end }
    }

    /// The other end allows more. Whether that is news.
    pub(super) fn allow(&mut self, allowed: u64) -> bool {
        let more = allowed > self.allowed;
        self.allowed = self.allowed.max(allowed);
        more
    }

    // --- what comes ----------------------------------------------------------------------------------

    /// A part has come that costs so much.
    pub(super) fn charge(&mut self, cost: u64) -> Result<(), Misbehaved> {
        if self.their_end.is_some() {
            return Err(Misbehaved::Unexpected);
        }
        if self.came >= self.told {
            return Err(Misbehaved::Credit);
        }
        self.came += cost;
        Ok(())
    }

    /// The request of a call was its first part.
    pub(super) fn charge_request(&mut self, cost: u64) {
        self.came += cost;
    }

    /// A message or response that has come.
    pub(super) fn came_item(&mut self, item: DirectItem, cost: u64) {
        if self.given_up.is_some() {
            return;
        }
        if item.latest == Some(true)
            && let Some(at) = self.inbox.iter().position(|it| it.is_latest_of(&item.kind))
        {
            let gone = self.inbox.remove(at).map_or(0, |it| it.cost);
            self.taken += gone;
        }
        self.inbox.push_back(Arrived { cost, content: Content::Item(item) });
    }

    /// Bytes that have come.
    pub(super) fn came_bytes(&mut self, bytes: Bytes, cost: u64) {
        if self.given_up.is_some() {
            return;
        }
        if bytes.is_empty() {
            self.taken += cost;
            return;
        }
        self.inbox.push_back(Arrived { cost, content: Content::Bytes(bytes) });
    }

    /// The other end says no more.
    pub(super) fn came_end(&mut self) -> Result<(), Misbehaved> {
        if self.their_end.is_some() {
            return Err(Misbehaved::Unexpected);
        }
        self.their_end = Some(None);
        Ok(())
    }

    /// An application waits for what comes. An earlier one waits in vain.
    pub(super) fn wait(&mut self, reader: Reader, out: &mut Outbox) {
        if let Some(earlier) = self.reader.replace(reader) {
            failed(out, earlier.request, &DirectError::TakenOver);
        }
    }

    /// Gives what came to the application that waits for it.
    pub(super) fn deliver(&mut self, out: &mut Outbox) {
        let Some(Reader { request, most }) = self.reader.take() else { return };
        if let Some(why) = &self.given_up {
            self.heard = true;
            failed(out, request, why);
            return;
        }
        let Some(first) = self.inbox.front_mut() else {
            match &self.their_end {
                Some(None) => {
                    let reply = match self.kind {
                        Kind::Stream => Reply::Bytes(Bytes::new()),
                        Kind::Call | Kind::Messages => Reply::Response(None),
                    };
                    // A server that waits for what its caller says learns only that it gives up.
                    if self.kind == Kind::Call && !self.ours && !self.ended {
                        self.reader = Some(Reader { request, most });
                        return;
                    }
                    self.heard = true;
                    done(out, request, Ok(reply));
                }
                Some(Some(why)) => {
                    self.heard = true;
                    failed(out, request, why);
                }
                None => self.reader = Some(Reader { request, most }),
            }
            return;
        };
        let reply = match &mut first.content {
            Content::Bytes(bytes) => {
                let given = bytes.split_to(bytes.len().min(most.max(1)));
                let cost = if bytes.is_empty() { first.cost } else { given.len() as u64 };
                first.cost -= cost;
                self.taken += cost;
                if first.cost == 0 {
                    self.inbox.pop_front();
                }
                Reply::Bytes(given)
            }
            Content::Item(item) => {
                let message = message_of(std::mem::take(item));
                self.taken += first.cost;
                self.inbox.pop_front();
                match self.kind {
                    Kind::Messages => Reply::Message(message),
                    Kind::Call | Kind::Stream => Reply::Response(Some(message)),
                }
            }
        };
        done(out, request, Ok(reply));
    }

    /// Allows the other end to send more. Whether it is worth a word. `spare` is what the direct link has to give beyond.
    pub(super) fn grant(&mut self, spare: &mut u64) -> bool {
        if self.their_end.is_some() || self.given_up.is_some() {
            return false;
        }
        let more = self.window.min(limits::DIRECT_CREDIT_MAX.saturating_sub(self.window));
        if self.taken - self.grew >= self.window && more > 0 && *spare >= more {
            *spare -= more;
            self.window += more;
            self.grew = self.taken;
        }
        let allowed = self.taken + self.window;
        if allowed < self.told + self.window / 4 {
            return false;
        }
        self.told = allowed;
        true
    }

    /// The cost that the other end may send in all, as it was told.
    pub(super) fn told(&self) -> u64 {
        self.told
    }

    /// The credit that it was given beyond the first.
    pub(super) fn spared(&self) -> u64 {
        let (messages, other) = limits::DIRECT_CREDIT_FIRST;
        let first = if self.kind == Kind::Messages { messages } else { other };
        self.window.saturating_sub(first)
    }

    // --- the end -------------------------------------------------------------------------------------

    /// Whether the other end has not heard of it.
    pub(super) fn is_unsent(&self) -> bool {
        self.ours && self.sent == 0
    }

    /// Nothing more is sent or taken. Those who wait are told why.
    pub(super) fn give_up(&mut self, why: &DirectError, out: &mut Outbox) {
        for queued in std::mem::take(&mut self.queue) {
            if let Some(request) = queued.request {
                failed(out, request, why);
            }
        }
        self.latest = SortedMap::new();
        self.queued = 0;
        if let Some((request, _)) = self.writer.take() {
            failed(out, request, why);
        }
        self.inbox.clear();
        self.ended = true;
        self.given_up.get_or_insert(why.clone());
        if let Some(Reader { request, .. }) = self.reader.take() {
            self.heard = true;
            failed(out, request, why);
        }
    }

    /// The application of this end has given up: it knows.
    pub(super) fn hear(&mut self) {
        self.heard = true;
    }

    /// The other end has given up. Whether it is to be told that nothing more comes from here.
    pub(super) fn came_reset(&mut self, why: DirectError, out: &mut Outbox) -> bool {
        let tell = !self.ended;
        self.give_up(&why, out);
        self.their_end = Some(Some(why));
        tell
    }

    /// Whether this end has given up, or knows that the other one has.
    pub(super) fn has_given_up(&self) -> bool {
        self.given_up.is_some()
    }

    /// Whether this end has said, or never had to say, that it sends no more.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether the other end may still send.
    pub(super) fn is_readable(&self) -> bool {
        self.their_end.is_none()
    }
}

impl Arrived {
    fn is_latest_of(&self, kind: &str) -> bool {
        match &self.content {
            Content::Item(item) => item.latest == Some(true) && item.kind == kind,
            Content::Bytes(_) => false,
        }
    }
}

/// Reads the body of a part, if nothing in it is too long.
pub(super) fn read_item(body: &[u8]) -> Result<DirectItem, Misbehaved> {
    let item: DirectItem = wire::decode(body)?;
    if item.fits() { Ok(item) } else { Err(Misbehaved::TooMuch) }
}

/// The part that brings a message or a response.
pub(super) fn item_part(number: u32, item: &DirectItem) -> DirectPart {
    DirectPart::of(number, ACT_ITEM, item)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        /// Goal: an honest sender is never blamed, all that it sends comes in order, and what waits at the other end is bounded.
        /// Method: two ends of a stream; writes, sending, reading and credit in any order.
        #[test]
        fn bytes_come_in_order_within_the_credit(
            acts in prop::collection::vec((0..4u8, 1..70_000usize), 0..300),
        ) {
            let (mut here, mut there) =
                (Channel::new(Kind::Stream, true), Channel::new(Kind::Stream, false));
            let (mut out, mut spare) = (Outbox::new(), limits::DIRECT_CREDIT_SPARE);
            let (mut written, mut read, mut waiting) = (0_u64, 0_u64, 0_u64);
            for (n, (act, many)) in acts.into_iter().enumerate() {
                let request = RequestId(n as u64);
                match act {
                    0 if here.writer.is_none() => {
                        let many = many.min(limits::DIRECT_WRITE_BYTES_MAX) as u64;
                        let bytes: Vec<u8> = (written..written + many).map(|it| it as u8).collect();
                        here.write(2, request, bytes.into(), &mut out);
                        written += many;
                    }
                    0 | 1 => {
                        while let Some(Queued { part, .. }) = here.next(2, &mut out) {
                            prop_assert_eq!(there.charge(part.cost()), Ok(()));
                            waiting += part.body.len() as u64;
                            let cost = part.cost();
                            there.came_bytes(part.body, cost);
                        }
                    }
                    _ => {
                        out.clear();
                        there.wait(Reader { request, most: many }, &mut out);
                        there.deliver(&mut out);
                        if let Some(Output::Done { result: Ok(Reply::Bytes(bytes)), .. }) =
                            out.pop_back()
                        {
                            let expected = (read..read + bytes.len() as u64).map(|it| it as u8);
                            prop_assert!(bytes.iter().copied().eq(expected));
                            read += bytes.len() as u64;
                            waiting -= bytes.len() as u64;
                        }
                        there.reader = None;
                        if there.grant(&mut spare) {
                            here.allow(there.told());
                        }
                    }
                }
                prop_assert!(
                    waiting <= there.window + limits::DIRECT_CHUNK_BYTES_MAX as u64,
                    "{waiting} bytes wait"
                );
                prop_assert!(here.queued <= limits::DIRECT_WRITING_MAX + 2 * 65_536);
            }
            // More than that is a fault.
            while there.came < there.told {
                prop_assert_eq!(there.charge(15_000), Ok(()));
            }
            prop_assert_eq!(there.charge(1), Err(Misbehaved::Credit));
        }
    }
}
