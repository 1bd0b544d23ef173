//! Search: a question about the records of a group, and what it finds.
//!
//! A [`Query`] is one tree with two notations. People type `type:chat.message author:ada "see you" -deleted`
//! ([`Query::parse`]); programs write JSON ([`Query::from_json`]). Each notation is printed back from the tree.
//!
//! ```text
//!   text ──┐                  ┌──► one record: `Query::matches`, the definition (`naive.rs`)
//!          ├──► Query (tree) ─┤
//!   JSON ──┘                  └──► many: an index
//! ```
//!
//! Words are those of Unicode's annex 29, without case and accents; scripts without spaces are cut into pairs of characters
//! (`words.rs`). Which payloads have words says `document.rs`. Two records fit alike or not by BM25 (`rank.rs`).
mod compare;
mod document;
mod fold;
pub mod inverted;
mod json;
mod moment;
mod naive;
mod notation;
mod pattern;
mod phrase;
mod print;
mod query;
mod rank;
mod text;
mod words;

#[cfg(test)]
mod tests;

pub use inverted::{Order, SearchCursor, SearchIndex};
pub use moment::Moment;
pub use naive::Names;
pub use pattern::Pattern;
pub use query::{AttributeName, Comparison, Field, Operand, Query, QueryError, QueryFault};
