//! Warnings about others and about the disk, at a rate that a log bears.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// How often one source is warned of. Source: a person reads a log.
const EVERY: Duration = Duration::from_secs(60);
/// Sources that are told apart. Guess. The rest share one warning.
const SOURCES_MAX: usize = 1_024;

/// When each source was warned of last, and how often it was not since then.
#[derive(Debug, Default)]
pub(crate) struct Warned(BTreeMap<Option<String>, (Instant, u64)>);

impl Warned {
    /// Whether this is to be told; and how much of the source was not, since it was told last.
    pub(crate) fn tell(&mut self, source: &str, now: Instant) -> Option<u64> {
        self.0.retain(|_, (at, _)| now.duration_since(*at) < 2 * EVERY);
        let known = self.0.contains_key(&Some(source.to_owned()));
        let source = (known || self.0.len() < SOURCES_MAX).then(|| source.to_owned());
        match self.0.get_mut(&source) {
            Some((at, untold)) if now.duration_since(*at) < EVERY => {
                *untold += 1;
                None
            }
            Some((at, untold)) => {
                *at = now;
                Some(std::mem::take(untold))
            }
            None => {
                self.0.insert(source, (now, 0));
                Some(0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_source_is_told_once_a_minute_and_the_rest_is_counted() {
        let (mut warned, begin) = (Warned::default(), Instant::now());
        let at = |seconds| begin + Duration::from_secs(seconds);
        assert_eq!(warned.tell("192.0.2.1", at(0)), Some(0));
        assert_eq!((0..100).filter_map(|_| warned.tell("192.0.2.1", at(59))).count(), 0);
        assert_eq!(warned.tell("192.0.2.2", at(59)), Some(0));
        assert_eq!(warned.tell("192.0.2.1", at(60)), Some(100));
        let told = (0..10 * SOURCES_MAX).filter(|n| warned.tell(&n.to_string(), at(61)).is_some());
        assert!(told.count() <= SOURCES_MAX);
        assert!(warned.0.len() <= SOURCES_MAX + 1);
    }
}
