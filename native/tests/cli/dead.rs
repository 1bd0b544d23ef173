//! Links most of whose places lead nowhere: ports that are closed, hosts that do not answer.

use std::net::{Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use data_encoding::BASE64URL_NOPAD;
use peergraph::{Address, Invitation, parse_invitation};
use sha2::{Digest as _, Sha256};

use crate::meeting::within_bound;
use crate::together::Running;
use crate::{folder, ok, one, run, run_with_input};

/// How often it is repeated: `ROUNDS=100` for a proof.
fn rounds() -> usize {
    std::env::var("ROUNDS").ok().and_then(|it| it.parse().ok()).unwrap_or(4)
}

/// The bytes of a short invitation without places, and its check sum: `core/src/invitation/short.rs`.
const HEAD_BYTES: usize = 85;
const CHECK_BYTES: usize = 4;
const URL: u8 = 2;
const RTC: u8 = 3;
const OF_NODE: u8 = 0x80;

/// A link with more places than a written one would name: its reader takes them all.
struct Places(Vec<u8>);

impl Places {
    fn of(text: &str) -> Self {
        let text = text.trim().rsplit_once("pgi2").expect("an invitation").1;
        let mut bytes = BASE64URL_NOPAD.decode(text.as_bytes()).expect("base64");
        bytes.truncate(HEAD_BYTES);
        Self(bytes)
    }

    fn add(&mut self, tag: u8, content: &[u8]) {
        self.0.extend([tag, u8::try_from(content.len()).expect("short")]);
        self.0.extend(content);
    }

    fn rtc(&mut self, socket: SocketAddr) {
        let mut content = vec![7; 32];
        match socket {
            SocketAddr::V4(socket) => {
                content.push(4);
                content.extend(socket.ip().octets());
            }
            SocketAddr::V6(socket) => {
                content.push(6);
                content.extend(socket.ip().octets());
            }
        }
        content.extend(socket.port().to_be_bytes());
        self.add(RTC, &content);
    }

    fn url(&mut self, of: u8, url: &str) {
        let schemes = ["http", "https", "ws", "wss"];
        let (scheme, rest) = url.split_once("://").expect("a URL");
        let scheme = schemes.iter().position(|it| *it == scheme).expect("one of ours");
        let content = [&[u8::try_from(scheme).expect("few")], rest.as_bytes()].concat();
        self.add(URL | of, &content);
    }

    fn link(mut self) -> String {
        let sum: [u8; 32] = Sha256::digest(&self.0).into();
        self.0.extend(&sum[..CHECK_BYTES]);
        format!("pgi2{}", BASE64URL_NOPAD.encode(&self.0))
    }
}

/// A port of this machine at which nobody listens. `port` is below those that the system gives away:
/// one that was taken and let go again may be that of a program which another test has just started.
fn closed(host: &str, port: u16) -> SocketAddr {
    assert!((1..=9).contains(&port), "one of the small services that nobody runs any more");
    SocketAddr::new(host.parse().expect("an IP address"), port)
}

/// A UDP socket that hears everything and answers nothing: a host behind a firewall, as far as one
/// can tell from outside.
fn silent(any: &str) -> UdpSocket {
    UdpSocket::bind((any, 0)).expect("bound")
}

/// Hosts to which nothing passes, one of each family: those that `UNREACHABLE` names, where somebody
/// has made them (`cargo xtask meet`), or sockets that do not answer.
fn unreachable() -> (Vec<SocketAddr>, Vec<UdpSocket>) {
    if let Ok(named) = std::env::var("UNREACHABLE") {
        let ips = named.split(',').map(|ip| ip.parse().expect("an IP address"));
        return (ips.map(|ip| SocketAddr::new(ip, 4_433)).collect(), Vec::new());
    }
    let sockets = vec![silent("127.0.0.1"), silent("::1")];
    (sockets.iter().map(|it| it.local_addr().expect("bound")).collect(), sockets)
}

/// Adds five closed ports and two hosts that do not answer, of both families and kinds.
fn add_dead(places: &mut Places, unreachable: &[SocketAddr]) {
    places.rtc(closed("127.0.0.1", 1));
    places.rtc(closed("::1", 1));
    for &socket in unreachable {
        places.rtc(socket);
    }
    places.rtc(closed("127.0.0.1", 2));
    places.url(0, &format!("ws://{}/link", closed("127.0.0.1", 1)));
    places.url(0, &format!("ws://{}/link", closed("::1", 1)));
}

fn joins(bob: &Path, link: &str) -> Duration {
    let begun = Instant::now();
    let joined =
        run_with_input(bob, &["--json", "--name", "Bob", "group", "join"], link.as_bytes());
    assert_eq!(one(&joined)["records"], 1);
    begun.elapsed()
}

/// Goal: places that lead nowhere do not keep anybody from the one that leads to the inviter.
/// Method: a link that holds five closed ports, two hosts that do not answer, and last the node at
/// which the inviter is, or in every other round the inviter itself. Times are of the whole command,
/// and printed; `BOUND_MS` fails those that are longer.
#[test]
fn link_full_of_dead_places_leads_to_the_one_that_lives() {
    assert!(UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok(), "a machine with IPv6");
    let (node, ada) = (folder(), folder());
    let (_node, url) = Running::node(node.path());
    let ada = ada.path();
    ok(&run(ada, &["--node", &url, "group", "create", "Trip"]));
    ok(&run_with_input(ada, &["publish", "Trip", "note", "--wait", "stored"], b"hello"));
    let uses = rounds().to_string();
    let text = ok(&run(ada, &["group", "invite", "Trip", "--uses", &uses]));
    let invitation: Invitation = parse_invitation(&text).expect("an invitation");
    let own = invitation.addresses.iter().find_map(|address| match address {
        Address::Rtc { socket, .. } => Some(*socket),
        Address::WebSocket { .. } => None,
    });
    let own = own.expect("she can be dialled");
    let fingerprint = invitation.addresses.iter().find_map(|address| match address {
        Address::Rtc { fingerprint, .. } => Some(*fingerprint.as_bytes()),
        Address::WebSocket { .. } => None,
    });
    let mut adas = Running::start(ada, &["--json", "watch", "Trip"]);
    assert_eq!(adas.line()["payload"], "hello", "it runs");
    let (unreachable, _kept) = unreachable();
    let mut times = Vec::new();
    for round in 0..rounds() {
        let bob = folder();
        let mut places = Places::of(&text);
        add_dead(&mut places, &unreachable);
        if round % 2 == 0 {
            places.url(OF_NODE, &url);
        } else {
            let before = places.0.len();
            places.rtc(own);
            let at = before + 2;
            places.0[at..at + 32].copy_from_slice(&fingerprint.expect("as above"));
        }
        let link = places.link();
        let read = parse_invitation(&link).expect("it can be read");
        assert_eq!(read.addresses.len() + read.nodes.len(), 8, "{read:?}");
        times.push(joins(bob.path(), &link));
    }
    times.sort_unstable();
    let (median, longest) = (times[times.len() / 2], times[times.len() - 1]);
    println!(
        "{} joins by a link full of dead places: median {median:?}, longest {longest:?}",
        times.len()
    );
    within_bound(times);
}
