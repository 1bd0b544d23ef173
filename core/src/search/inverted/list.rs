//! The postings of one key in one segment: which documents have it, how often, and at which places.
//!
//! ```text
//! list   = *short                            of less than 4 documents
//!        / [skips] *block                    of 128 documents each, the last one of fewer; skips if there are several
//! short  = gap * 2 ‖ places                  the number less that of the one before, less 1; once
//!        / gap * 2 + 1 ‖ count - 2 ‖ places  more often. Each place is less the one before
//! skips  = for each block: its last document (2 bytes) ‖ where it ends, behind the skips (4), little-endian
//! block  = widths (2) ‖ gaps ‖ counts, each less 1 ‖ places
//! widths = bits of a gap + 32 * those of a count + 1024 * those of a place, little-endian
//! ```
//!
//! The numbers of a short list are as `varint.rs` has them. In a block all gaps have one width, and so have counts and places:
//! as many bits as the highest needs. Keys without places have no counts either: then a short document is its gap, and a
//! block has gaps only.
use super::bits;
use super::varint;

/// Documents of a block. Source: usual, as in Lucene.
pub(crate) const BLOCK: usize = 128;
/// Documents of a list that is not packed. Source: with so many the widths take more than they save.
const SHORT_MAX: usize = 3;
/// Bytes of a skip.
const SKIP: usize = 6;
/// Bytes of the widths.
const WIDTHS: usize = 2;

/// Writes a list, document by document.
#[derive(Default)]
pub(crate) struct Writer {
    has_places: bool,
    /// Documents in all.
    pub(crate) documents: u32,
    /// The number of the last one, plus 1.
    next: u32,
    skips: Vec<(u16, u32)>,
    blocks: Vec<u8>,
    // Of the block that is written.
    gaps: Vec<u32>,
    counts: Vec<u32>,
    places: Vec<u32>,
}

impl Writer {
    /// Begins a list, with the memory of the one before.
    pub(crate) fn begin(&mut self, has_places: bool) {
        self.has_places = has_places;
        (self.documents, self.next) = (0, 0);
        self.skips.clear();
        self.blocks.clear();
        self.clear_block();
    }

    fn clear_block(&mut self) {
        self.gaps.clear();
        self.counts.clear();
        self.places.clear();
    }

    /// Adds a document, higher than all before, with its places, which rise.
    pub(crate) fn add(&mut self, document: u16, places: impl ExactSizeIterator<Item = u32>) {
        if self.gaps.len() == BLOCK {
            self.end_block();
        }
        self.gaps.push(u32::from(document) - self.next);
        if self.has_places {
            self.counts.push((places.len() as u32).saturating_sub(1));
            let mut last = 0;
            self.places.extend(places.map(|place| place - std::mem::replace(&mut last, place)));
        }
        self.next = u32::from(document) + 1;
        self.documents += 1;
    }

    fn end_block(&mut self) {
        let widths = [&self.gaps, &self.counts, &self.places].map(|numbers| bits::width(numbers));
        let [gap, count, place] = widths.map(|width| width as u16);
        self.blocks.extend_from_slice(&(gap | count << 5 | place << 10).to_le_bytes());
        let mut writer = bits::Writer::new(&mut self.blocks);
        for (numbers, width) in [&self.gaps, &self.counts, &self.places].into_iter().zip(widths) {
            numbers.iter().for_each(|number| writer.write(*number, width));
        }
        writer.end();
        self.skips.push(((self.next - 1) as u16, self.blocks.len() as u32));
        self.clear_block();
    }

    fn write_short(&self, bytes: &mut Vec<u8>) {
        let mut places = self.places.iter();
        for (n, gap) in self.gaps.iter().enumerate() {
            let Some(&more) = self.counts.get(n) else {
                varint::write(*gap, bytes);
                continue;
            };
            varint::write(gap << 1 | u32::from(more > 0), bytes);
            if more > 0 {
                varint::write(more - 1, bytes);
            }
            let of_it = places.by_ref().take(more as usize + 1);
            of_it.for_each(|place| varint::write(*place, bytes));
        }
    }

    /// Adds the list to `bytes`. Returns how many it has.
    pub(crate) fn end(&mut self, bytes: &mut Vec<u8>) -> usize {
        let before = bytes.len();
        if self.documents as usize <= SHORT_MAX {
            self.write_short(bytes);
            return bytes.len() - before;
        }
        self.end_block();
        if self.skips.len() > 1 {
            for (last, end) in &self.skips {
                bytes.extend_from_slice(&last.to_le_bytes());
                bytes.extend_from_slice(&end.to_le_bytes());
            }
        }
        bytes.extend_from_slice(&self.blocks);
        bytes.len() - before
    }
}

