//! One direct link, as one of its two nodes holds it: its frames, and the channels that they are of.
//!
//! Frames are numbered and acknowledged, and kept until they are. A link between the two nodes may be replaced by a better one,
//! or come back: then each end tells over the new one how many frames it has, and the other sends the rest again.
use super::channel::{Channel, Kind, Queued, Reader, done, failed, item_part, read_item};
use super::pace::Pace;
use crate::cert::VerifiedChain;
use crate::fault::Misbehaved;
use crate::id::{GroupId, NodeId, PeerId};
use crate::io::error::Error;
use crate::io::{
    ChannelId, DirectError, DirectId, DirectInfo, DirectState, LinkId, Outbox, Reply, RequestId,
};
use crate::limits;
use crate::link::Links;
use crate::sorted::SortedMap;
use crate::time::{Now, Time};
use crate::wire::{
    self, ACT_BYTES, ACT_CALL, ACT_END, ACT_ITEM, ACT_RESET, ACT_STREAM, DirectAck, DirectCredit,
    DirectFrame, DirectHalt, DirectItem, DirectOpen, DirectPart, DirectReset, kind,
};
use bytes::Bytes;
use std::collections::VecDeque;

/// The channel of messages.
pub(super) const MESSAGES: u32 = 0;
/// Types of messages of which only the latest counts that wait at a time. Guess.
const LATEST_MAX: usize = 64;

/// The surroundings of a direct link while one input is handled.
pub(super) struct Hand<'a> {
    pub(super) now: Now,
    pub(super) links: &'a mut Links,
    pub(super) out: &'a mut Outbox,
}

/// How far a direct link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The other end is to be asked, or was.
    Asking,
    /// Our application is asked.
    Asked,
    /// Both have agreed.
    Open,
}

/// The search for a link to the other node.
#[derive(Debug)]
pub(super) struct Seeking {
    /// Other nodes of the same member, that are tried after this one.
    pub(super) others: Vec<NodeId>,
    /// A link that was offered, or is to be relayed.
    pub(super) offered: Vec<LinkId>,
    /// When it is in vain.
    pub(super) until: Time,
    /// Whether its addresses are being dialled.
    pub(super) dialled: bool,
    /// How many links were offered.
    pub(super) offers: u32,
    /// Whether relays were asked.
    pub(super) relayed: bool,
}

impl Seeking {
    /// A search that has not begun.
    pub(super) fn until(until: Time) -> Self {
        let (others, offered) = (Vec::new(), Vec::new());
        Self { others, offered, until, dialled: false, offers: 0, relayed: false }
    }
}

/// One direct link.
pub(super) struct End {
    pub(super) id: DirectId,
    pub(super) group: GroupId,
    pub(super) peer: PeerId,
    pub(super) node: NodeId,
    pub(super) number: u64,
    pub(super) ours: bool,
    pub(super) purpose: String,
    pub(super) state: State,
    pub(super) link: Option<LinkId>,
    /// While there is no link, at the end that looks for one.
    pub(super) seeking: Option<Seeking>,
    /// The membership that the other end has shown.
    pub(super) chain: Option<VerifiedChain>,
    /// The request that waits until it is open.
    pub(super) request: Option<RequestId>,

    /// Frames that the other end has not acknowledged, the first of them number `acked`.
    unacked: VecDeque<Queued>,
    unacked_cost: u64,
    acked: u64,
    /// Of these, how many were sent over the link that there is.
    sent: usize,
    /// Frames that came.
    came: u64,
    owes_ack: bool,
    /// Whether nothing is sent until the other end says how many frames it has.
    holds: bool,
    /// The cost of frames that may come twice, since the link has changed.
    repeats: u64,

    pub(super) channels: SortedMap<u32, Channel>,
    made: u32,
    theirs: u32,
    /// The credit that is left to give to channels beyond their first.
    spare: u64,
    /// Channels of which the other end is told how much they may bring.
    credits: Vec<u32>,
    /// Streams that came and that nobody took.
    streams: VecDeque<(u32, String)>,
    stream_reader: Option<RequestId>,
    /// The stream that sent last.
    turn: u32,
    pace: Pace,
}

