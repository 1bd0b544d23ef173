//! Direct links: who may open one, what goes over it, and how it ends.
use crate::each_seed;
use bytes::Bytes;
use peergraph_core::cert::Role;
use peergraph_core::error::{Error, Misbehaved};
use peergraph_core::id::GroupId;
use peergraph_core::io::{
    ChannelId, Command, DirectAdmit, DirectCall, DirectChange, DirectCommand, DirectError,
    DirectId, DirectInfo, DirectMessage, DirectState, DirectTo, Event, GroupCommand, Keep, Reply,
    RequestId,
};
use peergraph_core::limits::{
    DIRECT_ANSWER_WITHIN, DIRECT_APART_MAX, DIRECT_ASKS_SPARE, DIRECT_CHANNELS_MAX, DIRECT_LINKS,
    DIRECT_MESSAGE_BYTES_MAX, DIRECT_REACHED_WITHIN,
};
use peergraph_core::policy::Grant;
use peergraph_core::record::RecordType;
use peergraph_core::roll::{Reason, Target};
use peergraph_tests::host::node_url;
use peergraph_tests::{HostId, Kind, World};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn direct(world: &mut World, host: HostId, command: DirectCommand) -> Result<Reply, Error> {
    world.ask_within(host, Command::Direct(command), 2 * DIRECT_ANSWER_WITHIN)
}

/// Gives a command whose answer is taken later.
fn begin(world: &mut World, host: HostId, command: DirectCommand) -> RequestId {
    world.command(host, Command::Direct(command))
}

fn answer(world: &mut World, host: HostId, request: RequestId) -> Result<Reply, Error> {
    let answered = world.run_until(60 * SECOND, |world| world.is_answered(host, request));
    assert!(answered, "no answer");
    world.answer(host, request).expect("it is answered")
}

fn to(world: &World, host: HostId) -> DirectTo {
    DirectTo::Peer(world.hosts()[host].peer_id())
}

fn open(
    world: &mut World,
    host: HostId,
    group: GroupId,
    other: HostId,
    id: u64,
) -> Result<DirectInfo, Error> {
    let (id, to, purpose) = (DirectId(id), to(world, other), "game".to_owned());
    match direct(world, host, DirectCommand::Open { id, group, to, purpose })? {
        Reply::Direct(info) => Ok(info),
        other => panic!("open answered {other:?}"),
    }
}

fn admit(world: &mut World, host: HostId, group: GroupId, admit: DirectAdmit) {
    direct(world, host, DirectCommand::Admit { group, admit }).expect("decided");
}

fn list(world: &mut World, host: HostId) -> Vec<DirectInfo> {
    match direct(world, host, DirectCommand::List) {
        Ok(Reply::Directs(all)) => all,
        other => panic!("list answered {other:?}"),
    }
}

/// The changes of direct links that a host was told, in order.
fn changes(world: &World, host: HostId) -> Vec<(DirectInfo, DirectChange)> {
    let events = world.hosts()[host].events.iter();
    let told = events.filter_map(|(_, event)| match event {
        Event::Direct { direct, change } => Some((direct.clone(), change.clone())),
        _ => None,
    });
    told.collect()
}

/// How a direct link has ended, if a host was told.
fn ended(world: &World, host: HostId, id: DirectId) -> Option<DirectError> {
    changes(world, host).into_iter().find_map(|(info, change)| match change {
        DirectChange::Closed(why) if info.id == id => Some(why),
        _ => None,
    })
}

/// The name under which the other end knows the direct link that was opened last.
fn last_opened(world: &World, host: HostId) -> DirectId {
    let all = changes(world, host).into_iter().rev();
    all.filter(|(_, change)| *change == DirectChange::Connected)
        .map(|(info, _)| info.id)
        .next()
        .expect("one was opened")
}

/// Two hosts of a group of some, between which a direct link is open: the name of each for it.
fn joined(world: &mut World, count: usize) -> (GroupId, [HostId; 2], [DirectId; 2]) {
    let (group, hosts) = world.group_of_many(count);
    world.run_for(20 * SECOND);
    let two = [hosts[0], hosts[count - 1]];
    admit(world, two[1], group, DirectAdmit::Members);
    let here = open(world, two[0], group, two[1], 7).expect("open").id;
    world.run_for(SECOND);
    (group, two, [here, last_opened(world, two[1])])
}

fn message(payload: impl Into<Bytes>) -> DirectMessage {
    let kind = Some(RecordType::new("move").expect("a type"));
    DirectMessage { kind, payload: payload.into(), media_type: None }
}

fn send(id: DirectId, payload: impl Into<Bytes>) -> DirectCommand {
    DirectCommand::Send { id, message: message(payload), latest: false }
}

