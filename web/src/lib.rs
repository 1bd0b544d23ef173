//! The browser host of Peergraph.
pub mod rtc;
pub mod sdp;
pub mod store;
pub mod ws;
pub mod lock;
mod browser;

use peergraph_core::io::Input;
use std::rc::Rc;

/// Where a part of the host reports what happened.
pub type Report = Rc<dyn Fn(Input)>;
