//! Membership: making a group, letting members in, changing what they may do, and taking it away.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use peergraph_core::cert::{Certificate, Role};
use peergraph_core::id::{PeerId, RecordId};
use peergraph_core::invitation::Invitation;
use peergraph_core::io::{Command, GroupCommand, InvitationInfo, Invite, Keep, Properties, Reply};
use peergraph_core::password::Password;
use peergraph_core::policy::{Grant, Policy, Right};
use peergraph_core::roll::{Reason, Target};

use crate::group::Group;
use crate::requests::{CommandError, Requests, WRONG_REPLY};
use crate::watch::Registry;

/// How long a bearer invitation can be used when nothing else is said. Guess.
const EXPIRES_IN_DEFAULT: Duration = Duration::from_secs(7 * 86_400);

type Answer<T> = Pin<Box<dyn Future<Output = Result<T, CommandError>> + Send>>;

/// A group to be made; `.await` makes it. The choices made here are signed into the group's root
/// certificate, and nobody can change them later.
///
/// ```no_run
/// # use peergraph::{CommandError, Group, Host, Right};
/// # async fn run(host: Host) -> Result<Group, CommandError> {
/// // Only editors publish news, everybody publishes everything else.
/// let news = Right {
///     types: "news.*".into(),
///     roles: vec!["editor".into()],
///     publish: true,
///     update: true,
///     delete: false,
/// };
/// host.create_group("Daily").only_administrators_invite().right(news).await
/// # }
/// ```
#[derive(Debug)]
#[must_use = "no group is made before it is awaited"]
pub struct CreateGroup {
    requests: Requests,
    registry: Arc<Registry>,
    name: String,
    policy: Policy,
}

impl CreateGroup {
    pub(crate) fn new(requests: Requests, registry: Arc<Registry>, name: String) -> Self {
        Self { requests, registry, name, policy: Policy::default() }
    }

    /// Decides everything at once, in the place of what was decided before.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Inviting members invite nobody; administrators alone do.
    pub fn only_administrators_invite(mut self) -> Self {
        self.policy.invite = Role::Administrator;
        self
    }

    /// Administrators make no administrators; the owner alone does.
    pub fn only_owner_makes_administrators(mut self) -> Self {
        self.policy.administrators = false;
        self
    }

    /// Nobody joins by a password.
    pub fn no_passwords(mut self) -> Self {
        self.policy.passwords = false;
        self
    }

    /// Longest membership that a member issues: an hour to twenty years, in whole seconds.
    pub fn membership_lifetime(mut self, time: Duration) -> Self {
        self.policy.membership_lifetime = time;
        self
    }

    /// Longest payload of a record, in bytes: 1 KiB to 60 MiB.
    pub fn payload_bytes_max(mut self, bytes: u32) -> Self {
        self.policy.payload_bytes_max = bytes;
        self
    }

    /// Records of one member, those that it deleted included: 16 to 500,000, by default 131,072. Administrators may have
    /// 500,000.
    pub fn member_records(mut self, records: u32) -> Self {
        self.policy.member_records = records;
        self
    }

    /// Bytes of the records of one member: at least 16 of the longest payloads, at most 64 GiB, by default 1 GiB.
    pub fn member_bytes(mut self, bytes: u64) -> Self {
        self.policy.member_bytes = bytes;
        self
    }

    /// Adds a right over records of some types. Types that no right names are open to all.
    pub fn right(mut self, right: Right) -> Self {
        self.policy.rights.push(right);
        self
    }
}

impl IntoFuture for CreateGroup {
    type Output = Result<Group, CommandError>;
    type IntoFuture = Answer<Group>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { requests, registry, name, policy } = self;
            let command = Command::CreateGroup { name, policy };
            let Reply::Group(info) = requests.ask(command).await? else {
                unreachable!("{WRONG_REPLY}")
            };
            Ok(Group::new(info, requests, registry))
        })
    }
}

impl Group {
    /// Begins to change what may be changed of the group: `group.set().name("Daily").await?`. Only where its own key
    /// is, which is where it was made.
    pub fn set(&self) -> SetProperties {
        SetProperties { group: self.clone(), name: None, comment: None, presence_max: None }
    }

