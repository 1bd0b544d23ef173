//! Members who say too much: what that costs their neighbours is bounded, and everybody else gets everything.
use crate::each_seed;
use peergraph_core::error::Misbehaved;
use peergraph_core::id::GroupId;
use peergraph_core::io::Event;
use peergraph_core::limits::{
    PENANCE_OF_EXCESS, SIGNALS, SIGNALS_PER_SECOND, WASTE_PER_SECOND, WASTE_SPARE,
    WORDS_PER_SECOND, WORDS_SPARE,
};
use peergraph_tests::liar::Act;
use peergraph_tests::{HostId, World};
use std::time::Duration;

/// Frames that the honest send in a second without being asked: acknowledgements, syncs, beats, what they say themselves.
const USUAL_FRAMES: u64 = 100;

/// A group of three honest members and Dan, who overdoes something.
struct Story<'a> {
    world: &'a mut World,
    group: GroupId,
    honest: Vec<HostId>,
    dan: HostId,
}

/// The figures of an excess.
struct Excess {
    /// Dan's frames that arrived.
    told: u64,
    /// Frames that all nodes sent meanwhile.
    sent: u64,
    /// How long it went on.
    seconds: u64,
}

impl Excess {
    /// Units of a budget of each of three neighbours. One that was not looked at for long may be used twice over.
    fn budgets(&self, spare: u64, per_second: u64) -> u64 {
        3 * (2 * spare + per_second * self.seconds)
    }
}

fn story(world: &mut World) -> Story<'_> {
    let (group, hosts) = world.group_of(&["ada", "bob", "eve", "dan"]);
    for &host in &hosts {
        world.say_to(host, group, &format!("host {host} is here"), &hosts);
    }
    world.run_for(Duration::from_secs(20));
    let (&dan, honest) = hosts.split_last().expect("four hosts");
    world.host(dan).liar = true;
    Story { world, group, honest: honest.to_vec(), dan }
}

impl Story<'_> {
    /// Dan overdoes something, and the others go on: what one of them says, all of them hear.
    fn overdo(&mut self, act: Act, per_second: u64, seconds: u64) -> Excess {
        let (mut told, before) = (0, self.world.counts.frames);
        for second in 0..seconds {
            for _ in 0..per_second {
                told += u64::from(self.world.lie(self.dan, self.group, act));
            }
            self.world.run_for(Duration::from_secs(1));
            if second % 10 == 0 {
                let speaker = *self.world.chance.of(&self.honest);
                let text = format!("second {second}");
                self.world.say_to(speaker, self.group, &text, &self.honest);
            }
        }
        assert_eq!(self.world.counts.misbehaved, 0, "{act:?} cost an honest link");
        Excess { told, sent: self.world.counts.frames - before, seconds }
    }

    /// The honest who closed a link because there was too much on it.
    fn blaming(&self) -> usize {
        let excess = |(_, event): &(u64, Event)| {
            matches!(event, Event::PeerMisbehaved { fault: Misbehaved::Excess, .. })
        };
        let blames = |&&host: &&HostId| self.world.hosts()[host].events.iter().any(excess);
        self.honest.iter().filter(blames).count()
    }

    /// Nobody lets Dan near, and then everybody does.
    fn stays_away_and_comes_back(&mut self) {
        self.world.run_for(Duration::from_secs(20));
        assert_eq!(self.world.hosts()[self.dan].neighbours, 0, "he is kept away");
        self.world.run_for(PENANCE_OF_EXCESS);
        let text = "I am sorry";
        let all: Vec<HostId> = self.honest.iter().copied().chain([self.dan]).collect();
        self.world.say_to(self.dan, self.group, text, &all);
    }
}

/// Checks that Dan's excess costs him his links for a while; `judge` checks the cost to the others.
fn is_kept_away(test: &str, act: Act, per_second: u64, seconds: u64, judge: impl Fn(&Excess)) {
    each_seed(test, 2, |world| {
        let mut story = story(world);
        let excess = story.overdo(act, per_second, seconds);
        assert_eq!(story.blaming(), 3);
        judge(&excess);
        story.stays_away_and_comes_back();
    });
}

#[test]
fn records_that_all_have_are_brought_in_vain_for_a_while_only() {
    let test = "records_that_all_have_are_brought_in_vain_for_a_while_only";
    is_kept_away(test, Act::Waste, 400, 60, |excess| {
        // A frame holds more than forty of his records. A second's worth more may arrive at the end
        // of a second.
        let units = excess.told * 40;
        let most = excess.budgets(WASTE_SPARE, WASTE_PER_SECOND) + 400 * 60;
        assert!(units <= most, "{units} records rather than {most}");
    });
}

#[test]
fn record_is_given_again_and_again_for_a_while_only() {
    let test = "record_is_given_again_and_again_for_a_while_only";
    is_kept_away(test, Act::Insist, 20, 60, |excess| {
        let units = excess.told * 1_000;
        let most = excess.budgets(WASTE_SPARE, WASTE_PER_SECOND) + 20 * 1_000;
        assert!(units <= most, "{units} requests rather than {most}");
        // One record of each message that is full of them would do.
        assert!(excess.sent < units / 10 + USUAL_FRAMES * excess.seconds, "{} frames", excess.sent);
    });
}

#[test]
fn signals_to_nobody_are_carried_at_a_steady_pace_only() {
    each_seed("signals_to_nobody_are_carried_at_a_steady_pace_only", 2, |world| {
        let mut story = story(world);
        let excess = story.overdo(Act::Chatter, 8_000, 30);
        assert_eq!(excess.told, 240_000, "signals are nobody's fault");
        assert_eq!(story.blaming(), 0);
        // Each of the others carries what one member may sign, whoever brings it, to two more. All would be eight frames for
        // each of Dan's signals.
        let share = 2 * SIGNALS.each() + SIGNALS_PER_SECOND.each() * excess.seconds;
        let most = 4 * 2 * share + USUAL_FRAMES * excess.seconds;
        assert!(4 * most < excess.told);
        assert!(excess.sent <= most, "{} frames rather than {most}", excess.sent);
    });
}

#[test]
fn who_asks_all_the_time_whether_we_are_there_is_answered_for_a_while_only() {
    let test = "who_asks_all_the_time_whether_we_are_there_is_answered_for_a_while_only";
    is_kept_away(test, Act::Pester, 2_000, 30, |excess| {
        let most = excess.budgets(WORDS_SPARE, WORDS_PER_SECOND) + 2_000;
        assert!(excess.told <= most, "{} questions rather than {most}", excess.told);
        let most = most + USUAL_FRAMES * excess.seconds;
        assert!(excess.sent <= most, "{} frames rather than {most}", excess.sent);
    });
}

#[test]
fn who_asks_for_nothing_all_the_time_is_heard_for_a_while_only() {
    let test = "who_asks_for_nothing_all_the_time_is_heard_for_a_while_only";
    is_kept_away(test, Act::Nag, 2_000, 30, |excess| {
        let most = excess.budgets(WORDS_SPARE, WORDS_PER_SECOND) + 2_000;
        assert!(excess.told <= most, "{} requests rather than {most}", excess.told);
    });
}
