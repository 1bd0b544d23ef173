//! `peergraph invitation show`, and `peergraph group invite`, `invitations` and `withdraw`.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use peergraph::peergraph_core::identity::verify;
use peergraph::peergraph_core::invitation::InvitationKind;
use peergraph::{
    Certificate, Error, Grant, Invitation, InvitationInfo, InvitationState, InviteOptions,
    OpenPreview, PeerId, Preview, WallTime,
};
use serde_json::json;

use super::found::{NODES_WAIT, nodes_settled, warn_of_nodes};
use super::group::{Known, Wait, change, undecided};
use super::input::Source;
use super::members::{GrantArguments, list, name_of};
use super::password::Password;
use super::{Global, find_group, lifetime, output, policy, qr, with_host, with_new_host};

#[derive(Debug, Subcommand)]
pub(crate) enum InvitationCommand {
    /// Show what an invitation says, without joining or telling anybody
    Show {
        /// The link, or a file that holds it; `-` reads it from standard input, which `ps` does not show
        #[arg(default_value = "-", value_name = "LINK|FILE")]
        link: Source,
        /// Also ask a member for what the link does not hold: names, roles, uses left. It joins nothing, but connects, as
        /// the identity of this data folder
        #[arg(long)]
        preview: bool,
    },
}

#[derive(Args, Debug)]
pub(crate) struct InviteArguments {
    /// Id, beginning of the id, or name
    group: String,
    #[command(flatten)]
    grant: GrantArguments,
    /// How many may join with the link
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    uses: u32,
    /// How long it can be used, such as 12h or 7d
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = lifetime)]
    expires: Duration,
    /// Make the link useless without a password, which you tell in another way; with --password-file it comes from there
    #[arg(long)]
    password: bool,
    #[command(flatten)]
    from: Password,
    /// For this identity alone: the file that `identity show --document` prints. Works while you are offline
    #[arg(long, alias = "for", value_name = "FILE", conflicts_with_all = ["uses", "expires", "password", "password_file"])]
    bound: Option<Source>,
    /// Also draw the link as a QR code, on standard error
    #[arg(long)]
    qr: bool,
    /// The page that the link opens [default: the first node that is known]
    #[arg(long, value_name = "URL")]
    page: Option<String>,
    #[command(flatten)]
    wait: Wait,
}

pub(super) async fn invite(global: &Global, arguments: InviteArguments) -> Result<()> {
    let grant = arguments.grant.grant()?;
    if output::is_closed() {
        bail!("making the invitation: nobody would get its link, since standard output is closed");
    }
    let bound = arguments.bound.as_ref().map(read_document).transpose()?;
    let with_password = arguments.password || arguments.from.is_named();
    let options = match bound {
        Some(identity) => InviteOptions::bound(identity, grant.clone()),
        None if with_password => {
            let password = peergraph::Password::new(arguments.from.choose()?.as_str())
                .context("choosing the password")?;
            let options = InviteOptions::password(grant.clone(), password);
            options.uses(arguments.uses).expires_in(arguments.expires)
        }
        None => {
            InviteOptions::bearer(grant.clone()).uses(arguments.uses).expires_in(arguments.expires)
        }
    };
    let is_bound = arguments.bound.is_some();
    let known = |known: &Known| {
        let may = known.info.policy.may_issue(&known.info.grant, &grant)
            // The group's own key issues memberships, and opens no invitation.
            || (is_bound && known.info.owner);
        let passwords = known.info.policy.passwords || !with_password;
        known.must(may && passwords, Error::NotAllowed, "making the invitation")
    };
    let (begun, wait) = (Instant::now(), arguments.wait);
    change(global, &arguments.group, wait, known, async |host, group| {
        nodes_settled(host, wait.left(begun, NODES_WAIT), |_| true).await;
        let invitation = group.invite(options.clone()).await.context("making the invitation")?;
        let page = match &arguments.page {
            Some(page) => page.clone(),
            None => default_page(global)?,
        };
        let link = invitation.to_link(&page);
        // The invitation is open by now: whatever else fails, its link is printed.
        print_link(global, &invitation, &link, &grant)?;
        if arguments.qr {
            use std::io::IsTerminal as _;
            match qr::half_blocks(&link, std::io::stderr().is_terminal()) {
                Ok(code) => note!("{code}"),
                Err(error) => note!("No QR code: {error}."),
            }
        }
        warn_of_nodes(host, &invitation);
        let who = match &invitation.kind {
            InvitationKind::Bound { .. } => return Ok(()),
            InvitationKind::Bearer { .. } => "a member who may invite",
            InvitationKind::Password { .. } => "you, who know the password,",
        };
        let (group, id) = (group.id(), invitation.id().map(|id| id.to_string()).unwrap_or_default());
        note!(
            "To let people in, {who} must be online, such as `peergraph watch` or `peergraph node` with this data \
             folder. To take the link back: peergraph group withdraw {group} {id}"
        );
        Ok(())
    })
    .await
}

