//! `peergraph identity …`: keys, which never leave the data folder except sealed under a password.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Subcommand;
use peergraph::{Folder, Identity, IdentityEntry, PeerId, PeerName, read_public_document};
use serde_json::{Value, json};

use super::input::{SIGNED_BYTES_MAX, Source};
use super::password::Password;
use super::{Global, output};

/// Bytes of a signature.
const SIGNATURE_BYTES: usize = 64;

#[derive(Debug, Subcommand)]
pub(crate) enum IdentityCommand {
    /// Make an identity
    New {
        /// Shown to other members
        #[arg(id = "identity_name", value_name = "NAME")]
        name: String,
        /// The end of its peer name
        #[arg(long, value_name = "TEXT", default_value = "")]
        classifier: String,
    },
    /// Show an identity
    Show {
        /// Name, id, or the beginning of the id [default: the one in use]
        who: Option<String>,
        /// Print the public document that an inviter needs to invite this identity and nobody else
        #[arg(long)]
        document: bool,
        /// Write the public document to this file
        #[arg(long, short, value_name = "FILE", requires = "document")]
        output: Option<PathBuf>,
    },
    /// List the identities of the data folder
    List,
    /// Give an identity another name; key and id stay
    Rename {
        /// Name, id, or the beginning of the id
        who: String,
        /// Shown to other members [default: as before]
        #[arg(id = "identity_name", value_name = "NAME", required_unless_present = "classifier")]
        name: Option<String>,
        /// The end of its peer name; an empty one for none [default: as before]
        #[arg(long, value_name = "TEXT")]
        classifier: Option<String>,
    },
    /// Show or choose the identity that is used when none is named
    Default {
        /// Name, id, or the beginning of the id
        who: Option<String>,
    },
    /// Delete an identity for good; refused while it is in a group
    Delete {
        /// Name, id, or the beginning of the id
        who: String,
    },
    /// Print the peer name of an identity, and its form as a host name
    Name {
        /// Name, id, or the beginning of the id [default: the one in use]
        who: Option<String>,
        /// Another classifier of the same key [default: its own]
        #[arg(long, value_name = "TEXT", conflicts_with = "host")]
        classifier: Option<String>,
        /// The peer name of this host name instead
        #[arg(long, value_name = "HOST", conflicts_with = "who")]
        host: Option<String>,
    },
    /// Sign a file; the signature stands apart from it
    Sign {
        /// The file to sign; `-` for standard input
        file: Source,
        /// The signer: name, id, or the beginning of the id [default: the one in use]
        #[arg(long, value_name = "WHO")]
        by: Option<String>,
        /// Write the 64 bytes of the signature to this file [default: base64 to standard output]
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Check the signature of a file
    Verify {
        /// The signed file; `-` for standard input
        file: Source,
        /// The signature, as `identity sign` wrote it
        #[arg(long, value_name = "FILE")]
        signature: PathBuf,
        /// The public document of the expected signer
        #[arg(long, value_name = "FILE", conflicts_with = "by", required_unless_present = "by")]
        document: Option<PathBuf>,
        /// The identity of this data folder that should have signed
        #[arg(long, value_name = "WHO")]
        by: Option<String>,
    },
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
        file: Source,
        #[command(flatten)]
        password: Password,
    },
}

