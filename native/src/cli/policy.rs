//! The policy of a group: as options, as JSON, and as lines for people.

use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use peergraph::{Policy, Right, Role};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::duration;
use super::input::{Source, TEXT_BYTES_MAX};

/// The decisions that are made once and for all when a group is made.
#[derive(Args, Debug)]
pub(super) struct PolicyArguments {
    /// Read the policy from this file: the JSON that `group show --json` prints as `policy`; parts may be missing
    #[arg(long, value_name = "FILE")]
    policy: Option<Source>,
    /// Let administrators invite, and nobody else
    #[arg(long)]
    only_administrators_invite: bool,
    /// Let the owner alone make administrators
    #[arg(long)]
    only_owner_makes_administrators: bool,
    /// Allow no invitations by password
    #[arg(long)]
    no_passwords: bool,
    /// Longest membership that a member issues, such as 90d
    #[arg(long, value_name = "TIME", value_parser = duration)]
    membership_lifetime: Option<Duration>,
    /// Longest payload of a record, in bytes
    #[arg(long, value_name = "BYTES")]
    payload_max: Option<u32>,
    /// Records of one member, those that it deleted included
    #[arg(long, value_name = "NUMBER")]
    member_records: Option<u32>,
    /// Bytes of the records of one member
    #[arg(long, value_name = "BYTES")]
    member_bytes: Option<u64>,
    /// The rights of roles to records of some types, TYPES:ROLES:RIGHTS such as
    /// 'news.*:editor:publish,update'; repeatable. Types that are not named are open to all
    #[arg(long = "right", value_name = "RIGHT", value_parser = right)]
    rights: Vec<Right>,
}

impl PolicyArguments {
    /// The policy of the file, changed by the options.
    pub(super) fn read(&self) -> Result<Policy> {
        let mut policy = match &self.policy {
            Some(file) => {
                let text = file.read(TEXT_BYTES_MAX)?;
                let read: PolicyJson = serde_json::from_slice(&text)
                    .with_context(|| format!("reading the policy in {file}"))?;
                read.into_policy()
            }
            None => Policy::default(),
        };
        if self.only_administrators_invite {
            policy.invite = Role::Administrator;
        }
        policy.administrators &= !self.only_owner_makes_administrators;
        policy.passwords &= !self.no_passwords;
        policy.membership_lifetime = self.membership_lifetime.unwrap_or(policy.membership_lifetime);
        policy.payload_bytes_max = self.payload_max.unwrap_or(policy.payload_bytes_max);
        policy.member_records = self.member_records.unwrap_or(policy.member_records);
        policy.member_bytes = self.member_bytes.unwrap_or(policy.member_bytes);
        policy.rights.extend(self.rights.iter().cloned());
        Ok(policy)
    }
}

