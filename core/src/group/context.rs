//! The context of a group while one input is handled.
use crate::context::Ambient;
use crate::io::{LinkId, StoreTask};
use crate::reach::asks::Asks;
use crate::reach::dial::Dialer;
use crate::reach::purpose::Purpose;
use crate::reach::signals::Ways;
use crate::sorted::SortedMap;
use crate::storage::{Pending, Storage};
use bytes::Bytes;
use std::ops::{Deref, DerefMut};

/// The ambient, and the machines below a group.
pub(crate) struct Ctx<'a> {
    pub(crate) ambient: Ambient<'a>,
    pub(crate) storage: &'a mut Storage,
    pub(crate) purposes: &'a mut SortedMap<LinkId, Purpose>,
    pub(crate) ways: &'a mut Ways,
    /// It knows what is being dialled.
    pub(crate) dialer: &'a Dialer,
    pub(crate) asks: &'a mut Asks,
}

impl Ctx<'_> {
    /// Asks the host for these keys.
    pub(crate) fn read(&mut self, keys: Vec<Bytes>, pending: Pending) {
        self.storage.ask(StoreTask::Read { keys }, pending, self.ambient.out);
    }

    /// Whether what a link brings is to come later, since too much waits for the disk.
    pub(crate) fn puts_off(&self, from: Option<LinkId>) -> bool {
        self.config.reads_on && !self.storage.has_room(from)
    }
}

impl<'a> Deref for Ctx<'a> {
    type Target = Ambient<'a>;

    fn deref(&self) -> &Ambient<'a> {
        &self.ambient
    }
}

impl<'a> DerefMut for Ctx<'a> {
    fn deref_mut(&mut self) -> &mut Ambient<'a> {
        &mut self.ambient
    }
}
