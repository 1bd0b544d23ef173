//! The Noise handshake of a link: XX over 25519, ChaCha20-Poly1305 and SHA-256.
//!
//! The state machine is `snow`'s; the primitives are the ones that the rest of the core uses already, and the only
//! randomness is the ephemeral key that the node hands in.
//!
//! **Proof of identity.** Inside the handshake each end shows a signature of its identity over the
//! handshake hash so far, its role and its static key ([`claim`]). The hash has the other end's
//! ephemeral key in it, so the signature is fresh for that end whatever the clocks say: a signature
//! that was recorded, or made for another role or another link, holds nowhere else, and a stolen
//! static key alone proves nothing.
//!
//! **Exposure to strangers.** The responder shows its identity certificate in the second message,
//! to anybody that dialled: name and peer id, but no group. The initiator shows its own in the
//! third, to the responder whose certificate it has read by then. Only a network that is closed by
//! [`Channel::secret`] tells a stranger nothing.
//!
//! **Frames after it** are sealed as Noise seals its transport messages, in order and under one key each way, with one
//! difference. The nonce is that of XChaCha20: 8 bytes of salt, which travel before the frame, and Noise's counter. The
//! salt changes whenever the host mixes in fresh bytes. So a snapshot of a virtual machine, which goes on with the key and
//! the counter of its original, seals no second frame under one nonce. After [`FRAMES_PER_KEY`] frames both ends take
//! the next key, as Noise's `Rekey` makes it.
use crate::address::Transport;
use chacha20poly1305::{AeadInOut as _, ChaCha20Poly1305, KeyInit as _, XChaCha20Poly1305};
use sha2::{Digest as _, Sha256};
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::CryptoResolver;
use snow::types::{Cipher, Dh, Hash, Random};
use subtle::ConstantTimeEq as _;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::{Zeroize as _, Zeroizing};

const TAG_BYTES: usize = 16;
const SALT_BYTES: usize = 8;
/// Bytes that sealing adds to a frame.
pub(crate) const SEAL_BYTES: usize = SALT_BYTES + TAG_BYTES;
const PATTERN: &str = "Noise_XX_25519_ChaChaPoly_SHA256";
/// The same with a secret that both ends have before the first message.
const PATTERN_WITH_SECRET: &str = "Noise_XXpsk0_25519_ChaChaPoly_SHA256";
/// Stands at the front of every prologue, so that another protocol's handshake is never ours.
const PROLOGUE: &[u8] = b"peergraph link 1";
/// Frames under one key before both ends take the next. Guess: far below any limit of the cipher.
const FRAMES_PER_KEY: u64 = 1 << 16;

/// How links are secured.
#[derive(Clone, Default)]
pub struct Channel {
    /// The arithmetic of the keys.
    pub curve: Curve,
    /// Known to every node of a closed network: a stranger without it gets no answer to its first
    /// message, and learns nothing of the nodes that are here. The nodes through which others are
    /// found need it too.
    pub secret: Option<Zeroizing<[u8; 32]>>,
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Channel").field("closed", &self.secret.is_some()).finish_non_exhaustive()
    }
}

/// The arithmetic of a handshake's keys. The default is X25519, and nothing else is safe.
#[derive(Clone, Copy)]
pub struct Curve {
    /// The public half of a secret.
    pub public: fn(&[u8; 32]) -> [u8; 32],
    /// The shared secret of our secret and the other end's public half; nothing if that half is
    /// unusable.
    pub agree: fn(&[u8; 32], &[u8; 32]) -> Option<[u8; 32]>,
}

impl Default for Curve {
    fn default() -> Self {
        Self { public: x25519_public, agree: x25519_agree }
    }
}

impl std::fmt::Debug for Curve {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Curve")
    }
}

fn x25519_public(secret: &[u8; 32]) -> [u8; 32] {
    PublicKey::from(&StaticSecret::from(*secret)).to_bytes()
}

fn x25519_agree(secret: &[u8; 32], public: &[u8; 32]) -> Option<[u8; 32]> {
    let shared = StaticSecret::from(*secret).diffie_hellman(&PublicKey::from(*public));
    // A key of low order would make the secret the same for everybody.
    shared.was_contributory().then(|| shared.to_bytes())
}

