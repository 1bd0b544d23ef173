//! Opening TCP ports.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use super::{BindError, TRIES, has_twin};

/// Connections that wait to be accepted. Source: what tokio takes.
const BACKLOG: i32 = 1_024;

/// Opens TCP sockets at these addresses, and at those of IPv4 that a `[::]` means.
pub(crate) fn listen(binds: &[SocketAddr]) -> Result<Vec<TcpListener>, BindError> {
    let mut listeners = Vec::new();
    for bind in binds {
        if !has_twin(*bind, binds) {
            listeners.push(listen_at(*bind)?);
            continue;
        }
        listeners.extend(with_retries(bind.port(), || {
            let first = listen_at(*bind)?;
            let port =
                first.local_addr().map_err(|error| BindError { address: *bind, error })?.port();
            Ok([first, listen_at(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))?])
        })?);
    }
    Ok(listeners)
}

/// Repeats `open` while the system chose the port, and the second socket cannot have it.
fn with_retries<T>(
    port: u16,
    mut open: impl FnMut() -> Result<T, BindError>,
) -> Result<T, BindError> {
    let mut left = if port == 0 { TRIES } else { 1 };
    loop {
        left -= 1;
        match open() {
            Err(failed) if failed.error.kind() == ErrorKind::AddrInUse && left > 0 => {}
            result => return result,
        }
    }
}

fn listen_at(address: SocketAddr) -> Result<TcpListener, BindError> {
    let open = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        // Connections of an earlier process that are not yet forgotten do not hold the port.
        // (Windows means something else by it.)
        #[cfg(unix)]
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    };
    open().map_err(|error| BindError { address, error })
}
