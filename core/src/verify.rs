//! Signatures of records, checked many at a time, each with the verdict that it would get alone.
//!
//! # What a good signature is
//!
//! Implementations of Ed25519 differ about signatures that an adversary crafts from points of small order: one and the
//! same may pass alone and fail in company, or pass in one company of eight. Stores would then differ for ever. So the
//! verdict on a record's signature is that of ZIP 215, which is the same alone and in any company:
//!
//! 1. The first half of the signature and the key decode to points R and A of the curve, in whatever form. (Keys of
//!    small order are refused where keys are read, see [`PublicKey`].)
//! 2. The second half is a number s below the order of the base point B.
//! 3. `[8]([s]B − R − [k]A) = 0`, where k is SHA-512 of R, A and the message, as they were encoded.
//!
//! Without the 8, parts of small order could cancel out between the signatures of a batch. The bytes of R and A are
//! hashed, so that nobody but the signer can turn one good signature into another. Everything that
//! [`identity::verify`](crate::identity::verify), OpenSSL or a browser's WebCrypto accepts is good by these rules too;
//! what they refuse must be looked at with them. Certificates and handshakes are checked one by one, by the stricter
//! function.
//!
//! # Many at once
//!
//! The equations of a batch, each times a random number of 128 bits, are added and checked as one. The numbers come from
//! a hash over the whole batch: whoever wants wrong signatures to cancel out must find a hash to fit. Keys that come
//! more than once cost one multiplication together.
//!
//! # In browsers
//!
//! Chromium's WebCrypto checks 22,000 signatures per CPU second, on the main thread as well; this
//! module, compiled to wasm, 12,400 one by one, 25,600 in batches of 8 and 47,000 in batches of 256
//! (`tests/web/verify.test.mjs`). Many signatures at once are faster here; a single one would wait
//! for a promise to save 40 µs, and could get another verdict.
use crate::key::PublicKey;
use crate::sorted::SortedMap;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::VartimeMultiscalarMul as _;
use ed25519_dalek::VerifyingKey;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use sha2::{Digest as _, Sha256, Sha512};

#[cfg(test)]
mod tests;

/// How the signatures of records are checked: [`verify_all`], or a function that remembers what it has checked.
/// The place of the first that is not good is the error.
pub type VerifyAll = fn(&[Claim]) -> Result<(), usize>;

/// That a key signed a message.
#[derive(Clone, Debug)]
pub struct Claim {
    pub(crate) key: VerifyingKey,
    pub(crate) message: Vec<u8>,
    pub(crate) signature: [u8; 64],
}

impl Claim {
    /// Claims that `signature` is `key`'s over `message`.
    pub fn new(key: &PublicKey, message: Vec<u8>, signature: [u8; 64]) -> Self {
        Self { key: key.decoded(), message, signature }
    }

    /// The key that is claimed to have signed.
    pub fn key(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// The signed message, its domain in front.
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// The signature.
    pub fn signature(&self) -> &[u8; 64] {
        &self.signature
    }
}

/// Checks signatures, all at once if there are more than one.
///
/// # Errors
/// The place of the first that is not good.
pub fn verify_all(claims: &[Claim]) -> Result<(), usize> {
    let mut equations = Vec::with_capacity(claims.len());
    for (place, claim) in claims.iter().enumerate() {
        match Equation::of(claim) {
            Some(equation) => equations.push(equation),
            // Those before it may be no better.
            None => return first_wrong(&equations).map_or(Err(place), Err),
        }
    }
    if equations.len() > 1 && hold_together(&equations) {
        return Ok(());
    }
    first_wrong(&equations).map_or(Ok(()), Err)
}

/// Rule 3 of one signature, after rules 1 and 2.
struct Equation<'a> {
    key: &'a VerifyingKey,
    r: EdwardsPoint,
    s: Scalar,
    k: [u8; 64],
}

impl<'a> Equation<'a> {
    fn of(claim: &'a Claim) -> Option<Self> {
        let (r, s) = claim.signature.split_first_chunk::<32>()?;
        let s = Scalar::from_canonical_bytes(s.try_into().ok()?).into_option()?;
        let mut hash = Sha512::new();
        hash.update(r);
        hash.update(claim.key.as_bytes());
        hash.update(&claim.message);
        let r = CompressedEdwardsY(*r).decompress()?;
        Some(Self { key: &claim.key, r, s, k: hash.finalize().into() })
    }

    fn k(&self) -> Scalar {
        Scalar::from_bytes_mod_order_wide(&self.k)
    }

    fn holds(&self) -> bool {
        let minus_a = -self.key.to_edwards();
        let r = EdwardsPoint::vartime_double_scalar_mul_basepoint(&self.k(), &minus_a, &self.s);
        (r - self.r).is_small_order()
    }
}

fn first_wrong(equations: &[Equation<'_>]) -> Option<usize> {
    equations.iter().position(|equation| !equation.holds())
}

/// Whether the sum of all equations, each times a number of its own, holds.
fn hold_together(equations: &[Equation<'_>]) -> bool {
    let mut seed = Sha256::new();
    for equation in equations {
        // `k` is a hash over R, A and the message.
        seed.update(equation.k);
        seed.update(equation.s.as_bytes());
    }
    let mut rng = ChaCha12Rng::from_seed(seed.finalize().into());
    let mut base = Scalar::ZERO;
    let mut factors = Vec::with_capacity(equations.len());
    let mut keys: SortedMap<&[u8; 32], (Scalar, EdwardsPoint)> = SortedMap::new();
    for equation in equations {
        let mut number = [0; 16];
        rng.fill_bytes(&mut number);
        let factor = Scalar::from(u128::from_le_bytes(number));
        base -= factor * equation.s;
        factors.push(factor);
        let key = keys.entry(equation.key.as_bytes());
        let (sum, _) = key.or_insert_with(|| (Scalar::ZERO, equation.key.to_edwards()));
        *sum += factor * equation.k();
    }
    let b = curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
    let scalars = std::iter::once(base).chain(factors).chain(keys.values().map(|(sum, _)| *sum));
    let points = std::iter::once(b)
        .chain(equations.iter().map(|equation| equation.r))
        .chain(keys.values().map(|(_, a)| *a));
    EdwardsPoint::vartime_multiscalar_mul(scalars, points).is_small_order()
}
