//! Joining by password: a password-authenticated key exchange between a newcomer and a member who knows the password.
//!
//! The exchange is that of the crate `spake2` 0.5.0-pre.0, over the group of Ed25519: SPAKE2 of
//! Abdalla and Pointcheval with the elements M and N of `python-spake2`. It is **not** the SPAKE2
//! of RFC 9382, which has other elements, a longer transcript and key confirmation of its own. The
//! crate's key is `SHA-256(SHA-256(w) ‖ SHA-256(A) ‖ SHA-256(B) ‖ X ‖ Y ‖ K)`, each of 32 bytes,
//! where `w` is derived from the password, and `A` and `B` are the two ends: role, peer id, and the
//! handshake hash of the very link, so that nothing can be carried to another link. It does not
//! wipe its memory. The confirmation is ours: HMAC-SHA256 of a role under that key. Each run tests
//! one password and tells an outsider, or an end that does not know the password, nothing else:
//! there is nothing to guess at offline. The member confirms first. The newcomer has read the
//! member's certificates by then and gives its own proof only to a genuine member.
//!
//! ```text
//! newcomer   ASK_PASSWORD(invitation, X)          ───►
//!                                                 ◄───  ANSWER_PASSWORD(Y, proof, certificates)      member
//!            PROVE_PASSWORD(proof)                ───►
//! ```
//!
//! `w` is Argon2id of the password, with group and invitation as salt: a thief of `w` can join by
//! that invitation, and has to pay for each password that it tries against `w`. It is stored
//! sealed, and deleted when the invitation ends.
//!
//! Guessing costs one run each, and runs are throttled (`Throttle`).
use crate::id::{Digest, GroupId, PeerId, RecordId};
use crate::limits::{PASSWORD_BYTES_MAX, PASSWORD_PEERS_MAX, PASSWORD_SOURCES_MAX};
use crate::random::Random;
use crate::sorted::SortedMap;
use crate::stretch::Cost;
use crate::time::Time;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use spake2::{Ed25519Group, Spake2};
use std::fmt;
use std::time::Duration;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// Failures of one peer that cost no waiting. Source: security.md.
const FREE_OF_PEER: u32 = 3;
/// Failures of one source that cost no waiting. Guess: a class that mistypes comes the same way.
const FREE_OF_SOURCE: u32 = 20;
/// The first wait; it doubles with each failure up to the longest. Guesses: some 55 tries a day from one source.
const WAIT_FIRST: Duration = Duration::from_secs(2);
pub(crate) const WAIT_LONGEST: Duration = Duration::from_secs(3_600);
/// How long a source is remembered after its last try. Guess: longer than the longest wait, so that waiting is the better
/// way to go on.
const FORGIVEN_AFTER: Duration = Duration::from_secs(7 * 86_400);

/// A password as somebody typed it. Wiped on drop; `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Zeroizing<String>);

/// Not a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a password has 8 to 256 bytes; choose a longer or a shorter one")]
pub struct PasswordError;

impl Password {
    /// Takes 8 to 256 bytes of text.
    ///
    /// # Errors
    /// Shorter or longer text.
    pub fn new(text: impl Into<String>) -> Result<Self, PasswordError> {
        let text = Zeroizing::new(text.into());
        if (8..=PASSWORD_BYTES_MAX).contains(&text.len()) {
            Ok(Self(text))
        } else {
            Err(PasswordError)
        }
    }

