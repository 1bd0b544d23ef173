use super::*;
use proptest::prelude::*;
use std::net::Ipv4Addr;

fn source(n: u16) -> Party {
    let [a, b] = n.to_be_bytes();
    Party::Source(Source::of(Ipv4Addr::new(10, 0, a, b).into()))
}

fn peer(n: u64) -> PeerId {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&n.to_be_bytes());
    PeerId::from_bytes(bytes)
}

fn table(n: u64) -> wire::Table {
    table_in(n, None)
}

fn table_in(n: u64, part: Option<u64>) -> wire::Table {
    wire::Table { name: Digest::from_bytes(*peer(n).as_bytes()), part }
}

/// All books of the tables agree.
fn is_sound(tables: &Tables) {
    assert_eq!(tables.places.len(), tables.parties.len());
    assert_eq!(tables.places.len(), tables.peers.len());
    let mut seats = 0;
    for (age, place) in &tables.places {
        for table in &place.tables {
            assert_eq!(tables.by_link.get(&(place.link, table.name)), Some(age));
            assert_eq!(tables.tables[&table.name].seats.get(&place.seat), Some(age));
            seats += 1;
        }
    }
    assert_eq!(tables.by_link.len(), seats);
    assert_eq!(tables.tables.values().map(|table| table.seats.len()).sum::<usize>(), seats);
    assert!(tables.tables.values().all(|table| table.parts.len() <= table.seats.len()));
}

/// Goal: one source at its maximum leaves every other its guaranteed part, and whoever gives way is told. Method: strangers
/// of one address, each with an identity of its own, take as many seats as there are, before, between and after the seats of
/// a hundred honest places, of which each takes what all could have at once.
#[test]
fn seats_of_one_source_keep_no_other_from_the_tables() {
    let (mut tables, mut rng) = (Tables::default(), Random::new(&[1; 32]));
    let (mut honest, mut made) = (SortedSet::new(), 0);
    let mut flood = |tables: &mut Tables,
                     rng: &mut Random,
                     honest: &SortedSet<LinkId>,
                     count: u64| {
        for _ in 0..count {
            made += 1;
            let link = LinkId(1_000_000 + made);
            let (_, gone) =
                tables.seat(rng, (link, source(0), peer(u64::MAX - made)), vec![table(made)]);
            assert!(gone.iter().all(|(link, _)| !honest.contains(link)), "an honest seat is kept");
        }
    };
    flood(&mut tables, &mut rng, &honest, 2 * SEATS.all());
    assert_eq!(tables.places.len() as u64, SEATS.each(), "a share is all that one source holds");
    let part = SEATS.all() / 101;
    for n in 0..100 {
        for seat in 0..part {
            let link = LinkId(n * part + seat);
            honest.insert(link);
            let who = (link, source(1 + n as u16), peer(n * part + seat));
            let (_, gone) = tables.seat(&mut rng, who, vec![table(7), table(8)]);
            assert!(gone.iter().all(|(link, _)| !honest.contains(link)));
        }
        flood(&mut tables, &mut rng, &honest, 20);
    }
    flood(&mut tables, &mut rng, &honest, SEATS.all());
    assert!(tables.places.len() as u64 <= SEATS.all());
    assert!(honest.iter().all(|&link| tables.needs(link)), "they sit");
    is_sound(&tables);
}

/// Goal: one identity has its share wherever it comes from, and its own seats are the ones that give way. Method: it sits
/// down at more tables than that from ever new sources.
#[test]
fn identity_has_its_share_wherever_it_comes_from() {
    let (mut tables, mut rng) = (Tables::default(), Random::new(&[1; 32]));
    tables.seat(&mut rng, (LinkId(0), source(0), peer(0)), vec![table(0)]);
    let mut gone = Vec::new();
    for n in 1..=2 * SEATS_OF_PEER.each() {
        let who = (LinkId(n), source(n as u16), peer(9));
        gone.extend(tables.seat(&mut rng, who, vec![table(n)]).1);
    }
    let oldest = (1..=SEATS_OF_PEER.each()).map(|n| (LinkId(n), table(n).name));
    assert_eq!(gone, oldest.collect::<Vec<_>>(), "its oldest is told each time");
    assert!(tables.needs(LinkId(0)));
    is_sound(&tables);
}

