//! Files in memory: each once, however many read it and however slowly, as it is and compressed.
//!
//! A file that nobody reads gives way to another. If all of them are being read and the shelf is full, a further file is
//! not served for the moment.

use std::collections::VecDeque;
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;

/// Files and their compressed forms. Bytes. Guess: the package and the pages are 3 MB.
const SHELF_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Longest file. Bytes. Guess: half of the shelf, with what it is compressed to.
pub(super) const FILE_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// Shortest file that is compressed. Bytes. Guess: a packet.
const COMPRESSED_FROM: usize = 1_400;
/// Guess: 1.7 MB of WebAssembly take 0.1 s, and become 3 % more than at the highest level.
const GZIP_LEVEL: u32 = 6;
/// Guess: 1.7 MB take 0.5 s, once; the highest level takes ten times as long for 5 % less.
const BROTLI_QUALITY: i32 = 9;

/// How the bytes of a file travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Brotli,
    Gzip,
    Plain,
}

impl Coding {
    /// Its name in a header; nothing for bytes as they are.
    pub(super) fn name(self) -> Option<&'static str> {
        match self {
            Self::Brotli => Some("br"),
            Self::Gzip => Some("gzip"),
            Self::Plain => None,
        }
    }

    fn encode(self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Brotli => {
                let params = brotli::enc::BrotliEncoderParams {
                    quality: BROTLI_QUALITY,
                    size_hint: bytes.len(),
                    ..Default::default()
                };
                let mut encoded = Vec::new();
                brotli::BrotliCompress(&mut &bytes[..], &mut encoded, &params)?;
                Ok(encoded)
            }
            Self::Gzip => {
                let level = flate2::Compression::new(GZIP_LEVEL);
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
                encoder.write_all(bytes)?;
                encoder.finish()
            }
            Self::Plain => Ok(bytes.to_vec()),
        }
    }
}

/// One file.
#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    pub(super) etag: String,
    pub(super) plain: Bytes,
    /// Nothing in them where the file gets no shorter.
    gzip: OnceLock<Option<Bytes>>,
    brotli: OnceLock<Option<Bytes>>,
    /// Whether somebody compresses it at this moment: once is enough.
    compressing: AtomicBool,
}

impl File {
    fn coded(&self, coding: Coding) -> Option<&Bytes> {
        match coding {
            Coding::Brotli => self.brotli.get()?.as_ref(),
            Coding::Gzip => self.gzip.get()?.as_ref(),
            Coding::Plain => Some(&self.plain),
        }
    }

    fn forms(&self) -> impl Iterator<Item = &Bytes> {
        [Coding::Brotli, Coding::Gzip, Coding::Plain].into_iter().filter_map(|it| self.coded(it))
    }

    fn len(&self) -> usize {
        self.forms().map(Bytes::len).sum()
    }

    fn is_being_read(&self) -> bool {
        self.forms().any(|bytes| !bytes.is_unique())
    }

    /// The shortest form that exists among those that the reader takes.
    pub(super) fn best(&self, takes: impl Fn(Coding) -> bool) -> (Coding, Bytes) {
        let form = |coding| Some((coding, self.coded(coding).filter(|_| takes(coding))?.clone()));
        let short = form(Coding::Brotli).or_else(|| form(Coding::Gzip));
        short.unwrap_or_else(|| (Coding::Plain, self.plain.clone()))
    }

    /// Compresses, if that has not been done: takes processor time.
    pub(super) fn compress(&self, coding: Coding) {
        let into = match coding {
            Coding::Brotli => &self.brotli,
            Coding::Gzip => &self.gzip,
            Coding::Plain => return,
        };
        if self.plain.len() < COMPRESSED_FROM || into.get().is_some() {
            return;
        }
        if self.compressing.swap(true, Ordering::AcqRel) {
            return;
        }
        // Writing into memory does not fail. A form that is no shorter is not kept, nor tried again.
        let encoded = coding.encode(&self.plain).ok();
        let shorter = encoded.filter(|encoded| encoded.len() < self.plain.len());
        let _ = into.set(shorter.map(Bytes::from));
        self.compressing.store(false, Ordering::Release);
    }
}

/// The files.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    /// The one that was read last is the last.
    files: Mutex<VecDeque<Arc<File>>>,
}

