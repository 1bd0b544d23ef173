//! What a command has reached, what it has not, and what to do about it.

use std::collections::BTreeMap;
use std::time::Duration;

use peergraph::{Host, Invitation, NodeState, NodeUrl};

/// How long an invitation waits for the nodes in it to be looked up. Guess: the slowest of good
/// networks.
const NODES_WAIT: Duration = Duration::from_secs(5);
/// After which it says what it waits for. Guess.
const SILENT_WAIT: Duration = Duration::from_secs(1);
/// How often it looks. Guess.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Waits until every node is known or is not reached, for a while.
pub(super) async fn nodes_settled(host: &Host) {
    let trying = |host: &Host| {
        let nodes = host.nodes().into_iter();
        let trying = nodes.filter(|(_, state)| matches!(state, NodeState::Trying));
        trying.map(|(url, _)| url.to_string()).collect::<Vec<_>>()
    };
    let settled = async {
        while !trying(host).is_empty() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let mut settled = std::pin::pin!(settled);
    if tokio::time::timeout(SILENT_WAIT, &mut settled).await.is_ok() {
        return;
    }
    note!("Looking up {} …", trying(host).join(", "));
    let _ = tokio::time::timeout(NODES_WAIT.saturating_sub(SILENT_WAIT), settled).await;
}

/// Warns about an invitation that leads to nobody as it stands.
pub(super) fn warn_of_nodes(host: &Host, invitation: &Invitation) {
    let states: BTreeMap<NodeUrl, NodeState> = host.nodes().into_iter().collect();
    let named = &invitation.nodes;
    // What is an address already is not looked up.
    let leads = |url: &NodeUrl| !url.is_web() || states.get(url).is_some_and(is_reached);
    if named.iter().any(leads) {
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

fn state_text(state: &NodeState) -> String {
    match state {
        NodeState::Trying => "has not answered yet".to_owned(),
        NodeState::Known { .. } => "answers, and is being dialled".to_owned(),
        NodeState::Linked { peer, .. } => format!("is reached: {}", &peer.to_string()[..8]),
        NodeState::Failed { fault } => format!("is not reached: {fault}"),
        NodeState::Forgotten => "is no longer used".to_owned(),
    }
}

/// What was reached, in lines to follow an error, and what to do.
pub(super) async fn found(host: &Host) -> String {
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
