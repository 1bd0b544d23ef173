//! Where a node can be dialled without signalling, and over what.
use crate::id::{Fingerprint, ParseIdError};
use crate::web_url::{BadSocketUrl, SocketUrl};
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

/// One way to dial a node.
///
/// Text forms: `rtc://127.0.0.1:4000/FINGERPRINT` (52 characters of base32) and `ws://host:port/path` or `wss://…`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// WebRTC to a UDP socket whose certificate is known beforehand.
    Rtc {
        /// Where.
        socket: SocketAddr,
        /// SHA-256 of its DTLS certificate.
        fingerprint: Fingerprint,
    },
    /// A WebSocket.
    WebSocket {
        /// Where.
        url: SocketUrl,
    },
}

/// The transport of a link, and the fingerprints that it proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A WebRTC data channel straight to the other end. DTLS protects its frames once the handshake has
    /// bound both certificates.
    Rtc {
        /// SHA-256 of our DTLS certificate.
        ours: Fingerprint,
        /// SHA-256 of the certificate that the other end really showed.
        theirs: Fingerprint,
    },
    /// A WebSocket. A relay or proxy on its way must not read it: frames stay sealed.
    WebSocket,
    /// Another node carries the frames, which stay sealed. Only the node itself makes such links.
    Relay,
}

/// Text that is not an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseAddressError {
    /// Neither of the known forms.
    #[error("not an address: expected rtc://HOST:PORT/FINGERPRINT or ws://HOST:PORT/PATH")]
    Scheme,
    /// The host and port of an `rtc:` address.
    #[error("not an address: HOST:PORT must be a numeric IP address and a port")]
    Socket,
    /// The fingerprint of an `rtc:` address.
    #[error("not an address: bad certificate fingerprint: {0}")]
    Fingerprint(#[from] ParseIdError),
    /// The URL of a WebSocket.
    #[error("not an address: {0}")]
    Url(#[from] BadSocketUrl),
    /// An IPv6 address with a zone, which means something on one machine only.
    #[error("not an address: leave out the zone of the IPv6 address, from % on")]
    Zone,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rtc { socket, fingerprint } => write!(f, "rtc://{socket}/{fingerprint}"),
            Self::WebSocket { url } => url.fmt(f),
        }
    }
}

impl FromStr for Address {
    type Err = ParseAddressError;

    fn from_str(text: &str) -> Result<Self, ParseAddressError> {
        if let Some(rest) = text.strip_prefix("rtc://") {
            let (socket, fingerprint) = rest.split_once('/').ok_or(ParseAddressError::Scheme)?;
            if socket.contains('%') {
                return Err(ParseAddressError::Zone);
            }
            let socket = socket.parse().map_err(|_| ParseAddressError::Socket)?;
            return Ok(Self::Rtc { socket, fingerprint: fingerprint.parse()? });
        }
        if !text.starts_with("ws://") && !text.starts_with("wss://") {
            return Err(ParseAddressError::Scheme);
        }
        Ok(Self::WebSocket { url: text.parse()? })
    }
}

impl<C> minicbor::Encode<C> for Address {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.str(&self.to_string())?.ok()
    }
}

/// Decodes a list of addresses, without those of a kind that only later versions know. A single
/// address is not decodable: its reader has to decide what becomes of such a kind.
pub(crate) fn decode_known<C>(
    d: &mut minicbor::Decoder<'_>,
    _: &mut C,
) -> Result<Vec<Address>, minicbor::decode::Error> {
    let known = d.array_iter::<Known>()?.filter_map(|it| it.map(|Known(it)| it).transpose());
    known.collect()
}

/// The same of lists of them.
pub(crate) fn decode_known_lists<C>(
    d: &mut minicbor::Decoder<'_>,
    _: &mut C,
) -> Result<Vec<Vec<Address>>, minicbor::decode::Error> {
    struct List(Vec<Address>);
    impl<'b, C> minicbor::Decode<'b, C> for List {
        fn decode(
            d: &mut minicbor::Decoder<'b>,
            c: &mut C,
        ) -> Result<Self, minicbor::decode::Error> {
            decode_known(d, c).map(Self)
        }
    }
    d.array_iter::<List>()?.map(|list| list.map(|List(list)| list)).collect()
}

/// An address, or what is none to this version.
struct Known(Option<Address>);

impl<'b, C> minicbor::Decode<'b, C> for Known {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let start = d.position();
        if let Ok(text) = d.str() {
            return Ok(Self(text.parse().ok()));
        }
        d.set_position(start);
        d.skip()?;
        Ok(Self(None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_forms_round_trip() {
        for text in [
            "rtc://127.0.0.1:4000/aeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaq",
            "rtc://[::1]:4000/aeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaq",
            "wss://node.example/link",
        ] {
            assert_eq!(text.parse::<Address>().expect(text).to_string(), text);
        }
    }

    #[test]
    fn bad_addresses_say_what_is_wrong() {
        use ParseAddressError::{Scheme, Socket, Url, Zone};
        for (text, error) in [
            ("http://a", Scheme),
            ("rtc://example.org:1/x", Socket),
            ("rtc://127.0.0.1:1", Scheme),
            ("ws://a b", Url(BadSocketUrl)),
            ("ws://user@127.0.0.1/link", Url(BadSocketUrl)),
            ("rtc://[fe80::1%2]:1/x", Zone),
        ] {
            assert_eq!(text.parse::<Address>(), Err(error), "{text}");
        }
        assert!(matches!(
            "rtc://127.0.0.1:1/abc".parse::<Address>(),
            Err(ParseAddressError::Fingerprint(_))
        ));
    }
}
