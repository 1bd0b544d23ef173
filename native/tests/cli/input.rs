//! Wrong usage, wrong input, and files and folders that are not there or damaged.

use std::process::Stdio;

use crate::{command, fails, folder, ok, run, run_with_input};

#[test]
fn wrong_usage_is_exit_code_2_and_names_what_is_wrong() {
    let data = folder();
    let data = data.path();
    fails(&run(data, &["dance"]), 2, &["dance", "--help"]);
    fails(&run(data, &["node", "--colour", "red"]), 2, &["--colour"]);
    fails(&run(data, &["node", "--http", "nowhere"]), 2, &["nowhere"]);
    fails(&run(data, &["--node", "node.example", "group", "list"]), 2, &["not a node"]);
    fails(&run(data, &["group", "invite", "x", "--uses", "0"]), 2, &["0"]);
    fails(&run(data, &["group", "invite", "x", "--expires", "soon"]), 2, &["30s, 5m, 2h or 7d"]);
    fails(&run(data, &["group", "invite", "x", "--role", "king"]), 2, &["inviting"]);
    fails(&run(data, &["publish", "x", "Not A Type"]), 2, &["a-z"]);
    fails(&run(data, &["publish", "x", "note", "-a", "colour"]), 2, &["NAME=TEXT"]);
    fails(&run(data, &["node", "--first", "Not A Type"]), 2, &["--first", "a-z"]);
    for limits in ["5,3,7", "0,3,7", "3,5", "2,2,3", "3,5,5", "3,5,101", "many"] {
        fails(&run(data, &["node", "--neighbours", limits]), 2, &[limits, "neighbours"]);
    }
    fails(&run(data, &[]), 2, &["Usage"]);
    assert_eq!(std::fs::read_dir(data).expect("readable").count(), 0, "wrong usage makes nothing");
}

#[test]
fn version_and_help_are_no_errors() {
    let data = folder();
    assert!(ok(&run(data.path(), &["--version"])).starts_with("peergraph "));
    assert!(ok(&run(data.path(), &["group", "invite", "--help"])).contains("--uses"));
}

/// As where `2>&1 | head` has read enough.
#[test]
fn who_stops_listening_is_no_error() {
    let data = folder();
    let mut command = command(data.path());
    command.args(["--node", "http://127.0.0.1:1", "group", "list"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("runs");
    drop(child.stderr.take());
    assert!(child.wait().expect("ends").success());
}

#[test]
fn links_that_are_no_invitations_are_refused_before_anything_starts() {
    let data = folder();
    let nothing = run_with_input(data.path(), &["group", "join"], b"");
    fails(&nothing, 1, &["reading the invitation", "not an invitation"]);
    let other = run(data.path(), &["group", "join", "https://node.example/#hello"]);
    fails(&other, 1, &["reading the invitation"]);
    assert!(!data.path().join("identities").exists(), "no identity was made");
}

#[test]
fn data_folder_that_cannot_be_is_a_clear_error() {
    let place = folder();
    let file = place.path().join("file");
    std::fs::write(&file, "x").expect("written");
    fails(&run(&file, &["identity", "new", "Ada"]), 1, &["file", "check that"]);
    fails(&run(&file.join("deeper"), &["group", "list"]), 1, &["file", "check that"]);
}

#[test]
fn damaged_identity_and_store_are_named_and_left_alone() {
    let data = folder();
    ok(&run(data.path(), &["identity", "new", "Ada"]));
    let identities = data.path().join("identities");
    let entry = std::fs::read_dir(identities).expect("readable").next().expect("one").expect("one");
    let store = entry.path().join("store.redb");
    std::fs::write(&store, "this is no store".repeat(1000)).expect("written");
    fails(&run(data.path(), &["group", "list"]), 1, &["store.redb", "damaged"]);
    assert_eq!(std::fs::metadata(&store).expect("there").len(), 16_000);
    std::fs::write(entry.path().join("identity"), "x").expect("written");
    fails(&run(data.path(), &["group", "list"]), 1, &["identity is damaged", "backup"]);
}

#[test]
fn missing_files_and_folders_are_named() {
    let data = folder();
    let data = data.path();
    fails(&run(data, &["publish", "x", "note", "no-such-file"]), 1, &["no-such-file"]);
    fails(&run(data, &["group", "invite", "x", "--for", "no-such-file"]), 1, &["no-such-file"]);
    fails(&run(data, &["node", "--pages", "no-such-folder"]), 1, &["no-such-folder"]);
}
