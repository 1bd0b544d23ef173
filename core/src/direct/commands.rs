//! The acts of the application on direct links that are there.
use super::channel::{Kind, Reader};
use super::end::{Hand, MESSAGES, State};
use super::{Direct, End};
use crate::io::error::Error;
use crate::io::{
    ChannelId, DirectCommand, DirectError, DirectId, DirectInfo, DirectMessage, Outbox, Reply,
    RequestId,
};
use crate::limits;
use crate::link::Links;
use crate::time::Now;
use crate::wire::{DirectHalt, DirectItem, DirectOpen, DirectReason};

/// The message of an application as it is sent.
fn item_of(message: DirectMessage, latest: bool) -> Result<DirectItem, Error> {
    let DirectMessage { kind, payload, media_type } = message;
    let kind = kind.map_or_else(String::new, |kind| kind.as_str().to_owned());
    let latest = latest.then_some(true);
    let item = DirectItem { kind, payload: payload.into(), media_type, latest };
    if item.fits() { Ok(item) } else { Err(DirectError::TooLong.into()) }
}

/// Words for the other end, if there are any.
pub(super) fn words_of(words: String) -> Result<Option<String>, Error> {
    if words.len() > limits::DIRECT_WORDS_BYTES_MAX {
        return Err(DirectError::TooLong.into());
    }
    Ok(Some(words).filter(|words| !words.is_empty()))
}

fn check_name(name: &str) -> Result<(), Error> {
    let fits = (1..=limits::DIRECT_NAME_BYTES_MAX).contains(&name.len());
    if fits { Ok(()) } else { Err(DirectError::TooLong.into()) }
}

impl Direct {
    /// The direct link of this name, if it can be used.
    fn open(&mut self, id: DirectId) -> Result<&mut End, Error> {
        self.dirty.insert(id);
        let end = self.ends.get_mut(&id).filter(|end| end.state == State::Open);
        end.ok_or(Error::Direct(DirectError::Unknown))
    }

    /// Direct links as the application sees them.
    pub(crate) fn infos(&self) -> Vec<DirectInfo> {
        self.ends.values().map(End::info).collect()
    }

    /// Does what needs no group. Returns the reply, unless that follows later, or has been given.
    pub(crate) fn command(
        &mut self,
        now: Now,
        links: &mut Links,
        out: &mut Outbox,
        command: DirectCommand,
        request: RequestId,
    ) -> Result<Option<Reply>, Error> {
        match command {
            // The node has taken these.
            DirectCommand::Open { .. } | DirectCommand::Accept { .. } => {
                return Err(DirectError::Unknown.into());
            }
            DirectCommand::Admit { group, admit } => {
                self.admits.insert(group, admit);
            }
            DirectCommand::Refuse { id, why } => {
                let words = words_of(why)?;
                self.ends
                    .get(&id)
                    .filter(|end| end.state == State::Asked)
                    .ok_or(DirectError::Unknown)?;
                let hand = &mut Hand { now, links, out };
                let reason = Some((DirectReason::Declined, words));
                self.remove(id, &DirectError::Closed, reason, hand);
            }
            DirectCommand::List => return Ok(Some(Reply::Directs(self.infos()))),
            DirectCommand::Close { id } => {
                let end = self.ends.get(&id).ok_or(DirectError::Unknown)?;
                let reason = match end.state {
                    State::Asked => DirectReason::Declined,
                    State::Asking | State::Open => DirectReason::Closed,
                };
                let hand = &mut Hand { now, links, out };
                self.remove(id, &DirectError::Closed, Some((reason, None)), hand);
            }
            DirectCommand::Serve { group, name } => {
                check_name(&name)?;
                self.served.serve(group, name)?;
            }
            DirectCommand::StopServing { group, name } => {
                for call in self.served.stop(group, name, out) {
                    if let Some(end) = self.ends.get_mut(&call.id) {
                        let (halt, why) = (DirectHalt::NotServed, DirectError::NotServed);
                        end.reset(call.call.0, halt, None, &why, out);
                        self.dirty.insert(call.id);
                    }
                }
            }
            DirectCommand::NextCall { group, name } => {
                self.served.wait(group, name, request, out)?;
                return Ok(None);
            }
            DirectCommand::Send { id, message, latest } => {
                if message.kind.is_none() {
                    return Err(DirectError::TooLong.into());
                }
                let item = item_of(message, latest)?;
                self.open(id)?.send_message(&item, latest, request, out)?;
                return Ok(None);
            }
            DirectCommand::Receive { id } => {
                let reader = Reader { request, most: 0 };
                self.open(id)?.wait(ChannelId(MESSAGES), Kind::Messages, reader, out)?;
                return Ok(None);
            }
            DirectCommand::Call { id, name, request, within } => {
                check_name(&name)?;
                let request = Some(item_of(DirectMessage { kind: None, ..request }, false)?);
                let millis = within.map(|it| u64::try_from(it.as_millis()).unwrap_or(u64::MAX));
                let open = DirectOpen { name, within: millis, request };
                let call = self.open(id)?.begin(Kind::Call, &open)?;
                if let Some(within) = within {
                    self.due.set((id, call), now.mono.after(within));
                }
                return Ok(Some(Reply::Channel(ChannelId(call))));
            }
            DirectCommand::Respond { id, call, response, last } => {
                let item = item_of(DirectMessage { kind: None, ..response }, false)?;
                self.open(id)?.respond(call, &item, last, request)?;
                return Ok(None);
            }
            DirectCommand::Response { id, call } => {
                let reader = Reader { request, most: 0 };
                self.open(id)?.wait(call, Kind::Call, reader, out)?;
                return Ok(None);
            }
            DirectCommand::Stream { id, name } => {
                check_name(&name)?;
                let open = DirectOpen { name, within: None, request: None };
                let stream = self.open(id)?.begin(Kind::Stream, &open)?;
                return Ok(Some(Reply::Channel(ChannelId(stream))));
            }
            DirectCommand::NextStream { id } => {
                self.open(id)?.wait_for_stream(request, out);
                return Ok(None);
            }
            DirectCommand::Write { id, stream, bytes } => {
                if bytes.len() > limits::DIRECT_WRITE_BYTES_MAX {
                    return Err(DirectError::TooLong.into());
                }
                self.open(id)?.write(stream, request, bytes, out)?;
                return Ok(None);
            }
            DirectCommand::Finish { id, channel } => self.open(id)?.finish(channel)?,
            DirectCommand::Read { id, stream, most } => {
                let reader = Reader { request, most };
                self.open(id)?.wait(stream, Kind::Stream, reader, out)?;
                return Ok(None);
            }
            DirectCommand::Reset { id, channel, why } => {
                let words = words_of(why)?;
                let end = self.open(id)?;
                end.reset(channel.0, DirectHalt::Cancelled, words, &DirectError::Closed, out);
                self.due.clear((id, channel.0));
            }
        }
        Ok(Some(Reply::Ok))
    }
}