fn receive(world: &mut World, host: HostId, id: DirectId) -> Bytes {
    match direct(world, host, DirectCommand::Receive { id }) {
        Ok(Reply::Message(message)) => message.payload,
        other => panic!("receive answered {other:?}"),
    }
}

fn stream(world: &mut World, host: HostId, id: DirectId) -> ChannelId {
    let name = "log".to_owned();
    match direct(world, host, DirectCommand::Stream { id, name }) {
        Ok(Reply::Channel(stream)) => stream,
        other => panic!("stream answered {other:?}"),
    }
}

fn next_stream(world: &mut World, host: HostId, id: DirectId) -> ChannelId {
    match direct(world, host, DirectCommand::NextStream { id }) {
        Ok(Reply::Stream { stream, name }) if name == "log" => stream,
        other => panic!("next stream answered {other:?}"),
    }
}

fn read(world: &mut World, host: HostId, id: DirectId, stream: ChannelId) -> Result<Bytes, Error> {
    match direct(world, host, DirectCommand::Read { id, stream, most: 40_000 })? {
        Reply::Bytes(bytes) => Ok(bytes),
        other => panic!("read answered {other:?}"),
    }
}

fn write(id: DirectId, stream: ChannelId, bytes: impl Into<Bytes>) -> DirectCommand {
    DirectCommand::Write { id, stream, bytes: bytes.into() }
}

fn call(id: DirectId, name: &str, request: &[u8], within: Option<Duration>) -> DirectCommand {
    let request =
        DirectMessage { payload: Bytes::copy_from_slice(request), ..DirectMessage::default() };
    DirectCommand::Call { id, name: name.to_owned(), request, within }
}

fn channel(answer: Result<Reply, Error>) -> ChannelId {
    match answer {
        Ok(Reply::Channel(channel)) => channel,
        other => panic!("answered {other:?}"),
    }
}

fn next_call(world: &mut World, host: HostId, group: GroupId) -> DirectCall {
    let name = "score".to_owned();
    match direct(world, host, DirectCommand::NextCall { group, name }) {
        Ok(Reply::Call(call)) => call,
        other => panic!("next call answered {other:?}"),
    }
}

fn serve(world: &mut World, host: HostId, group: GroupId) {
    let name = "score".to_owned();
    direct(world, host, DirectCommand::Serve { group, name }).expect("served");
}

fn response(
    world: &mut World,
    host: HostId,
    id: DirectId,
    call: ChannelId,
) -> Result<Option<Bytes>, Error> {
    match direct(world, host, DirectCommand::Response { id, call })? {
        Reply::Response(response) => Ok(response.map(|it| it.payload)),
        other => panic!("response answered {other:?}"),
    }
}

fn respond(
    world: &mut World,
    host: HostId,
    call: &DirectCall,
    payload: &'static [u8],
    last: bool,
) -> Result<Reply, Error> {
    let response = DirectMessage { payload: payload.into(), ..DirectMessage::default() };
    let (id, call) = (call.id, call.call);
    direct(world, host, DirectCommand::Respond { id, call, response, last })
}

