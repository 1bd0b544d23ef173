//! Frames over a stream: a length, and CBOR.

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use zeroize::Zeroize as _;

use super::{FRAME_BYTES_MAX, HELLO_TIMEOUT, MAGIC, VERSION};

/// How much is read at once. Bytes. Guess.
const READ_BYTES: usize = 64 * 1024;

/// Says what we speak, and reads what the other end does.
pub(super) async fn hello(
    read: &mut (impl AsyncRead + Unpin),
    write: &mut (impl AsyncWrite + Unpin),
) -> io::Result<u8> {
    let speaking = async {
        write.write_all(MAGIC).await?;
        write.write_all(&[VERSION]).await?;
        let mut theirs = [0; MAGIC.len() + 1];
        read.read_exact(&mut theirs).await?;
        let [magic @ .., version] = theirs;
        if &magic == MAGIC { Ok(version) } else { Err(invalid("not a peergraph program")) }
    };
    let late = |_| io::Error::from(io::ErrorKind::TimedOut);
    tokio::time::timeout(HELLO_TIMEOUT, speaking).await.map_err(late)?
}

/// Reads frames. The bytes that a cancelled read has got so far stay for the next one.
pub(super) struct Reader<R> {
    from: R,
    buffer: Vec<u8>,
    /// Where in the buffer the next frame begins.
    at: usize,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    pub(super) fn new(from: R) -> Self {
        Self { from, buffer: Vec::new(), at: 0 }
    }

    /// The next frame; nothing at the end of the stream. Memory grows with what has arrived, whatever a length says.
    pub(super) async fn next<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        loop {
            let waiting = &self.buffer[self.at..];
            if let Some((length, rest)) = waiting.split_first_chunk::<4>() {
                let length = u32::from_be_bytes(*length) as usize;
                if length > FRAME_BYTES_MAX {
                    return Err(invalid("a frame is too long"));
                }
                if let Some(frame) = rest.get(..length) {
                    let read = minicbor_serde::from_slice(frame)
                        .map_err(|error| invalid(&error.to_string()));
                    self.at += 4 + length;
                    return read.map(Some);
                }
            }
            self.buffer.drain(..self.at).for_each(drop);
            self.at = 0;
            self.buffer.reserve(READ_BYTES);
            if self.from.read_buf(&mut self.buffer).await? == 0 {
                let cut = !self.buffer.is_empty();
                return if cut { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(None) };
            }
        }
    }
}

impl<R> Drop for Reader<R> {
    /// Invitations and passwords go through it.
    fn drop(&mut self) {
        self.buffer.zeroize();
    }
}

/// Writes a frame.
pub(super) async fn write(
    to: &mut (impl AsyncWrite + Unpin),
    frame: &impl Serialize,
) -> io::Result<()> {
    let bytes = minicbor_serde::to_vec(frame).map_err(|error| invalid(&error.to_string()))?;
    let mut bytes = zeroize::Zeroizing::new(bytes);
    let length = u32::try_from(bytes.len()).ok().filter(|_| bytes.len() <= FRAME_BYTES_MAX);
    let length = length.ok_or_else(|| invalid("a frame would be too long"))?;
    bytes.splice(..0, length.to_be_bytes());
    to.write_all(&bytes).await
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}
