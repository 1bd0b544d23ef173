//! Text with wildcards.
use super::QueryFault;
use std::fmt::Write as _;

/// A text in which `*` stands for any run of characters and `?` for one. Before `*`, `?` and itself a backslash takes the
/// meaning away; nowhere else may one stand.
///
/// There is one form of each pattern: texts are not empty and not next to each other, and neither are two `*`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pattern {
    parts: Vec<Part>,
    /// The same, one by one.
    symbols: Vec<Symbol>,
}

/// A piece of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// These characters.
    Text(String),
    /// `*`
    Any,
    /// `?`
    One,
}

impl Pattern {
    /// Reads a pattern as people write it.
    ///
    /// # Errors
    /// [`QueryFault::StrayBackslash`].
    pub fn parse(text: &str) -> Result<Self, QueryFault> {
        let mut pattern = Self::default();
        let mut chars = text.chars();
        while let Some(char) = chars.next() {
            match char {
                '\\' => match chars.next() {
                    Some(char @ ('*' | '?' | '\\')) => pattern.push(char),
                    Some(_) | None => return Err(QueryFault::StrayBackslash),
                },
                '*' => pattern.push_any(),
                '?' => pattern.push_one(),
                char => pattern.push(char),
            }
        }
        Ok(pattern)
    }

    /// A text without wildcards, whatever characters it has.
    pub fn literal(text: &str) -> Self {
        let mut pattern = Self::default();
        text.chars().for_each(|char| pattern.push(char));
        pattern
    }

    /// The text, if there is no wildcard.
    pub fn as_literal(&self) -> Option<&str> {
        match &self.parts[..] {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Whether it is `*`.
    pub(crate) fn is_any(&self) -> bool {
        self.parts == [Part::Any]
    }

    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    pub(crate) fn push(&mut self, char: char) {
        self.symbols.push(Symbol::Char(char));
        match self.parts.last_mut() {
            Some(Part::Text(text)) => text.push(char),
            _ => self.parts.push(Part::Text(char.into())),
        }
    }

    pub(crate) fn push_any(&mut self) {
        if self.parts.last() != Some(&Part::Any) {
            self.parts.push(Part::Any);
            self.symbols.push(Symbol::Any);
        }
    }

    pub(crate) fn push_one(&mut self) {
        self.parts.push(Part::One);
        self.symbols.push(Symbol::One);
    }

    /// Whether the whole of `text` is as the pattern says. Takes at most as many steps as both have characters, multiplied.
    pub fn matches(&self, text: &str) -> bool {
        let (mut rest, mut next) = (text.chars(), 0);
        // Where to go on if the last `*` has to take one character more.
        let mut again = None;
        loop {
            let mut after = rest.clone();
            let char = after.next();
            match (self.symbols.get(next), char) {
                (Some(Symbol::Any), _) => {
                    next += 1;
                    again = Some((rest.clone(), next));
                }
                (None, None) => return true,
                (Some(Symbol::One), Some(_)) => (rest, next) = (after, next + 1),
                (Some(Symbol::Char(wanted)), Some(char)) if *wanted == char => {
                    (rest, next) = (after, next + 1);
                }
                (_, None) => return false,
                (_, Some(_)) => {
                    let Some((from, behind)) = &mut again else { return false };
                    from.next();
                    (rest, next) = (from.clone(), *behind);
                }
            }
        }
    }

    /// The pattern as [`parse`](Self::parse) reads it; a backslash also stands before each of `also`.
    pub(crate) fn written(&self, also: &[char]) -> String {
        let mut text = String::new();
        for symbol in &self.symbols {
            // Writing into a string cannot fail.
            let _ = match *symbol {
                Symbol::Any => text.write_char('*'),
                Symbol::One => text.write_char('?'),
                Symbol::Char(char) if ['*', '?', '\\'].contains(&char) || also.contains(&char) => {
                    write!(text, "\\{char}")
                }
                Symbol::Char(char) => text.write_char(char),
            };
        }
        text
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Symbol {
    Char(char),
    Any,
    One,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn wildcards_stand_for_runs_and_characters_and_backslashes_take_that_away() {
        let matches = |pattern, text| Pattern::parse(pattern).unwrap().matches(text);
        for (pattern, text) in [
            ("", ""),
            ("*", ""),
            ("*", "anything"),
            ("h*o", "ho"),
            ("h*o", "hello to Otto"),
            ("h?llo", "hällo"),
            ("*a*b*c", "xaybzcc"),
            (r"2 \* 3 \? \\", r"2 * 3 ? \"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("", "a"),
            ("?", ""),
            ("?", "ab"),
            ("h*o", "hello!"),
            ("*a*b", "ba"),
            (r"\*", "x"),
            ("Hello", "hello"),
        ] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
        for stray in [r"\", r"\n", r"a\ b", r"*\"] {
            assert_eq!(Pattern::parse(stray), Err(QueryFault::StrayBackslash), "{stray}");
        }
        assert_eq!(Pattern::parse("a**b"), Pattern::parse("a*b"));
    }

    /// The definition, which takes as long as it takes.
    fn slowly(pattern: &[char], text: &[char]) -> bool {
        match pattern {
            [] => text.is_empty(),
            ['*', rest @ ..] => (0..=text.len()).any(|at| slowly(rest, &text[at..])),
            ['?', rest @ ..] => !text.is_empty() && slowly(rest, &text[1..]),
            [char, rest @ ..] => text.first() == Some(char) && slowly(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn matching_is_as_defined(pattern in "[ab*?]{0,8}", text in "[ab]{0,10}") {
            let [slow, chars] = [&pattern, &text].map(|text| text.chars().collect::<Vec<_>>());
            prop_assert_eq!(Pattern::parse(&pattern).unwrap().matches(&text), slowly(&slow, &chars));
        }

        #[test]
        fn patterns_are_read_as_they_are_written(pattern in r"([*?]|\\[*?\\]|[^\\]){0,12}") {
            let pattern = Pattern::parse(&pattern).unwrap();
            prop_assert_eq!(Pattern::parse(&pattern.written(&[])), Ok(pattern));
        }
    }
}