/// Goal: a direct link opens only if both ends agree, and each end learns why it does not. Method: each answer of an
/// application, each policy, a node that is not there.
#[test]
fn both_ends_agree_or_it_is_refused_with_a_reason() {
    each_seed("both_ends_agree_or_it_is_refused_with_a_reason", 20, |world| {
        let (group, hosts) = world.group_of_many(5);
        world.run_for(20 * SECOND);
        let (ada, bob) = (hosts[0], hosts[4]);
        let (id, to_bob, purpose) = (DirectId(1), to(world, bob), "chess".to_owned());
        let ask = DirectCommand::Open { id, group, to: to_bob, purpose };
        // The application is asked, and agrees.
        let asked = begin(world, ada, ask.clone());
        world.run_for(10 * SECOND);
        assert!(!world.is_answered(ada, asked), "nobody has agreed");
        assert!(matches!(
            direct(world, ada, send(id, "x")),
            Err(Error::Direct(DirectError::Unknown))
        ));
        let (told, change) = changes(world, bob).pop().expect("asked");
        assert_eq!((change, told.state), (DirectChange::Asked, DirectState::Asked));
        assert_eq!((told.purpose.as_str(), told.ours), ("chess", false));
        assert_eq!(told.peer, world.hosts()[ada].peer_id());
        assert_eq!(told.node, world.node_id(ada));
        direct(world, bob, DirectCommand::Accept { id: told.id }).expect("accepted");
        let info = match answer(world, ada, asked) {
            Ok(Reply::Direct(info)) => info,
            other => panic!("open answered {other:?}"),
        };
        assert_eq!((info.state, info.node), (DirectState::Open, world.node_id(bob)));
        assert_eq!(list(world, ada), [info]);
        assert_eq!(list(world, bob).len(), 1);
        // The other end learns of the end.
        direct(world, ada, DirectCommand::Close { id }).expect("closed");
        world.run_for(SECOND);
        assert_eq!(ended(world, bob, told.id), Some(DirectError::ClosedThere));
        assert_eq!(ended(world, ada, id), Some(DirectError::Closed));
        assert!(list(world, ada).is_empty() && list(world, bob).is_empty());
        // It refuses.
        let asked = begin(world, ada, ask.clone());
        world.run_for(2 * SECOND);
        let id = changes(world, bob).pop().expect("asked").0.id;
        let why = "not now".to_owned();
        direct(world, bob, DirectCommand::Refuse { id, why: why.clone() }).expect("refused");
        assert_eq!(answer(world, ada, asked).err(), Some(DirectError::Declined(why).into()));
        // It does not answer.
        let before = world.time();
        let failed = direct(world, ada, ask).err();
        assert_eq!(failed, Some(DirectError::NoAnswer.into()));
        assert!(world.time() - before < DIRECT_ANSWER_WITHIN + 15 * SECOND);
        assert!(list(world, bob).is_empty());
        // A policy decides.
        for (policy, why) in [
            (DirectAdmit::Nobody, Some(DirectError::NotAdmitted)),
            (DirectAdmit::Role("player".to_owned()), Some(DirectError::NotAdmitted)),
            (DirectAdmit::Role("administrator".to_owned()), None),
            (DirectAdmit::Members, None),
        ] {
            admit(world, bob, group, policy);
            let opened = open(world, ada, group, bob, 2);
            assert_eq!(opened.err(), why.clone().map(Error::from));
            if why.is_none() {
                direct(world, ada, DirectCommand::Close { id: DirectId(2) }).expect("closed");
            }
        }
        admit(world, bob, group, DirectAdmit::Role("player".to_owned()));
        let grant = Grant::new(Role::Member, vec!["player".to_owned()]).expect("a grant");
        let peer = world.hosts()[hosts[3]].peer_id();
        let issue = GroupCommand::Issue { peer, grant };
        world.ask(ada, Command::Group(group, issue)).expect("issued");
        world.run_for(5 * SECOND);
        open(world, hosts[3], group, bob, 3).expect("a player");
        // Nobody is there.
        world.stop(bob);
        world.run_for(5 * SECOND);
        assert_eq!(open(world, ada, group, bob, 4).err(), Some(DirectError::NotHere.into()));
        assert_eq!(world.counts.misbehaved, 0);
    });
}

/// Goal: a direct link to a node that is no neighbour needs a link of its own, which is no neighbour's and goes with it.
/// Method: groups of up to 30, natives and browsers; links and neighbours are counted before, while and after.
#[test]
fn direct_links_are_no_neighbours_and_go_when_they_are_closed() {
    each_seed("direct_links_are_no_neighbours_and_go_when_they_are_closed", 40, |world| {
        let count = 20 + world.chance.within(0..10) as usize;
        let (group, hosts) = world.group_of_many(count);
        world.run_for(200 * SECOND);
        let ada = hosts[0];
        let near = world.neighbours_of(ada, group);
        let far: Vec<HostId> =
            hosts[1..].iter().copied().filter(|host| !world.wired_to(ada).contains(host)).collect();
        assert!(!far.is_empty());
        let some = [far[0], far[far.len() - 1], near[0]];
        for (n, &other) in some.iter().enumerate() {
            admit(world, other, group, DirectAdmit::Members);
            let info = open(world, ada, group, other, 100 + n as u64).expect("open");
            assert_eq!(info.node, world.node_id(other));
            assert!(world.wired_to(ada).contains(&other));
        }
        world.run_for(120 * SECOND);
        for &other in &some[..2] {
            assert!(world.wired_to(ada).contains(&other), "a link stays while it is needed");
            assert!(!world.neighbours_of(ada, group).contains(&other), "no neighbour by it");
        }
        for n in 0..3 {
            direct(world, ada, DirectCommand::Close { id: DirectId(100 + n) }).expect("closed");
        }
        world.run_for(300 * SECOND);
        for &other in &some[..2] {
            let neighbour = world.neighbours_of(ada, group).contains(&other);
            assert!(neighbour || !world.wired_to(ada).contains(&other), "nothing needs it");
        }
        assert_eq!(world.counts.misbehaved, 0);
    });
}

