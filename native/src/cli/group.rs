//! `peergraph group …`.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::{Args, Subcommand};
use futures::{FutureExt as _, StreamExt as _};
use peergraph::peergraph_core::io::SyncPhase;
use peergraph::peergraph_core::time::ClockAhead;
use peergraph::{
    CommandError, Error, Event, Events, Group, GroupInfo, Host, MemberInfo, PeerId, Standing,
    parse_invitation,
};
use serde_json::json;

use super::found::{self, found, places};
use super::input::Source;
use super::invitation::{self, InviteArguments};
use super::members::{
    self, HandOverArguments, PromoteArguments, ReinstateArguments, RevokeArguments,
};
use super::password::Password;
use super::policy::{PolicyArguments, policy_fields};
use super::{Global, find_group, output, with_host, with_new_host};

/// How long a new member waits for what the group holds. Guess; `peergraph watch` gets the rest.
const SYNC_WAIT: Duration = Duration::from_secs(10);
/// How long to look for a member before something is changed, and for one that takes the change over. Guess: link,
/// handshake and one commit there.
pub(super) const MEET_WAIT: Duration = Duration::from_secs(10);
/// After which a change is made though nobody was met. Guess: people wait no longer for what they
/// can do alone.
pub(super) const ALONE_WAIT: Duration = Duration::from_secs(2);

/// How long a change waits for others.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Wait {
    /// Look for another member until --timeout before the change is made, since it may depend on what others know
    /// [default: for 2 s, longer if one is being met]
    #[arg(long = "wait")]
    longer: bool,
    /// Whether others never learn of the change unless they do now.
    #[arg(skip)]
    now_or_never: bool,
}

impl Wait {
    /// How long to look for a member.
    fn longest(self, global: &Global) -> Duration {
        let longest = match self {
            Self { longer: true, .. } => global.timeout,
            Self { now_or_never: true, .. } => MEET_WAIT,
            Self { .. } => ALONE_WAIT,
        };
        longest.min(global.timeout)
    }

