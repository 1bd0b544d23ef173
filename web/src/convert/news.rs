//! News that an application is told unasked, each an object with a `type`.
use super::direct::DirectJs;
use super::told::BytesJs;
use super::{GroupJs, MemberJs, NodeJs, RecordJs, texts, version_text};
use crate::browser::to_js;
use crate::failure::Failure;
use crate::news::{LinkState, News};
use peergraph_core::error::Error;
use peergraph_core::id::{GroupId, PeerId, RecordId};
use peergraph_core::io::{CloseReason, DirectChange, Event, NodeChange, NodeState, SyncPhase};
use peergraph_core::node_url::NodeUrl;
use serde::Serialize;
use wasm_bindgen::prelude::*;

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum NewsJs {
    Record {
        group: String,
        record: RecordJs,
    },
    /// As a record, for whom nobody listens. Its words are group, id and version, a line each.
    Storing {
        words: String,
    },
    /// Ids and versions, with a space in between.
    Stored {
        group: String,
        records: Vec<String>,
    },
    Status {
        group: String,
        id: String,
        held: u32,
    },
    Broadcast {
        group: String,
        peer: String,
        node: String,
        kind: String,
        bytes: BytesJs,
        #[serde(rename = "mediaType")]
        media_type: Option<String>,
    },
    Direct {
        group: String,
        direct: DirectJs,
        change: &'static str,
        error: Option<Failure>,
    },
    Expired {
        group: String,
        id: String,
    },
    Withdrawn {
        group: String,
        id: String,
    },
    Member {
        group: String,
        member: MemberJs,
    },
    Presence {
        group: String,
        node: NodeJs,
        change: &'static str,
    },
    Node {
        url: String,
        state: &'static str,
        addresses: Vec<String>,
        error: Option<Failure>,
    },
    Neighbour {
        group: String,
        link: f64,
        peer: String,
        node: String,
        up: bool,
    },
    Sync {
        group: String,
        link: f64,
        phase: &'static str,
    },
    Group {
        info: GroupJs,
    },
    Alone {
        group: String,
    },
    Conflict {
        group: String,
        id: String,
        peer: String,
    },
    HandoverContested {
        group: String,
    },
    NotLetIn {
        group: String,
        peer: String,
        error: Failure,
    },
    Clock {
        group: String,
        #[serde(rename = "aheadMs")]
        ahead_ms: f64,
    },
    Storage {
        error: Failure,
    },
    Damaged {
        group: Option<String>,
        records: f64,
        membership: bool,
    },
    Link {
        id: f64,
        state: &'static str,
        direct: bool,
        reason: Option<&'static str>,
    },
    Closed {
        error: Option<Failure>,
    },
}

/// News as an object with a `type`. `None` for what applications are not told. Records are told whole if somebody hears them.
pub(crate) fn news(news: News, hears_records: bool) -> Option<JsValue> {
    let event = match news {
        News::Core(event) if !hears_records && matches!(*event, Event::Record { .. }) => {
            let Event::Record { group, record } = *event else { return None };
            let version = version_text(record.version);
            NewsJs::Storing { words: format!("{group}\n{}\n{version}", record.id) }
        }
        News::Core(event) => core_news(*event)?,
        News::Link { link, state, direct, reason } => NewsJs::Link {
            id: link.0 as f64,
            state: match state {
                LinkState::Opening => "opening",
                LinkState::Open => "open",
                LinkState::Closed => "closed",
            },
            direct,
            reason: reason.map(reason_word),
        },
        // Not for listeners.
        News::Answer(..) => return None,
        News::Closed(error) => NewsJs::Closed { error },
    };
    Some(to_js(&event))
}

