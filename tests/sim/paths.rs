//! Hosts whose network changes: their wires carry nothing from then on, and nobody hears so at once.
use crate::host::{HostId, Slot};
use crate::world::{Pending, World};
use peergraph_core::io::Input;

/// When a data channel that hears nothing is given up by its transport. Microseconds, from–to. Source: our native host.
const GIVEN_UP: (u64, u64) = (10_000_000, 12_000_000);
/// When a transport that is owed an answer tells that it hears nothing. Microseconds. Source: our native host.
const OWED_FOR: u64 = 1_500_000;

impl World {
    /// The network of a host is another one: what it has carries nothing any longer. Its node is told; with `gone`, that its
    /// address is no longer there.
    pub fn change_paths(&mut self, host: HostId, gone: bool) {
        self.silence(host, false);
        self.handle(host, Input::PathsChanged { gone });
    }

    /// A host has no network until it is [brought back](Self::bring_back). Its node is told.
    pub fn take_off(&mut self, host: HostId) {
        self.off.insert(host);
        self.change_paths(host, true);
    }

    /// A host has a network again. Its node is told.
    pub fn bring_back(&mut self, host: HostId) {
        self.off.remove(&host);
        self.handle(host, Input::PathsChanged { gone: false });
    }

    /// The router before a host forgets all that it knows. Nobody is told; the host's transports notice that they are owed
    /// answers.
    pub fn forget_mappings(&mut self, host: HostId) {
        self.silence(host, true);
    }

    /// No wire of a host carries anything any longer. A data channel is given up after a while.
    fn silence(&mut self, host: HostId, noticed: bool) {
        let slots: Vec<Slot> = self.hosts[host].links.values().copied().collect();
        for slot in slots {
            let Slot::Wire(wire, side) = slot else { continue };
            if std::mem::replace(&mut self.wires[wire as usize].dead, true) {
                continue;
            }
            // A transport over which nothing goes is owed nothing.
            if noticed && self.wires[wire as usize].is_busy(self.now) {
                self.after(OWED_FOR, Pending::Quiet { wire, side });
            }
            if !self.wires[wire as usize].web_socket {
                for side in 0..2 {
                    let after = self.chance.within(GIVEN_UP.0..GIVEN_UP.1);
                    self.after(after, Pending::Down { wire, side });
                }
            }
        }
    }

    /// The transport at one end of a wire tells that it hears nothing.
    pub(crate) fn quiet(&mut self, wire: u32, side: usize) {
        if let Some((host, link)) = self.wires[wire as usize].end_up(side)
            && self.hosts[host].links.get(&link) == Some(&Slot::Wire(wire, side))
        {
            self.handle(host, Input::LinkQuiet { link });
        }
    }
}