/// Goal: messages of both ends come once and in order, whatever becomes of links. Method: the wires between the two are cut
/// again and again while both send; what one end was told to be there is what the other one took.
#[test]
fn messages_come_once_and_in_order_though_links_are_lost() {
    each_seed("messages_come_once_and_in_order_though_links_are_lost", 60, |world| {
        world.network.silence = 0.0;
        let (_, two, ids) = joined(world, 6);
        let mut sent = [Vec::new(), Vec::new()];
        for round in 0..30_u32 {
            for side in 0..2 {
                let payload =
                    round.to_be_bytes().repeat(1 + world.chance.within(0..2_000) as usize);
                let request = begin(world, two[side], send(ids[side], payload));
                sent[side].push(request);
            }
            if world.chance.with(0.2) {
                world.cut_between(two[0], two[1]);
            }
            let pause = world.chance.within(0..1_500);
            world.run_for(Duration::from_millis(pause));
        }
        for side in 0..2 {
            for round in 0..30_u32 {
                let payload = receive(world, two[side], ids[side]);
                assert_eq!(payload[..4], round.to_be_bytes(), "side {side}");
            }
        }
        world.run_for(SECOND);
        for side in 0..2 {
            for &request in &sent[side] {
                assert!(matches!(world.answer(two[side], request), Some(Ok(Reply::Ok))));
            }
        }
        assert_eq!(world.counts.misbehaved, 0);
    });
}

/// Goal: an application that takes nothing stops its peer, and its memory is bounded; of messages of which only the latest
/// counts, the last one comes. Method: messages are sent until the node is busy.
#[test]
fn messages_wait_for_who_takes_them_and_the_latest_replaces() {
    each_seed("messages_wait_for_who_takes_them_and_the_latest_replaces", 10, |world| {
        let (_, two, ids) = joined(world, 3);
        let mut waiting = Vec::new();
        let busy = loop {
            let request = begin(world, two[0], send(ids[0], vec![7; DIRECT_MESSAGE_BYTES_MAX]));
            world.run_for(SECOND / 2);
            match world.answer(two[0], request) {
                Some(Ok(_)) => waiting.push(None),
                Some(Err(error)) => break error,
                None => waiting.push(Some(request)),
            }
            assert!(waiting.len() < 100, "no bound");
        };
        assert_eq!(busy, Error::Busy);
        let there = waiting.iter().filter(|it| it.is_none()).count();
        assert!((3..=6).contains(&there), "{there} wait at the other end");
        assert!(
            direct(world, two[0], send(ids[0], vec![7; DIRECT_MESSAGE_BYTES_MAX + 1])).is_err()
        );
        for _ in 0..waiting.len() {
            assert_eq!(receive(world, two[1], ids[1]).len(), DIRECT_MESSAGE_BYTES_MAX);
        }
        world.run_for(SECOND);
        for request in waiting.into_iter().flatten() {
            assert!(matches!(world.answer(two[0], request), Some(Ok(Reply::Ok))));
        }
        for number in 0..200_u32 {
            let message = message(number.to_be_bytes().to_vec());
            let latest = DirectCommand::Send { id: ids[0], message, latest: true };
            direct(world, two[0], latest).expect("taken");
            if world.chance.with(0.2) {
                world.run_for(SECOND / 10);
            }
        }
        world.run_for(SECOND);
        assert_eq!(receive(world, two[1], ids[1])[..], 199_u32.to_be_bytes());
        let none = begin(world, two[1], DirectCommand::Receive { id: ids[1] });
        world.run_for(10 * SECOND);
        assert!(!world.is_answered(two[1], none), "earlier ones have given way");
    });
}

