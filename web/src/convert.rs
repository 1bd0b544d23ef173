//! Rust values ↔ JavaScript objects.
//!
//! Ids cross as text, bytes as `Uint8Array`, times as milliseconds, 64-bit numbers as `bigint`, failures as
//! `{ code, message, hint }`. `js/index.js` makes the classes that applications see of them.
use crate::host::{LinkState, News};
use crate::lock::LockError;
use peergraph_core::cert::{CertError, Certificate};
use peergraph_core::error::{BadRecord, Error};
use peergraph_core::id::{GroupId, PeerId, RecordId};
use peergraph_core::identity::IdentityError;
use peergraph_core::invitation::{Invitation, InvitationError, InvitationKind};
use peergraph_core::io::{
    CloseReason, Cursor, Draft, Event, Filter, GroupInfo, InvitationInfo, Invite, Keep, LinkInfo,
    MemberInfo, NodeChange, NodeInfo, Properties, SyncPhase,
};
use peergraph_core::name::{NameError, PeerName};
use peergraph_core::node::{Config, Neighbours};
use peergraph_core::password::Password;
use peergraph_core::policy::{Grant, Policy, Right};
use peergraph_core::record::{Attribute, Record, RecordType, Value};
use peergraph_core::roll::{Reason, Standing, Target};
use peergraph_core::time::WallTime;
use serde::{Deserialize, Serialize, Serializer};
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;
use wasm_bindgen::prelude::*;

/// Why something failed, for the application.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Failure {
    code: &'static str,
    message: String,
    hint: String,
}

impl Failure {
    /// Messages of ours are `what happened; what to do`.
    fn new(code: &'static str, error: impl Display) -> Self {
        let message = error.to_string();
        let hint = message.split_once("; ").map(|(_, hint)| hint.to_owned()).unwrap_or_default();
        Self { code, message, hint }
    }

    pub(crate) fn closed() -> Self {
        Self::new("closed", "this peer is closed; open it again")
    }

    pub(crate) fn taken_over() -> Self {
        Self::new("taken-over", "another tab uses this identity now; close one of the two")
    }

    pub(crate) fn locked() -> Self {
        let text = "this identity is open in another tab; use that tab, or take over";
        Self::new("locked", text)
    }

    pub(crate) fn no_store(error: &JsValue) -> Self {
        let name = crate::browser::error_name(error);
        if name == "QuotaExceededError" {
            let fault = peergraph_core::io::StoreFault::QuotaExceeded;
            return Error::Store(fault).into();
        }
        let text =
            "this browser has no IndexedDB for this page; allow site data, or leave private mode";
        Self::new("no-indexeddb", text)
    }

    pub(crate) fn unreadable() -> Self {
        let text = "the identity of this browser cannot be read; nothing was changed: \
                    choose another storage name, or clear the data of this site";
        Self::new("identity-unreadable", text)
    }

    pub(crate) fn no_locks() -> Self {
        Self::internal("this browser refuses Web Locks")
    }

    pub(crate) fn unknown_identity(text: &str) -> Self {
        Self::new("unknown-identity", text)
    }

    pub(crate) fn identity_exists(peer: PeerId) -> Self {
        Self::new("identity-exists", format!("the identity {peer} is here already; use that one"))
    }

    pub(crate) fn identity_in_use(groups: &[String]) -> Self {
        let groups = groups.join(", ");
        let text = format!("this identity is a member of {groups}; leave these groups first");
        Self::new("identity-in-use", text)
    }

    pub(crate) fn default_identity() -> Self {
        let text = "this is the default identity; make another one the default first";
        Self::new("default-identity", text)
    }

    pub(crate) fn too_long() -> Self {
        let text = "this link is too long for a QR code; send it as text";
        Self::new("too-long", text)
    }

    pub(crate) fn bad_argument(what: impl Display) -> Self {
        Self::new("bad-argument", what)
    }

    pub(crate) fn internal(what: impl Display) -> Self {
        Self::new("internal", what)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(error.code(), error)
    }
}

impl From<InvitationError> for Failure {
    fn from(error: InvitationError) -> Self {
        Self::new("bad-invitation", error)
    }
}

