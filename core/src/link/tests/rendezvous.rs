//! Rendezvous nodes that are made by hand: what they are told, and what they are believed.
use super::*;
use crate::address::Address;
use crate::id::Digest;
use crate::limits::UNUSED_LINK_AFTER;
use crate::wire::kind::Kind;
use crate::wire::{Carry, EndRelay, Referral, Relayed, Rise, Seats, Sit, Token};
use std::collections::BTreeSet;

const OFFER: &[u8] = br#"{"type":"offer","sdp":"v=0"}"#;

/// The other end of a link that ada has dialled.
pub(super) struct Door {
    pub(super) link: LinkId,
}

impl Door {
    fn address(n: u8) -> Address {
        let socket = (Ipv4Addr::new(192, 0, 2, n), 4000).into();
        Address::Rtc { socket, fingerprint: Fingerprint::from_bytes([n; 32]) }
    }

    /// Ada's application names it, and she dials it.
    pub(super) fn named(ada: &mut Ada, n: u8, rendezvous: bool) -> Self {
        ada.ask(Command::Connect { node: Self::address(n).into() });
        let link = ada.opened.pop().expect("she dials");
        Self::shake_hands(ada, link, n, rendezvous)
    }

    /// It answers a link that Ada has dialled.
    fn shake_hands(ada: &mut Ada, link: LinkId, n: u8, rendezvous: bool) -> Self {
        Self::shake_hands_as(ada, link, n, (rendezvous, false))
    }

    /// The same, as a node that serves as rendezvous, and that relays, or does not.
    fn shake_hands_as(
        ada: &mut Ada,
        link: LinkId,
        n: u8,
        (rendezvous, relay): (bool, bool),
    ) -> Self {
        let (channel, identity) = (Channel::default(), someone(n));
        let key = StaticKey::new(Zeroizing::new([n; 32]), channel.curve);
        let (hers, ours) = (Fingerprint::from_bytes([1; 32]), Fingerprint::from_bytes([n; 32]));
        let transport = Transport::Rtc { ours, theirs: hers };
        let ephemeral = Zeroizing::new([n + 100; 32]);
        let mut handshake = Handshake::new(false, transport, &key, ephemeral, &channel);
        ada.handle(Input::LinkUp { link, transport: Transport::Rtc { ours: hers, theirs: ours } });
        let hello = ada.frames.pop().expect("she begins");
        handshake.read(&hello[1..]).expect("she is honest");
        let claim = noise::claim(false, &handshake.hash(), key.public());
        let answer = handshake.write(&wire::encode(&Introduction {
            versions: Some(Versions::OURS),
            certificate: identity.certificate().der().to_vec(),
            signature: identity.sign(Domain::Handshake, &claim).to_vec(),
            nonce: NodeNonce::default(),
            rendezvous: Some(rendezvous),
            relay: Some(relay),
            instead: None,
        }));
        ada.frames.clear();
        let door = Self { link };
        door.send(ada, &answer);
        assert!(ada.node.links.ready(link).is_some(), "{:?}", ada.faults());
        door
    }

    /// Ada's application names it, and it serves as rendezvous and relays.
    fn relaying(ada: &mut Ada, n: u8) -> Self {
        ada.ask(Command::Connect { node: Self::address(n).into() });
        let link = ada.opened.pop().expect("she dials");
        Self::shake_hands_as(ada, link, n, (true, true))
    }

    fn send(&self, ada: &mut Ada, message: &[u8]) {
        let bytes = Bytes::from([&[wire::WHOLE], message].concat());
        ada.handle(Input::Frame { link: self.link, bytes });
    }

    fn say(&self, ada: &mut Ada, kind: Kind, body: &impl minicbor::Encode<()>) {
        self.send(ada, wire::message(kind, body).bytes());
    }

    fn name_seats(&self, ada: &mut Ada, table: Digest, seats: Vec<u64>, apart: Vec<u64>) {
        let (apart, clock) = (Some(apart), ada.now.wall.0);
        self.say(ada, kind::SEATS, &Seats { table, seats, apart, clock });
    }

    /// Somebody at a seat offers a link.
    fn offer(&self, ada: &mut Ada, table: Digest, seat: u64) {
        self.say(ada, kind::CARRY, &Carry { table, seat, attempt: 1, signal: OFFER.to_vec() });
    }
}