    /// Makes an invitation. [`Invitation::to_link`] and [`Invitation::to_text`] of a bearer one are
    /// secret: their readers can join. Both are short, as are those of one by password; a bound one
    /// carries certificates, and is sent as a text or file of some thousand characters. Resolves
    /// once its record is durable here. It names the nodes that this group uses, and the addresses
    /// at which the program that stays with this data folder is reached.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn invite(&self, options: InviteOptions) -> Result<Invitation, CommandError> {
        let command = Command::Group(self.id(), GroupCommand::Invite { invite: options.0 });
        let Reply::Invitation(mut invitation) = self.requests.ask(command).await? else {
            unreachable!("{WRONG_REPLY}")
        };
        if let Some(stays_at) = self.registry.stays_at() {
            invitation.addresses = stays_at.to_vec();
        }
        Ok(invitation)
    }

    /// The invitations that were not withdrawn, by their records, each with its state.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn invitations(&self) -> Result<Vec<InvitationInfo>, CommandError> {
        let Reply::Invitations(open) =
            self.requests.ask(Command::Group(self.id(), GroupCommand::Invitations)).await?
        else {
            unreachable!("{WRONG_REPLY}")
        };
        Ok(open)
    }

    /// Closes an invitation: nobody can join by it any longer. It must be ours, unless we are an
    /// administrator.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn withdraw(&self, invitation: RecordId) -> Result<(), CommandError> {
        self.requests
            .ask(Command::Group(self.id(), GroupCommand::Withdraw { invitation }))
            .await
            .map(drop)
    }

    /// Issues another membership to a member, with another role or other application roles, or for
    /// longer. If the role becomes lower, the earlier memberships are revoked; the records
    /// published with them stay.
    ///
    /// ```no_run
    /// # use peergraph::{CommandError, Grant, Group, PeerId, Role};
    /// # async fn run(group: Group, bob: PeerId) -> Result<(), CommandError> {
    /// group.promote(bob, Role::Administrator).await
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn promote(&self, peer: PeerId, grant: impl Into<Grant>) -> Result<(), CommandError> {
        let grant = grant.into();
        self.requests
            .ask(Command::Group(self.id(), GroupCommand::Issue { peer, grant }))
            .await
            .map(drop)
    }

    /// Begins to take away all memberships of a peer, or one by its certificate. The records that
    /// they published and the members that they let in stay, unless the options below drop them, as
    /// far as this node knows of it.
    ///
    /// ```no_run
    /// # use peergraph::{CommandError, Group, PeerId, Reason};
    /// # async fn run(group: Group, eve: PeerId) -> Result<(), CommandError> {
    /// group.revoke(eve).reason(Reason::Misconduct).drop_records().await
    /// # }
    /// ```
    pub fn revoke(&self, target: impl Into<Target>) -> Revoke {
        Revoke {
            group: self.clone(),
            target: target.into(),
            reason: Reason::Unspecified,
            keep: Keep::ALL,
        }
    }

    /// Deletes our revocations of a peer. A membership that others revoked too does not stand again.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn reinstate(&self, peer: PeerId) -> Result<(), CommandError> {
        self.requests
            .ask(Command::Group(self.id(), GroupCommand::Reinstate { peer }))
            .await
            .map(drop)
    }

    /// Puts another key in the place of the group's own; only the owner can. The old key counts for nothing from then on:
    /// for when it may be in other hands. All members and records stay.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn rotate_key(&self) -> Result<(), CommandError> {
        self.requests.ask(Command::Group(self.id(), GroupCommand::RotateKey)).await.map(drop)
    }

    /// Offers us as the next owner. Nothing changes before the owner [hands the group over](Self::hand_over).
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn offer_ownership(&self) -> Result<(), CommandError> {
        self.requests.ask(Command::Group(self.id(), GroupCommand::OfferOwnership)).await.map(drop)
    }

    /// Hands the group over to a member that has [offered itself](peergraph_core::io::MemberInfo::offers_ownership): it is
    /// the owner from then on, and we are not.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn hand_over(&self, peer: PeerId) -> Result<(), CommandError> {
        self.requests
            .ask(Command::Group(self.id(), GroupCommand::HandOver { peer }))
            .await
            .map(drop)
    }

    /// Leaves the group: our membership is over for everybody, what we published stays with the others, and the group
    /// and its records are forgotten on this device.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn leave(self) -> Result<(), CommandError> {
        self.requests.ask(Command::Leave { group: self.id() }).await.map(drop)
    }
}

