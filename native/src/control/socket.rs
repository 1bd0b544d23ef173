//! The socket in the folder of an identity.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

/// Its name in the folder.
const NAME: &str = "control";
/// Longest path that is given to the system as it is. Bytes. Source: `sun_path` of `sockaddr_un` holds 104 (BSD, macOS)
/// or 108 (Linux), with the zero at its end.
const PATH_BYTES_MAX: usize = 100;

/// A path of the socket that the system takes, for as long as this lives.
struct Reached {
    path: PathBuf,
    _folder: Option<File>,
}

/// A path that is too long is reached through an open folder, which Linux shows at a short one.
fn reach(folder: &Path) -> io::Result<Reached> {
    let path = folder.join(NAME);
    if path.as_os_str().len() <= PATH_BYTES_MAX || !cfg!(target_os = "linux") {
        return Ok(Reached { path, _folder: None });
    }
    let opened = File::open(folder)?;
    let path = format!("/proc/self/fd/{}/{NAME}", opened.as_raw_fd()).into();
    Ok(Reached { path, _folder: Some(opened) })
}

/// The listening socket. Its file is removed when this is dropped, which must be before the folder is free again.
#[derive(Debug)]
pub(crate) struct Listening {
    listener: UnixListener,
    path: PathBuf,
}

impl Listening {
    /// Listens in the folder of an identity that is locked for us: what is there is of a program that has ended.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        let path = folder.join(NAME);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(&reach(folder)?.path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, path })
    }

    /// The next connection of a program of the same user.
    pub(super) async fn accept(&self) -> io::Result<UnixStream> {
        loop {
            let (stream, _) = self.listener.accept().await?;
            match check(&stream) {
                Ok(()) => return Ok(stream),
                Err(error) => tracing::warn!(%error, "a program is refused"),
            }
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Connects to the program that serves the folder of an identity.
pub(super) async fn connect(folder: &Path) -> io::Result<UnixStream> {
    let reached = reach(folder)?;
    let stream = UnixStream::connect(&reached.path).await?;
    check(&stream)?;
    Ok(stream)
}

/// Whether the other end runs as our user.
fn check(stream: &UnixStream) -> io::Result<()> {
    let (theirs, ours) = (stream.peer_cred()?.uid(), rustix::process::getuid().as_raw());
    if theirs == ours {
        return Ok(());
    }
    let what = format!("the program at the other end runs as user {theirs}, not {ours}");
    Err(io::Error::new(io::ErrorKind::PermissionDenied, what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn socket_is_reached_at_any_length_of_path_and_is_its_owners() {
        let place = tempfile::tempdir().expect("a folder");
        for depth in 0..4 {
            let folder = place.path().join(format!("{}/", "x".repeat(60)).repeat(depth));
            std::fs::create_dir_all(&folder).expect("made");
            if !cfg!(target_os = "linux") && depth > 0 {
                continue;
            }
            // The socket left by a program that was killed is no obstacle.
            std::fs::write(folder.join(NAME), b"").expect("written");
            let listening = Listening::open(&folder).expect("listens");
            let mode = std::fs::metadata(folder.join(NAME)).expect("there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            let (accepted, connected) = tokio::join!(listening.accept(), connect(&folder));
            accepted.and(connected).expect("connected");
            drop(listening);
            assert!(!folder.join(NAME).exists());
            let error = connect(&folder).await.expect_err("nobody serves");
            assert_eq!(error.kind(), io::ErrorKind::NotFound);
        }
    }
}