/// Somebody at a seat offers a link that the rendezvous node relays; and the node joins the two.
fn offer_relayed(ada: &mut Ada, door: &Door, (table, seat): (Digest, u64), token: Token) {
    let signal = token.to_signal().to_vec();
    door.say(ada, kind::CARRY, &Carry { table, seat, attempt: 1, signal });
    let circuit = u64::from_be_bytes(*token.0.first_chunk().expect("it is longer"));
    door.say(ada, kind::RELAYED, &Relayed { token, circuit });
}

/// Goal: nobody at a table, and no rendezvous node, takes the places of relayed links that others need. Method: one seat
/// offers a thousand links and opens them all; then the node invents a seat for each of a thousand. A link of somebody else, at
/// that node and then at another one, is opened before.
#[test]
fn relayed_links_of_others_stay_whoever_offers() {
    let mut ada = Ada::new();
    ada.group();
    let first = Door::relaying(&mut ada, 2);
    let table = asked(&mut ada)[0];
    let second = Door::relaying(&mut ada, 3);
    let elsewhere = asked(&mut ada)[0];
    let token = |n: u64| Token(*(u128::from(n) << 64).to_be_bytes().first_chunk().unwrap());
    let ended = |ada: &mut Ada, door: &Door| {
        let ends = ada.frames.drain(..).filter(|frame| frame[1] == kind::RELAY_END.number());
        let ends: Vec<Bytes> = ends.collect();
        let circuit = |frame: &Bytes| wire::decode::<EndRelay>(&frame[2..]).unwrap().circuit;
        assert!(ada.node.links.ready(door.link).is_some());
        ends.iter().map(circuit).collect::<Vec<_>>()
    };
    offer_relayed(&mut ada, &first, (table, 1), token(1));
    offer_relayed(&mut ada, &second, (elsewhere, 1), token(2));
    for n in 1_000..2_000 {
        offer_relayed(&mut ada, &first, (table, 2), token(n));
    }
    let gone = ended(&mut ada, &first);
    assert!(gone.len() >= 990 && !gone.contains(&1) && !gone.contains(&2), "{gone:?}");
    for n in 2_000..3_000 {
        offer_relayed(&mut ada, &first, (table, n), token(n));
    }
    let gone = ended(&mut ada, &first);
    assert!(gone.len() >= 900 && !gone.contains(&2), "the other node's stays");
    offer_relayed(&mut ada, &second, (elsewhere, 3), token(3));
    assert!(ended(&mut ada, &second).is_empty(), "and there is room for more of its");
    assert_eq!(ada.faults(), []);
}

/// The tables at which ada has asked for a seat since this was asked last.
fn asked(ada: &mut Ada) -> Vec<Digest> {
    let of = |frame: &Bytes| (frame[1] == kind::SIT.number()).then(|| frame.slice(2..));
    let sits: Vec<Bytes> = ada.frames.drain(..).filter_map(|frame| of(&frame)).collect();
    let tables = |body: &Bytes| wire::decode::<Sit>(body).expect("she is honest").tables;
    sits.iter().flat_map(tables).map(|table| table.name).collect()
}

/// Goal: an answer, or a dial, tells nobody who only knows the name of a table that ada is in its group. Method: all that
/// could know a name use it, each in all ways: a rendezvous node at which she does not sit there, a node that she has
/// dialled and that is none, and a stranger that says it is one.
#[test]
fn nobody_but_the_node_at_whose_table_one_sits_gets_an_answer() {
    let mut ada = Ada::new();
    ada.group();
    let door = Door::named(&mut ada, 2, true);
    let table = asked(&mut ada)[0];
    let other = Door::named(&mut ada, 3, true);
    let elsewhere = asked(&mut ada);
    assert!(
        !elsewhere.is_empty() && !elsewhere.contains(&table),
        "tables differ from node to node"
    );
    let plain = Door::named(&mut ada, 4, false);
    let stranger = Stranger::honest(&mut ada, 5);
    ada.frames.clear();
    for door in [&other, &plain, &Door { link: stranger.link }] {
        for table in [table, Digest::from_bytes([9; 32])] {
            door.name_seats(&mut ada, table, vec![1, 2, 3], vec![4]);
            door.offer(&mut ada, table, 5);
        }
    }
    assert_eq!(ada.opened, [], "nothing is opened");
    assert!(ada.frames.iter().all(|frame| frame[1] != kind::CARRY.number()));
    door.offer(&mut ada, table, 5);
    assert_eq!(ada.opened.len(), 1, "where she sits she answers");
}