/// The key by which a node is known in its handshakes: one for all its links, so that the identity signs it once.
#[derive(Clone)]
pub(crate) struct StaticKey {
    secret: Zeroizing<[u8; 32]>,
    public: [u8; 32],
}

impl StaticKey {
    pub(crate) fn new(secret: Zeroizing<[u8; 32]>, curve: Curve) -> Self {
        let public = (curve.public)(&secret);
        Self { secret, public }
    }

    /// The public half, which the identity signs.
    pub(crate) fn public(&self) -> &[u8; 32] {
        &self.public
    }
}

/// The message that the identity of one end signs in a handshake: it claims this end, which has
/// this static key. `hash` is the handshake's before the message that carries the signature.
pub(crate) fn claim(initiator: bool, hash: &[u8; 32], public: &[u8]) -> Vec<u8> {
    let role: &[u8] = if initiator { b"initiator\0" } else { b"responder\0" };
    [role, hash, public].concat()
}

/// A handshake under way.
pub(crate) struct Handshake {
    state: Box<snow::HandshakeState>,
}

/// The peer's bytes do not fit the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken;

impl Handshake {
    /// Begins a handshake that is bound to the transport: a man in the middle who terminates DTLS on both sides
    /// has other fingerprints, and fails.
    pub(crate) fn new(
        initiator: bool,
        transport: Transport,
        key: &StaticKey,
        ephemeral: Zeroizing<[u8; 32]>,
        channel: &Channel,
    ) -> Self {
        let mut prologue = Vec::with_capacity(96);
        prologue.extend_from_slice(PROLOGUE);
        match transport {
            Transport::Rtc { ours, theirs } => {
                let (first, second) = if initiator { (ours, theirs) } else { (theirs, ours) };
                prologue.push(1);
                prologue.extend_from_slice(first.as_bytes());
                prologue.extend_from_slice(second.as_bytes());
            }
            Transport::WebSocket => prologue.push(2),
            Transport::Relay => prologue.push(3),
        }
        let resolver = Resolver { ephemeral, static_key: key.clone(), curve: channel.curve };
        let pattern = if channel.secret.is_some() { PATTERN_WITH_SECRET } else { PATTERN };
        let params = pattern.parse().expect("the pattern is one that snow knows");
        let builder = snow::Builder::with_resolver(params, Box::new(resolver))
            .local_private_key(&key.secret[..])
            .and_then(|builder| builder.prologue(&prologue))
            .and_then(|builder| match &channel.secret {
                Some(secret) => builder.psk(0, secret),
                None => Ok(builder),
            })
            .expect("each is set once");
        let built = if initiator { builder.build_initiator() } else { builder.build_responder() };
        Self { state: Box::new(built.expect("the resolver knows the pattern's primitives")) }
    }

    /// The hash over all that has passed.
    pub(crate) fn hash(&self) -> [u8; 32] {
        let hash = self.state.get_handshake_hash();
        *hash.first_chunk().expect("SHA-256 has 32 bytes")
    }

    /// Their static public key, once their message with it has been read.
    pub(crate) fn their_public(&self) -> Option<&[u8]> {
        self.state.get_remote_static()
    }

    /// Whether it is our turn to write.
    pub(crate) fn is_my_turn(&self) -> bool {
        self.state.is_my_turn() && !self.state.is_handshake_finished()
    }

    /// Whether all three messages have passed.
    pub(crate) fn is_finished(&self) -> bool {
        self.state.is_handshake_finished()
    }

    /// Writes the next message.
    pub(crate) fn write(&mut self, payload: &[u8]) -> Vec<u8> {
        // Two keys and two tags at most.
        let mut message = vec![0; payload.len() + 96];
        let written = self.state.write_message(payload, &mut message);
        message.truncate(written.expect("it is our turn, and the buffer is large enough"));
        message
    }

