//! The requests of an application, and the configuration of a peer that it opens.
use super::{AttributeJs, parse, parse_cursor};
use crate::failure::Failure;
use crate::ice::IceServers;
use peergraph_core::cert::{CertError, Certificate};
use peergraph_core::io::{Draft, Filter, Invite, Keep, Properties};
use peergraph_core::limits::RECORDS_IN_A_SLICE;
use peergraph_core::node::{Config, Neighbours};
use peergraph_core::node_url::NodeUrl;
use peergraph_core::password::Password;
use peergraph_core::policy::Grant;
use peergraph_core::record::{Attribute, BadRecord, RecordType};
use peergraph_core::roll::{Reason, Target};
use serde::Deserialize;
use std::time::Duration;
use wasm_bindgen::JsValue;

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
    /// URLs or addresses.
    nodes: Vec<String>,
    /// Minimum, ideal and maximum.
    neighbours: Option<(u32, u32, u32)>,
    members_only: bool,
    /// As `RTCPeerConnection` takes them, or nothing.
    #[serde(with = "serde_wasm_bindgen::preserve")]
    ice_servers: JsValue,
}

impl Options {
    /// The nodes to use from the start.
    pub(crate) fn nodes(&self) -> Result<Vec<NodeUrl>, Failure> {
        self.nodes.iter().map(|node| parse(node)).collect()
    }

    /// The servers that tell the peer its addresses, besides its nodes.
    pub(crate) fn ice_servers(&self) -> Result<IceServers, Failure> {
        IceServers::new(&self.ice_servers).map_err(Failure::bad_argument)
    }

    /// The configuration of the node.
    pub(crate) fn config(&self) -> Result<Config, Failure> {
        // Channels hand over whatever comes, and the page has one thread.
        let mut config = Config {
            reads_on: true,
            records_at_once: RECORDS_IN_A_SLICE,
            members_only: self.members_only,
            ..Config::default()
        };
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

/// The arguments of `present`.
#[derive(Deserialize)]
pub(crate) struct PresentJs {
    attributes: Vec<AttributeJs>,
    forced: bool,
}

impl PresentJs {
    pub(crate) fn into_parts(self) -> Result<(Vec<Attribute>, bool), Failure> {
        Ok((attributes(self.attributes)?, self.forced))
    }
}

fn attributes(given: Vec<AttributeJs>) -> Result<Vec<Attribute>, Failure> {
    given.into_iter().map(Attribute::try_from).collect()
}

/// The draft that `publish`, `update` and `delete` give.
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
    #[serde(default)]
    if_version: Option<String>,
    #[serde(default)]
    nonce: Option<f64>,
}

impl DraftJs {
    pub(crate) fn into_draft(self, payload: Vec<u8>) -> Result<Draft, Failure> {
        Ok(Draft {
            id: self.id.as_deref().map(parse).transpose()?,
            kind: RecordType::new(&self.kind).map_err(BadRecord::from)?,
            attributes: attributes(self.attributes)?,
            payload: payload.into(),
            expires_in: self.expires_in_ms.map(|ms| Duration::from_millis(ms as u64)),
            delete: self.delete,
            refresh: self.refresh,
            if_version: self.if_version.as_deref().map(parse).transpose()?,
            nonce: self.nonce.map(|nonce| nonce as u64),
        })
    }
}

/// The filter that `records` and `get` give.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FilterJs {
    id: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    creator: Option<String>,
    after: Option<String>,
    #[serde(default)]
    newest_first: bool,
    limit: u32,
}

impl FilterJs {
    pub(crate) fn into_filter(self) -> Result<Filter, Failure> {
        Ok(Filter {
            id: self.id.as_deref().map(parse).transpose()?,
            kind: self.kind.as_deref().map(RecordType::new).transpose().map_err(BadRecord::from)?,
            creator: self.creator.as_deref().map(parse).transpose()?,
            after: self.after.as_deref().map(parse_cursor).transpose()?,
            newest_first: self.newest_first,
            limit: self.limit as usize,
        })
    }
}

/// The rights that a membership grants.
#[derive(Deserialize)]
pub(crate) struct GrantJs {
    role: String,
    roles: Vec<String>,
}

impl GrantJs {
    pub(crate) fn into_grant(self) -> Result<Grant, Failure> {
        Ok(Grant::new(parse(&self.role)?, self.roles).map_err(CertError::from)?)
    }
}

/// The arguments of `invite`.
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

/// The arguments of `revoke`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RevokeJs {
    peer: Option<String>,
    certificate: Option<String>,
    reason: String,
    keep_records: bool,
    keep_members: bool,
}

impl RevokeJs {
    pub(crate) fn into_parts(self) -> Result<(Target, Reason, Keep), Failure> {
        let target = match (&self.peer, &self.certificate) {
            (Some(peer), _) => Target::Peer(parse(peer)?),
            (None, Some(certificate)) => Target::Certificate(parse(certificate)?),
            (None, None) => return Err(Failure::bad_argument("nobody to revoke")),
        };
        let keep = Keep { records: self.keep_records, members: self.keep_members };
        Ok((target, parse(&self.reason)?, keep))
    }
}

/// The properties of a group that may be changed.
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
