//! Finding the text of an invitation in what people paste.
//!
//! Links travel through mail, chat, documents and redirecting services, which break lines, quote, escape, encode and
//! decorate them. So the invitation is what carries its check sum, wherever it stands: characters that cannot belong to it
//! are skipped, and its end is the last place at which the check sum fits. Its content is not guessed.
use super::short::SHORT_BYTES_MAX;
use super::{CHECK_BYTES, InvitationError, MAGIC, VERSION, check_sum};
use crate::node_url::NodeUrl;
use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// Places of one text at which an invitation is tried to be read. Guess: a mail that quotes a conversation. Further ones
/// are not looked at.
const PLACES_MAX: usize = 32;
/// How often a text is taken for percent-encoded: a link inside the link of a redirecting service, once more encoded.
const DECODED_MAX: usize = 2;
/// Bytes of the head of a long invitation: the header, which is 0, and the length of the rest.
pub(super) const LONG_HEAD_BYTES: usize = 4;

/// The invitation that was found.
pub(super) struct Found {
    /// The bytes without their check sum.
    pub(super) bytes: Zeroizing<Vec<u8>>,
    /// The page whose fragment it is, if it is one.
    pub(super) page: Option<NodeUrl>,
}

/// Finds an invitation in a text: best with the page that it belongs to.
pub(super) fn find(text: &str) -> Result<Found, InvitationError> {
    let mut best = None;
    let mut variant = Zeroizing::new(text.to_owned());
    for _ in 0..=DECODED_MAX {
        if let Some(found) = find_in(&variant) {
            let has_page = found.page.is_some();
            if has_page || best.is_none() {
                best = Some(found);
            }
            if has_page {
                break;
            }
        }
        match percent_decoded(&variant) {
            Some(decoded) => variant = decoded,
            None => break,
        }
    }
    best.ok_or_else(|| refusal(&variant))
}

fn refusal(text: &str) -> InvitationError {
    let places = text.match_indices(MAGIC);
    let versions = places.filter_map(|(at, _)| text[at + MAGIC.len()..].chars().next());
    let versions: Vec<char> = versions.filter(char::is_ascii_digit).collect();
    match versions[..] {
        [] => InvitationError::NotAnInvitation,
        _ if versions.contains(&VERSION) => InvitationError::Truncated,
        _ => InvitationError::Version,
    }
}

fn find_in(text: &str) -> Option<Found> {
    let magic = format!("{MAGIC}{VERSION}");
    text.match_indices(&magic).take(PLACES_MAX).find_map(|(at, _)| {
        let bytes = read_run(&text[at + magic.len()..])?;
        Some(Found { bytes, page: page_before(&text[..at]) })
    })
}

/// The bytes at the beginning of `rest` that carry their check sum.
fn read_run(rest: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut symbols = Symbols::new(rest);
    let head = symbols.take(LONG_HEAD_BYTES)?;
    let bytes = if head[0] == 0 {
        let length = u32::from_be_bytes([0, head[1], head[2], head[3]]) as usize;
        let whole = symbols.take(LONG_HEAD_BYTES + length + CHECK_BYTES)?;
        let (bytes, sum) = whole.split_last_chunk::<CHECK_BYTES>()?;
        (check_sum(bytes) == *sum).then(|| bytes.to_vec())?
    } else {
        longest(symbols.take_most(SHORT_BYTES_MAX + CHECK_BYTES))?
    };
    Some(Zeroizing::new(bytes))
}

/// The longest beginning of `bytes` that is followed by its check sum.
fn longest(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut hash = Sha256::new();
    let mut found = None;
    for (length, byte) in bytes.iter().enumerate() {
        let sum = bytes.get(length..length + CHECK_BYTES)?;
        if length > 0 && hash.clone().finalize()[..CHECK_BYTES] == *sum {
            found = Some(length);
        }
        hash.update([*byte]);
        if length + CHECK_BYTES == bytes.len() {
            break;
        }
    }
    found.map(|length| bytes[..length].to_vec())
}

/// The symbols of a text in base64url, as bytes.
struct Symbols<'a> {
    rest: std::str::Chars<'a>,
    text: Zeroizing<String>,
    bytes: Zeroizing<Vec<u8>>,
    over: bool,
}

