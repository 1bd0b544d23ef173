//! Opening ports. TCP and UDP take the same families, and a data folder keeps its UDP port.
//!
//! `[::]` means every address of both families: two sockets with one port, so that no address is ever mapped into the
//! other family, whatever the system's default is. If an IPv4 address with that port is named as
//! well, `[::]` means IPv6 alone.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;

use crate::rtc::{self, Engine};
use crate::secret;

#[cfg(feature = "serve")]
mod tcp;

#[cfg(feature = "serve")]
pub(crate) use tcp::listen;

/// Addresses of each protocol that can be named. Guess; with what `[::]` adds, as many as the
/// engine's sockets.
pub(crate) const BINDS_MAX: usize = 4;
/// Ports that are tried for sockets that share one. Guess: one in four is free on the busiest
/// machine.
const TRIES: usize = 16;
/// From where a data folder takes its UDP port: below what any system gives to outgoing sockets
/// (Linux from 32,768 on, others from 49,152 on), so that it is free at the next start as well.
const KEPT_PORTS: Range<u16> = 20_000..32_768;

/// An address that could not be listened on.
#[derive(Debug)]
pub(crate) struct BindError {
    pub(crate) address: SocketAddr,
    pub(crate) error: io::Error,
}

/// Opens the UDP sockets of data channels: at `binds`, or at every address of both families. A port
/// that nobody chose is `kept`, the one of an earlier start, if it is free; then one that can be
/// kept, if `keeps`.
pub(crate) async fn engine(
    binds: &[SocketAddr],
    certificate: &rtc::Certificate,
    kept: Option<u16>,
    keeps: bool,
) -> Result<Engine, BindError> {
    let any_v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let any_v6 = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    if binds.is_empty() {
        if let Ok(engine) = engine_at(&[any_v4, any_v6], certificate, kept, keeps).await {
            return Ok(engine);
        }
        // Machines without IPv6.
        return engine_at(&[any_v4], certificate, kept, keeps).await;
    }
    let mut all = binds.to_vec();
    for bind in binds.iter().filter(|bind| has_twin(**bind, binds)) {
        all.push(SocketAddr::from((Ipv4Addr::UNSPECIFIED, bind.port())));
    }
    engine_at(&all, certificate, kept, keeps).await
}

async fn engine_at(
    binds: &[SocketAddr],
    certificate: &rtc::Certificate,
    kept: Option<u16>,
    keeps: bool,
) -> Result<Engine, BindError> {
    let bind = async |port: u16| {
        let with_port = |mut it: SocketAddr| {
            if it.port() == 0 {
                it.set_port(port);
            }
            it
        };
        let binds: Vec<SocketAddr> = binds.iter().copied().map(with_port).collect();
        let address = binds[0];
        let bound = Engine::bind(rtc::Config::new(binds, certificate.clone())).await;
        bound.map_err(|error| BindError { address, error })
    };
    let free = binds.iter().filter(|bind| bind.port() == 0).count();
    if free == 0 {
        return bind(0).await;
    }
    if let Some(port) = kept {
        match bind(port).await {
            Err(BindError { error, .. }) if is_taken(&error) => tracing::warn!(
                port,
                %error,
                "the UDP port of this data folder is taken; another one replaces it, and addresses that were given away \
                 before lead nowhere"
            ),
            result => return result,
        }
    }
    if keeps || free > 1 {
        for _ in 0..TRIES {
            match bind(random_port()).await {
                Err(BindError { error, .. }) if is_taken(&error) => {}
                result => return result,
            }
        }
    }
    bind(0).await
}

/// Whether another port may be free.
fn is_taken(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::AddrInUse | ErrorKind::PermissionDenied)
}

fn random_port() -> u16 {
    let mut random = [0; 4];
    secret::fill(&mut random);
    let size = u32::from(KEPT_PORTS.end - KEPT_PORTS.start);
    // The rest is below the size of the range, which is a u16.
    KEPT_PORTS.start + (u32::from_le_bytes(random) % size) as u16
}

/// Whether this is `[::]`, and no IPv4 address of its port is named beside it.
fn has_twin(bind: SocketAddr, all: &[SocketAddr]) -> bool {
    let everything = bind.is_ipv6() && bind.ip().is_unspecified();
    everything && !all.iter().any(|other| other.is_ipv4() && other.port() == bind.port())
}

#[cfg(all(test, feature = "serve"))]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    fn binds(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|it| it.parse().expect("an address")).collect()
    }

    fn bound(listeners: &[TcpListener]) -> Vec<SocketAddr> {
        listeners.iter().map(|it| it.local_addr().expect("bound")).collect()
    }

    #[tokio::test]
    async fn ipv6_wildcard_takes_both_families_over_tcp_and_udp() {
        let listeners = listen(&binds(&["[::]:0"])).expect("bound");
        let [six, four] = bound(&listeners)[..] else { panic!("two sockets: {listeners:?}") };
        assert!(six.is_ipv6() && four.is_ipv4());
        assert_eq!(six.port(), four.port());
        for host in ["127.0.0.1", "::1"] {
            std::net::TcpStream::connect((host, six.port())).expect(host);
        }
        let certificate = rtc::Certificate::generate().expect("made");
        let engine = engine(&binds(&["[::]:0"]), &certificate, None, false).await.expect("bound");
        let bound = engine.bound_addrs();
        let [six, four] = bound[..] else { panic!("two sockets: {bound:?}") };
        assert!(six.is_ipv6() && four.is_ipv4());
        assert_eq!(six.port(), four.port());
    }

    #[tokio::test]
    async fn addresses_that_are_named_stay_what_they_are() {
        let named = binds(&["127.0.0.1:0", "[::]:0"]);
        let listeners = listen(&named).expect("bound");
        let ips = |all: &[SocketAddr]| all.iter().map(SocketAddr::ip).collect::<Vec<_>>();
        assert_eq!(ips(&bound(&listeners)), ips(&named));
        let taken = bound(&listeners)[0];
        let failed = listen(&[taken]).expect_err("taken");
        assert_eq!((failed.address, failed.error.kind()), (taken, ErrorKind::AddrInUse));
    }

    #[tokio::test]
    async fn kept_port_is_taken_again_and_replaced_if_another_program_has_it() {
        let certificate = rtc::Certificate::generate().expect("made");
        let here = binds(&["127.0.0.1:0"]);
        let first = engine(&here, &certificate, None, true).await.expect("bound");
        let port = first.bound_addrs()[0].port();
        assert!(KEPT_PORTS.contains(&port), "{port}");
        let other = engine(&here, &certificate, Some(port), true).await.expect("bound");
        assert_ne!(other.bound_addrs()[0].port(), port);
        drop(first);
        let again = engine(&here, &certificate, Some(port), true).await.expect("bound");
        assert_eq!(again.bound_addrs()[0].port(), port);
    }
}
