//! What comes in is billed in one place, by its bytes.
use super::attacks::record;
use super::*;
use crate::group::batch::Taken;
use crate::group::waste::in_vain;

fn accept(replica: &mut Replica, records: &[Signed]) -> Vec<Taken> {
    let bytes = records.iter().map(|signed| signed.bytes().clone()).collect();
    let (taken, blame) = replica.with(|group, ctx| group.accept_all(ctx, bytes, None));
    assert_eq!(blame, Ok(()));
    taken
}

/// R23. Goal: good records in the same message hide no waste. Method: a record of a MB that is known, alone and among 999
/// that are small and new.
#[test]
fn what_came_in_vain_is_billed_by_its_own_bytes() {
    let story = Story::new(1);
    let note =
        |nth, bytes| record(&story, &story.bob, "other", nth, vec![7; bytes], NOW.after(HOUR));
    let large = note(0, 1_000_000);
    let mut replica = Replica::new(&story);
    replica.take(std::slice::from_ref(&large));
    let alone = in_vain(&accept(&mut replica, std::slice::from_ref(&large)));
    assert_eq!(alone, 1 + large.bytes().len() as u64 / 1024);
    let mut message: Vec<Signed> = (1..1_000).map(|nth| note(nth, 10)).collect();
    message.insert(500, large);
    assert_eq!(in_vain(&accept(&mut replica, &message)), alone);
    assert_eq!(replica.held().len(), 1_000);
}
