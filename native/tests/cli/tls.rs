//! Nodes that speak TLS: with certificates of an authority, with one of their own, and with wrong ones.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use super::together::Running;
use super::{command, fails, folder, ok, one, run, text};

const DAY: Duration = Duration::from_secs(86_400);
/// Longer than a node may take to read a certificate that was renewed.
const RENEWED_WITHIN: u32 = 30;

/// An authority, whose certificates and keys stand in a folder.
struct Authority<'a> {
    folder: &'a Path,
    name: &'static str,
    issuer: Issuer<'static, KeyPair>,
}

impl<'a> Authority<'a> {
    fn new(folder: &'a Path, name: &'static str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let certificate = params.self_signed(&key).expect("signed");
        std::fs::write(folder.join(name), certificate.pem()).expect("written");
        Self { folder, name, issuer: Issuer::new(params, key) }
    }

    fn file(&self) -> String {
        self.folder.join(self.name).display().to_string()
    }

    /// Issues a certificate for a host, which ends so many days from now, and answers the files of it and its key.
    fn issue(&self, host: &str, days: i32) -> [String; 2] {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![host.to_owned()]).expect("a name");
        let (now, span) = (SystemTime::now(), DAY * days.unsigned_abs());
        params.not_before = (now - 30 * DAY).into();
        params.not_after = if days < 0 { now - span } else { now + span }.into();
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        let files = ["crt", "key"]
            .map(|kind| self.folder.join(format!("{}-{host}-{days}.{kind}", self.name)));
        std::fs::write(&files[0], certificate.pem()).expect("written");
        std::fs::write(&files[1], key.serialize_pem()).expect("written");
        files.map(|file| file.display().to_string())
    }
}

/// A node with these files, and where it is, as a URL.
fn node(data: &Path, [certificate, key]: &[String; 2]) -> (Running, String) {
    let serve = ["--json", "--name", "Node", "node", "--http", "127.0.0.1:0"];
    let tls = ["--tls-cert", certificate, "--tls-key", key];
    let mut node = Running::start(data, &[&serve[..], &tls].concat());
    let url = node.line()["url"].as_str().expect("text").to_owned();
    (node, url)
}

/// Makes a group by way of a node, and says what that told. The system trusts nobody but the authority in this file.
fn told(system: &str, arguments: &[&str]) -> String {
    let data = folder();
    let mut command = command(data.path());
    command.env("SSL_CERT_FILE", system).args(arguments).args(["group", "create", "Trip"]);
    let output = command.stdout(Stdio::null()).output().expect("runs");
    text(&output.stderr)
}

/// Two programs join over TLS, one by way of the description of the node, the other one over a WebSocket alone; the authority is
/// trusted by an option, or by the system.
#[test]
fn programs_meet_at_a_node_that_speaks_tls() {
    let (place, data, ada, bob) = (folder(), folder(), folder(), folder());
    let authority = Authority::new(place.path(), "ca");
    let (_node, url) = node(data.path(), &authority.issue("127.0.0.1", 30));
    assert!(url.starts_with("https://127.0.0.1:"), "{url}");
    let ca = authority.file();
    let by = |data: &Path, url: &str, arguments: &[&str]| -> Output {
        run(data, &[&["--tls-ca", &ca, "--node", url], arguments].concat())
    };
    ok(&by(ada.path(), &url, &["group", "create", "Trip"]));
    let published =
        by(ada.path(), &url, &["--json", "publish", "Trip", "t", &ca, "--wait", "stored"]);
    one(&published);
    let link = ok(&by(ada.path(), &url, &["group", "invite", "Trip"]));
    let mut adas = Running::start(ada.path(), &["--tls-ca", &ca, "--json", "watch", "Trip"]);
    adas.line();
    let socket = format!("{}/link", url.replacen("https", "wss", 1));
    let mut joins = command(bob.path());
    joins.env("SSL_CERT_FILE", &ca).args([
        "--json",
        "--node",
        &socket,
        "group",
        "join",
        link.trim(),
    ]);
    let joined = one(&joins.output().expect("runs"));
    assert_eq!(joined["records"], 1, "{joined}");
}

/// Goal: people read what is wrong with a certificate, and what to do. Method: a node for each fault.
#[test]
fn wrong_certificates_are_told_in_words() {
    let place = folder();
    let (authority, other) =
        (Authority::new(place.path(), "ca"), Authority::new(place.path(), "other"));
    let cases = [
        (authority.issue("127.0.0.1", 30), other.file(), "--tls-ca FILE"),
        (authority.issue("127.0.0.1", -1), authority.file(), "has expired"),
        (authority.issue("localhost", 30), authority.file(), "for other names than 127.0.0.1"),
    ];
    for (files, system, words) in &cases {
        let data = folder();
        let (_node, url) = node(data.path(), files);
        let socket = format!("{}/link", url.replacen("https", "wss", 1));
        for url in [&url, &socket] {
            let told = told(system, &["--node", url]);
            assert!(told.contains(words), "{url}: no {words:?} in: {told}");
        }
    }
    let data = folder();
    let (_plain, url) = Running::node(data.path());
    let told = told(&other.file(), &["--node", &url.replacen("http", "https", 1)]);
    assert!(told.contains("does not speak TLS"), "{told}");
}

