//! The answers to an application.
use super::{AttributeJs, PolicyJs, cursor_text, ms, texts, version_text};
use crate::browser::to_js;
use peergraph_core::cert::Certificate;
use peergraph_core::invitation::{Invitation, InvitationKind};
use peergraph_core::io::{
    Cursor, GroupInfo, InvitationInfo, LinkInfo, MemberInfo, NodeInfo, Preview,
};
use peergraph_core::name::PeerName;
use peergraph_core::record::{Attribute, MEDIA_TYPE, Record, Value};
use peergraph_core::roll::Standing;
use serde::{Serialize, Serializer};
use wasm_bindgen::prelude::*;

/// An identity, as its certificate says.
#[derive(Serialize)]
struct IdentityJs<'a> {
    id: String,
    name: &'a str,
    classifier: &'a str,
    default: bool,
}

pub(crate) fn identity(certificate: &Certificate, default: bool) -> JsValue {
    to_js(&IdentityJs {
        id: certificate.peer_id().to_string(),
        name: certificate.name(),
        classifier: certificate.peer_name().classifier(),
        default,
    })
}

/// A peer name in both forms.
#[derive(Serialize)]
struct PeerNameJs<'a> {
    name: String,
    host: Option<String>,
    id: Option<String>,
    classifier: &'a str,
}

pub(crate) fn peer_name(name: &PeerName) -> JsValue {
    to_js(&PeerNameJs {
        name: name.to_string(),
        host: name.to_host().ok(),
        id: name.peer().map(|it| it.to_string()),
        classifier: name.classifier(),
    })
}

/// Whether somebody is a member; if it was revoked, by whom and why.
#[derive(Serialize)]
struct StandingJs {
    standing: &'static str,
    by: Option<String>,
    reason: Option<&'static str>,
}

impl From<Standing> for StandingJs {
    fn from(standing: Standing) -> Self {
        let mut js = Self { standing: standing.word(), by: None, reason: None };
        if let Standing::Revoked { by, reason } = standing {
            (js.by, js.reason) = (Some(by.to_string()), Some(reason.word()));
        }
        js
    }
}

/// An invitation as link and text, and when it ends.
pub(crate) fn invitation(invitation: &Invitation, page: &str) -> JsValue {
    #[derive(Serialize)]
    struct InvitationJs {
        link: String,
        text: String,
        expires: Option<f64>,
        id: Option<String>,
    }
    to_js(&InvitationJs {
        link: invitation.to_link(page),
        text: invitation.to_text(),
        expires: invitation.expires.map(ms),
        id: invitation.id().map(|id| id.to_string()),
    })
}

/// A person that a certificate names.
#[derive(Serialize)]
struct PersonJs {
    id: String,
    name: String,
}

/// The content of an invitation by itself.
pub(crate) fn summary(invitation: &Invitation) -> JsValue {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct SummaryJs {
        kind: &'static str,
        group: String,
        name: Option<String>,
        inviter: String,
        inviter_name: Option<String>,
        role: Option<String>,
        roles: Option<Vec<String>>,
        invitee: Option<PersonJs>,
        expires: Option<f64>,
        nodes: Vec<String>,
        addresses: Vec<String>,
        policy: Option<PolicyJs>,
    }
    let summary = invitation.summary();
    let kind = match &invitation.kind {
        InvitationKind::Bound { .. } => "bound",
        InvitationKind::Bearer { .. } => "bearer",
        InvitationKind::Password { .. } => "password",
    };
    to_js(&SummaryJs {
        kind,
        group: summary.group.to_string(),
        name: summary.name,
        inviter: summary.inviter.to_string(),
        inviter_name: summary.inviter_name,
        role: summary.role.map(|role| role.to_string()),
        roles: summary.app_roles,
        invitee: summary.invitee.map(|(id, name)| PersonJs { id: id.to_string(), name }),
        expires: summary.expires.map(ms),
        nodes: texts(summary.nodes),
        addresses: texts(summary.addresses),
        policy: invitation.policy().map(Into::into),
    })
}

/// An invitation as a member describes it.
pub(crate) fn preview(preview: Preview) -> JsValue {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct PreviewJs {
        group: String,
        name: String,
        policy: PolicyJs,
        told_by: String,
        open: Option<OpenJs>,
        state: &'static str,
    }
    #[derive(Serialize)]
    struct OpenJs {
        inviter: PersonJs,
        role: String,
        roles: Vec<String>,
        uses: Option<u32>,
        left: Option<u32>,
        expires: f64,
    }
    let open = preview.open.map(|open| OpenJs {
        left: open.left(),
        inviter: PersonJs { id: open.inviter.to_string(), name: open.inviter_name },
        role: open.grant.role.to_string(),
        roles: open.grant.app_roles,
        uses: open.uses,
        expires: ms(open.expires),
    });
    to_js(&PreviewJs {
        group: preview.group.to_string(),
        name: preview.name,
        policy: (&preview.policy).into(),
        told_by: preview.told_by.to_string(),
        open,
        state: preview.state.word(),
    })
}

/// A group.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GroupJs {
    id: String,
    name: String,
    comment: String,
    presence: f64,
    policy: PolicyJs,
    owner: bool,
    own_key: String,
    role: String,
    roles: Vec<String>,
    #[serde(flatten)]
    standing: StandingJs,
    expires: f64,
    announced: bool,
    records: f64,
    neighbours: u32,
    nodes: f64,
    signature: Option<String>,
    clock_shift_ms: f64,
    clock_ahead_ms: f64,
    ready: bool,
}

