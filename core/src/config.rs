//! What an application can ask of its node, and what cannot be.
use crate::limits::{NEIGHBOURS_MAX, PRIORITIES_MAX};
use crate::node::Config;
use std::str::FromStr;

/// How many neighbours a node wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbours {
    /// Fewer are replaced at once.
    pub minimum: usize,
    /// Fewer are topped up now and then.
    pub ideal: usize,
    /// More are refused.
    pub maximum: usize,
}

impl Default for Neighbours {
    /// 3, 5, 7. Measured with one seed, the load of fifty senders (`cargo xtask sim flood --neighbours 3,5,7`):
    ///
    /// | limits | 1,000 nodes: mean, last hop | slowest | redundancy | control bytes a record | 100 nodes: hops |
    /// |---|---|---|---|---|---|
    /// | 2, 3, 4 | 7.1, 16 | 540 ms | 0.14 | 164 | 4.9, 12 |
    /// | 2, 3, 7 | 5.6, 15 | 468 ms | 0.02 | 199 | 3.6, 8 |
    /// | 3, 4, 6 | 5.6, 15 | 427 ms | 0.03 | 205 | 3.7, 11 |
    /// | 3, 5, 7 | 5.2, 13 | 345 ms | 0.03 | 219 | 3.4, 9 |
    /// | 4, 6, 8 | 4.9, 11 | 319 ms | 0.03 | 275 | 3.3, 9 |
    /// | 5, 8, 10 | 4.7, 14 | 300 ms | 0.05 | 390 | 3.1, 8 |
    ///
    /// Beyond 3, 5, 7 a link saves little time and costs what a data channel costs: in browsers the dearest thing there is.
    fn default() -> Self {
        Self { minimum: 3, ideal: 5, maximum: 7 }
    }
}

/// Why a node cannot be as it is asked to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadConfig {
    /// The limits of [`Neighbours`] fall, or begin with 0, or end beyond [`NEIGHBOURS_MAX`].
    #[error(
        "these limits of neighbours cannot be; give minimum, ideal and maximum so that none is below the one before, \
         from 1 to {NEIGHBOURS_MAX}, such as 3, 5 and 7"
    )]
    Neighbours,
    /// More than [`PRIORITIES_MAX`] types are to come first.
    #[error("too many record types are to come first; name at most {PRIORITIES_MAX}")]
    Priorities,
}

impl Neighbours {
    /// Whether they can be.
    ///
    /// # Errors
    /// [`BadConfig::Neighbours`].
    pub fn check(self) -> Result<Self, BadConfig> {
        let Self { minimum, ideal, maximum } = self;
        let rise = 0 < minimum && minimum <= ideal && ideal <= maximum;
        if rise && maximum <= NEIGHBOURS_MAX { Ok(self) } else { Err(BadConfig::Neighbours) }
    }
}

/// Minimum, ideal and maximum: `3,5,7`.
impl FromStr for Neighbours {
    type Err = BadConfig;

    fn from_str(text: &str) -> Result<Self, BadConfig> {
        let numbers: Result<Vec<usize>, _> = text.split(',').map(str::parse).collect();
        let Ok(&[minimum, ideal, maximum]) = numbers.as_deref() else {
            return Err(BadConfig::Neighbours);
        };
        Self { minimum, ideal, maximum }.check()
    }
}

impl Config {
    /// Whether a node can be so. Hosts ask before they make one.
    ///
    /// # Errors
    /// [`BadConfig`].
    pub fn check(&self) -> Result<(), BadConfig> {
        self.neighbours.check()?;
        if self.priorities.len() > PRIORITIES_MAX { Err(BadConfig::Priorities) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RecordType;

    #[test]
    fn limits_of_neighbours_do_not_fall() {
        let [minimum, ideal, maximum] = [3, 5, 7];
        assert_eq!("3,5,7".parse(), Ok(Neighbours { minimum, ideal, maximum }));
        for text in ["1,1,1", "1,1,100", "100,100,100"] {
            assert!(text.parse::<Neighbours>().is_ok(), "{text}");
        }
        for text in ["", "3", "3,5", "3,5,7,9", "0,1,2", "5,3,7", "3,7,5", "1,2,101", "3, 5, 7"] {
            assert_eq!(text.parse::<Neighbours>(), Err(BadConfig::Neighbours), "{text}");
        }
        assert_eq!(Config::default().check(), Ok(()));
    }

    #[test]
    fn so_many_types_come_first() {
        let check = |count: usize| {
            let priorities = vec![RecordType::new("note").expect("a type"); count];
            Config { priorities, ..Config::default() }.check()
        };
        assert_eq!(check(PRIORITIES_MAX), Ok(()));
        assert_eq!(check(PRIORITIES_MAX + 1), Err(BadConfig::Priorities));
    }
}