/// Reads a list, forwards.
#[derive(Clone)]
pub(crate) struct List<'a> {
    bytes: &'a [u8],
    has_places: bool,
    documents: u32,
    /// The block that is read; all of them if there are none more.
    block: usize,
    /// Its documents and how often each has the key, less 1.
    read: [u16; BLOCK],
    counts: [u16; BLOCK],
    len: usize,
    /// The document in it that is next.
    at: usize,
    places: Places<'a>,
}

/// Where places are.
#[derive(Clone)]
enum Places<'a> {
    /// Where those of each document begin.
    Short([usize; SHORT_MAX]),
    /// All of a block, the bits of one, and how many come before those of which document.
    Packed(bits::Reader<'a>, u32, (usize, usize)),
}

impl<'a> List<'a> {
    /// A list of so many documents.
    pub(crate) fn new(bytes: &'a [u8], documents: u32, has_places: bool) -> Self {
        let mut list = Self {
            bytes,
            has_places,
            documents,
            block: 0,
            read: [0; BLOCK],
            counts: [0; BLOCK],
            len: 0,
            at: 0,
            places: Places::Short([0; SHORT_MAX]),
        };
        match documents as usize {
            0..=SHORT_MAX => list.read_short(),
            _ => list.read_block(),
        }
        list
    }

    /// How many documents it has.
    pub(crate) fn documents(&self) -> u32 {
        self.documents
    }

    fn blocks(&self) -> usize {
        (self.documents as usize).div_ceil(BLOCK)
    }

    fn skip(&self, block: usize) -> (u16, usize) {
        let skip = self.bytes.get(SKIP * block..).and_then(|it| it.first_chunk::<SKIP>());
        let Some([a, b, end @ ..]) = skip else { return (u16::MAX, self.bytes.len()) };
        (u16::from_le_bytes([*a, *b]), u32::from_le_bytes(*end) as usize)
    }

    fn read_short(&mut self) {
        let (mut next, mut at, mut begins) = (0_u32, 0, [0; SHORT_MAX]);
        self.len = self.documents as usize;
        for (n, begin) in begins.iter_mut().enumerate().take(self.len) {
            let mut gap = varint::read(self.bytes, &mut at);
            if self.has_places {
                let more = if gap & 1 == 1 { varint::read(self.bytes, &mut at) + 1 } else { 0 };
                gap >>= 1;
                self.counts[n] = more as u16;
                *begin = at;
                varint::skip(self.bytes, &mut at, more + 1);
            }
            next = next.wrapping_add(gap);
            self.read[n] = next as u16;
            next = next.wrapping_add(1);
        }
        self.places = Places::Short(begins);
    }

    fn read_block(&mut self) {
        let blocks = self.blocks();
        self.at = 0;
        self.len = (self.documents as usize).saturating_sub(self.block * BLOCK).min(BLOCK);
        if self.len == 0 {
            return;
        }
        let skips = if blocks > 1 { SKIP * blocks } else { 0 };
        let (mut next, begin) = match self.block.checked_sub(1) {
            Some(before) => {
                let (last, end) = self.skip(before);
                (u32::from(last) + 1, end)
            }
            None => (0, 0),
        };
        let bytes = self.bytes.get(skips.saturating_add(begin)..).unwrap_or_default();
        let widths = bytes.first_chunk::<WIDTHS>().map_or(0, |it| u16::from_le_bytes(*it));
        let widths = u32::from(widths);
        let mut reader = bits::Reader::new(bytes.get(WIDTHS..).unwrap_or_default());
        for document in &mut self.read[..self.len] {
            next = next.wrapping_add(reader.read(widths & 31));
            *document = next as u16;
            next = next.wrapping_add(1);
        }
        if self.has_places {
            for count in &mut self.counts[..self.len] {
                *count = reader.read(widths >> 5 & 31) as u16;
            }
            self.places = Places::Packed(reader, widths >> 10, (0, 0));
        }
    }

    /// The first document that is not below `from`, which never falls. Returns also how many steps that took.
    pub(crate) fn seek(&mut self, from: u32) -> (Option<u16>, u32) {
        let mut steps = 1;
        while self.len > 0 && u32::from(self.read[self.len - 1]) < from {
            self.block += 1;
            let (mut low, mut high) = (self.block, self.blocks());
            // Blocks that end before it are not read.
            while low < high {
                let middle = low.midpoint(high);
                steps += 1;
                if u32::from(self.skip(middle).0) < from { low = middle + 1 } else { high = middle }
            }
            self.block = low;
            self.read_block();
            steps += self.len as u32 / 8;
        }
        let rest = &self.read[self.at..self.len];
        // The next document, or one close behind it, is what is asked for most often.
        let near = rest.iter().take(8).position(|document| u32::from(*document) >= from);
        self.at +=
            near.unwrap_or_else(|| rest.partition_point(|document| u32::from(*document) < from));
        (self.read[..self.len].get(self.at).copied(), steps)
    }

