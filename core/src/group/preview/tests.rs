//! Answers that a member may give, and those that cost it the link.
use super::*;
use crate::cert::tests::{issue_first, issue_member, issue_root};
use crate::cert::{Role, verify_chain};
use crate::group::internal::invitation_id;
use crate::id::RootPin;
use crate::identity::{GroupKey, Identity, verify};
use crate::invitation::BearerSecret;
use crate::io::Properties;
use crate::limits::CERTIFICATES_MAX;
use crate::record::Record;
use crate::roll::Roll;

const NOW: WallTime = WallTime(1_800_000_000_000);
const DAY: Duration = Duration::from_secs(86_400);

/// A group with Ada, its administrator, and Bob, who tells what her invitation is about.
struct Story {
    key: GroupKey,
    ada: Identity,
    ada_chain: VerifiedChain,
    bob_chain: VerifiedChain,
    what: What,
}

fn identity(n: u8, name: &str) -> Identity {
    Identity::generate([n; 32], [n; 16], name, NOW).unwrap()
}

fn secret() -> BearerSecret {
    BearerSecret::from_bytes([1; 16])
}

impl Story {
    fn new() -> Self {
        let (key, end) = (GroupKey::generate([200; 32]), NOW.after(DAY));
        let root = issue_root(&key, "Chess", [0; 16], NOW, end);
        let (ada, bob) = (identity(1, "Ada"), identity(2, "Bob"));
        let first =
            issue_first(&key, &root, ada.certificate(), Role::Administrator, [9; 16], NOW, end);
        let certificates = [root, first.unwrap()];
        let ada_chain = verify_chain(&certificates, key.group_id(), verify).unwrap();
        let bobs =
            issue_member(&ada, &ada_chain, bob.certificate(), Role::Member, [8; 16], NOW, end);
        let certificates = [&certificates[..], &[bobs.unwrap()]].concat();
        let bob_chain = verify_chain(&certificates, key.group_id(), verify).unwrap();
        let name = Named::Key(secret().public_key());
        let what = What { name, inviter: PeerPrefix::of(ada.peer_id()) };
        Self { key, ada, ada_chain, bob_chain, what }
    }

    fn newcomer(&self) -> Group {
        Group::unknown(7, self.key.group_id(), RootPin::of(self.ada_chain.root().der()))
    }

    fn record(&self, kind: &str, creator: PeerId, payload: Vec<u8>) -> Record {
        Record {
            id: RecordId::new(creator, kind, 0),
            kind: RecordType::new(kind).unwrap(),
            version: NOW.0 << 16,
            creator,
            modifier: None,
            created: NOW,
            modified: NOW,
            expires: NOW.after(DAY),
            deleted: false,
            attributes: Vec::new(),
            payload: payload.into(),
            certificate: self.ada_chain.id(),
            beginning: None,
            signature: [0; 64],
        }
    }

    fn invitation(&self, secret: &BearerSecret, role: Role) -> Record {
        let open = super::super::OpenInvitation {
            key: secret.public_key(),
            inviter: self.ada.peer_id(),
            grant: role.into(),
            uses: 5,
            expires: NOW.after(DAY),
            version: 0,
        };
        let id = invitation_id(self.ada.peer_id(), open.uses, 0);
        Record { id, ..self.record(RecordType::INVITATION, self.ada.peer_id(), open.to_payload()) }
    }

    fn properties(&self, name: &str) -> Record {
        let owner: PeerId = self.key.group_id().into();
        let properties =
            Properties { name: name.to_owned(), comment: String::new(), presence_max: 5 };
        let certificate = self.ada_chain.root().id();
        Record {
            certificate,
            ..self.record(RecordType::PROPERTIES, owner, properties.to_payload())
        }
    }

    fn shown(&self, records: &[Signed]) -> Shown {
        Shown {
            chain: cert::encode_chain(self.bob_chain.certificates()),
            signer: Some(cert::encode_chain(self.ada_chain.certificates())),
            records: records.iter().map(|signed| signed.bytes().to_vec().into()).collect(),
            used: 2,
            withdrawn: None,
            line: None,
        }
    }

    fn read(&self, shown: &Shown) -> Result<Preview, Misbehaved> {
        let mut newcomer = self.newcomer();
        newcomer.know_line(VerifiedChain::owner(self.ada_chain.root(), verify).unwrap());
        newcomer.read_shown(Checks::default(), shown, &self.bob_chain, self.what)
    }
}

#[test]
fn member_tells_what_owner_and_inviter_signed() {
    let story = Story::new();
    let invitation =
        story.invitation(&secret(), Role::Member).sign(story.key.group_id(), &story.ada);
    let properties = story.properties("Chess club").sign_as_owner(story.key.group_id(), &story.key);
    let preview = story.read(&story.shown(&[invitation.clone(), properties])).unwrap();
    assert_eq!((preview.name.as_str(), preview.told_by), ("Chess club", story.bob_chain.peer()));
    let open = preview.open.unwrap();
    assert_eq!((open.inviter, open.inviter_name.as_str()), (story.ada.peer_id(), "Ada"));
    assert_eq!((open.left(), open.grant.role), (Some(3), Role::Member));
    // Without properties the root certificate names the group; without a record nothing is open.
    assert_eq!(story.read(&story.shown(&[invitation])).unwrap().name, "Chess");
    assert_eq!(story.read(&story.shown(&[])).unwrap().open, None);
}

