//! Numbers of few bits, packed one after the other, the low bits first.

/// How many bits the highest of some numbers needs.
pub(crate) fn width(numbers: &[u32]) -> u32 {
    u32::BITS - numbers.iter().max().map_or(u32::BITS, |most| most.leading_zeros())
}

/// Packs numbers.
pub(crate) struct Writer<'a> {
    bytes: &'a mut Vec<u8>,
    waiting: u64,
    bits: u32,
}

impl<'a> Writer<'a> {
    /// Adds them to these bytes.
    pub(crate) fn new(bytes: &'a mut Vec<u8>) -> Self {
        Self { bytes, waiting: 0, bits: 0 }
    }

    /// Adds a number that has at most so many bits.
    pub(crate) fn write(&mut self, number: u32, width: u32) {
        self.waiting |= u64::from(number) << self.bits;
        self.bits += width;
        while self.bits >= 8 {
            self.bytes.push(self.waiting as u8);
            self.waiting >>= 8;
            self.bits -= 8;
        }
    }

    /// Ends with a whole byte.
    pub(crate) fn end(self) {
        if self.bits > 0 {
            self.bytes.push(self.waiting as u8);
        }
    }
}

/// Reads packed numbers. Bits that are not there are 0.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// A reader that is so many bits further.
    pub(crate) fn after(&self, bits: usize) -> Self {
        Self { at: self.at.saturating_add(bits), ..*self }
    }

    /// Reads a number of at most 32 bits.
    pub(crate) fn read(&mut self, width: u32) -> u32 {
        let rest = self.bytes.get(self.at / 8..).unwrap_or_default();
        let eight = rest.first_chunk::<8>().copied().unwrap_or_else(|| {
            let mut eight = [0; 8];
            eight[..rest.len()].copy_from_slice(rest);
            eight
        });
        let bits = u64::from_le_bytes(eight) >> (self.at % 8);
        self.at = self.at.saturating_add(width as usize);
        (bits & ((1 << width.min(32)) - 1)) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_are_read_as_they_were_packed(
            numbers in prop::collection::vec(any::<u32>(), 1..40),
            shifts in prop::collection::vec(0..33_u32, 40),
        ) {
            let parts = numbers.iter().zip(&shifts);
            let numbers: Vec<_> = parts.map(|(number, by)| number.checked_shr(*by).unwrap_or(0)).collect();
            let most = width(&numbers);
            let mut bytes = vec![7];
            let mut writer = Writer::new(&mut bytes);
            for number in &numbers {
                writer.write(*number, width(&[*number]));
                writer.write(*number, most);
            }
            writer.end();
            let bits: u32 = numbers.iter().map(|number| width(&[*number]) + most).sum();
            prop_assert_eq!(bytes.len(), 1 + bits.div_ceil(8) as usize);
            let mut reader = Reader::new(&bytes[1..]);
            for number in &numbers {
                prop_assert_eq!(reader.read(width(&[*number])), *number);
                prop_assert_eq!(reader.read(most), *number);
            }
            prop_assert_eq!(reader.after(64).read(32), 0);
        }
    }
}
