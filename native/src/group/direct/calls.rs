//! Calls: a request, and one response or many.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::unfold;
use futures::{Stream, StreamExt as _};
use peergraph_core::error::Error;
use peergraph_core::id::{GroupId, NodeId, PeerId};
use peergraph_core::io::{
    ChannelId, Command, DirectCall, DirectCommand, DirectError, DirectId, DirectMessage, Reply,
};

use super::{Direct, Open, spoken, stream_of};
use crate::group::{Group, Payload};
use crate::requests::{CommandError, Requests, WRONG_REPLY};

impl Direct {
    /// Calls what the other end [serves](Group::serve) under this name: `direct.call("score", "3").await?` is its response. At
    /// most 64 KiB each way.
    ///
    /// # Errors
    /// Awaiting it fails with [`DirectError::NotServed`], [`DirectError::Reset`] with the other end's words,
    /// [`DirectError::TimedOut`], or as the direct link ends.
    pub fn call(&self, name: impl Into<String>, payload: impl Payload) -> Call {
        let request = spoken(payload.into_payload(), None);
        Call { open: self.open.clone(), name: name.into(), request, within: None }
    }
}

/// A call on its way; `.await` gets its first response, [`responses`](Self::responses) all of them. It is given up when that
/// is dropped.
#[derive(Debug)]
#[must_use = "nothing is called before it is awaited"]
pub struct Call {
    open: Arc<Open>,
    name: String,
    request: DirectMessage,
    within: Option<Duration>,
}

impl Call {
    /// Says which form the request has, such as `application/json`.
    pub fn media_type(mut self, media_type: impl Into<String>) -> Self {
        self.request.media_type = Some(media_type.into());
        self
    }

    /// Gives it up after this, which the other end is told.
    pub fn within(mut self, within: Duration) -> Self {
        self.within = Some(within);
        self
    }

    /// All responses, as they come. Ends after the last one, or after an error.
    pub fn responses(self) -> Responses {
        Responses(Box::pin(unfold(Step::Ask(self), |step| async {
            let call = match step {
                Step::Ask(call) => match Running::begin(call).await {
                    Ok(call) => call,
                    Err(error) => return Some((Err(error), Step::Over)),
                },
                Step::Running(call) => call,
                Step::Over => return None,
            };
            match call.next().await {
                Ok(Some(response)) => Some((Ok(response), Step::Running(call))),
                Ok(None) => None,
                Err(error) => Some((Err(error), Step::Over)),
            }
        })))
    }
}

/// How far a call is.
enum Step {
    Ask(Call),
    Running(Running),
    Over,
}

impl IntoFuture for Call {
    type Output = Result<DirectMessage, CommandError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let call = Running::begin(self).await?;
            // A server that says nothing has given up, in no words.
            call.next().await?.ok_or_else(|| Error::from(DirectError::Reset(String::new())).into())
        })
    }
}

/// A call that was begun. It is given up when this is dropped.
struct Running {
    open: Arc<Open>,
    call: ChannelId,
}

impl Running {
    async fn begin(call: Call) -> Result<Self, CommandError> {
        let Call { open, name, request, within } = call;
        let call = DirectCommand::Call { id: open.id, name, request, within };
        let Reply::Channel(call) = open.ask(call).await? else { unreachable!("{WRONG_REPLY}") };
        Ok(Self { open, call })
    }

    async fn next(&self) -> Result<Option<DirectMessage>, CommandError> {
        let next = DirectCommand::Response { id: self.open.id, call: self.call };
        let Reply::Response(response) = self.open.wait(next).await? else {
            unreachable!("{WRONG_REPLY}")
        };
        Ok(response)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let (id, channel, why) = (self.open.id, self.call, String::new());
        let reset = DirectCommand::Reset { id, channel, why };
        self.open.requests.tell(Command::Direct(reset));
    }
}

/// Responses to a call, as they come. The call is given up when this is dropped.
pub struct Responses(Pin<Box<dyn Stream<Item = Result<DirectMessage, CommandError>> + Send>>);

stream_of!(Responses, Result<DirectMessage, CommandError>);

impl Group {
    /// Serves calls of a name on all direct links of this group. `handler` gets each call, and answers with the response, or
    /// with words for the caller, of at most 256 bytes. Calls run beside each other. It ends when what this returns is
    /// dropped.
    ///
    /// # Errors
    /// [`Error::Busy`] beyond 64 names; if the host has ended.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn serve<P, F>(
        &self,
        name: impl Into<String>,
        handler: impl Fn(CallRequest) -> F + Send + Sync + 'static,
    ) -> Result<Serving, CommandError>
    where
        P: Payload + Send,
        F: Future<Output = Result<P, String>> + Send + 'static,
    {
        let mut calls = self.calls(name).await?;
        let task = tokio::spawn(async move {
            let mut running = futures::stream::FuturesUnordered::new();
            loop {
                tokio::select! {
                    Some(call) = calls.next() => {
                        let answer = handler(call.request.clone());
                        running.push(answer_call(call, answer));
                    }
                    Some(()) = running.next() => {}
                    else => return,
                }
            }
        });
        Ok(Serving(task))
    }

    /// The calls of a name on all direct links of this group, as they come: for many responses, see [`IncomingCall::respond`].
    /// The name is served until what this returns is dropped.
    ///
    /// # Errors
    /// As [`serve`](Self::serve).
    pub async fn calls(&self, name: impl Into<String>) -> Result<Calls, CommandError> {
        let (requests, group, name) = (self.requests.clone(), self.id, name.into());
        let served = Served { requests, group, name };
        served.ask(DirectCommand::Serve { group, name: served.name.clone() }).await?;
        let calls = unfold(served, |served| async {
            let (group, name) = (served.group, served.name.clone());
            let _place = served.requests.place_to_follow().ok()?;
            let Reply::Call(call) =
                served.ask(DirectCommand::NextCall { group, name }).await.ok()?
            else {
                unreachable!("{WRONG_REPLY}")
            };
            drop(_place);
            Some((IncomingCall::new(call, served.requests.clone()), served))
        });
        Ok(Calls(Box::pin(calls)))
    }
}

