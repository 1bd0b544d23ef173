//! A reader of JSON (RFC 8259), piece by piece: for queries, and for the strings in payloads.
//!
//! It allocates strings with escapes only, and goes no deeper than its caller.
use std::borrow::Cow;

/// Reads JSON from its front.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
}

/// A piece of JSON.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token<'a> {
    /// One of `{}[]:,`.
    Mark(u8),
    String(Cow<'a, str>),
    /// As it stands there.
    Number(&'a str),
    Boolean(bool),
    Null,
}

/// It is no JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

impl<'a> Reader<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Where the next piece begins. Bytes.
    pub(crate) fn at(&mut self) -> usize {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
        self.at
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// The next piece; nothing at the end.
    ///
    /// # Errors
    /// [`Malformed`] if no piece begins here.
    pub(crate) fn next(&mut self) -> Result<Option<Token<'a>>, Malformed> {
        self.at();
        let rest = self.rest();
        let Some(first) = rest.bytes().next() else { return Ok(None) };
        let (token, bytes) = match first {
            b'{' | b'}' | b'[' | b']' | b':' | b',' => (Token::Mark(first), 1),
            b'"' => string(&rest[1..]).map(|(text, bytes)| (Token::String(text), 2 + bytes))?,
            b'-' | b'0'..=b'9' => {
                let bytes = number(rest.as_bytes()).ok_or(Malformed)?;
                (Token::Number(&rest[..bytes]), bytes)
            }
            _ => {
                let words = [
                    ("true", Token::Boolean(true)),
                    ("false", Token::Boolean(false)),
                    ("null", Token::Null),
                ];
                let word = words.into_iter().find(|(word, _)| rest.starts_with(word));
                word.map(|(word, token)| (token, word.len())).ok_or(Malformed)?
            }
        };
        self.at += bytes;
        Ok(Some(token))
    }
}

/// Reads a string up to its quotation mark. Returns it with the number of bytes that it takes.
fn string(text: &str) -> Result<(Cow<'_, str>, usize), Malformed> {
    let plain = text.find(['"', '\\']).ok_or(Malformed)?;
    if text[..plain].bytes().any(|byte| byte < b' ') {
        return Err(Malformed);
    }
    if text.as_bytes()[plain] == b'"' {
        return Ok((Cow::Borrowed(&text[..plain]), plain));
    }
    let mut read = text[..plain].to_owned();
    let mut chars = text[plain..].char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Ok((Cow::Owned(read), plain + at)),
            '\\' => {
                let (_, escape) = chars.next().ok_or(Malformed)?;
                read.push(match escape {
                    '"' | '\\' | '/' => escape,
                    'b' => '\u{8}',
                    'f' => '\u{c}',
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    'u' => {
                        let unit = unit(chars.as_str())?;
                        chars.by_ref().take(4).for_each(drop);
                        match unit {
                            0xd800..0xdc00 => {
                                let rest = chars.as_str().strip_prefix("\\u");
                                let low = rest.map(self::unit).transpose()?;
                                match low.filter(|low| (0xdc00..0xe000).contains(low)) {
                                    Some(low) => {
                                        chars.by_ref().take(6).for_each(drop);
                                        let code =
                                            0x1_0000 + ((unit - 0xd800) << 10) + low - 0xdc00;
                                        char::from_u32(code).ok_or(Malformed)?
                                    }
                                    // Half of a pair: what JavaScript allows in a string is not lost.
                                    None => char::REPLACEMENT_CHARACTER,
                                }
                            }
                            _ => char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER),
                        }
                    }
                    _ => return Err(Malformed),
                });
            }
            '\0'..' ' => return Err(Malformed),
            char => read.push(char),
        }
    }
    Err(Malformed)
}

/// Four hexadecimal digits.
fn unit(text: &str) -> Result<u32, Malformed> {
    let digits = text.get(..4).filter(|digits| digits.bytes().all(|it| it.is_ascii_hexdigit()));
    u32::from_str_radix(digits.ok_or(Malformed)?, 16).map_err(|_| Malformed)
}

/// How many bytes a number takes.
fn number(text: &[u8]) -> Option<usize> {
    let digits = |from: usize| text[from..].iter().take_while(|it| it.is_ascii_digit()).count();
    let mut at = usize::from(text.first() == Some(&b'-'));
    let whole = digits(at);
    if whole == 0 || whole > 1 && text[at] == b'0' {
        return None;
    }
    at += whole;
    if text.get(at) == Some(&b'.') {
        let fraction = digits(at + 1);
        at += (fraction > 0).then_some(1 + fraction)?;
    }
    if matches!(text.get(at), Some(b'e' | b'E')) {
        at += 1 + usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits(at);
        at += (exponent > 0).then_some(exponent)?;
    }
    Some(at)
}

/// The token that is expected next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expected {
    Value,
    /// Or the end of the array.
    FirstItem,
    /// Or the end of the object.
    FirstKey,
    Key,
    Colon,
    /// Or the end of what it is in.
    Comma,
}

