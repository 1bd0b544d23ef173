//! The signals between the two ends of a link before it exists: offer, answer, candidates.
//!
//! On the wire it is the JSON that browsers use, `{"type":"offer","sdp":"…"}`,
//! `{"type":"answer","sdp":"…"}`, `{"candidate":"…",…}`; an empty or null candidate is the end.
//!
//! A session description from outside never reaches the WebRTC stack. The few values that a data
//! channel needs are read, checked and written into a description of our own.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::MESSAGE_BYTES_MAX;

/// Longest signal. Bytes. Browsers' descriptions of one data channel are 0.5 to 2 KB.
pub const SIGNAL_BYTES_MAX: usize = 8 * 1024;
/// Most candidates taken from one other end; more are ignored. Each is a host that we send to.
pub(super) const CANDIDATES_MAX: usize = 24;

/// The beginnings of direct dials, and how long the dialler's own ICE password is that follows.
/// Chromium's and ours have 24 characters, Firefox' 32.
const DIRECT: [(&str, usize); 2] = [("d1/", PASSWORD_CHARS), ("d2/", 32)];
/// Fresh random characters that a direct fragment ends with, at least.
const DIRECT_RANDOM_CHARS_MIN: usize = 16;
/// Length of the ICE passwords that we make.
pub(super) const PASSWORD_CHARS: usize = 24;
/// RFC 8839 section 5.4: at most 256 characters.
const ICE_CHARS_MAX: usize = 256;

/// Why a signal was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignalError {
    /// There is no such link.
    #[error("no such link")]
    NoLink,
    /// Longer than [`SIGNAL_BYTES_MAX`].
    #[error("signal is too long")]
    TooLong,
    /// Not one of the three JSON forms.
    #[error("signal is not an offer, an answer or a candidate")]
    Malformed,
    /// A session description without the parts of a data channel, or with others.
    #[error("session description is not one of a data channel")]
    BadDescription,
    /// An offer for an offerer, an answer for an answerer, or a second description.
    #[error("description does not fit the state of the link")]
    Unexpected,
    /// The WebRTC stack refused it.
    #[error("description was refused")]
    Refused,
}

/// One signal from the other end, checked.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Offer(Description),
    Answer(Description),
    /// `None`: a candidate that we cannot use (a name, TCP), or the end of them.
    Candidate(Option<SocketAddr>),
}

#[derive(Deserialize)]
struct Incoming {
    #[serde(rename = "type")]
    kind: Option<String>,
    sdp: Option<String>,
    // Told apart from an absent one: null is the end of candidates.
    #[serde(default, deserialize_with = "present")]
    candidate: Option<Option<String>>,
}

fn present<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(from).map(Some)
}

impl Signal {
    pub(super) fn parse(json: &str) -> Result<Self, SignalError> {
        if json.len() > SIGNAL_BYTES_MAX {
            return Err(SignalError::TooLong);
        }
        let incoming: Incoming = serde_json::from_str(json).map_err(|_| SignalError::Malformed)?;
        match (incoming.kind.as_deref(), incoming.sdp, incoming.candidate) {
            (Some("offer"), Some(sdp), None) => Ok(Self::Offer(Description::parse(&sdp)?)),
            (Some("answer"), Some(sdp), None) => Ok(Self::Answer(Description::parse(&sdp)?)),
            (None, None, Some(text)) => Ok(Self::Candidate(candidate(&text.unwrap_or_default()))),
            _ => Err(SignalError::Malformed),
        }
    }
}

/// The JSON of a description of ours.
pub(super) fn description_json(kind: &'static str, sdp: &str) -> String {
    #[derive(Serialize)]
    struct Outgoing<'a> {
        #[serde(rename = "type")]
        kind: &'static str,
        sdp: &'a str,
    }
    serde_json::to_string(&Outgoing { kind, sdp }).expect("strings always serialize")
}

/// The end's part in DTLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setup {
    Either,
    Active,
    Passive,
}

impl Setup {
    fn text(self) -> &'static str {
        match self {
            Self::Either => "actpass",
            Self::Active => "active",
            Self::Passive => "passive",
        }
    }
}

/// The facts that we need to know of the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Description {
    pub(super) ufrag: String,
    pub(super) password: String,
    pub(super) fingerprint: [u8; 32],
    pub(super) setup: Setup,
    pub(super) mid: String,
    pub(super) ice_lite: bool,
    pub(super) sctp_port: u16,
    pub(super) message_bytes_max: usize,
    pub(super) candidates: Vec<SocketAddr>,
}

