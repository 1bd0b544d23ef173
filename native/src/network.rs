//! Notices when the network of this machine changes: Linux tells by netlink; elsewhere the interfaces are looked at now and then.

#[cfg(target_os = "linux")]
pub(crate) use self::linux::Watch;

#[cfg(target_os = "linux")]
mod linux {
    use std::future::pending;
    use std::io;
    use std::net::UdpSocket;

    use rustix::net::netlink::SocketAddrNetlink;
    use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};
    use tokio::io::Interest;

    /// Links, addresses and routes of both families. Source: `linux/rtnetlink.h`, `RTMGRP_*`.
    const GROUPS: u32 = 0x1 | 0x10 | 0x40 | 0x100 | 0x400;
    /// Bytes that are read of a message: that there is one is all that we want of it.
    const READ_BYTES: usize = 4 * 1024;
    /// Messages read at once. Guess. The next call has the others.
    const READS_MAX: usize = 256;

    /// The word of the system. It is a netlink socket, of which tokio only has to know when it can be read: no type of tokio
    /// that takes any socket is safe to make.
    pub(crate) struct Watch(Option<tokio::net::UdpSocket>);

    impl Watch {
        /// Must be called within a tokio runtime with I/O. A system that does not tell is no error.
        pub(crate) fn new() -> Self {
            let opened = open();
            if let Err(error) = &opened {
                tracing::debug!(%error, "the system does not tell when interfaces change");
            }
            Self(opened.ok())
        }

        /// Waits until the system tells of a change, for ever if it does not tell. Safe to drop at any time.
        pub(crate) async fn changed(&self) {
            let Some(socket) = &self.0 else { return pending().await };
            loop {
                if socket.readable().await.is_err() {
                    return pending().await;
                }
                let mut told = false;
                for _ in 0..READS_MAX {
                    match socket.try_io(Interest::READABLE, || read(socket)) {
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                        // Where too much was told for its buffer, that is word of a change too.
                        Ok(()) | Err(_) => told = true,
                    }
                }
                if told {
                    return;
                }
            }
        }
    }

    fn read(socket: &tokio::net::UdpSocket) -> io::Result<()> {
        let mut bytes = [0; READ_BYTES];
        recv(socket, &mut bytes[..], RecvFlags::empty())?;
        Ok(())
    }

    fn open() -> io::Result<tokio::net::UdpSocket> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        // Without a protocol it is that of routes.
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
        bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
        tokio::net::UdpSocket::from_std(UdpSocket::from(socket))
    }
}

/// A system that does not tell.
#[cfg(not(target_os = "linux"))]
pub(crate) struct Watch;

#[cfg(not(target_os = "linux"))]
impl Watch {
    pub(crate) fn new() -> Self {
        Self
    }

    /// Waits for ever.
    pub(crate) async fn changed(&self) {
        std::future::pending().await
    }
}