/// The outcome of a frame, for those above.
pub(super) enum Came {
    /// Nothing.
    Nothing,
    /// A call of this name.
    Call(u32, DirectOpen),
    /// A call is over, or given up.
    Over(u32),
}

impl End {
    pub(super) fn new(
        id: DirectId,
        group: GroupId,
        (peer, node): (PeerId, NodeId),
        number: u64,
        ours: bool,
        purpose: String,
    ) -> Self {
        let mut channels = SortedMap::new();
        channels.insert(MESSAGES, Channel::new(Kind::Messages, ours));
        Self {
            id,
            group,
            peer,
            node,
            number,
            ours,
            purpose,
            state: if ours { State::Asking } else { State::Asked },
            link: None,
            seeking: None,
            chain: None,
            request: None,
            unacked: VecDeque::new(),
            unacked_cost: 0,
            acked: 0,
            sent: 0,
            came: 0,
            owes_ack: false,
            holds: false,
            repeats: 0,
            channels,
            made: u32::from(!ours),
            theirs: u32::from(ours),
            spare: limits::DIRECT_CREDIT_SPARE,
            credits: Vec::new(),
            streams: VecDeque::new(),
            stream_reader: None,
            turn: 0,
            pace: Pace::default(),
        }
    }

    pub(super) fn info(&self) -> DirectInfo {
        let state = match (self.state, self.link) {
            (State::Asking, None) => DirectState::Seeking,
            (State::Asking, Some(_)) => DirectState::Asking,
            (State::Asked, _) => DirectState::Asked,
            (State::Open, Some(_)) => DirectState::Open,
            (State::Open, None) => DirectState::Apart,
        };
        DirectInfo {
            id: self.id,
            group: self.group,
            peer: self.peer,
            node: self.node,
            purpose: self.purpose.clone(),
            ours: self.ours,
            state,
        }
    }

    // --- what the application does -------------------------------------------------------------------

    fn open_channel(&mut self, channel: ChannelId) -> Result<&mut Channel, Error> {
        self.channels.get_mut(&channel.0).ok_or(Error::Direct(DirectError::Unknown))
    }

    /// A channel of one kind.
    pub(super) fn channel(
        &mut self,
        channel: ChannelId,
        kind: Kind,
    ) -> Result<&mut Channel, Error> {
        let it = self.open_channel(channel)?;
        if it.kind == kind { Ok(it) } else { Err(DirectError::Unknown.into()) }
    }

    /// The cost of messages, requests and responses that wait to be sent.
    fn waiting(&self) -> u64 {
        let items = self.channels.values().filter(|channel| channel.kind != Kind::Stream);
        items.map(Channel::queued).sum()
    }

    fn room_for(&self, part: &DirectPart) -> Result<(), Error> {
        let fits = self.waiting() + part.cost() <= limits::DIRECT_WAITING_MAX;
        if fits { Ok(()) } else { Err(Error::Busy) }
    }

    pub(super) fn send_message(
        &mut self,
        item: &DirectItem,
        latest: bool,
        request: RequestId,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        let part = item_part(MESSAGES, item);
        self.room_for(&part)?;
        let messages = self.channel(ChannelId(MESSAGES), Kind::Messages)?;
        if !latest {
            messages.push(part, Some(request));
            return Ok(());
        }
        if messages.latest_waiting() >= LATEST_MAX {
            return Err(Error::Busy);
        }
        messages.push_latest(item.kind.clone(), part);
        done(out, request, Ok(Reply::Ok));
        Ok(())
    }