impl From<IdentityError> for Failure {
    fn from(error: IdentityError) -> Self {
        let wrong_password = error == IdentityError::WrongPassword;
        Self::new(if wrong_password { "wrong-password" } else { "bad-identity" }, error)
    }
}

impl From<NameError> for Failure {
    fn from(error: NameError) -> Self {
        Self::new("bad-name", error)
    }
}

impl From<LockError> for Failure {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Held => Self::locked(),
            LockError::Unavailable(_) => Self::no_locks(),
        }
    }
}

impl From<CertError> for Failure {
    fn from(error: CertError) -> Self {
        Self::bad_argument(error)
    }
}

impl From<BadRecord> for Failure {
    fn from(error: BadRecord) -> Self {
        Error::from(error).into()
    }
}

impl From<Failure> for JsValue {
    fn from(failure: Failure) -> Self {
        to_js(&failure)
    }
}

/// Makes a JavaScript value of one of the types of this module.
pub(crate) fn to_js(value: &impl Serialize) -> JsValue {
    let serializer = serde_wasm_bindgen::Serializer::json_compatible()
        .serialize_large_number_types_as_bigints(true)
        .serialize_bytes_as_arrays(false);
    value.serialize(&serializer).expect("only plain structures are converted")
}

/// Reads what `js/index.js` made.
pub(crate) fn from_js<T: for<'a> Deserialize<'a>>(value: JsValue) -> Result<T, Failure> {
    serde_wasm_bindgen::from_value(value).map_err(Failure::bad_argument)
}

/// Reads an id or an address.
pub(crate) fn parse<T: FromStr<Err: Display>>(text: &str) -> Result<T, Failure> {
    text.parse().map_err(Failure::bad_argument)
}

/// Reads the options of an opening.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Options {
    pub(crate) name: String,
    pub(crate) storage: String,
    pub(crate) take_over: bool,
    /// Exported identity and its password.
    pub(crate) identity: Option<(String, String)>,
    /// Id, beginning of the id, or name of an identity that is here.
    pub(crate) who: Option<String>,
    /// Record types.
    priorities: Vec<String>,
    /// Minimum, ideal and maximum.
    neighbours: Option<(u32, u32, u32)>,
}

impl Options {
    /// What the node is to be.
    pub(crate) fn config(&self) -> Result<Config, Failure> {
        let mut config = Config::default();
        for kind in &self.priorities {
            config.priorities.push(RecordType::new(kind).map_err(Failure::bad_argument)?);
        }
        if let Some((minimum, ideal, maximum)) = self.neighbours {
            let [minimum, ideal, maximum] = [minimum, ideal, maximum].map(|it| it as usize);
            config.neighbours =
                Neighbours::new(minimum, ideal, maximum).map_err(Failure::bad_argument)?;
        }
        config.check().map_err(Failure::bad_argument)?;
        Ok(config)
    }
}

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

#[derive(Deserialize, Serialize)]
struct AttributeJs {
    name: String,
    #[serde(flatten)]
    value: ValueJs,
}

#[derive(Deserialize, Serialize)]
#[serde(tag = "kind", content = "value", rename_all = "lowercase")]
enum ValueJs {
    String(String),
    Integer(i64),
    Real(f64),
    Date(f64),
    Boolean(bool),
}

impl From<AttributeJs> for Attribute {
    fn from(it: AttributeJs) -> Self {
        let value = match it.value {
            ValueJs::String(text) => Value::String(text),
            ValueJs::Integer(number) => Value::Integer(number),
            ValueJs::Real(number) => Value::Real(number),
            ValueJs::Date(ms) => Value::Date(WallTime(ms as u64)),
            ValueJs::Boolean(truth) => Value::Boolean(truth),
        };
        Self { name: it.name, value }
    }
}

impl From<Attribute> for AttributeJs {
    fn from(it: Attribute) -> Self {
        let value = match it.value {
            Value::String(text) => ValueJs::String(text),
            Value::Integer(number) => ValueJs::Integer(number),
            Value::Real(number) => ValueJs::Real(number),
            Value::Date(time) => ValueJs::Date(ms(time)),
            Value::Boolean(truth) => ValueJs::Boolean(truth),
        };
        Self { name: it.name, value }
    }
}

/// What `present` gives.
#[derive(Deserialize)]
pub(crate) struct PresentJs {
    attributes: Vec<AttributeJs>,
    forced: bool,
}

