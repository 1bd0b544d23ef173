//! A guide in five short chapters. Each one is a program that the tests run.
//!
//! | chapter | question |
//! |---|---|
//! | [`first_group`] | How do two people come to hold the same records? |
//! | [`rights`] | Who may invite, publish, change, delete, and who takes that away? |
//! | [`offline`] | What happens without a network, and how far did my record get? |
//! | [`node`] | How do people find each other, and what does that cost me? |
//! | [`testing`] | How do I test my application with a thousand peers? |
//!
//! The same chapters for JavaScript are in the folder `web/guides` of the project.

#[doc = include_str!("guide/first_group.md")]
pub mod first_group {}

#[doc = include_str!("guide/rights.md")]
pub mod rights {}

#[doc = include_str!("guide/offline.md")]
pub mod offline {}

#[doc = include_str!("guide/node.md")]
pub mod node {}

// Its program is about the simulator, on which this crate does not depend: there it is run.
#[cfg_attr(not(doctest), doc = include_str!("guide/testing.md"))]
pub mod testing {}