impl Description {
    /// The description of a stranger who dials directly: everything is in the fragments.
    /// His fingerprint is unknown before the handshake, so it is not checked in it.
    pub(super) fn of_stranger(ufrag: &str, password: &str) -> Self {
        Self {
            ufrag: ufrag.into(),
            password: password.into(),
            fingerprint: [0xff; 32],
            setup: Setup::Either,
            mid: "0".into(),
            ice_lite: false,
            sctp_port: 5000,
            message_bytes_max: MESSAGE_BYTES_MAX,
            candidates: Vec::new(),
        }
    }

    /// The answer that the node at `to`, which we dial directly, would give.
    pub(super) fn of_node(to: SocketAddr, fingerprint: [u8; 32], fragment: &str) -> Self {
        Self {
            fingerprint,
            setup: Setup::Passive,
            ice_lite: true,
            candidates: vec![to],
            ..Self::of_stranger(fragment, fragment)
        }
    }

    fn parse(sdp: &str) -> Result<Self, SignalError> {
        let bad = SignalError::BadDescription;
        let mut lines = sdp.lines();
        if lines.next() != Some("v=0") {
            return Err(bad);
        }
        let mut media = 0;
        let mut ice_lite = false;
        let (mut ufrag, mut password, mut fingerprint) = (None, None, None);
        let (mut setup, mut mid) = (None, None);
        let (mut sctp_port, mut message_bytes_max) = (5000, 65_536);
        let mut candidates = Vec::new();
        for line in lines {
            if let Some(value) = line.strip_prefix("m=") {
                media += 1;
                if !value.starts_with("application ") || !value.contains("webrtc-datachannel") {
                    return Err(bad);
                }
            }
            let Some(attribute) = line.strip_prefix("a=") else { continue };
            let (name, value) = attribute.split_once(':').unwrap_or((attribute, ""));
            match name {
                "ice-ufrag" => once(&mut ufrag, ice_chars(value, 4))?,
                "ice-pwd" => once(&mut password, ice_chars(value, 22))?,
                "fingerprint" => once(&mut fingerprint, fingerprint_bytes(value))?,
                "setup" => once(&mut setup, setup_value(value))?,
                "mid" => once(&mut mid, mid_value(value))?,
                "ice-lite" => ice_lite = true,
                "sctp-port" => sctp_port = value.parse().map_err(|_| bad)?,
                "max-message-size" => message_bytes_max = value.parse().map_err(|_| bad)?,
                "candidate" if candidates.len() < CANDIDATES_MAX => {
                    candidates.extend(candidate(value));
                }
                _ => {}
            }
        }
        if media != 1 {
            return Err(bad);
        }
        // 0 means "no limit" (RFC 8841 section 6.1).
        if message_bytes_max == 0 {
            message_bytes_max = MESSAGE_BYTES_MAX;
        }
        Ok(Self {
            ufrag: ufrag.ok_or(bad)?,
            password: password.ok_or(bad)?,
            fingerprint: fingerprint.ok_or(bad)?,
            setup: setup.ok_or(bad)?,
            mid: mid.ok_or(bad)?,
            ice_lite,
            sctp_port,
            message_bytes_max: message_bytes_max.min(MESSAGE_BYTES_MAX),
            candidates,
        })
    }

    /// The description for the WebRTC stack, made of checked values only.
    pub(super) fn to_sdp(&self) -> String {
        let Self { ufrag, password, mid, sctp_port, message_bytes_max, .. } = self;
        let lite = if self.ice_lite { "a=ice-lite\r\n" } else { "" };
        let setup = self.setup.text();
        let mut sdp = format!(
            "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n{lite}a=group:BUNDLE {mid}\r\n\
             m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n\
             a=mid:{mid}\r\na=ice-ufrag:{ufrag}\r\na=ice-pwd:{password}\r\n\
             a=fingerprint:sha-256 {}\r\na=setup:{setup}\r\na=sctp-port:{sctp_port}\r\n\
             a=max-message-size:{message_bytes_max}\r\n",
            fingerprint_text(&self.fingerprint),
        );
        for address in &self.candidates {
            let _ = write!(sdp, "a={}\r\n", candidate_text(*address));
        }
        sdp
    }
}

/// The candidate line for an address, as a host candidate.
pub(super) fn candidate_text(address: SocketAddr) -> String {
    format!("candidate:1 1 udp 2130706431 {} {} typ host", address.ip(), address.port())
}

/// The JSON of a candidate of ours that a server sees (RFC 8839, section 5.1). The address behind it is not told.
pub(super) fn reflexive_json(seen: SocketAddr) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Outgoing {
        candidate: String,
        sdp_m_line_index: u16,
    }
    let base = if seen.is_ipv4() { "0.0.0.0" } else { "::" };
    let (ip, port) = (seen.ip(), seen.port());
    let candidate =
        format!("candidate:2 1 udp 1694498815 {ip} {port} typ srflx raddr {base} rport 0");
    let outgoing = Outgoing { candidate, sdp_m_line_index: 0 };
    serde_json::to_string(&outgoing).expect("strings always serialize")
}

