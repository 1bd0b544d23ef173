//! ICE servers: they tell a page its addresses, and perhaps relay for it.
use crate::browser;
use js_sys::{Array, Object};
use std::net::SocketAddr;
use wasm_bindgen::prelude::*;
use web_sys::{RtcConfiguration, RtcPeerConnection};

/// ICE servers that an application may name. Guess; browsers gather more slowly with each.
const SERVERS_MAX: u32 = 8;

/// The servers of the application, and those that the node knows.
pub struct IceServers {
    /// As `RTCPeerConnection` takes them.
    own: Array,
    known: Vec<SocketAddr>,
}

impl IceServers {
    /// `own` are those of the application, if it names any; what stands in them the browser checks.
    ///
    /// # Errors
    /// No list, or one of more than 8.
    pub fn new(own: &JsValue) -> Result<Self, &'static str> {
        let own = match own {
            own if own.is_undefined() || own.is_null() => Array::new(),
            own if Array::is_array(own) => Array::from(own),
            _ => return Err("iceServers is a list, as RTCPeerConnection takes it"),
        };
        if own.length() > SERVERS_MAX {
            return Err("at most 8 ICE servers");
        }
        Ok(Self { own, known: Vec::new() })
    }

    /// The node names those that it knows.
    pub fn know(&mut self, servers: &[SocketAddr]) {
        self.known = servers.to_vec();
    }

    /// A connection that uses them. A browser that refuses the list of the application gets none of it.
    ///
    /// # Errors
    /// The browser refuses any connection.
    pub fn connection(&self) -> Result<RtcPeerConnection, JsValue> {
        let all = self.own.slice(0, self.own.length());
        for server in &self.known {
            let entry = Object::new();
            browser::set(&entry, "urls", &format!("stun:{server}").into());
            all.push(&entry);
        }
        if all.length() == 0 {
            return RtcPeerConnection::new();
        }
        let configuration = RtcConfiguration::new();
        configuration.set_ice_servers(&all);
        RtcPeerConnection::new_with_configuration(&configuration)
    }
}