    /// How often the document that was found last has the key.
    pub(crate) fn count(&self) -> u32 {
        self.counts.get(self.at).map_or(0, |count| u32::from(*count) + 1)
    }

    /// Adds the places of the document that was found last.
    pub(crate) fn places(&mut self, places: &mut Vec<u32>) {
        let count = self.count();
        let mut place = 0_u32;
        match &mut self.places {
            Places::Short(begins) => {
                let mut at = begins.get(self.at).copied().unwrap_or(self.bytes.len());
                for _ in 0..count {
                    place = place.wrapping_add(varint::read(self.bytes, &mut at));
                    places.push(place);
                }
            }
            Places::Packed(reader, width, (of, before)) => {
                let passed = self.counts.get(*of..self.at).unwrap_or_default();
                *before += passed.iter().map(|more| usize::from(*more) + 1).sum::<usize>();
                *of = self.at;
                let mut reader = reader.after(*before * *width as usize);
                for _ in 0..count {
                    place = place.wrapping_add(reader.read(*width));
                    places.push(place);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Documents = Vec<(u16, Vec<u32>)>;

    fn documents() -> impl Strategy<Value = Documents> {
        let gap = prop_oneof![8 => 0..4_u16, 1 => 0..900_u16];
        let places = prop::collection::vec(0..300_u32, 1..4);
        prop::collection::vec((gap, places), 0..700).prop_map(|steps| {
            let mut next = 0_u16;
            let mut documents = Documents::new();
            for (gap, gaps) in steps {
                let Some(document) = next.checked_add(gap) else { break };
                let Some(after) = document.checked_add(1) else { break };
                next = after;
                let mut place = 0;
                let places = gaps.into_iter().map(|gap| {
                    place += gap + 1;
                    place - 1
                });
                documents.push((document, places.collect()));
            }
            documents
        })
    }

    fn written(documents: &Documents, has_places: bool) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.begin(true);
        writer.add(7, [1, 2, 3].into_iter());
        writer.begin(has_places);
        for (document, places) in documents {
            writer.add(*document, places.iter().copied());
        }
        let mut bytes = Vec::new();
        assert_eq!(writer.end(&mut bytes), bytes.len());
        assert_eq!(writer.documents as usize, documents.len());
        bytes
    }

    proptest! {
        #[test]
        fn lists_are_read_as_they_were_written(
            documents in documents(),
            seeks in prop::collection::vec(0..70_000_u32, 0..60),
            has_places in any::<bool>(),
        ) {
            let bytes = written(&documents, has_places);
            let new = || List::new(&bytes, documents.len() as u32, has_places);
            let mut list = new();
            for (document, places) in &documents {
                prop_assert_eq!(list.seek((*document).into()).0, Some(*document));
                if has_places {
                    let mut read = Vec::new();
                    list.places(&mut read);
                    prop_assert_eq!(list.count() as usize, places.len());
                    prop_assert_eq!(&read, places);
                }
            }
            let mut list = new();
            let mut seeks = seeks;
            seeks.sort_unstable();
            for (n, from) in seeks.into_iter().enumerate() {
                let expected = documents.iter().find(|(document, _)| u32::from(*document) >= from);
                prop_assert_eq!(list.seek(from).0, expected.map(|(document, _)| *document));
                // Places of some of them only.
                if let Some((_, places)) = expected && has_places && n % 2 == 0 {
                    let mut read = Vec::new();
                    list.places(&mut read);
                    prop_assert_eq!(&read, places);
                }
            }
        }

        #[test]
        fn bytes_of_any_kind_are_read_without_a_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            documents in 0..500_u32,
            has_places in any::<bool>(),
        ) {
            let mut list = List::new(&bytes, documents, has_places);
            let (mut from, mut places) = (0, Vec::new());
            for _ in 0..600 {
                let Some(document) = list.seek(from).0 else { break };
                places.clear();
                list.places(&mut places);
                from = from.max(u32::from(document)) + 1;
            }
        }
    }

    #[test]
    fn far_documents_are_found_without_reading_what_is_between() {
        let documents: Documents = (0..16_000).map(|n| (n, vec![0])).collect();
        let bytes = written(&documents, true);
        let mut list = List::new(&bytes, 16_000, true);
        let (found, steps) = list.seek(15_999);
        assert_eq!(found, Some(15_999));
        assert!(steps < 40, "{steps}");
        assert!(bytes.len() < 16_000 * 9 / 4, "{}", bytes.len());
    }
}
