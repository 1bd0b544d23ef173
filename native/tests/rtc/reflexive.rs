//! Addresses as others see them: asked for and told by STUN.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use crate::{End, SOON, idle, run, until};

/// A question for one's own address, RFC 8489: a header and nothing else.
fn question(n: u8) -> Vec<u8> {
    [&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42], &[n; 12][..]].concat()
}

/// The answer that tells an IPv4 address.
fn answer(question: &[u8], told: SocketAddr) -> Vec<u8> {
    let SocketAddr::V4(told) = told else { panic!("an IPv4 address") };
    let cookie = [0x21, 0x12, 0xa4, 0x42];
    let port = told.port() ^ 0x2112;
    let ip: Vec<u8> = told.ip().octets().iter().zip(cookie).map(|(a, b)| a ^ b).collect();
    let attribute = [&[0, 0x20, 0, 8, 0, 1], &port.to_be_bytes()[..], &ip].concat();
    [&[1, 1, 0, 12][..], &cookie, &question[8..20], &attribute].concat()
}

/// A server whose answers a test makes.
fn server() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("bind");
    socket.set_nonblocking(true).expect("nonblocking");
    let address = socket.local_addr().expect("address");
    (socket, address)
}

/// Takes the questions that have come to a server.
fn asked(server: &UdpSocket) -> Vec<(Vec<u8>, SocketAddr)> {
    let mut buffer = [0; 100];
    let taken = std::iter::from_fn(|| {
        server.recv_from(&mut buffer).ok().map(|(n, from)| (buffer[..n].to_vec(), from))
    });
    taken.collect()
}

/// Goal: whoever asks is told its address, in an answer that is hardly longer than the question,
/// and no source gets more than its share. Method: one socket asks a thousand times.
#[test]
fn stranger_is_told_its_address_within_a_budget() {
    run(async {
        let (mut a, mut b) = (End::new("127.0.0.1:0").await, End::new("127.0.0.1:0").await);
        let (stranger, address) = server();
        stranger.send_to(&question(7), b.address()).expect("send");
        let mut answers = Vec::new();
        until(&mut a, &mut b, SOON, |_, _| {
            answers.extend(asked(&stranger));
            !answers.is_empty()
        })
        .await;
        assert_eq!(answers, [(answer(&question(7), address), b.address())]);
        for n in 0..1000_u32 {
            stranger.send_to(&question(n as u8), b.address()).expect("send");
            if n % 50 == 0 {
                idle(&mut a, &mut b, Duration::from_millis(1)).await;
                answers.extend(asked(&stranger));
            }
        }
        until(&mut a, &mut b, SOON, |_, b| b.engine.stats().received >= 1001).await;
        answers.extend(asked(&stranger));
        let told = b.engine.stats().reflected as usize;
        assert!((200..600).contains(&told), "{told}");
        assert!(answers.len() <= told && b.engine.stats().refused >= 400);
        assert_eq!(b.engine.links(), 0, "nothing is kept of them");
    });
}

/// Goal: the address that a server sees goes to the other end of a link, as a candidate behind the
/// offer; whatever else it says goes nowhere.
#[test]
fn addresses_that_servers_see_follow_the_offer() {
    run(async {
        let (mut a, mut b) = (End::new("127.0.0.1:0").await, End::new("127.0.0.1:0").await);
        let (honest, at) = server();
        let (liar, elsewhere) = server();
        a.engine.stun_servers(vec![at, elsewhere]);
        let link = a.engine.offer().expect("offer");
        let (mut questions, mut others) = (Vec::new(), Vec::new());
        until(&mut a, &mut b, SOON, |_, _| {
            questions.extend(asked(&honest));
            others.extend(asked(&liar));
            !questions.is_empty() && !others.is_empty()
        })
        .await;
        assert_eq!(a.signals.len(), 1, "the offer waits for nobody");
        let (question, from) = questions.remove(0);
        assert_eq!(question.len(), 20);
        let seen: SocketAddr = "198.51.100.7:4000".parse().expect("an address");
        let other: SocketAddr = "203.0.113.9:9".parse().expect("an address");
        let nobody: SocketAddr = "224.0.0.251:5353".parse().expect("an address");
        // From another one than the one that was asked; with another name; a place where nobody is.
        liar.send_to(&answer(&question, other), from).expect("send");
        honest.send_to(&answer(&self::question(9), other), from).expect("send");
        liar.send_to(&answer(&others[0].0, nobody), from).expect("send");
        honest.send_to(&answer(&question, seen), from).expect("send");
        until(&mut a, &mut b, SOON, |a, _| a.signals.len() == 2).await;
        let (of, json) = &a.signals[1];
        assert_eq!(*of, link);
        assert!(json.contains("198.51.100.7 4000 typ srflx"), "{json}");
        idle(&mut a, &mut b, Duration::from_millis(100)).await;
        assert_eq!(a.signals.len(), 2, "{:?}", a.signals);
        // The next link is told at once.
        let next = a.engine.offer().expect("offer");
        a.take();
        assert!(a.signals[2..].iter().all(|(of, _)| *of == next) && a.signals.len() == 4);
    });
}
