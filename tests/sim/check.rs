//! The rules that must always hold, each in a file of its own.
pub mod bounds;
pub mod convergence;
pub mod delivery;
pub mod durability;
pub mod model;
pub mod refusal;