    /// Reads the peer's next message and returns its payload.
    pub(crate) fn read(&mut self, message: &[u8]) -> Result<Vec<u8>, Broken> {
        let mut payload = vec![0; message.len()];
        let read = self.state.read_message(message, &mut payload).map_err(|_| Broken)?;
        payload.truncate(read);
        Ok(payload)
    }

    /// The hash that names this handshake, the same at both ends, and the keys for what follows.
    pub(crate) fn finish(mut self) -> ([u8; 32], Seal) {
        debug_assert!(self.is_finished(), "only called when finished");
        let hash = self.hash();
        let (from_initiator, from_responder) = self.state.dangerously_get_raw_split();
        let way = |key| Way { key: Zeroizing::new(key), frames: 0 };
        let (ours, theirs) = match self.state.is_initiator() {
            true => (way(from_initiator), way(from_responder)),
            false => (way(from_responder), way(from_initiator)),
        };
        (hash, Seal { ours, theirs })
    }
}

/// Seals the frames of a link that somebody else carries.
pub(crate) struct Seal {
    ours: Way,
    theirs: Way,
}

/// The frames of one direction.
struct Way {
    key: Zeroizing<[u8; 32]>,
    frames: u64,
}

impl Seal {
    /// Seals the next frame of ours. `salt` is what the node has drawn since its host woke last.
    pub(crate) fn seal(&mut self, frame: &[u8], salt: u64) -> Vec<u8> {
        let salt = salt.to_be_bytes();
        let nonce = self.ours.nonce(salt);
        let mut sealed = Vec::with_capacity(frame.len() + SEAL_BYTES);
        sealed.extend_from_slice(&salt);
        sealed.extend_from_slice(frame);
        let tag = XChaCha20Poly1305::new(&(*self.ours.key).into())
            .encrypt_inout_detached(&nonce.into(), &[], (&mut sealed[SALT_BYTES..]).into())
            .expect("a frame is far below the cipher's limit");
        sealed.extend_from_slice(&tag);
        self.ours.passed();
        sealed
    }

    /// Opens the next frame of theirs.
    pub(crate) fn open(&mut self, sealed: &[u8]) -> Result<Vec<u8>, Broken> {
        let (salt, rest) = sealed.split_first_chunk().ok_or(Broken)?;
        let (text, tag) = rest.split_last_chunk::<TAG_BYTES>().ok_or(Broken)?;
        let nonce = self.theirs.nonce(*salt);
        let mut frame = text.to_vec();
        XChaCha20Poly1305::new(&(*self.theirs.key).into())
            .decrypt_inout_detached(&nonce.into(), &[], frame.as_mut_slice().into(), tag.into())
            .map_err(|_| Broken)?;
        self.theirs.passed();
        Ok(frame)
    }
}

impl Way {
    fn nonce(&self, salt: [u8; SALT_BYTES]) -> [u8; 24] {
        let mut nonce = [0; 24];
        nonce[..SALT_BYTES].copy_from_slice(&salt);
        nonce[16..].copy_from_slice(&self.frames.to_le_bytes());
        nonce
    }

    /// Counts a frame, and takes the next key where it is time.
    fn passed(&mut self) {
        self.frames = self.frames.checked_add(1).expect("2^64 frames are never reached");
        if self.frames.is_multiple_of(FRAMES_PER_KEY) {
            self.key = next_key(&self.key);
        }
    }
}

/// Noise's `Rekey`: what the cipher makes of zeros under the last nonce. Source: the Noise specification, section 4.2.
fn next_key(key: &[u8; 32]) -> Zeroizing<[u8; 32]> {
    let mut next = Zeroizing::new([0; 32]);
    ChaCha20Poly1305::new(&(*key).into())
        .encrypt_inout_detached(&ChaChaPoly::nonce(u64::MAX).into(), &[], next[..].as_mut().into())
        .expect("32 bytes are far below the cipher's limit");
    next
}

struct Resolver {
    ephemeral: Zeroizing<[u8; 32]>,
    static_key: StaticKey,
    curve: Curve,
}

