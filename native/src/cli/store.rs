//! `peergraph store`, `backup` and `restore`.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use peergraph::{FolderError, PeerId, StoreCheck};
use serde_json::json;

use super::input::Source;
use super::password::Password;
use super::{Global, output, with_host};
use peergraph::peergraph_core::backup::BACKUP_BYTES_MAX;

#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Check everything that is stored; what is damaged is fetched again when a member is met
    Verify,
    /// Give the room of what was deleted back to the disk
    Compact,
}

#[derive(Args, Debug)]
pub(crate) struct BackupArguments {
    /// Where to write it; a file that is there is not replaced
    file: PathBuf,
    /// Also the records, which other members hold too
    #[arg(long)]
    records: bool,
    #[command(flatten)]
    password: Password,
}

#[derive(Args, Debug)]
pub(crate) struct RestoreArguments {
    /// The backup; `-` for standard input
    file: Source,
    #[command(flatten)]
    password: Password,
}

pub(super) async fn run(global: &Global, command: StoreCommand) -> Result<()> {
    let folder = global.folder()?;
    let peer = own(global)?;
    let place = folder.path().display().to_string();
    match command {
        StoreCommand::Verify => {
            let check = match folder.check_store(peer) {
                // Its program reads it for us.
                Err(FolderError::InUse { .. }) => {
                    with_host(global, async |host| Ok(host.check_store().await?)).await
                }
                Ok(check) => Ok(check),
                Err(error) => Err(error).context("checking the store"),
            }?;
            tell(global, &place, check)
        }
        StoreCommand::Compact => {
            let (before, after) = folder.compact_store(peer).context("compacting the store")?;
            if global.json {
                return output::line(json!({ "before": before, "after": after }));
            }
            output::line(format!("{before} bytes before, {after} after"))
        }
    }
}

fn own(global: &Global) -> Result<PeerId> {
    match global.folder()?.find(global.identity.as_deref())? {
        Some(peer) => Ok(peer),
        None => bail!("there is no identity yet; make one with `peergraph identity new NAME`"),
    }
}

fn tell(global: &Global, place: &str, check: StoreCheck) -> Result<()> {
    let StoreCheck { entries, damaged, .. } = check;
    if global.json {
        output::line(json!({ "entries": entries, "damaged": damaged }))?;
    } else {
        output::line(format!("{entries} entries, {damaged} of them damaged"))?;
    }
    if damaged > 0 {
        bail!(
            "checking the store: {damaged} entries in {place} are damaged; records are fetched again when a member is met, \
             a group whose own entry is damaged needs a backup (`peergraph restore`)"
        );
    }
    Ok(())
}

pub(super) async fn backup(global: &Global, arguments: BackupArguments) -> Result<()> {
    if arguments.file.exists() {
        bail!(
            "writing the backup: {} is there already; name another file",
            arguments.file.display()
        );
    }
    let password = arguments.password.choose()?;
    with_host(global, async |host| {
        let groups = host.groups().await?.len();
        let made = host.backup(&password, arguments.records).await.context("making the backup")?;
        write_new(&arguments.file, &made)?;
        if global.json {
            return output::line(json!({ "peer": host.peer_id().to_string(), "groups": groups, "bytes": made.len() }));
        }
        output::line(format!("{}  {}  {groups} groups", host.peer_id(), output::plain(host.name())))
    })
    .await?;
    note!(
        "Keep it apart from this device, and the password apart from it: who has both is this identity."
    );
    Ok(())
}

/// Writes a file that nobody else may read, and that was not there.
fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let write = || {
        let mut file = options.open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().with_context(|| format!("writing {}", path.display()))
}

pub(super) fn restore(global: &Global, arguments: &RestoreArguments) -> Result<()> {
    let folder = global.folder()?;
    let file = arguments.file.read(BACKUP_BYTES_MAX + 64 * 1024)?;
    let restored = folder.restore(&file, &arguments.password.read()?);
    let restored = restored.context("restoring the backup")?;
    if let Some(aside) = &restored.moved {
        note!("The store that opened no more is kept as {}.", aside.display());
    }
    if global.json {
        return output::line(json!({
            "peer": restored.peer.to_string(),
            "groups": restored.groups,
            "records": restored.records,
        }));
    }
    output::line(format!(
        "{}  {} groups, {} records",
        restored.peer, restored.groups, restored.records
    ))
}