/// The address of a UDP candidate, if it is an address: browsers hide theirs behind names, and
/// become known when their checks arrive.
fn candidate(text: &str) -> Option<SocketAddr> {
    let text = text.strip_prefix("candidate:").unwrap_or(text);
    let mut words = text.split_ascii_whitespace();
    let (component, transport) = (words.nth(1)?, words.next()?);
    let (ip, port) = (words.nth(1)?, words.next()?);
    if component != "1" || !transport.eq_ignore_ascii_case("udp") || words.next()? != "typ" {
        return None;
    }
    let address = SocketAddr::new(ip.parse().ok()?, port.parse().ok()?);
    is_usable(address).then_some(address)
}

/// Says whether packets may be sent there because somebody said so.
pub(super) fn is_usable(address: SocketAddr) -> bool {
    let link_local = match address.ip() {
        IpAddr::V4(ip) => ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_unicast_link_local() || ip.to_ipv4_mapped().is_some(),
    };
    address.port() != 0
        && !link_local
        && !address.ip().is_unspecified()
        && !address.ip().is_multicast()
}

/// The dialler's own password in the fragment that he invented for us, if it has the direct form:
/// `"d1/" ‖ password (24) ‖ random (16 or more)`.
pub(super) fn direct_password(fragment: &str) -> Option<&str> {
    ice_chars(fragment, 0)?;
    let (prefix, chars) = DIRECT.iter().find(|(prefix, _)| fragment.starts_with(prefix))?;
    let rest = &fragment[prefix.len()..];
    (rest.len() >= chars + DIRECT_RANDOM_CHARS_MIN).then(|| &rest[..*chars])
}

/// Says whether a username fragment has the form that ICE allows.
pub(super) fn is_ufrag(text: &str) -> bool {
    ice_chars(text, 4).is_some()
}

/// The fragment that a dialler with this password invents for the node.
pub(super) fn direct_fragment(password: &str, random: &str) -> String {
    format!("{}{password}{random}", DIRECT[0].0)
}

fn once<T>(slot: &mut Option<T>, value: Option<T>) -> Result<(), SignalError> {
    // Description and media section may both say it; the same stack says the same.
    let value = value.ok_or(SignalError::BadDescription)?;
    slot.get_or_insert(value);
    Ok(())
}

fn ice_chars(text: &str, chars_min: usize) -> Option<String> {
    let fits = (chars_min..=ICE_CHARS_MAX).contains(&text.len());
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    (fits && text.bytes().all(plain)).then(|| text.into())
}

fn mid_value(text: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    ((1..=32).contains(&text.len()) && text.bytes().all(plain)).then(|| text.into())
}

fn setup_value(text: &str) -> Option<Setup> {
    [Setup::Either, Setup::Active, Setup::Passive].into_iter().find(|setup| setup.text() == text)
}

fn fingerprint_bytes(text: &str) -> Option<[u8; 32]> {
    let (hash, value) = text.split_once(' ')?;
    if !hash.eq_ignore_ascii_case("sha-256") {
        return None;
    }
    let mut bytes = [0; 32];
    let mut parts = value.split(':');
    for byte in &mut bytes {
        let part = parts.next().filter(|part| part.len() == 2)?;
        *byte = u8::from_str_radix(part, 16).ok()?;
    }
    parts.next().is_none().then_some(bytes)
}

