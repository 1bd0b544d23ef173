//! Examples of Peergraph; see the files beside this folder. Here is what is long enough to be tested by itself.
pub mod moderation;
