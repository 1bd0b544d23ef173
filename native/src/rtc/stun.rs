//! The little of STUN that decides which link a datagram is for, and tells addresses.
//!
//! ```text
//! 0   type (2) ‖ length of attributes (2) ‖ magic cookie 2112A442 ‖ transaction id (12)
//! 20  attributes: type (2) ‖ length (2) ‖ value, padded to 4 bytes
//! ```
//!
//! A binding request carries `USERNAME` = receiver's fragment ":" sender's fragment. Source: RFC
//! 8489 sections 5 and 14, RFC 8445 section 7.2.2.

use bytes::BytesMut;
use rtc::crypto::RTCCrypto;
use rtc::stun::error_code::{CODE_FORBIDDEN, ErrorCodeAttribute};
use rtc::stun::fingerprint::FINGERPRINT;
use rtc::stun::integrity::MessageIntegrity;
use rtc::stun::message::{
    self, BINDING_ERROR, BINDING_SUCCESS as BINDING_SUCCESS_TYPE, Getter as _, Message, Setter,
};
use rtc::stun::xoraddr::XorMappedAddress;
use std::net::SocketAddr;

const HEADER_BYTES: usize = 20;
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const BINDING_REQUEST: [u8; 2] = [0, 1];
const BINDING_SUCCESS: [u8; 2] = [1, 1];
const USERNAME: u16 = 6;
const USE_CANDIDATE: u16 = 0x25;
/// Attributes from this number on need not be understood.
const OPTIONAL_FROM: u16 = 0x8000;

/// The name of a request and its answer. Random, so whoever names it has seen it.
pub(super) type TransactionId = [u8; 12];

/// The name of a message of STUN; zeros for what is too short.
pub(super) fn id(datagram: &[u8]) -> TransactionId {
    let id = datagram.get(8..HEADER_BYTES).and_then(|id| id.try_into().ok());
    id.unwrap_or_default()
}

/// Says whether a datagram is a binding request.
pub(super) fn is_request(datagram: &[u8]) -> bool {
    datagram.starts_with(&BINDING_REQUEST)
}

/// Says whether a datagram is meant for STUN, by its first byte (RFC 7983).
pub(super) fn is_stun(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|byte| *byte < 4)
}

/// The receiver's and the sender's username fragments of a well-formed binding request.
pub(super) fn username(datagram: &[u8]) -> Option<(&str, &str)> {
    std::str::from_utf8(attribute(datagram, USERNAME)?).ok()?.split_once(':')
}

/// Says whether a datagram is a binding request by which the controlling end nominates its pair
/// (RFC 8445 section 7.2.5.3.4).
pub(super) fn nominates(datagram: &[u8]) -> bool {
    attribute(datagram, USE_CANDIDATE).is_some()
}

/// Says whether a datagram answers a binding request with success.
pub(super) fn is_success(datagram: &[u8]) -> bool {
    datagram.starts_with(&BINDING_SUCCESS)
}

/// The value of an attribute of a well-formed binding request.
fn attribute(datagram: &[u8], wanted: u16) -> Option<&[u8]> {
    let mut found = attributes(datagram)?.map_while(|it| it);
    found.find(|(kind, _)| *kind == wanted).map(|(_, value)| value)
}

/// The attributes of a binding request, by number; the last one is `None` if they are not well-formed. `None` for what is no
/// binding request.
fn attributes(datagram: &[u8]) -> Option<impl Iterator<Item = Option<(u16, &[u8])>>> {
    let header = datagram.get(..HEADER_BYTES)?;
    if header[..2] != BINDING_REQUEST || header[4..8] != COOKIE {
        return None;
    }
    let mut rest = Some(&datagram[HEADER_BYTES..]);
    if usize::from(u16::from_be_bytes([header[2], header[3]])) != datagram.len() - HEADER_BYTES {
        return None;
    }
    Some(std::iter::from_fn(move || {
        let head = rest.take().filter(|rest| !rest.is_empty())?;
        let read = || {
            let kind = u16::from_be_bytes([*head.first()?, *head.get(1)?]);
            let length = usize::from(u16::from_be_bytes([*head.get(2)?, *head.get(3)?]));
            let value = head.get(4..4 + length)?;
            Some((kind, value, head.get(4 + length.next_multiple_of(4)..)?))
        };
        let Some((kind, value, behind)) = read() else { return Some(None) };
        rest = Some(behind);
        Some(Some((kind, value)))
    }))
}

