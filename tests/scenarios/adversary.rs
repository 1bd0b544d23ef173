//! Broken and hostile peers: they lose their link, and nobody else loses anything.
use crate::each_seed;
use bytes::Bytes;
use peergraph_core::error::{BadRecord, Misbehaved};
use peergraph_core::io::{Event, LinkId};
use peergraph_tests::adversary::{distort, garbage};
use peergraph_tests::{HostId, World};
use std::time::Duration;

/// The faults that a node told of.
fn faults(world: &World, host: HostId) -> Vec<(LinkId, Misbehaved)> {
    let events = world.hosts()[host].events.iter();
    events
        .filter_map(|(_, event)| match event {
            Event::PeerMisbehaved { link, fault } => Some((*link, *fault)),
            _ => None,
        })
        .collect()
}

#[test]
fn garbage_frame_costs_its_link_and_no_other() {
    each_seed("garbage_frame_costs_its_link_and_no_other", 200, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob", "cleo"]);
        let [ada, bob, cleo] = hosts[..] else { panic!("three hosts") };
        world.run_for(Duration::from_secs(30));
        // 0xff is no kind of frame.
        let frame = [&[0xff], &garbage(&mut world.chance)[..]].concat();
        let began = world.time().as_micros() as u64;
        assert!(world.inject(bob, ada, Bytes::from(frame)));
        world.run_for(Duration::from_millis(200));
        assert_eq!(faults(world, ada).len(), 1, "ada sees one fault");
        assert_eq!(faults(world, cleo).len(), 0);
        assert!(world.wired_to(ada).contains(&cleo), "the other link stays");
        let lost = world.hosts()[ada].events.iter().filter(|(at, event)| {
            *at >= began && matches!(event, Event::Neighbour { up: false, .. })
        });
        assert_eq!(lost.count(), 1);
        world.say_to(ada, group, "nothing happened", &hosts);
        world.say_to(bob, group, "sorry", &hosts);
    });
}

#[test]
fn record_with_a_changed_byte_is_refused_and_costs_the_link() {
    each_seed("record_with_a_changed_byte_is_refused_and_costs_the_link", 100, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        let [ada, bob] = hosts[..] else { panic!("two hosts") };
        world.run_for(Duration::from_secs(30));
        world.adversary.flip_after = Some(Bytes::from_static(b"pay me "));
        let record = world.say(ada, group, "pay me 100");
        let told = world.run_until(Duration::from_secs(10), |world| !faults(world, bob).is_empty());
        assert!(told, "bob sees the fault");
        assert_eq!(world.adversary.changed, 1);
        assert_eq!(faults(world, bob)[0].1, Misbehaved::Record(BadRecord::Signature));
        assert!(world.texts(bob, group).is_empty(), "the forgery is not stored");
        // Over a new link the genuine one comes.
        world.run_until(Duration::from_secs(120), |world| world.has_seen(bob, record.id));
        assert_eq!(world.texts(bob, group), ["pay me 100"]);
    });
}

/// Goal: records that come in one message are checked together, and each is judged as it would be alone. Method: one
/// byte of one record of a sync is changed; those before it are kept, it and those behind it are not.
#[test]
fn changed_byte_in_a_full_message_spoils_that_record_and_what_follows() {
    let test = "changed_byte_in_a_full_message_spoils_that_record_and_what_follows";
    each_seed(test, 30, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        let [ada, bob] = hosts[..] else { panic!("two hosts") };
        world.run_for(Duration::from_secs(30));
        world.stop(bob);
        for number in 0..40 {
            world.say(ada, group, &format!("number {number:02} "));
        }
        let changed = world.chance.within(0..40);
        world.adversary.flip_after = Some(Bytes::from(format!("number {changed:02}")));
        world.start(bob);
        let told = world.run_until(Duration::from_secs(60), |world| !faults(world, bob).is_empty());
        assert!(told, "bob sees the fault");
        assert_eq!(faults(world, bob)[0].1, Misbehaved::Record(BadRecord::Signature));
        let before: Vec<String> =
            (0..changed).map(|number| format!("number {number:02} ")).collect();
        assert_eq!(world.texts(bob, group), before);
        // Over a new link the rest comes.
        world.run_for(Duration::from_secs(120));
        assert_eq!(world.texts(bob, group), world.texts(ada, group));
    });
}

#[test]
fn stranger_who_sends_garbage_harms_nobody() {
    each_seed("stranger_who_sends_garbage_harms_nobody", 200, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        let eve = world.native("eve");
        for _ in 0..10 {
            world.point(eve, hosts[0]);
            // Somewhere from before the handshake to after it.
            let moment = world.chance.within(100..3_000);
            world.run_for(Duration::from_millis(moment));
            let frame = garbage(&mut world.chance);
            world.inject(eve, hosts[0], frame);
        }
        world.say_to(hosts[0], group, "who is knocking?", &hosts);
        world.say_to(hosts[1], group, "nobody", &hosts);
        assert!(world.wired_to(hosts[0]).contains(&hosts[1]));
    });
}

#[test]
fn distorted_frames_never_break_a_node_and_the_group_recovers() {
    each_seed("distorted_frames_never_break_a_node_and_the_group_recovers", 100, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob", "cleo", "dan"]);
        world.adversary.share = 0.02;
        for round in 0..30 {
            let from = *world.chance.of(&hosts);
            world.say(from, group, &format!("round {round}"));
            let pause = world.chance.within(0..2_000);
            world.run_for(Duration::from_millis(pause));
        }
        assert!(world.adversary.changed > 0);
        world.adversary.share = 0.0;
        world.run_for(Duration::from_secs(240));
        let ours = world.records(hosts[0], group);
        assert_eq!(ours.len(), 30);
        for &host in &hosts[1..] {
            assert_eq!(world.records(host, group), ours, "host {host}");
        }
    });
}

#[test]
fn replayed_frame_is_harmless() {
    each_seed("replayed_frame_is_harmless", 100, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        world.record(hosts[1]);
        world.crash(hosts[1]);
        world.start(hosts[1]);
        world.await_synced(hosts[1]);
        world.say_to(hosts[0], group, "once", &hosts);
        for frame in world.recording().frames() {
            let changed =
                if world.chance.with(0.5) { distort(&mut world.chance, &frame) } else { frame };
            world.inject(hosts[0], hosts[1], changed);
            world.run_for(Duration::from_millis(100));
        }
        world.run_for(Duration::from_secs(120));
        for &host in &hosts {
            assert_eq!(world.texts(host, group), ["once"]);
        }
    });
}