impl PresentJs {
    pub(crate) fn into_parts(self) -> (Vec<Attribute>, bool) {
        (self.attributes.into_iter().map(Attribute::from).collect(), self.forced)
    }
}

/// What `publish`, `update` and `delete` give.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DraftJs {
    id: Option<String>,
    #[serde(rename = "type")]
    kind: String,
    attributes: Vec<AttributeJs>,
    expires_in_ms: Option<f64>,
    delete: bool,
    refresh: bool,
}

impl DraftJs {
    pub(crate) fn into_draft(self, payload: Vec<u8>) -> Result<Draft, Failure> {
        Ok(Draft {
            id: self.id.as_deref().map(parse).transpose()?,
            kind: RecordType::new(&self.kind)?,
            attributes: self.attributes.into_iter().map(Attribute::from).collect(),
            payload: payload.into(),
            expires_in: self.expires_in_ms.map(|ms| Duration::from_millis(ms as u64)),
            delete: self.delete,
            refresh: self.refresh,
        })
    }
}

/// What `records` and `get` give.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FilterJs {
    id: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    creator: Option<String>,
    after: Option<String>,
    limit: u32,
}

impl FilterJs {
    pub(crate) fn into_filter(self) -> Result<Filter, Failure> {
        Ok(Filter {
            id: self.id.as_deref().map(parse).transpose()?,
            kind: self.kind.as_deref().map(RecordType::new).transpose()?,
            creator: self.creator.as_deref().map(parse).transpose()?,
            after: self.after.as_deref().map(parse_cursor).transpose()?,
            limit: self.limit as usize,
        })
    }
}

/// What a membership grants.
#[derive(Deserialize)]
pub(crate) struct GrantJs {
    role: String,
    roles: Vec<String>,
}

impl GrantJs {
    pub(crate) fn into_grant(self) -> Result<Grant, Failure> {
        Ok(Grant::new(parse(&self.role)?, self.roles)?)
    }
}

/// What `invite` gives.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InviteJs {
    grant: GrantJs,
    uses: u32,
    expires_in_ms: f64,
    identity: Option<String>,
    password: Option<String>,
}

impl InviteJs {
    pub(crate) fn into_invite(self) -> Result<Invite, Failure> {
        let grant = self.grant.into_grant()?;
        let (uses, expires_in) = (self.uses, Duration::from_millis(self.expires_in_ms as u64));
        Ok(match (self.identity, self.password) {
            (Some(pem), _) => Invite::Bound { identity: Certificate::from_pem(&pem)?, grant },
            (None, Some(password)) => {
                let password = Password::new(password).map_err(Failure::bad_argument)?;
                Invite::Password { grant, password, uses, expires_in }
            }
            (None, None) => Invite::Bearer { grant, uses, expires_in },
        })
    }
}

/// What `revoke` gives.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RevokeJs {
    peer: Option<String>,
    serial: Option<String>,
    reason: String,
    keep_records: bool,
    keep_members: bool,
}

impl RevokeJs {
    pub(crate) fn into_parts(self) -> Result<(Target, Reason, Keep), Failure> {
        let target = match (&self.peer, &self.serial) {
            (Some(peer), _) => Target::Peer(parse(peer)?),
            (None, Some(serial)) => Target::Serial(parse(serial)?),
            (None, None) => return Err(Failure::bad_argument("nobody to revoke")),
        };
        let keep = Keep { records: self.keep_records, members: self.keep_members };
        Ok((target, parse(&self.reason)?, keep))
    }
}

/// What may be changed of a group.
#[derive(Deserialize)]
pub(crate) struct PropertiesJs {
    name: String,
    comment: String,
    presence: f64,
}

impl From<PropertiesJs> for Properties {
    fn from(it: PropertiesJs) -> Self {
        Self { name: it.name, comment: it.comment, presence_max: it.presence as u64 }
    }
}

/// A policy, in both directions. What an application leaves out is as by default.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PolicyJs {
    invite: Option<String>,
    administrators: Option<bool>,
    passwords: Option<bool>,
    membership_lifetime_ms: Option<f64>,
    payload_bytes_max: Option<u32>,
    defer_expiry: Option<bool>,
    rights: Vec<RightJs>,
}

