use super::*;
use crate::connect::Trust;
use crate::websocket::Socket;
use peergraph_core::id::Fingerprint;
use peergraph_core::io::LinkId;
use peergraph_core::io::LookupFault;
use peergraph_core::limits::FRAME_BYTES_MAX;
use peergraph_core::node_url::{LookUp, NodeUrl};
use peergraph_core::place::Places;
use std::fs;
use std::sync::RwLock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The repeated part of a long page.
const LONG: &str = "0123456789";

struct Bench {
    address: SocketAddr,
    reports: mpsc::Receiver<Report>,
    sender: mpsc::Sender<Report>,
    _folder: tempfile::TempDir,
}

impl Bench {
    async fn start() -> Self {
        Self::with(None, &[]).await
    }

    async fn with(public_url: Option<&str>, trusted: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("pages/chat")).expect("made");
        fs::create_dir_all(at("package/js")).expect("made");
        fs::write(at("secret.txt"), "secret").expect("written");
        fs::write(at("pages/index.html"), "<p>front").expect("written");
        fs::write(at("pages/chat/index.html"), "<p>chat").expect("written");
        fs::write(at("pages/sw.js"), "// worker").expect("written");
        fs::write(at("pages/long.js"), LONG.repeat(10_000)).expect("written");
        fs::write(at("package/peergraph_bg.wasm"), b"\0asm").expect("written");
        #[cfg(unix)]
        std::os::unix::fs::symlink(at("secret.txt"), at("pages/link.txt")).expect("linked");
        let udp: Vec<SocketAddr> = vec!["127.0.0.1:4000".parse().expect("an address")];
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("bound");
        let addresses = Addresses {
            fingerprint: Fingerprint::from_bytes([2; 32]),
            bound: udp.clone(),
            http: vec![address],
            tls: false,
            public_url: public_url.map(|url| url.parse().expect("a URL")),
            local: RwLock::new(udp),
        };
        let site = Site {
            peer: PeerId::from_bytes([1; 32]),
            addresses: Arc::new(addresses),
            trusted: trusted.iter().map(|it| it.parse().expect("a network")).collect(),
            pages: Some(at("pages")),
            package: Some(at("package")),
            tls: None,
            shelf: Arc::default(),
        };
        let (sender, reports) = mpsc::channel(websocket::REPORTS_MAX);
        tokio::spawn(serve(vec![listener], site, sender.clone()));
        Self { address, reports, sender, _folder: folder }
    }

    /// Status line and head in lower case, and body.
    async fn ask(&self, head: &str) -> (String, String) {
        let mut stream = TcpStream::connect(self.address).await.expect("connected");
        let request = format!("{head}\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address);
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("answered");
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        (head.to_lowercase(), body.to_owned())
    }

    async fn get(&self, path: &str) -> (String, String) {
        self.ask(&format!("GET {path} HTTP/1.1")).await
    }

    async fn report(&mut self) -> Report {
        let report = tokio::time::timeout(Duration::from_secs(10), self.reports.recv()).await;
        report.expect("in time").expect("open")
    }

    /// Dials our own door; the dialled link is 1, the accepted one 2.
    async fn dial(&mut self) -> (Socket, Socket) {
        let url = format!("ws://{}/link", self.address).parse().expect("a URL");
        let ours =
            websocket::dial(LinkId(1), url, Places::ALL, Trust::default(), self.sender.clone());
        let (mut theirs, mut up) = (None, false);
        while theirs.is_none() || !up {
            match self.report().await {
                Report::Accepted { socket, name, .. } => {
                    name.send(LinkId(2)).expect("waited for");
                    theirs = Some(socket);
                }
                Report::Up { link: LinkId(1) } => up = true,
                Report::Up { .. } | Report::Frame { .. } => panic!("something else first"),
                Report::Buffered { .. }
                | Report::Down { .. }
                | Report::Failed { .. }
                | Report::LookedUp { .. }
                | Report::StunServers(_) => {
                    panic!("something else first")
                }
            }
        }
        (ours, theirs.expect("accepted"))
    }

    async fn frame(&mut self) -> (LinkId, Bytes) {
        loop {
            match self.report().await {
                Report::Frame { link, bytes } => return (link, bytes),
                Report::Buffered { .. } | Report::LookedUp { .. } | Report::StunServers(_) => {}
                Report::Down { link } | Report::Failed { link, .. } => panic!("{link:?} is down"),
                Report::Accepted { .. } | Report::Up { .. } => panic!("something else first"),
            }
        }
    }

    async fn down(&mut self) -> LinkId {
        loop {
            if let Report::Down { link } = self.report().await {
                return link;
            }
        }
    }
}

