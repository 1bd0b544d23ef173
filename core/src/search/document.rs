//! The texts of a record in which words are looked for.
use super::json;
use super::words;
use crate::limits::{SEARCHED_BYTES_MAX, SEARCHED_WORDS_MAX};
use crate::record::{MEDIA_TYPE, Record};
use std::ops::ControlFlow;

/// Places between two texts of one field: more than a phrase is long, so that none reaches from one into the next.
const GAP: u32 = crate::limits::PHRASE_WORDS_MAX as u32 + 1;

/// Goes through the words of a payload, each with its place. There are at most [`SEARCHED_WORDS_MAX`].
///
/// These payloads have words:
///
/// 1. JSON: its strings, those that are names in objects left out. It is JSON if its media type (see [`MEDIA_TYPE`])
///    is `application/json` or ends with `+json`; without a media type, if it begins as an array or object and is JSON.
/// 2. Text: all of it. It is text if it is UTF-8 and its media type begins with `text/`, or if it has none.
pub(crate) fn payload_words(record: &Record, mut each: impl FnMut(&str, u32)) {
    let kind = Kind::of(record);
    let cut = record.payload.get(..SEARCHED_BYTES_MAX).unwrap_or(&record.payload);
    let text = match std::str::from_utf8(cut) {
        Ok(text) => text,
        // The cut is inside a character.
        Err(error) if cut.len() < record.payload.len() && error.error_len().is_none() => {
            std::str::from_utf8(&cut[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return,
    };
    let is_json = match kind {
        Kind::Nothing => return,
        Kind::Text => false,
        Kind::Json => true,
        Kind::Unknown => {
            let begun = text.trim_start().starts_with(['[', '{']);
            begun && (cut.len() < record.payload.len() || json::strings(text, |_| {}).is_ok())
        }
    };
    let mut left = SEARCHED_WORDS_MAX;
    let mut place = 0;
    let mut take = |text: &str| {
        let end = words::words(text, place, |word, place| match left.checked_sub(1) {
            Some(rest) => {
                left = rest;
                each(word, place);
                ControlFlow::Continue(())
            }
            None => ControlFlow::Break(()),
        });
        if let ControlFlow::Continue(end) = end {
            place = end + GAP;
        }
    };
    if is_json {
        // The rest after a fault, or after the cut, cannot be found.
        let _ = json::strings(text, take);
    } else {
        take(text);
    }
}

/// Goes through the words of the texts that an attribute may have, each with its place.
pub(crate) fn attribute_words<'a>(
    texts: impl Iterator<Item = &'a str>,
    mut each: impl FnMut(&str, u32),
) {
    let mut place = 0;
    for text in texts {
        let end = words::words(text, place, |word, place| {
            each(word, place);
            ControlFlow::Continue(())
        });
        if let ControlFlow::Continue(end) = end {
            place = end + GAP;
        }
    }
}

/// The form of a payload.
enum Kind {
    Json,
    Text,
    /// Its publisher does not say.
    Unknown,
    /// It has no words.
    Nothing,
}

impl Kind {
    fn of(record: &Record) -> Self {
        let media_type = record
            .attributes
            .iter()
            .filter(|it| it.name == MEDIA_TYPE)
            .find_map(|it| it.value.text());
        let Some(media_type) = media_type else { return Self::Unknown };
        let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if essence == "application/json" || essence.ends_with("+json") {
            Self::Json
        } else if essence.starts_with("text/") {
            Self::Text
        } else {
            Self::Nothing
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::id::{CertificateId, Digest, PeerId, RecordId};
    use crate::record::{Attribute, Meta, RecordType, Value};
    use crate::time::WallTime;
    use std::sync::Arc;

    /// A record of a type by a peer, with nothing in it.
    pub(crate) fn record(kind: &str, creator: u8, random: u64, modified: u64) -> Record {
        let creator = PeerId::from_bytes([creator; 32]);
        Record {
            id: RecordId::new(creator, kind, random),
            kind: RecordType::new(kind).unwrap(),
            version: modified << 16,
            creator,
            modifier: None,
            created: WallTime(modified),
            modified: WallTime(modified),
            expires: WallTime(modified + 1_000_000_000),
            deleted: false,
            attributes: Vec::new(),
            payload: bytes::Bytes::new(),
            certificate: CertificateId::default(),
            beginning: None,
            signature: [0; 64],
        }
    }

    /// The part of a record that an index of records holds.
    pub(crate) fn meta(record: &Record) -> Meta {
        let digest = [record.id.as_bytes(), &record.version.to_be_bytes()[..]].concat();
        Meta {
            id: record.id,
            version: record.version,
            base: record.version,
            created: record.created,
            modified: record.modified,
            expires: record.expires,
            digest: Digest::of(&digest),
            size: record.size(),
            charged: record.size(),
            deleted: record.deleted,
            kind: record.kind.clone(),
            certificate: Arc::new(record.certificate),
            creator: Arc::new(record.creator),
            modifier: record.modifier.map(Arc::new),
        }
    }

    pub(crate) fn attribute(name: &str, value: Value) -> Attribute {
        Attribute { name: name.into(), value }
    }

    fn words_of(media_type: Option<&str>, payload: &[u8]) -> Vec<(String, u32)> {
        let mut record = record("note", 1, 1, 1);
        let media = media_type.map(|it| attribute(MEDIA_TYPE, Value::String(it.into())));
        record.attributes = media.into_iter().collect();
        record.payload = bytes::Bytes::copy_from_slice(payload);
        let mut found = Vec::new();
        payload_words(&record, |word, place| found.push((word.to_owned(), place)));
        found
    }

    fn plain(media_type: Option<&str>, payload: &[u8]) -> Vec<String> {
        words_of(media_type, payload).into_iter().map(|(word, _)| word).collect()
    }

    #[test]
    fn payloads_have_words_as_their_media_type_says() {
        let json = br#"{"title": "One two", "more": ["three"]}"#;
        for (media_type, expected) in [
            (None, &["one", "two", "three"][..]),
            (Some("application/json"), &["one", "two", "three"]),
            (Some("Application/LD+JSON; charset=utf-8"), &["one", "two", "three"]),
            (Some("text/plain"), &["title", "one", "two", "more", "three"]),
            (Some("image/png"), &[]),
        ] {
            assert_eq!(plain(media_type, json), expected, "{media_type:?}");
        }
        assert_eq!(plain(None, b"{not json}"), ["not", "json"]);
        assert_eq!(plain(Some("application/json"), b"[\"a\", oops"), ["a"]);
        assert_eq!(plain(None, b"\xff\xfe\0"), Vec::<String>::new());
    }

    #[test]
    fn no_phrase_reaches_from_one_string_into_the_next() {
        let found = words_of(None, br#"["a b", "c"]"#);
        let places: Vec<_> = found.iter().map(|(_, place)| *place).collect();
        assert_eq!(places, [0, 1, 2 + GAP]);
    }

    #[test]
    fn long_payloads_are_looked_through_up_to_a_bound() {
        let many = "word ".repeat(2 * SEARCHED_WORDS_MAX);
        assert_eq!(words_of(None, many.as_bytes()).len(), SEARCHED_WORDS_MAX);
        let far = format!("near{}far", " ".repeat(SEARCHED_BYTES_MAX));
        assert_eq!(plain(None, far.as_bytes()), ["near"]);
        let split = format!("{}ä", "a ".repeat(3) + &"-".repeat(SEARCHED_BYTES_MAX - 7));
        assert_eq!(plain(None, split.as_bytes()), ["a", "a", "a"]);
    }
}