fn print_link(global: &Global, invitation: &Invitation, link: &str, grant: &Grant) -> Result<()> {
    if !global.json {
        return output::line(link);
    }
    output::line(json!({
        "link": link,
        "text": invitation.to_text(),
        "id": invitation.id().map(|id| id.to_string()),
        "role": grant.role.to_string(),
        "app_roles": grant.app_roles,
        "expires": invitation.expires.map(|end| end.0),
    }))
}

fn default_page(global: &Global) -> Result<String> {
    let nodes = global.all_nodes(&global.folder()?)?;
    let web = nodes.iter().find(|url| url.is_web()).map(ToString::to_string);
    Ok(web.unwrap_or_else(|| "peergraph:".to_owned()))
}

fn read_document(file: &Source) -> Result<Certificate> {
    let text = file.read_text()?;
    let hint = "it must hold what `peergraph identity show --document` prints";
    Certificate::from_pem(&text).with_context(|| format!("reading the identity in {file} ({hint})"))
}

pub(super) async fn run(global: &Global, command: InvitationCommand) -> Result<()> {
    let InvitationCommand::Show { link, preview } = command;
    let invitation = read_invitation(&link)?;
    if !global.json {
        output::fields(&shown_fields(&invitation))?;
    }
    let preview = if preview {
        Some(ask(global, &invitation).await.context("asking a member what the invitation is about"))
    } else {
        None
    };
    if global.json {
        let mut shown = shown_json(&invitation);
        if let Some(Ok(preview)) = &preview {
            shown["preview"] = preview_json(preview);
            shown["usable"] =
                json!(shown["usable"] == true && preview.state == InvitationState::Usable);
        }
        output::line(shown)?;
    } else {
        let told = preview.as_ref().and_then(|preview| preview.as_ref().ok());
        let mut fields = told.map(preview_fields).unwrap_or_default();
        fields.push(("Usable", usable(&invitation, told)));
        output::fields(&fields)?;
    }
    preview.transpose().map(drop)
}

async fn ask(global: &Global, invitation: &Invitation) -> Result<Preview> {
    with_new_host(global, async |host| {
        match tokio::time::timeout(global.timeout, host.preview(invitation)).await {
            Ok(preview) => Ok(preview?),
            Err(_) => bail!("no member was reached within {} s", global.timeout.as_secs()),
        }
    })
    .await
}

/// Reads an invitation from standard input, from the text itself, or from a file.
pub(super) fn read_invitation(link: &Source) -> Result<Invitation> {
    if link.is_there() {
        return peergraph::parse_invitation(&link.read_text()?)
            .with_context(|| format!("reading the invitation from {link}"));
    }
    peergraph::parse_invitation(link.text().unwrap_or_default()).context("reading the invitation")
}