#[derive(Deserialize, Serialize)]
struct RightJs {
    types: String,
    roles: Vec<String>,
    publish: bool,
    update: bool,
    delete: bool,
}

impl PolicyJs {
    pub(crate) fn into_policy(self) -> Result<Policy, Failure> {
        let right = |it: RightJs| Right {
            types: it.types,
            roles: it.roles,
            publish: it.publish,
            update: it.update,
            delete: it.delete,
        };
        let mut policy = Policy::default();
        if let Some(role) = self.invite {
            policy.invite = parse(&role)?;
        }
        if let Some(ms) = self.membership_lifetime_ms {
            policy.membership_lifetime = Duration::from_millis(ms as u64);
        }
        policy.administrators = self.administrators.unwrap_or(policy.administrators);
        policy.passwords = self.passwords.unwrap_or(policy.passwords);
        policy.payload_bytes_max = self.payload_bytes_max.unwrap_or(policy.payload_bytes_max);
        policy.defer_expiry = self.defer_expiry.unwrap_or(policy.defer_expiry);
        policy.rights = self.rights.into_iter().map(right).collect();
        Ok(policy)
    }
}

impl From<&Policy> for PolicyJs {
    fn from(policy: &Policy) -> Self {
        let right = |it: &Right| RightJs {
            types: it.types.clone(),
            roles: it.roles.clone(),
            publish: it.publish,
            update: it.update,
            delete: it.delete,
        };
        Self {
            invite: Some(policy.invite.to_string()),
            administrators: Some(policy.administrators),
            passwords: Some(policy.passwords),
            membership_lifetime_ms: Some(policy.membership_lifetime.as_millis() as f64),
            payload_bytes_max: Some(policy.payload_bytes_max),
            defer_expiry: Some(policy.defer_expiry),
            rights: policy.rights.iter().map(right).collect(),
        }
    }
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

/// Cursors cross as `MILLISECONDS.RECORDID`.
fn cursor_text(cursor: Cursor) -> String {
    format!("{}.{}", cursor.modified.0, cursor.id)
}

fn parse_cursor(text: &str) -> Result<Cursor, Failure> {
    let wrong =
        || Failure::bad_argument("not a cursor; use `next` of a page, or `cursor` of a record");
    let (modified, id) = text.split_once('.').ok_or_else(wrong)?;
    let modified = WallTime(modified.parse().map_err(|_| wrong())?);
    Ok(Cursor { modified, id: id.parse().map_err(|_| wrong())? })
}

/// An invitation as text, and when it ends.
pub(crate) fn invitation(invitation: &Invitation) -> JsValue {
    #[derive(Serialize)]
    struct InvitationJs {
        text: String,
        expires: f64,
        bound: bool,
        id: Option<String>,
    }
    let id = match &invitation.kind {
        InvitationKind::Bearer { id, .. } | InvitationKind::Password { id, .. } => {
            Some(id.to_string())
        }
        InvitationKind::Bound { .. } => None,
    };
    to_js(&InvitationJs {
        text: invitation.to_text(),
        expires: ms(invitation.expires),
        bound: matches!(invitation.kind, InvitationKind::Bound { .. }),
        id,
    })
}

/// What people are shown before they join.
pub(crate) fn summary(invitation: &Invitation) -> JsValue {
    #[derive(Serialize)]
    struct SummaryJs {
        kind: &'static str,
        group: String,
        name: String,
        inviter: String,
        role: Option<String>,
        roles: Vec<String>,
        invitee: Option<PersonJs>,
        expires: f64,
        addresses: Vec<String>,
        policy: PolicyJs,
    }
    #[derive(Serialize)]
    struct PersonJs {
        id: String,
        name: String,
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
        inviter: summary.inviter,
        role: summary.grant.as_ref().map(|grant| grant.role.to_string()),
        roles: summary.grant.map(|grant| grant.app_roles).unwrap_or_default(),
        invitee: summary.invitee.map(|(id, name)| PersonJs { id: id.to_string(), name }),
        expires: ms(summary.expires),
        addresses: texts(summary.addresses),
        policy: invitation.root.policy().into(),
    })
}

fn ms(time: WallTime) -> f64 {
    time.0 as f64
}

fn texts(ids: impl IntoIterator<Item = impl Display>) -> Vec<String> {
    ids.into_iter().map(|id| id.to_string()).collect()
}

