//! How many neighbours a node wants.
use std::fmt;

/// How many neighbours a node wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbours {
    pub(super) minimum: usize,
    pub(super) ideal: usize,
    pub(super) maximum: usize,
}

/// Why a graph of such neighbours would not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnfitNeighbours {
    /// The minimum is 0, or above the ideal.
    #[error("the minimum of neighbours is between 1 and the ideal number")]
    Minimum,
    /// Whoever is content with two neighbours closes a ring; many small rings are no graph. A crowd whose nodes drop one of
    /// two neighbours for one who joins breaks as often as it mends.
    #[error("an ideal below 3 neighbours makes rings, which are apart from one another")]
    Rings,
    /// Where all have what they want nobody could join.
    #[error("a maximum that is not above the ideal leaves no room for newcomers")]
    NoRoom,
}

impl Neighbours {
    /// The lowest ideal. Source: graphs of random links with three at each node are connected; with two they are rings.
    /// Measured: 1,000 nodes with 2, 2, 3 are not one graph after ten minutes.
    pub const IDEAL_MIN: usize = 3;

    /// `minimum`: fewer are replaced at once. `ideal`: fewer are topped up now and then. `maximum`: more are refused.
    pub const fn new(
        minimum: usize,
        ideal: usize,
        maximum: usize,
    ) -> Result<Self, UnfitNeighbours> {
        if ideal < Self::IDEAL_MIN {
            return Err(UnfitNeighbours::Rings);
        }
        if minimum == 0 || minimum > ideal {
            return Err(UnfitNeighbours::Minimum);
        }
        if maximum <= ideal {
            return Err(UnfitNeighbours::NoRoom);
        }
        Ok(Self { minimum, ideal, maximum })
    }
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

impl fmt::Display for Neighbours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{},{}", self.minimum, self.ideal, self.maximum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_make_no_graph_are_refused() {
        let new = Neighbours::new;
        assert_eq!(new(3, 5, 7), Ok(Neighbours::default()));
        assert_eq!(new(2, 3, 7).map(|wants| wants.to_string()), Ok("2,3,7".to_owned()));
        assert_eq!(new(2, 2, 3), Err(UnfitNeighbours::Rings));
        assert_eq!(new(0, 3, 7), Err(UnfitNeighbours::Minimum));
        assert_eq!(new(4, 3, 7), Err(UnfitNeighbours::Minimum));
        assert_eq!(new(3, 3, 3), Err(UnfitNeighbours::NoRoom));
    }
}