pub(super) fn run(global: &Global, command: IdentityCommand) -> Result<()> {
    let folder = global.folder()?;
    let folder = &folder;
    match command {
        IdentityCommand::New { name, classifier } => {
            let made = folder.new_identity(&name, &classifier).context("making an identity")?;
            show(global, folder, made.peer_id())
        }
        IdentityCommand::Show { who, document, output } => {
            let peer = find(global, folder, who.as_deref())?;
            if document {
                show_document(global, &folder.identity(peer)?, output.as_deref())
            } else {
                show(global, folder, peer)
            }
        }
        IdentityCommand::List => {
            folder.identities()?.iter().try_for_each(|entry| show_entry(global, entry))
        }
        IdentityCommand::Rename { who, name, classifier } => {
            let identity = folder.identity(find(global, folder, Some(&who))?)?;
            let name = name.as_deref().unwrap_or(identity.name());
            let classifier = classifier.as_deref();
            let classifier = classifier.unwrap_or(identity.peer_name().classifier());
            let peer = identity.peer_id();
            folder.rename(peer, name, classifier).context("renaming the identity")?;
            show(global, folder, peer)
        }
        IdentityCommand::Default { who } => {
            let peer = match who {
                None => find(global, folder, None)?,
                Some(who) => {
                    let peer = find(global, folder, Some(&who))?;
                    folder.set_default(peer).context("choosing the default identity")?;
                    peer
                }
            };
            show(global, folder, peer)
        }
        IdentityCommand::Delete { who } => {
            let peer = find(global, folder, Some(&who))?;
            folder.delete(peer).context("deleting the identity")?;
            say(global, json!({ "peer": peer.to_string(), "deleted": true }), || {
                format!("{peer}  deleted")
            })
        }
        IdentityCommand::Name { who, classifier, host } => {
            show_name(global, folder, who.as_deref(), classifier.as_deref(), host.as_deref())
        }
        IdentityCommand::Sign { file, by, output } => {
            let identity = folder.identity(find(global, folder, by.as_deref())?)?;
            sign(global, &identity, &file, output.as_deref())
        }
        IdentityCommand::Verify { file, signature, document, by } => {
            let certificate = match document {
                Some(path) => read_document(&path)?,
                None => {
                    folder.identity(find(global, folder, by.as_deref())?)?.certificate().clone()
                }
            };
            verify(global, &certificate, &file, &signature)
        }
        IdentityCommand::Export { who, password, output } => {
            let peer = find(global, folder, who.as_deref())?;
            let text =
                folder.export(peer, &password.choose()?).context("exporting the identity")?;
            write_new(global, peer, output.as_deref(), &text)
        }
        IdentityCommand::Import { file, password } => {
            let text = file.read_text()?;
            let identity = folder.import(&text, &password.read()?);
            let identity = identity.context("importing the identity")?;
            show(global, folder, identity.peer_id())
        }
    }
}

fn find(global: &Global, folder: &Folder, who: Option<&str>) -> Result<PeerId> {
    match folder.find(who.or(global.identity.as_deref()))? {
        Some(peer) => Ok(peer),
        None => bail!("there is no identity yet; make one with `peergraph identity new NAME`"),
    }
}

/// Prints one result, for programs or for people.
fn say(global: &Global, object: Value, text: impl FnOnce() -> String) -> Result<()> {
    if global.json { output::line(object) } else { output::line(text()) }
}

fn show(global: &Global, folder: &Folder, peer: PeerId) -> Result<()> {
    let entries = folder.identities()?;
    let entry = entries.iter().find(|entry| entry.peer == peer);
    show_entry(global, entry.context("the identity is gone")?)
}

fn show_entry(global: &Global, entry: &IdentityEntry) -> Result<()> {
    let IdentityEntry { peer, name, peer_name, default } = entry;
    let classifier = peer_name.classifier();
    let object = json!({
        "peer": peer.to_string(),
        "name": name,
        "classifier": classifier,
        "peer_name": peer_name.to_string(),
        "default": default,
    });
    say(global, object, || {
        let mark = if *default { "  (default)" } else { "" };
        let classifier = match classifier {
            "" => String::new(),
            classifier => format!("  .{}", output::plain(classifier)),
        };
        format!("{peer}  {}{classifier}{mark}", output::plain(name))
    })
}

fn show_document(global: &Global, identity: &Identity, output: Option<&Path>) -> Result<()> {
    let document = identity.public_document();
    if let Some(path) = output {
        return std::fs::write(path, document)
            .with_context(|| format!("writing {}", path.display()));
    }
    let object = json!({
        "peer": identity.peer_id().to_string(),
        "name": identity.name(),
        "document": document,
    });
    say(global, object, || document.trim_end().to_owned())
}

