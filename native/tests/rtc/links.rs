//! Links: how they come to be, what they carry, how they end.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use peergraph::rtc::{BUFFERED_BYTES_LOW, DialError, Engine, MESSAGE_BYTES_MAX, RtcId};
use tokio::time::timeout;

use crate::{End, SOON, config, dialled, idle, numbered, run, until};

#[test]
fn a_direct_dial_opens_and_echoes() {
    run(async {
        for bind in ["127.0.0.1:0", "[::1]:0"] {
            let (mut a, mut b, link, other) = dialled(bind).await;
            assert_eq!(a.open[&link], b.engine.fingerprint());
            assert_eq!(b.open[&other], a.engine.fingerprint());
            assert_eq!(b.incoming[0].1, a.address());
            assert!(a.incoming.is_empty());
            b.echo = true;
            let sent = [numbered(0, 4), numbered(1, 1000), numbered(2, MESSAGE_BYTES_MAX)];
            for message in &sent {
                assert!(a.engine.send(link, message));
            }
            assert!(!a.engine.send(link, &vec![0; MESSAGE_BYTES_MAX + 1]), "too long");
            until(&mut a, &mut b, SOON, |a, _| a.messages.len() == 3).await;
            let came: Vec<_> = a.messages.iter().map(|(_, bytes)| bytes.to_vec()).collect();
            assert_eq!(came, sent);
        }
    });
}

/// Carries signals between both ends, one at a time, until both are open.
async fn signalled(a: &mut End, b: &mut End) -> (RtcId, RtcId) {
    let offerer = a.engine.offer().expect("offer");
    let answerer = b.engine.answer().expect("answer");
    let took = until(a, b, SOON, |a, b| {
        for (link, json) in a.signals.drain(..) {
            assert_eq!(link, offerer);
            b.engine.signal(answerer, &json).expect("a good offer");
        }
        for (link, json) in b.signals.drain(..) {
            assert_eq!(link, answerer);
            a.engine.signal(offerer, &json).expect("a good answer");
        }
        a.open.contains_key(&offerer) && b.open.contains_key(&answerer)
    })
    .await;
    println!("offer and answer: open at both ends after {took:?}");
    (offerer, answerer)
}

#[test]
fn an_offer_and_its_answer_open_a_link() {
    run(async {
        for bind in ["127.0.0.1:0", "[::1]:0", "0.0.0.0:0"] {
            let (mut a, mut b) = (End::new(bind).await, End::new(bind).await);
            let (offerer, answerer) = signalled(&mut a, &mut b).await;
            assert_eq!(a.open[&offerer], b.engine.fingerprint());
            assert_eq!(b.open[&answerer], a.engine.fingerprint());
            b.echo = true;
            assert!(a.engine.send(offerer, b"over signalling"));
            until(&mut a, &mut b, SOON, |a, _| a.messages.len() == 1).await;
            assert_eq!(&a.messages[0].1[..], b"over signalling");
        }
    });
}

#[test]
fn a_wildcard_listener_is_reached_at_concrete_addresses() {
    run(async {
        let mut both = config("0.0.0.0:0");
        both.bind.push("[::]:0".parse().expect("address"));
        let mut node = End::with(both).await;
        for address in node.engine.local_addrs() {
            assert!(!address.ip().is_unspecified(), "{address}");
        }
        let ports = node.engine.bound_addrs();
        let cases = [("0.0.0.0:0", "127.0.0.1"), ("[::]:0", "::1"), ("127.0.0.1:0", "127.0.0.1")];
        for (from, to) in cases {
            let to: std::net::IpAddr = to.parse().expect("address");
            let port = ports.iter().find(|port| port.is_ipv4() == to.is_ipv4()).expect("bound");
            let mut a = End::new(from).await;
            let to = SocketAddr::new(to, port.port());
            let link = a.engine.dial(to, node.engine.fingerprint()).expect("dial");
            let before = node.open.len();
            until(&mut a, &mut node, SOON, |a, node| {
                a.open.contains_key(&link) && node.open.len() > before
            })
            .await;
        }
    });
}

