//! The nodes and members that a command has reached or not, with advice.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use peergraph::{
    Address, CommandError, Group, Host, Invitation, JoinError, LinkInfo, NodeState, NodeUrl, Place,
    Tried,
};
use serde_json::{Value, json};

use super::group::{MEET_WAIT, has_others, meets};
use super::output::plain;
use super::{Global, find_group, members, output, with_host};

/// How long is waited for nodes to be looked up. Guess: the slowest of good networks.
pub(super) const NODES_WAIT: Duration = Duration::from_secs(5);
/// After which it says what it waits for. Guess.
const SILENT_WAIT: Duration = Duration::from_secs(1);
/// How often it looks. Guess.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Waits until each of these nodes is known or is not reached, for a while.
pub(super) async fn nodes_settled(host: &Host, wait: Duration, which: impl Fn(&NodeUrl) -> bool) {
    let trying = |host: &Host| {
        let nodes = host.nodes().into_iter().filter(|(url, _)| which(url));
        let trying = nodes.filter(|(_, state)| matches!(state, NodeState::Trying));
        trying.map(|(url, _)| url.to_string()).collect::<Vec<_>>()
    };
    let settled = async {
        while !trying(host).is_empty() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let mut settled = std::pin::pin!(settled);
    if tokio::time::timeout(SILENT_WAIT.min(wait), &mut settled).await.is_ok()
        || wait <= SILENT_WAIT
    {
        return;
    }
    note!("Looking up {} …", trying(host).join(", "));
    let _ = tokio::time::timeout(wait - SILENT_WAIT, settled).await;
}

/// Warns about an invitation that leads to nobody as it stands.
pub(super) fn warn_of_nodes(host: &Host, invitation: &Invitation) {
    let states: BTreeMap<NodeUrl, NodeState> = host.nodes().into_iter().collect();
    let named = &invitation.nodes;
    // A URL that is an address already is not looked up.
    let leads = |url: &NodeUrl| !url.is_web() || states.get(url).is_some_and(is_reached);
    if named.iter().any(leads) {
        return;
    }
    let here = |address: &Address| match address {
        Address::Rtc { socket, .. } => socket.ip().is_loopback(),
        Address::WebSocket { .. } => false,
    };
    let addresses = &invitation.addresses;
    if named.is_empty() && !addresses.is_empty() && addresses.iter().all(here) {
        note!(
            "Warning: this link works on this machine alone, since the last node with this data folder listened on \
             {} only, and no other node is named. Let it listen elsewhere (peergraph node --udp ADDR), or name a node that \
             both sides reach (--node URL), and make another link.",
            addresses[0]
        );
        return;
    }
    if named.is_empty() {
        note!(
            "Warning: no node is in this link. It works only while a program with this data folder runs on this machine, \
             and for those who can reach this machine. Name a node that both sides reach (--node URL), and make another \
             link."
        );
        return;
    }
    for url in named {
        let state = states.get(url).unwrap_or(&NodeState::Trying);
        note!("Warning: the node {url} in this link {}.", state_text(state));
    }
    note!(
        "The link works once that node is reached, or for those who can reach this machine while a program with this data \
         folder runs on it."
    );
}

fn is_reached(state: &NodeState) -> bool {
    matches!(state, NodeState::Known { .. } | NodeState::Linked { .. })
}

/// Tells whether a node is kept for later commands: it is, once it is reached.
pub(super) fn kept_text(url: &NodeUrl, state: &NodeState) -> String {
    let described = matches!(state, NodeState::Known { .. }) && url.is_web();
    if described || matches!(state, NodeState::Linked { .. }) {
        return "is kept for later commands".to_owned();
    }
    format!("is not kept for later commands, since it {}", state_text(state))
}

fn state_text(state: &NodeState) -> String {
    match state {
        NodeState::Trying => "has not answered yet".to_owned(),
        NodeState::Known { .. } => "answers, and is being dialled".to_owned(),
        NodeState::Linked { peer, .. } => format!("is reached: {}", &peer.to_string()[..8]),
        NodeState::Failed { fault } => format!("is not reached: {fault}"),
        NodeState::Forgotten => "is no longer used".to_owned(),
    }
}

/// The places that were tried, one a line, to follow an error.
pub(super) fn places(tried: &Tried) -> String {
    tried.places.iter().map(|place| format!("\n  {}", plain(&place.to_string()))).collect()
}

/// The same of an error, if it is that nobody was found.
pub(crate) fn places_of(error: &anyhow::Error) -> String {
    let of = |cause: &(dyn std::error::Error + 'static)| {
        if let Some(JoinError::Command(CommandError::Node(error))) = cause.downcast_ref() {
            return error.tried().map(places);
        }
        if let Some(CommandError::Node(error)) = cause.downcast_ref() {
            return error.tried().map(places);
        }
        None
    };
    error.chain().find_map(of).unwrap_or_default()
}

/// The attempts to find members, as JSON.
pub(super) fn tried_json(tried: &Tried) -> Value {
    let node = |(url, state): &(NodeUrl, NodeState)| {
        let fault = match state {
            NodeState::Failed { fault } => Some(fault.to_string()),
            NodeState::Trying | NodeState::Known { .. } | NodeState::Linked { .. } => None,
            NodeState::Forgotten => None,
        };
        json!({ "url": url.to_string(), "state": state.word(), "fault": fault })
    };
    let place = |place: &Place| {
        json!({
            "address": place.address.as_ref().map(ToString::to_string),
            "from": place.from.word(),
            "outcome": place.outcome.word(),
            "text": place.to_string(),
        })
    };
    json!({
        "neighbours": tried.neighbours,
        "nodes": tried.nodes.iter().map(node).collect::<Vec<_>>(),
        "places": tried.places.iter().map(place).collect::<Vec<_>>(),
        "addresses": tried.addresses,
        "unreached": tried.unreached,
        "strangers": tried.strangers,
        "seats": tried.seats,
        "offers": tried.offers,
        "members": tried.members,
        "cure": tried.cure(),
    })
}

/// Shows the members that a group has found; if there are none, the attempts and advice.
pub(super) async fn explain(global: &Global, wanted: &str) -> Result<()> {
    with_host(global, async |host| {
        let mut events = host.events();
        let group = find_group(host, wanted).await?;
        let others = has_others(host, &group).await?;
        let met = others && meets(host, &group, &mut events, MEET_WAIT.min(global.timeout)).await;
        let links = host.links().await.context("listing links")?;
        let neighbours: Vec<&LinkInfo> =
            links.iter().filter(|link| link.graphs.contains(&group.id())).collect();
        let tried = group.explain().await.context("asking what was tried")?;
        if global.json {
            let mut told = tried_json(&tried);
            let peers = neighbours.iter().filter_map(|link| Some(link.peer?.to_string()));
            told["peers"] = peers.collect::<Vec<_>>().into();
            return output::line(told);
        }
        if met || !neighbours.is_empty() {
            let members = members::list(&group).await?;
            for link in neighbours {
                let Some(peer) = link.peer else { continue };
                let way = match link {
                    LinkInfo { direct: true, .. } => "direct",
                    LinkInfo { relayed: true, .. } => "relayed",
                    LinkInfo { .. } => "over a WebSocket",
                };
                let name = members::name_of(&members, peer);
                output::line(format!("neighbour {}: {name}, {way}", &peer.to_string()[..8]))?;
            }
            return Ok(());
        }
        if !others {
            return output::line(
                "No other member is known: invite somebody, see `peergraph group invite`",
            );
        }
        for (url, state) in &tried.nodes {
            output::line(format!("node {url} {}", state_text(state)))?;
        }
        for place in &tried.places {
            output::line(plain(&place.to_string()))?;
        }
        output::line(format!("Nobody is found: {}", tried.cure()))
    })
    .await
}

/// The nodes that were reached, in lines to follow an error, and advice.
pub(super) async fn found(host: &Host, group: &Group) -> String {
    let nodes = host.nodes();
    let mut lines: Vec<String> =
        nodes.iter().map(|(url, state)| format!("  node {url} {}", state_text(state))).collect();
    let links = host.links().await.unwrap_or_default();
    let peers = links.iter().filter(|link| link.peer.is_some()).count();
    let dialling = links.len() - peers;
    lines.push(match (peers, dialling) {
        (0, 0) => "  no program was reached".to_owned(),
        (0, dialling) => format!("  no program was reached; {dialling} addresses are being tried"),
        (1, _) => "  1 program was reached, and is no neighbour in this group".to_owned(),
        (peers, _) => format!("  {peers} programs were reached, none a neighbour in this group"),
    });
    if let Ok(tried) = group.explain().await {
        let places = tried.places.iter().map(|place| format!("  {}", plain(&place.to_string())));
        lines.extend(places);
    }
    let advice = if nodes.is_empty() {
        "name a node that both sides reach with --node URL; without one, members are found only at the addresses of \
         earlier meetings"
    } else if nodes.iter().any(|(_, state)| is_reached(state)) {
        "see that another member is online with the same node, such as `peergraph watch` or `peergraph node`"
    } else {
        "see that the node runs and this machine reaches it, or name another with --node URL"
    };
    lines.push(format!("  {advice}"));
    lines.join("\n")
}
