//! A network in between that loses, changes, hides or forges packets.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use peergraph::rtc::{Certificate, Config, RtcId};
use tokio::time::timeout;

use crate::{End, SOON, idle, nomination, numbered, run, until};

/// The faults that a translator makes in datagrams, counted in both directions together; 0 is
/// never.
#[derive(Clone, Copy, Default)]
struct Faults {
    drop_every: u64,
    flip_every: u64,
}

/// A relay of datagrams between one server and whichever client spoke last, on its own thread
/// until the test process ends. The server sees all clients at one address, which is the second
/// one returned; clients speak to the first.
fn translator(server: SocketAddr, faults: Faults) -> (SocketAddr, SocketAddr) {
    translator_at(UdpSocket::bind("127.0.0.1:0").expect("bind"), server, faults)
}

/// The same with the socket at which the server sees its clients.
fn translator_at(front: UdpSocket, server: SocketAddr, faults: Faults) -> (SocketAddr, SocketAddr) {
    let back = UdpSocket::bind("127.0.0.1:0").expect("bind");
    let addresses = (back.local_addr().expect("address"), front.local_addr().expect("address"));
    for socket in [&front, &back] {
        socket.set_read_timeout(Some(Duration::from_millis(1))).expect("timeout");
    }
    std::thread::spawn(move || {
        // Different faults for each translator.
        let mut count = u64::from(addresses.0.port());
        let mut pass = |datagram: &mut [u8]| {
            count += 1;
            if faults.flip_every > 0 && count.is_multiple_of(faults.flip_every) {
                let random = count.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
                let at = random as usize % datagram.len().max(1);
                if let Some(byte) = datagram.get_mut(at) {
                    *byte ^= 1 << (random >> 32 & 7);
                }
            }
            faults.drop_every == 0 || !count.is_multiple_of(faults.drop_every)
        };
        let mut buffer = [0; 2048];
        let mut client = None;
        loop {
            if let Ok((length, from)) = back.recv_from(&mut buffer) {
                client = Some(from);
                if pass(&mut buffer[..length]) {
                    let _ = front.send_to(&buffer[..length], server);
                }
            }
            if let (Ok(length), Some(to)) = (front.recv(&mut buffer), client)
                && pass(&mut buffer[..length])
            {
                let _ = back.send_to(&buffer[..length], to);
            }
        }
    });
    addresses
}

/// Goal: loss delays, and that is all. Method: one in 50 datagrams is dropped, in the handshakes
/// too, each time another one; links open, and every message arrives once and in order.
#[test]
fn links_open_and_lose_nothing_when_packets_are_lost() {
    run(async {
        let (mut a, mut b) = (End::new("127.0.0.1:0").await, End::new("127.0.0.1:0").await);
        let faults = Faults { drop_every: 50, ..Faults::default() };
        let mut links = Vec::new();
        for _ in 0..100 {
            let (to, _) = translator(b.address(), faults);
            links.push(a.engine.dial(to, b.engine.fingerprint()).expect("dial"));
        }
        let took = until(&mut a, &mut b, SOON, |a, b| a.open.len() + b.open.len() == 200).await;
        println!("100 links open through loss after {took:?}");
        for number in 0..4 {
            for link in &links {
                assert!(a.engine.send(*link, &numbered(number, 16 * 1024)));
            }
        }
        let limit = Duration::from_secs(60);
        let took = until(&mut a, &mut b, limit, |_, b| b.messages.len() == 100 * 4).await;
        println!("6.5 MB came through loss after {took:?}");
        let mut next: BTreeMap<RtcId, u32> = BTreeMap::new();
        for (link, bytes) in &b.messages {
            let number = next.entry(*link).or_default();
            assert_eq!(&bytes[..], numbered(*number, 16 * 1024));
            *number += 1;
        }
        assert!(a.gone.is_empty() && b.gone.is_empty());
    });
}

