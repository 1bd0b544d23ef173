//! Numbers in as few bytes as they need: seven bits a byte, the low ones first.

/// Adds a number.
pub(crate) fn write(mut number: u32, bytes: &mut Vec<u8>) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Reads the number at `at`, which moves behind it. Bytes that end too early are those of 0: nothing but what
/// [`write`] wrote is read.
pub(crate) fn read(bytes: &[u8], at: &mut usize) -> u32 {
    let (mut number, mut shift) = (0, 0);
    while let Some(byte) = bytes.get(*at) {
        *at += 1;
        number |= u32::from(byte & 0x7f) << shift;
        shift += 7;
        if *byte < 0x80 || shift > 28 {
            break;
        }
    }
    number
}

/// Goes over so many numbers.
pub(crate) fn skip(bytes: &[u8], at: &mut usize, mut count: u32) {
    while count > 0 {
        let Some(byte) = bytes.get(*at) else { return };
        *at += 1;
        count -= u32::from(*byte < 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_are_read_as_they_were_written(numbers in prop::collection::vec(any::<u32>(), 0..9), low in 0..9_u32) {
            let mut bytes = Vec::new();
            numbers.iter().for_each(|number| write(*number, &mut bytes));
            write(low, &mut bytes);
            let mut at = 0;
            for number in &numbers {
                prop_assert_eq!(read(&bytes, &mut at), *number);
            }
            let mut skipped = 0;
            skip(&bytes, &mut skipped, numbers.len() as u32);
            prop_assert_eq!(skipped, at);
            prop_assert_eq!(read(&bytes, &mut at), low);
        }
    }
}