#[test]
fn files_that_are_no_certificate_are_told_in_words() {
    let (place, data) = (folder(), folder());
    let authority = Authority::new(place.path(), "ca");
    let [certificate, key] = authority.issue("localhost", 30);
    let [_, others] = authority.issue("127.0.0.1", 30);
    let nothing = place.path().join("nothing").display().to_string();
    for (certificate, key, words) in [
        (&nothing, &key, "cannot read"),
        (&key, &key, "no certificate in PEM"),
        (&certificate, &certificate, "no private key in PEM"),
        (&certificate, &others, "is not that of the certificate"),
    ] {
        let serve = ["node", "--http", "127.0.0.1:0", "--tls-cert", certificate, "--tls-key", key];
        fails(&run(data.path(), &serve), 1, &[words]);
    }
    fails(&run(data.path(), &["--tls-ca", &key, "group", "list"]), 1, &["no certificate in PEM"]);
    fails(&run(data.path(), &["node", "--tls-cert", &certificate]), 2, &["--tls-key"]);
}

/// Goal: a certificate that was renewed is shown without a restart, and one that cannot be read is not. Method: the files are
/// first damaged, then replaced by those of another authority.
#[test]
fn renewed_certificate_is_shown_without_a_restart() {
    let (place, data) = (folder(), folder());
    let (first, second) =
        (Authority::new(place.path(), "first"), Authority::new(place.path(), "second"));
    let shown = first.issue("127.0.0.1", 30);
    let (_node, url) = node(data.path(), &shown);
    let reached = |authority: &Authority<'_>| {
        told(&authority.file(), &["--node", &url, "--timeout", "2s"]).contains("is kept")
    };
    assert!(reached(&first) && !reached(&second));
    let before = std::fs::read(&shown[0]).expect("read");
    std::fs::write(&shown[0], "nonsense").expect("written");
    std::thread::sleep(Duration::from_secs(7));
    assert!(reached(&first), "the one before is shown on");
    std::fs::write(&shown[0], before).expect("written");
    for (from, to) in second.issue("127.0.0.1", 30).iter().zip(&shown) {
        std::fs::copy(from, to).expect("copied");
    }
    let renewed = (0..RENEWED_WITHIN).any(|_| {
        std::thread::sleep(Duration::from_millis(500));
        reached(&second)
    });
    assert!(renewed && !reached(&first));
}

/// Goal: a node in a local network has a certificate of its own, which stays, and tells people how to trust it. Method: two
/// starts; a program that was given the certificate; somebody who speaks plain HTTP.
#[test]
fn node_makes_a_certificate_of_its_own() {
    let (data, ada) = (folder(), folder());
    let serve = ["--json", "--name", "Node", "node", "--http", "127.0.0.1:0", "--tls", "self"];
    let mut fingerprints = Vec::new();
    for _ in 0..2 {
        let log = data.path().join("log");
        let mut command = command(data.path());
        command.args(serve);
        let mut node = Running::with_errors(&mut command, &log);
        let ready = node.line();
        let (tls, url) = (&ready["tls"], ready["url"].as_str().expect("text"));
        let fingerprint = tls["sha256"].as_str().expect("text").to_owned();
        let file = PathBuf::from(tls["certificate"].as_str().expect("text"));
        let told = run(
            ada.path(),
            &["--tls-ca", &file.display().to_string(), "--node", url, "group", "create", "Trip"],
        );
        ok(&told);
        let words = std::fs::read_to_string(&log).expect("read");
        assert!(words.contains(&fingerprint) && words.contains("--tls-ca"), "{words}");
        fingerprints.push(fingerprint);
        let mut plain = TcpStream::connect(url.trim_start_matches("https://")).expect("connected");
        write!(plain, "GET /chat/ HTTP/1.1\r\nHost: node.example\r\n\r\n").expect("written");
        let mut answer = String::new();
        plain.read_to_string(&mut answer).expect("answered");
        assert!(answer.to_lowercase().contains("location: https://node.example/chat/"), "{answer}");
    }
    assert_eq!(fingerprints[0], fingerprints[1]);
    let kept = ok(&run(ada.path(), &["node", "list"]));
    assert!(kept.contains("https://127.0.0.1:"), "{kept}");
}
