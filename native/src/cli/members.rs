//! `peergraph group members`, `nodes`, `promote`, `revoke`, `reinstate`, `rotate-key`, `offer-ownership` and `hand-over`.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use futures::StreamExt as _;
use peergraph::{
    CertificateId, Error, Event, Events, Grant, Group, Host, MemberInfo, PeerId, Reason, Role,
    Target,
};
use serde_json::json;

use super::found::found;
use super::group::{
    Known, MEET_WAIT, Wait, change, has_others, meets, print as print_group, undecided,
};
use super::{Global, find_group, output, with_host};

/// Without news for so long, everybody who is here is taken to have said so. Guess: some commits and round trips.
const PRESENCE_QUIET: Duration = Duration::from_secs(1);

#[derive(Args, Debug)]
pub(crate) struct PromoteArguments {
    /// Id, beginning of the id, or name
    group: String,
    /// Whom: name, peer id, or the beginning of the peer id
    peer: String,
    #[command(flatten)]
    grant: GrantArguments,
    #[command(flatten)]
    wait: Wait,
}

#[derive(Args, Debug)]
pub(crate) struct RevokeArguments {
    /// Id, beginning of the id, or name
    group: String,
    /// The member: name, peer id, or the beginning of the peer id; or the certificate of one
    /// membership
    #[arg(value_name = "PEER|CERTIFICATE")]
    target: String,
    /// Why, for everybody to read: unspecified, key-lost, misconduct or left
    #[arg(long, default_value = "unspecified")]
    reason: Reason,
    /// Remove what they published, everywhere
    #[arg(long)]
    drop_records: bool,
    /// Also take away the memberships of those that they let in
    #[arg(long)]
    drop_members: bool,
    #[command(flatten)]
    wait: Wait,
}

#[derive(Args, Debug)]
pub(crate) struct ReinstateArguments {
    /// Id, beginning of the id, or name
    group: String,
    /// Whom: name, peer id, or the beginning of the peer id
    peer: String,
    #[command(flatten)]
    wait: Wait,
}

#[derive(Args, Debug)]
pub(crate) struct HandOverArguments {
    /// Id, beginning of the id, or name
    group: String,
    /// To whom: name, peer id, or the beginning of the peer id
    peer: String,
    #[command(flatten)]
    wait: Wait,
}

/// The grant of a new or changed membership.
#[derive(Args, Debug)]
pub(crate) struct GrantArguments {
    /// The role that they get: member, inviting or administrator
    #[arg(long, default_value = "member")]
    role: Role,
    /// Roles of the application, such as editor,moderator
    #[arg(long = "as", value_name = "ROLES", value_delimiter = ',')]
    app_roles: Vec<String>,
}

impl GrantArguments {
    pub(super) fn grant(&self) -> Result<Grant> {
        Grant::new(self.role, self.app_roles.clone()).with_context(|| {
            let roles = self.app_roles.join(",");
            format!("--as {roles}: up to 16 roles of 1 to 32 of a-z, 0-9 and '-', none of them a role of the group")
        })
    }
}

pub(super) async fn members(global: &Global, wanted: &str) -> Result<()> {
    with_host(global, async |host| {
        let mut events = host.events();
        let group = find_group(host, wanted).await?;
        presence_told(global, host, &group, &mut events).await?;
        let members = list(&group).await?;
        for member in &members {
            print(global, &members, member)?;
        }
        Ok(())
    })
    .await
}

pub(super) async fn nodes(global: &Global, wanted: &str) -> Result<()> {
    with_host(global, async |host| {
        let mut events = host.events();
        let group = find_group(host, wanted).await?;
        presence_told(global, host, &group, &mut events).await?;
        let members = list(&group).await?;
        for node in group.nodes().await.context("listing nodes")? {
            if global.json {
                let member = members.iter().find(|member| member.peer == node.peer);
                output::line(output::node_json(&node, member.map(|it| it.name.as_str())))?;
            } else {
                output::line(output::node_text(&node, &name_of(&members, node.peer)))?;
            }
        }
        Ok(())
    })
    .await
}

/// Waits until those who are here have said so; if nobody is met, says why.
async fn presence_told(
    global: &Global,
    host: &Host,
    group: &Group,
    events: &mut Events,
) -> Result<()> {
    let wait = MEET_WAIT.min(global.timeout);
    if !has_others(host, group).await? {
        return Ok(());
    }
    if meets(host, group, events, wait).await {
        let _ = tokio::time::timeout(wait, everybody_has_come(group, events)).await;
    } else {
        note!(
            "No other member was met within {} s: this is what was known before.\n{}",
            wait.as_secs(),
            found(host, group).await
        );
    }
    Ok(())
}

