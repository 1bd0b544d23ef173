//! The browser host of Peergraph.