impl CryptoResolver for Resolver {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(OneKey(Some(self.ephemeral.clone()))))
    }
    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        let known = || X25519 { key: None, known: self.static_key.clone(), curve: self.curve };
        matches!(choice, DHChoice::Curve25519).then(|| Box::new(known()) as Box<dyn Dh>)
    }
    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        matches!(choice, HashChoice::SHA256).then(|| Box::new(Sha(Sha256::new())) as Box<dyn Hash>)
    }
    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        let known = matches!(choice, CipherChoice::ChaChaPoly);
        known.then(|| Box::new(ChaChaPoly::default()) as Box<dyn Cipher>)
    }
}

/// A source of randomness that is good for one key: a second draw fails rather than repeats.
struct OneKey(Option<Zeroizing<[u8; 32]>>);

impl Random for OneKey {
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), snow::Error> {
        let key = self.0.take().ok_or(snow::Error::Rng)?;
        if dest.len() != key.len() {
            return Err(snow::Error::Rng);
        }
        dest.copy_from_slice(&key[..]);
        Ok(())
    }
}

struct X25519 {
    key: Option<StaticKey>,
    /// A key whose public half need not be computed again.
    known: StaticKey,
    curve: Curve,
}

impl Dh for X25519 {
    fn name(&self) -> &'static str {
        "25519"
    }
    fn pub_len(&self) -> usize {
        32
    }
    fn priv_len(&self) -> usize {
        32
    }
    fn set(&mut self, private: &[u8]) {
        if bool::from(private.ct_eq(&self.known.secret[..])) {
            self.key = Some(self.known.clone());
            return;
        }
        let mut secret = Zeroizing::new([0; 32]);
        secret.copy_from_slice(private);
        self.key = Some(StaticKey::new(secret, self.curve));
    }
    fn generate(&mut self, rng: &mut dyn Random) -> Result<(), snow::Error> {
        let mut secret = Zeroizing::new([0; 32]);
        rng.try_fill_bytes(&mut secret[..])?;
        self.key = Some(StaticKey::new(secret, self.curve));
        Ok(())
    }
    fn pubkey(&self) -> &[u8] {
        self.key.as_ref().map_or(&[0; 32], |key| &key.public)
    }
    fn privkey(&self) -> &[u8] {
        self.key.as_ref().map_or(&[0; 32], |key| &key.secret[..])
    }
    fn dh(&self, public: &[u8], out: &mut [u8]) -> Result<(), snow::Error> {
        let public: [u8; 32] =
            public.get(..32).and_then(|key| key.try_into().ok()).ok_or(snow::Error::Dh)?;
        let key = self.key.as_ref().ok_or(snow::Error::Dh)?;
        let shared = (self.curve.agree)(&key.secret, &public).ok_or(snow::Error::Dh)?;
        out[..32].copy_from_slice(&*Zeroizing::new(shared));
        Ok(())
    }
}

struct Sha(Sha256);

impl Hash for Sha {
    fn name(&self) -> &'static str {
        "SHA256"
    }
    fn block_len(&self) -> usize {
        64
    }
    fn hash_len(&self) -> usize {
        32
    }
    fn reset(&mut self) {
        self.0 = Sha256::new();
    }
    fn input(&mut self, data: &[u8]) {
        self.0.update(data);
    }
    fn result(&mut self, out: &mut [u8]) {
        out[..32].copy_from_slice(&self.0.finalize_reset());
    }
}

#[derive(Default)]
struct ChaChaPoly {
    key: [u8; 32],
}

