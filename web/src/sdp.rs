//! The parts that we read of session descriptions, and the description that we write.
//!
//! A browser dials a node knowing only its address and certificate. No signalling means that nobody sends an
//! answer, so we write it ourselves. The node learns our ICE password from the username fragment that
//! this answer invents for it, `d1/` + our password (24 characters) + random characters; the local
//! description stays as the browser made it. (Source: libp2p's webrtc-direct, with the password moved to where
//! browsers do not object.)
use peergraph_core::id::Fingerprint;
use peergraph_core::limits::FRAME_BYTES_MAX;
use std::net::SocketAddr;

/// Random bytes in an invented username fragment; each becomes one character of 6 bits. Source: 128 bits, and RFC
/// 8445 wants 24 bits in a fragment and 128 in a password.
pub const RANDOM_BYTES: usize = 24;

/// Characters of an ICE password as browsers make it.
const PASSWORD_CHARS: usize = 24;
/// The characters of ICE credentials, RFC 8839 §5.4.
const ICE_CHARS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The SHA-256 fingerprint that a description binds its end to.
///
/// `None` unless there is exactly one such fingerprint, and none of another kind: the browser accepts a
/// certificate that fits any line, so a second one would leave open what was shown.
pub fn fingerprint(sdp: &str) -> Option<Fingerprint> {
    let mut values = values(sdp, "fingerprint:");
    let first = values.next()?;
    if values.any(|other| !other.eq_ignore_ascii_case(first)) {
        return None;
    }
    let (kind, hex) = first.split_once(' ')?;
    if !kind.eq_ignore_ascii_case("sha-256") {
        return None;
    }
    let mut bytes = [0; Fingerprint::BYTES];
    let mut pairs = hex.trim().split(':');
    for byte in &mut bytes {
        let pair = pairs.next().filter(|pair| pair.len() == 2)?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    pairs.next().is_none().then(|| Fingerprint::from_bytes(bytes))
}

/// Whether a description offers a data channel transport and nothing else: a stranger's offer must not make
/// this page negotiate cameras.
pub fn is_data_only(sdp: &str) -> bool {
    let mut media = sdp.lines().filter(|line| line.starts_with("m="));
    media.next().is_some_and(|line| line.starts_with("m=application ")) && media.next().is_none()
}

/// The answer of the node at `socket` to our `offer`, as the node would have written it.
///
/// It does not say `ice-lite`, although the node never checks a pair unasked: Chromium nominates a pair of a lite end only
/// with its second check, 50 ms later, and that of a full end with its first.
///
/// `None` where the offer has no password of the usual length: another kind of browser than we know.
pub fn direct_answer(
    offer: &str,
    socket: SocketAddr,
    fingerprint: &Fingerprint,
    random: [u8; RANDOM_BYTES],
) -> Option<String> {
    let password = values(offer, "ice-pwd:").next()?;
    if password.len() != PASSWORD_CHARS {
        return None;
    }
    let mid = values(offer, "mid:").next()?;
    let mut credential = format!("d1/{password}");
    credential.extend(random.map(|byte| char::from(ICE_CHARS[usize::from(byte & 63)])));
    let hex: Vec<String> = fingerprint.as_bytes().iter().map(|b| format!("{b:02X}")).collect();
    let hex = hex.join(":");
    let (host, port) = (socket.ip(), socket.port());
    let version = if socket.is_ipv4() { "IP4" } else { "IP6" };
    let lines = [
        "v=0".to_owned(),
        format!("o=- 0 0 IN {version} {host}"),
        "s=-".to_owned(),
        "t=0 0".to_owned(),
        format!("a=group:BUNDLE {mid}"),
        format!("m=application {port} UDP/DTLS/SCTP webrtc-datachannel"),
        format!("c=IN {version} {host}"),
        format!("a=mid:{mid}"),
        "a=ice-options:ice2".to_owned(),
        format!("a=ice-ufrag:{credential}"),
        format!("a=ice-pwd:{credential}"),
        format!("a=fingerprint:sha-256 {hex}"),
        "a=setup:passive".to_owned(),
        "a=sctp-port:5000".to_owned(),
        format!("a=max-message-size:{FRAME_BYTES_MAX}"),
        format!("a=candidate:1 1 UDP 1 {host} {port} typ host"),
        "a=end-of-candidates".to_owned(),
        String::new(),
    ];
    Some(lines.join("\r\n"))
}

/// The values of all `a=` lines of one name.
fn values<'a>(sdp: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    sdp.lines().filter_map(move |line| line.strip_prefix("a=")?.strip_prefix(name)).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const OFFER: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
        m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:Yk2x\r\n\
        a=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=fingerprint:sha-256 \
        00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:FF\r\n\
        a=setup:actpass\r\na=mid:0\r\na=sctp-port:5000\r\n";

    #[test]
    fn fingerprint_is_read_in_either_case() {
        let upper = fingerprint(OFFER).expect("it is there");
        assert_eq!(upper.as_bytes()[..3], [0, 1, 2]);
        assert_eq!(upper.as_bytes()[31], 255);
        assert_eq!(fingerprint(&OFFER.to_lowercase()), Some(upper));
    }

    #[test]
    fn doubtful_fingerprints_are_refused() {
        let other = OFFER.replace("a=mid:0", "a=fingerprint:sha-256 00:01\r\na=mid:0");
        let weak = OFFER.replace("sha-256", "sha-1");
        let long = OFFER.replace(":FF", ":FF:00");
        let short = OFFER.replace(":FF", "");
        for sdp in [other.as_str(), &weak, &long, &short, "", "a=fingerprint:"] {
            assert_eq!(fingerprint(sdp), None, "{sdp}");
        }
    }

    #[test]
    fn offers_of_cameras_are_not_data_only() {
        assert!(is_data_only(OFFER));
        assert!(!is_data_only(&format!("{OFFER}m=video 9 UDP/TLS/RTP/SAVPF 96\r\n")));
        assert!(!is_data_only("v=0\r\n"));
    }

    #[test]
    fn answer_carries_our_password_in_the_nodes_fragment() {
        let socket = "[::1]:4000".parse().expect("an address");
        let fingerprint = fingerprint(OFFER).expect("it is there");
        let answer =
            direct_answer(OFFER, socket, &fingerprint, [63; RANDOM_BYTES]).expect("an answer");
        let credential = "d1/abcdefghijklmnopqrstuvwx////////////////////////";
        assert!(answer.contains(&format!("a=ice-ufrag:{credential}\r\n")));
        assert!(answer.contains(&format!("a=ice-pwd:{credential}\r\n")));
        assert!(!answer.contains("ice-lite"), "its pair would be nominated late");
        assert!(answer.contains("a=candidate:1 1 UDP 1 ::1 4000 typ host\r\n"));
        assert!(answer.contains("c=IN IP6 ::1\r\n"));
        assert_eq!(super::fingerprint(&answer), Some(fingerprint));
    }

    #[test]
    fn offer_without_a_usual_password_gets_no_answer() {
        let socket = "127.0.0.1:1".parse().expect("an address");
        let fingerprint = fingerprint(OFFER).expect("it is there");
        let offer = OFFER.replace("uvwx", "u");
        assert_eq!(direct_answer(&offer, socket, &fingerprint, [0; RANDOM_BYTES]), None);
    }
}
