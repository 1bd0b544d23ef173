//! Which version a link speaks, and who cannot lower it.
use super::*;

impl Ada {
    /// A node that speaks these versions.
    fn speaking(lowest: u32, highest: u32) -> Self {
        let mut ada = Self::new();
        let versions = Versions::new(lowest, highest).unwrap();
        let config = Config { versions, ..Config::default() };
        ada.node = Node::new(config, someone(1), &[1; 32], ada.now);
        ada.drain();
        ada
    }

    /// A link on which her part of the handshake begins.
    fn accepts(&mut self) -> LinkId {
        let link = self.node.new_link(Source::of(Ipv4Addr::LOCALHOST.into()));
        self.handle(Input::LinkUp { link, transport: Transport::WebSocket });
        link
    }
}

fn begin(key: &StaticKey) -> Handshake {
    let ephemeral = Zeroizing::new([7; 32]);
    Handshake::new(true, Transport::WebSocket, key, ephemeral, &Channel::default())
}

fn hello(lowest: u32, highest: u32) -> Vec<u8> {
    wire::encode(&Hello { versions: Versions::new(lowest, highest).unwrap() })
}

/// Goal: nobody between two ends makes them speak an older version than both know. Method: what the initiator says is changed
/// on the way, as far as it travels in clear; then every bit of the answer is.
#[test]
fn man_in_the_middle_lowers_no_version() {
    let key = StaticKey::new(Zeroizing::new([2; 32]), Channel::default().curve);
    let whole = |message: &[u8]| Bytes::from([&[wire::WHOLE], message].concat());

    let mut ada = Ada::speaking(1, 3);
    let link = ada.accepts();
    let mut bob = begin(&key);
    let (said, lowered) = (hello(1, 3), hello(1, 1));
    let mut message = bob.write(&said);
    let at = message.len() - said.len();
    assert_eq!(message[at..], said, "it travels in clear");
    message.splice(at.., lowered);
    ada.handle(Input::Frame { link, bytes: whole(&message) });
    let answer = ada.frames.pop().expect("she cannot see it");
    assert!(bob.read(&answer[1..]).is_err(), "he does");

    // Without the man in the middle it is the highest that both speak, and her answer cannot be changed.
    let mut ada = Ada::speaking(1, 3);
    let link = ada.accepts();
    let hello = begin(&key).write(&said);
    ada.handle(Input::Frame { link, bytes: whole(&hello) });
    let answer = ada.frames.pop().expect("she answers");
    for bit in 0..8 * (answer.len() - 1) {
        let mut changed = answer[1..].to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        let mut bob = begin(&key);
        bob.write(&said);
        assert!(bob.read(&changed).is_err(), "{bit}");
    }
    let mut bob = begin(&key);
    bob.write(&said);
    let told: Introduction = wire::decode(&bob.read(&answer[1..]).unwrap()).unwrap();
    assert_eq!(told.versions, Versions::new(1, 3));
}

/// A link remembers the version, and the ends that have none in common close without blame: the responder once it has
/// answered, so that the initiator knows as well.
#[test]
fn link_remembers_the_highest_common_version() {
    for (ours, theirs, version) in [
        ((1, 1), (1, 4), Ok(1)),
        ((1, 4), (1, 1), Ok(1)),
        ((2, 5), (3, 4), Ok(4)),
        ((2, 3), (4, 5), Err(CloseReason::WeAreOlder)),
        ((4, 5), (2, 3), Err(CloseReason::TheyAreOlder)),
    ] {
        let mut ada = Ada::speaking(ours.0, ours.1);
        let versions = Versions::new(theirs.0, theirs.1).unwrap();
        let mut bob = Stranger::knock_with(&mut ada, 2, Ipv4Addr::LOCALHOST, versions);
        assert_eq!(ada.closed.pop().map(|(_, reason)| reason), version.err());
        if let Ok(version) = version {
            let proof = bob.proof(&someone(2));
            bob.introduce(&mut ada, someone(2).certificate().der().to_vec(), proof);
            assert_eq!(ada.node.links()[0].version, Some(version));
        }
        assert_eq!(ada.faults(), []);
    }
}
