//! Secure, serverless groups: the part that decides, without I/O.
pub mod address;
pub mod cert;
pub mod error;
pub mod id;
pub mod identity;
pub mod index;
pub mod invitation;
pub mod io;
pub mod limits;
pub mod node;
mod noise;
pub mod reconcile;
pub mod record;
pub mod time;