/// A change of a group's properties; `.await` publishes it. A property that is not set stays as it
/// is.
#[derive(Debug)]
#[must_use = "nothing is changed before it is awaited"]
pub struct SetProperties {
    group: Group,
    name: Option<String>,
    comment: Option<String>,
    presence_max: Option<u64>,
}

impl SetProperties {
    /// Shown to people. 1–255 characters.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Shown to people. At most 255 characters.
    pub fn comment(mut self, comment: impl Into<String>) -> Self {
        self.comment = Some(comment.into());
        self
    }

    /// Nodes present up to which everybody says that it is here. 0: nobody does.
    pub fn presence_max(mut self, nodes: u64) -> Self {
        self.presence_max = Some(nodes);
        self
    }
}

impl IntoFuture for SetProperties {
    type Output = Result<(), CommandError>;
    type IntoFuture = Answer<()>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let info = self.group.info().await?;
            let properties = Properties {
                name: self.name.unwrap_or(info.name),
                comment: self.comment.unwrap_or(info.comment),
                presence_max: self.presence_max.unwrap_or(info.presence_max),
            };
            let command = Command::Group(info.id, GroupCommand::SetProperties { properties });
            self.group.requests.ask(command).await.map(drop)
        })
    }
}

/// A revocation to be; `.await` publishes it.
#[derive(Debug)]
#[must_use = "nothing is revoked before it is awaited"]
pub struct Revoke {
    group: Group,
    target: Target,
    reason: Reason,
    keep: Keep,
}

impl Revoke {
    /// Why; everybody can read it.
    pub fn reason(mut self, reason: Reason) -> Self {
        self.reason = reason;
        self
    }

    /// Drops the records that they published, everywhere.
    pub fn drop_records(mut self) -> Self {
        self.keep.records = false;
        self
    }

    /// Drops the members that they let in, and those that these let in.
    pub fn drop_members(mut self) -> Self {
        self.keep.members = false;
        self
    }
}

impl IntoFuture for Revoke {
    type Output = Result<(), CommandError>;
    type IntoFuture = Answer<()>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { group, target, reason, keep } = self;
            let command = Command::Group(group.id(), GroupCommand::Revoke { target, reason, keep });
            group.requests.ask(command).await.map(drop)
        })
    }
}

/// For whom an invitation is.
#[derive(Clone, Debug)]
pub struct InviteOptions(Invite);

impl InviteOptions {
    /// For anybody that holds the link. One use within seven days unless set otherwise. Its maker,
    /// or another member that may invite, must be online when it is used.
    #[must_use]
    pub fn bearer(grant: impl Into<Grant>) -> Self {
        Self(Invite::Bearer { grant: grant.into(), uses: 1, expires_in: EXPIRES_IN_DEFAULT })
    }

    /// For anybody that has the link and knows the password, which is told in another way: the link
    /// alone is no secret, and the password cannot be guessed offline. One use within seven days
    /// unless set otherwise. Its maker must be online, with this data folder.
    ///
    /// ```no_run
    /// # use peergraph::{Group, Host, InviteOptions, Password, Role};
    /// # async fn run(group: Group, bob: Host) -> Result<(), Box<dyn std::error::Error>> {
    /// let password = Password::new("seven geese fly south")?;
    /// let invitation = group.invite(InviteOptions::password(Role::Member, password.clone()).uses(30)).await?;
    /// bob.join_with(invitation.to_text(), password).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn password(grant: impl Into<Grant>, password: Password) -> Self {
        let (grant, uses, expires_in) = (grant.into(), 1, EXPIRES_IN_DEFAULT);
        Self(Invite::Password { grant, password, uses, expires_in })
    }

    /// For one identity; useless to others, and usable while no inviter is online. Its text is
    /// long: it carries certificates.
    #[must_use]
    pub fn bound(identity: Certificate, grant: impl Into<Grant>) -> Self {
        Self(Invite::Bound { identity, grant: grant.into() })
    }

    /// How many may join with it. Does nothing to a bound invitation.
    #[must_use]
    pub fn uses(mut self, count: u32) -> Self {
        if let Invite::Bearer { uses, .. } | Invite::Password { uses, .. } = &mut self.0 {
            *uses = count;
        }
        self
    }

    /// How long it can be used. Does nothing to a bound invitation.
    #[must_use]
    pub fn expires_in(mut self, time: Duration) -> Self {
        if let Invite::Bearer { expires_in, .. } | Invite::Password { expires_in, .. } = &mut self.0
        {
            *expires_in = time;
        }
        self
    }
}
