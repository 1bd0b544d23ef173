//! Records that wait for the membership of their signer: they may run ahead of it, on other ways through the graph.
use crate::id::CertificateId;
use crate::io::LinkId;
use crate::limits;
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};

/// The records of one group that wait, the oldest first.
#[derive(Default)]
pub(super) struct Deferred {
    by_certificate: BTreeMap<CertificateId, VecDeque<Waiting>>,
    order: VecDeque<CertificateId>,
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
    pub(super) fn add(&mut self, certificate: CertificateId, waiting: Waiting, by_maker: bool) {
        let bytes = waiting.record.len();
        if bytes > limits::DEFERRED_BYTES_MAX / 8 {
            return;
        }
        let of_certificate = self.by_certificate.entry(certificate).or_default();
        if let Some(known) = of_certificate.iter_mut().find(|known| known.record == waiting.record)
        {
            if by_maker {
                *known = waiting;
            }
            return;
        }
        self.bytes += bytes;
        of_certificate.push_back(waiting);
        self.order.push_back(certificate);
        if of_certificate.len() > limits::DEFERRED_PER_CERTIFICATE_MAX {
            self.drop_oldest(certificate);
            if let Some(at) = self.order.iter().position(|&s| s == certificate) {
                self.order.remove(at);
            }
        }
        while self.order.len() > limits::DEFERRED_MAX || self.bytes > limits::DEFERRED_BYTES_MAX {
            let Some(oldest) = self.order.pop_front() else { return };
            self.drop_oldest(oldest);
        }
    }

    fn drop_oldest(&mut self, certificate: CertificateId) {
        let Some(of_certificate) = self.by_certificate.get_mut(&certificate) else { return };
        if let Some(oldest) = of_certificate.pop_front() {
            self.bytes -= oldest.record.len();
        }
        if of_certificate.is_empty() {
            self.by_certificate.remove(&certificate);
        }
    }

    /// Takes out what relies on this certificate, in the order in which it came.
    pub(super) fn take(&mut self, certificate: CertificateId) -> VecDeque<Waiting> {
        let of_certificate = self.by_certificate.remove(&certificate).unwrap_or_default();
        self.bytes -= of_certificate.iter().map(|waiting| waiting.record.len()).sum::<usize>();
        self.order.retain(|&s| s != certificate);
        of_certificate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(nth: u8) -> CertificateId {
        CertificateId::from_bytes([nth; 32])
    }

    fn waiting(text: &str, link: u64) -> Waiting {
        Waiting { record: Bytes::copy_from_slice(text.as_bytes()), from: Some(LinkId(link)) }
    }

    #[test]
    fn maker_is_remembered_before_others_who_sent_a_record() {
        let mut deferred = Deferred::default();
        deferred.add(certificate(1), waiting("a", 1), false);
        deferred.add(certificate(1), waiting("b", 1), true);
        deferred.add(certificate(2), waiting("c", 1), false);
        deferred.add(certificate(1), waiting("a", 2), true);
        deferred.add(certificate(1), waiting("b", 3), false);
        assert_eq!(deferred.take(certificate(1)), [waiting("a", 2), waiting("b", 1)]);
        assert_eq!(deferred.take(certificate(1)), []);
        assert_eq!((deferred.bytes, deferred.order.len()), (1, 1));
    }

    #[test]
    fn what_waits_is_bounded_and_the_oldest_gives_way() {
        let mut deferred = Deferred::default();
        for nth in 0..2 * limits::DEFERRED_MAX {
            let of = certificate((nth * 256 / (2 * limits::DEFERRED_MAX)) as u8);
            deferred.add(of, waiting(&format!("{nth:>9}"), 1), false);
        }
        assert!(deferred.order.len() <= limits::DEFERRED_MAX);
        let of_each = deferred.by_certificate.values().map(VecDeque::len);
        assert!(
            of_each.clone().all(|len| (1..=limits::DEFERRED_PER_CERTIFICATE_MAX).contains(&len))
        );
        assert_eq!(of_each.sum::<usize>(), deferred.order.len());
        assert_eq!(deferred.bytes, 9 * deferred.order.len());
        let large = "x".repeat(limits::DEFERRED_BYTES_MAX / 8);
        for nth in 0..9 {
            deferred.add(certificate(255), waiting(&format!("{nth}{}", &large[1..]), 1), false);
        }
        assert!(deferred.bytes <= limits::DEFERRED_BYTES_MAX);
        assert_eq!(deferred.take(certificate(255)).len(), 8, "nothing else is left");
        assert_eq!((deferred.bytes, deferred.order.len()), (0, 0));
    }
}
