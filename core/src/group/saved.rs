//! The part of a group that is kept besides its records: written when it changes, and read at the start.
use super::known::Known;
use super::peer_time::PeerTime;
use super::plausible::Plausible;
use super::{Ctx, Group, Timer};
use crate::address::{self, Address};
use crate::cert::{self, Certificate};
use crate::id::{GroupId, PeerId, RecordId, RootPin};
use crate::identity::{GroupKey, Identity, Verify};
use crate::io::StoreFault;
use crate::password::Secret;
use crate::sealed::Secrets;
use crate::storage::{self, Commit};
use crate::time::{Time, WallTime};
use crate::wire;
use minicbor::{Decode, Encode};
use std::time::Duration;

/// A group as it is kept, without its records.
#[derive(Encode, Decode)]
#[cbor(map)]
struct Saved {
    #[cbor(n(0), with = "minicbor::bytes")]
    root: Vec<u8>,
    #[n(1)]
    name: String,
    #[cbor(n(3), with = "minicbor::bytes")]
    chain: Vec<u8>,
    #[n(4)]
    ready: bool,
    #[n(5)]
    peer_time_shift: i64,
    #[cbor(n(6), decode_with = "address::decode_known_lists")]
    known: Vec<Vec<Address>>,
    /// With lives in milliseconds.
    #[n(8)]
    refreshed: Option<Vec<(RecordId, u64)>>,
    /// With their versions.
    #[n(9)]
    hidden: Option<Vec<(RecordId, u64)>>,
    /// The peers whose addresses `known` are; no id where that is not known.
    #[n(10)]
    known_of: Option<Vec<PeerId>>,
    #[n(16)]
    peer_time_base: Option<i64>,
    #[n(17)]
    pin: Option<RootPin>,
    /// As text.
    #[n(18)]
    nodes: Option<Vec<String>>,
    /// See [`FORMAT`].
    #[n(19)]
    format: u32,
    /// Secrets that nobody else may know, see `sealed.rs`.
    #[cbor(n(20), with = "minicbor::bytes")]
    secrets: Option<Vec<u8>>,
    /// How often passwords were tried in vain: invitation, source, failures.
    #[n(21)]
    tries: Option<Vec<(RecordId, u64, u32)>>,
    /// The latest plausible time, in milliseconds.
    #[n(22)]
    latest: Option<u64>,
    /// The line of the group's own keys, if that is more than the root.
    #[cbor(n(23), with = "minicbor::bytes")]
    line: Option<Vec<u8>>,
}

/// The form of [`Saved`]. One of another form is refused with the reason: it may name secrets that this one does not.
const FORMAT: u32 = 2;

/// The part of [`Saved`] that every form has.
#[derive(Decode)]
#[cbor(map)]
struct Form {
    #[n(19)]
    format: Option<u32>,
}

/// The saved form of a group, read and written again.
#[cfg(test)]
pub(crate) fn saved_again(bytes: &[u8]) -> Option<Vec<u8>> {
    Some(wire::encode(&minicbor::decode::<Saved>(bytes).ok()?))
}

impl Group {
    /// Restores a group from its saved form, or says why that does not hold.
    pub(crate) fn restore(
        id: GroupId,
        bytes: &[u8],
        verify: Verify,
        table_secret: u64,
        identity: &Identity,
        now: Time,
    ) -> Result<Self, StoreFault> {
        let damaged = StoreFault::Damaged;
        let Form { format } = minicbor::decode(bytes).map_err(|_| damaged)?;
        if format != Some(FORMAT) {
            return Err(StoreFault::OtherVersion);
        }
        let saved: Saved = minicbor::decode(bytes).map_err(|_| damaged)?;
        let root = Certificate::from_der(&saved.root).map_err(|_| damaged)?;
        let certificates = cert::decode_chain(&saved.chain).map_err(|_| damaged)?;
        let chain = cert::verify_chain(&certificates, id, verify).map_err(|_| damaged)?;
        if *chain.root() != root || saved.pin.is_some_and(|pin| pin != RootPin::of(root.der())) {
            return Err(damaged);
        }
        if chain.peer() != identity.peer_id() {
            return Err(StoreFault::OtherIdentity);
        }
        let line = match &saved.line {
            Some(line) => cert::decode_chain(line).map_err(|_| damaged)?,
            None => vec![root.clone()],
        };
        if line.first() != Some(&root) {
            return Err(damaged);
        }
        let line = cert::verify_line(&line, id, verify).map_err(|_| damaged)?;
        let mut group = Self::new(table_secret, saved.name, line);
        if let Some(sealed) = saved.secrets {
            let secrets = group.open_secrets(identity, &sealed).ok_or(damaged)?;
            group.take_secrets(secrets).ok_or(damaged)?;
        }
        group.take_password_tries(now, saved.tries.unwrap_or_default());
        group.roll.choose(chain.clone(), 0);
        group.chain = Some(chain);
        group.ready = saved.ready;
        group.joined = true;
        group.peer_time = PeerTime::restore(saved.peer_time_shift, saved.peer_time_base);
        group.plausible = Plausible::restore(WallTime(saved.latest.unwrap_or_default()));
        let mut peers = saved.known_of.unwrap_or_default().into_iter();
        let peer_of = |peer: Option<PeerId>| peer.filter(|peer| *peer != PeerId::default());
        let known = saved.known.into_iter();
        group.known =
            known.map(|addresses| Known { peer: peer_of(peers.next()), addresses }).collect();
        let nodes = saved.nodes.unwrap_or_default();
        group.nodes = nodes.iter().filter_map(|url| url.parse().ok()).collect();
        let lives = saved.refreshed.unwrap_or_default().into_iter();
        group.refreshed = lives.map(|(id, ms)| (id, Duration::from_millis(ms))).collect();
        group.hidden = saved.hidden.unwrap_or_default().into_iter().collect();
        Ok(group)
    }