/// Goal: calls are answered, once or many times, and end: by the last response, by a deadline, by either end, or since nobody
/// serves them. Method: each of these, while links are cut.
#[test]
fn calls_are_answered_and_end() {
    each_seed("calls_are_answered_and_end", 30, |world| {
        world.network.silence = 0.0;
        let (group, two, ids) = joined(world, 4);
        let id = ids[0];
        let unserved = channel(direct(world, two[0], call(id, "score", b"1", None)));
        let none = response(world, two[0], id, unserved);
        assert_eq!(none, Err(DirectError::NotServed.into()));
        serve(world, two[1], group);
        // One response.
        let one = channel(direct(world, two[0], call(id, "score", b"round 3", None)));
        if world.chance.with(0.5) {
            world.cut_between(two[0], two[1]);
        }
        let came = next_call(world, two[1], group);
        assert_eq!((came.request.payload.as_ref(), came.within), (&b"round 3"[..], None));
        assert_eq!(came.peer, world.hosts()[two[0]].peer_id());
        respond(world, two[1], &came, b"42", true).expect("sent");
        assert_eq!(response(world, two[0], id, one), Ok(Some(Bytes::from_static(b"42"))));
        assert_eq!(response(world, two[0], id, one), Ok(None));
        assert!(respond(world, two[1], &came, b"43", true).is_err(), "it is over");
        // Many, and the server learns that its caller has enough.
        let many = channel(direct(world, two[0], call(id, "score", b"all", None)));
        let came = next_call(world, two[1], group);
        let enough = begin(world, two[1], DirectCommand::Response { id: came.id, call: came.call });
        for _ in 0..10 {
            respond(world, two[1], &came, b"one", false).expect("sent");
            assert_eq!(response(world, two[0], id, many), Ok(Some(Bytes::from_static(b"one"))));
        }
        assert!(!world.is_answered(two[1], enough));
        let why = "enough".to_owned();
        let reset = DirectCommand::Reset { id, channel: many, why: why.clone() };
        direct(world, two[0], reset).expect("given up");
        assert_eq!(answer(world, two[1], enough).err(), Some(DirectError::Reset(why).into()));
        assert!(respond(world, two[1], &came, b"one", false).is_err());
        assert!(response(world, two[0], id, many).is_err());
        // A deadline.
        let late = channel(direct(world, two[0], call(id, "score", b"slow", Some(3 * SECOND))));
        let came = next_call(world, two[1], group);
        assert_eq!(came.within, Some(3 * SECOND));
        assert_eq!(response(world, two[0], id, late), Err(DirectError::TimedOut.into()));
        world.run_for(20 * SECOND);
        assert!(respond(world, two[1], &came, b"late", true).is_err(), "the server knows");
        // A server that goes away.
        let left = channel(direct(world, two[0], call(id, "score", b"x", None)));
        world.run_for(20 * SECOND);
        let stop = DirectCommand::StopServing { group, name: "score".to_owned() };
        direct(world, two[1], stop).expect("stopped");
        assert_eq!(response(world, two[0], id, left), Err(DirectError::NotServed.into()));
        // Too many.
        serve(world, two[1], group);
        for _ in 0..DIRECT_CHANNELS_MAX {
            channel(direct(world, two[0], call(id, "score", b"x", None)));
        }
        assert_eq!(direct(world, two[0], call(id, "score", b"x", None)).err(), Some(Error::Busy));
        assert_eq!(world.counts.misbehaved, 0);
    });
}