/// `news.*:editor,moderator:publish,update`.
fn right(text: &str) -> Result<Right, String> {
    let wrong = || {
        "expected TYPES:ROLES:RIGHTS, such as 'news.*:editor:publish,update'; the rights are publish, update and delete"
            .to_owned()
    };
    let parts: Vec<&str> = text.split(':').collect();
    let [types, roles, rights] = parts.as_slice() else { return Err(wrong()) };
    if types.is_empty() || roles.is_empty() {
        return Err(wrong());
    }
    let roles = roles.split(',').map(str::to_owned).collect();
    let mut right =
        Right { types: (*types).into(), roles, publish: false, update: false, delete: false };
    for word in rights.split(',') {
        match word {
            "publish" => right.publish = true,
            "update" => right.update = true,
            "delete" => right.delete = true,
            _ => return Err(wrong()),
        }
    }
    Ok(right)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PolicyJson {
    invite: Inviter,
    administrators: bool,
    passwords: bool,
    membership_lifetime_seconds: u64,
    payload_bytes_max: u32,
    member_records: u32,
    member_bytes: u64,
    defer_expiry: bool,
    rights: Vec<RightJson>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Inviter {
    Inviting,
    Administrator,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct RightJson {
    types: String,
    roles: Vec<String>,
    #[serde(default)]
    publish: bool,
    #[serde(default)]
    update: bool,
    #[serde(default)]
    delete: bool,
}

impl Default for PolicyJson {
    fn default() -> Self {
        let policy = Policy::default();
        Self {
            invite: Inviter::Inviting,
            administrators: policy.administrators,
            passwords: policy.passwords,
            membership_lifetime_seconds: policy.membership_lifetime.as_secs(),
            payload_bytes_max: policy.payload_bytes_max,
            member_records: policy.member_records,
            member_bytes: policy.member_bytes,
            defer_expiry: policy.defer_expiry,
            rights: Vec::new(),
        }
    }
}

impl PolicyJson {
    fn into_policy(self) -> Policy {
        let right = |it: RightJson| Right {
            types: it.types,
            roles: it.roles,
            publish: it.publish,
            update: it.update,
            delete: it.delete,
        };
        let mut policy = Policy::default();
        policy.invite = match self.invite {
            Inviter::Inviting => Role::Inviting,
            Inviter::Administrator => Role::Administrator,
        };
        policy.administrators = self.administrators;
        policy.passwords = self.passwords;
        policy.membership_lifetime = Duration::from_secs(self.membership_lifetime_seconds);
        policy.payload_bytes_max = self.payload_bytes_max;
        policy.member_records = self.member_records;
        policy.member_bytes = self.member_bytes;
        policy.defer_expiry = self.defer_expiry;
        policy.rights = self.rights.into_iter().map(right).collect();
        policy
    }
}

/// The JSON of a policy, as [`PolicyArguments::read`] reads it.
pub(super) fn policy_json(policy: &Policy) -> serde_json::Value {
    let right = |it: &Right| RightJson {
        types: it.types.clone(),
        roles: it.roles.clone(),
        publish: it.publish,
        update: it.update,
        delete: it.delete,
    };
    json!({
        "invite": policy.invite.to_string(),
        "administrators": policy.administrators,
        "passwords": policy.passwords,
        "membership_lifetime_seconds": policy.membership_lifetime.as_secs(),
        "payload_bytes_max": policy.payload_bytes_max,
        "member_records": policy.member_records,
        "member_bytes": policy.member_bytes,
        "defer_expiry": policy.defer_expiry,
        "rights": policy.rights.iter().map(right).collect::<Vec<_>>(),
    })
}

/// A policy as fields for people.
pub(super) fn policy_fields(policy: &Policy) -> Vec<(&'static str, String)> {
    let yes = |yes: bool, no: &str| if yes { "allowed".to_owned() } else { no.to_owned() };
    let inviters = match policy.invite {
        Role::Administrator => "administrators",
        Role::Inviting | Role::Member => "inviting members and administrators",
    };
    let makers =
        if policy.administrators { "administrators and the owner" } else { "the owner alone" };
    let hours = policy.membership_lifetime.as_secs() / 3_600;
    let lifetime = match (hours / 24, hours % 24) {
        (days, 0) => format!("{days} days at most"),
        _ => format!("{hours} hours at most"),
    };
    let mut fields = vec![
        ("Who invites", inviters.to_owned()),
        ("Administrators by", makers.to_owned()),
        ("Passwords", yes(policy.passwords, "not allowed")),
        ("Memberships", lifetime),
        ("Payloads", format!("{} bytes at most", policy.payload_bytes_max)),
        (
            "Each member",
            format!("{} records, {} bytes at most", policy.member_records, policy.member_bytes),
        ),
    ];
    if policy.defer_expiry {
        fields.push(("Expiry", "waits while nobody is met".to_owned()));
    }
    for right in &policy.rights {
        let given =
            [("publish", right.publish), ("update", right.update), ("delete", right.delete)];
        let given: Vec<_> = given.iter().filter(|(_, yes)| *yes).map(|(word, _)| *word).collect();
        let (types, roles) = (&right.types, right.roles.join(", "));
        fields.push(("Right", format!("{types}: {roles} may {}", given.join(", "))));
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_as_json_is_read_back() {
        let mut policy = Policy::default();
        policy.invite = Role::Administrator;
        policy.passwords = false;
        policy.rights = vec![right("news.*:editor,member:publish,delete").expect("holds")];
        for policy in [Policy::default(), policy] {
            let text = policy_json(&policy).to_string();
            let read: PolicyJson = serde_json::from_str(&text).expect("holds");
            assert_eq!(read.into_policy(), policy);
        }
        let partial: PolicyJson = serde_json::from_str(r#"{"passwords": false}"#).expect("holds");
        assert!(partial.into_policy().administrators);
    }

    #[test]
    fn rights_of_the_wrong_form_are_refused() {
        let wrong = ["", "news", "news:editor", "news:editor:read", "a:b:c:d", ":b:publish"];
        for text in wrong.into_iter().chain(["a::publish", "a:b:"]) {
            assert!(right(text).is_err_and(|error| error.contains("TYPES:ROLES:RIGHTS")), "{text}");
        }
    }
}
