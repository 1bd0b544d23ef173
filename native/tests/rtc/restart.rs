//! Programs that are killed, and others that begin at their ports: what the other ends of their links notice, and when.

use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use peergraph::rtc::RtcId;

use crate::{End, SOON, idle, run, until};

/// A port at which one program follows another: a relay of datagrams, on its own thread until the test process ends.
struct Port {
    address: SocketAddr,
    program: Arc<Mutex<SocketAddr>>,
}

impl Port {
    fn of(program: &End) -> Self {
        let [outer, inner] = [0; 2].map(|_| UdpSocket::bind("127.0.0.1:0").expect("bind"));
        for socket in [&outer, &inner] {
            socket.set_read_timeout(Some(Duration::from_millis(1))).expect("timeout");
        }
        let address = outer.local_addr().expect("address");
        let program = Arc::new(Mutex::new(program.address()));
        let current = Arc::clone(&program);
        std::thread::spawn(move || {
            let (mut buffer, mut dialler) = ([0; 2048], None);
            loop {
                if let Ok((length, from)) = outer.recv_from(&mut buffer) {
                    dialler = Some(from);
                    let to = *current.lock().expect("nobody panics");
                    let _ = inner.send_to(&buffer[..length], to);
                }
                if let (Ok((length, from)), Some(to)) = (inner.recv_from(&mut buffer), dialler)
                    && from == *current.lock().expect("nobody panics")
                {
                    let _ = outer.send_to(&buffer[..length], to);
                }
            }
        });
        Self { address, program }
    }

    fn give_to(&self, program: &End) {
        *self.program.lock().expect("nobody panics") = program.address();
    }
}

/// A program, one whose port it has dialled, and the link.
async fn dialled() -> (End, End, Port, RtcId) {
    let (mut a, mut b) = (End::new("127.0.0.1:0").await, End::new("127.0.0.1:0").await);
    let port = Port::of(&b);
    let link = a.engine.dial(port.address, b.engine.fingerprint()).expect("dial");
    until(&mut a, &mut b, SOON, |a, b| a.open.len() + b.open.len() == 2).await;
    (a, b, port, link)
}

/// Goal: the end of a link whose program was killed does not wait for SCTP, which gives up after a minute. Method: the
/// program is never turned again, and another one has its port; with something to send or without.
#[test]
fn an_end_whose_program_was_killed_is_told_by_the_next_one() {
    run(async {
        for says in [false, true] {
            let (mut a, killed, port, link) = dialled().await;
            std::mem::forget(killed);
            let mut b = End::new("127.0.0.1:0").await;
            port.give_to(&b);
            assert!(!says || a.engine.send(link, b"are you there?"));
            let took = until(&mut a, &mut b, SOON, |a, _| a.gone == [link]).await;
            println!("told after {took:?}, with something to send: {says}");
            assert!(b.incoming.is_empty() && b.gone.is_empty(), "nobody hears of what is left");
            let again = a.engine.dial(port.address, b.engine.fingerprint()).expect("dial");
            until(&mut a, &mut b, SOON, |a, _| a.open.contains_key(&again)).await;
            idle(&mut a, &mut b, Duration::from_secs(7)).await;
            assert_eq!((a.engine.links(), b.engine.links()), (1, 1), "what is left ends too");
            assert_eq!(a.gone, [link]);
        }
    });
}

/// Goal: a silent other end is suspected long before it is given up.
#[test]
fn a_link_is_quiet_before_it_is_gone() {
    run(async {
        let (mut a, killed, _, link) = dialled().await;
        std::mem::forget(killed);
        let mut nobody = End::new("127.0.0.1:0").await;
        let took = until(&mut a, &mut nobody, SOON, |a, _| a.quiet == [link]).await;
        println!("quiet after {took:?}");
        assert!(a.gone.is_empty());
        let took = until(&mut a, &mut nobody, SOON * 3, |a, _| a.gone == [link]).await;
        println!("gone {took:?} later");
        assert_eq!(a.quiet, [link], "told once");
    });
}