/// The name of a request that asks for nothing but its own address, as STUN's servers are asked. One with an attribute
/// that has to be understood (those below 8000 hexadecimal) is another.
pub(super) fn plain_request(datagram: &[u8]) -> Option<TransactionId> {
    let plain = |it: Option<(u16, &[u8])>| it.is_some_and(|(kind, _)| kind >= OPTIONAL_FROM);
    attributes(datagram)?.all(plain).then(|| id(datagram))
}

/// Asks a server for the address from which it gets this.
pub(super) fn question(id: TransactionId) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES);
    bytes.extend(BINDING_REQUEST);
    bytes.extend([0, 0]);
    bytes.extend(COOKIE);
    bytes.extend(id);
    bytes
}

/// The answer to such a question that came from there.
pub(super) fn reflection(id: TransactionId, from: SocketAddr) -> Option<Vec<u8>> {
    let seen = XorMappedAddress { ip: from.ip(), port: from.port() };
    let mut answer = Message::new();
    let setters: [Box<dyn Setter>; 3] =
        [Box::new(BINDING_SUCCESS_TYPE), Box::new(message::TransactionId(id)), Box::new(seen)];
    answer.build(&setters).ok()?;
    Some(answer.raw)
}

/// The address that an answer tells.
pub(super) fn reflected(answer: &[u8]) -> Option<SocketAddr> {
    if !is_success(answer) {
        return None;
    }
    let mut message = Message::new();
    message.raw = answer.to_vec();
    message.decode().ok()?;
    let mut seen = XorMappedAddress::default();
    seen.get_from(&message).ok()?;
    Some(SocketAddr::new(seen.ip, seen.port))
}

/// Says whether the request was made by somebody who knows `password`.
pub(super) fn has_integrity(datagram: &[u8], password: &str, crypto: &dyn RTCCrypto) -> bool {
    let mut message = Message::new();
    message.raw = datagram.to_vec();
    message.decode().is_ok()
        && MessageIntegrity::check(&mut message, password.as_bytes(), crypto).is_ok()
}

/// The answer to a request of somebody who is to end its link: error 403, with the integrity of `password`. `None` for what is no request.
pub(super) fn refusal(request: &[u8], password: &str, crypto: &dyn RTCCrypto) -> Option<BytesMut> {
    if !is_request(request) {
        return None;
    }
    let password = password.as_bytes();
    let mut answer = Message::new();
    let setters: [Box<dyn Setter>; 5] = [
        Box::new(BINDING_ERROR),
        Box::new(message::TransactionId(id(request))),
        Box::new(ErrorCodeAttribute { code: CODE_FORBIDDEN, reason: b"no such link".to_vec() }),
        Box::new(MessageIntegrity::new_raw_integrity_with_provider(password, crypto)),
        Box::new(FINGERPRINT),
    ];
    answer.build(&setters).ok()?;
    Some(BytesMut::from(&answer.raw[..]))
}