/// Waits until no node has come for a while: one that was alone says that it is here when it has met us.
async fn everybody_has_come(group: &Group, events: &mut Events) {
    let ours = |event: &Event| matches!(event, Event::Node { group: of, .. } if *of == group.id());
    let mut news = std::pin::pin!(events.filter(|event| std::future::ready(ours(event))));
    while let Ok(Some(_)) = tokio::time::timeout(PRESENCE_QUIET, news.next()).await {}
}

pub(super) async fn promote(global: &Global, arguments: PromoteArguments) -> Result<()> {
    let grant = arguments.grant.grant()?;
    let known = |known: &Known| {
        let may = known.info.owner || known.info.policy.may_issue(&known.info.grant, &grant);
        known.must(may, Error::NotAllowed, "issuing the membership")
    };
    change(global, &arguments.group, arguments.wait, known, async |host, group| {
        let peer = find_member(&list(group).await?, &arguments.peer)?.peer;
        let mut events = host.events();
        group.promote(peer, grant.clone()).await.context("issuing the membership")?;
        let alone = group.neighbours().await.context("listing neighbours")?.is_empty();
        let wait = if alone { Duration::ZERO } else { MEET_WAIT.min(global.timeout) };
        let accepted = accepted(group, peer, &grant, &mut events);
        if tokio::time::timeout(wait, accepted).await.is_err() {
            note!("The membership is offered. It counts when a program of that member accepts it.");
        }
        show(global, group, peer).await
    })
    .await
}

/// Waits until a member holds what it was offered: a membership counts once its subject has signed with it.
async fn accepted(group: &Group, peer: PeerId, grant: &Grant, events: &mut Events) {
    let has = |member: &MemberInfo| member.peer == peer && member.grant == *grant;
    if list(group).await.is_ok_and(|members| members.iter().any(has)) {
        return;
    }
    while let Some(event) = events.next().await {
        if matches!(&event, Event::Member { group: of, member } if *of == group.id() && has(member))
        {
            return;
        }
    }
}

pub(super) async fn revoke(global: &Global, arguments: RevokeArguments) -> Result<()> {
    let known = |known: &Known| {
        let administrator = known.info.grant.role == Role::Administrator;
        if known.info.owner || administrator || arguments.target.parse::<CertificateId>().is_ok() {
            // Others may know more members, and a certificate may be ours.
            return Ok(());
        }
        let own = find_member(&known.members, &arguments.target)?.peer == known.me;
        known.must(own, Error::NotAllowed, "revoking the membership")
    };
    change(global, &arguments.group, arguments.wait, known, async |_, group| {
        let members = list(group).await?;
        let member = find_member(&members, &arguments.target);
        let target = match (&member, arguments.target.parse::<CertificateId>()) {
            (Ok(member), _) => Target::Peer(member.peer),
            (Err(_), Ok(certificate)) => Target::Certificate(certificate),
            (Err(_), Err(_)) => Target::Peer(member?.peer),
        };
        let mut revoke = group.revoke(target).reason(arguments.reason);
        if arguments.drop_records {
            revoke = revoke.drop_records();
        }
        if arguments.drop_members {
            revoke = revoke.drop_members();
        }
        revoke.await.context("revoking the membership")?;
        let peer = match target {
            Target::Peer(peer) => Some(peer),
            Target::Certificate(certificate) => {
                let owner = members.iter().find(|member| member.certificate == certificate);
                owner.map(|member| member.peer)
            }
        };
        match peer {
            Some(peer) => show(global, group, peer).await,
            // An earlier membership of somebody, who has a later one.
            None if global.json => output::line(json!({ "revoked": arguments.target })),
            None => output::line(format!("Revoked: {}", arguments.target)),
        }
    })
    .await
}

pub(super) async fn reinstate(global: &Global, arguments: ReinstateArguments) -> Result<()> {
    change(global, &arguments.group, arguments.wait, undecided, async |_, group| {
        let members = list(group).await?;
        let member = find_member(&members, &arguments.peer)?;
        group.reinstate(member.peer).await.context("reinstating the member")?;
        let members = list(group).await?;
        match members.iter().find(|it| it.peer == member.peer) {
            Some(member) => print(global, &members, member),
            // Nothing that it signed is left.
            None if global.json => output::line(json!({ "reinstated": member.peer.to_string() })),
            None => output::line(format!("Reinstated: {}; listed when it is back", member.name)),
        }
    })
    .await
}

pub(super) async fn rotate_key(global: &Global, wanted: &str, wait: Wait) -> Result<()> {
    let known =
        |known: &Known| known.must(known.info.owner, Error::NotOwner, "replacing the group's key");
    change(global, wanted, wait, known, async |_, group| {
        group.rotate_key().await.context("replacing the group's key")?;
        tell(global, group, "Replaced: the old key counts for nothing from here on").await
    })
    .await
}

