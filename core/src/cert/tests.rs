//! Rules of certificates and chains, one by one.
use super::*;
use crate::id::GroupId;
use crate::identity::{GroupKey, Identity, verify};
use std::time::Duration;

const NOW: WallTime = WallTime(1_800_000_000_000);
const DAY: Duration = Duration::from_secs(86_400);

fn identity(n: u8, name: &str) -> Identity {
    Identity::generate([n; 32], [n ^ 0xa5; 16], name, NOW).unwrap()
}

/// A group with its creator, an administrator called Ada.
struct Group {
    key: GroupKey,
    root: Certificate,
    ada: Identity,
    ada_chain: VerifiedChain,
}

fn group() -> Group {
    let key = GroupKey::generate([200; 32]);
    let root = issue_root(&key, "Chess", [0; 16], NOW, NOW.after(DAY * 3650));
    let ada = identity(1, "Ada");
    let role = Role::Administrator;
    let first =
        issue_first(&key, &root, ada.certificate(), role, [9; 16], NOW, NOW.after(DAY * 28));
    let chain = [root.clone(), first.unwrap()];
    let ada_chain = verify_chain(&chain, key.group_id(), verify).unwrap();
    Group { key, root, ada, ada_chain }
}

impl Group {
    fn id(&self) -> GroupId {
        self.key.group_id()
    }
}

/// The chain of `subject`, a member by `issuer`.
fn join(issuer: &Identity, chain: &VerifiedChain, subject: &Identity, role: Role) -> VerifiedChain {
    let end = NOW.after(DAY * 28);
    let leaf = issue_member(issuer, chain, subject.certificate(), role, [77; 16], NOW, end);
    let chain = [chain.certificates(), &[leaf.unwrap()]].concat();
    verify_chain(&chain, GroupId::from(chain[0].peer_id()), verify).unwrap()
}

#[test]
fn member_of_a_member_has_a_chain_that_holds() {
    let group = group();
    let bob = identity(2, "Bob");
    let chain = join(&group.ada, &group.ada_chain, &bob, Role::Member);
    assert_eq!((chain.group(), chain.peer()), (group.id(), bob.peer_id()));
    assert_eq!((chain.key(), chain.name()), (bob.public_key(), "Bob"));
    assert_eq!((chain.role(), chain.depth()), (Role::Member, 2));
    assert_eq!(decode_chain(&encode_chain(chain.certificates())).unwrap(), chain.certificates());
    for certificate in chain.certificates() {
        println!("{certificate:?}: {} bytes", certificate.der().len());
    }
}
