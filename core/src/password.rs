//! Joining by password: a password-authenticated key exchange between a newcomer and a member who knows the password.
//!
//! SPAKE2 (RFC 9382) over Ed25519's curve. Both ends name themselves by peer id, and the handshake hash of the very link
//! is part of it, so that nothing can be carried to another link. Each run tests one password and tells an outsider,
//! or an end that does not know the password, nothing else: there is nothing to guess at offline. The member confirms
//! first. The newcomer has read the member's certificates by then and gives its own proof only to who is genuine.
//!
//! ```text
//! newcomer   ASK_PASSWORD(invitation, X)          ───►
//!                                                 ◄───  ANSWER_PASSWORD(Y, proof, certificates)      member
//!            PROVE_PASSWORD(proof)                ───►
//! ```
//!
//! Guessing costs one run each, and runs are throttled (`Throttle`).
use crate::id::{GroupId, PeerId, RecordId};
use crate::limits::{PASSWORD_BYTES_MAX, PASSWORD_SOURCES_MAX};
use crate::time::Time;
use hmac::{Hmac, KeyInit as _, Mac as _};
use rand_chacha::ChaCha12Rng;
use sha2::{Digest as _, Sha256};
use spake2::{Ed25519Group, Spake2};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// Failures of one source that cost no waiting. Source: security.md.
const FREE_OF_SOURCE: u32 = 3;
/// Failures of all sources together that cost no waiting. Guess: identities are free, so that this is what stops a guesser;
/// and it must not stop a class that mistypes.
const FREE_IN_ALL: u32 = 20;
/// The first wait; it doubles with each failure up to the longest. Guesses.
const WAIT_FIRST: Duration = Duration::from_secs(2);
const WAIT_LONGEST: Duration = Duration::from_secs(3_600);

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

    /// What both ends derive from it for one invitation.
    pub(crate) fn secret(&self, group: GroupId, invitation: RecordId) -> Secret {
        let hash = Sha256::new()
            .chain_update(b"peergraph password\0")
            .chain_update(group.as_bytes())
            .chain_update(invitation.as_bytes())
            .chain_update(self.0.as_bytes());
        Secret(Zeroizing::new(hash.finalize().into()))
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// What is kept of a password by who made the invitation. Whoever has it can try passwords against it.
#[derive(Clone)]
pub(crate) struct Secret(Zeroizing<[u8; 32]>);

impl Secret {
    pub(crate) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Who talks to whom, on which link.
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
    pub(crate) fn new(secret: &Secret, between: Between, rng: &mut ChaCha12Rng) -> (Self, Vec<u8>) {
        let (newcomer, member) = between.names();
        let password = spake2::Password::new(secret.as_bytes());
        let (run, x) = Spake2::<Ed25519Group>::start_a_with_rng(&password, &newcomer, &member, rng);
        (Self(run), x)
    }

    /// The newcomer's proof, if the member knows the password.
    pub(crate) fn finish(self, y: &[u8], proof: &[u8]) -> Option<[u8; 32]> {
        let key = Zeroizing::new(self.0.finish(y).ok()?);
        bool::from(confirm(&key, MEMBER).ct_eq(proof)).then(|| confirm(&key, NEWCOMER))
    }
}

/// The member's run, waiting for the newcomer's proof.
pub(crate) struct Answered {
    expected: [u8; 32],
}

impl Answered {
    /// Answers X. Returns Y and the member's proof too. Nothing if X is none.
    pub(crate) fn new(
        secret: &Secret,
        between: Between,
        x: &[u8],
        rng: &mut ChaCha12Rng,
    ) -> Option<(Self, Vec<u8>, [u8; 32])> {
        let (newcomer, member) = between.names();
        let password = spake2::Password::new(secret.as_bytes());
        let (run, y) = Spake2::<Ed25519Group>::start_b_with_rng(&password, &newcomer, &member, rng);
        let key = Zeroizing::new(run.finish(x).ok()?);
        Some((Self { expected: confirm(&key, NEWCOMER) }, y, confirm(&key, MEMBER)))
    }

    /// Whether the newcomer knows the password.
    pub(crate) fn is_proved(&self, proof: &[u8]) -> bool {
        self.expected.ct_eq(proof).into()
    }
}

const NEWCOMER: &[u8] = b"peergraph password newcomer";
const MEMBER: &[u8] = b"peergraph password member";

fn confirm(key: &[u8], who: &[u8]) -> [u8; 32] {
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    mac.chain_update(who).finalize().into_bytes().into()
}

/// How often passwords may be tried at one invitation: per source three times, then with growing delays; the same for
/// all sources together, a little later. A try counts as a failure until it is proved, since the answer to it tells
/// who asked whether it was right. So strangers can make others wait, but not guess.
#[derive(Default)]
pub(crate) struct Throttle {
    all: Guard,
    sources: BTreeMap<PeerId, Guard>,
}

#[derive(Clone, Copy, Default)]
struct Guard {
    failures: u32,
    free_at: Option<Time>,
}

impl Guard {
    fn wait(&self, now: Time) -> Option<Duration> {
        self.free_at.filter(|at| *at > now).map(|at| at.since(now))
    }

    fn fail(&mut self, now: Time, free: u32) {
        self.failures = self.failures.saturating_add(1);
        if let Some(beyond) = self.failures.checked_sub(free) {
            let wait = WAIT_FIRST.saturating_mul(1 << beyond.min(16)).min(WAIT_LONGEST);
            self.free_at = Some(now.after(wait));
        }
    }
}

impl Throttle {
    /// Counts a try of `source`, or says how long it must wait.
    pub(crate) fn try_at(&mut self, now: Time, source: PeerId) -> Result<(), Duration> {
        let of_source = self.sources.get(&source).and_then(|guard| guard.wait(now));
        if let Some(wait) = self.all.wait(now).max(of_source) {
            return Err(wait);
        }
        self.all.fail(now, FREE_IN_ALL);
        if self.sources.len() >= PASSWORD_SOURCES_MAX && !self.sources.contains_key(&source) {
            self.sources.pop_first();
        }
        self.sources.entry(source).or_default().fail(now, FREE_OF_SOURCE);
        Ok(())
    }

    /// The last try of `source` was right.
    pub(crate) fn succeeded(&mut self, source: PeerId) {
        self.sources.remove(&source);
        self.all.failures = self.all.failures.saturating_sub(1);
        if self.all.failures < FREE_IN_ALL {
            self.all.free_at = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::rand_core::SeedableRng as _;

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
        let mut rng = ChaCha12Rng::from_seed([7; 32]);
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
        let mut rng = ChaCha12Rng::from_seed([7; 32]);
        for x in [&[][..], &[0x41; 33], &[0xff; 33], &[0; 64]] {
            let answered = Answered::new(&secret("12345678"), between(1), x, &mut rng);
            assert!(answered.is_none_or(|(answered, ..)| !answered.is_proved(&[0; 32])));
            let (asked, _) = Asked::new(&secret("12345678"), between(1), &mut rng);
            assert!(asked.finish(x, &[0; 32]).is_none());
        }
    }

    #[test]
    fn three_tries_are_free_then_delays_grow_and_success_forgives() {
        let mut throttle = Throttle::default();
        let source = PeerId::from_bytes([1; 32]);
        let mut now = Time::from_micros(0);
        let mut waits = Vec::new();
        for _ in 0..7 {
            while let Err(wait) = throttle.try_at(now, source) {
                waits.push(wait.as_secs());
                now = now.after(wait);
            }
        }
        assert_eq!(waits, [2, 4, 8, 16]);
        throttle.succeeded(source);
        assert_eq!(throttle.try_at(now, source), Ok(()));
    }

    #[test]
    fn fresh_identities_do_not_buy_more_tries() {
        let mut throttle = Throttle::default();
        let day = Duration::from_secs(86_400);
        let mut now = Time::from_micros(0);
        let mut tries: u64 = 0;
        for n in 0_u64.. {
            let source = PeerId::from_bytes([(n % 251) as u8; 32]);
            match throttle.try_at(now, source) {
                Ok(()) => tries += 1,
                Err(wait) => now = now.after(wait),
            }
            if now >= Time::from_micros(0).after(day) {
                break;
            }
        }
        assert!(tries < 60, "{tries} tries in a day");
    }

    #[test]
    fn passwords_are_not_shown() {
        let password = Password::new("hunter2hunter2").unwrap();
        assert_eq!(format!("{password:?}"), "Password(…)");
        assert_eq!(Password::new("short"), Err(PasswordError));
    }
}