    /// As it was typed.
    #[cfg(feature = "serde")]
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The secret that both ends derive from the password for one invitation. Slow on purpose;
    /// [`Cost::USUAL`] says how slow.
    pub(crate) fn secret(&self, group: GroupId, invitation: RecordId) -> Secret {
        let salt = Sha256::new()
            .chain_update(b"peergraph password\0")
            .chain_update(group.as_bytes())
            .chain_update(invitation.as_bytes());
        let key = Cost::USUAL.key(self.0.as_bytes(), &salt.finalize());
        Secret(key.expect("the usual cost is one that Argon2id has"))
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// The derived form of a password, which the maker of an invitation stores. Its holder can try
/// passwords against it.
#[derive(Clone)]
pub(crate) struct Secret(Zeroizing<[u8; 32]>);

impl Secret {
    pub(crate) fn from_bytes(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    pub(crate) fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        self.0.clone()
    }
}

/// The two ends of an exchange and their link, to which it is bound.
#[derive(Clone, Copy)]
pub(crate) struct Between {
    pub(crate) newcomer: PeerId,
    pub(crate) member: PeerId,
    /// The handshake hash of the link.
    pub(crate) link: [u8; 32],
}

impl Between {
    fn names(&self) -> (spake2::Identity, spake2::Identity) {
        let name = |role: &[u8], peer: &PeerId| {
            spake2::Identity::new(&[role, peer.as_bytes(), &self.link].concat())
        };
        (name(b"newcomer", &self.newcomer), name(b"member", &self.member))
    }
}

/// The newcomer's run, waiting for the member.
pub(crate) struct Asked(Spake2<Ed25519Group>);

impl Asked {
    /// Begins. Returns X too.
    pub(crate) fn new(secret: &Secret, between: Between, rng: &mut Random) -> (Self, Vec<u8>) {
        let (newcomer, member) = between.names();
        let password = spake2::Password::new(&secret.0[..]);
        let (run, x) =
            Spake2::<Ed25519Group>::start_a_with_rng(&password, &newcomer, &member, &mut *rng);
        rng.forget();
        (Self(run), x)
    }

    /// The newcomer's proof, if the member knows the password.
    pub(crate) fn finish(self, y: &[u8], proof: &[u8]) -> Option<[u8; 32]> {
        let key = Zeroizing::new(self.0.finish(y).ok()?);
        bool::from(confirm(&key, MEMBER).ct_eq(proof)).then(|| *confirm(&key, NEWCOMER))
    }
}

/// The member's run, waiting for the newcomer's proof.
pub(crate) struct Answered {
    expected: Zeroizing<[u8; 32]>,
}

impl Answered {
    /// Answers X. Returns Y and the member's proof too. Nothing if X is none.
    pub(crate) fn new(
        secret: &Secret,
        between: Between,
        x: &[u8],
        rng: &mut Random,
    ) -> Option<(Self, Vec<u8>, [u8; 32])> {
        let (newcomer, member) = between.names();
        let password = spake2::Password::new(&secret.0[..]);
        let (run, y) =
            Spake2::<Ed25519Group>::start_b_with_rng(&password, &newcomer, &member, &mut *rng);
        rng.forget();
        let key = Zeroizing::new(run.finish(x).ok()?);
        Some((Self { expected: confirm(&key, NEWCOMER) }, y, *confirm(&key, MEMBER)))
    }

    /// Whether the newcomer knows the password.
    pub(crate) fn is_proved(&self, proof: &[u8]) -> bool {
        self.expected.ct_eq(proof).into()
    }
}

const NEWCOMER: &[u8] = b"peergraph password newcomer";
const MEMBER: &[u8] = b"peergraph password member";

fn confirm(key: &[u8], who: &[u8]) -> Zeroizing<[u8; 32]> {
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    Zeroizing::new(mac.chain_update(who).finalize().into_bytes().into())
}

/// The source of tries: something that a guesser cannot have as much of as it likes, unlike peer
/// ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Origin(u64);

impl Origin {
    /// The origin of a kind, such as a direct link; `which` tells it from the others of that kind.
    pub(crate) fn of(kind: &[u8], which: &[u8]) -> Self {
        Self(Digest::of(&[kind, &[0], which].concat()).short())
    }

    /// As it is stored.
    pub(crate) fn number(self) -> u64 {
        self.0
    }

    pub(crate) fn from_number(number: u64) -> Self {
        Self(number)
    }
}

/// How often passwords may be tried at one invitation, per [`Origin`] and, within it, per peer: some times freely, then
/// with growing delays.
///
/// 1. A try counts as a failure until it is proved, since the answer tells the asker whether the
///    password was right.
/// 2. No source waits for the tries of another: a guesser locks out only itself and those that come
///    the same way.
/// 3. So many sources are remembered, and so many peers of each. A further one takes the place, **and the failures**, of
///    the one with the fewest. So nobody makes the throttle forget its failures by coming from many places or under many
///    names, and however many sources there are, they have no more tries than so many have.
/// 4. Failures of sources outlive a restart: a page that is loaded again, and again, gives no more tries.
/// 5. A source or peer that has not tried for [`FORGIVEN_AFTER`] begins anew.
#[derive(Default)]
pub(crate) struct Throttle {
    sources: Guards<Origin, PASSWORD_SOURCES_MAX>,
    peers: SortedMap<Origin, Guards<PeerId, PASSWORD_PEERS_MAX>>,
}

#[derive(Clone, Copy, Default)]
struct Guard {
    failures: u32,
    last: Time,
    free_at: Option<Time>,
}

impl Guard {
    fn wait(&self, now: Time) -> Option<Duration> {
        self.free_at.filter(|at| *at > now).map(|at| at.since(now))
    }

    /// The wait that follows so many failures, of which some are free.
    fn set_wait(&mut self, now: Time, free: u32) {
        let beyond = self.failures.checked_sub(free);
        let wait = beyond.map(|it| WAIT_FIRST.saturating_mul(1 << it.min(16)).min(WAIT_LONGEST));
        self.free_at = wait.map(|wait| now.after(wait));
    }

    fn fail(&mut self, now: Time, free: u32) {
        self.failures = self.failures.saturating_add(1);
        self.last = now;
        self.set_wait(now, free);
    }

    /// One failure was none.
    fn forgive(&mut self, now: Time, free: u32) {
        self.failures = self.failures.saturating_sub(1);
        if self.failures < free {
            self.free_at = None;
        } else {
            self.set_wait(now, free);
        }
    }
}

/// At most `MAX` guards: rule 3.
struct Guards<K, const MAX: usize>(SortedMap<K, Guard>);

impl<K, const MAX: usize> Default for Guards<K, MAX> {
    fn default() -> Self {
        Self(SortedMap::new())
    }
}

impl<K: Ord + Copy, const MAX: usize> Guards<K, MAX> {
    fn of(&mut self, now: Time, key: K) -> &mut Guard {
        self.0.retain(|_, guard| now.since(guard.last) < FORGIVEN_AFTER);
        let mut inherited = Guard { last: now, ..Guard::default() };
        if self.0.len() >= MAX && !self.0.contains_key(&key) {
            let least = self.0.iter().min_by_key(|(_, guard)| (guard.failures, guard.last));
            if let Some((&least, &guard)) = least {
                self.0.remove(&least);
                inherited = guard;
            }
        }
        self.0.entry(key).or_insert(inherited)
    }
}

impl Throttle {
    /// Counts a try, or says how long the source, or the peer, must wait.
    pub(crate) fn try_at(
        &mut self,
        now: Time,
        source: Origin,
        peer: PeerId,
    ) -> Result<(), Duration> {
        self.sources.of(now, source);
        let known = &self.sources.0;
        self.peers.retain(|source, _| known.contains_key(source));
        let of_source = self.sources.of(now, source);
        let of_peer = self.peers.entry(source).or_default().of(now, peer);
        if let Some(wait) = of_source.wait(now).max(of_peer.wait(now)) {
            return Err(wait);
        }
        of_source.fail(now, FREE_OF_SOURCE);
        of_peer.fail(now, FREE_OF_PEER);
        Ok(())
    }

    /// The last try was right.
    pub(crate) fn succeeded(&mut self, now: Time, source: Origin, peer: PeerId) {
        if let Some(guard) = self.sources.0.get_mut(&source) {
            guard.forgive(now, FREE_OF_SOURCE);
        }
        if let Some(peers) = self.peers.get_mut(&source) {
            peers.0.remove(&peer);
        }
    }

    /// The failures of each source, to be stored.
    pub(crate) fn failures(&self) -> impl Iterator<Item = (Origin, u32)> {
        self.sources.0.iter().map(|(&source, guard)| (source, guard.failures))
    }

    /// Restores the stored failures of a source. A source that had to wait waits again, from now
    /// on.
    pub(crate) fn restore(&mut self, now: Time, source: Origin, failures: u32) {
        if self.sources.0.len() < PASSWORD_SOURCES_MAX {
            let mut guard = Guard { failures, last: now, free_at: None };
            guard.set_wait(now, FREE_OF_SOURCE);
            self.sources.0.insert(source, guard);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between(newcomer: u8) -> Between {
        Between {
            newcomer: PeerId::from_bytes([newcomer; 32]),
            member: PeerId::from_bytes([2; 32]),
            link: [3; 32],
        }
    }

    fn secret(text: &str) -> Secret {
        Password::new(text).unwrap().secret(GroupId::default(), RecordId::default())
    }

    /// Whether the newcomer accepts the member, and the member the newcomer.
    fn run(ours: &str, theirs: &str, ours_between: Between, theirs_between: Between) -> [bool; 2] {
        let mut rng = Random::new(&[7; 32]);
        let (asked, x) = Asked::new(&secret(ours), ours_between, &mut rng);
        let (answered, y, proof) =
            Answered::new(&secret(theirs), theirs_between, &x, &mut rng).unwrap();
        match asked.finish(&y, &proof) {
            Some(proof) => [true, answered.is_proved(&proof)],
            None => [false, answered.is_proved(&[0; 32])],
        }
    }

    #[test]
    fn the_same_password_on_the_same_link_is_accepted_by_both() {
        let here = between(1);
        assert_eq!(run("correct horse", "correct horse", here, here), [true, true]);
        assert_eq!(run("correct horse", "battery staple", here, here), [false, false]);
        assert_eq!(run("correct horse", "correct horse", here, between(9)), [false, false]);
        let elsewhere = Between { link: [4; 32], ..here };
        assert_eq!(run("correct horse", "correct horse", here, elsewhere), [false, false]);
    }

    #[test]
    fn garbage_is_refused() {
        let mut rng = Random::new(&[7; 32]);
        for x in [&[][..], &[0x41; 33], &[0xff; 33], &[0; 64]] {
            let answered = Answered::new(&secret("12345678"), between(1), x, &mut rng);
            assert!(answered.is_none_or(|(answered, ..)| !answered.is_proved(&[0; 32])));
            let (asked, _) = Asked::new(&secret("12345678"), between(1), &mut rng);
            assert!(asked.finish(x, &[0; 32]).is_none());
        }
    }

    /// A source that is one of many.
    fn source(n: u64) -> Origin {
        Origin::of(b"test", &n.to_be_bytes())
    }

    /// One of those that are free to make.
    fn new_peer() -> PeerId {
        use std::sync::atomic::{AtomicU32, Ordering};
        static MADE: AtomicU32 = AtomicU32::new(0);
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&MADE.fetch_add(1, Ordering::Relaxed).to_le_bytes());
        PeerId::from_bytes(bytes)
    }

    /// How many tries those sources have in so long, if each comes again as soon as it may.
    fn tries(throttle: &mut Throttle, from: Time, time: Duration, sources: &[Origin]) -> usize {
        let mut waiting: SortedMap<Time, Vec<Origin>> = SortedMap::from([(from, sources.to_vec())]);
        let (mut tries, end) = (0, from.after(time));
        while let Some((now, come)) = waiting.pop_first().filter(|(now, _)| *now < end) {
            for source in come {
                let again = match throttle.try_at(now, source, new_peer()) {
                    Ok(()) => {
                        tries += 1;
                        now
                    }
                    Err(wait) => now.after(wait),
                };
                waiting.entry(again).or_default().push(source);
            }
        }
        tries
    }

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn some_tries_are_free_then_delays_grow_and_success_forgives_one() {
        let mut throttle = Throttle::default();
        let (here, mut now) = (source(1), Time::ZERO);
        let mut waits = Vec::new();
        for _ in 0..FREE_OF_SOURCE + 4 {
            while let Err(wait) = throttle.try_at(now, here, new_peer()) {
                waits.push(wait.as_secs());
                now = now.after(wait);
            }
        }
        assert_eq!(waits, [2, 4, 8, 16]);
        throttle.succeeded(now, here, new_peer());
        assert_eq!(throttle.try_at(now, here, new_peer()), Err(Duration::from_secs(16)));
        for _ in 0..4 {
            throttle.succeeded(now, here, new_peer());
        }
        assert_eq!(throttle.try_at(now, here, new_peer()), Ok(()));
    }

    #[test]
    fn three_tries_of_a_peer_are_free_and_others_of_its_source_go_on() {
        let mut throttle = Throttle::default();
        let (here, eve, bob) = (source(1), new_peer(), new_peer());
        let tried = [(); 5].map(|()| throttle.try_at(Time::ZERO, here, eve).is_ok());
        assert_eq!(tried, [true, true, true, false, false]);
        assert_eq!(throttle.try_at(Time::ZERO, here, bob), Ok(()));
        throttle.succeeded(Time::ZERO, here, bob);
        assert_eq!(throttle.try_at(Time::ZERO, here, bob), Ok(()));
        assert!(throttle.try_at(Time::ZERO, here, eve).is_err());
    }

    #[test]
    fn who_guesses_makes_nobody_else_wait() {
        let mut throttle = Throttle::default();
        let guesser = source(1);
        assert!((40..70).contains(&tries(&mut throttle, Time::ZERO, DAY, &[guesser])));
        let now = Time::ZERO.after(DAY);
        assert!(throttle.try_at(now, guesser, new_peer()).is_err());
        for n in 2..100 {
            assert_eq!(
                throttle.try_at(now, source(n), new_peer()),
                Ok(()),
                "an honest newcomer from elsewhere"
            );
        }
    }

    #[test]
    fn many_sources_do_not_push_out_what_is_known_of_one() {
        let mut throttle = Throttle::default();
        let guesser = source(0);
        tries(&mut throttle, Time::ZERO, DAY, &[guesser]);
        let now = Time::ZERO.after(DAY);
        let before = throttle.try_at(now, guesser, new_peer()).expect_err("it waits");
        for n in 1..10 * PASSWORD_SOURCES_MAX as u64 {
            let _ = throttle.try_at(now, source(n), new_peer());
            assert!(throttle.sources.0.len() <= PASSWORD_SOURCES_MAX);
        }
        assert_eq!(throttle.try_at(now, guesser, new_peer()), Err(before));
    }

    #[test]
    fn however_many_sources_there_are_they_have_the_tries_of_so_many() {
        let of_one = tries(&mut Throttle::default(), Time::ZERO, DAY, &[source(0)]);
        let many: Vec<_> = (0..4 * PASSWORD_SOURCES_MAX as u64).map(source).collect();
        let of_many = tries(&mut Throttle::default(), Time::ZERO, DAY, &many);
        assert!(
            of_many <= of_one * PASSWORD_SOURCES_MAX,
            "{of_many} tries, {of_one} of one source"
        );
    }

    #[test]
    fn failures_outlive_a_restart() {
        let mut throttle = Throttle::default();
        tries(&mut throttle, Time::ZERO, DAY, &[source(0)]);
        // Reloading again and again, at the beginning of each hour.
        let mut all = 0;
        for _ in 0..24 {
            let mut next = Throttle::default();
            for (source, failures) in throttle.failures() {
                next.restore(Time::ZERO, Origin::from_number(source.number()), failures);
            }
            all += tries(&mut next, Time::ZERO, Duration::from_secs(3_500), &[source(0)]);
            throttle = next;
        }
        assert_eq!(all, 0);
    }

    #[test]
    fn who_comes_after_a_long_time_begins_anew() {
        let mut throttle = Throttle::default();
        tries(&mut throttle, Time::ZERO, DAY, &[source(0)]);
        let later = Time::ZERO.after(DAY + FORGIVEN_AFTER);
        assert_eq!(throttle.try_at(later, source(0), new_peer()), Ok(()));
        assert_eq!(throttle.failures().collect::<Vec<_>>(), [(source(0), 1)]);
    }

    #[test]
    fn verifier_is_bound_to_group_and_invitation_and_is_not_a_plain_hash() {
        let password = Password::new("correct horse").unwrap();
        let of = |group: u8, invitation: u8| {
            let (group, id) =
                (GroupId::from_bytes([group; 32]), RecordId::from_bytes([invitation; 16]));
            (*password.secret(group, id).0, group, id)
        };
        let (secret, group, id) = of(1, 2);
        assert_eq!(secret, of(1, 2).0);
        assert!(secret != of(1, 3).0 && secret != of(3, 2).0);
        let plain = Sha256::new()
            .chain_update(b"peergraph password\0")
            .chain_update(group.as_bytes())
            .chain_update(id.as_bytes())
            .chain_update("correct horse");
        assert_ne!(secret, <[u8; 32]>::from(plain.finalize()));
    }

    #[test]
    fn passwords_are_not_shown() {
        let password = Password::new("hunter2hunter2").unwrap();
        assert_eq!(format!("{password:?}"), "Password(…)");
        assert_eq!(Password::new("short"), Err(PasswordError));
    }
}
