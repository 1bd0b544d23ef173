//! A node that tells nobody but members that it is in their group.
use super::*;
use crate::io::Keep;
use crate::roll::{Reason as Why, Target};

/// Ada, who tells only members, and her group.
fn ada() -> (Ada, GroupId) {
    let mut ada = Ada::new();
    ada.node.config.members_only = true;
    let group = ada.group();
    (ada, group)
}

/// Everything that she answers to somebody that asks for a group.
fn answer(ada: &mut Ada, who: &Stranger, group: GroupId) -> Vec<Bytes> {
    ada.frames.clear();
    let tag = wire::group_tag(group, &who.hash, true);
    who.send(ada, wire::graph_message(kind::OPEN, 2, &Open { tag }).bytes());
    std::mem::take(&mut ada.frames)
}

fn is_opened(answer: &[Bytes]) -> bool {
    answer.iter().any(|frame| frame[1] == kind::OPENED.number())
}

/// Goal: whoever knows a group's id and is no member of it learns nothing by asking. Method: a stranger, a newcomer that was
/// invited, a member that ada knows, and the same once it is revoked; a refusal is byte for byte that of a group that there is
/// not.
#[test]
fn only_a_known_member_learns_that_a_node_is_in_its_group() {
    let (mut ada, group) = ada();
    let nowhere = GroupId::from_bytes([9; 32]);
    let gets_no = |ada: &mut Ada, who: &Stranger| {
        let no = answer(ada, who, nowhere);
        assert_eq!(answer(ada, who, group), no);
        assert_eq!(no.len(), 1);
        assert_eq!(no[0][1], kind::NOT_OPENED.number());
    };
    let eve = Stranger::honest(&mut ada, 3);
    gets_no(&mut ada, &eve);
    // One that was let in, and that she has not heard of as a member yet, is let in by others.
    let chain = ada.membership(group, &someone(2));
    let bob = Stranger::honest(&mut ada, 2);
    gets_no(&mut ada, &bob);
    ada.node.config.members_only = false;
    bob.open(&mut ada, group);
    bob.connect(&mut ada, &chain);
    ada.node.config.members_only = true;
    refused::put_in(&mut ada, group, (&bob, 2), &chain);
    assert_eq!(ada.faults(), []);
    ada.handle(Input::LinkDown { link: bob.link });
    let bob = Stranger::honest(&mut ada, 2);
    assert!(is_opened(&answer(&mut ada, &bob, group)), "now he is known");
    let target = Target::Peer(someone(2).peer_id());
    ada.ask(Command::Group(
        group,
        GroupCommand::Revoke { target, reason: Why::Misconduct, keep: Keep::ALL },
    ));
    ada.handle(Input::Timeout);
    let bob = Stranger::honest(&mut ada, 2);
    gets_no(&mut ada, &bob);
    assert!(is_opened(&{
        ada.node.config.members_only = false;
        answer(&mut ada, &eve, group)
    }));
}

/// Goal: it asks no stranger for its group either. Method: ada dials a node that her application names while she has nobody:
/// a stranger, which she asks if she tells everybody; then a member that she knows.
#[test]
fn only_a_known_member_is_asked_for_a_group() {
    for members_only in [false, true] {
        let (mut ada, group) = ada();
        ada.node.config.members_only = false;
        let chain = ada.membership(group, &someone(2));
        let bob = Stranger::honest(&mut ada, 2);
        bob.open(&mut ada, group);
        bob.connect(&mut ada, &chain);
        refused::put_in(&mut ada, group, (&bob, 2), &chain);
        ada.handle(Input::LinkDown { link: bob.link });
        ada.opened.clear();
        ada.node.config.members_only = members_only;
        for (n, is_asked) in [(3, !members_only), (2, true)] {
            ada.frames.clear();
            let door = rendezvous::Door::named(&mut ada, n, false);
            let hash = ada.node.links.ready(door.link).expect("it is there").hash;
            let tag = wire::group_tag(group, &hash, true);
            let asks = |frame: &Bytes| frame.windows(32).any(|it| it == tag.as_bytes());
            assert_eq!(ada.frames.iter().any(asks), is_asked, "{n}, members only: {members_only}");
        }
    }
}