fn show_name(
    global: &Global,
    folder: &Folder,
    who: Option<&str>,
    classifier: Option<&str>,
    host: Option<&str>,
) -> Result<()> {
    let name = match host {
        Some(host) => PeerName::from_host(host).with_context(|| format!("reading {host}"))?,
        None => {
            let identity = folder.identity(find(global, folder, who)?)?;
            let own = identity.peer_name();
            match classifier {
                Some(classifier) => own.with_classifier(classifier).context("making the name")?,
                None => own.clone(),
            }
        }
    };
    let host = name.to_host().context("making the host name")?;
    let object = json!({
        "peer_name": name.to_string(),
        "host": host,
        "peer": name.peer().map(|peer| peer.to_string()),
        "classifier": name.classifier(),
    });
    say(global, object, || format!("{}\n{host}", output::plain(&name.to_string())))
}

fn sign(global: &Global, identity: &Identity, file: &Source, output: Option<&Path>) -> Result<()> {
    let signature = identity.sign_message(&file.read(SIGNED_BYTES_MAX)?);
    if let Some(path) = output {
        return std::fs::write(path, signature)
            .with_context(|| format!("writing {}", path.display()));
    }
    let text = data_encoding::BASE64.encode(&signature);
    let object = json!({
        "peer": identity.peer_id().to_string(),
        "name": identity.name(),
        "signature": text,
    });
    say(global, object, || text.clone())
}

fn verify(
    global: &Global,
    certificate: &peergraph::Certificate,
    file: &Source,
    signature: &Path,
) -> Result<()> {
    let bytes = std::fs::read(signature)
        .with_context(|| format!("reading the signature from {}", signature.display()))?;
    let signature = parse_signature(&bytes).with_context(|| {
        format!("{} holds no signature: 64 bytes, or their base64", signature.display())
    })?;
    let (peer, name) = (certificate.peer_id(), certificate.name());
    if !certificate.subject_key().signed(&file.read(SIGNED_BYTES_MAX)?, &signature) {
        bail!("checking {file}: the signature is not {name}'s ({peer}) over this content");
    }
    let object = json!({ "peer": peer.to_string(), "name": name, "valid": true });
    say(global, object, || format!("{peer}  {}  signed it", output::plain(name)))
}

/// 64 bytes, or their base64 in text, or in what `sign --json` printed.
fn parse_signature(bytes: &[u8]) -> Option<[u8; SIGNATURE_BYTES]> {
    if let Ok(signature) = bytes.try_into() {
        return Some(signature);
    }
    let text = std::str::from_utf8(bytes).ok()?.trim();
    let object: Option<Value> = serde_json::from_str(text).ok();
    let text = object.as_ref().and_then(|it| it["signature"].as_str()).unwrap_or(text);
    data_encoding::BASE64.decode(text.as_bytes()).ok()?.try_into().ok()
}

fn read_document(path: &Path) -> Result<peergraph::Certificate> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("reading the identity in {}", path.display()))?;
    let hint = "it must hold what `peergraph identity show --document` prints";
    read_public_document(&text)
        .with_context(|| format!("reading the identity in {} ({hint})", path.display()))
}

/// Writes an export, and never over another one: it may be the only copy.
fn write_new(global: &Global, peer: PeerId, output: Option<&Path>, text: &str) -> Result<()> {
    let Some(path) = output else {
        let object = json!({ "peer": peer.to_string(), "export": text });
        return say(global, object, || text.trim_end().to_owned());
    };
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let write = || {
        let mut file = options.open(path)?;
        std::io::Write::write_all(&mut file, text.as_bytes())?;
        file.sync_all()
    };
    write().with_context(|| format!("writing {}", path.display()))?;
    note!("Exported {peer} to {}", path.display());
    Ok(())
}