/// A group.
#[derive(Serialize)]
pub(crate) struct GroupJs {
    id: String,
    name: String,
    comment: String,
    presence: f64,
    policy: PolicyJs,
    owner: bool,
    role: String,
    roles: Vec<String>,
    #[serde(flatten)]
    standing: StandingJs,
    expires: f64,
    records: f64,
    neighbours: u32,
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
            role: info.grant.role.to_string(),
            roles: info.grant.app_roles,
            standing: info.standing.into(),
            expires: ms(info.expires),
            records: info.records as f64,
            neighbours: u32::try_from(info.neighbours).unwrap_or(u32::MAX),
            ready: info.ready,
        }
    }
}

/// A member.
#[derive(Serialize)]
pub(crate) struct MemberJs {
    id: String,
    name: String,
    role: String,
    roles: Vec<String>,
    #[serde(flatten)]
    standing: StandingJs,
    serial: String,
    issuer: String,
    expires: f64,
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
            serial: info.serial.to_string(),
            issuer: info.issuer.to_string(),
            expires: ms(info.expires),
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
        }
    }
}

/// A link. Its number stays far below 2^53.
#[derive(Serialize)]
pub(crate) struct LinkJs {
    id: f64,
    peer: Option<String>,
    node: Option<String>,
    direct: bool,
    groups: Vec<String>,
}

impl From<LinkInfo> for LinkJs {
    fn from(info: LinkInfo) -> Self {
        Self {
            id: info.link.0 as f64,
            peer: info.peer.map(|it| it.to_string()),
            node: info.node.map(|it| it.to_string()),
            direct: info.direct,
            groups: texts(info.graphs),
        }
    }
}

/// Bytes that cross as `Uint8Array`.
struct BytesJs(bytes::Bytes);

impl Serialize for BytesJs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

/// A record.
#[derive(Serialize)]
pub(crate) struct RecordJs {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    version: u64,
    creator: String,
    modifier: Option<String>,
    created: f64,
    modified: f64,
    expires: f64,
    deleted: bool,
    attributes: Vec<AttributeJs>,
    bytes: BytesJs,
    cursor: String,
}

impl From<Record> for RecordJs {
    fn from(record: Record) -> Self {
        Self {
            id: record.id.to_string(),
            kind: record.kind.to_string(),
            version: record.version,
            creator: record.creator.to_string(),
            modifier: record.modifier.map(|it| it.to_string()),
            created: ms(record.created),
            modified: ms(record.modified),
            expires: ms(record.expires),
            deleted: record.deleted,
            attributes: record.attributes.into_iter().map(AttributeJs::from).collect(),
            bytes: BytesJs(record.payload),
            cursor: cursor_text(Cursor { modified: record.modified, id: record.id }),
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

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum NewsJs {
    Record { group: String, record: RecordJs },
    Status { group: String, id: String, held: u32 },
    Expired { group: String, id: String },
    Withdrawn { group: String, id: String },
    Member { group: String, member: MemberJs },
    Presence { group: String, node: NodeJs, change: &'static str },
    Neighbour { group: String, link: f64, peer: String, node: String, up: bool },
    Sync { group: String, link: f64, phase: &'static str },
    Group { info: GroupJs },
    Alone { group: String },
    Conflict { group: String, id: String, peer: String },
    Storage { error: Failure },
    Link { id: f64, state: &'static str, direct: bool, reason: Option<&'static str> },
    Closed { error: Option<Failure> },
}

/// News as an object with a `type`. `None` for what applications are not told.
pub(crate) fn news(news: News) -> Option<JsValue> {
    let event = match news {
        News::Core(event) => core_news(event)?,
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
        Event::Status { group: in_group, id, held_by } => {
            NewsJs::Status { group: group(in_group), id: record_id(id), held: held_by }
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
        // The opening waits for the first; the second shows as a closed link with its reason.
        Event::Opened | Event::PeerMisbehaved { .. } => return None,
        // No browser has a security provider but ours; where another member has one, there is just no neighbour.
        Event::Withheld { .. } | Event::TurnedAway { .. } | Event::NotAdmitted { .. } => {
            return None;
        }
        _ => return None,
    })
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
        _ => "other",
    }
}