pub(super) async fn offer_ownership(global: &Global, wanted: &str, wait: Wait) -> Result<()> {
    let known = |known: &Known| {
        known.must(!known.info.owner, Error::AlreadyOwner, "offering to be the owner")
    };
    change(global, wanted, wait, known, async |_, group| {
        group.offer_ownership().await.context("offering to be the owner")?;
        let next = "Offered: the owner can hand over to you with `peergraph group hand-over`";
        tell(global, group, next).await
    })
    .await
}

pub(super) async fn hand_over(global: &Global, arguments: HandOverArguments) -> Result<()> {
    let known =
        |known: &Known| known.must(known.info.owner, Error::NotOwner, "handing the group over");
    change(global, &arguments.group, arguments.wait, known, async |_, group| {
        let members = list(group).await?;
        let member = find_member(&members, &arguments.peer)?;
        group.hand_over(member.peer).await.context("handing the group over")?;
        let text = format!("Handed over: {} is the owner", output::plain(&member.name));
        tell(global, group, &text).await
    })
    .await
}

/// Prints what has become of the group: as JSON the whole of it.
async fn tell(global: &Global, group: &Group, text: &str) -> Result<()> {
    if global.json { print_group(global, group).await } else { output::line(text) }
}

pub(super) async fn list(group: &Group) -> Result<Vec<MemberInfo>> {
    group.members().await.context("listing members")
}

/// Prints what has become of a member.
async fn show(global: &Global, group: &Group, peer: PeerId) -> Result<()> {
    let members = list(group).await?;
    match members.iter().find(|member| member.peer == peer) {
        Some(member) => print(global, &members, member),
        None => Ok(()),
    }
}

fn print(global: &Global, members: &[MemberInfo], member: &MemberInfo) -> Result<()> {
    if global.json {
        output::line(output::member_json(member))
    } else {
        output::line(output::member_text(member, |peer| name_of(members, peer)))
    }
}

/// The name of a member in lists; the beginning of its id where it is unknown, as the group's own key is.
pub(super) fn name_of(members: &[MemberInfo], peer: PeerId) -> String {
    let member = members.iter().find(|member| member.peer == peer);
    member.map_or_else(|| peer.to_string()[..8].to_owned(), |member| output::plain(&member.name))
}

/// The member that `wanted` names: by name, by id, or by the beginning of its id.
pub(super) fn find_member<'a>(members: &'a [MemberInfo], wanted: &str) -> Result<&'a MemberInfo> {
    let mut found: Vec<_> = members.iter().filter(|member| member.name == wanted).collect();
    if found.is_empty() && !wanted.is_empty() {
        let start = wanted.to_lowercase();
        found =
            members.iter().filter(|member| member.peer.to_string().starts_with(&start)).collect();
    }
    match found.as_slice() {
        [member] => Ok(member),
        [] => bail!("no member {wanted:?}; see `peergraph group members`"),
        several => {
            let line = |member: &&MemberInfo| {
                format!("\n  {}  {}", member.peer, output::plain(&member.name))
            };
            let lines: String = several.iter().map(line).collect();
            bail!("{wanted:?} may be any of these; give more of the peer id:{lines}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use peergraph::{Standing, WallTime};

    fn member(name: &str, first_byte: u8) -> MemberInfo {
        MemberInfo {
            offers_ownership: false,
            peer: PeerId::from_bytes([first_byte; 32]),
            name: name.to_owned(),
            grant: Role::Member.into(),
            standing: Standing::Member,
            certificate: CertificateId::from_bytes([first_byte; 32]),
            issuer: PeerId::from_bytes([9; 32]),
            expires: WallTime(0),
            nodes: Vec::new(),
        }
    }

    #[test]
    fn members_are_found_by_name_and_by_the_beginning_of_their_id() {
        let members = [member("Ada", 0), member("Bob", 255), member("Bob", 254), member("", 128)];
        let find = |wanted: &str| find_member(&members, wanted).map(|member| member.peer);
        assert_eq!(find("Ada").expect("holds"), members[0].peer);
        assert_eq!(find("777").expect("holds"), members[1].peer);
        assert_eq!(
            find(&members[2].peer.to_string().to_uppercase()).expect("holds"),
            members[2].peer
        );
        let error = find("Bob").expect_err("fails").to_string();
        for member in &members[1..3] {
            assert!(error.contains(&member.peer.to_string()), "{error}");
        }
        assert!(!error.contains(&members[0].peer.to_string()), "{error}");
        assert!(find("7").expect_err("fails").to_string().contains("more of the peer id"));
        assert!(find("Eve").expect_err("fails").to_string().contains("group members"));
    }
}
