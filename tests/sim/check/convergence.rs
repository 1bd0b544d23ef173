//! Equal stores: members that can reach each other end up with the same records, byte for byte.
use peergraph_core::record::Record;
use std::collections::BTreeMap;

/// Says how two stores differ, or `None`. Each is a list of live records.
pub fn difference(ours: &[Record], theirs: &[Record]) -> Option<String> {
    let by_id = |records: &[Record]| -> BTreeMap<_, _> {
        records.iter().map(|record| (record.id, record.clone())).collect()
    };
    let (left, right) = (by_id(ours), by_id(theirs));
    if left.len() != ours.len() || right.len() != theirs.len() {
        return Some("a record is listed twice".to_owned());
    }
    for (id, record) in &left {
        match right.get(id) {
            None => return Some(format!("{id:?} is missing at the second")),
            Some(other) if other != record => return Some(format!("{id:?} differs")),
            Some(_) => {}
        }
    }
    right
        .keys()
        .find(|id| !left.contains_key(id))
        .map(|id| format!("{id:?} is missing at the first"))
}