/// Goal: nothing on the wire panics the stack (which would cost that link only, unseen). Method:
/// one bit is flipped in each third to 22nd datagram of 60 links, from the first request on.
#[test]
fn flipped_bits_never_panic() {
    static PANICS: AtomicUsize = AtomicUsize::new(0);
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        hook(info);
    }));
    run(async {
        let (mut a, mut b) = (End::new("127.0.0.1:0").await, End::new("127.0.0.1:0").await);
        b.echo = true;
        for flip_every in (3..23).cycle().take(60) {
            let (to, _) = translator(b.address(), Faults { flip_every, ..Faults::default() });
            a.engine.dial(to, b.engine.fingerprint()).expect("dial");
        }
        let mut greeted = Vec::new();
        let start = Instant::now();
        until(&mut a, &mut b, Duration::from_secs(40), |a, _| {
            let open: Vec<_> = a.open.keys().copied().collect();
            for link in open {
                if !greeted.contains(&link) {
                    greeted.push(link);
                    a.engine.send(link, &numbered(7, 5000));
                }
            }
            start.elapsed() > Duration::from_secs(12)
        })
        .await;
        println!("{} of 60 links opened, {} echoes came", a.open.len(), a.messages.len());
        assert!(a.open.len() > 10, "so that more than handshakes are seen");
        for (_, bytes) in &a.messages {
            assert_eq!(&bytes[..], numbered(7, 5000));
        }
        assert_eq!(PANICS.load(Ordering::Relaxed), 0);
    });
}

/// Goal: a crash does not lock a peer out until its old link is given up. Method: both diallers reach
/// the node from one address; the first one dies without a word.
#[test]
fn a_peer_that_restarts_at_its_port_gets_in_at_once() {
    run(async {
        let mut node = End::new("127.0.0.1:0").await;
        let (shared, _) = translator(node.address(), Faults::default());
        let mut a = End::new("127.0.0.1:0").await;
        a.engine.dial(shared, node.engine.fingerprint()).expect("dial");
        until(&mut a, &mut node, SOON, |a, node| a.open.len() + node.open.len() == 2).await;
        std::mem::forget(a);
        let mut b = End::new("127.0.0.1:0").await;
        b.engine.dial(shared, node.engine.fingerprint()).expect("dial");
        let took =
            until(&mut b, &mut node, SOON, |b, node| b.open.len() == 1 && node.open.len() == 2)
                .await;
        println!("restarted peer is in again after {took:?}");
        assert!(took < Duration::from_secs(1), "{took:?}");
        assert_eq!(node.gone, [node.incoming[0].0], "the old link is gone");
        node.echo = true;
        let link = *b.open.keys().next().expect("open");
        assert!(b.engine.send(link, b"unharmed by the end of the old link"));
        until(&mut b, &mut node, SOON, |b, _| b.messages.len() == 1).await;
    });
}

/// Goal: people behind one router who come at once all get in. Method: 100 programs dial from one address, more than one
/// source may have links that are not open, at a node as it is configured by default.
#[test]
fn all_get_in_who_come_at_once_from_one_address() {
    run(async {
        let bind = "127.0.0.1:0".parse().expect("address");
        let default = Config::new(vec![bind], Certificate::generate().expect("certificate"));
        let (mut a, mut node) = (End::new("127.0.0.1:0").await, End::with(default).await);
        for _ in 0..100 {
            let (to, _) = translator(node.address(), Faults::default());
            a.engine.dial(to, node.engine.fingerprint()).expect("dial");
        }
        let took =
            until(&mut a, &mut node, SOON, |a, node| a.open.len() + node.open.len() == 200).await;
        println!("100 links of one source open after {took:?}");
    });
}