/// Gives all strings of a JSON text in order, those that are names in objects left out. Strings that are deeper than 128 arrays and
/// objects is no JSON here.
///
/// # Errors
/// [`Malformed`], with the strings before given.
pub(crate) fn strings(text: &str, mut each: impl FnMut(&str)) -> Result<(), Malformed> {
    let mut reader = Reader::new(text);
    // One bit for each level: whether it is an object.
    let (mut objects, mut depth) = (0_u128, 0);
    let mut expected = Expected::Value;
    while let Some(token) = reader.next()? {
        let in_object = objects & 1 == 1;
        expected = match (expected, token) {
            (Expected::Value | Expected::FirstItem, Token::Mark(mark @ (b'{' | b'['))) => {
                if depth == u128::BITS {
                    return Err(Malformed);
                }
                depth += 1;
                objects = objects << 1 | u128::from(mark == b'{');
                if mark == b'{' { Expected::FirstKey } else { Expected::FirstItem }
            }
            (Expected::FirstItem | Expected::Comma, Token::Mark(b']'))
                if depth > 0 && !in_object =>
            {
                (depth, objects) = (depth - 1, objects >> 1);
                Expected::Comma
            }
            (Expected::FirstKey | Expected::Comma, Token::Mark(b'}')) if depth > 0 && in_object => {
                (depth, objects) = (depth - 1, objects >> 1);
                Expected::Comma
            }
            (Expected::FirstKey | Expected::Key, Token::String(_)) => Expected::Colon,
            (Expected::Colon, Token::Mark(b':')) => Expected::Value,
            (Expected::Comma, Token::Mark(b',')) if depth > 0 => match in_object {
                true => Expected::Key,
                false => Expected::Value,
            },
            (Expected::Value | Expected::FirstItem, Token::String(text)) => {
                each(&text);
                Expected::Comma
            }
            (
                Expected::Value | Expected::FirstItem,
                Token::Number(_) | Token::Boolean(_) | Token::Null,
            ) => Expected::Comma,
            _ => return Err(Malformed),
        };
    }
    if expected == Expected::Comma && depth == 0 { Ok(()) } else { Err(Malformed) }
}

/// Adds a text as a JSON string.
pub(crate) fn write_string(text: &str, json: &mut String) {
    json.push('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => json.extend(['\\', char]),
            '\0'..' ' => {
                let digit = |number: u32| char::from_digit(number, 16).unwrap_or('0');
                json.push_str("\\u00");
                json.extend([digit(char as u32 >> 4), digit(char as u32 & 15)]);
            }
            char => json.push(char),
        }
    }
    json.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(text: &str) -> Result<Vec<String>, Malformed> {
        let mut found = Vec::new();
        strings(text, |it| found.push(it.to_owned())).map(|()| found)
    }

    #[test]
    fn strings_are_found_and_names_left_out() {
        let json = r#" { "text" : "Hel\"lo\n\u00e4 \ud83e\udd80 \ud83e", "n": [1, -0.5e+3, true, null, ["a", {}]],
            "o": {"k": "b", "k2": []} } "#;
        assert_eq!(all(json).unwrap(), ["Hel\"lo\nä 🦀 \u{fffd}", "a", "b"]);
        assert_eq!(all("\"x\"").unwrap(), ["x"]);
        assert_eq!(all("[]"), Ok(Vec::new()));
        let deep = |depth| format!("{}\"x\"{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(all(&deep(128)).unwrap(), ["x"]);
        assert_eq!(all(&deep(129)), Err(Malformed));
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in [
            "",
            "{",
            "}",
            "]",
            "[}",
            "{]",
            "[1,]",
            "[,1]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{1:2}",
            "[1 2]",
            "1 2",
            "01",
            "1.",
            "-",
            "1e",
            "+1",
            ".5",
            "nul",
            "truefalse",
            "\"",
            "\"\\\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\n\"",
            "\"a\" \"b\"",
            "[\"a\" \"b\"]",
            "{\"a\":1 \"b\":2}",
            "hello",
        ] {
            assert_eq!(all(text), Err(Malformed), "{text}");
        }
    }

    proptest! {
        #[test]
        fn strings_are_read_as_they_are_written(text in any::<String>()) {
            let mut json = String::new();
            write_string(&text, &mut json);
            prop_assert_eq!(all(&json), Ok(vec![text.clone()]));
            let theirs: Result<String, _> = serde_json::from_str(&json);
            prop_assert_eq!(theirs.unwrap(), text);
        }

        /// The judge is another reader of JSON.
        #[test]
        fn texts_are_json_exactly_if_another_reader_says_so(
            text in r#"([\[\]{},:]|"a"|"\\u00e9\\\\"|-1\.5e3|0|true|null| ){0,12}"#
        ) {
            let ours = all(&text).is_ok();
            prop_assert_eq!(ours, serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{}", text);
        }
    }
}
