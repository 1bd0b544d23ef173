//! A simulated group for the page beside this crate: some hundred real nodes in one thread of a browser.
//!
//! The world is that of the simulator in `tests/sim`, and the nodes in it are those that run in browsers and servers.
//! The page moves time on, cuts, kills and publishes, and looks at what the nodes did. Times cross the border as
//! microseconds of world time, hosts as their numbers.
mod newcomers;

use newcomers::Newcomer;
use peergraph_core::id::GroupId;
use peergraph_core::io::{Command, Draft, GroupCommand, RequestId};
use peergraph_tests::check::delivery::Delivery;
use peergraph_tests::{HostId, World, story};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;
use wasm_bindgen::prelude::wasm_bindgen;

/// Nodes at most, whether members or on their way. Guess: the screen is full before.
const NODES_MAX: usize = 500;
/// How long a record lives. Guess: long enough for a cut and its healing, short enough for the memory of a tab.
const RECORD_LIFETIME: Duration = Duration::from_secs(180);
/// Bytes of a record's payload. Guess: a line of chat.
const PAYLOAD_BYTES: usize = 120;

/// The text of a failure, for the page: a panic itself says nothing in a browser.
static FAILURE: Mutex<String> = Mutex::new(String::new());

/// The last words of a world that failed.
#[wasm_bindgen]
pub fn failure() -> String {
    FAILURE.lock().map(|words| words.clone()).unwrap_or_default()
}

/// A running group, its network, and the hosts that come and go.
#[wasm_bindgen]
pub struct Graph {
    world: World,
    group: GroupId,
    newcomers: Vec<Newcomer>,
    /// Records that are not durable at their publishers yet.
    publishing: Vec<(HostId, RequestId)>,
    /// Which side of the cuts each host is on.
    sides: Vec<u8>,
    /// Between two records of members drawn by chance, and when the next one is due. Microseconds.
    pace: Option<u64>,
    next_record: u64,
    /// Neighbours, the lower number first, and how useful their link is: as of the last look.
    links: BTreeMap<(HostId, HostId), u32>,
    /// By host: the lowest host that it is connected to; none if no member is.
    components: Vec<Option<HostId>>,
}

/// Totals since the world began, and how things are.
#[wasm_bindgen]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Counts {
    /// World time. Microseconds.
    pub time: f64,
    /// Members that are up.
    pub members: u32,
    /// Nodes that are on their way in.
    pub joining: u32,
    /// Links between neighbours.
    pub links: u32,
    /// Parts of the graph that no link joins.
    pub parts: u32,
    /// Records published.
    pub records: u32,
    /// Members that have the newest record, dead ones too.
    pub reached: u32,
    /// When it was published.
    pub published: f64,
    /// Copies of records sent.
    pub copies: f64,
    /// Records that members received from others.
    pub delivered: f64,
}

#[wasm_bindgen]
impl Graph {
    /// A world with the founder of a group, the same for the same seed and the same calls.
    #[wasm_bindgen(constructor)]
    pub fn new(seed: u32) -> Self {
        #[cfg(target_family = "wasm")]
        std::panic::set_hook(Box::new(|info| {
            if let Ok(mut words) = FAILURE.lock() {
                *words = info.to_string();
            }
        }));
        let mut world = World::new(u64::from(seed), format!("the page with ?seed={seed}"));
        world.keep_events = false;
        let mut delivery = Delivery::new(world.chance.any());
        delivery.passages = Some(Vec::new());
        world.delivery = Some(delivery);
        let founder = world.native("n0");
        let group = world.create_group(founder, "graph");
        let mut graph = Self {
            world,
            group,
            newcomers: Vec::new(),
            publishing: Vec::new(),
            sides: vec![0],
            pace: None,
            next_record: 0,
            links: BTreeMap::new(),
            components: Vec::new(),
        };
        graph.look();
        graph
    }

    /// Moves time on.
    pub fn run(&mut self, micros: u32) {
        let end = self.now() + u64::from(micros);
        while let Some(pace) = self.pace.filter(|_| self.next_record <= end) {
            self.run_until(self.next_record);
            self.next_record += pace;
            let members = self.members();
            if !members.is_empty() {
                let host = *self.world.chance.of(&members);
                self.publish(host as u32);
            }
        }
        self.run_until(end);
        self.lead_in();
        let world = &mut self.world;
        self.publishing.retain(|&(host, request)| world.answer(host, request).is_none());
    }

    /// Publishes from members drawn by chance, one record in `micros`; 0 for none.
    pub fn publish_every(&mut self, micros: u32) {
        self.pace = (micros > 0).then_some(u64::from(micros));
        self.next_record = self.now() + u64::from(micros);
    }

    /// Publishes a record at a host. False if no member is up there.
    pub fn publish(&mut self, host: u32) -> bool {
        let host = host as HostId;
        if !self.is_member(host) {
            return false;
        }
        let (now, hosts) = (self.now(), self.world.hosts().len());
        let payload = self.delivery().publish(host, now, hosts, PAYLOAD_BYTES);
        let draft = Draft { expires_in: Some(RECORD_LIFETIME), ..story::draft(payload) };
        let group = self.group;
        let request =
            self.world.command(host, Command::Group(group, GroupCommand::Publish { draft }));
        self.publishing.push((host, request));
        self.forget_expired();
        true
    }

    /// Lets a newcomer in, on one side of the cuts. Its number; none if the world is full or nobody there can invite.
    pub fn add(&mut self, side: u8) -> Option<u32> {
        let full = self.members().len() + self.newcomers.len() >= NODES_MAX;
        if full { None } else { self.invite_one(side).map(|host| host as u32) }
    }