#[test]
fn seat_stays_while_its_tables_change() {
    let (mut tables, mut rng) = (Tables::default(), Random::new(&[1; 32]));
    let who = (LinkId(1), source(1), peer(1));
    let (first, _) = tables.seat(&mut rng, who, vec![table(2), table(1)]);
    let (second, gone) = tables.seat(&mut rng, who, vec![table_in(3, Some(5)), table(2)]);
    assert_eq!((first, gone), (second, Vec::new()));
    let names = |tables: &Tables| tables.tables.keys().copied().collect::<Vec<_>>();
    assert_eq!(names(&tables), [table(2).name, table(3).name]);
    // Seats at tables that become one are one.
    tables.seat(&mut rng, who, vec![table(9)]);
    let (third, _) = tables.seat(&mut rng, who, vec![table(3), table(9)]);
    assert_eq!((third, tables.places.len()), (first, 1));
    is_sound(&tables);
    tables.moved(LinkId(1), LinkId(2));
    assert!(tables.needs(LinkId(2)) && !tables.needs(LinkId(1)));
    is_sound(&tables);
    tables.link_down(LinkId(2));
    assert_eq!(names(&tables), []);
    is_sound(&tables);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Goal: the books agree whatever anybody does, and the seats that are named are those of others at a common table, and
    /// apart only those of other parts. Method: links sit, move, rise and go at will.
    #[test]
    fn books_agree_and_seats_are_named_only_where_they_are(
        acts in prop::collection::vec((0..6u64, 0..6u64, 0..6u64, 0..10u8, prop::option::of(0..3u64)), 0..150),
    ) {
        let (mut tables, mut rng) = (Tables::default(), Random::new(&[1; 32]));
        for (n, at, other, act, part) in acts {
            let link = LinkId(n);
            match act {
                0 => tables.link_down(link),
                1 => tables.moved(link, LinkId(at)),
                2 => {
                    let body = wire::encode(&Rise { table: table(at).name });
                    prop_assert_eq!(tables.rise(link, &body), Ok(()));
                }
                _ => {
                    let mut names = vec![table_in(at, part)];
                    names.extend((at != other).then(|| table_in(other, part)));
                    let (age, _) = tables.seat(&mut rng, (link, source(n as u16 % 2), peer(n)), names.clone());
                    let (seats, apart) = tables.others(&mut rng, age);
                    let common: SortedSet<u64> = names
                        .iter()
                        .flat_map(|it| tables.tables[&it.name].seats.iter())
                        .filter(|(_, it)| **it != age)
                        .map(|(&seat, _)| seat)
                        .collect();
                    let named: SortedSet<u64> = seats.iter().copied().collect();
                    prop_assert_eq!(named.len(), seats.len(), "each once");
                    prop_assert_eq!(named, common, "all of a small table");
                    for seat in apart {
                        let parts = names.iter().flat_map(|it| &tables.tables[&it.name].parts);
                        let theirs: Vec<u64> = parts.filter(|(_, it)| *it == seat).map(|(it, _)| *it).collect();
                        prop_assert!(part.is_some_and(|ours| theirs.iter().any(|it| *it != ours)));
                    }
                }
            }
            is_sound(&tables);
        }
    }
}

/// Goal: to sit down costs the same at a large table, and everybody is named about as often. Method: 500 sit at two tables;
/// the steps are the looks into it, since nothing is copied.
#[test]
fn everybody_at_a_large_table_is_named() {
    let (mut tables, mut rng) = (Tables::default(), Random::new(&[1; 32]));
    let mut age = 0;
    for n in 0..500 {
        let part = (n % 10 == 0).then_some(n % 20);
        let who = (LinkId(n), source(n as u16), peer(n));
        age = tables.seat(&mut rng, who, vec![table_in(1, part), table_in(2, part)]).0;
    }
    let mut named = SortedMap::new();
    for _ in 0..5_000 {
        let (seats, _) = tables.others(&mut rng, age);
        assert_eq!(seats.len(), SEATS_NAMED_MAX);
        for seat in seats {
            *named.entry(seat).or_insert(0) += 1;
        }
    }
    // A seat is drawn by the gap before its number, which is random: some much more often, nearly none never.
    assert!(named.len() >= 480, "{} of 499", named.len());
}