/// Goal: what a program began and left does not keep the next one at its port out. Method: the first
/// one offers, is heard by the node, and ends; the next one dials the node from there.
#[test]
fn offer_that_was_left_does_not_keep_a_dialler_out() {
    run(async {
        let (mut a, mut node) = (End::new("127.0.0.1:0").await, End::new("127.0.0.1:0").await);
        let offer = a.engine.offer().expect("offer");
        until(&mut a, &mut node, SOON, |a, _| a.signals.len() == 1).await;
        let answer = node.engine.answer().expect("answer");
        node.engine.signal(answer, &a.signals[0].1).expect("a good offer");
        until(&mut a, &mut node, SOON, |_, node| node.signals.len() == 1).await;
        a.engine.signal(offer, &node.signals[0].1).expect("a good answer");
        let here = a.address();
        while node.engine.stats().received < 2 {
            a.turn().await;
            node.turn().await;
        }
        drop(a);
        assert!(node.open.is_empty(), "it was begun, and no more");
        let mut b = End::new(&here.to_string()).await;
        b.engine.dial(node.address(), node.engine.fingerprint()).expect("dial");
        let took =
            until(&mut b, &mut node, SOON, |b, node| b.open.len() + node.open.len() == 2).await;
        println!("in beside an offer that was left after {took:?}");
        assert!(took < Duration::from_secs(1), "{took:?}");
    });
}

/// Goal: a crash in the middle of a handshake does not keep the next program at its port out. Method:
/// the first dialler ends after each number of turns of its handshake in turn.
#[test]
fn dial_that_was_left_does_not_keep_the_next_one_out() {
    run(async {
        for turns in 1..24 {
            let mut node = End::new("127.0.0.1:0").await;
            let (shared, _) = translator(node.address(), Faults::default());
            let mut a = End::new("127.0.0.1:0").await;
            a.engine.dial(shared, node.engine.fingerprint()).expect("dial");
            for _ in 0..turns {
                a.turn().await;
                let _ = timeout(Duration::from_millis(5), node.turn()).await;
            }
            std::mem::forget(a);
            let mut b = End::new("127.0.0.1:0").await;
            b.engine.dial(shared, node.engine.fingerprint()).expect("dial");
            // Datagrams that the first one has sent may open its link even now, until the second
            // one takes its place.
            let took = until(&mut b, &mut node, SOON, |b, node| {
                let stay = node.open.keys().filter(|link| !node.gone.contains(link));
                b.open.len() == 1 && stay.count() == 1
            })
            .await;
            assert!(took < Duration::from_secs(5), "{took:?} after {turns} turns");
        }
    });
}

/// Goal: two ends that dial and signal at once get a link, and the same one. Method: one dials
/// the other, and either of them offers; the signals travel at different moments of the dial.
#[test]
fn dial_and_offer_at_once_end_in_one_link() {
    run(async {
        for round in 0..24 {
            let (mut a, mut b) = (End::new("127.0.0.1:0").await, End::new("127.0.0.1:0").await);
            a.engine.dial(b.address(), b.engine.fingerprint()).expect("dial");
            if round % 2 == 1 {
                std::mem::swap(&mut a, &mut b);
            }
            a.engine.offer().expect("offer");
            until(&mut a, &mut b, SOON, |a, _| a.signals.len() == 1).await;
            idle(&mut a, &mut b, Duration::from_millis(round)).await;
            let offer = a.signals.remove(0);
            let answer = b.engine.answer().expect("answer");
            b.engine.signal(answer, &offer.1).expect("a good offer");
            idle(&mut a, &mut b, Duration::from_millis(round / 4)).await;
            // The link may have been given up for the one that was dialled.
            if let Some((_, answer)) = b.signals.pop() {
                let _ = a.engine.signal(offer.0, &answer);
            }
            until(&mut a, &mut b, Duration::from_secs(2), |a, b| {
                let alive = |end: &End| end.open.keys().any(|it| !end.gone.contains(it));
                alive(a) && alive(b)
            })
            .await;
            idle(&mut a, &mut b, Duration::from_millis(300)).await;
            let open = |end: &End| {
                end.open.keys().copied().filter(|it| !end.gone.contains(it)).collect::<Vec<_>>()
            };
            assert_eq!((open(&a).len(), open(&b).len()), (1, 1), "round {round}");
            b.echo = true;
            assert!(a.engine.send(open(&a)[0], b"over the same link"));
            until(&mut a, &mut b, Duration::from_secs(2), |a, _| a.messages.len() == 1).await;
        }
    });
}

