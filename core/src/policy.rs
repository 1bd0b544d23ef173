//! Policy: the decisions that the creator of a group made once and for all, and the rights of each
//! role.
//!
//! It stands in the group's root certificate, so that every holder of a chain of the group knows
//! it, before the first record and without trusting anybody; and nobody can change it, since the
//! group id is the hash of the key that signed it. The parts that may change later (name, comment,
//! presence) are in the properties record.
//!
//! An application gives roles of its own to members ([`Grant`]) and says which of them may publish records of which
//! types, and change or delete those of others ([`Right`]). Administrators may do all of it.
use crate::cbor;
use crate::limits::{
    APP_ROLE_MAX, APP_ROLES_MAX, CERTIFICATE_BYTES_MAX, MEMBER_BYTES_DEFAULT, MEMBER_BYTES_MAX,
    MEMBER_RECORDS_DEFAULT, MEMBERSHIP_LIFETIME, PAYLOAD_BYTES_DEFAULT_MAX, PAYLOAD_BYTES_MAX,
    RECORDS, RIGHTS_MAX, TYPE_NAME_MAX,
};
use crate::record_type::RecordType;
use minicbor::{Decode, Encode};
use std::time::Duration;

mod role;

pub use role::{ParseRoleError, Role};

/// Why a role of the application or a policy cannot be, in the words of the certificate in which it would stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unfit {
    /// A role of the application has a name of the wrong form, or there are too many.
    #[error("a certificate does not say its kind and role")]
    Role,
    /// A policy that cannot be.
    #[error("the policy of the group cannot be read")]
    Policy,
}

/// The decisions of a group's creator. The default has nothing unusual and takes no byte of the
/// certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Policy {
    /// The lowest role that lets members in: [`Role::Inviting`], or [`Role::Administrator`].
    pub invite: Role,
    /// Whether administrators make administrators. Otherwise only the group's own key does.
    pub administrators: bool,
    /// Whether there may be invitations by password.
    pub passwords: bool,
    /// Longest membership that a member issues. Whole seconds.
    pub membership_lifetime: Duration,
    /// Longest payload of a record. Bytes.
    pub payload_bytes_max: u32,
    /// Application records of one member, tombstones included: 16 to half of those that a group holds. An administrator may
    /// have that half.
    pub member_records: u32,
    /// Bytes of them: at least 16 of the longest payloads, at most 64 GiB. All members together may have 16 times as many,
    /// an administrator half of those.
    pub member_bytes: u64,
    /// Whether records that have ended are kept while this node has no neighbour.
    pub defer_expiry: bool,
    /// The rights of roles to records of certain types. Types that are not named are open to all.
    pub rights: Vec<Right>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            invite: Role::Inviting,
            administrators: true,
            passwords: true,
            membership_lifetime: MEMBERSHIP_LIFETIME,
            payload_bytes_max: PAYLOAD_BYTES_DEFAULT_MAX as u32,
            member_records: MEMBER_RECORDS_DEFAULT,
            member_bytes: MEMBER_BYTES_DEFAULT,
            defer_expiry: false,
            rights: Vec::new(),
        }
    }
}

/// Rights over records of some types.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Right {
    /// A record type, or the beginning of some with `*` at the end: `chat.*`.
    #[n(0)]
    pub types: String,
    /// The roles that have these rights: names of application roles, `member`, or `inviting`.
    #[n(1)]
    pub roles: Vec<String>,
    /// Publish records, and change one's own.
    #[n(2)]
    pub publish: bool,
    /// Change the records of others. They still live as long as their creators wanted, or as the
    /// membership of the member that changed one.
    #[n(3)]
    pub update: bool,
    /// Delete those of others.
    #[n(4)]
    pub delete: bool,
}

/// An act on a record, for which rights are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Publish one, or change one's own.
    Publish,
    /// Change somebody else's.
    Update,
    /// Delete somebody else's.
    Delete,
}

/// The rights that a membership grants: a role, and roles of the application.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Grant {
    /// The role.
    pub role: Role,
    /// Application roles, sorted, each once: 1–32 characters of `[a-z0-9-]`, none of them a [`Role`]'s name.
    pub app_roles: Vec<String>,
}

