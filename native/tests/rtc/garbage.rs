//! Strangers and the other end: what they may send costs little, and harms no link.

use std::net::UdpSocket;
use std::time::Duration;

use peergraph::rtc::{Allowance, SIGNAL_BYTES_MAX, SignalError};

use crate::{End, SOON, config, dialled, idle, run, until};

#[test]
fn garbage_datagrams_are_harmless() {
    run(async {
        let (mut a, mut b, link, _) = dialled("127.0.0.1:0").await;
        let stranger = UdpSocket::bind("127.0.0.1:0").expect("bind");
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = move || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random
        };
        for number in 0..5000_u32 {
            let length = (next() % 200) as usize;
            let mut bytes: Vec<u8> = (0..length).map(|_| next() as u8).collect();
            if number % 2 == 0 && length > 40 {
                // So that more than the first test of it is reached: a request with a name.
                bytes[..8].copy_from_slice(&[0, 1, 0, (length - 20) as u8, 0x21, 0x12, 0xa4, 0x42]);
                bytes[20..24].copy_from_slice(&[0, 6, 0, 12]);
                bytes[24..36].copy_from_slice(b"d1/aaaa:bbbb");
            }
            if number % 3 == 0 && length > 0 {
                bytes[0] = 20 + bytes[0] % 6;
            }
            stranger.send_to(&bytes, a.address()).expect("send");
            stranger.send_to(&bytes, b.address()).expect("send");
            if number % 50 == 0 {
                idle(&mut a, &mut b, Duration::from_millis(1)).await;
            }
        }
        b.echo = true;
        assert!(a.engine.send(link, b"still here"));
        until(&mut a, &mut b, SOON, |a, _| a.messages.len() == 1).await;
        assert!(b.engine.stats().unknown > 1000, "{:?}", b.engine.stats());
        assert_eq!((a.engine.links(), b.engine.links()), (1, 1));
        assert!(a.gone.is_empty() && b.gone.is_empty());
    });
}

/// A dialler's first packet, as the dialled end would record it.
async fn first_packet(a: &mut End, b: &mut End, fingerprint: [u8; 32]) -> (UdpSocket, Vec<u8>) {
    let sink = UdpSocket::bind("127.0.0.1:0").expect("bind");
    sink.set_nonblocking(true).expect("nonblocking");
    a.engine.dial(sink.local_addr().expect("address"), fingerprint).expect("dial");
    let mut packet = vec![0; 2048];
    let mut length = 0;
    until(a, b, SOON, |_, _| {
        length = sink.recv(&mut packet).unwrap_or(0);
        length > 0
    })
    .await;
    packet.truncate(length);
    (sink, packet)
}

/// Goal: a forged request costs nothing, a replayed one little. Method: a good dialler's first
/// packet, once with one bit changed and once as it was, from somebody who never answers.
#[test]
fn a_request_without_integrity_allocates_nothing() {
    run(async {
        let (mut a, mut b) = (End::new("127.0.0.1:0").await, End::new("127.0.0.1:0").await);
        let (sink, packet) = first_packet(&mut a, &mut b, [7; 32]).await;
        let mut forged = packet.clone();
        forged[10] ^= 1;
        sink.send_to(&forged, b.address()).expect("send");
        until(&mut a, &mut b, SOON, |_, b| b.engine.stats().forged == 1).await;
        assert_eq!(b.engine.links(), 0);
        sink.send_to(&packet, b.address()).expect("send");
        until(&mut a, &mut b, SOON, |_, b| b.engine.links() == 1).await;
        // It never answers a check, so its place is free again before any other deadline.
        let took = until(&mut a, &mut b, SOON, |_, b| b.engine.links() == 0).await;
        println!("a stranger that never answers is forgotten after {took:?}");
    });
}

/// Goal: nobody can panic the stack before a handshake. Method: packets of a good start, each
/// with one byte changed, from the address of a half-open link.
#[test]
fn changed_packets_of_a_half_open_link_are_harmless() {
    run(async {
        let (mut a, mut b) = (End::new("127.0.0.1:0").await, End::new("127.0.0.1:0").await);
        let fingerprint = b.engine.fingerprint();
        let (sink, packet) = first_packet(&mut a, &mut b, fingerprint).await;
        sink.send_to(&packet, b.address()).expect("send");
        // The head of a DTLS 1.2 ClientHello that claims more than there is.
        let hello =
            [22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 40, 1, 0, 0, 200, 0, 0, 0, 0, 0, 0, 0];
        for at in 0..packet.len() {
            for change in [1, 0x80, 0xff] {
                let mut changed = packet.clone();
                changed[at] ^= change;
                sink.send_to(&changed, b.address()).expect("send");
                sink.send_to(&packet[..at], b.address()).expect("send");
                let mut changed = hello;
                changed[at % hello.len()] ^= change;
                sink.send_to(&changed, b.address()).expect("send");
            }
            idle(&mut a, &mut b, Duration::from_millis(1)).await;
        }
        a.engine.dial(b.address(), fingerprint).expect("dial");
        until(&mut a, &mut b, SOON, |a, b| a.open.len() + b.open.len() == 2).await;
    });
}

