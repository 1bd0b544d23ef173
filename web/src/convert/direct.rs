//! Direct links: what an application asks of them, and what it is answered and told.
//!
//! One call for all operations, with the same few arguments: each of its own would cost kilobytes.
use super::parse;
use super::told::BytesJs;
use crate::browser::to_js;
use crate::failure::Failure;
use js_sys::Uint8Array;
use peergraph_core::io::{
    ChannelId, DirectAdmit, DirectCall, DirectCommand, DirectId, DirectInfo, DirectMessage,
    DirectState, DirectTo, Reply,
};
use peergraph_core::record::RecordType;
use serde::Serialize;
use std::time::Duration;
use wasm_bindgen::prelude::*;

/// The arguments of an operation; each uses some of them.
pub(crate) struct Asked {
    /// A direct link or a group.
    pub(crate) at: String,
    pub(crate) channel: u32,
    /// A purpose, a type, a name, words.
    pub(crate) text: String,
    /// The other end, or a role.
    pub(crate) to: String,
    pub(crate) bytes: Option<Vec<u8>>,
    pub(crate) media_type: Option<String>,
    /// Milliseconds, bytes, or 1 for yes.
    pub(crate) number: f64,
}

impl Asked {
    fn id(&self) -> Result<DirectId, Failure> {
        parse(&self.at).map(DirectId)
    }

    fn message(&mut self) -> DirectMessage {
        let payload = self.bytes.take().unwrap_or_default().into();
        DirectMessage { kind: None, payload, media_type: self.media_type.take() }
    }

    /// The command of an operation.
    pub(crate) fn command(mut self, op: &str) -> Result<DirectCommand, Failure> {
        let channel = ChannelId(self.channel);
        let said = self.number > 0.0;
        Ok(match op {
            "open" => {
                let mut words = self.to.split(' ');
                let mut next = || words.next().unwrap_or_default();
                let (what, who, id) = (next(), next(), next());
                let to = match what {
                    "node" => DirectTo::Node(parse(who)?),
                    _ => DirectTo::Peer(parse(who)?),
                };
                let (id, group) = (DirectId(parse(id)?), parse(&self.at)?);
                DirectCommand::Open { id, group, to, purpose: self.text }
            }
            "admit" => {
                let admit = match self.text.as_str() {
                    "members" => DirectAdmit::Members,
                    "nobody" => DirectAdmit::Nobody,
                    "role" => DirectAdmit::Role(self.to),
                    _ => DirectAdmit::Ask,
                };
                DirectCommand::Admit { group: parse(&self.at)?, admit }
            }
            "accept" => DirectCommand::Accept { id: self.id()? },
            "refuse" => DirectCommand::Refuse { id: self.id()?, why: self.text },
            "close" => DirectCommand::Close { id: self.id()? },
            "send" => {
                let kind = RecordType::new(&self.text).map_err(Failure::bad_argument)?;
                let message = DirectMessage { kind: Some(kind), ..self.message() };
                DirectCommand::Send { id: self.id()?, message, latest: said }
            }
            "receive" => DirectCommand::Receive { id: self.id()? },
            "serve" => DirectCommand::Serve { group: parse(&self.at)?, name: self.text },
            "stop-serving" => {
                DirectCommand::StopServing { group: parse(&self.at)?, name: self.text }
            }
            "next-call" => DirectCommand::NextCall { group: parse(&self.at)?, name: self.text },
            "call" => {
                let within = said.then(|| Duration::from_millis(self.number as u64));
                let (id, request) = (self.id()?, self.message());
                DirectCommand::Call { id, name: self.text, request, within }
            }
            "respond" => {
                let (id, response) = (self.id()?, self.message());
                DirectCommand::Respond { id, call: channel, response, last: said }
            }
            "response" => DirectCommand::Response { id: self.id()?, call: channel },
            "stream" => DirectCommand::Stream { id: self.id()?, name: self.text },
            "next-stream" => DirectCommand::NextStream { id: self.id()? },
            "write" => {
                let bytes = self.bytes.take().unwrap_or_default().into();
                DirectCommand::Write { id: self.id()?, stream: channel, bytes }
            }
            "finish" => DirectCommand::Finish { id: self.id()?, channel },
            "read" => {
                let most = self.number as usize;
                DirectCommand::Read { id: self.id()?, stream: channel, most }
            }
            "reset" => DirectCommand::Reset { id: self.id()?, channel, why: self.text },
            _ => return Err(Failure::internal("unknown operation")),
        })
    }
}

/// A direct link.
#[derive(Serialize)]
pub(crate) struct DirectJs {
    id: String,
    peer: String,
    node: String,
    purpose: String,
    ours: bool,
    open: bool,
}

impl From<DirectInfo> for DirectJs {
    fn from(info: DirectInfo) -> Self {
        Self {
            id: info.id.0.to_string(),
            peer: info.peer.to_string(),
            node: info.node.to_string(),
            purpose: info.purpose,
            ours: info.ours,
            open: matches!(info.state, DirectState::Open | DirectState::Apart),
        }
    }
}

/// A message, a request or a response; of a request also who asks.
#[derive(Serialize)]
struct MessageJs {
    kind: Option<String>,
    bytes: BytesJs,
    #[serde(rename = "mediaType")]
    media_type: Option<String>,
    #[serde(flatten)]
    call: Option<CallJs>,
}

#[derive(Serialize)]
struct CallJs {
    id: String,
    call: u32,
    peer: String,
    node: String,
    within: Option<f64>,
}

fn message(message: DirectMessage, call: Option<CallJs>) -> JsValue {
    let DirectMessage { kind, payload, media_type } = message;
    let kind = kind.map(|kind| kind.to_string());
    to_js(&MessageJs { kind, bytes: BytesJs(payload), media_type, call })
}

/// The answer to an operation, if it is one.
pub(crate) fn direct_reply(reply: Reply) -> Option<JsValue> {
    Some(if let Reply::Direct(info) = reply {
        to_js(&DirectJs::from(info))
    } else if let Reply::Message(it) | Reply::Response(Some(it)) = reply {
        message(it, None)
    } else if let Reply::Response(None) = reply {
        JsValue::UNDEFINED
    } else if let Reply::Call(DirectCall { id, call, peer, node, request, within }) = reply {
        let call = CallJs {
            id: id.0.to_string(),
            call: call.0,
            peer: peer.to_string(),
            node: node.to_string(),
            within: within.map(|it| it.as_millis() as f64),
        };
        message(request, Some(call))
    } else if let Reply::Channel(channel) = reply {
        channel.0.into()
    } else if let Reply::Stream { stream, name } = reply {
        #[derive(Serialize)]
        struct StreamJs {
            stream: u32,
            name: String,
        }
        to_js(&StreamJs { stream: stream.0, name })
    } else if let Reply::Bytes(bytes) = reply {
        Uint8Array::from(&bytes[..]).into()
    } else {
        return None;
    })
}
