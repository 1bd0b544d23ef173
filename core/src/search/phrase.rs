//! The words that a query looks for, as they are compared.
use super::QueryFault;
use super::pattern::{Part, Pattern};
use super::words::{self, Span};
use crate::limits::{PHRASE_WORDS_MAX, WORD_CHARS_MAX};
use std::ops::ControlFlow;

/// One word, or several that follow each other, each perhaps with wildcards.
#[derive(Clone, Debug)]
pub(crate) struct Phrase {
    pattern: Pattern,
    words: Vec<PhraseWord>,
}

/// Phrases that are written alike are alike.
impl PartialEq for Phrase {
    fn eq(&self, other: &Self) -> bool {
        self.pattern == other.pattern
    }
}

/// A word of a phrase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PhraseWord {
    /// How many places it is behind the beginning of the phrase.
    pub(crate) offset: u32,
    pub(crate) pattern: WordPattern,
}

/// The form that a word is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WordPattern {
    /// This word.
    Exact(String),
    /// Any that begins so.
    Prefix(String),
    /// Any of this pattern. The text is what comes before its first wildcard.
    Glob(String, Pattern),
}

impl WordPattern {
    /// Whether a word has this form.
    pub(crate) fn matches(&self, word: &str) -> bool {
        match self {
            Self::Exact(exact) => word == exact,
            Self::Prefix(prefix) => word.starts_with(prefix.as_str()),
            Self::Glob(_, pattern) => pattern.matches(word),
        }
    }

    /// Whether a word has this form that is longer than words are: an id. A word of the query may have been cut.
    pub(crate) fn matches_whole(&self, long: &str) -> bool {
        match self {
            Self::Exact(exact) if exact.chars().count() == WORD_CHARS_MAX => {
                long.starts_with(exact.as_str())
            }
            Self::Exact(_) | Self::Prefix(_) | Self::Glob(..) => self.matches(long),
        }
    }

    /// The beginning of every word of this form.
    pub(crate) fn prefix(&self) -> &str {
        match self {
            Self::Exact(text) | Self::Prefix(text) | Self::Glob(text, _) => text,
        }
    }
}

impl Phrase {
    /// Finds the words of a pattern.
    ///
    /// # Errors
    /// [`QueryFault::NoWord`] without a letter or digit, [`QueryFault::TooManyWords`].
    pub(crate) fn new(pattern: Pattern) -> Result<Self, QueryFault> {
        let found = Found::of(&pattern);
        if found.words.len() > PHRASE_WORDS_MAX {
            return Err(QueryFault::TooManyWords);
        }
        if found.words.is_empty() {
            return Err(QueryFault::NoWord);
        }
        Ok(Self { pattern, words: found.words })
    }

    pub(crate) fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// Its words, at least one. A word of which any will do is left out, and has its place.
    pub(crate) fn words(&self) -> &[PhraseWord] {
        &self.words
    }

    /// The only word that it asks for.
    pub(crate) fn single(&self) -> Option<&WordPattern> {
        match &self.words[..] {
            [only] => Some(&only.pattern),
            _ => None,
        }
    }

    /// How often the phrase stands in a list of words with rising places.
    pub(crate) fn count(&self, words: &[(&str, u32)]) -> u32 {
        let (first, rest) = self.words.split_first().map_or((None, &[][..]), |(f, r)| (Some(f), r));
        let Some(first) = first else { return 0 };
        let at = |place: u32, pattern: &WordPattern| {
            let found = words.binary_search_by_key(&place, |(_, place)| *place);
            found.is_ok_and(|at| pattern.matches(words[at].0))
        };
        let starts = words.iter().filter(|(word, _)| first.pattern.matches(word));
        let whole = starts.filter(|(_, place)| {
            rest.iter().all(|word| at(place + word.offset - first.offset, &word.pattern))
        });
        u32::try_from(whole.count()).unwrap_or(u32::MAX)
    }
}

/// Letters that stand for wildcards while the words are found, so that these are parts of words. One byte, as long as the
/// wildcard.
const STAND_IN: char = 'a';

/// The words of a pattern.
struct Found {
    /// The pattern, its wildcards replaced.
    text: String,
    /// Where the wildcards are.
    wild: Vec<(usize, Part)>,
    words: Vec<PhraseWord>,
    place: u32,
}

