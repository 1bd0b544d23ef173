//! Goal: many signatures get the verdict that each gets alone, crafted ones included.
//! Method: every combination of small-order parts of R and of the key, with the secret scalars known.
use super::*;
use crate::identity::{Domain, Identity, verify};
use crate::time::WallTime;
use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT as B, EIGHT_TORSION};

fn honest(seed: u8, text: &str) -> Claim {
    let identity = Identity::generate([seed; 32], [seed; 16], "Ada", WallTime(0)).unwrap();
    let signature = identity.sign(Domain::Record, text.as_bytes());
    Claim::new(&identity.public_key(), Domain::Record.message(text.as_bytes()), signature)
}

fn scalar(seed: u8) -> Scalar {
    Scalar::from_bytes_mod_order([seed; 32])
}

/// A signature by the key `aB + of_key` with `rB + of_r` in front: what only the holder of `a` can make.
fn crafted(a: u8, of_key: EdwardsPoint, r: EdwardsPoint, nonce: Scalar, text: &str) -> Claim {
    let key = PublicKey::from_bytes((scalar(a) * B + of_key).compress().as_bytes());
    let key = key.expect("a part of large order makes a key usable");
    let message = text.as_bytes().to_vec();
    let r = r.compress();
    let mut hash = Sha512::new();
    hash.update(r.as_bytes());
    hash.update(key.as_bytes());
    hash.update(&message);
    let k = Scalar::from_bytes_mod_order_wide(&hash.finalize().into());
    let s = nonce + k * scalar(a);
    let signature = [*r.as_bytes(), *s.as_bytes()].concat().try_into().unwrap();
    Claim::new(&key, message, signature)
}

/// Every small-order part of key and R, the R of which is small altogether included.
fn all_crafted() -> Vec<Claim> {
    let mut claims = Vec::new();
    for of_key in EIGHT_TORSION {
        for of_r in EIGHT_TORSION {
            let nonce = scalar(7);
            claims.push(crafted(3, of_key, nonce * B + of_r, nonce, "crafted"));
            claims.push(crafted(4, of_key, of_r, Scalar::ZERO, "small"));
        }
    }
    claims
}

fn alone(claim: &Claim) -> bool {
    verify_all(std::slice::from_ref(claim)).is_ok()
}

#[test]
fn honest_signatures_hold_alone_and_together() {
    let claims: Vec<Claim> = (0..40).map(|n| honest(n % 7, &format!("{n}"))).collect();
    assert!(claims.iter().all(alone));
    for count in 0..claims.len() {
        assert_eq!(verify_all(&claims[..count]), Ok(()), "{count}");
    }
}

#[test]
fn first_wrong_signature_is_named_wherever_it_is() {
    let good: Vec<Claim> = (0..9).map(|n| honest(n, "hello")).collect();
    for place in 0..good.len() {
        for (byte, what) in [(0, "R"), (33, "s"), (63, "s above the order")] {
            let mut claims = good.clone();
            claims[place].signature[byte] ^= if byte == 63 { 0x20 } else { 1 };
            claims[8].message.push(b'!');
            assert_eq!(verify_all(&claims), Err(place.min(8)), "{what}");
        }
        let mut claims = good.clone();
        claims[place].message.push(b'!');
        assert_eq!(verify_all(&claims), Err(place));
        let mut claims = good.clone();
        claims[place].key = good[(place + 1) % 9].key;
        assert_eq!(verify_all(&claims), Err(place));
    }
}

#[test]
fn crafted_signatures_hold_alone_and_in_every_company() {
    let crafted = all_crafted();
    let (mut strict, mut lax) = (0, 0);
    for claim in &crafted {
        assert!(alone(claim));
        let key = PublicKey::from_bytes(claim.key()).unwrap();
        if verify(&key, &claim.message, &claim.signature) {
            strict += 1;
        } else {
            lax += 1;
        }
    }
    // They are not what the strict function takes: else they would show nothing.
    assert!(strict > 0 && lax > 64, "{strict} {lax}");
    assert_eq!(verify_all(&crafted), Ok(()));
    for (n, claim) in crafted.iter().enumerate() {
        for company in 0..8 {
            let claims = [claim.clone(), honest(company, &format!("{n}"))];
            assert_eq!(verify_all(&claims), Ok(()), "{n} beside {company}");
        }
    }
}

#[test]
fn wrong_signatures_with_small_parts_hold_neither_alone_nor_together() {
    let mut claims = all_crafted();
    for claim in &mut claims {
        claim.message.push(b'!');
        assert!(!alone(claim));
    }
    assert_eq!(verify_all(&claims), Err(0));
    for pair in claims.windows(2) {
        assert_eq!(verify_all(pair), Err(0));
    }
}

#[test]
fn wrong_signatures_do_not_cancel_out() {
    // Two that fail by the same amount in opposite directions: their plain sum holds.
    let mut claims = [honest(1, "hello"), honest(2, "hello")];
    for (claim, by) in claims.iter_mut().zip([Scalar::ONE, -Scalar::ONE]) {
        let (_, s) = claim.signature.split_at_mut(32);
        let moved = Scalar::from_canonical_bytes((&*s).try_into().unwrap()).unwrap() + by;
        s.copy_from_slice(moved.as_bytes());
    }
    assert_eq!(verify_all(&claims), Err(0));
    claims.swap(0, 1);
    assert_eq!(verify_all(&claims), Err(0));
}

#[test]
fn whatever_the_strict_function_takes_is_good() {
    for claim in all_crafted().into_iter().chain((0..50).map(|n| honest(n, "hello"))) {
        let key = PublicKey::from_bytes(claim.key()).unwrap();
        assert!(!verify(&key, &claim.message, &claim.signature) || alone(&claim));
    }
}

#[test]
fn keys_of_small_order_are_no_keys() {
    for point in EIGHT_TORSION {
        assert_eq!(PublicKey::from_bytes(point.compress().as_bytes()), None);
    }
}
