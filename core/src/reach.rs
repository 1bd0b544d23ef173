//! Reach: how two nodes that have no link get one.
//!
//! `dial` tries addresses, `named` knows the nodes that were written down, `order` says which address comes first,
//! `pace` how often one is dialled,
//! `rendezvous` and `signals` carry the offers of nodes that cannot be dialled, and `sitting` has our seats there. `stun` chooses
//! who tells us our own addresses. `relay` carries frames for two that have no direct path, and `circuits` are our own links
//! that others carry, and `relayed` says
//! whose part of those is whose. `asks` is
//! the word of groups to all of them. Each is a machine that returns plain values; only the node holds two of them.
pub(crate) mod asks;
pub(crate) mod circuits;
pub(crate) mod dial;
pub(crate) mod early;
pub(crate) mod named;
pub(crate) mod offer;
mod order;
mod pace;
pub(crate) mod purpose;
pub(crate) mod relay;
pub(crate) mod relayed;
pub(crate) mod rendezvous;
pub(crate) mod signals;
pub(crate) mod sitting;
pub(crate) mod stun;
pub(crate) mod tried;
