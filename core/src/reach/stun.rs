//! Which others are asked for our own addresses, by STUN (RFC 8489).
//!
//! Every program answers at its UDP port, so the servers are those that we have dialled and reached, nodes and members that
//! are public, and then the named ones that we have not. At most [`SERVERS_PER_FAMILY`] of each family: a browser has use for the answers in both,
//! since it hides its own addresses.
//!
//! An address is asked under the law of places, as if it were dialled (`place.rs`). The answer is believed by nobody: it
//! is a candidate of ours, which the other end of a link checks, as it checks those that we could have made up.
use crate::address::Address;
use crate::place::{Word, judge};
use std::net::SocketAddr;

/// Servers of one family that are asked. Ours: a second one in case the first is gone.
const SERVERS_PER_FAMILY: usize = 2;

/// Chooses servers from addresses in the order in which they are trusted, each with the party that named it.
pub(crate) fn servers<'a>(known: impl IntoIterator<Item = (&'a Address, Word)>) -> Vec<SocketAddr> {
    let mut servers: Vec<SocketAddr> = Vec::new();
    for (address, word) in known {
        let Address::Rtc { socket, .. } = address else { continue };
        let family = servers.iter().filter(|it| it.is_ipv4() == socket.is_ipv4()).count();
        let known = servers.iter().any(|it| it.ip() == socket.ip());
        if !known && family < SERVERS_PER_FAMILY && judge(address, word).is_some() {
            servers.push(*socket);
        }
    }
    servers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Fingerprint;
    use crate::place::Places;

    fn chosen(known: &[(&str, Word)]) -> Vec<String> {
        let fingerprint = Fingerprint::from_bytes([1; 32]);
        let address = |text: &str| match text.parse() {
            Ok(socket) => Address::Rtc { socket, fingerprint },
            Err(_) => text.parse().expect("an address"),
        };
        let known: Vec<(Address, Word)> =
            known.iter().map(|(text, word)| (address(text), *word)).collect();
        let servers = servers(known.iter().map(|(address, word)| (address, *word)));
        servers.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn two_of_each_family_are_asked_and_the_trusted_ones_first() {
        let own = Word::Own;
        let known = [
            ("192.0.2.1:1", own),
            ("wss://node.example/link", own),
            ("192.0.2.1:2", own),
            ("[2001:db8::1]:1", own),
            ("192.0.2.2:1", own),
            ("192.0.2.3:1", own),
            ("[2001:db8::2]:1", own),
        ];
        let servers = ["192.0.2.1:1", "[2001:db8::1]:1", "192.0.2.2:1", "[2001:db8::2]:1"];
        assert_eq!(chosen(&known), servers);
    }

    #[test]
    fn members_send_our_questions_to_no_place_where_they_may_not_make_us_dial() {
        let told = Word::Told(Places::PUBLIC);
        let known = [
            ("127.0.0.1:53", told),
            ("10.0.0.1:161", told),
            ("224.0.0.251:5353", told),
            ("192.0.2.1:1", told),
        ];
        assert_eq!(chosen(&known), ["192.0.2.1:1"]);
        assert_eq!(chosen(&[("10.0.0.1:1", Word::Own)]), ["10.0.0.1:1"]);
    }
}
