use super::*;
use crate::source::Source;

const A: LinkId = LinkId(1);
const B: LinkId = LinkId(2);
const EVE: LinkId = LinkId(3);
const TOKEN: Token = Token([7; 16]);

fn party(number: u8) -> Party {
    Party::Source(Source::of([192, 0, 2, number].into()))
}

fn paired(relays: &mut Relays) -> Circuit {
    assert_eq!(relays.ask(Time::ZERO, A, party(1), TOKEN), Outcome::default());
    let done = relays.ask(Time::ZERO, B, party(2), TOKEN);
    let Some((TOKEN, circuit, [A, B])) = done.paired else { panic!("{done:?}") };
    circuit
}

#[test]
fn two_that_show_one_token_are_joined_and_nobody_else() {
    let mut relays = Relays::default();
    assert_eq!(relays.ask(Time::ZERO, EVE, party(3), Token([8; 16])), Outcome::default());
    let circuit = paired(&mut relays);
    assert_eq!(relays.ask(Time::ZERO, EVE, party(3), TOKEN).paired, None, "it is used up");
    assert_eq!(relays.data(Time::ZERO, A, circuit, 10), Ok(Some(B)));
    assert_eq!(relays.data(Time::ZERO, B, circuit, 10), Ok(Some(A)));
    assert_eq!(relays.data(Time::ZERO, EVE, circuit, 10), Ok(None), "a stranger to it");
    assert!(relays.needs(A) && relays.needs(B) && !relays.needs(EVE));
    assert_eq!(relays.close(EVE, circuit), []);
    assert_eq!(relays.close(A, circuit), [(B, circuit)]);
    assert_eq!(relays.data(Time::ZERO, B, circuit, 10), Ok(None));
    assert!(!relays.needs(A) && relays.crowd.len() == 1 + 1, "the two asks of Eve");
}

#[test]
fn token_shown_twice_over_one_link_is_one() {
    let mut relays = Relays::default();
    relays.ask(Time::ZERO, A, party(1), TOKEN);
    assert_eq!(relays.ask(Time::ZERO, A, party(1), TOKEN), Outcome::default());
    assert_eq!(relays.crowd.len(), 1);
}

#[test]
fn no_more_than_a_window_is_on_its_way() {
    let mut relays = Relays::default();
    let circuit = paired(&mut relays);
    let now = Time::ZERO;
    for _ in 0..RELAY_WINDOW_BYTES.div_ceil(FRAME_BYTES_MAX) {
        assert_eq!(relays.data(now, A, circuit, FRAME_BYTES_MAX), Ok(Some(B)));
    }
    assert_eq!(relays.data(now, A, circuit, 1), Err(Misbehaved::TooMuch));
    assert_eq!(relays.data(now, B, circuit, 1), Ok(Some(A)), "the other way is another window");
    let all = RELAY_WINDOW_BYTES as u64;
    assert_eq!(relays.taken(now, EVE, circuit, all), TakenBytes::default());
    let taken = relays.taken(now, B, circuit, u64::MAX);
    let credit = taken.credit.expect("credit");
    assert!(taken.counts && !relays.taken(now, B, circuit, 1).counts, "nothing is left");
    assert!(credit.link == A && credit.bytes >= all && credit.bytes < u64::MAX, "{credit:?}");
    assert_eq!(relays.data(now, A, circuit, 1), Ok(Some(B)));
}

/// Goal: a party sends no faster than its rate, to within one percent. Method: it always has a frame
/// to send, and the other end takes it at once.
#[test]
fn quota_is_exact() {
    let mut relays = Relays::default();
    let circuit = paired(&mut relays);
    let (mut now, mut sent, mut window) = (Time::ZERO, 0, 0);
    let seconds = 1_000;
    let end = Time::ZERO.after(Duration::from_secs(seconds));
    while now < end {
        while window + FRAME_BYTES_MAX <= RELAY_WINDOW_BYTES {
            assert_eq!(relays.data(now, A, circuit, FRAME_BYTES_MAX), Ok(Some(B)));
            window += FRAME_BYTES_MAX;
            sent += FRAME_BYTES_MAX as u64;
            if let Some(credit) = relays.taken(now, B, circuit, FRAME_BYTES_MAX as u64).credit {
                window -= credit.bytes as usize;
            }
        }
        now = relays.deadline().expect("credit is kept back");
        for credit in relays.due(now) {
            assert_eq!((credit.link, credit.circuit), (A, circuit));
            window -= credit.bytes as usize;
        }
    }
    let most = RELAY_SPARE_BYTES + seconds * RELAY_BYTES_PER_SECOND;
    assert!(sent * 100 <= most * 101 && sent * 100 >= most * 99, "{sent} of {most}");
}

#[test]
fn lost_link_ends_its_circuits_and_its_asks() {
    let mut relays = Relays::default();
    let circuit = paired(&mut relays);
    relays.ask(Time::ZERO, A, party(1), Token([9; 16]));
    assert_eq!(relays.link_down(A), [(B, circuit)]);
    assert!(relays.waiting.is_empty() && relays.crowd.is_empty() && relays.by_link.is_empty());
    assert_eq!(relays.deadline(), None);
}

#[test]
fn another_link_to_one_end_takes_over() {
    let mut relays = Relays::default();
    let circuit = paired(&mut relays);
    relays.moved(B, EVE);
    assert_eq!(relays.data(Time::ZERO, A, circuit, 1), Ok(Some(EVE)));
    assert_eq!(relays.link_down(B), []);
    assert_eq!(relays.link_down(EVE), [(A, circuit)]);
}

#[test]
fn ask_that_nobody_answers_ends_and_one_party_takes_no_others_place() {
    let mut relays = Relays::default();
    let circuit = paired(&mut relays);
    let mut closed = Vec::new();
    for n in 0..2 * RELAY_CIRCUITS.all() {
        let mut token = [3; 16];
        token[..8].copy_from_slice(&n.to_be_bytes());
        closed.extend(relays.ask(Time::ZERO, EVE, party(3), Token(token)).closed);
    }
    assert_eq!(closed, []);
    assert_eq!(relays.waiting.len() as u64, RELAY_CIRCUITS.each());
    assert_eq!(relays.data(Time::ZERO, A, circuit, 1), Ok(Some(B)), "theirs stays");
    assert_eq!(relays.due(Time::ZERO.after(RELAY_WAITS_MAX)), []);
    assert!(relays.waiting.is_empty() && relays.deadline().is_none());
}
