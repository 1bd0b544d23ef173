//! Passwords: from a file, the environment, or the keyboard; never an argument, which `ps` shows.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use zeroize::Zeroizing;

#[derive(Args, Debug)]
pub(crate) struct Password {
    /// File whose first line is the password [default: PEERGRAPH_PASSWORD, or the keyboard]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl Password {
    /// Whether a file is named for it.
    pub(super) fn is_named(&self) -> bool {
        self.password_file.is_some()
    }

    /// The password that opens something.
    pub(super) fn read(&self) -> Result<Zeroizing<String>> {
        self.get(false)
    }

    /// The password for something new, which the user types twice.
    pub(super) fn choose(&self) -> Result<Zeroizing<String>> {
        self.get(true)
    }

    fn get(&self, twice: bool) -> Result<Zeroizing<String>> {
        let password = if let Some(path) = &self.password_file {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("reading the password from {}", path.display()))?;
            Zeroizing::new(Zeroizing::new(text).lines().next().unwrap_or_default().to_owned())
        } else if let Ok(password) = std::env::var("PEERGRAPH_PASSWORD") {
            Zeroizing::new(password)
        } else if cfg!(unix) && std::io::stdin().is_terminal() {
            let password = keyboard::ask("Password: ")?;
            if twice && *keyboard::ask("Again: ")? != *password {
                bail!("the two passwords differ; try again");
            }
            password
        } else {
            bail!(
                "no password: put it into a file and name that with --password-file, or set PEERGRAPH_PASSWORD"
            );
        };
        if password.is_empty() {
            bail!("the password is empty, which protects nothing; choose one");
        }
        Ok(password)
    }
}

#[cfg(unix)]
mod keyboard {
    use std::io::{BufRead as _, Write as _};

    use anyhow::{Context as _, Result};
    use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
    use zeroize::Zeroizing;

    /// Shows what is typed again, whatever happens.
    struct Unseen(Termios);

    impl Drop for Unseen {
        fn drop(&mut self) {
            // The terminal is gone otherwise.
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Flush, &self.0);
            note!();
        }
    }

    /// Reads a line that the terminal does not show.
    pub(super) fn ask(prompt: &str) -> Result<Zeroizing<String>> {
        let input = std::io::stdin();
        let before = tcgetattr(&input).context("asking for the password")?;
        let mut unseen = before.clone();
        unseen.local_modes.remove(LocalModes::ECHO);
        // Text that was typed before the question is no answer to it.
        tcsetattr(&input, OptionalActions::Flush, &unseen).context("asking for the password")?;
        let _before = Unseen(before);
        eprint!("{prompt}");
        std::io::stderr().flush().context("asking for the password")?;
        let mut line = Zeroizing::new(String::new());
        input.lock().read_line(&mut line).context("reading the password")?;
        Ok(Zeroizing::new(line.trim_end_matches(['\n', '\r']).to_owned()))
    }
}

#[cfg(not(unix))]
mod keyboard {
    use anyhow::{Result, bail};
    use zeroize::Zeroizing;

    pub(super) fn ask(_prompt: &str) -> Result<Zeroizing<String>> {
        bail!("this system cannot hide what is typed; use --password-file or PEERGRAPH_PASSWORD")
    }
}