impl From<Role> for Grant {
    fn from(role: Role) -> Self {
        Self { role, app_roles: Vec::new() }
    }
}

impl Grant {
    /// A grant with application roles, which are sorted here.
    ///
    /// # Errors
    /// [`Unfit::Role`] for names of the wrong form, or more than [`APP_ROLES_MAX`] of them.
    pub fn new(role: Role, mut app_roles: Vec<String>) -> Result<Self, Unfit> {
        app_roles.sort();
        app_roles.dedup();
        check_app_roles(&app_roles)?;
        Ok(Self { role, app_roles })
    }
}

/// Whether these can be the application roles of a certificate.
pub(crate) fn check_app_roles(names: &[String]) -> Result<(), Unfit> {
    let legal = |name: &String| is_role_name(name) && name.parse::<Role>().is_err();
    let sorted = names.windows(2).all(|pair| pair[0] < pair[1]);
    let fits = names.len() <= APP_ROLES_MAX && sorted && names.iter().all(legal);
    if fits { Ok(()) } else { Err(Unfit::Role) }
}

fn is_role_name(name: &str) -> bool {
    let legal = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    (1..=APP_ROLE_MAX).contains(&name.len()) && name.bytes().all(legal)
}

impl Policy {
    /// Whether a member with `issuer` may issue a membership with `grant`. Inviting members pass on only application
    /// roles that they have themselves.
    pub fn may_issue(&self, issuer: &Grant, grant: &Grant) -> bool {
        if issuer.role < self.invite || !issuer.role.may_issue(grant.role) {
            return false;
        }
        if issuer.role == Role::Administrator {
            return self.administrators || grant.role < Role::Administrator;
        }
        grant.app_roles.iter().all(|role| issuer.app_roles.contains(role))
    }

    /// Whether a member with `grant` may do this with records of this type.
    pub fn allows(&self, grant: &Grant, kind: &RecordType, act: Act) -> bool {
        if grant.role == Role::Administrator {
            return true;
        }
        let mut named = false;
        for right in self.rights.iter().filter(|right| right.names(kind.as_str())) {
            named = true;
            let given = match act {
                Act::Publish => right.publish,
                Act::Update => right.update,
                Act::Delete => right.delete,
            };
            if given && right.roles.iter().any(|role| grant.has(role)) {
                return true;
            }
        }
        act == Act::Publish && !named
    }

    /// Whether it can be the policy of a group.
    ///
    /// # Errors
    /// [`Unfit::Policy`].
    pub fn check(&self) -> Result<(), Unfit> {
        let day = Duration::from_secs(86_400);
        let fits = self.invite >= Role::Inviting
            && self.membership_lifetime.subsec_nanos() == 0
            && (Duration::from_secs(3_600)..=day * 7_300).contains(&self.membership_lifetime)
            && (1_024..=PAYLOAD_BYTES_MAX as u32).contains(&self.payload_bytes_max)
            && (MEMBER_RECORDS_MIN..=RECORDS.each()).contains(&self.member_records.into())
            && (self.payload_bytes_max as u64 * PAYLOADS_MIN..=MEMBER_BYTES_MAX)
                .contains(&self.member_bytes)
            && self.rights.len() <= RIGHTS_MAX
            && self.rights.iter().all(Right::is_legal);
        if fits { Ok(()) } else { Err(Unfit::Policy) }
    }

