//! The acts of a node whose network has changed, or whose machine has slept.
use super::*;
use crate::limits::{PATH_DOUBTED_AFTER, PATH_SILENT_AFTER};

fn pings(ada: &mut Ada) -> usize {
    ada.frames.drain(..).filter(|frame| frame[1] == kind::PING.number()).count()
}

fn later(ada: &mut Ada, span: Duration) {
    ada.now = Now { mono: ada.now.mono.after(span), wall: ada.now.wall.after(span) };
}

/// Goal: after a change, a link that answers stays, and one that does not is closed in two seconds. Method: of two links one
/// answers. The other one is doubted first, and not closed a moment before.
#[test]
fn link_that_does_not_answer_after_a_change_is_closed_soon() {
    let mut ada = Ada::new();
    let (bob, cleo) = (Stranger::honest(&mut ada, 2), Stranger::honest(&mut ada, 3));
    ada.frames.clear();
    ada.handle(Input::PathsChanged { gone: false });
    assert_eq!(pings(&mut ada), 2);
    later(&mut ada, PATH_DOUBTED_AFTER);
    bob.send(&mut ada, Message::PONG.bytes());
    let doubted = |ada: &Ada, of: &Stranger| ada.node.links.is_doubted(ada.now, of.link);
    assert!(!doubted(&ada, &bob) && doubted(&ada, &cleo));
    later(&mut ada, PATH_SILENT_AFTER - PATH_DOUBTED_AFTER - Duration::from_millis(1));
    ada.handle(Input::Timeout);
    assert_eq!(ada.closed, []);
    later(&mut ada, Duration::from_millis(1));
    ada.handle(Input::Timeout);
    assert_eq!(ada.closed, [(cleo.link, CloseReason::Silent)]);
    assert!(ada.node.links.ready(bob.link).is_some());
}

/// Goal: a machine that has slept asks at once whether others are still there; one that is only late does not. Method: the
/// node is called so much later than it asked to be.
#[test]
fn node_that_has_slept_asks_all() {
    for (slept, asks) in [(10, 0), (120, 1)] {
        let mut ada = Ada::new();
        let bob = Stranger::honest(&mut ada, 2);
        later(&mut ada, Duration::from_secs(14));
        bob.send(&mut ada, Message::PONG.bytes());
        ada.frames.clear();
        // It asks to be called at the latest when a keep-alive is due.
        later(&mut ada, Duration::from_secs(1 + slept));
        bob.send(&mut ada, Message::PONG.bytes());
        assert_eq!(pings(&mut ada), asks, "{slept} s");
        later(&mut ada, PATH_SILENT_AFTER);
        ada.handle(Input::Timeout);
        assert_eq!(ada.closed, [], "the answer was on its way");
    }
}

/// Goal: a link that takes the place of a lost one does so at both ends, whichever of two they would keep else. Method: bob's
/// node dials ada once more, and names the first link, or none.
#[test]
fn later_link_replaces_the_one_that_it_names() {
    for names in [false, true] {
        let mut ada = Ada::new();
        let first = Stranger::honest(&mut ada, 2);
        let mut second = Stranger::knock(&mut ada, 2);
        let identity = someone(2);
        let proof = second.proof(&identity);
        let instead = names.then_some(first.hash);
        second.introduce_instead(&mut ada, identity.certificate().der().to_vec(), proof, instead);
        let closed: Vec<LinkId> = ada.closed.iter().map(|(link, _)| *link).collect();
        // Without a name the end that began both decides, which is not ada.
        assert_eq!(closed, if names { vec![first.link] } else { vec![] });
    }
}