    fn open_secrets(&self, identity: &Identity, sealed: &[u8]) -> Option<Secrets> {
        let opened = identity.sealer().open(&storage::info_key(self.id), sealed).ok()?;
        Secrets::from_bytes(&opened).ok()
    }

    fn take_secrets(&mut self, secrets: Secrets) -> Option<()> {
        if let Some(key) = &secrets.group_key {
            self.spare.push(GroupKey::from_bytes(key).ok()?);
        }
        for key in &secrets.spare_keys {
            self.spare.push(GroupKey::from_bytes(key).ok()?);
        }
        self.settle_keys();
        let passwords = secrets.passwords.into_iter();
        self.passwords.known = passwords.map(|(id, it)| (id, Secret::from_bytes(it))).collect();
        Some(())
    }

    /// The secrets of this group, sealed for the store; nothing where there are none.
    fn seal_secrets(&self, identity: &Identity) -> Option<Vec<u8>> {
        let secrets = Secrets {
            group_key: self.key.as_ref().map(GroupKey::to_bytes),
            passwords: self.password_secrets(),
            spare_keys: self.spare.iter().map(GroupKey::to_bytes).collect(),
        };
        let place = storage::info_key(self.id);
        (!secrets.is_empty()).then(|| identity.sealer().seal(&place, &secrets.to_bytes()))
    }

    /// Writes what is kept of the group besides its records. The first time that this is durable, the application is told
    /// of the group, whichever save it was: the disk may have refused the earlier ones.
    pub(super) fn save(&mut self, ctx: &mut Ctx<'_>) {
        self.write_info(ctx);
        if self.chain.is_some() && !self.joined {
            self.commit(ctx, Commit::Group { group: self.id, request: None });
        }
    }

    pub(super) fn write_info(&mut self, ctx: &mut Ctx<'_>) {
        let Some(chain) = &self.chain else { return };
        let saved = Saved {
            root: self.root().der().to_vec(),
            name: self.name.clone(),
            chain: cert::encode_chain(chain.certificates()),
            ready: self.ready,
            peer_time_shift: self.peer_time.shift_ms(),
            peer_time_base: Some(self.peer_time.base_ms()),
            latest: Some(self.plausible.save_latest().0),
            pin: Some(RootPin::of(self.root().der())),
            nodes: Some(self.nodes.iter().map(ToString::to_string).collect()),
            known: self.known.iter().map(|known| known.addresses.clone()).collect(),
            known_of: Some(self.known.iter().map(|known| known.peer.unwrap_or_default()).collect()),
            format: FORMAT,
            secrets: self.seal_secrets(ctx.identity),
            tries: Some(self.password_tries()).filter(|tries| !tries.is_empty()),
            refreshed: Some(
                self.refreshed.iter().map(|(&id, life)| (id, life.as_millis() as u64)).collect(),
            ),
            hidden: Some(self.hidden.iter().map(|(&id, &version)| (id, version)).collect()),
            line: Some(self.roll.owner().certificates())
                .filter(|line| line.len() > 1)
                .map(cert::encode_chain),
        };
        let bytes = wire::encode(&saved);
        let key = storage::info_key(self.id);
        let value = storage::checked(&key, &bytes);
        ctx.storage.write(key, Some(value));
        self.timers.clear(Timer::Save);
    }
}
