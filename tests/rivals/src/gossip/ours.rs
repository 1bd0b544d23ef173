//! Our side: whole nodes in a simulated world.
use super::{Net, Options, Sent};
use peergraph_core::io::{Command, GroupCommand};
use peergraph_tests::HostId;
use peergraph_tests::check::delivery::Delivery;
use peergraph_tests::scenario::crowd;
use peergraph_tests::scenario::{self, Crypto, Setup};
use peergraph_tests::story::draft;
use std::time::Duration;

/// One group of simulated nodes.
pub struct Crowd(crowd::Crowd);

impl Net for Crowd {
    fn gather(options: &Options) -> Self {
        let nodes = options.nodes as usize;
        let scenario = scenario::named("manysenders").expect("it is one of ours");
        let mut setup = Setup::new(scenario, nodes, options.seed, None);
        setup.knobs.crypto = Crypto::None;
        let mut crowd = crowd::Crowd::new(&setup);
        crowd.world.repeat =
            format!("cargo xtask bench gossip --nodes {nodes} --seed {}", options.seed);
        crowd.grow(&setup, nodes - 1);
        Self(crowd)
    }

    fn publish(&mut self, host: HostId, bytes: usize) {
        let world = &mut self.0.world;
        let (now, hosts) = (world.time().as_micros() as u64, world.hosts().len());
        let delivery = world.delivery.as_mut().expect("a crowd tracks its records");
        let payload = delivery.publish(host, now, hosts, bytes);
        let publish = Command::Group(self.0.group, GroupCommand::Publish { draft: draft(payload) });
        self.0.world.command(host, publish);
    }

    fn run_for(&mut self, span: Duration) {
        self.0.world.run_for(span);
    }

    fn settle(&mut self, from: usize, within: Duration) {
        self.0.settle(from, within);
    }

    fn crash(&mut self, hosts: &[HostId]) {
        for &host in hosts {
            self.0.world.crash(host);
        }
    }

    fn live(&self) -> Vec<HostId> {
        self.0.world.live()
    }

    fn neighbours(&self) -> Vec<Vec<HostId>> {
        let world = &self.0.world;
        (0..world.hosts().len()).map(|host| world.wired_to(host)).collect()
    }

    fn delivery(&self) -> &Delivery {
        self.0.delivery()
    }

    fn sent(&self) -> Sent {
        let counts = &self.0.world.counts;
        Sent { frames: counts.frames, bytes: counts.frame_bytes, payloads: counts.payload_messages }
    }
}