    /// Begins a call or a stream.
    pub(super) fn begin(&mut self, kind: Kind, open: &DirectOpen) -> Result<u32, Error> {
        let mine = self.channels.values().filter(|it| it.ours && !it.is_over());
        let (act, many) = match kind {
            Kind::Call => (ACT_CALL, mine.filter(|it| it.kind != Kind::Messages).count()),
            Kind::Stream => (ACT_STREAM, mine.filter(|it| it.kind != Kind::Messages).count()),
            Kind::Messages => return Err(DirectError::Unknown.into()),
        };
        let number = self.made.checked_add(2).ok_or(Error::Busy)?;
        let part = DirectPart::of(number, act, open);
        self.room_for(&part)?;
        if many >= limits::DIRECT_CHANNELS_MAX {
            return Err(Error::Busy);
        }
        self.made = number;
        let mut channel = Channel::new(kind, true);
        channel.push(part, None);
        self.channels.insert(number, channel);
        Ok(number)
    }

    pub(super) fn respond(
        &mut self,
        call: ChannelId,
        item: &DirectItem,
        last: bool,
        request: RequestId,
    ) -> Result<(), Error> {
        let part = item_part(call.0, item);
        self.room_for(&part)?;
        let channel = self.channel(call, Kind::Call)?;
        if channel.ours {
            return Err(DirectError::Unknown.into());
        }
        channel.check_writable()?;
        channel.push(part, Some(request));
        if last {
            channel.finish();
        }
        Ok(())
    }

    pub(super) fn write(
        &mut self,
        stream: ChannelId,
        request: RequestId,
        bytes: Bytes,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        let channel = self.channel(stream, Kind::Stream)?;
        channel.check_writable()?;
        channel.write(stream.0, request, bytes, out);
        Ok(())
    }

    pub(super) fn finish(&mut self, channel: ChannelId) -> Result<(), Error> {
        let it = self.open_channel(channel)?;
        if it.kind == Kind::Messages {
            return Err(DirectError::Unknown.into());
        }
        it.check_writable()?;
        it.finish();
        Ok(())
    }

    /// Gives up a channel, and tells the other end.
    pub(super) fn reset(
        &mut self,
        number: u32,
        reason: DirectHalt,
        words: Option<String>,
        why: &DirectError,
        out: &mut Outbox,
    ) {
        let Some(channel) = self.channels.get_mut(&number) else { return };
        if channel.kind == Kind::Messages {
            return;
        }
        let unsent = channel.is_unsent();
        let tell = channel.is_readable() || !channel.has_ended();
        channel.give_up(why, out);
        if *why == DirectError::Closed {
            channel.hear();
        }
        if unsent {
            self.forget(number);
            return;
        }
        if tell {
            let reset = DirectReset { reason, why: words };
            self.append(DirectPart::of(number, ACT_RESET, &reset), None);
        }
        self.sweep(number);
    }

    pub(super) fn wait(
        &mut self,
        channel: ChannelId,
        kind: Kind,
        reader: Reader,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        let it = self.channel(channel, kind)?;
        it.wait(reader, out);
        self.deliver(channel.0, out);
        Ok(())
    }

    pub(super) fn wait_for_stream(&mut self, request: RequestId, out: &mut Outbox) {
        if let Some(earlier) = self.stream_reader.replace(request) {
            failed(out, earlier, &DirectError::TakenOver);
        }
        self.deliver_stream(out);
    }

    fn deliver_stream(&mut self, out: &mut Outbox) {
        if let Some(request) = self.stream_reader.take() {
            match self.streams.pop_front() {
                Some((number, name)) => {
                    let stream = ChannelId(number);
                    done(out, request, Ok(Reply::Stream { stream, name }));
                }
                None => self.stream_reader = Some(request),
            }
        }
    }

    fn deliver(&mut self, number: u32, out: &mut Outbox) {
        let Some(channel) = self.channels.get_mut(&number) else { return };
        channel.deliver(out);
        if channel.grant(&mut self.spare) && !self.credits.contains(&number) {
            self.credits.push(number);
        }
        self.sweep(number);
    }

    /// Forgets a channel that is over. One of whose end the application has not heard stays, as one of the last few such.
    fn sweep(&mut self, number: u32) {
        let Some(channel) = self.channels.get(&number).filter(|it| it.is_taken()) else { return };
        if channel.is_done() {
            self.forget(number);
            return;
        }
        let mut unheard = self.channels.iter().filter(|(_, it)| it.is_taken()).map(|(&it, _)| it);
        let oldest = unheard.next();
        if unheard.count() >= limits::DIRECT_CHANNELS_MAX
            && let Some(oldest) = oldest
        {
            self.forget(oldest);
        }
    }

