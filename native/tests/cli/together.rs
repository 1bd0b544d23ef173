//! Several programs at once, which meet through a node.

use std::io::{BufRead as _, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::{bob_joins, command, fails, folder, json, ok, one, run, run_with_input, text};

/// A program that runs until this is dropped, and its lines.
pub(crate) struct Running(Child, Option<Lines<BufReader<ChildStdout>>>);

impl Running {
    pub(crate) fn start(data: &Path, arguments: &[&str]) -> Self {
        Self::of(command(data).args(arguments))
    }

    pub(crate) fn of(command: &mut Command) -> Self {
        let piped = command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = piped.spawn().expect("runs");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        Self(child, Some(lines))
    }

    /// The same, with what it tells people in a file.
    pub(crate) fn with_errors(command: &mut Command, log: &Path) -> Self {
        let log = std::fs::File::create(log).expect("made");
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().expect("runs");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        Self(child, Some(lines))
    }

    /// A bootstrap node on loopback, and where it is.
    pub(crate) fn node(data: &Path) -> (Self, String) {
        let serve = ["--json", "--name", "Node", "node", "--http", "127.0.0.1:0"];
        let mut node = Self::start(data, &serve);
        let url = node.line()["url"].as_str().expect("text").to_owned();
        (node, url)
    }

    pub(crate) fn line(&mut self) -> serde_json::Value {
        let lines = self.1.as_mut().expect("it is read");
        json(&lines.next().expect("it goes on").expect("text"))
    }

    /// Waits for a line, and tells whether there was one.
    pub(crate) fn prints(&mut self) -> bool {
        self.1.as_mut().expect("it is read").next().is_some()
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Reads no more of it.
    pub(crate) fn stop_reading(&mut self) {
        self.1 = None;
    }

    /// Waits until it ends by itself.
    pub(crate) fn end(mut self) -> std::process::ExitStatus {
        self.0.wait().expect("ends")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Ada's group with Bob in it; both know a node that runs until this is dropped.
struct Meeting {
    ada: tempfile::TempDir,
    bob: tempfile::TempDir,
    /// Bob's peer id.
    bobs_id: String,
    _node: Running,
    _node_data: tempfile::TempDir,
}

impl Meeting {
    fn new(group: &str) -> Self {
        let (node_data, ada) = (folder(), folder());
        let (node, url) = Running::node(node_data.path());
        ok(&run(ada.path(), &["--node", &url, "group", "create", group]));
        let (bob, bobs_id) = bob_joins(ada.path(), group);
        ok(&run(bob.path(), &["--node", &url, "group", "list"]));
        Self { ada, bob, bobs_id, _node: node, _node_data: node_data }
    }
}

/// Goal: what one program changes, others learn at once. Method: a node, and Ada and Bob with short commands and a
/// watch in turn, each in a process of its own.
#[test]
fn membership_changed_by_one_program_reaches_the_other() {
    let meeting = Meeting::new("Trip");
    let (ada, bob, peer) = (meeting.ada.path(), meeting.bob.path(), &meeting.bobs_id);

    let mut adas = Running::start(ada, &["--json", "watch", "Trip"]);
    let publish = ["publish", "Trip", "note", "--wait", "sent"];
    ok(&run_with_input(bob, &publish, b"from Bob"));
    assert_eq!(adas.line()["payload"], "from Bob");
    drop(adas);

    let mut bobs = Running::start(bob, &["--json", "watch", "Trip"]);
    assert_eq!(bobs.line()["payload"], "from Bob", "it runs");
    let listed = ok(&run(ada, &["group", "members", "Trip"]));
    let bobs_line = listed.lines().find(|line| line.contains("  Bob  ")).expect("he is one");
    assert!(bobs_line.contains(", here,"), "{listed}");
    let promote =
        ["--json", "group", "promote", "Trip", "Bob", "--role", "inviting", "--as", "cook"];
    let promoted = one(&run(ada, &promote));
    assert_eq!(
        (&promoted["role"], &promoted["app_roles"]),
        (&"inviting".into(), &json(r#"["cook"]"#))
    );
    let revoke = ["--json", "group", "revoke", "Trip", &peer[..9], "--reason", "misconduct"];
    let revoke = run(ada, &[&revoke[..], &["--drop-records"]].concat());
    assert!(!text(&revoke.stderr).contains("nobody is reachable"), "{}", text(&revoke.stderr));
    let revoked = one(&revoke)["standing"].clone();
    assert_eq!((&revoked["is"], &revoked["reason"]), (&"revoked".into(), &"misconduct".into()));
    assert_eq!(ok(&run(ada, &["records", "Trip"])), "", "what he published is gone");
    drop(bobs);

    let shown = one(&run(bob, &["--json", "group", "show", "Trip"]));
    assert_eq!((&shown["standing"], &shown["role"]), (&revoked, &"inviting".into()));
    let listed = ok(&run(ada, &["group", "members", "Trip"]));
    assert!(listed.contains("inviting (cook), revoked by"), "{listed}");
    let reinstate = ["--json", "--timeout", "1s", "group", "reinstate", "Trip", "Bob"];
    assert_eq!(one(&run(ada, &reinstate))["reinstated"], peer.as_str());
}

/// Goal: a newcomer that joins by a link and goes at once is a member for the others, too. Method:
/// Ada's watch lets Bob in, whose program ends when it is done; hers is ended right after.
#[test]
fn newcomer_that_goes_at_once_is_known_to_who_let_it_in() {
    let (node, ada, bob) = (folder(), folder(), folder());
    let (_node, url) = Running::node(node.path());
    let ada = ada.path();
    ok(&run(ada, &["--node", &url, "group", "create", "Trip"]));
    ok(&run_with_input(ada, &["publish", "Trip", "note", "--wait", "stored"], b"hello"));
    let link = ok(&run(ada, &["group", "invite", "Trip"]));
    let mut adas = Running::start(ada, &["--json", "watch", "Trip"]);
    assert_eq!(adas.line()["payload"], "hello", "it runs");
    let joined = run_with_input(bob.path(), &["--json", "group", "join"], link.as_bytes());
    assert_eq!(one(&joined)["records"], 1);
    drop(adas);
    let listed = ok(&run(ada, &["--timeout", "1s", "group", "members", "Trip"]));
    assert_eq!(listed.lines().count(), 2, "{listed}");
}

/// Goal: a newcomer whose membership is not published, since nobody is to say that it is here, is not waited for. Method: its
/// program ends with all that the group holds, and without a complaint.
#[test]
fn newcomer_to_a_group_that_tells_of_nobody_is_done_once_it_has_all() {
    let (node, ada, bob) = (folder(), folder(), folder());
    let (_node, url) = Running::node(node.path());
    let ada = ada.path();
    ok(&run(ada, &["--node", &url, "group", "create", "Readers"]));
    ok(&run(ada, &["group", "set", "Readers", "--presence", "0"]));
    ok(&run_with_input(ada, &["publish", "Readers", "note", "--wait", "stored"], b"hello"));
    let link = ok(&run(ada, &["group", "invite", "Readers"]));
    let mut adas = Running::start(ada, &["--json", "watch", "Readers"]);
    assert_eq!(adas.line()["payload"], "hello", "it runs");
    let joined = run_with_input(bob.path(), &["--json", "group", "join"], link.as_bytes());
    assert!(!text(&joined.stderr).contains("no sync"), "{}", text(&joined.stderr));
    let joined = one(&joined);
    assert_eq!((&joined["records"], &joined["announced"]), (&1.into(), &false.into()));
}

#[test]
fn who_is_here_is_listed_with_what_they_say_of_themselves() {
    let meeting = Meeting::new("Trip");
    let (ada, bob) = (meeting.ada.path(), meeting.bob.path());
    ok(&run_with_input(ada, &["publish", "Trip", "note", "--wait", "stored"], b"hello"));
    ok(&run(ada, &["group", "set", "Trip", "--presence", "0"]));

    let wrong = ["watch", "Trip", "--present", "mood"];
    fails(&run(bob, &wrong), 2, &["NAME=TEXT"]);
    let mut adas = Running::start(ada, &["--json", "watch", "Trip", "--present", "mood=busy"]);
    assert_eq!(adas.line()["payload"], "hello", "it runs");
    let listed = ok(&run(bob, &["--json", "group", "nodes", "Trip"]));
    let nodes: Vec<serde_json::Value> = listed.lines().map(json).collect();
    let [node] = &nodes[..] else { panic!("Ada alone insists on being seen: {listed}") };
    assert_eq!(node["name"], "ada");
    assert_eq!(node["attributes"], json(r#"[{"name":"mood","type":"string","value":"busy"}]"#));
    let listed = ok(&run(bob, &["group", "nodes", "Trip"]));
    assert!(listed.contains("  ada  mood=busy  rtc:"), "{listed}");
}

/// Goal: what a program wants first comes first. Method: Bob has joined; while he is away Ada publishes 400 notes, with
/// news among them; he watches, and his program says in which order they arrive.
#[test]
fn record_types_that_are_wanted_first_arrive_first() {
    let meeting = Meeting::new("Daily");
    let (ada, bob) = (meeting.ada.path(), meeting.bob.path());
    let stored = ["--wait", "stored", "--lines"];
    let notes = "a note of some length, so that all of them take many messages".repeat(20);
    let notes = format!("{notes}\n").repeat(200);
    for (kind, lines) in [("note", notes.as_str()), ("news", "first\nsecond\n"), ("note", &notes)] {
        let publish = [&["publish", "Daily", kind], &stored[..]].concat();
        ok(&run_with_input(ada, &publish, lines.as_bytes()));
    }
    let _adas = Running::start(ada, &["watch", "Daily"]);

    let mut bobs = Running::start(bob, &["--json", "--first", "news", "watch", "Daily"]);
    let kinds: Vec<String> =
        (0..402).map(|_| bobs.line()["type"].as_str().expect("text").to_owned()).collect();
    assert_eq!(kinds[..2], ["news", "news"]);
    assert!(kinds[2..].iter().all(|kind| kind == "note"));
    drop(bobs);

    let kinds = (0..17).map(|number| format!("kind-{number}"));
    let many: Vec<String> = kinds.flat_map(|kind| ["--first".to_owned(), kind]).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).chain(["group", "list"]).collect();
    fails(&run(bob, &many), 1, &["too many record types", "at most 16"]);
}