#[tokio::test]
async fn pages_come_with_type_and_policy() {
    let bench = Bench::start().await;
    for (path, kind, body) in [
        ("/", "text/html; charset=utf-8", "<p>front"),
        ("/chat/", "text/html; charset=utf-8", "<p>chat"),
        ("/sw.js", "text/javascript; charset=utf-8", "// worker"),
        ("/sw.js?x=1", "text/javascript; charset=utf-8", "// worker"),
        ("/peergraph/peergraph_bg.wasm", "application/wasm", "\0asm"),
    ] {
        let (head, found) = bench.get(path).await;
        assert!(head.starts_with("http/1.1 200"), "{path}: {head}");
        assert!(head.contains(&format!("content-type: {kind}")), "{path}: {head}");
        assert!(head.contains("script-src 'self' 'wasm-unsafe-eval'"), "{path}: {head}");
        assert!(head.contains("x-content-type-options: nosniff"), "{path}: {head}");
        assert_eq!(found, body, "{path}");
    }
    assert!(bench.get("/sw.js").await.0.contains("service-worker-allowed: /"));
    let (head, _) = bench.get("/chat").await;
    assert!(head.starts_with("http/1.1 308") && head.contains("location: chat/"), "{head}");
}

#[tokio::test]
async fn nothing_outside_the_folders_is_served() {
    let bench = Bench::start().await;
    for path in [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/chat/../../secret.txt",
        "//etc/passwd",
        "/link.txt",
        "/nothing.html",
        "/peergraph/../secret.txt",
        "/peergraph/",
    ] {
        let (head, body) = bench.get(path).await;
        assert!(head.starts_with("http/1.1 404"), "{path}: {head}");
        assert!(!body.contains("secret"), "{path}");
    }
    let (head, _) = bench.ask("POST / HTTP/1.1").await;
    assert!(head.starts_with("http/1.1 405"), "{head}");
}

#[tokio::test]
async fn unchanged_pages_are_not_sent_again() {
    let bench = Bench::start().await;
    let (head, _) = bench.get("/").await;
    let etag = head.lines().find_map(|line| line.strip_prefix("etag: ")).expect("an etag");
    let (head, body) = bench.ask(&format!("GET / HTTP/1.1\r\nIf-None-Match: {etag}")).await;
    assert!(head.starts_with("http/1.1 304"), "{head}");
    assert_eq!(body, "");
    let (head, body) = bench.ask("HEAD / HTTP/1.1").await;
    assert!(head.contains("content-length: 8"), "{head}");
    assert_eq!(body, "");
}

