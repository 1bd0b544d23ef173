//! Join: a latecomer, and a member who was away, catch up by sync.
use super::crowd::Crowd;
use super::{Scenario, Setup};
use crate::host::{HostId, Kind, rtc_address};
use crate::report::{Meter, Report};
use std::time::Duration;

/// How long catching up may take. Virtual.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(300);

pub(super) const SCENARIO: Scenario = Scenario {
    name: "join",
    about: "A latecomer, and one who was away, catch up with the records",
    records: 1000,
    run,
};

fn run(setup: &Setup) -> Report {
    let (mut crowd, mut meter) = Crowd::gathered(setup, Duration::ZERO);

    publish(&mut crowd, setup.records);
    let reach = crowd.settle(0, CATCH_UP_WITHIN);
    let phase = meter.phase(&crowd.world, "publish", setup.records, reach);
    setup.tell(|| phase.to_string());

    // A newcomer by a bound invitation: it gets everything by sync.
    crowd.grow(setup, 1);
    let newcomer = crowd.world.hosts().len() - 1;
    catch_up(setup, &mut crowd, &mut meter, "latecomer", newcomer, 0);

    // A member goes, a tenth of the records is new when it comes back.
    let away = crowd.world.chance.within(1..setup.nodes.max(2) as u64) as HostId;
    crowd.world.stop(away);
    crowd.close_door(away);
    let from = crowd.published();
    publish(&mut crowd, setup.records.div_ceil(10));
    crowd.settle(from, CATCH_UP_WITHIN);
    crowd.world.start(away);
    crowd.world.await_opened(away);
    // A node that was away finds its way back by its memory; a browser is told of a door.
    if crowd.world.hosts()[away].kind == Kind::Browser {
        let command = peergraph_core::io::Command::Connect { node: rtc_address(0).into() };
        let _request = crowd.world.command(away, command);
    }
    catch_up(setup, &mut crowd, &mut meter, "away", away, from);

    crowd.assert_equal_stores(&[0, newcomer, away]);
    crowd.finish(setup, meter)
}

fn publish(crowd: &mut Crowd, count: usize) {
    let live = crowd.world.live();
    for _ in 0..count {
        let sender = *crowd.world.chance.of(&live);
        let _request = crowd.publish(sender);
        crowd.world.run_for(Duration::from_millis(5));
    }
}

/// Measures how `host` gets the records from number `from` on.
fn catch_up(
    setup: &Setup,
    crowd: &mut Crowd,
    meter: &mut Meter,
    name: &str,
    host: HostId,
    from: usize,
) {
    let before = crowd.world.hosts()[host].traffic;
    crowd.world.run_until_every(100, CATCH_UP_WITHIN, |world| {
        world.delivery.as_ref().is_some_and(|delivery| delivery.complete(from, &[host]))
    });
    let to = crowd.published();
    let reach = crowd.delivery().reach(from, to, &[host]);
    let after = crowd.world.hosts()[host].traffic;
    setup.tell(|| {
        format!(
            "{name}: {} bytes out, {} in, after it was ready",
            after.0 - before.0,
            after.1 - before.1
        )
    });
    let phase = meter.phase(&crowd.world, name, to - from, reach);
    setup.tell(|| phase.to_string());
}
