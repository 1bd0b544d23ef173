//! Changes of others' records that say something false of their making. The rest of each is as an honest change would be, so
//! these are lies where the group's policy lets the liar change what others made.
use crate::host::HostId;
use crate::world::World;
use peergraph_core::id::{GroupId, RecordId};
use peergraph_core::record::{Beginning, Record, Signed};
use std::time::Duration;

/// A falsehood about who made a record, when, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nothing shows that its creator made it.
    Missing,
    /// The beginning of another record.
    Foreign,
    /// A version that its creator never signed.
    OtherVersion,
    /// It was made earlier.
    Earlier,
    /// It ends sooner than its creator wanted.
    Shorter,
    /// A signature by the liar, under the key of the creator.
    Countersigned,
    /// A beginning with one bit changed.
    Distorted,
    /// A record that its creator never made.
    Invented,
}

impl Origin {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Missing,
        Self::Foreign,
        Self::OtherVersion,
        Self::Earlier,
        Self::Shorter,
        Self::Countersigned,
        Self::Distorted,
        Self::Invented,
    ];
}

impl World {
    /// The change by `host` of a record that somebody else made, with this falsehood in it. Nothing if it holds none, or no
    /// second one to confuse it with.
    pub(super) fn lie_about_origin(
        &mut self,
        host: HostId,
        group: GroupId,
        origin: Origin,
    ) -> Option<Signed> {
        let me = self.hosts[host].peer_id();
        let of_others = |record: &Record| record.creator != me && !record.deleted;
        let record = self.application_record(host, of_others)?;
        let genuine = self.beginning(host, group, &record)?;
        let other = self.application_record(host, |it| of_others(it) && it.id != record.id);
        let foreign = other.and_then(|other| self.beginning(host, group, &other));
        let mine = self.own_record(host)?;
        let (any, bit) = (self.chance.any(), self.chance.within(0..8 * 64) as usize);
        // The fault is in the beginning alone: its key, version and end are those of the record.
        let foreign = match origin {
            Origin::Foreign => {
                let Beginning { key, version, expires, .. } = genuine;
                Some(Beginning { key, version, expires, ..foreign? })
            }
            Origin::Missing
            | Origin::OtherVersion
            | Origin::Earlier
            | Origin::Shorter
            | Origin::Countersigned
            | Origin::Distorted
            | Origin::Invented => None,
        };
        self.edit_by(host, group, &record, |change| match origin {
            Origin::Missing => change.beginning = None,
            Origin::Foreign => change.beginning = foreign,
            Origin::OtherVersion => {
                change.beginning = Some(Beginning { version: genuine.version + 1, ..genuine });
            }
            Origin::Earlier => change.created = change.created.before(Duration::from_secs(60)),
            Origin::Shorter => change.expires = change.modified.after(Duration::from_secs(5)),
            Origin::Countersigned => {
                change.beginning = Some(Beginning { signature: mine.signature, ..genuine });
            }
            Origin::Distorted => {
                let mut signature = genuine.signature;
                signature[bit / 8] ^= 1 << (bit % 8);
                change.beginning = Some(Beginning { signature, ..genuine });
            }
            Origin::Invented => {
                change.id = RecordId::new(change.creator, change.kind.as_str(), any);
            }
        })
    }
}