impl<'a> Symbols<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            rest: text.chars(),
            text: Zeroizing::new(String::new()),
            bytes: Zeroizing::new(Vec::new()),
            over: false,
        }
    }

    /// The first `count` bytes; nothing if there are not so many.
    fn take(&mut self, count: usize) -> Option<&[u8]> {
        let bytes = self.take_most(count);
        (bytes.len() == count).then_some(bytes)
    }

    /// The first `count` bytes, or fewer.
    fn take_most(&mut self, count: usize) -> &[u8] {
        let wanted = (count * 4).div_ceil(3);
        while self.text.len() < wanted && !self.over {
            match self.rest.next().map(meaning) {
                Some(Meaning::Symbols(symbols)) => self.text.push_str(symbols),
                Some(Meaning::Symbol(symbol)) => self.text.push(symbol),
                Some(Meaning::Nothing) => {}
                Some(Meaning::End) | None => self.over = true,
            }
        }
        self.bytes.clear();
        // Whole groups of four symbols are three bytes; of two and three symbols the surplus bits are ignored, since
        // they may be of what follows.
        let symbols = &self.text.as_bytes()[..self.text.len().min(wanted)];
        let groups = symbols.len() / 4 * 4;
        for group in [&symbols[..groups], &symbols[groups..]] {
            self.bytes.extend(decode_group(group));
        }
        self.bytes.truncate(count);
        &self.bytes
    }
}

/// Decodes symbols; of the last one only the bits that make whole bytes.
fn decode_group(symbols: &[u8]) -> Vec<u8> {
    if symbols.len().is_multiple_of(4) {
        return BASE64URL_NOPAD.decode(symbols).unwrap_or_default();
    }
    let mut whole = symbols.to_vec();
    whole.resize(4, b'A');
    let mut bytes = BASE64URL_NOPAD.decode(&whole).unwrap_or_default();
    bytes.truncate(symbols.len() * 3 / 4);
    bytes
}

/// The meaning of a character of a touched link.
enum Meaning {
    Symbol(char),
    Symbols(&'static str),
    Nothing,
    End,
}

fn meaning(c: char) -> Meaning {
    match c {
        'A'..='Z' | 'a'..='z' | '0'..='9' | '-' | '_' => Meaning::Symbol(c),
        // Hyphens that a word processor made typographic.
        '\u{2010}'..='\u{2013}' | '\u{2212}' => Meaning::Symbol('-'),
        '\u{2014}' => Meaning::Symbols("--"),
        // Line breaks, quotation of mail, soft line breaks, Markdown escapes, invisible characters.
        '>' | '=' | '\\' | '|' | '*' | '`' => Meaning::Nothing,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' => Meaning::Nothing,
        '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fe00}'..='\u{fe0f}' => Meaning::Nothing,
        c if c.is_whitespace() || c.is_control() => Meaning::Nothing,
        _ => Meaning::End,
    }
}

/// The page in whose fragment an invitation stands that follows `before`.
fn page_before(before: &str) -> Option<NodeUrl> {
    let before = before.strip_suffix('#').or_else(|| before.strip_suffix("&#35;"))?;
    let part_of_url = |c: char| c.is_ascii_graphic() && !"<>\"'`()|\\^{}".contains(c);
    let start = before.char_indices().rev().take_while(|(_, c)| part_of_url(*c)).last()?.0;
    let run = &before[start..];
    let lower = run.to_ascii_lowercase();
    let scheme = lower.rmatch_indices("://").find_map(|(at, _)| {
        let named = |scheme: &str| lower[..at].ends_with(scheme).then(|| at - scheme.len());
        named("https").or_else(|| named("http"))
    });
    match scheme {
        Some(at) => run[at..].parse().ok(),
        // Programs that show a link without its scheme.
        None if run.contains('.') && !run.contains(':') => format!("https://{run}").parse().ok(),
        None => None,
    }
}

/// The text with its percent-encoding undone. Nothing if there is none, or it is not of text.
fn percent_decoded(text: &str) -> Option<Zeroizing<String>> {
    if !text.contains('%') {
        return None;
    }
    let hex = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut decoded = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%'
            && let [high, low, after @ ..] = rest
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            decoded.push(high << 4 | low);
            rest = after;
        } else {
            decoded.push(byte);
        }
    }
    let changed = decoded.len() < text.len();
    changed.then(|| Zeroizing::new(String::from_utf8_lossy(&decoded).into_owned()))
}
