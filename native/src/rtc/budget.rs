//! The requests that one source may make of us: a token bucket for each.
//!
//! A stranger's first packet makes us build a peer connection and answer a DTLS handshake (about
//! 2 ms of CPU). The bucket bounds that per source; the number of buckets is bounded too.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use peergraph_core::source::Source;

/// Most sources remembered at once. Ours: 4,096 buckets are under 400 KB. When all are in use, new
/// sources are refused until one has refilled.
const SOURCES_MAX: usize = 4096;

/// How many direct dials one source may make at once, and how many more each second.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    /// Dials accepted at once from one source.
    pub burst: u32,
    /// Dials regained each second.
    pub per_second: u32,
}

impl Default for Allowance {
    /// 64 at once and 16 a second. A guess: a class behind one address translator can join at
    /// once, and one source costs at most about 3 % of a core.
    fn default() -> Self {
        Self { burst: 64, per_second: 16 }
    }
}

/// The buckets of all sources that were heard lately.
pub(crate) struct Budget {
    allowance: Allowance,
    /// Tokens left, in thousandths, and when they were counted.
    buckets: BTreeMap<Source, (u64, Instant)>,
}

impl Budget {
    pub(crate) fn new(allowance: Allowance) -> Self {
        Self { allowance, buckets: BTreeMap::new() }
    }

    /// Says whether `source` may ask once more.
    pub(crate) fn allows(&mut self, source: SocketAddr, now: Instant) -> bool {
        let key = Source::of(source.ip());
        if !self.buckets.contains_key(&key) && self.buckets.len() >= SOURCES_MAX {
            let (full, allowance) = (self.full(), self.allowance);
            self.buckets.retain(|_, bucket| tokens(*bucket, allowance, now) < full);
            if self.buckets.len() >= SOURCES_MAX {
                return false;
            }
        }
        tokens(self.bucket(key, now), self.allowance, now) >= 1000
    }

    /// Takes one token of `source`; call after [`Budget::allows`] said yes.
    pub(crate) fn take(&mut self, source: SocketAddr, now: Instant) {
        let key = Source::of(source.ip());
        let left = tokens(self.bucket(key, now), self.allowance, now).saturating_sub(1000);
        self.buckets.insert(key, (left, now));
    }

    fn bucket(&self, key: Source, now: Instant) -> (u64, Instant) {
        self.buckets.get(&key).copied().unwrap_or((self.full(), now))
    }

    fn full(&self) -> u64 {
        u64::from(self.allowance.burst) * 1000
    }
}

fn tokens((left, since): (u64, Instant), allowance: Allowance, now: Instant) -> u64 {
    let elapsed = now.saturating_duration_since(since).min(Duration::from_secs(3600));
    let gained = elapsed.as_millis() as u64 * u64::from(allowance.per_second);
    left.saturating_add(gained).min(u64::from(allowance.burst) * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> SocketAddr {
        text.parse().expect("test address")
    }

    #[test]
    fn a_source_gets_its_burst_and_then_its_rate() {
        let mut budget = Budget::new(Allowance { burst: 3, per_second: 2 });
        let start = Instant::now();
        let from = source("192.0.2.1:9");
        for _ in 0..3 {
            assert!(budget.allows(from, start));
            budget.take(from, start);
        }
        assert!(!budget.allows(from, start));
        assert!(!budget.allows(source("192.0.2.1:10"), start), "the port makes no other source");
        assert!(budget.allows(source("192.0.2.2:9"), start));
        assert!(!budget.allows(from, start + Duration::from_millis(499)));
        assert!(budget.allows(from, start + Duration::from_millis(500)));
    }

    #[test]
    fn one_ipv6_subscriber_is_one_source() {
        let mut budget = Budget::new(Allowance { burst: 1, per_second: 1 });
        let start = Instant::now();
        budget.take(source("[2001:db8::1]:9"), start);
        assert!(!budget.allows(source("[2001:db8::ffff]:9"), start));
        assert!(budget.allows(source("[2001:db8:0:1::1]:9"), start));
    }

    #[test]
    fn the_table_is_bounded_and_recovers() {
        let mut budget = Budget::new(Allowance { burst: 1, per_second: 1 });
        let start = Instant::now();
        for n in 0..SOURCES_MAX as u32 {
            let from = SocketAddr::new(std::net::Ipv4Addr::from_bits(n).into(), 9);
            assert!(budget.allows(from, start));
            budget.take(from, start);
        }
        let late = source("198.51.100.1:9");
        assert!(!budget.allows(late, start));
        assert!(budget.allows(late, start + Duration::from_secs(1)));
        assert_eq!(budget.buckets.len(), 0);
    }
}