impl Shelf {
    /// The file of this name and version, read if it is not here. `None` if there is no room for it at the moment.
    pub(super) fn file(&self, path: &Path, etag: &str) -> io::Result<Option<Arc<File>>> {
        if let Some(file) = self.take(path, etag) {
            return Ok(Some(file));
        }
        let mut bytes = Vec::new();
        // It may have grown since it was looked at.
        std::fs::File::open(path)?.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
        let file = File {
            path: path.to_owned(),
            etag: etag.to_owned(),
            plain: bytes.into(),
            gzip: OnceLock::new(),
            brotli: OnceLock::new(),
            compressing: AtomicBool::new(false),
        };
        Ok(self.put(Arc::new(file)))
    }

    fn files(&self) -> std::sync::MutexGuard<'_, VecDeque<Arc<File>>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, path: &Path, etag: &str) -> Option<Arc<File>> {
        let mut files = self.files();
        let at = files.iter().position(|file| file.path == path && file.etag == etag)?;
        let file = files.remove(at)?;
        files.push_back(file.clone());
        Some(file)
    }

    fn put(&self, file: Arc<File>) -> Option<Arc<File>> {
        let mut files = self.files();
        // Another has read it meanwhile.
        if let Some(same) = files.iter().find(|it| it.path == file.path && it.etag == file.etag) {
            return Some(same.clone());
        }
        let room = SHELF_BYTES_MAX.saturating_sub(file.len());
        while files.iter().map(|file| file.len()).sum::<usize>() > room {
            let idle =
                files.iter().position(|it| !it.is_being_read() && Arc::strong_count(it) == 1);
            files.remove(idle?);
        }
        files.push_back(file.clone());
        Some(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(folder: &tempfile::TempDir, name: &str, bytes: usize) -> PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, vec![b'x'; bytes]).expect("written");
        path
    }

    #[test]
    fn file_is_there_once_and_gives_way_when_nobody_reads_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let large = FILE_BYTES_MAX as usize;
        let paths: Vec<PathBuf> =
            (0..6).map(|n| written(&folder, &format!("{n}"), large)).collect();
        let shelf = Shelf::default();
        let first = shelf.file(&paths[0], "1").expect("read").expect("there is room");
        assert!(Arc::ptr_eq(
            &first,
            &shelf.file(&paths[0], "1").expect("read").expect("there is room")
        ));
        let reading: Vec<Bytes> = paths[..4]
            .iter()
            .map(|path| shelf.file(path, "1").expect("read").expect("there is room").plain.clone())
            .collect();
        assert!(shelf.file(&paths[4], "1").expect("read").is_none(), "all of them are being read");
        drop((reading, first));
        assert!(shelf.file(&paths[4], "1").expect("read").is_some());
        assert!(shelf.file(&paths[5], "1").expect("read").is_some());
        assert_eq!(shelf.files().iter().map(|file| file.len()).sum::<usize>(), 4 * large);
    }

    #[test]
    fn what_gets_no_shorter_is_compressed_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("picture");
        std::fs::write(&path, Coding::Brotli.encode(&chance()).expect("encoded")).expect("written");
        let file = Shelf::default().file(&path, "1").expect("read").expect("there is room");
        for (coding, form) in [(Coding::Brotli, &file.brotli), (Coding::Gzip, &file.gzip)] {
            file.compress(coding);
            assert_eq!(form.get(), Some(&None), "it was tried, and is not tried again");
        }
        assert_eq!(file.best(|_| true), (Coding::Plain, file.plain.clone()));
    }

    /// Bytes of chance: those of a small generator.
    fn chance() -> Vec<u8> {
        let next = |state: &u32| Some(state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
        let states = std::iter::successors(Some(1_u32), next);
        states.take(100_000).map(|state| (state >> 26) as u8).collect()
    }

    #[test]
    fn compressed_forms_say_the_same() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = written(&folder, "page", 100_000);
        let file = Shelf::default().file(&path, "1").expect("read").expect("there is room");
        assert_eq!(file.best(|_| true).0, Coding::Plain);
        file.compress(Coding::Gzip);
        file.compress(Coding::Brotli);
        let (coding, brotli) = file.best(|_| true);
        assert_eq!(coding, Coding::Brotli);
        let mut plain = Vec::new();
        brotli::BrotliDecompress(&mut &brotli[..], &mut plain).expect("decompressed");
        assert_eq!(plain, file.plain);
        let (coding, gzip) = file.best(|coding| coding != Coding::Brotli);
        assert_eq!(coding, Coding::Gzip);
        plain.clear();
        flate2::read::GzDecoder::new(&gzip[..]).read_to_end(&mut plain).expect("decompressed");
        assert_eq!(plain, file.plain);
        assert_eq!(
            file.best(|coding| coding == Coding::Plain),
            (Coding::Plain, file.plain.clone())
        );
    }
}
