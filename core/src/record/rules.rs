//! The rules for a record that need neither key nor clock nor store.
use super::{Attribute, BadRecord, Record, Value, codec};
use crate::limits::{ATTRIBUTE_NAME_MAX, ATTRIBUTES_BYTES_MAX, ATTRIBUTES_MAX, PAYLOAD_BYTES_MAX};

/// Names by which searches reach the fields of a record, so that no attribute may have them.
const RESERVED_NAMES: [&str; 6] = [
    "peercreatorid",
    "peerlastmodifiedby",
    "peercreationtime",
    "peerlastmodificationtime",
    "peerrecordid",
    "peerrecordtype",
];

impl Record {
    /// Checks every rule that needs neither key nor clock:
    ///
    /// 1. The id is bound to creator and type.
    /// 2. Created ≤ modified < expires.
    /// 3. It has a modifier exactly if it was modified later than created.
    /// 4. A deleted record has neither attributes nor payload.
    /// 5. The payload has at most `payload_max` bytes, whatever the group says at most
    ///    [`PAYLOAD_BYTES_MAX`].
    /// 6. At most [`ATTRIBUTES_MAX`] attributes of [`ATTRIBUTES_BYTES_MAX`] encoded bytes together.
    /// 7. An attribute name has 1–40 ASCII letters and digits and is not reserved, in whatever case.
    /// 8. Real numbers are finite.
    /// 9. It has a beginning exactly if another than its creator modified it. That names the creator's key, and a lower
    ///    version.
    ///
    /// # Errors
    /// The first rule of this list that the record breaks.
    pub fn check(&self, payload_max: usize) -> Result<(), BadRecord> {
        if !self.id.fits(self.creator, self.kind.as_str()) {
            return Err(BadRecord::ForeignId);
        }
        let changed = self.modified > self.created;
        let ordered = self.created <= self.modified && self.modified < self.expires;
        if !ordered || self.modifier.is_some() != changed {
            return Err(BadRecord::Times);
        }
        if self.deleted && !(self.attributes.is_empty() && self.payload.is_empty()) {
            return Err(BadRecord::DeletedWithContent);
        }
        if self.payload.len() > payload_max.min(PAYLOAD_BYTES_MAX) {
            return Err(BadRecord::PayloadTooLong);
        }
        check_attributes(&self.attributes)?;
        let by_other = self.modifier.is_some_and(|modifier| modifier != self.creator);
        let begun = self.beginning.as_ref().map(|beginning| beginning.key.peer_id());
        let later = self.beginning.as_ref().is_none_or(|it| it.version < self.version);
        match begun == by_other.then_some(self.creator) && later {
            true => Ok(()),
            false => Err(BadRecord::Beginning),
        }
    }
}

pub(crate) fn check_attributes(attributes: &[Attribute]) -> Result<(), BadRecord> {
    if attributes.is_empty() {
        return Ok(());
    }
    if attributes.len() > ATTRIBUTES_MAX
        || codec::attributes_bytes(attributes) > ATTRIBUTES_BYTES_MAX
    {
        return Err(BadRecord::TooManyAttributes);
    }
    for Attribute { name, value } in attributes {
        let legal = (1..=ATTRIBUTE_NAME_MAX).contains(&name.len())
            && name.bytes().all(|c| c.is_ascii_alphanumeric());
        if !legal || RESERVED_NAMES.iter().any(|reserved| name.eq_ignore_ascii_case(reserved)) {
            return Err(BadRecord::AttributeName);
        }
        if matches!(value, Value::Real(number) if !number.is_finite()) {
            return Err(BadRecord::Encoding);
        }
    }
    Ok(())
}
