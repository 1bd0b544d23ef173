use super::*;
use proptest::prelude::*;

const NOON: u64 = 1_800_000_000_000 / PERIOD_MS * PERIOD_MS + PERIOD_MS / 2;
const HOUR: u64 = 3_600_000;

fn now(wall: u64) -> Now {
    Now { mono: Time::ZERO, wall: WallTime(wall) }
}

fn at(link: u64) -> At {
    At { link: LinkId(link), peer: PeerId::from_bytes([1; 32]) }
}

fn of(group: u8, lonely: bool) -> Sitter {
    Sitter { group: GroupId::from_bytes([group; 32]), lonely, signature: None }
}

fn names(asked: &Asked) -> Vec<Digest> {
    asked.sit.tables.iter().map(|table| table.name).collect()
}

proptest! {
    /// Goal: two nodes meet whatever the hour is, if their clocks differ by less than 23 hours. Method: any moment, any
    /// difference, any two shifts.
    #[test]
    fn clocks_that_differ_by_hours_lead_to_a_common_table(
        wall in 0..4_000_000_000_000_u64,
        ahead in 0..PERIOD_MS - SHIFT_MAX_MS,
        seeds in (any::<u64>(), any::<u64>()),
    ) {
        let sit = |wall, seed| names(&Sitting::new(seed).sit(now(wall), at(1), of(1, true)).unwrap());
        let (ours, theirs) = (sit(wall, seeds.0), sit(wall + ahead, seeds.1));
        prop_assert!(ours.iter().any(|name| theirs.contains(name)));
        prop_assert!(ours.len() <= 2 && theirs.len() <= 2);
    }

    /// Goal: at the moment for which it is armed the tables change, not before, and one of them stays.
    #[test]
    fn tables_change_one_at_a_time(wall in NOON..NOON + 3 * PERIOD_MS, seed: u64) {
        let mut sitting = Sitting::new(seed);
        let before = names(&sitting.sit(now(wall), at(1), of(1, false)).unwrap());
        let wait = sitting.deadline().unwrap().since(Time::ZERO);
        let later = |more: u64| Now {
            mono: Time::ZERO.after(wait),
            wall: WallTime(wall + wait.as_millis() as u64 - 1 + more),
        };
        let seats = sitting.changed(later(1));
        prop_assert_eq!(seats, [(LinkId(1), GroupId::from_bytes([1; 32]))]);
        prop_assert_eq!(&names(&Sitting::new(seed).sit(later(0), at(1), of(1, false)).unwrap()), &before);
        let after = sitting.sit(later(1), at(1), of(1, false)).unwrap();
        prop_assert_eq!(after.rise, None);
        prop_assert_eq!(names(&after)[1], before[0]);
        prop_assert!(!before.contains(&names(&after)[0]));
        // The question asked at the table that is gone is of no use, the one asked at the other is.
        let heard = |table| sitting.group_at(LinkId(1), table).is_some();
        prop_assert!(heard(before[0]) && !heard(before[1]));
    }
}

#[test]
fn tables_of_two_groups_nodes_or_days_have_nothing_in_common() {
    let mut all = Vec::new();
    for group in [1, 2] {
        for peer in [1, 2] {
            for day in 0..4 {
                let at = At { link: LinkId(1), peer: PeerId::from_bytes([peer; 32]) };
                let asked =
                    Sitting::new(0).sit(now(NOON + 2 * day * PERIOD_MS), at, of(group, true));
                all.extend(names(&asked.unwrap()));
            }
        }
    }
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count);
    let part = |table| part_of(GroupId::from_bytes([1; 32]), table, NodeId(1));
    assert_ne!(part(all[0]), part(all[1]), "nor have the parts");
}

#[test]
fn clock_of_the_rendezvous_node_counts_for_who_has_nobody() {
    let (mut ours, right) = (
        Sitting::new(0),
        names(&Sitting::new(9).sit(now(NOON + HOUR), at(1), of(1, true)).unwrap()),
    );
    let wrong = now(NOON + 40 * 365 * PERIOD_MS);
    let alone = names(&ours.sit(wrong, at(1), of(1, true)).unwrap());
    assert!(alone.iter().all(|name| !right.contains(name)));
    let told = |sitting: &mut Sitting, clock| {
        sitting.answered(wrong, LinkId(1), alone[0], WallTime(clock))
    };
    let group = GroupId::from_bytes([1; 32]);
    assert_eq!(told(&mut ours, NOON + HOUR), Some(Answered { group, differs: true }));
    assert_eq!(told(&mut ours, NOON + HOUR), None, "it was asked once");
    let both = names(&ours.sit(wrong, at(1), of(1, true)).unwrap());
    assert!(both.starts_with(&alone) && right.iter().all(|name| both.contains(name)));
    assert!(both.len() <= crate::limits::TABLES_PER_SEAT_MAX);
    // A time that it tells later changes nothing, and nobody who has neighbours goes by it.
    let again = told(&mut ours, NOON + 99 * PERIOD_MS);
    assert_eq!(again, Some(Answered { group, differs: false }));
    assert_eq!(names(&ours.sit(wrong, at(1), of(1, true)).unwrap()), both);
    assert_eq!(names(&ours.sit(wrong, at(1), of(1, false)).unwrap()), alone);
}

#[test]
fn seat_that_is_taken_back_is_not_asked_for_at_once() {
    let mut sitting = Sitting::new(0);
    let table = names(&sitting.sit(now(NOON), at(1), of(1, true)).unwrap())[1];
    let group = GroupId::from_bytes([1; 32]);
    assert_eq!(sitting.refused(Time::ZERO, LinkId(2), table), None);
    assert_eq!(sitting.refused(Time::ZERO, LinkId(1), table), Some(group));
    assert_eq!(sitting.group_at(LinkId(1), table), None);
    assert_eq!(sitting.sit(now(NOON), at(1), of(1, true)), None);
    assert!(sitting.sit(now(NOON), at(2), of(1, true)).is_some(), "elsewhere it may be");
    let later = Now { mono: Time::ZERO.after(REFUSED_FOR), wall: WallTime(NOON) };
    assert!(sitting.sit(later, at(1), of(1, true)).is_some());
}

#[test]
fn seats_move_with_their_link_and_end_with_their_group() {
    let mut sitting = Sitting::new(0);
    for (link, group) in [(1, 1), (1, 2), (2, 2)] {
        sitting.sit(now(NOON), at(link), of(group, true)).unwrap();
    }
    sitting.moved(LinkId(1), LinkId(2));
    let [one, two] = [1, 2].map(|n| GroupId::from_bytes([n; 32]));
    assert!(sitting.table(LinkId(1), one).is_none() && sitting.table(LinkId(2), one).is_some());
    let left = sitting.leave(two);
    assert_eq!(left.iter().map(|(link, _)| link.0).collect::<Vec<_>>(), [2]);
    assert_eq!(sitting.group_at(LinkId(2), left[0].1), None);
    sitting.link_down(LinkId(2));
    assert!(sitting.places.is_empty() && sitting.groups.is_empty());
}

/// A clock that was set leaves no seat behind at tables of another time.
#[test]
fn clock_that_is_set_frees_the_seats_of_the_old_time() {
    let mut sitting = Sitting::new(0);
    let before = names(&sitting.sit(now(NOON), at(1), of(1, true)).unwrap());
    sitting.clock_set(Time::ZERO);
    assert_eq!(sitting.changed(now(NOON)).len(), 1);
    let after = sitting.sit(now(NOON + 10 * PERIOD_MS), at(1), of(1, true)).unwrap();
    assert_eq!(after.rise, Some(before[0]));
}
