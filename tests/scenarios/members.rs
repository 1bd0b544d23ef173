//! Members who do what their membership does not let them, and one who has none any more.
use peergraph_tests::scenario::{self, Knobs, Setup};

#[test]
fn nothing_of_a_revoked_member_is_accepted_later() {
    let scenario = scenario::named("revoke").expect("it is one of ours");
    for seed in 0..4 {
        let knobs = Knobs { crypto: scenario::Crypto::Full, ..Knobs::default() };
        let report = scenario::run(&Setup { knobs, ..Setup::new(scenario, 12, seed, None) });
        assert_eq!((report.missed, report.misbehaved), (0, 0), "seed {seed}");
        assert_eq!(report.measures["accepted_after"], 0.0, "seed {seed}");
        assert!(report.measures["planted"] > 0.0 && report.measures["knocked"] > 0.0);
        assert!(report.measures["refused_max_ms"] < 5_000.0, "{:?}", report.measures);
    }
}