fn core_news(event: Event) -> Option<NewsJs> {
    let group = |id: GroupId| id.to_string();
    let record_id = |id: RecordId| id.to_string();
    let peer_id = |id: PeerId| id.to_string();
    Some(match event {
        Event::Record { group: id, record } => {
            NewsJs::Record { group: group(id), record: (*record).into() }
        }
        Event::Stored { group: in_group, records } => {
            let record = |(id, version)| format!("{id} {}", version_text(version));
            let records = records.into_iter().map(record);
            NewsJs::Stored { group: group(in_group), records: records.collect() }
        }
        Event::Status { group: in_group, id, held_by } => {
            NewsJs::Status { group: group(in_group), id: record_id(id), held: held_by }
        }
        Event::Broadcast { group: in_group, peer, node, kind, payload, media_type } => {
            NewsJs::Broadcast {
                group: group(in_group),
                peer: peer_id(peer),
                node: node.to_string(),
                kind: kind.to_string(),
                bytes: BytesJs(payload),
                media_type,
            }
        }
        Event::Direct { direct, change } => {
            let in_group = group(direct.group);
            let (change, error) = match change {
                DirectChange::Asked => ("asked", None),
                DirectChange::Connected => ("connected", None),
                DirectChange::Closed(why) => ("closed", Some(Error::Direct(why).into())),
            };
            NewsJs::Direct { group: in_group, direct: direct.into(), change, error }
        }
        Event::Expired { group: in_group, id } => {
            NewsJs::Expired { group: group(in_group), id: record_id(id) }
        }
        Event::Withdrawn { group: in_group, id } => {
            NewsJs::Withdrawn { group: group(in_group), id: record_id(id) }
        }
        Event::Member { group: id, member } => {
            NewsJs::Member { group: group(id), member: member.into() }
        }
        Event::Neighbour { group: id, link, peer, node, up } => NewsJs::Neighbour {
            group: group(id),
            link: link.0 as f64,
            peer: peer_id(peer),
            node: node.to_string(),
            up,
        },
        Event::Sync { group: id, link, phase } => NewsJs::Sync {
            group: group(id),
            link: link.0 as f64,
            phase: match phase {
                SyncPhase::Membership => "membership",
                SyncPhase::Presence => "presence",
                SyncPhase::Prioritised => "prioritised",
                SyncPhase::Complete => "complete",
            },
        },
        Event::Group(info) => NewsJs::Group { info: info.into() },
        Event::ConnectionRequired { group: id } => NewsJs::Alone { group: group(id) },
        Event::Conflict { group: in_group, id, peer } => {
            NewsJs::Conflict { group: group(in_group), id: record_id(id), peer: peer_id(peer) }
        }
        Event::HandoverContested { group: id } => NewsJs::HandoverContested { group: group(id) },
        Event::Damaged { group: id, records, membership } => {
            NewsJs::Damaged { group: id.map(group), records: records as f64, membership }
        }
        Event::StoreFailed { fault } => NewsJs::Storage { error: Error::Store(fault).into() },
        Event::Node { group: id, node, change } => NewsJs::Presence {
            group: group(id),
            node: node.into(),
            change: match change {
                NodeChange::Connected => "came",
                NodeChange::Updated => "changed",
                NodeChange::Disconnected => "went",
            },
        },
        Event::CouldNotLetIn { group: id, peer, error, .. } => {
            NewsJs::NotLetIn { group: group(id), peer: peer_id(peer), error: (*error).into() }
        }
        Event::Clock { group: id, ahead_ms } => {
            NewsJs::Clock { group: group(id), ahead_ms: ahead_ms as f64 }
        }
        Event::NamedNode { url, state } => named_node(&url, state),
        // The opening waits for the first; the second shows as a closed link with its reason.
        Event::Opened | Event::PeerMisbehaved { .. } => return None,
        // No browser has a security provider but ours; where another member has one, there is just no neighbour.
        Event::Withheld { .. } | Event::TurnedAway { .. } | Event::NotAdmitted { .. } => {
            return None;
        }
        _ => return None,
    })
}

fn named_node(url: &NodeUrl, state: NodeState) -> NewsJs {
    let url = url.to_string();
    let word = state.word();
    let (addresses, error) = match state {
        NodeState::Known { addresses } => (texts(addresses), None),
        NodeState::Failed { fault } => (Vec::new(), Some(Failure::unreachable_node(&url, fault))),
        NodeState::Trying | NodeState::Linked { .. } | NodeState::Forgotten => (Vec::new(), None),
    };
    NewsJs::Node { url, state: word, addresses, error }
}

fn reason_word(reason: CloseReason) -> &'static str {
    match reason {
        CloseReason::Misbehaved(_) => "misbehaved",
        CloseReason::Duplicate => "duplicate",
        CloseReason::Myself => "myself",
        CloseReason::Full => "full",
        CloseReason::Silent => "silent",
        CloseReason::Slow => "slow",
        CloseReason::Unused => "unused",
        CloseReason::Leaving => "leaving",
        CloseReason::Revoked => "revoked",
        CloseReason::Banned => "banned",
        CloseReason::WeAreOlder => "we-are-older",
        CloseReason::TheyAreOlder => "they-are-older",
        _ => "other",
    }
}