impl Found {
    fn of(pattern: &Pattern) -> Self {
        let (mut text, mut wild) = (String::new(), Vec::new());
        for part in pattern.parts() {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Any | Part::One => {
                    wild.push((text.len(), part.clone()));
                    text.push(STAND_IN);
                }
            }
        }
        let mut found = Self { text, wild, words: Vec::new(), place: 0 };
        let mut spans = Vec::new();
        let _ = words::spans(&found.text, |span| {
            spans.push(span);
            match spans.len() {
                0..SPANS_MAX => ControlFlow::Continue(()),
                _ => ControlFlow::Break(()),
            }
        });
        spans.iter().enumerate().for_each(|(at, span)| found.take(span, at, &spans));
        found
    }

    fn take(&mut self, span: &Span, at: usize, spans: &[Span]) {
        if span.paired {
            self.take_pair(span, at, spans);
            return;
        }
        let Some(pattern) = self.word(span) else {
            // Nothing but wildcards: beside a run without spaces they say what its pairs say already.
            let beside =
                |other: &Span| other.paired && (other.to == span.from || span.to == other.from);
            if !spans.iter().any(beside) {
                self.place += 1;
            }
            return;
        };
        self.words.push(PhraseWord { offset: self.place, pattern });
        self.place += 1;
    }

    /// A pair of a run, or its last character. That has a word of its own only if it is the whole run.
    fn take_pair(&mut self, span: &Span, at: usize, spans: &[Span]) {
        let continues = |a: &Span, b: &Span| a.paired && b.paired && a.to > b.from;
        let is_last = !spans.get(at + 1).is_some_and(|next| continues(span, next));
        let is_first = !at.checked_sub(1).is_some_and(|before| continues(&spans[before], span));
        let mut folded = String::new();
        words::fold_word(&self.text[span.from..span.to], &mut folded);
        if folded.is_empty() {
            return;
        }
        let offset = self.place;
        self.place += 1;
        if is_last && is_first {
            self.words.push(PhraseWord { offset, pattern: WordPattern::Prefix(folded) });
        } else if !is_last {
            self.words.push(PhraseWord { offset, pattern: WordPattern::Exact(folded) });
        }
    }

    /// The form of a word; nothing if any will do.
    fn word(&self, span: &Span) -> Option<WordPattern> {
        let mut pattern = Pattern::default();
        let (mut prefix, mut chars, mut open) = (String::new(), 0, true);
        let mut folded = String::new();
        for (at, char) in self.text[span.from..span.to].char_indices() {
            let wild = self.wild.binary_search_by_key(&(span.from + at), |(at, _)| *at);
            match wild.ok().map(|at| &self.wild[at].1) {
                Some(Part::Any) => {
                    pattern.push_any();
                    open = false;
                }
                Some(Part::One) => {
                    pattern.push_one();
                    open = false;
                }
                Some(Part::Text(_)) | None => {
                    folded.clear();
                    super::fold::fold(char, &mut folded);
                    for char in folded.chars().take(WORD_CHARS_MAX - chars) {
                        pattern.push(char);
                        chars += 1;
                        if open {
                            prefix.push(char);
                        }
                    }
                }
            }
        }
        match pattern.parts() {
            [] | [Part::Any] => None,
            [Part::Text(text)] => Some(WordPattern::Exact(text.clone())),
            [Part::Text(text), Part::Any] if chars < WORD_CHARS_MAX => {
                Some(WordPattern::Prefix(text.clone()))
            }
            // Words are cut there.
            [Part::Text(text), Part::Any] => Some(WordPattern::Exact(text.clone())),
            parts if parts.iter().all(|part| !matches!(part, Part::Text(_))) => None,
            _ => Some(WordPattern::Glob(prefix, pattern)),
        }
    }
}

/// Words that are looked at: with more, there are too many or the rest is marks.
const SPANS_MAX: usize = 4 * PHRASE_WORDS_MAX;

#[cfg(test)]
mod tests {
    use super::*;

    fn phrase(text: &str) -> Result<Phrase, QueryFault> {
        Phrase::new(Pattern::parse(text).unwrap())
    }

    fn count(query: &str, text: &str) -> u32 {
        let mut found = Vec::new();
        let _ = words::words(text, 0, |word, place| {
            found.push((word.to_owned(), place));
            ControlFlow::Continue(())
        });
        let found: Vec<_> = found.iter().map(|(word, place)| (word.as_str(), *place)).collect();
        phrase(query).unwrap().count(&found)
    }

    #[test]
    fn words_prefixes_wildcards_and_phrases_are_found() {
        let text = "Hello there, General Kenobi! Hello again, general.";
        for (query, expected) in [
            ("hello", 2),
            ("HÉLLÓ", 2),
            ("hell", 0),
            ("hell*", 2),
            ("g?neral", 2),
            ("*al", 2),
            ("g*l", 2),
            ("general kenobi", 1),
            ("general hello", 0),
            ("hello * general", 2),
            ("hel* * gen*", 2),
            ("there, general", 1),
            ("kenobi hello", 1),
        ] {
            assert_eq!(count(query, text), expected, "{query}");
        }
    }

    #[test]
    fn scripts_without_spaces_are_found_by_any_run_of_characters() {
        let text = "東京都の天気 Tower ภาษาไทย";
        for (query, expected) in [
            ("東", 1),
            ("都", 1),
            ("東京", 1),
            ("東京都", 1),
            ("京都の天", 1),
            ("東都", 0),
            ("気", 1),
            ("気 tower", 1),
            ("天気tower", 1),
            ("天 tower", 0),
            ("東*", 1),
            ("*京都*", 1),
            ("ไทย", 1),
            ("ไทาย", 0),
        ] {
            assert_eq!(count(query, text), expected, "{query}");
        }
    }

    #[test]
    fn phrases_need_a_word_and_have_not_too_many() {
        for none in ["", " ", "!", "*", "?", "* ?", "—", "🦀*"] {
            assert_eq!(phrase(none), Err(QueryFault::NoWord), "{none}");
        }
        let many = "word ".repeat(PHRASE_WORDS_MAX);
        assert_eq!(phrase(&many).unwrap().words().len(), PHRASE_WORDS_MAX);
        assert_eq!(phrase(&format!("{many} more")), Err(QueryFault::TooManyWords));
        let long = "w".repeat(2 * WORD_CHARS_MAX);
        assert_eq!(count(&long, &long), 1);
        assert_eq!(count(&format!("{long}*"), &long), 1);
    }
}