    fn forget(&mut self, number: u32) {
        if let Some(channel) = self.channels.remove(&number) {
            self.spare += channel.spared();
            self.streams.retain(|(it, _)| *it != number);
        }
    }

    // --- frames that leave ---------------------------------------------------------------------------

    /// Puts a part among the frames: from here on it is sent until it is acknowledged.
    fn append(&mut self, part: DirectPart, request: Option<RequestId>) {
        self.unacked_cost += part.cost();
        self.unacked.push_back(Queued { part, request });
    }

    /// Sends the frames that were not sent over this link.
    fn flush(&mut self, hand: &mut Hand<'_>) {
        let Some(link) = self.link.filter(|_| self.state == State::Open && !self.holds) else {
            return;
        };
        while let Some(queued) = self.unacked.get(self.sent) {
            let at = self.acked + self.sent as u64;
            let frame = wire::direct_frame(self.number, at, &queued.part);
            hand.links.send(hand.now, link, &frame, hand.out);
            self.sent += 1;
        }
    }

    /// Sends what is small: acknowledgements, credit, then messages and calls.
    pub(super) fn send_small(&mut self, hand: &mut Hand<'_>) {
        let Some(link) = self.link.filter(|_| self.state == State::Open) else { return };
        if self.owes_ack || !self.credits.is_empty() {
            self.send_ack(hand, false);
        }
        self.flush(hand);
        if self.holds {
            return;
        }
        let small: Vec<u32> = self.ready(|kind| kind != Kind::Stream);
        for number in small {
            while self.unacked_cost < limits::DIRECT_UNACKNOWLEDGED_MAX
                && hand.links.backlog(link) < limits::DIRECT_BACKLOG
                && self.send_next(number, hand)
            {}
        }
    }

    /// Sends one part of a stream, if the link has nothing better to do. Whether it did.
    pub(super) fn send_bulk(&mut self, hand: &mut Hand<'_>) -> bool {
        let Some(link) = self.link.filter(|_| self.state == State::Open && !self.holds) else {
            return false;
        };
        if self.unacked_cost >= limits::DIRECT_UNACKNOWLEDGED_MAX
            || !self.pace.has_room()
            || hand.links.backlog(link) >= limits::DIRECT_BULK_BACKLOG
        {
            return false;
        }
        let ready = self.ready(|kind| kind == Kind::Stream);
        let next = ready.iter().find(|&&it| it > self.turn).or(ready.first()).copied();
        let Some(number) = next else { return false };
        self.turn = number;
        self.send_next(number, hand)
    }

    fn ready(&self, of: impl Fn(Kind) -> bool) -> Vec<u32> {
        let ready = self.channels.iter().filter(|(_, it)| of(it.kind) && it.has_next());
        ready.map(|(&number, _)| number).collect()
    }

    fn send_next(&mut self, number: u32, hand: &mut Hand<'_>) -> bool {
        let Some(channel) = self.channels.get_mut(&number) else { return false };
        let Some(Queued { part, request }) = channel.next(number, hand.out) else { return false };
        if part.act == ACT_BYTES {
            let at = self.acked + self.unacked.len() as u64;
            self.pace.sent(hand.now.mono, at, part.cost());
        }
        self.append(part, request);
        self.flush(hand);
        self.deliver(number, hand.out);
        true
    }

    /// Tells how many frames have come, and how much more may.
    fn send_ack(&mut self, hand: &mut Hand<'_>, moved: bool) {
        let Some(link) = self.link else { return };
        let mut credits = std::mem::take(&mut self.credits);
        if moved {
            credits = self.channels.keys().copied().collect();
        }
        let credit = |channel: u32| {
            let allowed = self.channels.get(&channel)?.told();
            Some(DirectCredit { channel, allowed })
        };
        let credits = credits.into_iter().filter_map(credit).collect();
        let moved = moved.then_some(true);
        let ack = DirectAck { number: self.number, came: self.came, credits, moved };
        hand.links.send(hand.now, link, &wire::message(kind::DIRECT_ACK, &ack), hand.out);
        self.owes_ack = false;
    }