impl Drop for ChaChaPoly {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

impl ChaChaPoly {
    fn nonce(nonce: u64) -> [u8; 12] {
        let mut bytes = [0; 12];
        bytes[4..].copy_from_slice(&nonce.to_le_bytes());
        bytes
    }
}

impl Cipher for ChaChaPoly {
    fn name(&self) -> &'static str {
        "ChaChaPoly"
    }
    fn set(&mut self, key: &[u8; 32]) {
        self.key = *key;
    }
    fn encrypt(&self, nonce: u64, authtext: &[u8], plaintext: &[u8], out: &mut [u8]) -> usize {
        let (text, tag) = out.split_at_mut(plaintext.len());
        text.copy_from_slice(plaintext);
        let made = ChaCha20Poly1305::new(&self.key.into())
            .encrypt_inout_detached(&Self::nonce(nonce).into(), authtext, text.into())
            .expect("a frame is far below the cipher's limit");
        tag[..TAG_BYTES].copy_from_slice(&made);
        plaintext.len() + TAG_BYTES
    }
    fn decrypt(
        &self,
        nonce: u64,
        authtext: &[u8],
        ciphertext: &[u8],
        out: &mut [u8],
    ) -> Result<usize, snow::Error> {
        let length = ciphertext.len().checked_sub(TAG_BYTES).ok_or(snow::Error::Decrypt)?;
        let (text, tag) = ciphertext.split_at(length);
        let tag: [u8; TAG_BYTES] = tag.try_into().map_err(|_| snow::Error::Decrypt)?;
        let out = out.get_mut(..length).ok_or(snow::Error::Decrypt)?;
        out.copy_from_slice(text);
        ChaCha20Poly1305::new(&self.key.into())
            .decrypt_inout_detached(&Self::nonce(nonce).into(), authtext, out.into(), &tag.into())
            .map_err(|_| snow::Error::Decrypt)?;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Fingerprint;

    fn begin(initiator: bool, transport: Transport, n: u8) -> Handshake {
        begin_in(initiator, transport, n, None)
    }

    fn begin_in(initiator: bool, transport: Transport, n: u8, secret: Option<u8>) -> Handshake {
        let secret = secret.map(|secret| Zeroizing::new([secret; 32]));
        let channel = Channel { secret, ..Channel::default() };
        let key = StaticKey::new(Zeroizing::new([n; 32]), channel.curve);
        Handshake::new(initiator, transport, &key, Zeroizing::new([n + 100; 32]), &channel)
    }

    fn rtc(ours: u8, theirs: u8) -> Transport {
        Transport::Rtc {
            ours: Fingerprint::from_bytes([ours; 32]),
            theirs: Fingerprint::from_bytes([theirs; 32]),
        }
    }

    type End = ([u8; 32], Seal);

    fn run(mut a: Handshake, mut b: Handshake) -> Result<(End, End), Broken> {
        assert_eq!(b.read(&a.write(b"one"))?, b"one");
        assert_eq!(a.read(&b.write(b"two"))?, b"two");
        assert_eq!(b.read(&a.write(b"three"))?, b"three");
        let public = |n| x25519_public(&[n; 32]);
        assert_eq!(a.their_public(), Some(&public(2)[..]));
        assert_eq!(b.their_public(), Some(&public(1)[..]));
        assert!(a.is_finished() && b.is_finished());
        Ok((a.finish(), b.finish()))
    }

    #[test]
    fn both_ends_get_the_same_hash_and_keys_that_open_each_others_frames() {
        let (a, b) = (begin(true, rtc(1, 2), 1), begin(false, rtc(2, 1), 2));
        let ((hash_a, mut a), (hash_b, mut b)) = run(a, b).expect("an honest handshake");
        assert_eq!(hash_a, hash_b);
        let sealed = a.seal(b"hello", 7);
        assert_eq!(b.open(&sealed).as_deref(), Ok(&b"hello"[..]));
        assert_eq!(b.open(&sealed), Err(Broken), "a frame opens once");
    }

    #[test]
    fn a_man_in_the_middle_of_the_transport_is_refused() {
        let (a, b) = (begin(true, rtc(1, 9), 1), begin(false, rtc(2, 9), 2));
        assert!(run(a, b).is_err());
    }

    #[test]
    fn whoever_lacks_the_secret_of_a_closed_network_gets_no_answer() {
        let end = |initiator, n, secret| begin_in(initiator, Transport::WebSocket, n, secret);
        assert!(run(end(true, 1, Some(7)), end(false, 2, Some(7))).is_ok());
        for (ours, theirs) in [(None, Some(7)), (Some(7), None), (Some(8), Some(7))] {
            let (mut a, mut b) = (end(true, 1, ours), end(false, 2, theirs));
            // An end without a secret takes what it cannot read for the other's greeting; the link decodes it.
            let read = b.read(&a.write(b"one"));
            assert!(theirs.is_none() || read == Err(Broken), "{ours:?} {theirs:?}");
            assert_ne!(read.as_deref(), Ok(&b"one"[..]), "{ours:?} {theirs:?}");
        }
    }

    #[test]
    fn keys_change_after_so_many_frames_at_both_ends() {
        let (a, b) = (begin(true, Transport::WebSocket, 1), begin(false, Transport::WebSocket, 2));
        let ((_, mut a), (_, mut b)) = run(a, b).expect("an honest handshake");
        for n in 0..FRAMES_PER_KEY + 2 {
            let sealed = a.seal(&[n as u8], n / 100);
            assert_eq!(b.open(&sealed).as_deref(), Ok(&[n as u8][..]));
        }
    }

    fn link() -> (Seal, Seal) {
        let (a, b) = (begin(true, Transport::WebSocket, 1), begin(false, Transport::WebSocket, 2));
        let ((_, a), (_, b)) = run(a, b).expect("an honest handshake");
        (a, b)
    }

    fn copy(way: &Way) -> Way {
        Way { key: way.key.clone(), frames: way.frames }
    }

    #[test]
    fn a_copy_of_a_link_that_woke_apart_seals_nothing_under_the_same_nonce() {
        let (mut a, mut b) = link();
        b.open(&a.seal(b"before", 1)).expect("opens");
        let mut copied = Seal { ours: copy(&a.ours), theirs: copy(&a.theirs) };
        // The same frame, so that equal nonces would show as equal bytes.
        let (ours, theirs) = (a.seal(b"same", 2), copied.seal(b"same", 3));
        assert_ne!(ours[SALT_BYTES..], theirs[SALT_BYTES..]);
        assert_eq!(b.open(&ours).as_deref(), Ok(&b"same"[..]));
        assert_eq!(b.open(&theirs), Err(Broken), "of two copies the link has one");
    }

    #[test]
    fn frames_open_once_in_their_order_and_as_they_are() {
        let (mut a, mut b) = link();
        let frames: Vec<_> = (0..4).map(|n| a.seal(&[n; 9], 5)).collect();
        assert_eq!(b.open(&frames[1]), Err(Broken), "one is missing");
        assert_eq!(b.open(&frames[0]).as_deref(), Ok(&[0; 9][..]));
        for at in 0..frames[1].len() {
            let mut changed = frames[1].clone();
            changed[at] ^= 1;
            assert_eq!(b.open(&changed), Err(Broken), "{at}");
            assert_eq!(b.open(&frames[1][..at]), Err(Broken), "{at}");
        }
        assert_eq!(b.open(&frames[1]).as_deref(), Ok(&[1; 9][..]));
        assert_eq!(b.open(&frames[0]), Err(Broken), "again");
        assert_eq!(a.open(&frames[2]), Err(Broken), "back to its sender");
    }

    #[test]
    fn keys_that_follow_are_those_of_the_specification() {
        // By snow, which has a rekeying of its own.
        let (mut a, mut b) =
            (begin(true, Transport::WebSocket, 1), begin(false, Transport::WebSocket, 2));
        b.read(&a.write(b"")).expect("one");
        a.read(&b.write(b"")).expect("two");
        b.read(&a.write(b"")).expect("three");
        let (key, _) = a.state.dangerously_get_raw_split();
        let mut transport = a.state.into_transport_mode().expect("finished");
        transport.rekey_outgoing();
        let mut theirs = vec![0; 5 + TAG_BYTES];
        transport.write_message(b"hello", &mut theirs).expect("written");
        let mut ours = vec![0; 5 + TAG_BYTES];
        let cipher = ChaChaPoly { key: *next_key(&key) };
        cipher.encrypt(0, &[], b"hello", &mut ours);
        assert_eq!(ours, theirs);
    }

    #[test]
    fn garbage_is_an_error_whatever_its_length() {
        for length in 0..200 {
            let mut b = begin(false, Transport::WebSocket, 2);
            let read = b.read(&vec![7; length]);
            assert!(read.is_err() || length >= 32);
        }
    }
}
