//! Records that wait for the membership of their signer: they may run ahead of it, on other ways through the graph.
use crate::id::Serial;
use crate::io::LinkId;
use crate::limits;
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};

/// The records of one group that wait, the oldest first.
#[derive(Default)]
pub(super) struct Deferred {
    by_serial: BTreeMap<Serial, VecDeque<Waiting>>,
    order: VecDeque<Serial>,
    bytes: usize,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) record: Bytes,
    /// Who sent it: its maker, if that did, who waits for an acknowledgement.
    pub(super) from: Option<LinkId>,
}

impl Deferred {
    /// Adds a record that relies on this certificate.
    pub(super) fn add(&mut self, serial: Serial, waiting: Waiting, by_maker: bool) {
        let bytes = waiting.record.len();
        if bytes > limits::DEFERRED_BYTES_MAX / 8 {
            return;
        }
        let of_serial = self.by_serial.entry(serial).or_default();
        if let Some(known) = of_serial.iter_mut().find(|known| known.record == waiting.record) {
            if by_maker {
                *known = waiting;
            }
            return;
        }
        self.bytes += bytes;
        of_serial.push_back(waiting);
        self.order.push_back(serial);
        if of_serial.len() > limits::DEFERRED_PER_SERIAL_MAX {
            self.drop_oldest(serial);
            if let Some(at) = self.order.iter().position(|&s| s == serial) {
                self.order.remove(at);
            }
        }
        while self.order.len() > limits::DEFERRED_MAX || self.bytes > limits::DEFERRED_BYTES_MAX {
            let Some(oldest) = self.order.pop_front() else { return };
            self.drop_oldest(oldest);
        }
    }

    fn drop_oldest(&mut self, serial: Serial) {
        let Some(of_serial) = self.by_serial.get_mut(&serial) else { return };
        if let Some(oldest) = of_serial.pop_front() {
            self.bytes -= oldest.record.len();
        }
        if of_serial.is_empty() {
            self.by_serial.remove(&serial);
        }
    }

    /// Takes out what relies on this certificate, in the order in which it came.
    pub(super) fn take(&mut self, serial: Serial) -> VecDeque<Waiting> {
        let of_serial = self.by_serial.remove(&serial).unwrap_or_default();
        self.bytes -= of_serial.iter().map(|waiting| waiting.record.len()).sum::<usize>();
        self.order.retain(|&s| s != serial);
        of_serial
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serial(nth: u8) -> Serial {
        Serial::from_bytes([nth; 16])
    }

    fn waiting(text: &str, link: u64) -> Waiting {
        Waiting { record: Bytes::copy_from_slice(text.as_bytes()), from: Some(LinkId(link)) }
    }

    #[test]
    fn maker_is_remembered_before_others_who_sent_a_record() {
        let mut deferred = Deferred::default();
        deferred.add(serial(1), waiting("a", 1), false);
        deferred.add(serial(1), waiting("b", 1), true);
        deferred.add(serial(2), waiting("c", 1), false);
        deferred.add(serial(1), waiting("a", 2), true);
        deferred.add(serial(1), waiting("b", 3), false);
        assert_eq!(deferred.take(serial(1)), [waiting("a", 2), waiting("b", 1)]);
        assert_eq!(deferred.take(serial(1)), []);
        assert_eq!((deferred.bytes, deferred.order.len()), (1, 1));
    }

    #[test]
    fn what_waits_is_bounded_and_the_oldest_gives_way() {
        let mut deferred = Deferred::default();
        for nth in 0..2 * limits::DEFERRED_MAX {
            let serial = serial((nth * 256 / (2 * limits::DEFERRED_MAX)) as u8);
            deferred.add(serial, waiting(&format!("{nth:>9}"), 1), false);
        }
        assert!(deferred.order.len() <= limits::DEFERRED_MAX);
        let of_each = deferred.by_serial.values().map(VecDeque::len);
        assert!(of_each.clone().all(|len| (1..=limits::DEFERRED_PER_SERIAL_MAX).contains(&len)));
        assert_eq!(of_each.sum::<usize>(), deferred.order.len());
        assert_eq!(deferred.bytes, 9 * deferred.order.len());
        let large = "x".repeat(limits::DEFERRED_BYTES_MAX / 8);
        for nth in 0..9 {
            deferred.add(serial(255), waiting(&format!("{nth}{}", &large[1..]), 1), false);
        }
        assert!(deferred.bytes <= limits::DEFERRED_BYTES_MAX);
        assert_eq!(deferred.take(serial(255)).len(), 8, "nothing else is left");
        assert_eq!((deferred.bytes, deferred.order.len()), (0, 0));
    }
}