/// Goal: bytes of a stream come whole and in order both ways, whatever becomes of links, and each direction ends by itself.
/// Method: 400 KB each way in pieces, while wires are cut.
#[test]
fn streams_carry_bytes_both_ways_though_links_are_lost() {
    each_seed("streams_carry_bytes_both_ways_though_links_are_lost", 30, |world| {
        world.network.silence = 0.0;
        let (_, two, ids) = joined(world, 5);
        let here = stream(world, two[0], ids[0]);
        let there = next_stream(world, two[1], ids[1]);
        let channels = [here, there];
        let content: Vec<u8> =
            (0..400_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let (mut written, mut got) = ([0; 2], [Vec::new(), Vec::new()]);
        let mut pending: [Option<RequestId>; 2] = [None, None];
        for turn in 0.. {
            assert!(turn < 5_000, "it does not end: {written:?}");
            for side in 0..2 {
                let free = match pending[side] {
                    None => true,
                    Some(request) => match world.answer(two[side], request) {
                        Some(done) => {
                            done.expect("written");
                            true
                        }
                        None => false,
                    },
                };
                if free && written[side] < content.len() {
                    let many = 1 + world.chance.within(0..40_000) as usize;
                    let end = (written[side] + many).min(content.len());
                    let bytes = content[written[side]..end].to_vec();
                    let request = begin(world, two[side], write(ids[side], channels[side], bytes));
                    (written[side], pending[side]) = (end, Some(request));
                    if end == content.len() {
                        let (id, channel) = (ids[side], channels[side]);
                        begin(world, two[side], DirectCommand::Finish { id, channel });
                    }
                } else if free {
                    pending[side] = None;
                }
            }
            let reader = usize::from(world.chance.with(0.5));
            if got[reader].len() < content.len() {
                let bytes = read(world, two[reader], ids[reader], channels[reader]).expect("read");
                assert!(!bytes.is_empty(), "cut short at {}", got[reader].len());
                got[reader].extend_from_slice(&bytes);
            } else if got[1 - reader].len() == content.len() {
                break;
            }
            if world.chance.with(0.03) {
                world.cut_between(two[0], two[1]);
            }
        }
        for side in 0..2 {
            assert!(got[side] == content, "side {side}");
            assert_eq!(read(world, two[side], ids[side], channels[side]), Ok(Bytes::new()));
        }
        assert_eq!(world.counts.misbehaved, 0);
    });
}

/// Goal: a reader that reads nothing stops its writer, and nothing else; a stream that is given up ends at both ends. Method:
/// writes until one waits; then messages and another stream; then a reset.
#[test]
fn streams_wait_for_their_reader_and_stop_nobody_else() {
    each_seed("streams_wait_for_their_reader_and_stop_nobody_else", 20, |world| {
        let (_, two, ids) = joined(world, 3);
        let slow = stream(world, two[0], ids[0]);
        let slow_there = next_stream(world, two[1], ids[1]);
        let mut written = 0;
        let stuck = loop {
            let request = begin(world, two[0], write(ids[0], slow, vec![1; 60_000]));
            world.run_for(5 * SECOND);
            match world.answer(two[0], request) {
                Some(done) => drop(done.expect("written")),
                None => break request,
            }
            written += 60_000;
            assert!(written < 2_000_000, "no bound");
        };
        assert!(matches!(direct(world, two[0], send(ids[0], "small")), Ok(Reply::Ok)));
        assert_eq!(receive(world, two[1], ids[1])[..], b"small"[..]);
        let other = stream(world, two[0], ids[0]);
        let other_there = next_stream(world, two[1], ids[1]);
        direct(world, two[0], write(ids[0], other, "quick")).expect("written");
        assert_eq!(read(world, two[1], ids[1], other_there), Ok(Bytes::from_static(b"quick")));
        let mut read_bytes = 0;
        while !world.is_answered(two[0], stuck) {
            read_bytes += read(world, two[1], ids[1], slow_there).expect("read").len();
            assert!(read_bytes < 500_000, "the writer goes on when its reader does");
        }
        let (id, channel, why) = (ids[1], slow_there, "no more".to_owned());
        direct(world, two[1], DirectCommand::Reset { id, channel, why: why.clone() })
            .expect("reset");
        world.run_for(SECOND);
        let failed = direct(world, two[0], write(ids[0], slow, "x")).err();
        assert_eq!(failed, Some(DirectError::Reset(why).into()));
        assert!(read(world, two[1], ids[1], slow_there).is_err());
        direct(world, two[0], write(ids[0], other, "more")).expect("written");
        assert_eq!(read(world, two[1], ids[1], other_there), Ok(Bytes::from_static(b"more")));
        // The other end of a stream learns that its direct link is over.
        let waiting =
            begin(world, two[1], DirectCommand::Read { id, stream: other_there, most: 9 });
        direct(world, two[0], DirectCommand::Close { id: ids[0] }).expect("closed");
        let closed = answer(world, two[1], waiting).err();
        assert_eq!(closed, Some(DirectError::ClosedThere.into()));
        assert_eq!(world.counts.misbehaved, 0);
    });
}

/// Goal: the small goes before the large. Method: a link of 200 KB/s that a stream fills, beside which a record, a message and a
/// call take little more than without the stream.
#[test]
fn small_things_pass_a_stream_that_fills_the_link() {
    each_seed("small_things_pass_a_stream_that_fills_the_link", 10, |world| {
        let (group, two, ids) = joined(world, 2);
        world.throttle(two[0], 200_000);
        let quick = |world: &mut World| {
            let mut worst = Duration::ZERO;
            for _ in 0..10 {
                let before = world.time();
                direct(world, two[0], send(ids[0], "small")).expect("sent");
                worst = worst.max(world.time() - before);
                receive(world, two[1], ids[1]);
                let before = world.time();
                world.say_to(two[0], group, "a record", &two);
                worst = worst.max(world.time() - before);
            }
            worst
        };
        let idle = quick(world);
        let here = stream(world, two[0], ids[0]);
        let there = next_stream(world, two[1], ids[1]);
        let mut writes = Vec::new();
        for _ in 0..3 {
            writes.push(begin(world, two[0], write(ids[0], here, vec![1; 65_536])));
        }
        let mut pass = |world: &mut World, bytes: usize| {
            let mut came = 0;
            while came < bytes {
                writes.retain(|it| world.answer(two[0], *it).is_none());
                if writes.len() < 2 {
                    writes.push(begin(world, two[0], write(ids[0], here, vec![1; 65_536])));
                }
                came += read(world, two[1], ids[1], there).expect("read").len();
            }
        };
        pass(world, 500_000);
        let before = world.time();
        pass(world, 1_000_000);
        let rate = 1_000_000.0 / (world.time() - before).as_secs_f64();
        assert!(rate > 150_000.0, "{rate} B/s");
        let mut busy = Duration::ZERO;
        for _ in 0..10 {
            pass(world, 200_000);
            busy = busy.max(quick(world));
        }
        assert!(busy < idle + Duration::from_millis(700), "{busy:?} instead of {idle:?}");
    });
}

/// Goal: a direct link ends where a membership ends, a node crashes, leaves or closes, and both ends are told. Method: each of
/// these; who waits gets an error.
#[test]
fn direct_links_end_with_memberships_and_nodes() {
    each_seed("direct_links_end_with_memberships_and_nodes", 40, |world| {
        let (group, two, ids) = joined(world, 5);
        let waiting = begin(world, two[0], DirectCommand::Receive { id: ids[0] });
        let kind = world.chance.within(0..4);
        match kind {
            0 => {
                let target = Target::Peer(world.hosts()[two[1]].peer_id());
                let (reason, keep) = (Reason::Misconduct, Keep::ALL);
                let revoke = GroupCommand::Revoke { target, reason, keep };
                world.ask(two[0], Command::Group(group, revoke)).expect("revoked");
            }
            1 => drop(world.ask(two[1], Command::Leave { group }).expect("left")),
            2 => world.stop(two[1]),
            _ => world.crash(two[1]),
        }
        world.run_for(DIRECT_APART_MAX + 90 * SECOND);
        let why = ended(world, two[0], ids[0]);
        let expected = match kind {
            0 => DirectError::NotStanding,
            1 | 2 => DirectError::ClosedThere,
            _ => DirectError::Lost,
        };
        // A member that is put out may close its end first.
        let other = (kind == 0).then_some(DirectError::ClosedThere);
        assert!(why == Some(expected.clone()) || why == other, "{why:?}, not {expected:?}");
        assert!(world.answer(two[0], waiting).is_some_and(|it| it.is_err()));
        assert!(list(world, two[0]).is_empty());
        if kind == 0 {
            assert!(list(world, two[1]).is_empty());
            let again = open(world, two[1], group, two[0], 99);
            assert!(again.is_err(), "it is out");
        }
        assert_eq!(world.counts.misbehaved, 0);
    });
}

/// Goal: a link that is lost for good ends the direct link at both ends within a bound. Method: one of them is cut off.
#[test]
fn ends_that_are_kept_apart_learn_it() {
    each_seed("ends_that_are_kept_apart_learn_it", 20, |world| {
        let (_, two, ids) = joined(world, 5);
        world.partition(vec![1; two[0] + 1]);
        world.run_for(DIRECT_APART_MAX + 120 * SECOND);
        for side in 0..2 {
            assert_eq!(ended(world, two[side], ids[side]), Some(DirectError::Lost), "side {side}");
        }
    });
}

/// Goal: a relay carries a direct link for two whom no path joins, and sees nothing. Method: two browsers that cannot reach each
/// other, in a group with a third one, and a rendezvous node in no group.
#[test]
fn relays_carry_direct_links() {
    each_seed("relays_carry_direct_links", 30, |world| {
        world.record(0);
        let node = world.add_stopped(Kind::Native, "node");
        world.host(node).rendezvous = true;
        world.start(node);
        world.await_opened(node);
        let hosts = ["ada", "bob", "cleo"].map(|name| {
            let host = world.browser(name);
            world.ask(host, Command::Connect { node: node_url(node) }).expect("named");
            host
        });
        world.block(hosts[0], hosts[1]);
        let group = world.create_group(hosts[2], "talk");
        for &host in &hosts[..2] {
            let invitation = world.invite_bound(hosts[2], group, host, Role::Member);
            world.join(host, invitation).expect("joined");
            world.await_synced(host);
        }
        world.run_for(10 * SECOND);
        admit(world, hosts[1], group, DirectAdmit::Members);
        let id = open(world, hosts[0], group, hosts[1], 5).expect("open").id;
        world.run_for(SECOND);
        let there = last_opened(world, hosts[1]);
        for number in 0..20_u32 {
            let payload = [&number.to_be_bytes()[..], b"a secret of two"].concat();
            direct(world, hosts[0], send(id, payload)).expect("sent");
            assert_eq!(receive(world, hosts[1], there)[..4], number.to_be_bytes());
            world.run_for(SECOND);
        }
        assert!(!world.recording().heard(b"a secret of two"), "the relay read it");
        if world.chance.with(0.5) {
            // A path comes up: the direct link moves there.
            world.heal();
            for number in 0..40_u32 {
                direct(world, hosts[0], send(id, number.to_be_bytes().to_vec())).expect("sent");
                assert_eq!(receive(world, hosts[1], there)[..], number.to_be_bytes());
                world.run_for(SECOND);
            }
            assert!(world.wired_to(hosts[0]).contains(&hosts[1]), "it stays relayed");
        }
        assert_eq!(world.counts.misbehaved, 0);
    });
}

/// Goal: a member that asks again and again is refused, costs nobody else a place, and its neighbours nothing. Method: one asks
/// for ever, while others open theirs.
#[test]
fn floods_of_requests_are_refused() {
    each_seed("floods_of_requests_are_refused", 10, |world| {
        let (group, hosts) = world.group_of_many(4);
        world.run_for(20 * SECOND);
        let [victim, flooder, honest] = [hosts[0], hosts[1], hosts[2]];
        let (to_victim, purpose) = (to(world, victim), "spam".to_owned());
        let mut refused = 0;
        for n in 0..4 * DIRECT_ASKS_SPARE {
            let (id, purpose) = (DirectId(1_000 + n), purpose.clone());
            let request =
                begin(world, flooder, DirectCommand::Open { id, group, to: to_victim, purpose });
            world.run_for(SECOND / 20);
            refused += u64::from(world.answer(flooder, request).is_some_and(|it| it.is_err()));
            if n % 4 == 0 {
                begin(world, flooder, DirectCommand::Close { id });
            }
        }
        let asked = changes(world, victim);
        let asked =
            asked.iter().filter(|(_, change)| *change == DirectChange::Asked).count() as u64;
        assert!(asked <= DIRECT_ASKS_SPARE + 16, "{asked} questions");
        assert!(refused > DIRECT_ASKS_SPARE, "{refused} refused");
        let held = list(world, victim).len() as u64;
        assert!(held <= DIRECT_LINKS.each(), "{held} held");
        admit(world, victim, group, DirectAdmit::Members);
        open(world, honest, group, victim, 9).expect("there is room for others");
        assert_eq!(world.counts.misbehaved, 0);
    });
}

/// Goal: who sends more than it was given, out of order, or of channels that there are not, loses the link and the direct link,
/// and nobody else anything. Method: frames with the number of a direct link that is open.
#[test]
fn cheats_cost_their_link_and_nobody_else_anything() {
    type Cheat = (u64, u32, u8, Vec<u8>, Misbehaved);
    each_seed("cheats_cost_their_link_and_nobody_else_anything", 20, |world| {
        world.record(0);
        let (group, hosts) = world.group_of_many(4);
        assert_eq!(hosts[0], 0, "the one that is recorded");
        world.run_for(20 * SECOND);
        let [victim, liar, honest] = [hosts[0], hosts[1], hosts[2]];
        admit(world, victim, group, DirectAdmit::Members);
        let other = open(world, honest, group, victim, 5).expect("open").id;
        world.run_for(SECOND);
        world.host(liar).liar = true;
        let item = |payload: usize| {
            let mut body = vec![0xa2, 0, 0x61, b'x', 1, 0x59];
            body.extend((payload as u16).to_be_bytes());
            body.resize(body.len() + payload, 7);
            body
        };
        let cheats: [Cheat; 6] = [
            (1, 0, 2, item(9), Misbehaved::Credit),
            (0, 4, 3, vec![1], Misbehaved::Unexpected),
            (0, 0, 3, vec![1], Misbehaved::Unexpected),
            (0, 0, 4, Vec::new(), Misbehaved::Unexpected),
            (0, 3, 1, vec![0xa1, 0, 0x61, b'x'], Misbehaved::Unexpected),
            (0, 2, 1, vec![0xa1, 0, 0x60], Misbehaved::TooMuch),
        ];
        let pick = world.chance.within(0..8);
        let info = open(world, liar, group, victim, 6).expect("open");
        let number = number_asked(world);
        let frame = |at: u64, channel: u32, act: u8, body: &[u8]| {
            let head = [&[0, 179][..], &number, &at.to_be_bytes(), &channel.to_be_bytes(), &[act]];
            Bytes::from([&head.concat()[..], body].concat())
        };
        let fault = match cheats.get(pick as usize) {
            Some((at, channel, act, body, fault)) => {
                assert!(world.inject(liar, victim, frame(*at, *channel, *act, body)));
                *fault
            }
            None => {
                // More than its credit.
                for at in 0..40 {
                    world.inject(liar, victim, frame(at, 0, 2, &item(16_000)));
                }
                Misbehaved::Credit
            }
        };
        world.run_for(2 * SECOND);
        let seen = |event: &Event| matches!(event, Event::PeerMisbehaved { fault: it, .. } if *it == fault);
        assert!(world.has_event(victim, seen), "{fault:?} was not seen, {pick}");
        let ids: Vec<DirectId> = changes(world, victim).into_iter().map(|(it, _)| it.id).collect();
        let broken = ids.iter().any(|id| ended(world, victim, *id) == Some(DirectError::Broken));
        assert!(broken, "the direct link goes with it");
        world.run_for(DIRECT_REACHED_WITHIN + 20 * SECOND);
        assert!(list(world, liar).iter().all(|it| it.id != info.id), "both ends know");
        assert!(matches!(direct(world, honest, send(other, "x")), Ok(Reply::Ok)));
        assert_eq!(world.counts.misbehaved, 0);
    });
}

/// The number of the direct link that was asked for last, as the recorded host was told.
fn number_asked(world: &World) -> [u8; 8] {
    let frames = world.recording().frames();
    let asked = frames.iter().rev().find_map(|frame| frame.strip_prefix(&[0, 176, 0xa4, 0, 0x1b]));
    *asked.and_then(|rest| rest.first_chunk()).expect("a question of one frame")
}