impl From<GroupInfo> for GroupJs {
    fn from(info: GroupInfo) -> Self {
        Self {
            id: info.id.to_string(),
            name: info.name,
            comment: info.comment,
            presence: info.presence_max as f64,
            policy: (&info.policy).into(),
            owner: info.owner,
            own_key: info.own_key.to_string(),
            role: info.grant.role.to_string(),
            roles: info.grant.app_roles,
            standing: info.standing.into(),
            expires: ms(info.expires),
            announced: info.announced,
            records: info.records as f64,
            neighbours: u32::try_from(info.neighbours).unwrap_or(u32::MAX),
            nodes: info.nodes as f64,
            signature: info.signature.map(|it| it.to_string()),
            clock_shift_ms: info.clock_shift_ms as f64,
            clock_ahead_ms: info.clock_ahead_ms as f64,
            ready: info.ready,
        }
    }
}

/// A member.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MemberJs {
    id: String,
    name: String,
    role: String,
    roles: Vec<String>,
    #[serde(flatten)]
    standing: StandingJs,
    certificate: String,
    issuer: String,
    expires: f64,
    offers_ownership: bool,
    nodes: Vec<String>,
}

impl From<MemberInfo> for MemberJs {
    fn from(info: MemberInfo) -> Self {
        Self {
            id: info.peer.to_string(),
            name: info.name,
            role: info.grant.role.to_string(),
            roles: info.grant.app_roles,
            standing: info.standing.into(),
            certificate: info.certificate.to_string(),
            issuer: info.issuer.to_string(),
            expires: ms(info.expires),
            offers_ownership: info.offers_ownership,
            nodes: texts(info.nodes),
        }
    }
}

/// A node that says that it is here.
#[derive(Serialize)]
pub(crate) struct NodeJs {
    id: String,
    peer: String,
    addresses: Vec<String>,
    attributes: Vec<AttributeJs>,
}

impl From<NodeInfo> for NodeJs {
    fn from(info: NodeInfo) -> Self {
        Self {
            id: info.node.to_string(),
            peer: info.peer.to_string(),
            addresses: texts(info.addresses),
            attributes: info.attributes.into_iter().map(AttributeJs::from).collect(),
        }
    }
}

/// An invitation that is open.
#[derive(Serialize)]
pub(crate) struct OpenInvitationJs {
    id: String,
    inviter: String,
    role: String,
    roles: Vec<String>,
    uses: u32,
    used: u32,
    expires: f64,
    state: &'static str,
}

impl From<InvitationInfo> for OpenInvitationJs {
    fn from(info: InvitationInfo) -> Self {
        Self {
            id: info.id.to_string(),
            inviter: info.inviter.to_string(),
            role: info.grant.role.to_string(),
            roles: info.grant.app_roles,
            uses: info.uses,
            used: info.used,
            expires: ms(info.expires),
            state: info.state.word(),
        }
    }
}

/// A link. Its number stays far below 2^53.
#[derive(Serialize)]
pub(crate) struct LinkJs {
    id: f64,
    peer: Option<String>,
    node: Option<String>,
    version: Option<u32>,
    direct: bool,
    relayed: bool,
    groups: Vec<String>,
}

impl From<LinkInfo> for LinkJs {
    fn from(info: LinkInfo) -> Self {
        Self {
            id: info.link.0 as f64,
            peer: info.peer.map(|it| it.to_string()),
            node: info.node.map(|it| it.to_string()),
            version: info.version,
            direct: info.direct,
            relayed: info.relayed,
            groups: texts(info.graphs),
        }
    }
}

/// Bytes that cross as `Uint8Array`.
pub(super) struct BytesJs(pub(super) bytes::Bytes);

impl Serialize for BytesJs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

/// A record. Its texts cross as one: each text that crosses costs as much as all the rest.
#[derive(Serialize)]
pub(crate) struct RecordJs {
    /// Id, type, version, edition, creator, modifier or nothing, and the media type if there is one: a line each, but that
    /// a media type may have any.
    words: String,
    created: f64,
    modified: f64,
    expires: f64,
    #[serde(skip_serializing_if = "is_false")]
    deleted: bool,
    /// Without the media type.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attributes: Vec<AttributeJs>,
    bytes: BytesJs,
}

fn is_false(truth: &bool) -> bool {
    !truth
}

impl From<Record> for RecordJs {
    fn from(record: Record) -> Self {
        let modifier = record.modifier.map(|it| it.to_string()).unwrap_or_default();
        let mut words = format!(
            "{}\n{}\n{}\n{}\n{}\n{modifier}",
            record.id,
            record.kind,
            version_text(record.version),
            record.edition(),
            record.creator,
        );
        let (media, others): (Vec<Attribute>, Vec<Attribute>) =
            record.attributes.into_iter().partition(|it| it.name == MEDIA_TYPE);
        let media = media.into_iter().find_map(|it| match it.value {
            Value::String(text) => Some(text),
            Value::Integer(_) | Value::Real(_) | Value::Date(_) | Value::Boolean(_) => None,
        });
        if let Some(media) = media {
            words.push('\n');
            words.push_str(&media);
        }
        Self {
            words,
            created: ms(record.created),
            modified: ms(record.modified),
            expires: ms(record.expires),
            deleted: record.deleted,
            attributes: others.into_iter().map(AttributeJs::from).collect(),
            bytes: BytesJs(record.payload),
        }
    }
}

/// A page of records.
#[derive(Serialize)]
pub(crate) struct PageJs {
    records: Vec<RecordJs>,
    next: Option<String>,
}

impl PageJs {
    pub(crate) fn new(records: Vec<Record>, next: Option<Cursor>) -> Self {
        let records = records.into_iter().map(RecordJs::from).collect();
        Self { records, next: next.map(cursor_text) }
    }
}