    /// Another link joins the two from here on. `first`: the other end has not said how many frames it has.
    pub(super) fn move_to(&mut self, link: LinkId, hand: &mut Hand<'_>, first: bool) {
        self.link = Some(link);
        self.seeking = None;
        self.sent = 0;
        self.holds = first;
        self.repeats = limits::DIRECT_UNACKNOWLEDGED_MAX;
        self.pace.moved();
        self.send_ack(hand, true);
    }

    // --- frames that come ----------------------------------------------------------------------------

    /// The other end tells how far frames have come. Whether that was news.
    pub(super) fn on_ack(
        &mut self,
        now: Time,
        ack: &DirectAck,
        out: &mut Outbox,
    ) -> Result<bool, Misbehaved> {
        if ack.credits.len() > 2 * limits::DIRECT_CHANNELS_MAX + 1 {
            return Err(Misbehaved::TooMuch);
        }
        let many = match ack.came.checked_sub(self.acked) {
            Some(many) if many <= self.unacked.len() as u64 => many as usize,
            // Those that it had were lost with another link: an older word.
            None => 0,
            Some(_) => return Err(Misbehaved::Credit),
        };
        for queued in self.unacked.drain(..many) {
            self.unacked_cost -= queued.part.cost();
            if queued.part.act == ACT_BYTES {
                self.pace.acknowledged(queued.part.cost());
            }
            if let Some(request) = queued.request {
                done(out, request, Ok(Reply::Ok));
            }
        }
        self.acked += many as u64;
        self.pace.measure(now, self.acked);
        self.sent = self.sent.saturating_sub(many);
        let mut news = many > 0;
        for &DirectCredit { channel, allowed } in &ack.credits {
            if let Some(channel) = self.channels.get_mut(&channel) {
                news |= channel.allow(allowed);
            }
        }
        Ok(news)
    }

    /// The other end says over a new link from where it goes on. Said again it changes nothing: nobody has us send all anew
    /// as often as it likes.
    pub(super) fn go_on(&mut self) {
        if std::mem::take(&mut self.holds) {
            self.sent = 0;
        }
    }

    /// A frame has come. Whether it was paid for, and what came of it.
    pub(super) fn on_frame(
        &mut self,
        frame: DirectFrame,
        out: &mut Outbox,
    ) -> Result<(bool, Came), Misbehaved> {
        let DirectFrame { at, part, .. } = frame;
        if self.state != State::Open {
            return Err(Misbehaved::Unexpected);
        }
        if at < self.came {
            let paid = self.repeats >= part.cost();
            self.repeats = self.repeats.saturating_sub(part.cost());
            self.owes_ack = true;
            return Ok((paid, Came::Nothing));
        }
        if at > self.came {
            return Err(Misbehaved::Credit);
        }
        self.came += 1;
        self.owes_ack = true;
        self.on_part(part, out)
    }

