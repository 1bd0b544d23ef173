//! `peergraph identity …`: keys, which never leave the data folder except sealed under a password.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use peergraph::{Folder, Identity, PeerId};
use serde_json::json;

use super::{Global, output, read_input};

#[derive(Debug, Subcommand)]
pub(crate) enum IdentityCommand {
    /// Make an identity
    New {
        /// Shown to other members
        #[arg(id = "identity_name", value_name = "NAME")]
        name: String,
    },
    /// Show an identity
    Show {
        /// Name, id, or the beginning of the id [default: the one in use]
        who: Option<String>,
        /// Print the public document that an inviter needs to invite this identity and nobody else
        #[arg(long)]
        document: bool,
    },
    /// List the identities of the data folder
    List,
    /// Write an identity as text that only the password opens
    Export {
        /// Name, id, or the beginning of the id [default: the one in use]
        who: Option<String>,
        #[command(flatten)]
        password: Password,
        /// Where to write it [default: standard output]
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Read an exported identity
    Import {
        /// The exported text; `-` for standard input
        #[arg(default_value = "-")]
        file: String,
        #[command(flatten)]
        password: Password,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Password {
    /// File whose first line is the password [default: PEERGRAPH_PASSWORD]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl Password {
    fn read(&self) -> Result<zeroize::Zeroizing<String>> {
        let password = match &self.password_file {
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("reading the password from {}", path.display()))?;
                let text = zeroize::Zeroizing::new(text);
                text.lines().next().unwrap_or_default().to_owned()
            }
            None => match std::env::var("PEERGRAPH_PASSWORD") {
                Ok(password) => password,
                Err(_) => bail!(
                    "no password: put it into a file and name that with --password-file, or set PEERGRAPH_PASSWORD"
                ),
            },
        };
        if password.is_empty() {
            bail!("the password is empty, which protects nothing; choose one");
        }
        Ok(zeroize::Zeroizing::new(password))
    }
}

pub(super) fn run(global: &Global, command: IdentityCommand) -> Result<()> {
    let folder = global.folder()?;
    match command {
        IdentityCommand::New { name } => {
            let identity = folder.new_identity(&name).context("making an identity")?;
            show(global, &identity, false)
        }
        IdentityCommand::Show { who, document } => {
            let identity = folder.identity(find(global, &folder, who.as_deref())?)?;
            show(global, &identity, document)
        }
        IdentityCommand::List => list(global, &folder),
        IdentityCommand::Export { who, password, output } => {
            let identity = folder.identity(find(global, &folder, who.as_deref())?)?;
            export(&identity, &password, output)
        }
        IdentityCommand::Import { file, password } => {
            let text = String::from_utf8_lossy(&read_input(&file)?).into_owned();
            let identity =
                Identity::import(&text, &password.read()?).context("importing the identity")?;
            folder.add(&identity).context("importing the identity")?;
            show(global, &identity, false)
        }
    }
}

fn find(global: &Global, folder: &Folder, who: Option<&str>) -> Result<PeerId> {
    match folder.find(who.or(global.identity.as_deref()))? {
        Some(peer) => Ok(peer),
        None => bail!("there is no identity yet; make one with `peergraph identity new NAME`"),
    }
}

fn show(global: &Global, identity: &Identity, document: bool) -> Result<()> {
    let (peer, name) = (identity.peer_id(), identity.name());
    if global.json {
        let mut object = json!({ "peer": peer.to_string(), "name": name });
        if document {
            object["document"] = identity.public_document().into();
        }
        return output::line(object);
    }
    if document {
        return output::line(identity.public_document().trim_end());
    }
    output::line(format!("{peer}  {}", output::plain(name)))
}

fn list(global: &Global, folder: &Folder) -> Result<()> {
    for entry in folder.identities()? {
        let (peer, name, default) = (entry.peer, entry.name, entry.default);
        if global.json {
            output::line(json!({ "peer": peer.to_string(), "name": name, "default": default }))?;
        } else {
            let mark = if default { "  (default)" } else { "" };
            output::line(format!("{peer}  {}{mark}", output::plain(&name)))?;
        }
    }
    Ok(())
}

fn export(identity: &Identity, password: &Password, output: Option<PathBuf>) -> Result<()> {
    let mut random = [0; 40];
    getrandom::fill(&mut random).context("the system gives no randomness")?;
    let text = identity.export(&password.read()?, random);
    let Some(path) = output else {
        return output::line(text.trim_end());
    };
    let mut options = std::fs::OpenOptions::new();
    // Never over another export: it may be the only copy.
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let write = || {
        let mut file = options.open(&path)?;
        std::io::Write::write_all(&mut file, text.as_bytes())?;
        file.sync_all()
    };
    write().with_context(|| format!("writing {}", path.display()))?;
    eprintln!("Exported {} to {}", identity.peer_id(), path.display());
    Ok(())
}
