//! The input of commands: files and standard input, whatever their names, within bounds while they
//! are read.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use tokio::sync::mpsc;

/// Longest text: an invitation in a long message, certificates, a policy. Bytes. Guess: twenty times the longest.
pub(super) const TEXT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Longest file that is signed. Bytes. Guess: it is in memory as a whole.
pub(super) const SIGNED_BYTES_MAX: usize = 1024 * 1024 * 1024;

/// A file, or standard input for `-`.
#[derive(Clone, Debug)]
pub(crate) struct Source(PathBuf);

impl From<OsString> for Source {
    fn from(name: OsString) -> Self {
        Self(name.into())
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.is_stdin() { f.write_str("standard input") } else { self.0.display().fmt(f) }
    }
}

impl Source {
    pub(super) fn is_stdin(&self) -> bool {
        self.0.as_os_str() == "-"
    }

    /// Whether it can be read; a folder cannot, standard input can.
    pub(super) fn is_there(&self) -> bool {
        self.is_stdin() || (self.0.exists() && !self.0.is_dir())
    }

    /// The path as given, if it is text.
    pub(super) fn text(&self) -> Option<&str> {
        self.0.to_str()
    }

    fn open(&self) -> Result<Box<dyn BufRead + Send>> {
        if self.is_stdin() {
            return Ok(Box::new(BufReader::new(std::io::stdin())));
        }
        let file = std::fs::File::open(&self.0).with_context(|| format!("reading {self}"))?;
        Ok(Box::new(BufReader::new(file)))
    }

    /// All of it, at most so many bytes: more is refused when so many are read.
    pub(super) fn read(&self, most: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut reader = self.open()?.take(most as u64 + 1);
        reader.read_to_end(&mut bytes).with_context(|| format!("reading {self}"))?;
        if bytes.len() > most {
            bail!("reading {self}: it is longer than {most} bytes, the most that can be here");
        }
        Ok(bytes)
    }

    /// All of it as text. Bytes that are no text are marked as such.
    pub(super) fn read_text(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&self.read(TEXT_BYTES_MAX)?).into_owned())
    }

    /// Its lines without their ends, of at most so many bytes. Read on a thread of its own, since a terminal may keep us
    /// waiting while somebody presses Ctrl-C.
    pub(super) fn lines(
        &self,
        most: usize,
        waiting: usize,
    ) -> Result<mpsc::Receiver<std::io::Result<Vec<u8>>>> {
        let mut reader = self.open()?;
        let (sender, lines) = mpsc::channel(waiting);
        std::thread::spawn(move || {
            while let Some(line) = line(&mut reader, most).transpose() {
                let failed = line.is_err();
                if sender.blocking_send(line).is_err() || failed {
                    return;
                }
            }
        });
        Ok(lines)
    }
}

/// Standard input in pieces, as they come; read on a thread of its own, as above.
pub(super) fn pieces(most: usize) -> mpsc::Receiver<std::io::Result<Vec<u8>>> {
    let (sender, pieces) = mpsc::channel(2);
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        loop {
            let mut piece = vec![0; most];
            let read = input.read(&mut piece).map(|many| {
                piece.truncate(many);
                piece
            });
            let ends = read.as_ref().map_or(true, Vec::is_empty);
            if sender.blocking_send(read).is_err() || ends {
                return;
            }
        }
    });
    pieces
}

/// The next line, without its end.
fn line(reader: &mut impl BufRead, most: usize) -> std::io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    // With both characters of its end.
    reader.take(most as u64 + 2).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
    }
    if line.len() > most {
        let what = format!("it is longer than any record can be ({most} bytes)");
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, what));
    }
    Ok(Some(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bounded_and_lose_their_ends_only() {
        let mut text = &b"one\r\n\ntwo\rtwo\n1234567\n12345678\n123456789\n"[..];
        let mut next = || line(&mut text, 8);
        for expected in ["one", "", "two\rtwo", "1234567", "12345678"] {
            let line = next().expect("readable").expect("there");
            assert_eq!(String::from_utf8_lossy(&line), expected);
        }
        assert!(next().is_err(), "nine bytes");
        let mut last = &b"no end"[..];
        assert_eq!(line(&mut last, 8).expect("readable").as_deref(), Some(&b"no end"[..]));
        assert_eq!(line(&mut last, 8).expect("readable"), None);
        assert!(line(&mut BufReader::new(std::io::repeat(b'x')), 1_000).is_err());
    }
}