/// Goal: a rendezvous node opens no more links than there may be attempts. Method: it names a thousand seats, as seats and as
/// seats of other parts, a hundred times, asked and unasked.
#[test]
fn rendezvous_node_opens_no_more_links_than_are_wanted() {
    let mut ada = Ada::new();
    ada.group();
    let door = Door::named(&mut ada, 2, true);
    let table = asked(&mut ada)[0];
    for n in 0..100 {
        let seats = (0..1_000).map(|seat| n * 1_000 + seat).collect::<Vec<_>>();
        door.name_seats(&mut ada, table, seats.clone(), seats);
    }
    assert!(ada.opened.len() <= limits::ATTEMPTS_MAX, "{} links", ada.opened.len());
    assert!(!ada.opened.is_empty());
    assert_eq!(ada.faults(), []);
}

/// S15. Goal: a rendezvous node to which a member of one group has sent us does not learn of our other groups. Method: Bob
/// refers Ada, who has two groups, to an address at which there is a rendezvous node; then she dials one that is named.
#[test]
fn rendezvous_node_that_a_member_named_gets_the_seats_of_its_group_alone() {
    let mut ada = Ada::new();
    let (group, _other) = (ada.group(), ada.group());
    let [bob] = crowded::members(&mut ada, group, [2]);
    ada.frames.clear();
    let referral =
        Referral { node: NodeId(7), peer: someone(7).peer_id(), addresses: vec![Door::address(7)] };
    let bye = Refuse::because(Reason::Leaving, vec![referral]);
    bob.send(&mut ada, wire::graph_message(kind::DISCONNECT, 2, &bye).bytes());
    let link = ada.opened.pop().expect("she dials where she was sent");
    Door::shake_hands(&mut ada, link, 7, true);
    // One table for each of two days.
    assert_eq!(asked(&mut ada).len(), 2, "the seats of the group in which she was sent");
    Door::named(&mut ada, 8, true);
    assert_eq!(asked(&mut ada).len(), 4, "the seats of both");
}

#[test]
fn seat_that_is_taken_back_is_looked_for_elsewhere() {
    let mut ada = Ada::new();
    ada.group();
    let first = Door::named(&mut ada, 2, true);
    let table = asked(&mut ada)[0];
    let second = Door::named(&mut ada, 3, true);
    asked(&mut ada);
    first.say(&mut ada, kind::RISE, &Rise { table });
    let anew = asked(&mut ada);
    assert!(!anew.is_empty() && !anew.contains(&table), "at the other node at once");
    first.offer(&mut ada, table, 5);
    assert_eq!(ada.opened, [], "she does not sit there any longer");
    second.offer(&mut ada, anew[0], 5);
    assert_eq!(ada.opened.len(), 1);
}

/// Goal: where one sits changes with the days, and nobody is lost at the change. Method: three days pass; at each step the
/// tables that were asked for last have one in common with those before.
#[test]
fn tables_follow_the_days() {
    let mut ada = Ada::new();
    ada.group();
    let door = Door::named(&mut ada, 2, true);
    let mut all = vec![asked(&mut ada).into_iter().collect::<BTreeSet<_>>()];
    for _ in 0..3 * 24 * 60 * 6 {
        let step = UNUSED_LINK_AFTER / 2;
        ada.now = Now { mono: ada.now.mono.after(step), wall: ada.now.wall.after(step) };
        door.send(&mut ada, Message::PONG.bytes());
        ada.handle(Input::Buffered { link: door.link, bytes: 0 });
        let tables: BTreeSet<_> = asked(&mut ada).into_iter().collect();
        if !tables.is_empty() && all.last() != Some(&tables) {
            assert!(all.last().is_some_and(|before| before.intersection(&tables).count() == 1));
            all.push(tables);
        }
    }
    assert_eq!(all.len(), 4, "one change a day");
    assert!(all[0].is_disjoint(&all[2]) && ada.faults().is_empty());
}
