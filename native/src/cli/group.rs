//! `peergraph group …`.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Subcommand;
use futures::StreamExt as _;
use peergraph::peergraph_core::io::SyncPhase;
use peergraph::{Certificate, Event, Events, Group, Host, InviteOptions, Role, parse_invitation};
use serde_json::json;

use super::{Global, duration, find_group, output, read_input, with_host};

/// How long a new member waits for what the group holds. Guess; `peergraph watch` gets the rest.
const SYNC_WAIT: Duration = Duration::from_secs(10);

#[derive(Debug, Subcommand)]
pub(crate) enum GroupCommand {
    /// Make a group, with you as its administrator
    Create {
        /// Shown to its members
        #[arg(id = "group_name", value_name = "NAME")]
        name: String,
    },
    /// Print a link that lets others join; whoever sees it can use it, so send it with care
    Invite {
        /// Id, beginning of the id, or name
        group: String,
        /// What the invited may do: member, inviting or administrator
        #[arg(long, default_value = "member")]
        role: Role,
        /// How many may join with the link
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        uses: u32,
        /// How long it can be used, such as 12h or 7d
        #[arg(long, value_name = "TIME", default_value = "7d", value_parser = duration)]
        expires: Duration,
        /// For this identity alone: the file that `identity show --document` prints. Works while you are offline
        #[arg(long = "for", value_name = "FILE", conflicts_with_all = ["uses", "expires"])]
        bound: Option<String>,
        /// The page that the link opens [default: the first node that is known]
        #[arg(long, value_name = "URL")]
        page: Option<String>,
    },
    /// Join a group
    Join {
        /// The link; `-` reads it from standard input, which `ps` does not show
        #[arg(default_value = "-")]
        link: String,
        /// Read the link from this file
        #[arg(long, value_name = "FILE", conflicts_with = "link")]
        file: Option<String>,
    },
    /// List your groups
    List,
    /// List the members of a group
    Members {
        /// Id, beginning of the id, or name
        group: String,
    },
}

pub(super) async fn run(global: &Global, command: GroupCommand) -> Result<()> {
    match command {
        GroupCommand::Create { name } => {
            with_host(global, async |host| {
                let group = host.create_group(name).await.context("making the group")?;
                show(global, &group).await
            })
            .await
        }
        GroupCommand::Invite { group, role, uses, expires, bound, page } => {
            let bound = bound.map(|file| read_document(&file)).transpose()?;
            let online = bound.is_none();
            let options = match bound {
                Some(identity) => InviteOptions::bound(identity, role),
                None => InviteOptions::bearer(role).uses(uses).expires_in(expires),
            };
            let text = with_host(global, async |host| {
                let group = find_group(host, &group).await?;
                let invitation = group.invite(options).await.context("making the invitation")?;
                Ok(invitation.to_text())
            })
            .await?;
            print_link(global, &text, page)?;
            if online {
                eprintln!(
                    "To let people in, a member who may invite must be online, such as `peergraph watch` or \
                     `peergraph node` with this data folder."
                );
            }
            Ok(())
        }
        GroupCommand::Join { link, file } => {
            let link = match file {
                Some(file) => String::from_utf8_lossy(&read_input(&file)?).into_owned(),
                None if link == "-" => String::from_utf8_lossy(&read_input("-")?).into_owned(),
                None => link,
            };
            // A link that is none is told before anything is started.
            parse_invitation(&link).context("reading the invitation")?;
            with_host(global, async |host| join(global, host, &link).await).await
        }
        GroupCommand::List => {
            with_host(global, async |host| {
                for group in host.groups().await.context("listing groups")? {
                    show(global, &group).await?;
                }
                Ok(())
            })
            .await
        }
        GroupCommand::Members { group } => {
            with_host(global, async |host| {
                let group = find_group(host, &group).await?;
                for member in group.members().await.context("listing members")? {
                    if global.json {
                        output::line(output::member_json(&member))?;
                    } else {
                        output::line(output::member_text(&member))?;
                    }
                }
                Ok(())
            })
            .await
        }
    }
}

async fn join(global: &Global, host: &Host, link: &str) -> Result<()> {
    let events = host.events();
    let joined = tokio::time::timeout(global.timeout, host.join(link)).await;
    let group = match joined {
        Ok(group) => group.context("joining the group")?,
        Err(_) => bail!(
            "joining the group: nobody let us in within {} s; is the inviter online, and is a node known (--node URL)?",
            global.timeout.as_secs()
        ),
    };
    let wait = SYNC_WAIT.min(global.timeout);
    if tokio::time::timeout(wait, synced(&group, events)).await.is_err() {
        eprintln!(
            "Joined, but not everything that the group holds has arrived; `peergraph watch {}` gets the rest.",
            group.id()
        );
    }
    show(global, &group).await
}

/// Waits until the store holds what the group held when we came.
async fn synced(group: &Group, mut events: Events) -> Result<()> {
    while !group.info().await?.ready {
        loop {
            match events.next().await {
                Some(Event::Sync { group: of, phase: SyncPhase::Complete, .. })
                    if of == group.id() =>
                {
                    break;
                }
                Some(_) => {}
                None => return Err(anyhow!("the host has ended")),
            }
        }
    }
    Ok(())
}

async fn show(global: &Global, group: &Group) -> Result<()> {
    let info = group.info().await.context("looking at the group")?;
    if global.json {
        output::line(output::group_json(&info))
    } else {
        output::line(output::group_text(&info))
    }
}

fn read_document(file: &str) -> Result<Certificate> {
    let text = String::from_utf8_lossy(&read_input(file)?).into_owned();
    let hint = "it must hold what `peergraph identity show --document` prints";
    Certificate::from_pem(&text).with_context(|| format!("reading the identity in {file} ({hint})"))
}

fn print_link(global: &Global, text: &str, page: Option<String>) -> Result<()> {
    let page = match page {
        Some(page) => page,
        None => {
            let nodes = global.folder()?.nodes()?;
            let web = nodes.iter().find(|url| url.is_web()).map(ToString::to_string);
            web.unwrap_or_else(|| "peergraph:".to_owned())
        }
    };
    let link = format!("{}#{text}", page.trim_end_matches('#'));
    if global.json {
        output::line(json!({ "link": link, "text": text }))
    } else {
        output::line(link)
    }
}
