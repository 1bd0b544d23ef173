//! The native host of Peergraph.