#[test]
fn a_wrong_fingerprint_is_refused() {
    run(async {
        let (mut a, mut b) = (End::new("127.0.0.1:0").await, End::new("127.0.0.1:0").await);
        let mut wrong = b.engine.fingerprint();
        wrong[31] ^= 1;
        let link = a.engine.dial(b.address(), wrong).expect("dial");
        let limit = Duration::from_secs(25);
        let took = until(&mut a, &mut b, limit, |a, _| a.gone == [link]).await;
        println!("wrong fingerprint refused after {took:?}");
        assert!(a.open.is_empty() && b.open.is_empty());
        assert_eq!(a.engine.links(), 0);
        // The node's half of it is gone too, in the end.
        until(&mut a, &mut b, limit, |_, b| b.engine.links() == 0).await;
        assert!(b.incoming.is_empty());
    });
}

#[test]
fn a_second_dial_to_the_same_address_is_refused() {
    run(async {
        let (mut a, mut b, link, _) = dialled("127.0.0.1:0").await;
        let again = a.engine.dial(b.address(), b.engine.fingerprint());
        assert_eq!(again, Err(DialError::Busy));
        let backwards = b.engine.dial(a.address(), a.engine.fingerprint());
        assert_eq!(backwards, Err(DialError::Busy));
        b.echo = true;
        assert!(a.engine.send(link, b"unharmed"));
        until(&mut a, &mut b, SOON, |a, _| a.messages.len() == 1).await;
    });
}

#[test]
fn two_nodes_that_dial_each_other_get_one_link() {
    run(async {
        for _ in 0..5 {
            let (mut a, mut b) = (End::new("127.0.0.1:0").await, End::new("127.0.0.1:0").await);
            a.engine.dial(b.address(), b.engine.fingerprint()).expect("dial");
            b.engine.dial(a.address(), a.engine.fingerprint()).expect("dial");
            until(&mut a, &mut b, SOON, |a, b| a.open.len() + b.open.len() == 2).await;
            idle(&mut a, &mut b, Duration::from_millis(300)).await;
            assert_eq!((a.engine.links(), b.engine.links()), (1, 1));
            assert_eq!(a.gone.len() + b.gone.len(), 1, "the other dial gave way");
        }
    });
}

#[test]
fn one_port_serves_fifty_links() {
    run(async {
        let mut node = End::new("127.0.0.1:0").await;
        node.echo = true;
        let mut ends = Vec::new();
        let start = Instant::now();
        for number in 0..50 {
            let mut a = End::new("127.0.0.1:0").await;
            let link = a.engine.dial(node.address(), node.engine.fingerprint()).expect("dial");
            until(&mut a, &mut node, SOON, |a, node| {
                a.open.len() == 1 && node.open.len() == number + 1
            })
            .await;
            ends.push((a, link));
        }
        println!("50 links opened one after the other in {:?}", start.elapsed());
        for (number, (a, link)) in ends.iter_mut().enumerate() {
            assert!(a.engine.send(*link, &numbered(number as u32, 100)));
            until(a, &mut node, SOON, |a, _| a.messages.len() == 1).await;
            assert_eq!(a.messages[0].1[..], numbered(number as u32, 100));
        }
        assert_eq!((node.engine.links(), node.open.len(), node.gone.len()), (50, 50, 0));
    });
}

#[test]
fn a_paused_receiver_stops_the_sender_and_loses_nothing() {
    run(async {
        let mut small = config("127.0.0.1:0");
        small.receive_window_bytes = 256 * 1024;
        let (mut a, mut b) = (End::new("127.0.0.1:0").await, End::with(small).await);
        let link = a.engine.dial(b.address(), b.engine.fingerprint()).expect("dial");
        until(&mut a, &mut b, SOON, |a, b| a.open.len() + b.open.len() == 2).await;
        let other = b.incoming[0].0;
        b.engine.pause(other, true);
        let mut sent = 0;
        let mut stuck_since = Instant::now();
        until(&mut a, &mut b, Duration::from_secs(30), |a, b| {
            while a.engine.send(link, &numbered(sent, 16 * 1024)) {
                sent += 1;
                stuck_since = Instant::now();
            }
            assert!(b.messages.is_empty());
            assert!(sent < 10_000, "the sender is never stopped");
            stuck_since.elapsed() > Duration::from_millis(1500)
        })
        .await;
        println!("sender stopped after {} KiB, {} bytes wait", sent * 16, a.buffered[&link]);
        assert!(a.buffered[&link] > BUFFERED_BYTES_LOW);
        b.engine.pause(other, false);
        let limit = Duration::from_secs(60);
        let took = until(&mut a, &mut b, limit, |_, b| b.messages.len() == sent as usize).await;
        println!("all came after {took:?}");
        until(&mut a, &mut b, SOON, |a, _| a.buffered[&link] <= BUFFERED_BYTES_LOW).await;
        for (number, (_, bytes)) in b.messages.iter().enumerate() {
            assert_eq!(&bytes[..], numbered(number as u32, 16 * 1024));
        }
    });
}

