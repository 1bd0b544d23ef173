//! Goal: two copies of one node's state, such as a virtual machine and its restored snapshot, draw no secret and use no
//! nonce twice. Method: a node is a function of its seed and its inputs, so two nodes with the same of both are copies.
//! Without fresh bytes they say the same (or this test could not fail); with different ones nothing secret is alike.
use super::*;
use crate::invitation::InvitationKind;
use crate::noise::Seal;

/// One copy: ada, and somebody with a WebSocket link to her.
struct Copy {
    ada: Ada,
    group: GroupId,
    link: LinkId,
    seal: Seal,
}

fn websocket(initiator: bool) -> Handshake {
    let channel = Channel::default();
    let key = StaticKey::new(Zeroizing::new([2; 32]), channel.curve);
    let ephemeral = Zeroizing::new([102; 32]);
    Handshake::new(initiator, Transport::WebSocket, &key, ephemeral, &channel)
}

fn whole(message: &[u8]) -> Bytes {
    Bytes::from([&[wire::WHOLE], message].concat())
}

impl Copy {
    /// The state that is copied: a group, and a link in use.
    fn new() -> Self {
        let (mut ada, bob) = (Ada::new(), someone(2));
        let group = ada.group();
        let (link, mut handshake, _) = Self::knock(&mut ada);
        let claim = noise::claim(
            true,
            &handshake.hash(),
            StaticKey::new(Zeroizing::new([2; 32]), Channel::default().curve).public(),
        );
        let introduction = Introduction {
            versions: None,
            certificate: bob.certificate().der().to_vec(),
            signature: bob.sign(Domain::Handshake, &claim).to_vec(),
            nonce: NodeNonce::default(),
            rendezvous: None,
            relay: None,
            instead: None,
        };
        let last = handshake.write(&wire::encode(&introduction));
        let (_, seal) = handshake.finish();
        ada.handle(Input::Frame { link, bytes: whole(&last) });
        assert_eq!(ada.faults(), []);
        let mut copy = Self { ada, group, link, seal };
        copy.answer();
        copy
    }

    /// Somebody begins a handshake with ada: the link, the handshake, and ada's answer.
    fn knock(ada: &mut Ada) -> (LinkId, Handshake, Bytes) {
        let link = ada.node.new_link(Source::of(Ipv4Addr::LOCALHOST.into()));
        ada.handle(Input::LinkUp { link, transport: Transport::WebSocket });
        let mut handshake = websocket(true);
        let hello = handshake.write(&wire::encode(&Hello { versions: Versions::OURS }));
        ada.handle(Input::Frame { link, bytes: whole(&hello) });
        let answer = ada.frames.pop().expect("she answers");
        handshake.read(&answer[1..]).expect("she is honest");
        (link, handshake, answer)
    }

    /// Ada's answer, sealed, to a question: always the same word.
    fn answer(&mut self) -> Bytes {
        let question = [&[wire::WHOLE], Message::PING.bytes()].concat();
        let bytes = self.seal.seal(&question, 0).into();
        self.ada.handle(Input::Frame { link: self.link, bytes });
        let answer = self.ada.frames.pop().expect("she answers");
        let opened = self.seal.open(&answer).expect("hers");
        assert_eq!(opened[1..], Message::PONG.bytes()[..]);
        answer
    }

    /// Everything secret that ada can be made to draw, or what shows whether it was the same.
    fn secrets(&mut self) -> Vec<(&'static str, Vec<u8>)> {
        let mut drawn = Vec::new();
        for name in ["sealed frame", "next frame", "frame after it"] {
            drawn.push((name, self.answer().to_vec()));
        }
        // Hers is the responder's ephemeral key, then what is sealed under it.
        let (_, _, answer) = Self::knock(&mut self.ada);
        drawn.push(("ephemeral key of a responder", answer[1..33].to_vec()));
        drawn.push(("sealed static key", answer[33..81].to_vec()));
        let dialled = self.dial();
        drawn.push(("ephemeral key of an initiator", dialled[1..33].to_vec()));
        let (uses, expires_in) = (1, Duration::from_secs(60));
        let grant = cert::Role::Member.into();
        let invite = Invite::Bearer { grant, uses, expires_in };
        let Reply::Invitation(made) =
            self.ada.ask(Command::Group(self.group, GroupCommand::Invite { invite }))
        else {
            panic!("an invitation")
        };
        let InvitationKind::Bearer { secret, .. } = made.kind else { panic!("a link") };
        drawn.push(("secret of an invitation", secret.as_bytes().to_vec()));
        drawn.push(("group's key", self.ada.group().as_bytes().to_vec()));
        drawn
    }

    /// The first message of a link that ada opens herself.
    fn dial(&mut self) -> Bytes {
        let node = "http://127.0.0.1:1/".parse().expect("a URL");
        self.ada.ask(Command::Connect { node });
        let address = "ws://127.0.0.1:1/".to_owned();
        let url = self.ada.look_ups.pop().expect("she looks it up");
        self.ada.handle(Input::LookedUp { url, found: Ok(vec![address]) });
        let link = self.ada.opened.pop().expect("she dials");
        self.ada.handle(Input::LinkUp { link, transport: Transport::WebSocket });
        self.ada.frames.pop().expect("she greets")
    }
}

#[test]
fn copies_of_a_state_that_wake_apart_have_no_secret_in_common() {
    let (mut one, mut other) = (Copy::new(), Copy::new());
    assert_eq!(one.secrets(), other.secrets(), "without fresh bytes they are copies");
    let (mut one, mut other) = (Copy::new(), Copy::new());
    one.ada.node.stir(&[1; 32]);
    other.ada.node.stir(&[2; 32]);
    for ((what, one), (_, other)) in one.secrets().into_iter().zip(other.secrets()) {
        assert_ne!(one, other, "{what}");
        let shared = one.iter().zip(&other).filter(|(a, b)| a == b).count();
        assert!(shared <= one.len() / 4 + 4, "{what}: {shared} bytes of {}", one.len());
    }
}

#[test]
fn waking_again_changes_the_nonces_of_a_link_that_goes_on() {
    let mut copy = Copy::new();
    let salt = |frame: &Bytes| frame[..8].to_vec();
    let before = copy.answer();
    assert_eq!(salt(&before), salt(&copy.answer()), "as long as nothing fresh comes");
    let mut salts = std::collections::BTreeSet::from([salt(&before)]);
    for n in 0..20 {
        // The same bytes again are fresh enough: what is there counts too.
        copy.ada.node.stir(&[n / 2; 32]);
        assert!(salts.insert(salt(&copy.answer())), "{n}");
    }
}
