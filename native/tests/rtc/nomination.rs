//! How soon a pair of addresses is usable.

use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, OnceLock};

use rtc::crypto::{RTCCryptoProvider, default_provider};
use rtc::ice::attributes::control::AttrControlling;
use rtc::ice::attributes::priority::PriorityAttr;
use rtc::ice::attributes::use_candidate::UseCandidateAttr;
use rtc::stun::attributes::ATTR_USERNAME;
use rtc::stun::fingerprint::FINGERPRINT;
use rtc::stun::integrity::MessageIntegrity;
use rtc::stun::message::{BINDING_REQUEST, BINDING_SUCCESS, Message, Setter, TransactionId};
use rtc::stun::textattrs::Username;
use rtc::stun::xoraddr::XorMappedAddress;

use crate::{End, SOON, run, until};

const FRAGMENT: &str = "brow";
const PASSWORD: &str = "abcdefghijklmnopqrstuvwx";

fn message(parts: &[Box<dyn Setter>]) -> Vec<u8> {
    let mut message = Message::new();
    message.build(parts).expect("a message");
    message.raw
}

fn key(password: &str) -> MessageIntegrity<'static> {
    static PROVIDER: OnceLock<Arc<dyn RTCCryptoProvider>> = OnceLock::new();
    let provider = PROVIDER.get_or_init(|| default_provider().expect("a provider"));
    MessageIntegrity::new_short_term_integrity_with_provider(password.to_owned(), provider.crypto())
}

/// A direct dial's first request, which nominates, and its name.
pub(crate) fn dial(random: &str) -> (TransactionId, Vec<u8>) {
    let direct = format!("d1/{PASSWORD}{random}");
    let asked = TransactionId::new();
    let request = message(&[
        Box::new(BINDING_REQUEST),
        Box::new(asked),
        Box::new(Username::new(ATTR_USERNAME, format!("{direct}:{FRAGMENT}"))),
        Box::<UseCandidateAttr>::default(),
        Box::new(AttrControlling(7)),
        Box::new(PriorityAttr(1)),
        Box::new(key(&direct)),
        Box::new(FINGERPRINT),
    ]);
    (asked, request)
}

/// The answer of an end that was dialled in this way, to a question that nobody asked.
pub(crate) fn answer(to: SocketAddr) -> Vec<u8> {
    success(TransactionId::new(), to)
}

fn success(asked: TransactionId, to: SocketAddr) -> Vec<u8> {
    message(&[
        Box::new(BINDING_SUCCESS),
        Box::new(asked),
        Box::new(XorMappedAddress { ip: to.ip(), port: to.port() }),
        Box::new(key(PASSWORD)),
        Box::new(FINGERPRINT),
    ])
}

/// Goal: a browser's first request makes a pair usable, since its second comes 50 ms later. Method: a socket that nominates
/// with its only request, and answers the node's check; the node must answer that request.
#[test]
fn first_request_that_nominates_is_answered_once_the_check_is() {
    run(async {
        let (mut node, mut idle) = (End::new("127.0.0.1:0").await, End::new("127.0.0.1:0").await);
        let browser = UdpSocket::bind("127.0.0.1:0").expect("bind");
        browser.set_nonblocking(true).expect("nonblocking");
        let (asked, request) = dial("0123456789abcdef");
        browser.send_to(&request, node.address()).expect("send");
        let mut answered = Vec::new();
        let mut checks = 0;
        until(&mut node, &mut idle, SOON, |node, _| {
            let mut packet = vec![0; 2048];
            while let Ok(length) = browser.recv(&mut packet) {
                let mut heard = Message::new();
                heard.raw = packet[..length].to_vec();
                heard.decode().expect("STUN");
                if heard.typ == BINDING_REQUEST {
                    checks += 1;
                    let to = node.address();
                    browser.send_to(&success(heard.transaction_id, to), to).expect("send");
                } else {
                    answered.push((heard.typ, heard.transaction_id));
                }
            }
            !answered.is_empty()
        })
        .await;
        assert_eq!(answered, [(BINDING_SUCCESS, asked)]);
        assert_eq!(checks, 1, "one check is enough");
    });
}