#[test]
fn a_close_is_noticed_by_the_other_end() {
    run(async {
        for by_dialler in [true, false] {
            let (mut a, mut b, link, other) = dialled("127.0.0.1:0").await;
            let limit = Duration::from_secs(2);
            let took = if by_dialler {
                assert!(a.engine.send(link, b"last words"));
                a.engine.close(link);
                assert!(!a.engine.send(link, b"too late"));
                until(&mut a, &mut b, limit, |_, b| b.gone == [other]).await
            } else {
                b.engine.close(other);
                until(&mut a, &mut b, limit, |a, _| a.gone == [link]).await
            };
            println!("close noticed after {took:?}");
            if by_dialler {
                assert_eq!(&b.messages[0].1[..], b"last words");
            }
            assert_eq!((a.engine.links(), b.engine.links()), (0, 0));
            // The address is free for a new link at once.
            a.engine.dial(b.address(), b.engine.fingerprint()).expect("again");
            until(&mut a, &mut b, SOON, |a, b| a.open.len() + b.open.len() == 4).await;
        }
    });
}

#[test]
fn an_engine_that_ends_is_noticed() {
    run(async {
        let (a, mut b, _, other) = dialled("127.0.0.1:0").await;
        drop(a);
        let start = Instant::now();
        while b.gone != [other] {
            timeout(Duration::from_secs(2), b.turn()).await.expect("noticed");
        }
        println!("end of an engine noticed after {:?}", start.elapsed());
    });
}

/// Lets one end die without a word, and waits until the other end knows.
async fn silent_death(node_dies: bool) {
    let (a, b, link, other) = dialled("127.0.0.1:0").await;
    let (dead, mut alive, id) = if node_dies { (b, a, link) } else { (a, b, other) };
    // Its socket stays open, so that not even an ICMP message tells.
    std::mem::forget(dead);
    let start = Instant::now();
    while alive.gone != [id] {
        timeout(Duration::from_secs(30), alive.turn()).await.expect("noticed");
        assert!(start.elapsed() < Duration::from_secs(30), "never noticed");
    }
    println!("silence given up after {:?}", start.elapsed());
    assert!(start.elapsed() > Duration::from_secs(4), "given up too soon");
}

#[test]
fn the_silent_death_of_a_node_is_noticed() {
    run(silent_death(true));
}

#[test]
fn the_silent_death_of_a_dialler_is_noticed() {
    run(silent_death(false));
}

#[test]
fn bad_configurations_are_errors() {
    run(async {
        let mut a = End::new("127.0.0.1:0").await;
        let mut same = config("127.0.0.1:0");
        same.bind = vec![a.address()];
        let error = Engine::bind(same).await.err().expect("in use");
        assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
        let mut none = config("127.0.0.1:0");
        none.bind.clear();
        assert!(Engine::bind(none).await.is_err());
        for to in ["0.0.0.0:1", "127.0.0.1:0", "224.0.0.1:5", "[::1]:5", "192.0.2.1:5"] {
            let to = to.parse().expect("address");
            assert_eq!(a.engine.dial(to, [0; 32]), Err(DialError::NoRoute), "{to}");
        }
        let nobody = "127.0.0.1:1".parse().expect("address");
        let link = a.engine.dial(nobody, [0; 32]).expect("dial");
        assert_eq!(a.engine.dial(nobody, [0; 32]), Err(DialError::Busy));
        let start = Instant::now();
        while a.gone != [link] {
            timeout(Duration::from_secs(30), a.turn()).await.expect("given up");
        }
        println!("nobody there: given up after {:?}", start.elapsed());
    });
}
