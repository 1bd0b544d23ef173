//! The keys of an index: everything of a record that can be looked up.
//!
//! ```text
//! "w" ‖ word                                     a word of the payload, with places
//! "x" ‖ attribute ‖ 0 ‖ word                     a word of a text of an attribute, with places
//! "t" ‖ type        "c" ‖ creator (32)           "m" ‖ modifier (32)
//! "s" ‖ attribute ‖ 0 ‖ text                     its values
//! "n" ‖ attribute ‖ 0 ‖ order (8) ‖ kind (1) ‖ number (8)
//! "d" ‖ attribute ‖ 0 ‖ milliseconds (8)
//! "b" ‖ attribute ‖ 0 ‖ 0 or 1
//! ```
//!
//! Names of attributes are in lower case. Values of one attribute and kind are in their order: numbers by the real number
//! that is nearest, which `order` is, big-endian and with its sign turned so that bytes compare as numbers do.
use crate::id::PeerId;
use crate::record::Value;
use crate::time::WallTime;

/// The first byte of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Word,
    AttributeWord,
    Type,
    Creator,
    Modifier,
    Text,
    Number,
    Date,
    Truth,
}

impl Kind {
    pub(crate) const fn byte(self) -> u8 {
        match self {
            Self::Word => b'w',
            Self::AttributeWord => b'x',
            Self::Type => b't',
            Self::Creator => b'c',
            Self::Modifier => b'm',
            Self::Text => b's',
            Self::Number => b'n',
            Self::Date => b'd',
            Self::Truth => b'b',
        }
    }
}

/// Whether the postings of a key have places.
pub(crate) fn has_places(key: &[u8]) -> bool {
    matches!(key.first(), Some(b'w' | b'x'))
}

/// The key of this kind, and of this attribute if it is one's, up to what differs.
pub(crate) fn begun(kind: Kind, attribute: Option<&str>) -> Vec<u8> {
    let mut key = vec![kind.byte()];
    if let Some(name) = attribute {
        key.extend(name.bytes().map(|byte| byte.to_ascii_lowercase()));
        key.push(0);
    }
    key
}

/// The key of a peer.
pub(crate) fn of_peer(kind: Kind, peer: PeerId) -> Vec<u8> {
    [&[kind.byte()], &peer.as_bytes()[..]].concat()
}

/// The key of a value.
pub(crate) fn of_value(attribute: &str, value: &Value) -> Vec<u8> {
    let begun = |kind| begun(kind, Some(attribute));
    match value {
        Value::String(text) => [&begun(Kind::Text), text.as_bytes()].concat(),
        Value::Integer(number) => {
            let order = order(*number as f64);
            [&begun(Kind::Number)[..], &order, b"i", &number.to_be_bytes()].concat()
        }
        Value::Real(number) => {
            let bits = number.to_bits().to_be_bytes();
            [&begun(Kind::Number)[..], &order(*number), b"r", &bits].concat()
        }
        Value::Date(time) => [&begun(Kind::Date)[..], &time.0.to_be_bytes()].concat(),
        Value::Boolean(truth) => [&begun(Kind::Truth)[..], &[u8::from(*truth)]].concat(),
    }
}

/// The lowest bytes above all that begin with these; nothing if there are none.
pub(crate) fn after(begun: &[u8]) -> Vec<u8> {
    let mut after = begun.to_vec();
    while after.pop_if(|last| *last == u8::MAX).is_some() {}
    if let Some(last) = after.last_mut() {
        *last += 1;
    }
    after
}

/// The value of a key, of which `begun` bytes come before it.
pub(crate) fn value_of(key: &[u8], begun: usize) -> Option<Value> {
    let (kind, rest) = (key.first()?, key.get(begun..)?);
    let eight = |bytes: &[u8]| Some(*bytes.first_chunk::<8>()?);
    Some(match kind {
        b's' | b't' => Value::String(std::str::from_utf8(rest).ok()?.to_owned()),
        b'n' => match (rest.get(8)?, eight(rest.get(9..)?)?) {
            (b'i', bytes) => Value::Integer(i64::from_be_bytes(bytes)),
            (_, bytes) => Value::Real(f64::from_bits(u64::from_be_bytes(bytes))),
        },
        b'd' => Value::Date(WallTime(u64::from_be_bytes(eight(rest)?))),
        b'b' => Value::Boolean(*rest.first()? != 0),
        _ => return None,
    })
}

/// Bytes that compare as numbers do.
pub(crate) fn order(number: f64) -> [u8; 8] {
    // Both zeros are one number.
    let bits = (number + 0.0).to_bits();
    let turned = if bits >> 63 == 0 { bits | 1 << 63 } else { !bits };
    turned.to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values() -> impl Strategy<Value = Value> {
        prop_oneof![
            any::<String>().prop_map(Value::String),
            any::<i64>().prop_map(Value::Integer),
            (-9..9_i64).prop_map(Value::Integer),
            any::<f64>()
                .prop_filter("records have no others", |it| it.is_finite())
                .prop_map(Value::Real),
            any::<u64>().prop_map(|it| Value::Date(WallTime(it))),
            any::<bool>().prop_map(Value::Boolean),
        ]
    }

    proptest! {
        #[test]
        fn values_are_read_from_their_keys(name in "[a-zA-Z0-9]{1,40}", value in values()) {
            let key = of_value(&name, &value);
            prop_assert_eq!(value_of(&key, name.len() + 2), Some(value));
            prop_assert!(!has_places(&key));
        }

        #[test]
        fn keys_of_numbers_are_in_their_order(a in any::<i64>(), b in any::<f64>(), c in -9..9_i64) {
            let numbers = [(a as f64, Value::Integer(a)), (b, Value::Real(b)), (c as f64, Value::Integer(c))];
            for (x, one) in &numbers {
                for (y, other) in &numbers {
                    if x < y {
                        prop_assert!(of_value("n", one) < of_value("n", other), "{x} {y}");
                    }
                }
            }
        }
    }

    #[test]
    fn both_zeros_are_one_number() {
        assert_eq!(order(0.0), order(-0.0));
        assert!(order(-f64::MIN_POSITIVE) < order(0.0) && order(0.0) < order(f64::MIN_POSITIVE));
    }
}
