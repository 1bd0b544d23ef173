//! Bootstring, RFC 3492, with the parameters of host forms.
//!
//! A text becomes its *literals* (a-z, 0-9, in order) and *digits* that say which other characters stand where. The
//! decoder counts through all pairs of character and position, smallest character first; each number in the digits says
//! how many pairs to skip before the next insertion. Numbers have a variable length: a digit below its threshold is
//! the last one, and thresholds follow the size of the numbers before.

/// Digits: a-z are 0–25, 0-9 are 26–35.
const BASE: u64 = 36;
/// Smallest and largest threshold. Source: RFC 3492 §5.
const THRESHOLDS: (u64, u64) = (1, 26);
/// How quickly thresholds follow. Source: RFC 3492 §5.
const SKEW: u64 = 38;
/// How much the first number counts less. Source: RFC 3492 §5.
const DAMP: u64 = 700;
/// Where thresholds begin. Source: RFC 3492 §5.
const INITIAL_BIAS: u64 = 72;
/// The first character that can be inserted: names have no control characters.
const INITIAL_CHAR: u64 = b' ' as u64;

fn is_literal(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

/// Digits and literals of `text`. Control characters are the caller's to refuse.
pub(super) fn encode(text: &str) -> (String, String) {
    let literals: String = text.chars().filter(|c| is_literal(*c)).collect();
    let mut others: Vec<char> = text.chars().filter(|c| !is_literal(*c)).collect();
    others.sort_unstable();
    others.dedup();
    let mut digits = String::new();
    let mut numbers = Numbers::default();
    // Characters that stand in the decoder's text so far; the next pair it looks at.
    let (mut placed, mut delta) = (literals.len() as u64, 0);
    let mut current = INITIAL_CHAR;
    for other in others {
        let next = u64::from(other);
        delta += (next - current) * (placed + 1);
        for c in text.chars() {
            if c == other {
                numbers.write(delta, &mut digits);
                placed += 1;
                numbers.adapt(delta, placed);
                delta = 0;
            } else if is_literal(c) || c < other {
                delta += 1;
            }
        }
        delta += 1;
        current = next + 1;
    }
    (digits, literals)
}

/// The text of digits and literals; `None` if they are none.
pub(super) fn decode(digits: &str, literals: &str) -> Option<String> {
    if !literals.chars().all(is_literal) {
        return None;
    }
    let mut text: Vec<char> = literals.chars().collect();
    let mut numbers = Numbers::default();
    let (mut current, mut place) = (INITIAL_CHAR, 0);
    let mut digits = digits.bytes();
    while digits.len() > 0 {
        let delta = numbers.read(&mut digits)?;
        let len = text.len() as u64 + 1;
        place = delta.checked_add(place)?;
        current = current.checked_add(place / len)?;
        place %= len;
        let c = char::from_u32(u32::try_from(current).ok()?)?;
        text.insert(usize::try_from(place).ok()?, c);
        numbers.adapt(delta, len);
        place += 1;
    }
    Some(text.into_iter().collect())
}

/// Numbers of variable length, and what decides about their thresholds.
struct Numbers {
    bias: u64,
    first: bool,
}

impl Default for Numbers {
    fn default() -> Self {
        Self { bias: INITIAL_BIAS, first: true }
    }
}

impl Numbers {
    /// The thresholds of the digits of one number, without end.
    fn thresholds(&self) -> impl Iterator<Item = u64> + use<> {
        let bias = self.bias;
        (1..).map(move |k| (BASE * k).saturating_sub(bias).clamp(THRESHOLDS.0, THRESHOLDS.1))
    }

    fn write(&self, mut number: u64, digits: &mut String) {
        for threshold in self.thresholds() {
            if number < threshold {
                digits.push(digit(number));
                return;
            }
            let (span, rest) = (BASE - threshold, number - threshold);
            digits.push(digit(threshold + rest % span));
            number = rest / span;
        }
    }

    fn read(&self, digits: &mut impl Iterator<Item = u8>) -> Option<u64> {
        let (mut number, mut weight) = (0_u64, 1_u64);
        for threshold in self.thresholds() {
            let value = value(digits.next()?)?;
            number = value.checked_mul(weight)?.checked_add(number)?;
            if value < threshold {
                return Some(number);
            }
            weight = weight.checked_mul(BASE - threshold)?;
        }
        None
    }

    /// Follows the size of `delta`; the text has `len` characters after its insertion.
    fn adapt(&mut self, delta: u64, len: u64) {
        let mut delta = delta / if std::mem::take(&mut self.first) { DAMP } else { 2 };
        delta += delta / len;
        let mut k = 0;
        while delta > (BASE - THRESHOLDS.0) * THRESHOLDS.1 / 2 {
            delta /= BASE - THRESHOLDS.0;
            k += BASE;
        }
        self.bias = k + BASE * delta / (delta + SKEW);
    }
}

fn digit(value: u64) -> char {
    let value = u8::try_from(value).expect("a digit is below 36");
    char::from(if value < 26 { b'a' + value } else { b'0' + value - 26 })
}

fn value(digit: u8) -> Option<u64> {
    match digit {
        b'a'..=b'z' => Some(u64::from(digit - b'a')),
        b'0'..=b'9' => Some(u64::from(digit - b'0') + 26),
        _ => None,
    }
}