#[test]
fn strangers_are_bounded_by_budget_and_cap() {
    run(async {
        for by_cap in [false, true] {
            let mut strict = config("127.0.0.1:0");
            if by_cap {
                strict.links_max = 2;
            } else {
                strict.allowance = Allowance { burst: 2, per_second: 0 };
            }
            let mut node = End::with(strict).await;
            let mut kept = Vec::new();
            for number in 0..3 {
                let mut a = End::new("127.0.0.1:0").await;
                a.engine.dial(node.address(), node.engine.fingerprint()).expect("dial");
                if number < 2 {
                    until(&mut a, &mut node, SOON, |a, node| {
                        a.open.len() == 1 && node.open.len() == number + 1
                    })
                    .await;
                } else {
                    idle(&mut a, &mut node, Duration::from_millis(500)).await;
                    assert!(a.open.is_empty());
                }
                kept.push(a);
            }
            assert_eq!(node.open.len(), 2);
            assert!(node.engine.stats().refused > 0);
        }
    });
}

#[test]
fn garbage_signals_are_errors_and_the_link_still_opens() {
    run(async {
        let (mut a, mut b) = (End::new("127.0.0.1:0").await, End::new("127.0.0.1:0").await);
        let offerer = a.engine.offer().expect("offer");
        let answerer = b.engine.answer().expect("answer");
        a.take();
        let offer = a.signals[0].1.clone();
        let long = "x".repeat(SIGNAL_BYTES_MAX + 1);
        let audio = "{\"type\":\"offer\",\"sdp\":\"v=0\\r\\nm=audio 9 X 0\"}";
        for (text, error) in [
            ("", SignalError::Malformed),
            ("{\"type\":\"rollback\",\"sdp\":\"\"}", SignalError::Malformed),
            (&*long, SignalError::TooLong),
            (audio, SignalError::BadDescription),
        ] {
            assert_eq!(b.engine.signal(answerer, text), Err(error), "{text:.40}");
        }
        assert_eq!(a.engine.signal(offerer, &offer), Err(SignalError::Unexpected));
        for end in (0..offer.len()).step_by(7) {
            assert!(b.engine.signal(answerer, &offer[..end]).is_err());
        }
        b.engine.signal(answerer, &offer).expect("the whole offer");
        assert_eq!(b.engine.signal(answerer, &offer), Err(SignalError::Unexpected), "twice");
        b.take();
        let answer = b.signals[0].1.clone();
        // Candidates may overtake the description; names and nonsense are ignored.
        for candidate in ["x.local 1", "999.0.0.1 5", "127.0.0.1 9"] {
            let text = format!("{{\"candidate\":\"candidate:1 1 udp 1 {candidate} typ host\"}}");
            for _ in 0..50 {
                a.engine.signal(offerer, &text).expect("ignored");
            }
        }
        a.engine.signal(offerer, &answer).expect("the answer");
        assert_eq!(a.engine.signal(offerer, &answer), Err(SignalError::Unexpected), "twice");
        until(&mut a, &mut b, SOON, |a, b| a.open.len() + b.open.len() == 2).await;
        a.engine.close(offerer);
        assert_eq!(a.engine.signal(offerer, &answer), Err(SignalError::NoLink));
    });
}

#[test]
fn descriptions_with_changed_characters_never_panic() {
    run(async {
        let (mut a, mut b) = (End::new("127.0.0.1:0").await, End::new("127.0.0.1:0").await);
        a.engine.offer().expect("offer");
        a.take();
        let offer = a.signals[0].1.clone();
        let mut taken = 0;
        for at in 0..offer.len() {
            for with in ["\u{0}", "9", ":", "", "\u{e9}", "\\r\\n"] {
                let mut changed = offer.clone();
                changed.replace_range(at..=at, with);
                let link = b.engine.answer().expect("answer");
                taken += usize::from(b.engine.signal(link, &changed).is_ok());
                b.engine.close(link);
            }
        }
        println!("{taken} of {} changed offers were still good", offer.len() * 6);
        assert_eq!(b.engine.links(), 0);
    });
}
