//! The attempts to find members, as applications see them.
use peergraph_core::io::{NodeState, Place, Tried};
use peergraph_core::node_url::NodeUrl;
use serde::Serialize;

/// The attempts to find members.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct TriedJs {
    nodes: Vec<TriedNodeJs>,
    neighbours: u32,
    places: Vec<PlaceJs>,
    addresses: u32,
    unreached: u32,
    strangers: u32,
    seats: u32,
    offers: u32,
    members: u32,
    message: String,
    hint: &'static str,
}

#[derive(Clone, Debug, Serialize)]
struct TriedNodeJs {
    url: String,
    state: &'static str,
    message: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
struct PlaceJs {
    address: Option<String>,
    from: &'static str,
    outcome: &'static str,
    message: String,
}

impl From<&Tried> for TriedJs {
    fn from(tried: &Tried) -> Self {
        let node = |(url, state): &(NodeUrl, NodeState)| {
            let message = match state {
                NodeState::Failed { fault } => Some(fault.to_string()),
                NodeState::Trying | NodeState::Known { .. } | NodeState::Linked { .. } => None,
                NodeState::Forgotten => None,
            };
            TriedNodeJs { url: url.to_string(), state: state.word(), message }
        };
        let place = |place: &Place| PlaceJs {
            address: place.address.as_ref().map(ToString::to_string),
            from: place.from.word(),
            outcome: place.outcome.word(),
            message: place.to_string(),
        };
        Self {
            nodes: tried.nodes.iter().map(node).collect(),
            neighbours: tried.neighbours,
            places: tried.places.iter().map(place).collect(),
            addresses: tried.addresses,
            unreached: tried.unreached,
            strangers: tried.strangers,
            seats: tried.seats,
            offers: tried.offers,
            members: tried.members,
            message: tried.to_string(),
            hint: tried.cure(),
        }
    }
}