    /// Kills a node: nobody is told.
    pub fn kill(&mut self, host: u32) {
        let host = host as HostId;
        if self.world.hosts().get(host).is_some_and(|host| host.is_up()) {
            self.world.crash(host);
            // It does not come back.
            self.world.host(host).disk = Default::default();
        }
    }

    /// Cuts: hosts with different numbers cannot reach each other until it is healed, and the links between them die.
    pub fn cut(&mut self, sides: &[u8]) {
        self.sides = sides.to_vec();
        self.sides.resize(self.world.hosts().len(), 0);
        self.world.partition(self.sides.clone());
    }

    /// Ends all cuts.
    pub fn heal(&mut self) {
        self.sides.fill(0);
        self.world.heal();
    }

    /// Looks at the nodes: for [`Graph::links`], [`Graph::components`], and [`Graph::counts`].
    pub fn look(&mut self) {
        let members = self.members();
        // A link is one when both ends hold it for one.
        let mut seen: BTreeMap<(HostId, HostId), (u32, u32)> = BTreeMap::new();
        for &host in &members {
            for (other, utility) in self.world.neighbours(host) {
                let link = seen.entry((host.min(other), host.max(other))).or_default();
                *link = (link.0 + 1, link.1.max(utility));
            }
        }
        let both = seen.into_iter().filter(|&(_, (ends, _))| ends == 2);
        self.links = both.map(|(link, (_, utility))| (link, utility)).collect();
        self.components = components(self.world.hosts().len(), &members, &self.links);
    }

    /// Links between neighbours: three numbers each, the two hosts and the utility (0 to 4,096).
    pub fn links(&self) -> Vec<u32> {
        let numbers = self.links.iter().map(|(&(a, b), &utility)| [a as u32, b as u32, utility]);
        numbers.flatten().collect()
    }

    /// By host: the lowest member that it is connected to; -1 for a newcomer, -2 if nobody is.
    pub fn components(&self) -> Vec<i32> {
        let number = |(host, component): (HostId, &Option<HostId>)| match component {
            Some(lowest) => *lowest as i32,
            None if self.newcomers.iter().any(|newcomer| newcomer.host == host) => -1,
            None => -2,
        };
        self.components.iter().enumerate().map(number).collect()
    }

    /// Copies of records that were sent since they were taken last: five numbers each, record, sender, receiver,
    /// departure and arrival.
    pub fn take_passages(&mut self) -> Vec<f64> {
        let passages = self.delivery().passages.replace(Vec::new()).unwrap_or_default();
        // A record that is sent over a dead link, until its end notices, arrives nowhere.
        let arrive = passages.into_iter().filter(|p| self.world.reachable(p.from, p.to));
        let numbers = arrive.map(|p| {
            [f64::from(p.record), p.from as f64, p.to as f64, p.sent as f64, p.arrival as f64]
        });
        numbers.flatten().collect()
    }

    /// Totals, and what was seen at the last look.
    pub fn counts(&mut self) -> Counts {
        let parts = |(host, lowest): (HostId, &Option<HostId>)| *lowest == Some(host);
        let (time, members, joining) =
            (self.now() as f64, self.members().len() as u32, self.newcomers.len() as u32);
        let copies = self.world.counts.payload_messages as f64;
        let delivery = self.delivery();
        let records = delivery.len();
        let newest = records.checked_sub(1).map(|newest| delivery.seen_by(newest));
        let (reached, published) = newest.unwrap_or_default();
        let delivered = delivery.delivered() as f64;
        Counts {
            time,
            members,
            joining,
            links: self.links.len() as u32,
            parts: self.components.iter().enumerate().filter(|&it| parts(it)).count() as u32,
            records: records as u32,
            reached: reached as u32,
            published: published as f64,
            copies,
            delivered,
        }
    }
}

impl Graph {
    fn now(&self) -> u64 {
        self.world.time().as_micros() as u64
    }

    fn run_until(&mut self, time: u64) {
        self.world.run_for(Duration::from_micros(time.saturating_sub(self.now())));
    }

    fn delivery(&mut self) -> &mut Delivery {
        self.world.delivery.as_mut().expect("the world was made with it")
    }

    fn is_member(&self, host: HostId) -> bool {
        self.world.hosts().get(host).is_some_and(|host| host.is_up())
            && !self.newcomers.iter().any(|newcomer| newcomer.host == host)
    }

    fn members(&self) -> Vec<HostId> {
        let mut live = self.world.live();
        live.retain(|&host| self.is_member(host));
        live
    }

    /// Records that have expired everywhere need not be followed.
    fn forget_expired(&mut self) {
        // Clocks differ, and what expires during a cut comes up again when it heals.
        let long = 2 * RECORD_LIFETIME.as_micros() as u64;
        let now = self.now();
        let delivery = self.delivery();
        let old = (0..delivery.len()).rev().find(|&at| delivery.seen_by(at).1 + long < now);
        if let Some(old) = old {
            delivery.forget(old + 1);
        }
    }
}

/// By host: the lowest member that links connect it to.
fn components(
    hosts: usize,
    members: &[HostId],
    links: &BTreeMap<(HostId, HostId), u32>,
) -> Vec<Option<HostId>> {
    let mut lowest: Vec<HostId> = (0..hosts).collect();
    fn root(lowest: &mut [HostId], mut host: HostId) -> HostId {
        while lowest[host] != host {
            lowest[host] = lowest[lowest[host]];
            host = lowest[host];
        }
        host
    }
    for &(a, b) in links.keys() {
        let (a, b) = (root(&mut lowest, a), root(&mut lowest, b));
        lowest[a.max(b)] = a.min(b);
    }
    let mut components = vec![None; hosts];
    for &member in members {
        components[member] = Some(root(&mut lowest, member));
    }
    components
}

#[cfg(test)]
mod tests;