/// Why it cannot be used, as far as one can tell without asking the group.
fn fault(invitation: &Invitation) -> Option<String> {
    let invitee = match &invitation.kind {
        InvitationKind::Bound { for_peer, .. } => *for_peer,
        InvitationKind::Bearer { .. } | InvitationKind::Password { .. } => {
            PeerId::from_bytes([0; 32])
        }
    };
    invitation.check(invitee, now(), verify).err().map(|error| error.to_string())
}

fn now() -> WallTime {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    WallTime(since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX)))
}

fn shown_json(invitation: &Invitation) -> serde_json::Value {
    let summary = invitation.summary();
    let (fault, state) = (fault(invitation), invitation.state(now()));
    let texts = |texts: Vec<String>| json!(texts);
    json!({
        "kind": match &invitation.kind {
            InvitationKind::Bound { .. } => "bound",
            InvitationKind::Bearer { .. } => "bearer",
            InvitationKind::Password { .. } => "password",
        },
        "group": summary.group.to_string(),
        "name": summary.name,
        "inviter": summary.inviter.to_string(),
        "inviter_name": summary.inviter_name,
        "role": summary.role.map(|role| role.to_string()),
        "app_roles": summary.app_roles,
        "invitee": summary.invitee.map(|(peer, name)| json!({ "peer": peer.to_string(), "name": name })),
        "expires": summary.expires.map(|end| end.0),
        "nodes": texts(summary.nodes.iter().map(ToString::to_string).collect()),
        "addresses": texts(summary.addresses.iter().map(ToString::to_string).collect()),
        "policy": invitation.policy().map(policy::policy_json),
        "usable": fault.is_none() && state == InvitationState::Usable,
        "state": state.word(),
        "fault": fault,
    })
}

fn shown_fields(invitation: &Invitation) -> Vec<(&'static str, String)> {
    const ASK: &str = "a member tells it: add --preview";
    let summary = invitation.summary();
    let name = summary.name.as_deref().map_or_else(|| ASK.to_owned(), output::plain);
    let inviter = summary.inviter.to_string();
    // The last character of a half id holds bits that the whole one has not.
    let inviter = format!("{}…", &inviter[..inviter.len() - 1]);
    let from = match &summary.inviter_name {
        Some(name) => format!("{}, says the invitation ({inviter})", output::plain(name)),
        None => inviter,
    };
    let role = match (&summary.role, &summary.app_roles) {
        (Some(role), Some(roles)) => output::with_roles(&role.to_string(), roles),
        (Some(role), None) => format!("{role}, says the invitation"),
        (None, _) => "what the group allows".to_owned(),
    };
    let meant_for = match &summary.invitee {
        Some((peer, name)) => format!("{} ({peer}) alone", output::plain(name)),
        None if summary.password => "whoever has the link and knows the password".to_owned(),
        None => "whoever has the link".to_owned(),
    };
    let end = summary.expires.map_or_else(|| ASK.to_owned(), output::time);
    let mut fields = vec![
        ("Group", name),
        ("Group id", summary.group.to_string()),
        ("From", from),
        ("Meant for", meant_for),
        ("You will be", role),
        ("Good until", end),
    ];
    fields.extend(summary.nodes.iter().map(|node| ("Node", output::plain(&node.to_string()))));
    let addresses = summary.addresses.iter();
    fields.extend(addresses.map(|address| ("Address", output::plain(&address.to_string()))));
    fields.extend(invitation.policy().map(policy::policy_fields).into_iter().flatten());
    fields
}

/// Whether an invitation can be used: as it says itself, and as a member says who was asked.
fn usable(invitation: &Invitation, preview: Option<&Preview>) -> String {
    if let Some(fault) = fault(invitation) {
        return format!("no: {fault}");
    }
    let state = match (invitation.state(now()), preview) {
        (InvitationState::Usable, Some(preview)) => preview.state,
        (InvitationState::Usable, None) => {
            return "yes, as far as one can tell without the group: add --preview".to_owned();
        }
        (state, _) => state,
    };
    if state == InvitationState::Usable {
        return "yes".to_owned();
    }
    if state == InvitationState::Unknown {
        return "that member does not know it".to_owned();
    }
    format!("no: {state}")
}