#[test]
fn another_root_of_the_same_key_is_refused() {
    let story = Story::new();
    let newcomer = story.newcomer();
    let again = issue_root(&story.key, "Chess", [1; 16], NOW, NOW.after(DAY));
    assert_eq!(newcomer.check_root(&[again]), Err(Misbehaved::Membership));
    assert_eq!(newcomer.check_root(&[]), Err(Misbehaved::Membership));
    assert_eq!(newcomer.check_root(story.bob_chain.certificates()), Ok(()));
    // A node that knows the root compares all of it.
    let again = issue_root(&story.key, "Chess", [1; 16], NOW, NOW.after(DAY));
    let mut member = story.newcomer();
    member.know_line(VerifiedChain::owner(story.ada_chain.root(), verify).unwrap());
    assert_eq!(member.check_root(&[again]), Err(Misbehaved::Membership));
    assert_eq!(member.check_root(story.ada_chain.certificates()), Ok(()));
}

#[test]
fn lies_about_an_invitation_cost_the_link() {
    let story = Story::new();
    let group = story.key.group_id();
    let good = story.invitation(&secret(), Role::Member).sign(group, &story.ada);
    let bad = |signed: Signed| story.read(&story.shown(&[signed])).unwrap_err();
    let eve = identity(3, "Eve");
    let by_eve = story.invitation(&secret(), Role::Administrator).sign(group, &eve);
    assert_eq!(bad(by_eve), Misbehaved::Record(BadRecord::Signature));
    let other = BearerSecret::from_bytes([2; 16]);
    let other = story.invitation(&other, Role::Member).sign(group, &story.ada);
    assert_eq!(bad(other), Misbehaved::Redemption, "another invitation of hers");
    let renamed = story.properties("Bank").sign(group, &story.ada);
    assert_eq!(bad(renamed), Misbehaved::Record(BadRecord::Signature), "only the owner names it");
    let foreign = story.invitation(&secret(), Role::Member);
    let foreign = Record { creator: story.bob_chain.peer(), ..foreign }.sign(group, &story.ada);
    assert_eq!(bad(foreign), Misbehaved::Record(BadRecord::Modifier));
    let nobody = Shown { signer: None, ..story.shown(std::slice::from_ref(&good)) };
    assert_eq!(story.read(&nobody), Err(Misbehaved::Membership));
    let garbage = Shown { records: vec![vec![1, 2, 3].into()], ..story.shown(&[]) };
    assert_eq!(story.read(&garbage), Err(Misbehaved::Record(BadRecord::Encoding)));
    // A member that may not invite has signed one.
    let what = What { inviter: PeerPrefix::of(story.bob_chain.peer()), ..story.what };
    let bob = identity(2, "Bob");
    let open = story.invitation(&secret(), Role::Member);
    let id = invitation_id(bob.peer_id(), 5, 0);
    let certificate = story.bob_chain.id();
    let by_bob = Record { id, creator: bob.peer_id(), certificate, ..open }.sign(group, &bob);
    let signer = Some(cert::encode_chain(story.bob_chain.certificates()));
    let shown = Shown { signer, ..story.shown(&[by_bob]) };
    let read = story.newcomer().read_shown(Checks::default(), &shown, &story.bob_chain, what);
    assert_eq!(read, Err(Misbehaved::Record(BadRecord::Right)));
}

#[test]
fn chain_that_is_too_long_is_not_verified() {
    fn count(_: &PublicKey, _: &[u8], _: &[u8; 64]) -> bool {
        panic!("nothing of it is verified")
    }
    let story = Story::new();
    let good = story.invitation(&secret(), Role::Member).sign(story.key.group_id(), &story.ada);
    let huge = vec![story.ada_chain.root().clone(); CERTIFICATES_MAX + 1];
    let shown = Shown { signer: Some(cert::encode_chain(&huge)), ..story.shown(&[good]) };
    let checks = Checks { verify: count, ..Checks::default() };
    let read = story.newcomer().read_shown(checks, &shown, &story.bob_chain, story.what);
    assert_eq!(read, Err(Misbehaved::Membership));
}

#[test]
fn roll_of_a_newcomer_knows_no_certificate() {
    let story = Story::new();
    let mut roll = Roll::unknown();
    let id = story.ada_chain.root().id();
    assert!(roll.chain(id).is_none());
    roll.know_line(VerifiedChain::owner(story.ada_chain.root(), verify).unwrap());
    assert!(roll.chain(id).is_some());
}