#[tokio::test]
async fn long_pages_are_compressed_for_those_who_take_it() {
    let bench = Bench::start().await;
    let ask = async |accepts: &str, tag: &str| {
        let lines = "GET /long.js HTTP/1.1\r\nAccept-Encoding: ";
        bench.ask(&format!("{lines}{accepts}\r\nIf-None-Match: {tag}")).await
    };
    let length = |head: &str| -> usize {
        let line = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        line.expect("a length").parse().expect("a number")
    };
    let (head, _) = ask("br;q=0, gzip", "none").await;
    assert!(head.contains("content-encoding: gzip") && length(&head) < 10_000, "{head}");
    assert!(head.contains("vary: accept-encoding"), "{head}");
    let tag = head.lines().find_map(|line| line.strip_prefix("etag: ")).expect("a tag").to_owned();
    assert!(tag.starts_with("w/"), "{tag}");
    let (plain, body) = ask("identity, gzip;q=0", "none").await;
    assert!(!plain.contains("content-encoding"), "{plain}");
    assert_eq!(body, LONG.repeat(10_000));
    assert!(plain.contains(&format!("etag: {}", &tag[2..])), "the same version: {plain}");
    for known in [format!("W/{}", &tag[2..]), tag[2..].to_owned()] {
        let (head, body) = ask("gzip", &known).await;
        assert!(head.starts_with("http/1.1 304") && body.is_empty(), "{head}");
    }
    // The best form is made in the background, for later clients.
    let mut came = String::new();
    for _ in 0..200 {
        (came, _) = ask("gzip, br", "none").await;
        if came.contains("content-encoding: br") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(came.contains("content-encoding: br") && length(&came) < 10_000, "{came}");
}

#[tokio::test]
async fn parts_of_a_page_are_sent() {
    let bench = Bench::start().await;
    let ask = async |range: &str| {
        let lines = "GET /long.js HTTP/1.1\r\nAccept-Encoding: gzip\r\n";
        bench.ask(&format!("{lines}{range}")).await
    };
    let (head, body) = ask("Range: bytes=5-14").await;
    assert!(head.starts_with("http/1.1 206"), "{head}");
    assert!(head.contains("content-range: bytes 5-14/100000"), "{head}");
    assert_eq!(body, "5678901234");
    let tag = head.lines().find_map(|line| line.strip_prefix("etag: ")).expect("a tag");
    for (range, status, part, length) in [
        ("Range: bytes=-3".to_owned(), 206, "bytes 99997-99999/100000", 3),
        ("Range: bytes=99990-".to_owned(), 206, "bytes 99990-99999/100000", 10),
        ("Range: bytes=100000-".to_owned(), 416, "bytes */100000", 0),
        (format!("If-Range: {tag}\r\nRange: bytes=0-0"), 206, "bytes 0-0/100000", 1),
    ] {
        let (head, body) = ask(&range).await;
        assert!(head.starts_with(&format!("http/1.1 {status}")), "{range}: {head}");
        assert!(head.contains(&format!("content-range: {part}")), "{range}: {head}");
        assert_eq!(body.len(), length, "{range}");
    }
    // Of another version, of several parts, or of nonsense: the whole, which is compressed.
    for range in ["If-Range: \"1-1\"\r\nRange: bytes=0-0", "Range: bytes=0-0,5-6", "Range: lines=1"]
    {
        let (head, _) = ask(range).await;
        assert!(head.starts_with("http/1.1 200"), "{range}: {head}");
        assert!(!head.contains("content-range"), "{range}: {head}");
    }
}

#[tokio::test]
async fn description_is_understood_by_our_own_lookup() {
    let bench = Bench::start().await;
    let (head, body) = bench.get("/.well-known/peergraph").await;
    assert!(head.contains("access-control-allow-origin: *"), "{head}");
    let json: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(json["version"], 1);
    assert_eq!(json["peer"], PeerId::from_bytes([1; 32]).to_string());
    let url: NodeUrl = format!("http://{}", bench.address).parse().expect("a URL");
    let look_up = LookUp { url: url.description().expect("a web URL"), places: Places::ALL };
    let described = crate::lookup::fetch(&look_up, &Trust::default()).await.expect("found");
    let addresses = url.addresses(&described).expect("usable");
    let fingerprint = Fingerprint::from_bytes([2; 32]);
    assert_eq!(
        addresses,
        [
            format!("rtc://127.0.0.1:4000/{fingerprint}").parse().expect("an address"),
            format!("ws://{}/link", bench.address).parse().expect("an address"),
        ]
    );
}

#[tokio::test]
async fn lookup_of_something_else_says_so() {
    let bench = Bench::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let closed = listener.local_addr().expect("bound");
    drop(listener);
    let look_up = async |text: String| {
        let url: NodeUrl = text.parse().expect("a URL");
        let url = url.description().expect("a web URL");
        crate::lookup::fetch(&LookUp { url, places: Places::ALL }, &Trust::default())
            .await
            .expect_err("not a node")
            .fault
    };
    assert_eq!(look_up(format!("http://{closed}")).await, LookupFault::Unreachable);
    assert_eq!(look_up(format!("http://{}/no", bench.address)).await, LookupFault::Status(404));
    // It speaks no TLS; what the text is depends on the trust that this machine has.
    look_up(format!("https://{}", bench.address)).await;
}

/// Whether or not the proxy takes away the path of the public URL.
#[tokio::test]
async fn everything_is_below_the_path_of_the_public_url_too() {
    let bench = Bench::with(Some("https://node.example/pg/"), &[]).await;
    for path in ["/.well-known/peergraph", "/pg/.well-known/peergraph"] {
        let (head, body) = bench.get(path).await;
        assert!(head.starts_with("http/1.1 200"), "{path}: {head}");
        let json: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        // A client that came by that name is not on this machine, even if a proxy on it brought the
        // request.
        assert_eq!(json["addresses"], serde_json::json!(["wss://node.example/pg/link"]), "{path}");
    }
    for (path, found) in [("/pg/chat/", "<p>chat"), ("/pg/", "<p>front"), ("/chat/", "<p>chat")] {
        assert_eq!(bench.get(path).await.1, found, "{path}");
    }
    assert!(bench.get("/pg/link").await.0.starts_with("http/1.1 426"));
    assert!(bench.get("/pgx/").await.0.starts_with("http/1.1 404"));
}

#[tokio::test]
async fn loopback_is_not_told_through_a_proxy() {
    let bench = Bench::start().await;
    for version in ["HTTP/1.0", "HTTP/1.1\r\nX-Forwarded-For: 192.0.2.1"] {
        let (head, body) = bench.ask(&format!("GET /.well-known/peergraph {version}")).await;
        assert!(head.contains(" 200"), "{head}");
        assert!(!body.contains("rtc://127.0.0.1"), "{body}");
    }
}

/// Goal: a client that is refused is told so. Method: one source holds all the connections that it
/// may have, then asks for more.
#[tokio::test]
async fn connection_too_many_is_answered_and_told_why() {
    let bench = Bench::start().await;
    let mut held = Vec::new();
    for _ in 0..source::CONNECTIONS.each() {
        held.push(TcpStream::connect(bench.address).await.expect("connected"));
    }
    let (head, body) = bench.get("/").await;
    assert!(head.starts_with("http/1.1 503") && head.contains("retry-after"), "{head}");
    assert!(body.contains("Too many connections"), "{body}");
    drop(held);
    let back = async {
        while !bench.get("/").await.0.starts_with("http/1.1 200") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), back).await.expect("there is room again");
}