/// Says whether a datagram is such an answer. Its integrity is not checked here.
pub(super) fn is_refusal(datagram: &[u8]) -> bool {
    let mut message = Message::new();
    message.raw = datagram.to_vec();
    let mut error = ErrorCodeAttribute::default();
    message.decode().is_ok()
        && message.typ == BINDING_ERROR
        && error.get_from(&message).is_ok()
        && error.code == CODE_FORBIDDEN
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(attributes: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 1, 0, attributes.len() as u8];
        bytes.extend(COOKIE);
        bytes.extend([7; 12]);
        bytes.extend(attributes);
        bytes
    }

    #[test]
    fn the_username_is_found_behind_other_attributes() {
        let bytes = request(b"\x80\x22\0\x01x\0\0\0\0\x06\0\x05ab:cd\0\0\0");
        assert_eq!(username(&bytes), Some(("ab", "cd")));
    }

    #[test]
    fn nominations_are_told_from_other_requests() {
        let plain = request(b"\0\x06\0\x05ab:cd\0\0\0");
        let nominating = request(b"\0\x06\0\x05ab:cd\0\0\0\0\x25\0\0");
        assert!(!nominates(&plain) && nominates(&nominating));
        let mut answer = nominating;
        answer[..2].copy_from_slice(&BINDING_SUCCESS);
        assert!(!nominates(&answer) && is_success(&answer) && !is_success(&plain));
    }

    #[test]
    fn malformed_requests_have_no_username() {
        let good = request(b"\0\x06\0\x05ab:cd\0\0\0");
        assert!(username(&good).is_some());
        for end in 0..good.len() {
            assert_eq!(username(&good[..end]), None, "cut at {end}");
        }
        assert_eq!(username(&request(b"\0\x06\0\x04abcd")), None, "no colon");
        assert_eq!(username(&request(b"\0\x06\xff\xff")), None, "length beyond the end");
        assert_eq!(username(&request(b"\0\x06\0\x03\xff:a\0")), None, "not UTF-8");
        let mut response = good.clone();
        response[0] = 1;
        assert_eq!(username(&response), None, "a response");
    }

    #[test]
    fn refusals_name_the_request_and_have_integrity() {
        let provider = rtc::crypto::default_provider().expect("a crypto provider is compiled in");
        let crypto = provider.crypto();
        let asked = request(b"\0\x06\0\x05ab:cd\0\0\0");
        let answer = refusal(&asked, "secret", crypto).expect("a request");
        assert_eq!(id(&answer), [7; 12]);
        assert!(is_refusal(&answer) && !is_success(&answer) && !is_request(&answer));
        assert!(has_integrity(&answer, "secret", crypto) && !has_integrity(&answer, "s", crypto));
        assert!(answer.len() <= 100, "{} bytes", answer.len());
        assert!(!is_refusal(&asked) && refusal(&answer, "secret", crypto).is_none());
    }

    #[test]
    fn asker_is_told_its_address_in_few_bytes() {
        for (from, bytes) in [("192.0.2.7:51000", 32), ("[2001:db8::7]:9", 44)] {
            let from: SocketAddr = from.parse().expect("an address");
            let asked = question([7; 12]);
            let id = plain_request(&asked).expect("a plain request");
            let answer = reflection(id, from).expect("an answer");
            assert_eq!((answer.len(), id, asked.len()), (bytes, [7; 12], 20));
            assert_eq!(reflected(&answer), Some(from));
            assert_eq!(super::id(&answer), [7; 12]);
            for end in 0..answer.len() {
                assert_eq!(reflected(&answer[..end]), None, "cut at {end}");
            }
            assert_eq!(plain_request(&answer), None, "answers are not answered");
        }
    }

    #[test]
    fn requests_with_more_than_the_question_are_not_plain() {
        let software = request(b"\x80\x22\0\x01x\0\0\0");
        assert_eq!(plain_request(&software), Some([7; 12]));
        // A username; a change of the server's address, RFC 5780.
        for attribute in [&b"\0\x06\0\x05ab:cd\0\0\0"[..], b"\0\x03\0\x04\0\0\0\x06"] {
            assert_eq!(plain_request(&request(attribute)), None);
        }
        for end in 0..software.len() {
            assert_eq!(plain_request(&software[..end]), None, "cut at {end}");
        }
        assert_eq!(plain_request(&request(b"\x80\x22\0\x05x\0\0\0")), None, "beyond the end");
    }

    #[test]
    fn integrity_is_refused_when_absent_or_garbled() {
        let provider = rtc::crypto::default_provider().expect("a crypto provider is compiled in");
        assert!(!has_integrity(&request(b""), "secret", provider.crypto()));
        let garbled = request(b"\0\x08\0\x14aaaaaaaaaaaaaaaaaaaa");
        assert!(!has_integrity(&garbled, "secret", provider.crypto()));
    }
}