    /// The time left for working alone, if that was begun at `begun`.
    pub(super) fn left(self, begun: Instant, most: Duration) -> Duration {
        if self.longer { most } else { most.min(ALONE_WAIT.saturating_sub(begun.elapsed())) }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum GroupCommand {
    /// Make a group, with you as its owner and first administrator
    Create {
        /// Shown to its members
        #[arg(id = "group_name", value_name = "NAME")]
        name: String,
        /// Shown to its members
        #[arg(long)]
        comment: Option<String>,
        #[command(flatten)]
        policy: PolicyArguments,
    },
    /// Show a group: what it is, what you may do in it, and what its creator decided
    Show {
        /// Id, beginning of the id, or name
        group: String,
    },
    /// Change name, comment or presence of a group that you own
    #[command(group(clap::ArgGroup::new("what").required(true).multiple(true)))]
    Set {
        /// Id, beginning of the id, or name
        group: String,
        /// Its name from here on; `--name` is that of an identity
        #[arg(long, group = "what", value_name = "NAME")]
        rename: Option<String>,
        /// Shown to its members
        #[arg(long, group = "what")]
        comment: Option<String>,
        /// Nodes present up to which everybody says that it is here; 0: nobody does
        #[arg(long, group = "what", value_name = "NODES")]
        presence: Option<u64>,
        #[command(flatten)]
        wait: Wait,
    },
    /// Print a link that lets others join; whoever sees it can use it, so send it with care
    Invite(InviteArguments),
    /// List the invitations that were not withdrawn, with whether they can still be used
    Invitations {
        /// Id, beginning of the id, or name
        group: String,
    },
    /// Close an invitation: nobody can join by it any longer
    Withdraw {
        /// Id, beginning of the id, or name
        group: String,
        /// The invitation, by its id or the beginning of it; see `group invitations`
        invitation: String,
        #[command(flatten)]
        wait: Wait,
    },
    /// Join a group
    Join {
        /// The link; `-` reads it from standard input, which `ps` does not show
        #[arg(default_value = "-")]
        link: String,
        /// Read the link from this file
        #[arg(long, value_name = "FILE", conflicts_with = "link")]
        file: Option<Source>,
        /// For invitations by password
        #[command(flatten)]
        password: Password,
    },
    /// Leave a group: your membership ends, and its records are removed from this device
    Leave {
        /// Id, beginning of the id, or name
        group: String,
        #[command(flatten)]
        wait: Wait,
    },
    /// List your groups
    List,
    /// List who is, or was, a member of a group
    Members {
        /// Id, beginning of the id, or name
        group: String,
    },
    /// List who is here: the nodes that say so, and what they say of themselves
    Nodes {
        /// Id, beginning of the id, or name
        group: String,
    },
    /// Say whom a group has found, or what was tried to find somebody and what to do
    Explain {
        /// Id, beginning of the id, or name
        group: String,
    },
    /// Give a member another role, or other roles of the application
    Promote(PromoteArguments),
    /// Take a membership away; what they published stays unless you say otherwise
    Revoke(RevokeArguments),
    /// Take your revocation of a member back
    Reinstate(ReinstateArguments),
    /// Replace the group's own key, which may be in other hands: as its owner; everybody and everything stays
    RotateKey {
        /// Id, beginning of the id, or name
        group: String,
        #[command(flatten)]
        wait: Wait,
    },
    /// Offer yourself as the next owner of a group
    OfferOwnership {
        /// Id, beginning of the id, or name
        group: String,
        #[command(flatten)]
        wait: Wait,
    },
    /// Make a member that has offered itself the owner of a group, in your place
    HandOver(HandOverArguments),
}

pub(super) async fn run(global: &Global, command: GroupCommand) -> Result<()> {
    match command {
        GroupCommand::Create { name, comment, policy } => {
            let policy = policy.read()?;
            with_new_host(global, async |host| {
                let made = host.create_group(name).policy(policy);
                let group = made.await.context("making the group")?;
                if let Some(comment) = comment {
                    group.set().comment(comment).await.context("setting the comment")?;
                }
                print(global, &group).await
            })
            .await
        }
        GroupCommand::Show { group } => {
            with_host(global, async |host| show(global, &find_group(host, &group).await?).await)
                .await
        }
        GroupCommand::Set { group, rename, comment, presence, wait } => {
            let known =
                |known: &Known| known.must(known.info.owner, Error::NotOwner, "changing the group");
            change(global, &group, wait, known, async |_, group| {
                let mut set = group.set();
                if let Some(name) = &rename {
                    set = set.name(name.as_str());
                }
                if let Some(comment) = &comment {
                    set = set.comment(comment.as_str());
                }
                if let Some(nodes) = presence {
                    set = set.presence_max(nodes);
                }
                set.await.context("changing the group")?;
                print(global, group).await
            })
            .await
        }
        GroupCommand::Invite(arguments) => invitation::invite(global, arguments).await,
        GroupCommand::Invitations { group } => invitation::invitations(global, &group).await,
        GroupCommand::Withdraw { group, invitation, wait } => {
            invitation::withdraw(global, &group, &invitation, wait).await
        }
        GroupCommand::Join { link, file, password } => {
            let link = match file {
                Some(file) => file.read_text()?,
                None if link == "-" => Source::from(OsString::from(link)).read_text()?,
                None => link,
            };
            // A link that is none is told before anything is started.
            let invitation = parse_invitation(&link).context("reading the invitation")?;
            let password = match invitation.summary().password {
                // One that can be none was not the inviter's choice.
                true => {
                    Some(peergraph::Password::new(password.read()?.as_str()).map_err(|_| {
                        anyhow!("the password is wrong: one has 8 to 256 bytes; ask for it again")
                    })?)
                }
                false => None,
            };
            with_new_host(global, async |host| join(global, host, &link, password).await).await
        }
        GroupCommand::Leave { group, wait } => {
            let wait = Wait { now_or_never: true, ..wait };
            change(global, &group, wait, undecided, async |_, group| {
                let id = group.id().to_string();
                group.clone().leave().await.context("leaving the group")?;
                if global.json {
                    output::line(json!({ "left": id }))
                } else {
                    output::line(format!("Left: {id}"))
                }
            })
            .await
        }
        GroupCommand::List if !global.has_identity()? => Ok(()),
        GroupCommand::List => {
            with_host(global, async |host| {
                for group in host.groups().await.context("listing groups")? {
                    print(global, &group).await?;
                }
                Ok(())
            })
            .await
        }
        GroupCommand::Members { group } => members::members(global, &group).await,
        GroupCommand::Nodes { group } => members::nodes(global, &group).await,
        GroupCommand::Explain { group } => found::explain(global, &group).await,
        GroupCommand::Promote(arguments) => members::promote(global, arguments).await,
        GroupCommand::Revoke(arguments) => members::revoke(global, arguments).await,
        GroupCommand::Reinstate(arguments) => members::reinstate(global, arguments).await,
        GroupCommand::RotateKey { group, wait } => members::rotate_key(global, &group, wait).await,
        GroupCommand::OfferOwnership { group, wait } => {
            members::offer_ownership(global, &group, wait).await
        }
        GroupCommand::HandOver(arguments) => members::hand_over(global, arguments).await,
    }
}

/// The local knowledge of a group before anybody is met.
pub(super) struct Known {
    pub(super) me: PeerId,
    pub(super) info: GroupInfo,
    pub(super) members: Vec<MemberInfo>,
    /// Whether somebody used one of the invitations. A newcomer may not have told yet that it is a member.
    redeemed: bool,
}

impl Known {
    async fn of(host: &Host, group: &Group) -> Result<Self> {
        let (info, members) = (info(group).await?, members::list(group).await?);
        let invitations = group.invitations().await.context("listing invitations")?;
        let redeemed = invitations.iter().any(|invitation| invitation.used > 0);
        Ok(Self { me: host.peer_id(), info, members, redeemed })
    }

    /// Returns whether the group has other members. A newcomer that has met nobody yet knows none
    /// of them.
    fn has_others(&self) -> bool {
        let other =
            |member: &MemberInfo| member.peer != self.me && member.standing == Standing::Member;
        !self.info.ready || self.redeemed || self.members.iter().any(other)
    }

    /// The refusal that the node would give.
    pub(super) fn must(&self, may: bool, error: Error, doing: &'static str) -> Result<()> {
        if may { Ok(()) } else { Err(CommandError::Node(error)).context(doing) }
    }
}

/// A change of which only others may know whether it can be.
pub(super) fn undecided(_: &Known) -> Result<()> {
    Ok(())
}

/// Does `work`, whose result all members have to learn. Nothing is begun if `known` refuses it by
/// the local knowledge. Then it looks for a member, since the work may depend on the knowledge of
/// others, and gives that member time to take the result over.
pub(super) async fn change(
    global: &Global,
    wanted: &str,
    wait: Wait,
    known: impl FnOnce(&Known) -> Result<()>,
    work: impl AsyncFnOnce(&Host, &Group) -> Result<()>,
) -> Result<()> {
    with_host(global, async |host| {
        let (mut events, mut failures) = (host.events(), host.events());
        let group = find_group(host, wanted).await?;
        let now = Known::of(host, &group).await?;
        let others = now.has_others();
        if !wait.longer {
            known(&now).inspect_err(|_| {
                if others {
                    note!("This is by what is known here; --wait looks for other members first.");
                }
            })?;
        }
        let met = others && meets_soon(global, host, &group, &mut events, wait).await;
        work(host, &group).await?;
        if met {
            // It may know all of it already, or be gone.
            let longest = MEET_WAIT.min(global.timeout);
            let _ = tokio::time::timeout(longest, taken_over(&group, &mut events)).await;
        } else if others && group.info().await.is_ok() {
            note!(
                "Saved; nobody is reachable now. Others learn of it when one of them is met.\n{}",
                found(host, &group).await
            );
        } else if others {
            note!("Nobody was reachable, so nobody learns that you left: your membership ends when it expires.");
        }
        stored(&mut failures).context("storing the change")
    })
    .await
}

/// Looks for a member before a change. Returns whether one was met; a member that is being met when
/// the time is over is waited for.
async fn meets_soon(
    global: &Global,
    host: &Host,
    group: &Group,
    events: &mut Events,
    wait: Wait,
) -> bool {
    let soon = wait.longest(global);
    if meets(host, group, events, soon).await {
        return true;
    }
    let links = host.links().await.unwrap_or_default();
    let begun = links.iter().any(|link| link.graphs.contains(&group.id()));
    let more = MEET_WAIT.min(global.timeout).saturating_sub(soon);
    begun && meets(host, group, events, more).await
}

/// Returns whether the group has other members. A newcomer that has met nobody yet knows none of
/// them.
pub(super) async fn has_others(host: &Host, group: &Group) -> Result<bool> {
    Ok(Known::of(host, group).await?.has_others())
}

/// Looks for a member. Returns whether one was met and has told its knowledge of the group.
pub(super) async fn meets(host: &Host, group: &Group, events: &mut Events, wait: Duration) -> bool {
    // A running program has met everybody who is here.
    let now = async { Ok::<_, CommandError>((group.neighbours().await?, group.info().await?)) };
    if host.is_shared()
        && let Ok((neighbours, info)) = now.await
        && !neighbours.is_empty()
        && info.ready
    {
        return true;
    }
    tokio::time::timeout(wait, synced(group, events)).await.is_ok_and(|it| it.is_ok())
}

/// Waits until a neighbour holds what we published last, or the group is left. Changes of a group
/// are records of its own, which are not listed; of those that are listed, a sync tells which
/// neighbours hold them.
async fn taken_over(group: &Group, events: &mut Events) {
    if group.info().await.is_err() {
        return;
    }
    while let Some(event) = events.next().await {
        let Event::Status { group: of, id, .. } = event else { continue };
        if of == group.id() && !matches!(group.record(id).await, Ok(Some(_))) {
            return;
        }
    }
}

async fn join(
    global: &Global,
    host: &Host,
    link: &str,
    password: Option<peergraph::Password>,
) -> Result<()> {
    let (mut events, mut failures) = (host.events(), host.events());
    let before = host.groups().await.context("listing groups")?;
    let joining = async {
        match password {
            Some(password) => host.join_with(link, password).await,
            None => host.join(link).await,
        }
    };
    let joined = tokio::time::timeout(global.timeout, joining).await;
    let group = match joined {
        Ok(group) => group.context("joining the group")?,
        Err(_) => bail!(
            "joining the group: nobody let us in within {} s: {}",
            global.timeout.as_secs(),
            explain(host, link).await
        ),
    };
    // An identity that was a member before is one at once, with the standing that it had.
    let was_in = before.iter().any(|it| it.id() == group.id());
    let standing = info(&group).await?.standing;
    if standing != Standing::Member {
        let was = output::standing_text(standing, |peer| peer.to_string()[..8].to_owned());
        bail!(
            "joining the group: this data folder holds a membership of it that is {was}; leave the group first \
             (`peergraph group leave {}`), or ask who revoked it to take that back (`peergraph group reinstate`)",
            group.id()
        );
    }
    let wait = SYNC_WAIT.min(global.timeout);
    let settling = async {
        if was_in && info(&group).await?.ready {
            Ok(())
        } else {
            settled(&group, &mut events).await
        }
    };
    match tokio::time::timeout(wait, settling).await {
        Ok(settled) => settled?,
        Err(_) => note!(
            "Joined, but no sync with a member was completed within {} s; `peergraph watch {}` goes on with it.",
            wait.as_secs(),
            group.id()
        ),
    }
    stored(&mut failures)
        .context("joining the group: you are a member, but not all of it is here")?;
    print(global, &group).await
}

/// Whether the store took everything since these events began.
fn stored(events: &mut Events) -> Result<()> {
    while let Some(Some(event)) = events.next().now_or_never() {
        if let Event::StoreFailed { fault } = event {
            return Err(fault.into());
        }
    }
    Ok(())
}

/// The attempts to join by a link.
async fn explain(host: &Host, link: &str) -> String {
    let Ok(invitation) = parse_invitation(link) else { return String::new() };
    match host.explain(invitation.group).await {
        Ok(tried) => format!("{tried}{}", places(&tried)),
        Err(error) => error.to_string(),
    }
}

/// Waits until a newcomer has what the group holds, and a neighbour has its membership, if that is published: a newcomer
/// that goes before that is known to nobody.
async fn settled(group: &Group, events: &mut Events) -> Result<()> {
    let (mut has_all, mut is_known) = (info(group).await?.ready, false);
    while !(has_all && is_known) {
        match events.next().await {
            Some(Event::Sync { group: of, phase: SyncPhase::Complete, .. }) if of == group.id() => {
                has_all = true;
                is_known |= !info(group).await?.announced;
            }
            Some(Event::Status { group: of, .. }) if of == group.id() => is_known = true,
            // The code that asks for the stored record reports the failure.
            Some(Event::StoreFailed { .. }) => return Ok(()),
            Some(_) => {}
            None => return Err(anyhow!("the host has ended")),
        }
    }
    Ok(())
}

/// Waits until a sync with a member is complete.
async fn synced(group: &Group, events: &mut Events) -> Result<()> {
    loop {
        match events.next().await {
            Some(Event::Sync { group: of, phase: SyncPhase::Complete, .. }) if of == group.id() => {
                return Ok(());
            }
            Some(_) => {}
            None => return Err(anyhow!("the host has ended")),
        }
    }
}

async fn info(group: &Group) -> Result<GroupInfo> {
    group.info().await.context("looking at the group")
}

/// Prints a group as one line.
pub(super) async fn print(global: &Global, group: &Group) -> Result<()> {
    let info = info(group).await?;
    if global.json {
        output::line(output::group_json(&info))
    } else {
        output::line(output::group_text(&info))
    }
}

/// Prints everything about a group.
async fn show(global: &Global, group: &Group) -> Result<()> {
    let info = info(group).await?;
    if global.json {
        return output::line(output::group_json(&info));
    }
    let members = members::list(group).await?;
    let mut standing =
        output::standing_text(info.standing, |peer| members::name_of(&members, peer));
    if info.standing == Standing::Member {
        standing.push_str(&format!(" until {}", output::time(info.expires)));
    }
    let mut fields = vec![("Name", output::plain(&info.name)), ("Id", info.id.to_string())];
    if !info.comment.is_empty() {
        fields.push(("Comment", output::plain(&info.comment)));
    }
    let owner = if info.owner { ", and owner" } else { "" };
    fields.extend([
        ("You are", format!("{}{owner}", output::grant_text(&info.grant))),
        ("Membership", standing),
        ("Records", info.records.to_string()),
        ("Presence", format!("told by up to {} nodes", info.presence_max)),
    ]);
    if info.clock_ahead_ms != 0 {
        let ahead = ClockAhead(info.clock_ahead_ms);
        fields.push(("Clock", format!("that of this device is {ahead}; set it")));
    }
    fields.extend(policy_fields(&info.policy));
    output::fields(&fields)
}
