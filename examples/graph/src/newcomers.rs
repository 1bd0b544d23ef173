//! Newcomers: a member on their side invites them, they start, and join at some doors.
use super::Graph;
use peergraph_core::address::Address;
use peergraph_core::cert::Role;
use peergraph_core::io::{Command, GroupCommand, Invite, Reply, RequestId};
use peergraph_tests::host::rtc_address;
use peergraph_tests::{HostId, Kind};

/// Addresses that a newcomer is told.
const DOORS: usize = 3;
/// One in so many newcomers is a browser, which nobody can dial.
const BROWSER_EVERY: usize = 3;

/// A host on its way in.
pub(crate) struct Newcomer {
    pub(crate) host: HostId,
    step: Step,
}

/// How far it is.
enum Step {
    /// A member was asked for an invitation.
    Invited { by: HostId, request: RequestId },
    /// Its node was told to join.
    Joining { request: RequestId },
}

impl Graph {
    /// Asks somebody on `side` for an invitation for a further host.
    pub(crate) fn invite_one(&mut self, side: u8) -> Option<HostId> {
        let by = self.inviter(side)?;
        let host = self.world.hosts().len();
        let kind = if host.is_multiple_of(BROWSER_EVERY) { Kind::Browser } else { Kind::Native };
        let host = self.world.add_stopped(kind, &format!("n{host}"));
        self.sides.push(side);
        self.world.partition(self.sides.clone());
        let step = self.ask(by, host);
        self.newcomers.push(Newcomer { host, step });
        Some(host)
    }

    /// Takes every newcomer one step further, where it can be.
    pub(crate) fn lead_in(&mut self) {
        let mut newcomers = std::mem::take(&mut self.newcomers);
        newcomers.retain_mut(|newcomer| self.lead(newcomer));
        self.newcomers = newcomers;
    }

    /// Takes one a step further. False if it is in, or will never be.
    fn lead(&mut self, newcomer: &mut Newcomer) -> bool {
        let host = newcomer.host;
        match newcomer.step {
            Step::Invited { by, .. } if !self.world.hosts()[by].is_up() => {
                let Some(by) = self.inviter(self.sides[host]) else { return false };
                newcomer.step = self.ask(by, host);
            }
            Step::Invited { by, request } => match self.world.answer(by, request) {
                Some(Ok(Reply::Invitation(mut invitation))) => {
                    invitation.addresses = self.doors(self.sides[host]);
                    self.world.start(host);
                    let request =
                        self.world.command(host, Command::Join { invitation, password: None });
                    newcomer.step = Step::Joining { request };
                }
                Some(_) => return false,
                None => {}
            },
            Step::Joining { request } => {
                if !self.world.hosts()[host].is_up() {
                    return false;
                }
                match self.world.answer(host, request) {
                    Some(Ok(_)) => return false,
                    // Nobody was found in time.
                    Some(Err(_)) => {
                        self.world.crash(host);
                        return false;
                    }
                    None => {}
                }
            }
        }
        true
    }

    fn ask(&mut self, by: HostId, host: HostId) -> Step {
        let identity = self.world.hosts()[host].certificate.clone();
        let invite = Invite::Bound { identity, grant: Role::Inviting.into() };
        let command = Command::Group(self.group, GroupCommand::Invite { invite });
        Step::Invited { by, request: self.world.command(by, command) }
    }

    /// The inviter: the oldest member there, so that chains of certificates stay short.
    fn inviter(&self, side: u8) -> Option<HostId> {
        self.members().into_iter().find(|&host| self.sides[host] == side)
    }

    fn doors(&mut self, side: u8) -> Vec<Address> {
        let mut doors = self.members();
        doors.retain(|&host| {
            self.sides[host] == side && self.world.hosts()[host].kind == Kind::Native
        });
        self.world.chance.shuffle(&mut doors);
        doors.truncate(DOORS);
        doors.into_iter().map(rtc_address).collect()
    }
}
