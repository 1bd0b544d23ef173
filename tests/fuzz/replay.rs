//! Goal: what the fuzzer once found interesting goes well with any compiler. Method: the same functions over its corpus.
//!
//! A seed for each target is part of the corpus, so that no target is run on nothing:
//! `cargo test -p peergraph-tests --test corpus -- --ignored` writes them again when a form has changed.
// Stories look for one answer or input among all; what is public is so for the fuzzer.
#![allow(clippy::wildcard_enum_match_arm, unreachable_pub)]
#[path = "lib.rs"]
mod fuzz;

use fuzz::{TARGETS, Target};
use std::fs;
use std::path::PathBuf;

fn corpus(target: &Target) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus")).join(target.name)
}

fn replay(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target");
    for seed in (target.seeds)() {
        (target.run)(&seed);
    }
    let mut inputs = 0;
    for entry in fs::read_dir(corpus(target)).expect("every target has a corpus") {
        let path = entry.expect("the corpus can be listed").path();
        println!("{}", path.display());
        (target.run)(&fs::read(&path).expect("the corpus can be read"));
        inputs += 1;
    }
    assert!(inputs > 0, "{name} has inputs");
}

#[test]
#[ignore = "writes into the corpus"]
fn write_seeds() {
    for target in &TARGETS {
        let folder = corpus(target);
        fs::create_dir_all(&folder).expect("the folder can be made");
        for (number, seed) in (target.seeds)().iter().enumerate() {
            fs::write(folder.join(format!("seed-{number}")), seed)
                .expect("the seed can be written");
        }
    }
}

macro_rules! replays {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            replay(stringify!($name));
        })*

        #[test]
        fn every_target_is_replayed() {
            let named: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(named, [$(stringify!($name)),*]);
        }
    };
}

replays!(certificate chain invitation identity record handshake message node);