    /// The bytes in the root certificate; none for the default.
    pub(crate) fn to_bytes(&self) -> Option<Vec<u8>> {
        (*self != Self::default()).then(|| {
            cbor::encode(&Encoded {
                invite: self.invite,
                administrators: self.administrators,
                passwords: self.passwords,
                membership_lifetime: self.membership_lifetime.as_secs(),
                payload_bytes_max: self.payload_bytes_max,
                defer_expiry: self.defer_expiry,
                rights: self.rights.clone(),
                member_records: unusual(self.member_records, MEMBER_RECORDS_DEFAULT),
                member_bytes: unusual(self.member_bytes, MEMBER_BYTES_DEFAULT),
            })
        })
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote. There is one form of every policy.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, Unfit> {
        if bytes.len() > CERTIFICATE_BYTES_MAX {
            return Err(Unfit::Policy);
        }
        let encoded: Encoded = minicbor::decode(bytes).map_err(|_| Unfit::Policy)?;
        let policy = Self {
            invite: encoded.invite,
            administrators: encoded.administrators,
            passwords: encoded.passwords,
            membership_lifetime: Duration::from_secs(encoded.membership_lifetime),
            payload_bytes_max: encoded.payload_bytes_max,
            member_records: encoded.member_records.unwrap_or(MEMBER_RECORDS_DEFAULT),
            member_bytes: encoded.member_bytes.unwrap_or(MEMBER_BYTES_DEFAULT),
            defer_expiry: encoded.defer_expiry,
            rights: encoded.rights,
        };
        policy.check()?;
        let same = policy.to_bytes().is_some_and(|again| again == bytes);
        if same { Ok(policy) } else { Err(Unfit::Policy) }
    }
}

impl Right {
    fn names(&self, kind: &str) -> bool {
        match self.types.strip_suffix('*') {
            Some(beginning) => kind.starts_with(beginning),
            None => kind == self.types,
        }
    }

    fn is_legal(&self) -> bool {
        let beginning = self.types.strip_suffix('*').unwrap_or(&self.types);
        let types = self.types == "*" || RecordType::new(beginning).is_ok_and(|t| !t.is_reserved());
        types
            && self.types.len() <= TYPE_NAME_MAX
            && (1..=APP_ROLES_MAX).contains(&self.roles.len())
            && self.roles.iter().all(|role| is_role_name(role))
    }
}

impl Grant {
    /// Whether this grants all that `other` does.
    pub fn includes(&self, other: &Self) -> bool {
        self.role >= other.role && other.app_roles.iter().all(|role| self.app_roles.contains(role))
    }