/// Goal: a request from the address of a live link ends nothing if its sender sees no answer.
/// Method: dials that nominate, as a browser's, are sent to the node from the other end's address.
#[test]
fn forged_dials_from_the_address_of_a_live_link_are_harmless() {
    run(async {
        let mut node = End::new("127.0.0.1:0").await;
        let front = UdpSocket::bind("127.0.0.1:0").expect("bind");
        let forger = front.try_clone().expect("cloned");
        let (shared, _) = translator_at(front, node.address(), Faults::default());
        let mut a = End::new("127.0.0.1:0").await;
        let link = a.engine.dial(shared, node.engine.fingerprint()).expect("dial");
        until(&mut a, &mut node, SOON, |a, node| a.open.len() + node.open.len() == 2).await;
        node.echo = true;
        for number in 0..200_u32 {
            let (_, request) = nomination::dial(&format!("{number:016}"));
            forger.send_to(&request, node.address()).expect("send");
            // An answer to what it did not see.
            forger.send_to(&nomination::answer(node.address()), node.address()).expect("send");
            if number.is_multiple_of(20) {
                assert!(a.engine.send(link, &numbered(number, 100)));
            }
            idle(&mut a, &mut node, Duration::from_millis(5)).await;
        }
        assert!(node.engine.links() > 1, "the forger was heard");
        until(&mut a, &mut node, SOON, |a, _| a.messages.len() == 10).await;
        // The forged ones end, and are none of anybody's business.
        until(&mut a, &mut node, SOON, |_, node| node.engine.links() == 1).await;
        assert!(a.engine.send(link, b"unharmed"));
        until(&mut a, &mut node, SOON, |a, _| a.messages.len() == 11).await;
        assert_eq!((a.open.len(), node.open.len(), a.gone.len()), (1, 1, 0));
        assert!(!node.gone.contains(&node.incoming[0].0));
    });
}

/// Goal: somebody who can forge the other end's address cannot end a link. Method: everything that
/// is sent to the front of the translator reaches the dialler as if the node had sent it.
#[test]
fn forged_packets_from_the_address_of_a_live_link_are_harmless() {
    run(async {
        let mut node = End::new("127.0.0.1:0").await;
        node.echo = true;
        let (back, front) = translator(node.address(), Faults::default());
        let mut a = End::new("127.0.0.1:0").await;
        let link = a.engine.dial(back, node.engine.fingerprint()).expect("dial");
        until(&mut a, &mut node, SOON, |a, node| a.open.len() + node.open.len() == 2).await;
        let forger = UdpSocket::bind("127.0.0.1:0").expect("bind");
        // Plaintext DTLS alerts: close_notify and a fatal one; then heads of handshake messages,
        // application data of both epochs, and STUN answers to nobody's question.
        let mut packets = vec![
            vec![21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 99, 0, 2, 1, 0],
            vec![21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 98, 0, 2, 2, 40],
        ];
        for kind in [20, 21, 22, 23, 24, 25] {
            for epoch in [0, 1, 2] {
                let mut packet = vec![kind, 254, 253, 0, epoch, 0, 0, 0, 0, 1, kind, 0, 40];
                packet.extend([kind; 40]);
                packets.push(packet);
            }
        }
        for class in [1, 0x11] {
            let mut packet = vec![1, class, 0, 0, 0x21, 0x12, 0xa4, 0x42];
            packet.extend([class; 12]);
            packets.push(packet);
        }
        for number in 0..50 {
            for packet in &packets {
                forger.send_to(packet, front).expect("send");
                forger.send_to(&packet[..packet.len() * number / 50], front).expect("send");
            }
            let before = a.engine.stats().received;
            until(&mut a, &mut node, SOON, |a, _| {
                a.engine.stats().received >= before + packets.len() as u64
            })
            .await;
        }
        assert!(a.engine.send(link, b"unharmed"));
        until(&mut a, &mut node, SOON, |a, _| a.messages.len() == 1).await;
        assert!(a.gone.is_empty() && node.gone.is_empty());
    });
}
