//! The security provider: a seam for the decision which nodes, members and records are trusted.
//!
//! A graph asks its provider at four points. The last column is our own provider, [`Membership`]. A
//! provider of an application overrides the methods that it cares about; the other methods keep
//! that behaviour.
//!
//! | point | method | ours |
//! |---|---|---|
//! | authentication | [`authenticate`](Provider::authenticate), [`checks`](Provider::checks) | an X.509 membership that stands |
//! | channel | [`channel`](Provider::channel) | Noise XX over X25519, ChaCha20-Poly1305, SHA-256 |
//! | signing | [`secure`](Provider::secure), [`sign`](Provider::sign) | Ed25519, by the key of the identity |
//! | validation | [`validate`](Provider::validate), [`checks`](Provider::checks) | a good signature, and the rights of the group's policy |
//!
//! A provider is asked last: every neighbour that it lets in has a membership that stands, and
//! every record that it sees is genuine and within its signer's rights. So it can be stricter than
//! the group, never laxer, and its verdict is **local policy**:
//!
//! * A record that it does not let in is not stored, not passed on and not shown here; others may
//!   hold it. The neighbour that sent it keeps its link, unlike a neighbour that breaks our own
//!   rules. The record comes over each link once, and the provider is asked about it once. A
//!   deferred record is kept, within bounds, until [`Revalidate`](crate::io::GroupCommand::Revalidate).
//! * A member that it does not let in is told so, and comes again after a while; it can still be a neighbour of others.
//! * The core's own records (memberships, revocations, presence and the like) are not asked about: a revocation that a
//!   single node refused would be a hole in the group.
//!
//! The methods are called while an input is handled, so they must be quick, and must not call back into the node. A
//! provider may keep a state of its own (behind a lock); the node is deterministic as far as its provider is.
use crate::cert::{self, Certificate, ReadCertificate, VerifiedChain};
use crate::id::{GroupId, NodeId};
use crate::identity::{self, Domain, Identity, Verify};
pub use crate::noise::{Channel, Curve};
use crate::record::{Draft, Record};
use crate::verify::{self, VerifyAll};
use std::borrow::Cow;
use std::fmt::Debug;

/// Why something is not let in. Told to people; where it is about a member, to that member.
pub type Why = Cow<'static, str>;

/// A provider's judgement of a member or a record.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Verdict {
    /// Let in.
    Valid,
    /// Not let in.
    Invalid(Why),
    /// It cannot be said yet: asked again on [`Revalidate`](crate::io::GroupCommand::Revalidate).
    Deferred,
}

/// The node at the other end of a link, which wants to be a neighbour there.
#[derive(Clone, Copy, Debug)]
pub struct Meeting<'a> {
    /// The group.
    pub group: GroupId,
    /// The node.
    pub node: NodeId,
    /// Its identity: the handshake has proved that its key is at the other end.
    pub identity: &'a Certificate,
    /// Its membership, which stands. A newcomer who has proved an invitation has none: it is to get one from us.
    pub membership: Option<&'a VerifiedChain>,
    /// Whether a data channel joins us, rather than a WebSocket.
    pub direct: bool,
}

/// How certificates are read and signatures checked: pure functions. Simulations put in ones that remember.
#[derive(Clone, Copy)]
pub struct Checks {
    /// How certificates are read.
    pub certificate: ReadCertificate,
    /// How signatures of certificates, handshakes and invitations are checked.
    pub verify: Verify,
    /// How signatures of records are checked, many at a time.
    pub verify_all: VerifyAll,
}

impl Default for Checks {
    fn default() -> Self {
        Self {
            certificate: cert::read_certificate,
            verify: identity::verify,
            verify_all: verify::verify_all,
        }
    }
}

/// The four points. Every method has our own way as its default.
pub trait Provider: Debug + Send + Sync {
    /// How certificates and signatures are checked. Asked once, when the node begins.
    fn checks(&self) -> Checks {
        Checks::default()
    }

    /// How links are secured. Asked once, when the node begins.
    fn channel(&self) -> Channel {
        Channel::default()
    }

    /// Whether a node may be a neighbour, or, if it has no membership yet, whether this node gives it one. Asked at every
    /// connection, and about everybody on [`Revalidate`](crate::io::GroupCommand::Revalidate).
    fn authenticate(&self, meeting: &Meeting<'_>) -> Verdict {
        let _ = meeting;
        Verdict::Valid
    }

    /// Makes ready what the application publishes, once, before it is signed: adds security data of its own, as
    /// attributes, or says why it must not be published.
    ///
    /// # Errors
    /// [`Error::NotValid`](crate::error::Error::NotValid) tells the application.
    fn secure(&self, group: GroupId, draft: &mut Draft) -> Result<(), Why> {
        let _ = (group, draft);
        Ok(())
    }

    /// Signs for this node: each of its handshakes once, and its records; [`Domain`] says which. A
    /// signature that does not verify under the public key of `identity` costs this node its links.
    fn sign(&self, identity: &Identity, domain: Domain, message: &[u8]) -> [u8; 64] {
        identity.sign(domain, message)
    }

    /// Returns whether a record of the application (a new one, a change or a deletion) is let in.
    /// `signer` is the membership on which it relies. Records that are read from the store at the
    /// start are judged again: an invalid one is deleted, and a deferred one stays, since it was
    /// valid once. A record that this node publishes itself must not be invalid; it is not
    /// deferred.
    fn validate(&self, record: &Record, signer: &VerifiedChain) -> Verdict {
        let _ = (record, signer);
        Verdict::Valid
    }
}

/// Our own provider: it lets in every member whose membership stands, and every record that the
/// group's policy allows its signer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Membership;

impl Provider for Membership {}
