//! `peergraph cert …`: certificates as people and other programs read them.

use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::{Args, Subcommand, ValueEnum};
use peergraph::peergraph_core::cert::{
    CertError, Kind, VerifiedChain, chain_from_file, chain_to_der, chain_to_pem, verify_chain,
    verify_identity,
};
use peergraph::peergraph_core::identity;
use peergraph::{Certificate, FolderError, GroupId, Host, WallTime, parse_invitation};
use serde_json::{Value, json};

use super::input::{Source, TEXT_BYTES_MAX};
use super::{Global, find_group, output, with_host};

#[derive(Debug, Subcommand)]
pub(crate) enum CertCommand {
    /// Show the fields of a certificate, or of all certificates of a chain
    Show {
        /// PEM or DER; `-` for standard input
        #[arg(default_value = "-")]
        file: Source,
    },
    /// Check that a chain makes somebody a member of a group, or that an identity is genuine
    Verify {
        /// PEM or DER, leaf or root first; `-` for standard input
        file: Source,
        #[command(flatten)]
        group: Expected,
        /// The moment to judge, in seconds since 1970 [default: now]
        #[arg(long, value_name = "SECONDS")]
        at: Option<u64>,
    },
    /// Write the chain that makes us a member of a group: our certificate first, the group's root last
    Export {
        /// Id, beginning of the id, or name
        group: String,
        /// Which certificates
        #[arg(long, value_enum, default_value_t)]
        part: Part,
        /// PEM is text, DER is bytes
        #[arg(long, value_enum, default_value_t)]
        format: Format,
        /// Where to write it [default: standard output]
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct Expected {
    /// Id of the group
    #[arg(long, value_name = "ID")]
    group: Option<GroupId>,
    /// File with an invitation of the group; `-` for standard input
    #[arg(long, value_name = "FILE")]
    invitation: Option<Source>,
    /// No group: a public document, signed by its own key
    #[arg(long)]
    self_signed: bool,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Part {
    /// All of it
    #[default]
    Chain,
    /// The group's root, which others have to trust
    Root,
    /// Our own certificate
    Member,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Format {
    #[default]
    Pem,
    Der,
}

pub(super) async fn run(global: &Global, command: CertCommand) -> Result<()> {
    match command {
        CertCommand::Show { file } => {
            for certificate in read(&file)? {
                show(global, &certificate)?;
            }
            Ok(())
        }
        CertCommand::Verify { file, group, at } => {
            let now = match at {
                Some(seconds) => WallTime(seconds.checked_mul(1_000).context("--at is too late")?),
                None => now()?,
            };
            verify(global, &file, &group, now)
        }
        CertCommand::Export { group, part, format, output } => {
            let chain = own_membership(global, &group).await?;
            export(global, &chain, part, format, output)
        }
    }
}

fn now() -> Result<WallTime> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let since = since.context("the clock of this system is before 1970")?;
    Ok(WallTime(u64::try_from(since.as_millis()).unwrap_or(u64::MAX)))
}

fn read(file: &Source) -> Result<Vec<Certificate>> {
    let bytes = file.read(TEXT_BYTES_MAX)?;
    chain_from_file(&bytes).map_err(|error| refusal(&format!("reading {file}"), error))
}

/// The error of a failed act: its name, the cause, and the rules of the certificate profile that
/// were broken.
fn refusal(tried: &str, error: CertError) -> anyhow::Error {
    let rules: Vec<String> = error.rules().iter().map(u8::to_string).collect();
    match rules.as_slice() {
        [] => anyhow!("{tried}: {error}"),
        [rule] => anyhow!("{tried}: {error} (rule {rule})"),
        rules => anyhow!("{tried}: {error} (rules {})", rules.join(" and ")),
    }
}

fn show(global: &Global, certificate: &Certificate) -> Result<()> {
    let kind = match certificate.kind() {
        Kind::Identity => "identity",
        Kind::Root => "root",
        Kind::Heir => "heir",
        Kind::Member(_) => "membership",
    };
    let role = certificate.role().map(|role| role.to_string());
    let peer_name = certificate.peer_name();
    let host = Some(peer_name).filter(|it| !it.classifier().is_empty());
    let host = host.and_then(|name| name.to_host().ok());
    if global.json {
        return output::line(json!({
            "kind": kind,
            "peer": certificate.peer_id().to_string(),
            "name": certificate.name(),
            "peer_name": peer_name.to_string(),
            "host": host,
            "role": role,
            "issuer": certificate.issuer_name(),
            "serial": certificate.serial().to_string(),
            "serial_hex": serial_hex(certificate),
            "not_before": certificate.not_before().0,
            "not_after": certificate.not_after().0,
            "path_length": certificate.path_length(),
        }));
    }
    let mut fields = vec![
        ("kind", kind.to_owned()),
        ("peer", certificate.peer_id().to_string()),
        ("name", output::plain(certificate.name())),
    ];
    fields.extend(host.map(|host| {
        ("peer name", output::plain(&peer_name.to_string()) + "\n             " + &host)
    }));
    fields.extend(role.map(|role| ("role", role)));
    fields.push(("issuer", output::plain(certificate.issuer_name())));
    fields.push(("serial", serial_hex(certificate)));
    fields.push(("valid from", output::time(certificate.not_before())));
    fields.push(("valid until", output::time(certificate.not_after())));
    fields.extend(certificate.path_length().map(|it| ("issuers below", it.to_string())));
    let lines: Vec<_> = fields.iter().map(|(name, value)| format!("{name:<13}{value}")).collect();
    output::line(lines.join("\n") + "\n")
}

/// As other programs show it.
fn serial_hex(certificate: &Certificate) -> String {
    data_encoding::HEXLOWER.encode(certificate.serial().as_bytes())
}

fn verify(global: &Global, file: &Source, expected: &Expected, now: WallTime) -> Result<()> {
    let certificates = read(file)?;
    let tried = format!("verifying {file}");
    let refused = |error| refusal(&tried, error);
    if expected.self_signed {
        let [certificate] = certificates.as_slice() else {
            bail!("{tried}: an identity has one certificate, not {}", certificates.len());
        };
        let peer = verify_identity(certificate, identity::verify).map_err(refused)?;
        let name = certificate.name();
        let object = json!({ "peer": peer.to_string(), "name": name, "valid": true });
        return say(global, object, format!("{peer}  {}  genuine", output::plain(name)));
    }
    let group = match (&expected.group, &expected.invitation) {
        (Some(group), _) => *group,
        (None, Some(file)) => {
            let text = file.read_text()?;
            parse_invitation(&text).context("reading the invitation")?.group
        }
        (None, None) => bail!("neither --group nor --invitation says which group it should be"),
    };
    let chain = verify_chain(&certificates, group, identity::verify).map_err(refused)?;
    if !chain.covers(now) {
        return Err(refused(CertError::Expired));
    }
    let (peer, name, role) = (chain.peer(), chain.name(), chain.role());
    let object = json!({
        "group": group.to_string(),
        "peer": peer.to_string(),
        "name": name,
        "role": role.to_string(),
        "not_after": chain.not_after().0,
        "valid": true,
    });
    let until = output::time(chain.not_after());
    say(global, object, format!("{peer}  {}  {role} until {until}", output::plain(name)))
}

fn say(global: &Global, object: Value, text: String) -> Result<()> {
    if global.json { output::line(object) } else { output::line(text) }
}

/// Our membership of a group, read without starting a host.
async fn own_membership(global: &Global, wanted: &str) -> Result<VerifiedChain> {
    let folder = global.folder()?;
    let Some(peer) = folder.find(global.identity.as_deref())? else {
        bail!("there is no identity yet; make one with `peergraph identity new NAME`");
    };
    let groups = match folder.groups(peer) {
        Ok(groups) => groups,
        Err(FolderError::InUse { .. }) => {
            let membership =
                async |host: &Host| Ok(find_group(host, wanted).await?.membership().await?);
            return with_host(global, membership).await;
        }
        Err(error) => return Err(error).context("looking for the group"),
    };
    let mut found: Vec<_> =
        groups.iter().filter(|group| group.name.as_deref() == Some(wanted)).collect();
    if found.is_empty() && !wanted.is_empty() {
        let start = wanted.to_lowercase();
        found = groups.iter().filter(|group| group.id.to_string().starts_with(&start)).collect();
    }
    match found.as_slice() {
        [group] => group.membership().map_err(|error| refusal("reading our membership", error)),
        [] => bail!("no group {wanted:?}; see `peergraph group list`"),
        _ => bail!("more than one group is called {wanted:?}; name it by its id"),
    }
}

fn export(
    global: &Global,
    chain: &VerifiedChain,
    part: Part,
    format: Format,
    output: Option<PathBuf>,
) -> Result<()> {
    let certificates = match part {
        Part::Chain => chain.certificates(),
        Part::Root => std::slice::from_ref(chain.root()),
        Part::Member => std::slice::from_ref(chain.leaf()),
    };
    let bytes = match format {
        Format::Pem => chain_to_pem(certificates).into_bytes(),
        Format::Der => chain_to_der(certificates),
    };
    if let Some(path) = output {
        return std::fs::write(&path, bytes).with_context(|| format!("writing {}", path.display()));
    }
    if global.json {
        let (name, text) = match format {
            Format::Pem => ("pem", chain_to_pem(certificates)),
            Format::Der => ("der_base64", data_encoding::BASE64.encode(&bytes)),
        };
        return output::line(json!({ "group": chain.group().to_string(), name: text }));
    }
    output::bytes(&bytes)
}