/// Goal: behind a trusted proxy every client has connections of its own. Method: all connections come from one address,
/// which is trusted, and hold WebSockets of one client until it may have no more; another client is served.
#[tokio::test]
async fn clients_behind_a_trusted_proxy_are_counted_apart() {
    let mut bench = Bench::with(None, &["127.0.0.0/8"]).await;
    let upgrade = |client: &str| {
        format!(
            "GET /link HTTP/1.1\r\nHost: node.example\r\nX-Forwarded-For: {client}\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
    };
    let (mut held, mut sockets) = (Vec::new(), Vec::new());
    let mut open = async |client: &str| {
        let mut stream = TcpStream::connect(bench.address).await.expect("connected");
        stream.write_all(upgrade(client).as_bytes()).await.expect("sent");
        let mut status = [0; 12];
        stream.read_exact(&mut status).await.expect("answered");
        held.push(stream);
        String::from_utf8_lossy(&status).into_owned()
    };
    let reports = &mut bench.reports;
    for n in 0..source::CONNECTIONS.each() {
        assert_eq!(open("192.0.2.1").await, "HTTP/1.1 101");
        let Some(Report::Accepted { socket, name, .. }) = reports.recv().await else {
            panic!("something else first")
        };
        name.send(LinkId(n)).expect("waited for");
        sockets.push(socket);
    }
    assert_eq!(open("192.0.2.1").await, "HTTP/1.1 503");
    assert_eq!(open("192.0.2.2").await, "HTTP/1.1 101");
}

#[tokio::test]
async fn frames_travel_both_ways_and_whole() {
    let mut bench = Bench::start().await;
    let (ours, theirs) = bench.dial().await;
    let long = Bytes::from(vec![7; FRAME_BYTES_MAX]);
    assert!(ours.send(long.clone()));
    assert_eq!(bench.frame().await, (LinkId(2), long));
    assert!(theirs.send(Bytes::from_static(b"back")));
    assert_eq!(bench.frame().await, (LinkId(1), Bytes::from_static(b"back")));
}

#[tokio::test]
async fn dropping_a_socket_sends_what_waits_and_then_closes() {
    let mut bench = Bench::start().await;
    let (ours, _theirs) = bench.dial().await;
    for n in 0..100_u8 {
        assert!(ours.send(vec![n; 1000].into()));
    }
    drop(ours);
    for n in 0..100_u8 {
        let (link, bytes) = bench.frame().await;
        assert_eq!((link, bytes[0]), (LinkId(2), n));
    }
    let mut gone = [bench.down().await, bench.down().await];
    gone.sort();
    assert_eq!(gone, [LinkId(1), LinkId(2)]);
}

#[tokio::test]
async fn a_socket_whose_reader_sleeps_is_bounded() {
    let mut bench = Bench::start().await;
    let (ours, _theirs) = bench.dial().await;
    // Nobody takes reports: the channel fills, then the TCP windows, then the queue.
    let frame = Bytes::from(vec![0; FRAME_BYTES_MAX]);
    let mut sent = 0;
    while ours.send(frame.clone()) {
        sent += 1;
        assert!(sent < 10_000, "no bound");
        tokio::task::yield_now().await;
    }
    assert!(ours.queued() <= 2 * 1024 * 1024, "{} bytes wait", ours.queued());
}

#[tokio::test]
async fn text_and_long_messages_cost_the_link() {
    use futures::SinkExt as _;
    use tokio_tungstenite::tungstenite::Message;
    for message in [Message::text("hello"), Message::binary(vec![0; FRAME_BYTES_MAX + 1])] {
        let mut bench = Bench::start().await;
        let stream = TcpStream::connect(bench.address).await.expect("connected");
        let url = format!("ws://{}/link", bench.address);
        let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.expect("upgraded");
        let Report::Accepted { socket: _theirs, name, .. } = bench.report().await else {
            panic!("something else first")
        };
        name.send(LinkId(2)).expect("waited for");
        socket.send(message).await.expect("sent");
        assert_eq!(bench.down().await, LinkId(2));
    }
}

#[tokio::test]
async fn the_door_for_links_is_no_page() {
    let bench = Bench::start().await;
    let (head, _) = bench.get("/link").await;
    assert!(head.starts_with("http/1.1 426"), "{head}");
    let (head, _) = bench
        .ask("GET /link HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 12")
        .await;
    assert!(head.starts_with("http/1.1 426"), "{head}");
}
