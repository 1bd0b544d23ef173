//! The obstacles between a node and its users: distance, a reverse proxy with a path, a redirect.
//! Threads that end with the test process.

use std::collections::BTreeMap;
use std::io::{Read, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::spawn;
use std::time::{Duration, Instant};

/// The treatment of a request by a front.
#[derive(Clone)]
enum Does {
    /// Gives it to the node later, and the answer back later.
    Delay(Duration, SocketAddr),
    /// Gives what is below a path to the node, without that path.
    Below(String, SocketAddr),
    /// Sends it to the same path elsewhere.
    Redirect(u16, String),
    /// Answers the description itself, delays the rest.
    Describe(Duration, SocketAddr, String),
}

/// A reverse proxy at `/pg/` of a site that has nothing else, before the node that listens at
/// `node`.
pub(crate) fn below_a_path(node: SocketAddr) -> String {
    format!("http://{}/pg/", front(Does::Below("/pg".to_owned(), node)))
}

/// A site that redirects every request to the same path below `to`.
pub(crate) fn redirect(status: u16, to: &str) -> String {
    format!("http://{}/", front(Does::Redirect(status, to.trim_end_matches('/').to_owned())))
}

/// TCP to the node takes so long each way.
pub(crate) fn slow(node: SocketAddr, delay: Duration) -> String {
    format!("http://{}/", front(Does::Delay(delay, node)))
}

/// TCP and UDP to the node take so long each way. `described` is the description that the node
/// itself gives.
pub(crate) fn far(node: SocketAddr, described: &serde_json::Value, delay: Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = listener.local_addr().expect("bound");
    let addresses = described["addresses"].as_array().expect("a list").iter();
    let rtc = addresses.filter_map(|it| it.as_str()?.strip_prefix("rtc://127.0.0.1:"));
    let (port, fingerprint) = rtc.filter_map(|it| it.split_once('/')).next().expect("it has UDP");
    let udp = far_udp(SocketAddr::from(([127, 0, 0, 1], port.parse().expect("a port"))), delay);
    let description = serde_json::json!({
        "version": 1,
        "peer": described["peer"],
        "addresses": [format!("rtc://{udp}/{fingerprint}"), format!("ws://{address}/link")],
    });
    serve(listener, Does::Describe(delay, node, description.to_string()));
    format!("http://{address}/")
}

fn front(does: Does) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = listener.local_addr().expect("bound");
    serve(listener, does);
    address
}

fn serve(listener: TcpListener, does: Does) {
    spawn(move || {
        for client in listener.incoming().flatten() {
            let does = does.clone();
            // Clients that go away in the midst are normal.
            spawn(move || drop(answer(client, does)));
        }
    });
}

fn answer(mut client: TcpStream, does: Does) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let path = text.split(' ').nth(1).unwrap_or("/").to_owned();
    match does {
        Does::Redirect(status, to) => {
            reply(&mut client, status, &format!("Location: {to}{path}\r\n"), "")
        }
        Does::Below(prefix, node) => match path.strip_prefix(&prefix) {
            Some(rest) if rest.starts_with('/') => {
                let head = text.replacen(&format!(" {path} "), &format!(" {rest} "), 1);
                relay(client, node, head.as_bytes(), Duration::ZERO)
            }
            _ => reply(&mut client, 404, "", "somebody else's site\n"),
        },
        Does::Describe(delay, _, description) if path.ends_with("/.well-known/peergraph") => {
            std::thread::sleep(2 * delay);
            reply(&mut client, 200, "", &description)
        }
        Does::Delay(delay, node) | Does::Describe(delay, node, _) => {
            relay(client, node, &head, delay)
        }
    }
}

fn reply(client: &mut TcpStream, status: u16, header: &str, body: &str) -> std::io::Result<()> {
    let length = body.len();
    write!(
        client,
        "HTTP/1.1 {status} Said\r\n{header}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

fn relay(client: TcpStream, node: SocketAddr, head: &[u8], delay: Duration) -> std::io::Result<()> {
    let mut server = TcpStream::connect(node)?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
    }
    std::thread::sleep(delay);
    server.write_all(head)?;
    let (back_from, back_to) = (server.try_clone()?, client.try_clone()?);
    spawn(move || pump(back_from, back_to, delay));
    pump(client, server, delay);
    Ok(())
}

/// Copies until the end, every piece so much later than it came, and however many are on their way.
fn pump(mut from: TcpStream, mut to: TcpStream, delay: Duration) {
    let (sender, pieces): (Sender<(Instant, Vec<u8>)>, Receiver<_>) = channel();
    let writing = spawn(move || {
        for (at, piece) in pieces {
            std::thread::sleep(at.saturating_duration_since(Instant::now()));
            if to.write_all(&piece).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
    let mut buffer = vec![0; 65_536];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if sender.send((Instant::now() + delay, buffer[..count].to_vec())).is_err() {
            break;
        }
    }
    drop(sender);
    let _ = writing.join();
}

/// Where datagrams for `node` are taken. It sees every client at an address of its own.
fn far_udp(node: SocketAddr, delay: Duration) -> SocketAddr {
    type Datagram = (Instant, Vec<u8>, Arc<UdpSocket>, SocketAddr);
    let bind = || Arc::new(UdpSocket::bind("127.0.0.1:0").expect("bound"));
    let front = bind();
    let address = front.local_addr().expect("bound");
    let (sender, datagrams): (Sender<Datagram>, Receiver<Datagram>) = channel();
    spawn(move || {
        for (at, bytes, socket, to) in datagrams {
            std::thread::sleep(at.saturating_duration_since(Instant::now()));
            let _ = socket.send_to(&bytes, to);
        }
    });
    let carry = move |from: Arc<UdpSocket>,
                      mut step: Box<dyn FnMut(Vec<u8>, SocketAddr) -> Datagram + Send>,
                      sender: Sender<Datagram>| {
        spawn(move || {
            let mut buffer = [0; 2_048];
            loop {
                // Errors are of single packets: somebody has gone.
                let Ok((count, source)) = from.recv_from(&mut buffer) else { continue };
                if sender.send(step(buffer[..count].to_vec(), source)).is_err() {
                    return;
                }
            }
        });
    };
    let mut clients: BTreeMap<SocketAddr, Arc<UdpSocket>> = BTreeMap::new();
    let (to_clients, back_sender) = (front.clone(), sender.clone());
    let forward = move |bytes: Vec<u8>, client: SocketAddr| {
        let back = clients.entry(client).or_insert_with(|| {
            let back = bind();
            let front = to_clients.clone();
            let step = move |bytes, _| (Instant::now() + delay, bytes, front.clone(), client);
            carry(back.clone(), Box::new(step), back_sender.clone());
            back
        });
        (Instant::now() + delay, bytes, back.clone(), node)
    };
    carry(front, Box::new(forward), sender);
    address
}