    /// Whether a right that names `role` is for who has this.
    fn has(&self, role: &str) -> bool {
        match role.parse::<Role>() {
            Ok(role) => self.role >= role,
            Err(_) => self.app_roles.iter().any(|own| own == role),
        }
    }
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct Encoded {
    #[n(0)]
    invite: Role,
    #[n(1)]
    administrators: bool,
    #[n(2)]
    passwords: bool,
    #[n(3)]
    membership_lifetime: u64,
    #[n(4)]
    payload_bytes_max: u32,
    #[n(5)]
    defer_expiry: bool,
    #[n(6)]
    rights: Vec<Right>,
    /// Left out where it is as by default.
    #[n(7)]
    member_records: Option<u32>,
    #[n(8)]
    member_bytes: Option<u64>,
}

/// Fewest records, and payloads of the longest kind, that a policy must leave a member. Guess: enough to be of use.
const MEMBER_RECORDS_MIN: u64 = 16;
const PAYLOADS_MIN: u64 = 16;

fn unusual<T: PartialEq>(value: T, default: T) -> Option<T> {
    (value != default).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(name: &str) -> RecordType {
        RecordType::new(name).unwrap()
    }

    fn news() -> Policy {
        let right = |types: &str, role: &str, publish, update, delete| Right {
            types: types.into(),
            roles: vec![role.into()],
            publish,
            update,
            delete,
        };
        Policy {
            rights: vec![
                right("news.*", "editor", true, true, false),
                right("news.*", "moderator", false, false, true),
                right("log", "inviting", true, false, false),
            ],
            ..Policy::default()
        }
    }

    fn with(role: Role, app: &[&str]) -> Grant {
        Grant::new(role, app.iter().map(|name| (*name).to_owned()).collect()).unwrap()
    }

    #[test]
    fn a_type_that_no_right_names_is_open_to_all_but_others_records_are_not() {
        let member = with(Role::Member, &[]);
        assert!(news().allows(&member, &kind("chat.message"), Act::Publish));
        assert!(!news().allows(&member, &kind("chat.message"), Act::Update));
        assert!(!news().allows(&member, &kind("chat.message"), Act::Delete));
    }

    #[test]
    fn a_named_type_is_for_those_who_have_the_right() {
        let (policy, story) = (news(), kind("news.story"));
        let allowed = |grant: &Grant| {
            [Act::Publish, Act::Update, Act::Delete].map(|act| policy.allows(grant, &story, act))
        };
        assert_eq!(allowed(&with(Role::Member, &[])), [false, false, false]);
        assert_eq!(allowed(&with(Role::Member, &["editor"])), [true, true, false]);
        assert_eq!(allowed(&with(Role::Member, &["moderator"])), [false, false, true]);
        assert_eq!(allowed(&with(Role::Inviting, &[])), [false, false, false]);
        assert_eq!(allowed(&with(Role::Administrator, &[])), [true, true, true]);
        assert!(policy.allows(&with(Role::Inviting, &[]), &kind("log"), Act::Publish));
        assert!(!policy.allows(&with(Role::Member, &[]), &kind("log"), Act::Publish));
    }

    #[test]
    fn inviting_members_pass_on_only_what_they_have() {
        let policy = Policy::default();
        let editor = with(Role::Inviting, &["editor"]);
        assert!(policy.may_issue(&editor, &with(Role::Member, &["editor"])));
        assert!(!policy.may_issue(&editor, &with(Role::Member, &["moderator"])));
        assert!(!policy.may_issue(&editor, &with(Role::Administrator, &[])));
        let administrator = with(Role::Administrator, &[]);
        assert!(policy.may_issue(&administrator, &with(Role::Administrator, &["editor"])));
    }

    #[test]
    fn a_creator_can_keep_inviting_and_administrators_to_few() {
        let strict =
            Policy { invite: Role::Administrator, administrators: false, ..Policy::default() };
        let member = Grant::from(Role::Member);
        assert!(!strict.may_issue(&Role::Inviting.into(), &member));
        assert!(strict.may_issue(&Role::Administrator.into(), &member));
        assert!(!strict.may_issue(&Role::Administrator.into(), &Role::Administrator.into()));
    }

    #[test]
    fn every_policy_has_one_form_and_the_default_none() {
        assert_eq!(Policy::default().to_bytes(), None);
        let bytes = news().to_bytes().unwrap();
        assert_eq!(Policy::from_bytes(&bytes), Ok(news()));
        let mut longer = bytes.clone();
        longer.push(0);
        assert_eq!(Policy::from_bytes(&longer), Err(Unfit::Policy));
        for cut in 0..bytes.len() {
            assert_eq!(Policy::from_bytes(&bytes[..cut]), Err(Unfit::Policy), "{cut}");
        }
    }

    #[test]
    fn quota_of_a_member_is_said_only_if_unusual_and_is_bounded_on_both_sides() {
        let plain = news().to_bytes().unwrap();
        let of = |member_records, member_bytes| Policy { member_records, member_bytes, ..news() };
        let small = of(16, 1 << 24);
        assert!(small.to_bytes().unwrap().len() > plain.len());
        assert_eq!(Policy::from_bytes(&small.to_bytes().unwrap()), Ok(small));
        let bad = [of(15, 1 << 30), of(500_001, 1 << 30), of(16, (1 << 24) - 1), of(16, 1 << 37)];
        assert!(bad.iter().all(|policy| policy.check() == Err(Unfit::Policy)));
    }

    #[test]
    fn names_of_the_wrong_form_are_refused() {
        for name in ["", "Editor", "member", "administrator", "a b", &"x".repeat(33)] {
            assert!(Grant::new(Role::Member, vec![name.to_owned()]).is_err(), "{name}");
        }
        for types in ["", "peergraph.presence", "peergraph.*", "a*b", "UPPER"] {
            let right = Right {
                types: types.into(),
                roles: vec!["editor".into()],
                publish: true,
                update: false,
                delete: false,
            };
            let policy = Policy { rights: vec![right], ..Policy::default() };
            assert_eq!(policy.check(), Err(Unfit::Policy), "{types}");
        }
    }
}
