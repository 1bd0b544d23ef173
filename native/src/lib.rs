//! The native host of Peergraph.

pub mod rtc;