    fn on_part(&mut self, part: DirectPart, out: &mut Outbox) -> Result<(bool, Came), Misbehaved> {
        let (number, cost) = (part.channel, part.cost());
        if matches!(part.act, ACT_CALL | ACT_STREAM) {
            return Ok((true, self.on_open(number, &part, out)?));
        }
        if part.act > ACT_RESET {
            // A later version's.
            return Ok((false, Came::Nothing));
        }
        let Some(channel) = self.channels.get_mut(&number) else {
            // One that is over here, as the other end did not know when it gave it up.
            let was = if self.is_ours(number) { self.made } else { self.theirs };
            let known = part.act == ACT_RESET && number <= was;
            return if known { Ok((false, Came::Nothing)) } else { Err(Misbehaved::Unexpected) };
        };
        match (part.act, channel.kind) {
            (ACT_ITEM, Kind::Messages | Kind::Call) => {
                channel.charge(cost)?;
                let item = read_item(&part.body)?;
                channel.came_item(item, cost);
                self.deliver(number, out);
            }
            (ACT_BYTES, Kind::Stream) => {
                channel.charge(cost)?;
                channel.came_bytes(part.body, cost);
                self.deliver(number, out);
            }
            (ACT_END, Kind::Call | Kind::Stream) => {
                channel.came_end()?;
                self.deliver(number, out);
            }
            (ACT_RESET, Kind::Call | Kind::Stream) => {
                let DirectReset { reason, why } = wire::decode(&part.body)?;
                let why = why.unwrap_or_default();
                if why.len() > limits::DIRECT_WORDS_BYTES_MAX {
                    return Err(Misbehaved::TooMuch);
                }
                let why = match reason {
                    DirectHalt::Cancelled => DirectError::Reset(why),
                    DirectHalt::NotServed => DirectError::NotServed,
                    DirectHalt::Busy => DirectError::TooMany,
                    DirectHalt::TimedOut => DirectError::TimedOut,
                };
                let known = channel.has_given_up();
                if channel.came_reset(why, out) {
                    let back = DirectReset { reason: DirectHalt::Cancelled, why: None };
                    self.append(DirectPart::of(number, ACT_RESET, &back), None);
                }
                // An application that reads later is told why, unless it knows, or never heard of it.
                let untaken = self.streams.iter().any(|(it, _)| *it == number);
                let call = self.channels.get(&number).is_some_and(|it| it.kind == Kind::Call);
                if known || untaken || call && !self.is_ours(number) {
                    self.forget(number);
                } else {
                    self.sweep(number);
                }
                return Ok((true, Came::Over(number)));
            }
            _ => return Err(Misbehaved::Unexpected),
        }
        Ok((true, Came::Nothing))
    }

    fn is_ours(&self, number: u32) -> bool {
        number % 2 == self.made % 2
    }

    fn on_open(
        &mut self,
        number: u32,
        part: &DirectPart,
        out: &mut Outbox,
    ) -> Result<Came, Misbehaved> {
        if self.is_ours(number) || number <= self.theirs {
            return Err(Misbehaved::Unexpected);
        }
        let theirs = self.channels.values().filter(|it| !it.ours && !it.is_over());
        let many = theirs.filter(|it| it.kind != Kind::Messages).count();
        if many >= limits::DIRECT_CHANNELS_MAX {
            return Err(Misbehaved::TooMuch);
        }
        let open: DirectOpen = wire::decode(&part.body)?;
        let fits = open.request.as_ref().is_none_or(DirectItem::fits);
        if !fits || !(1..=limits::DIRECT_NAME_BYTES_MAX).contains(&open.name.len()) {
            return Err(Misbehaved::TooMuch);
        }
        self.theirs = number;
        let kind = if part.act == ACT_CALL { Kind::Call } else { Kind::Stream };
        let mut channel = Channel::new(kind, false);
        channel.charge_request(part.cost());
        self.channels.insert(number, channel);
        if kind == Kind::Call {
            return Ok(Came::Call(number, open));
        }
        self.streams.push_back((number, open.name));
        self.deliver_stream(out);
        Ok(Came::Nothing)
    }

    // --- the end -------------------------------------------------------------------------------------

    /// Whether more may come on a channel.
    pub(super) fn is_awaited(&self, number: u32) -> bool {
        self.channels.get(&number).is_some_and(Channel::is_readable)
    }

    /// It is over: all who wait are told why.
    pub(super) fn end(&mut self, why: &DirectError, out: &mut Outbox) {
        if let Some(request) = self.request.take() {
            failed(out, request, why);
        }
        if let Some(request) = self.stream_reader.take() {
            failed(out, request, why);
        }
        for queued in std::mem::take(&mut self.unacked) {
            if let Some(request) = queued.request {
                failed(out, request, why);
            }
        }
        for channel in self.channels.values_mut() {
            channel.give_up(why, out);
        }
    }
}
