//! The faults in one world, drawn by swarm: a fault that is always there a little hides the effects
//! of the same fault when it comes often, or alone.
use crate::chance::Chance;

/// The rates of the faults, each per second and hundred nodes unless its own comment says
/// otherwise.
#[derive(Debug)]
pub(super) struct Faults {
    pub(super) crash: f64,
    pub(super) stop: f64,
    pub(super) restart: f64,
    pub(super) cut: f64,
    /// A disk that refuses writes, or takes them again.
    pub(super) disk: f64,
    /// Per second.
    pub(super) split: f64,
    /// Per second.
    pub(super) lie: f64,
    pub(super) slow_disks: bool,
    pub(super) late_timers: bool,
    pub(super) throttled: bool,
    /// With which probability an end of a dead wire hears nothing.
    pub(super) silence: f64,
    /// Share of frames that are changed on their way.
    pub(super) tamper: f64,
    /// Share of nodes that lie.
    pub(super) liars: f64,
    /// Share of publications that change an earlier record.
    pub(super) edits: f64,
    /// Share of records that live for seconds or minutes.
    pub(super) short_lives: f64,
}

impl Faults {
    /// Each fault is off, moderate or extreme. A `rate` that is given is that of crashes and stops, and of nothing else.
    pub(super) fn draw(chance: &mut Chance, rate: Option<f64>) -> Self {
        let mut of = |moderate: f64, extreme: f64| *chance.of(&[0.0, moderate, moderate, extreme]);
        let mut faults = Self {
            crash: of(0.2, 2.0),
            stop: of(0.2, 2.0),
            restart: of(1.0, 3.0).max(0.3),
            cut: of(1.0, 10.0),
            disk: of(0.0, 2.0),
            split: of(0.005, 0.02),
            lie: of(0.5, 3.0),
            slow_disks: false,
            late_timers: false,
            throttled: false,
            silence: of(0.1, 1.0),
            tamper: of(0.0, 0.01),
            liars: of(0.0, 0.3),
            edits: of(0.2, 0.8),
            short_lives: of(0.0, 0.5),
        };
        faults.slow_disks = chance.with(0.3);
        faults.late_timers = chance.with(0.3);
        faults.throttled = chance.with(0.2);
        if let Some(rate) = rate {
            let (crash, restart) = (rate / 2.0, rate * 2.0);
            let quiet = Self { cut: 0.0, disk: 0.0, split: 0.0, lie: 0.0, ..faults };
            faults = Self { crash, stop: crash, restart, tamper: 0.0, liars: 0.0, ..quiet };
        }
        faults
    }
}