fn preview_json(preview: &Preview) -> serde_json::Value {
    let open = preview.open.as_ref();
    json!({
        "name": preview.name,
        "policy": policy::policy_json(&preview.policy),
        "told_by": preview.told_by.to_string(),
        "state": preview.state.word(),
        "open": open.is_some(),
        "inviter": open.map(|open| json!({ "peer": open.inviter.to_string(), "name": open.inviter_name })),
        "role": open.map(|open| open.grant.role.to_string()),
        "app_roles": open.map(|open| open.grant.app_roles.clone()),
        "expires": open.map(|open| open.expires.0),
        "uses": open.and_then(|open| open.uses),
        "left": open.and_then(OpenPreview::left),
    })
}

fn preview_fields(preview: &Preview) -> Vec<(&'static str, String)> {
    let mut fields = vec![
        ("A member says", format!("{}…", &preview.told_by.to_string()[..8])),
        ("Group", output::plain(&preview.name)),
    ];
    match &preview.open {
        None => fields.push(("Invitation", preview.state.to_string())),
        Some(open) => {
            let left = match (open.left(), open.uses) {
                (Some(left), Some(uses)) => format!("{left} of {uses}"),
                _ => "the one that it is for".to_owned(),
            };
            fields.extend([
                ("From", format!("{} ({})", output::plain(&open.inviter_name), open.inviter)),
                ("You will be", output::grant_text(&open.grant)),
                ("Good until", output::time(open.expires)),
                ("Uses left", left),
            ]);
        }
    }
    fields.extend(policy::policy_fields(&preview.policy));
    fields
}

pub(super) async fn invitations(global: &Global, wanted: &str) -> Result<()> {
    with_host(global, async |host| {
        let group = find_group(host, wanted).await?;
        let members = list(&group).await?;
        for invitation in group.invitations().await.context("listing invitations")? {
            if global.json {
                output::line(invitation_json(&invitation))?;
            } else {
                output::line(invitation_text(&invitation, &name_of(&members, invitation.inviter)))?;
            }
        }
        Ok(())
    })
    .await
}

fn invitation_json(invitation: &InvitationInfo) -> serde_json::Value {
    json!({
        "id": invitation.id.to_string(),
        "inviter": invitation.inviter.to_string(),
        "role": invitation.grant.role.to_string(),
        "app_roles": invitation.grant.app_roles,
        "uses": invitation.uses,
        "used": invitation.used,
        "expires": invitation.expires.0,
        "state": invitation.state.word(),
    })
}

fn invitation_text(invitation: &InvitationInfo, inviter: &str) -> String {
    let InvitationInfo { id, grant, uses, used, expires, state, .. } = invitation;
    let (role, until) = (output::grant_text(grant), output::time(*expires));
    format!("{id}  {role}, {state}, {used} of {uses} used, until {until}, by {inviter}")
}

pub(super) async fn withdraw(global: &Global, group: &str, wanted: &str, wait: Wait) -> Result<()> {
    change(global, group, wait, undecided, async |_, group| {
        let open = group.invitations().await.context("listing invitations")?;
        let start = wanted.to_lowercase();
        let named =
            |it: &&InvitationInfo| !start.is_empty() && it.id.to_string().starts_with(&start);
        let found: Vec<_> = open.iter().filter(named).collect();
        let invitation = match found.as_slice() {
            [invitation] => invitation.id,
            [] => bail!("no open invitation {wanted:?}; see `peergraph group invitations`"),
            _ => bail!("more than one invitation begins with {wanted:?}; give more of its id"),
        };
        group.withdraw(invitation).await.context("withdrawing the invitation")?;
        if global.json {
            output::line(json!({ "withdrawn": invitation.to_string() }))
        } else {
            output::line(format!("Withdrawn: {invitation}"))
        }
    })
    .await
}
