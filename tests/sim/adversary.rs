//! Changes that a hostile peer or a broken one makes to frames on a wire.
//!
//! Frames are changed on their way: every frame that arrives could have been sent by a peer that
//! holds a real link. The receiver must drop that link at most, and nothing else.
use crate::chance::Chance;
use bytes::Bytes;
use memchr::memmem;

/// Which frames are changed. None by default.
#[derive(Clone, Debug, Default)]
pub struct Adversary {
    /// Probability that a frame of any link is changed.
    pub share: f64,
    /// The next frame that contains this has the byte after it changed; then no other.
    pub flip_after: Option<Bytes>,
    /// Frames changed so far.
    pub changed: u64,
}

impl Adversary {
    /// Perhaps changes a frame.
    pub(crate) fn tamper(&mut self, chance: &mut Chance, frame: Bytes) -> Bytes {
        if let Some(needle) = &self.flip_after
            && let Some(at) = memmem::find(&frame, needle)
            && at + needle.len() < frame.len()
        {
            let mut bytes = frame.to_vec();
            bytes[at + needle.len()] ^= 1;
            self.flip_after = None;
            self.changed += 1;
            return Bytes::from(bytes);
        }
        if self.share <= 0.0 || !chance.with(self.share) {
            return frame;
        }
        self.changed += 1;
        distort(chance, &frame)
    }
}

/// Flips a bit of a frame, cuts it, lengthens it, or replaces it with garbage.
pub fn distort(chance: &mut Chance, frame: &[u8]) -> Bytes {
    let mut bytes = frame.to_vec();
    match chance.within(0..4) {
        0 if !bytes.is_empty() => {
            let at = chance.within(0..bytes.len() as u64) as usize;
            bytes[at] ^= 1 << chance.within(0..8);
        }
        1 if !bytes.is_empty() => bytes.truncate(chance.within(0..bytes.len() as u64) as usize),
        2 => bytes.extend_from_slice(&chance.bytes32()),
        _ => return garbage(chance),
    }
    Bytes::from(bytes)
}

/// 1 to 600 bytes that mean nothing.
pub fn garbage(chance: &mut Chance) -> Bytes {
    let length = chance.within(1..600) as usize;
    let mut bytes = Vec::with_capacity(length + 32);
    while bytes.len() < length {
        bytes.extend_from_slice(&chance.bytes32());
    }
    bytes.truncate(length);
    Bytes::from(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distorted_frames_differ_from_what_was_sent() {
        let frame: Vec<u8> = (0..100).collect();
        for seed in 0..200 {
            let mut chance = Chance::new(seed);
            assert_ne!(distort(&mut chance, &frame), frame, "seed {seed}");
            assert!(!garbage(&mut chance).is_empty());
        }
    }
}