/// Answers one call, unless its caller gives up before.
async fn answer_call<P: Payload>(
    call: IncomingCall,
    answer: impl Future<Output = Result<P, String>>,
) {
    tokio::select! {
        answer = answer => match answer {
            // The caller may be gone.
            Ok(payload) => drop(call.finish(payload).await),
            Err(why) => call.refuse(why),
        },
        () = call.given_up() => {}
    }
}

/// A name that is served until this is dropped.
struct Served {
    requests: Requests,
    group: GroupId,
    name: String,
}

impl Served {
    async fn ask(&self, command: DirectCommand) -> Result<Reply, CommandError> {
        self.requests.ask(Command::Direct(command)).await
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let (group, name) = (self.group, std::mem::take(&mut self.name));
        self.requests.tell(Command::Direct(DirectCommand::StopServing { group, name }));
    }
}

/// A name that is served until this is dropped.
#[derive(Debug)]
#[must_use = "it is served until this is dropped"]
pub struct Serving(tokio::task::JoinHandle<()>);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Calls of a name, as they come. The name is served until this is dropped. Ends when the host does.
pub struct Calls(Pin<Box<dyn Stream<Item = IncomingCall> + Send>>);

stream_of!(Calls, IncomingCall);

/// The caller of a call, and what it asks.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CallRequest {
    /// The member that calls. It has proved to be that member.
    pub peer: PeerId,
    /// Its node.
    pub node: NodeId,
    /// The content. Chosen by the caller: never trust it.
    pub payload: Bytes,
    /// The form of that, such as `application/json`, if the caller says so.
    pub media_type: Option<String>,
    /// How long the caller waits, from when the call came.
    pub within: Option<Duration>,
}

/// A call that came. It is given up when this is dropped, unless it was [finished](Self::finish).
#[derive(Debug)]
pub struct IncomingCall {
    /// The caller, and its request.
    pub request: CallRequest,
    id: DirectId,
    call: ChannelId,
    requests: Requests,
    open: bool,
}

impl IncomingCall {
    fn new(call: DirectCall, requests: Requests) -> Self {
        let DirectCall { id, call, peer, node, request, within } = call;
        let DirectMessage { payload, media_type, .. } = request;
        let request = CallRequest { peer, node, payload, media_type, within };
        Self { request, id, call, requests, open: true }
    }

    /// Sends one of many responses. Done once the caller's node has it.
    ///
    /// # Errors
    /// If the caller has given up, or is gone.
    pub async fn respond(&self, payload: impl Payload) -> Result<(), CommandError> {
        self.say(spoken(payload.into_payload(), None), false).await
    }

    /// Sends the last, or only, response.
    ///
    /// # Errors
    /// As [`respond`](Self::respond).
    pub async fn finish(self, payload: impl Payload) -> Result<(), CommandError> {
        self.finish_as(payload, None).await
    }

    /// The same, and says which form it has, such as `application/json`.
    ///
    /// # Errors
    /// As [`respond`](Self::respond).
    pub async fn finish_as(
        mut self,
        payload: impl Payload,
        media_type: Option<String>,
    ) -> Result<(), CommandError> {
        let said = self.say(spoken(payload.into_payload(), media_type), true).await;
        self.open = said.is_err();
        said
    }

    /// Ends the responses without a further one.
    ///
    /// # Errors
    /// As [`respond`](Self::respond).
    pub async fn end(mut self) -> Result<(), CommandError> {
        let finish = DirectCommand::Finish { id: self.id, channel: self.call };
        self.requests.ask(Command::Direct(finish)).await?;
        self.open = false;
        Ok(())
    }

    /// Gives it up, with words for the caller of at most 256 bytes.
    pub fn refuse(mut self, why: impl Into<String>) {
        self.reset(why.into());
    }

    /// Waits until the caller has given up, or is gone.
    pub async fn given_up(&self) {
        let wait = DirectCommand::Response { id: self.id, call: self.call };
        let Ok(_place) = self.requests.place_to_follow() else {
            return std::future::pending().await;
        };
        let _ = self.requests.ask(Command::Direct(wait)).await;
    }

    async fn say(&self, response: DirectMessage, last: bool) -> Result<(), CommandError> {
        let _place = self.requests.place_to_send().await;
        let (id, call) = (self.id, self.call);
        let respond = DirectCommand::Respond { id, call, response, last };
        self.requests.ask(Command::Direct(respond)).await.map(drop)
    }

    fn reset(&mut self, why: String) {
        if std::mem::take(&mut self.open) {
            let reset = DirectCommand::Reset { id: self.id, channel: self.call, why };
            self.requests.tell(Command::Direct(reset));
        }
    }
}

impl Drop for IncomingCall {
    fn drop(&mut self) {
        self.reset(String::new());
    }
}
