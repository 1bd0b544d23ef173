//! The words of a text, folded and with their places.
//!
//! Words are those of Unicode's annex 29. Scripts that are written without spaces (Chinese, Japanese, Thai, Lao, Khmer, Burmese),
//! and Korean, whose particles stick to their nouns, are cut into overlapping pairs of characters instead, so that no
//! dictionary is needed: `東京都` is `東京` at place 0, `京都` at 1, `都` at 2. A run of them in a query is a phrase of its pairs.
//! A single character is found as the beginning of a pair, which is why a run ends with its last character alone.
use super::fold::fold;
use crate::limits::WORD_CHARS_MAX;
use std::ops::ControlFlow;
use unicode_segmentation::UnicodeSegmentation as _;

/// A word of a text, before it is folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// Where it begins and ends. Bytes.
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// Whether it is a pair of characters, or the last one, of a run without spaces.
    pub(crate) paired: bool,
}

/// Goes through the words of a text, in order, until told to stop.
pub(crate) fn spans(text: &str, mut each: impl FnMut(Span) -> ControlFlow<()>) -> ControlFlow<()> {
    let mut from = 0;
    while from < text.len() {
        let rest = &text[from..];
        let spaced = rest.find(is_unspaced).unwrap_or(rest.len());
        for (at, word) in rest[..spaced].unicode_word_indices() {
            let (from, to) = (from + at, from + at + word.len());
            each(Span { from, to, paired: false })?;
        }
        let run = &rest[spaced..];
        let run = &run[..run.find(|char| !is_unspaced(char)).unwrap_or(run.len())];
        let mut pairs = run.char_indices().peekable();
        while let Some((at, char)) = pairs.next() {
            let next = pairs.peek().map_or(0, |(_, next)| next.len_utf8());
            let (from, to) = (from + spaced + at, from + spaced + at + char.len_utf8() + next);
            each(Span { from, to, paired: true })?;
        }
        from += spaced + run.len();
    }
    ControlFlow::Continue(())
}

/// Adds a word as it is compared to an empty text: folded, and cut after [`WORD_CHARS_MAX`] characters.
pub(crate) fn fold_word(word: &str, folded: &mut String) {
    word.chars().take(WORD_CHARS_MAX).for_each(|char| fold(char, folded));
    if let Some((cut, _)) = folded.char_indices().nth(WORD_CHARS_MAX) {
        folded.truncate(cut);
    }
}

/// Goes through the words of a text as they are compared, each with its place, from `first` on, until told to stop. Returns
/// the place after the last one.
pub(crate) fn words(
    text: &str,
    first: u32,
    mut each: impl FnMut(&str, u32) -> ControlFlow<()>,
) -> ControlFlow<(), u32> {
    let mut place = first;
    let mut folded = String::new();
    spans(text, |span| {
        folded.clear();
        fold_word(&text[span.from..span.to], &mut folded);
        // A word of marks alone.
        if !folded.is_empty() {
            each(&folded, place)?;
            place += 1;
        }
        ControlFlow::Continue(())
    })?;
    ControlFlow::Continue(place)
}

/// Whether a character is of a script that is cut into pairs.
pub(crate) fn is_unspaced(char: char) -> bool {
    matches!(char,
        '\u{e01}'..='\u{e3a}' | '\u{e40}'..='\u{e4e}' // Thai
        | '\u{e81}'..='\u{ece}' | '\u{edc}'..='\u{edf}' // Lao
        | '\u{1000}'..='\u{103f}' | '\u{1050}'..='\u{109d}' // Burmese
        | '\u{1780}'..='\u{17d3}' | '\u{17dd}' // Khmer
        | '\u{3005}'..='\u{3007}' | '\u{3021}'..='\u{3029}' // signs of Chinese and Japanese
        | '\u{3041}'..='\u{309f}' | '\u{30a1}'..='\u{30fa}' | '\u{30fc}'..='\u{30ff}' // Kana
        | '\u{31f0}'..='\u{31ff}' | '\u{ff66}'..='\u{ff9f}'
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' // Han
        | '\u{20000}'..='\u{3fffd}'
        | '\u{ac00}'..='\u{d7a3}' // Hangul
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<(String, u32)> {
        let mut found = Vec::new();
        let end = words(text, 0, |word, place| {
            found.push((word.to_owned(), place));
            ControlFlow::Continue(())
        });
        assert_eq!(end, ControlFlow::Continue(found.len() as u32));
        found
    }

    fn plain(text: &str) -> Vec<String> {
        of(text).into_iter().map(|(word, _)| word).collect()
    }

    #[test]
    fn words_are_those_of_annex_29() {
        assert_eq!(of("Hello, World!"), [("hello".to_owned(), 0), ("world".to_owned(), 1)]);
        assert_eq!(
            plain("Can't pay €3.50 — e-mail jo@example.com"),
            ["can't", "pay", "3.50", "e", "mail", "jo", "example.com"]
        );
        assert_eq!(plain("snake_case Ünïcode\n\tΑθήνα"), ["snake_case", "unicode", "αθηνα"]);
        assert_eq!(plain(" — … 🦀 "), Vec::<String>::new());
        assert_eq!(plain("\u{64b}a"), ["a"], "marks alone are no word");
    }

    #[test]
    fn scripts_without_spaces_are_cut_into_pairs() {
        assert_eq!(plain("東京都Tower"), ["東京", "京都", "都", "tower"]);
        assert_eq!(plain("ไทย 2 ខ្មែរ"), ["ไท", "ทย", "ย", "2", "ខ្", "្ម", "មែ", "ែរ", "រ"]);
        assert_eq!(plain("서울에서"), ["서울", "울에", "에서", "서"]);
        assert_eq!(plain("カタカナ・ひら"), ["カタ", "タカ", "カナ", "ナ", "ひら", "ら"]);
    }

    #[test]
    fn words_that_are_too_long_are_cut() {
        let long = "ß".repeat(WORD_CHARS_MAX);
        assert_eq!(plain(&long), ["s".repeat(WORD_CHARS_MAX)]);
        assert_eq!(plain(&"a".repeat(1_000)), ["a".repeat(WORD_CHARS_MAX)]);
    }
}