fn fingerprint_text(bytes: &[u8; 32]) -> String {
    let parts: Vec<_> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    parts.join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Chromium 156 writes it, with a name for a candidate.
    fn chromium() -> String {
        let fingerprint = fingerprint_text(&[0xa5; 32]);
        format!(
            "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n\
             a=group:BUNDLE 0\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS\r\n\
             m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n\
             a=candidate:1 1 udp 2113937151 8a0b-1f.local 51000 typ host generation 0\r\n\
             a=candidate:2 1 udp 2113937151 192.0.2.7 51001 typ host generation 0\r\n\
             a=candidate:3 1 tcp 1518280447 192.0.2.7 9 typ host tcptype active\r\n\
             a=ice-ufrag:1/+x\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=ice-options:trickle\r\n\
             a=fingerprint:sha-256 {fingerprint}\r\na=setup:actpass\r\na=mid:0\r\n\
             a=sctp-port:5000\r\na=max-message-size:262144\r\n"
        )
    }

    fn offer(sdp: &str) -> Result<Description, SignalError> {
        match Signal::parse(&description_json("offer", sdp))? {
            Signal::Offer(description) => Ok(description),
            Signal::Answer(_) | Signal::Candidate(_) => panic!("not an offer"),
        }
    }

    #[test]
    fn a_browsers_offer_is_read_and_written_again() {
        let read = offer(&chromium()).expect("a good offer");
        assert_eq!(read.ufrag, "1/+x");
        assert_eq!(read.fingerprint, [0xa5; 32]);
        let address: SocketAddr = "192.0.2.7:51001".parse().expect("address");
        assert_eq!(read.candidates, [address]);
        assert_eq!(read.message_bytes_max, MESSAGE_BYTES_MAX);
        assert_eq!(offer(&read.to_sdp()).expect("our own form"), read);
    }

    #[test]
    fn descriptions_of_anything_else_are_refused() {
        let good = chromium();
        let with_video = format!("{good}m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\n");
        assert_eq!(offer(&with_video), Err(SignalError::BadDescription));
        assert_eq!(offer(""), Err(SignalError::BadDescription));
        for line in ["m=app", "a=ice-ufrag", "a=ice-pwd", "a=fingerprint", "a=setup", "a=mid"] {
            let without: Vec<_> = good.lines().filter(|text| !text.starts_with(line)).collect();
            assert_eq!(offer(&without.join("\r\n")), Err(SignalError::BadDescription), "{line}");
        }
        for (from, to) in [
            ("ice-ufrag:1/+x", "ice-ufrag:1 x y"),
            ("sha-256 A5:", "sha-256 A5:A5:"),
            ("sha-256", "sha-1"),
            ("setup:actpass", "setup:holdconn"),
            ("mid:0", "mid:0\u{e9}"),
            ("sctp-port:5000", "sctp-port:99999"),
        ] {
            let changed = good.replace(from, to);
            assert_ne!(changed, good);
            assert_eq!(offer(&changed), Err(SignalError::BadDescription), "{to}");
        }
    }

    #[test]
    fn candidates_are_bounded_and_must_be_addresses() {
        let line = "a=candidate:2 1 udp 1 192.0.2.7 51001 typ host\r\n";
        let many = format!("{}{}", chromium(), line.repeat(100));
        assert_eq!(offer(&many).expect("good").candidates.len(), CANDIDATES_MAX);
        for text in [
            "",
            "candidate:",
            "candidate:1 1 udp 1 a.local 9 typ host",
            "candidate:1 1 udp 1 224.0.0.1 9 typ host",
            "candidate:1 1 udp 1 0.0.0.0 9 typ host",
            "candidate:1 1 udp 1 192.0.2.1 0 typ host",
            "candidate:1 1 udp 1 192.0.2.1 99999 typ host",
            "candidate:1 2 udp 1 192.0.2.1 9 typ host",
            "candidate:1 1 udp 1 fe80::1 9 typ host",
        ] {
            assert_eq!(candidate(text), None, "{text}");
        }
        let read = Signal::parse(r#"{"candidate":"candidate:1 1 UDP 1 ::1 9 typ host"}"#);
        assert_eq!(read, Ok(Signal::Candidate("[::1]:9".parse().ok())));
        assert_eq!(Signal::parse(r#"{"candidate":null}"#), Ok(Signal::Candidate(None)));
        assert_eq!(Signal::parse(r#"{"candidate":""}"#), Ok(Signal::Candidate(None)));
    }

    #[test]
    fn addresses_that_servers_see_are_candidates() {
        for address in ["192.0.2.7:51000", "[2001:db8::7]:9"] {
            let address: SocketAddr = address.parse().expect("an address");
            let read = Signal::parse(&reflexive_json(address));
            assert_eq!(read, Ok(Signal::Candidate(Some(address))));
        }
    }

    #[test]
    fn garbage_signals_are_errors() {
        for text in ["", "null", "{}", "[]", "{\"type\":\"offer\"}", "{\"type\":1,\"sdp\":2}"] {
            assert_eq!(Signal::parse(text), Err(SignalError::Malformed), "{text}");
        }
        let long = description_json("offer", &"x".repeat(SIGNAL_BYTES_MAX));
        assert_eq!(Signal::parse(&long), Err(SignalError::TooLong));
    }

    #[test]
    fn the_direct_form_carries_the_diallers_password() {
        let password = "p".repeat(24);
        let fragment = direct_fragment(&password, &"r".repeat(16));
        assert_eq!(direct_password(&fragment), Some(&*password));
        assert_eq!(direct_password(&fragment[..fragment.len() - 1]), None);
        assert_eq!(direct_password(&format!("{fragment}\u{e9}")), None);
        assert_eq!(direct_password("d1/"), None);
        assert_eq!(direct_password(&"x".repeat(60)), None);
    }
}
