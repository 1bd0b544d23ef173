//! Text armour for bytes, RFC 7468: what people mail to each other and what `openssl` reads.
use data_encoding::BASE64;

/// Characters of base64 on a line. Source: RFC 7468 §2.
const LINE_CHARS: usize = 64;

/// Why there are no bytes in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PemError {
    /// No block of the wanted label begins in the text.
    Missing,
    /// The block has no end, is too long or is not base64.
    Damaged,
}

/// Wraps `bytes` in a block with `label`, with a final line break.
pub(crate) fn encode(label: &str, bytes: &[u8]) -> String {
    let base64 = BASE64.encode(bytes);
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in base64.as_bytes().chunks(LINE_CHARS) {
        text.push_str(std::str::from_utf8(line).expect("base64 is ASCII"));
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

/// The bytes of the first block with `label`, at most `bytes_max` of them. Text around it and white space in
/// it do not matter.
pub(crate) fn decode(label: &str, text: &str, bytes_max: usize) -> Result<Vec<u8>, PemError> {
    let first = blocks(label, text, bytes_max).next();
    first.unwrap_or(Err(PemError::Missing))
}

/// The bytes of all blocks with `label`. Ends after one without end.
pub(crate) fn blocks(
    label: &str,
    text: &str,
    bytes_max: usize,
) -> impl Iterator<Item = Result<Vec<u8>, PemError>> {
    let begin = format!("-----BEGIN {label}-----");
    let end = format!("-----END {label}-----");
    let mut rest = text;
    std::iter::from_fn(move || {
        let (_, block) = rest.split_once(&begin)?;
        let Some((body, after)) = block.split_once(&end) else {
            rest = "";
            return Some(Err(PemError::Damaged));
        };
        rest = after;
        Some(decode_body(body, bytes_max))
    })
}

fn decode_body(body: &str, bytes_max: usize) -> Result<Vec<u8>, PemError> {
    let base64: Vec<u8> = body.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    if base64.len() > bytes_max.div_ceil(3) * 4 {
        return Err(PemError::Damaged);
    }
    let bytes = BASE64.decode(&base64).map_err(|_| PemError::Damaged)?;
    if bytes.len() > bytes_max { Err(PemError::Damaged) } else { Ok(bytes) }
}
