//! Rust values ↔ JavaScript objects.
//!
//! Ids cross as text, bytes as `Uint8Array`, times as milliseconds, 64-bit numbers as `bigint`. `js/index.js` makes
//! the classes that applications see of them. Here is what crosses in both directions; what an application asks is
//! in `asked.rs`, what it is answered in `told.rs`, what it is told unasked in `news.rs`; all of direct links is in `direct.rs`,
//! and of searches in `search.rs`.
mod asked;
mod direct;
mod news;
mod search;
mod told;

pub(crate) use asked::{
    DraftJs, FilterJs, GrantJs, InviteJs, Options, PresentJs, PropertiesJs, RevokeJs,
};
pub(crate) use direct::{Asked, direct_reply};
pub(crate) use news::news;
pub(crate) use search::{ChangesJs, FoundJs, SearchJs};
pub(crate) use told::{
    GroupJs, LinkJs, MemberJs, NodeJs, OpenInvitationJs, PageJs, RecordJs, identity, invitation,
    peer_name, preview, summary,
};

use crate::failure::Failure;
use peergraph_core::io::Cursor;
use peergraph_core::policy::{Policy, Right};
use peergraph_core::record::{Attribute, Value};
use peergraph_core::time::WallTime;
use serde::{Deserialize, Serialize};
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;
use wasm_bindgen::prelude::*;

/// Reads what `js/index.js` made.
pub(crate) fn from_js<T: for<'a> Deserialize<'a>>(value: JsValue) -> Result<T, Failure> {
    serde_wasm_bindgen::from_value(value).map_err(Failure::bad_argument)
}

/// Reads an id or an address.
pub(crate) fn parse<T: FromStr<Err: Display>>(text: &str) -> Result<T, Failure> {
    text.parse().map_err(Failure::bad_argument)
}

fn ms(time: WallTime) -> f64 {
    time.0 as f64
}

fn texts(ids: impl IntoIterator<Item = impl Display>) -> Vec<String> {
    ids.into_iter().map(|id| id.to_string()).collect()
}

#[derive(Deserialize, Serialize)]
struct AttributeJs {
    name: String,
    kind: KindJs,
    /// Stays as it is until its kind is known.
    #[serde(with = "serde_wasm_bindgen::preserve")]
    value: JsValue,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum KindJs {
    String,
    Integer,
    Real,
    Date,
    Boolean,
}

impl TryFrom<AttributeJs> for Attribute {
    type Error = Failure;

    fn try_from(it: AttributeJs) -> Result<Self, Failure> {
        let value = match it.kind {
            KindJs::String => Value::String(from_js(it.value)?),
            KindJs::Integer => Value::Integer(from_js(it.value)?),
            KindJs::Real => Value::Real(from_js(it.value)?),
            KindJs::Date => Value::Date(WallTime(from_js::<f64>(it.value)? as u64)),
            KindJs::Boolean => Value::Boolean(from_js(it.value)?),
        };
        Ok(Self { name: it.name, value })
    }
}

impl From<Attribute> for AttributeJs {
    fn from(it: Attribute) -> Self {
        let (kind, value) = match it.value {
            Value::String(text) => (KindJs::String, text.into()),
            Value::Integer(number) => (KindJs::Integer, number.into()),
            Value::Real(number) => (KindJs::Real, number.into()),
            Value::Date(time) => (KindJs::Date, ms(time).into()),
            Value::Boolean(truth) => (KindJs::Boolean, truth.into()),
        };
        Self { name: it.name, kind, value }
    }
}

/// A policy, in both directions. Rules that an application leaves out are as by default.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PolicyJs {
    invite: Option<String>,
    administrators: Option<bool>,
    passwords: Option<bool>,
    membership_lifetime_ms: Option<f64>,
    payload_bytes_max: Option<u32>,
    member_records: Option<u32>,
    member_bytes: Option<f64>,
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
        policy.member_records = self.member_records.unwrap_or(policy.member_records);
        policy.member_bytes = self.member_bytes.map_or(policy.member_bytes, |bytes| bytes as u64);
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
            member_records: Some(policy.member_records),
            member_bytes: Some(policy.member_bytes as f64),
            defer_expiry: Some(policy.defer_expiry),
            rights: policy.rights.iter().map(right).collect(),
        }
    }
}

/// Versions cross as text of one length, so that they compare as text.
fn version_text(version: u64) -> String {
    format!("{version:020}")
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
