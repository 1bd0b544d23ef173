//! Commands while a program runs in the same data folder.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::together::Running;
use crate::{fails, folder, json, ok, one, run, run_with_input};

pub(crate) fn node(data: &Path) -> Running {
    let mut node = Running::start(data, &["--json", "node", "--http", "127.0.0.1:0"]);
    assert_eq!(node.line()["event"], "ready");
    node
}

fn publish(data: &Path, text: &str) -> serde_json::Value {
    one(&run_with_input(
        data,
        &["--json", "publish", "Diary", "t", "--wait", "stored"],
        text.as_bytes(),
    ))
}

pub(crate) fn payloads(data: &Path) -> Vec<String> {
    let lines = ok(&run(data, &["--json", "records", "Diary"]));
    lines.lines().map(|line| json(line)["payload"].as_str().expect("text").to_owned()).collect()
}

/// The folder of the one identity.
pub(crate) fn identity_folder(data: &Path) -> PathBuf {
    let mut found = std::fs::read_dir(data.join("identities")).expect("there");
    found.next().expect("one").expect("readable").path()
}

#[test]
fn commands_work_while_a_node_runs_in_the_folder() {
    let ada = folder();
    ok(&run(ada.path(), &["group", "create", "Diary"]));
    let node = node(ada.path());
    let socket = identity_folder(ada.path()).join("control");
    let mode = std::fs::metadata(&socket).expect("there").permissions().mode();
    assert_eq!(mode & 0o077, 0, "others may not use it");

    let mut watching = [(); 2].map(|()| Running::start(ada.path(), &["--json", "watch", "Diary"]));
    publish(ada.path(), "one");
    let second = publish(ada.path(), "two");
    assert_eq!(payloads(ada.path()), ["one", "two"]);
    for watch in &mut watching {
        assert_eq!([watch.line(), watch.line()].map(|it| it["payload"].clone()), ["one", "two"]);
    }
    let lines = b"three\nfour\n";
    ok(&run_with_input(
        ada.path(),
        &["publish", "Diary", "t", "--lines", "--wait", "stored"],
        lines,
    ));
    assert_eq!(payloads(ada.path()), ["one", "two", "three", "four"]);
    ok(&run(ada.path(), &["delete", "Diary", second["id"].as_str().expect("text")]));
    assert_eq!(payloads(ada.path()), ["one", "three", "four"]);

    ok(&run(ada.path(), &["group", "create", "Second"]));
    assert_eq!(ok(&run(ada.path(), &["--json", "group", "list"])).lines().count(), 2);
    ok(&run(ada.path(), &["group", "set", "Diary", "--comment", "of a year"]));
    assert!(ok(&run(ada.path(), &["group", "show", "Diary"])).contains("of a year"));
    let invited = one(&run(ada.path(), &["--json", "group", "invite", "Diary", "--uses", "2"]));
    let open = one(&run(ada.path(), &["--json", "group", "invitations", "Diary"]));
    assert_eq!(open["id"], invited["id"]);
    let shown = ok(&run(ada.path(), &["cert", "export", "Diary"]));
    assert!(shown.contains("BEGIN CERTIFICATE"), "{shown}");
    fails(&run(ada.path(), &["group", "show", "Nothing"]), 1, &["no group \"Nothing\""]);
    // Another node in the same folder has nothing to serve.
    fails(&run(ada.path(), &["node", "--http", "127.0.0.1:0"]), 1, &["in use by another process"]);
    drop(node);
}

/// Goal: commands that begin at once in one folder all do their work. Method: they publish and list; the first one has the
/// folder, and the others work through it, which ends when they have ended.
#[test]
fn commands_that_begin_at_once_all_do_their_work() {
    let ada = folder();
    ok(&run(ada.path(), &["group", "create", "Diary"]));
    for round in 1..=5 {
        std::thread::scope(|scope| {
            for number in 0..6 {
                let ada = ada.path();
                scope.spawn(move || publish(ada, &format!("{round} {number}")));
                scope.spawn(move || ok(&run(ada, &["group", "members", "Diary"])));
            }
        });
        assert_eq!(payloads(ada.path()).len(), 6 * round);
    }
}

#[test]
fn newcomer_is_let_in_and_revoked_by_commands_beside_a_node() {
    let (ada, bob) = (folder(), folder());
    ok(&run(ada.path(), &["group", "create", "Diary"]));
    let _node = node(ada.path());
    let invited = one(&run(ada.path(), &["--json", "group", "invite", "Diary"]));
    let link = invited["link"].as_str().expect("text");
    let joined = run_with_input(bob.path(), &["--name", "Bob", "group", "join"], link.as_bytes());
    assert!(ok(&joined).contains("Diary"));
    let mut watch = Running::start(bob.path(), &["--json", "watch", "Diary"]);
    let published =
        run_with_input(ada.path(), &["publish", "Diary", "t", "--wait", "sent"], b"hello");
    ok(&published);
    assert_eq!(watch.line()["payload"], "hello");
    // A record that Bob publishes beside his own watch is told there, and reaches Ada.
    let published = run_with_input(bob.path(), &["publish", "Diary", "t", "--wait", "sent"], b"hi");
    ok(&published);
    assert_eq!(watch.line()["payload"], "hi");
    assert_eq!(payloads(ada.path()), ["hello", "hi"]);
    let revoked = one(&run(ada.path(), &["--json", "group", "revoke", "Diary", "Bob"]));
    assert_eq!(revoked["standing"]["is"], "revoked");
    let members = ok(&run(ada.path(), &["--json", "group", "members", "Diary"]));
    let bobs = members.lines().map(json).find(|it| it["name"] == "Bob").expect("listed");
    assert_eq!(bobs["standing"]["is"], "revoked");
}

#[test]
fn watch_goes_on_when_the_program_that_ran_has_ended() {
    let ada = folder();
    ok(&run(ada.path(), &["group", "create", "Diary"]));
    publish(ada.path(), "before");
    let node = node(ada.path());
    let mut watch = Running::start(ada.path(), &["--json", "watch", "Diary"]);
    assert_eq!(watch.line()["payload"], "before");
    publish(ada.path(), "beside");
    assert_eq!(watch.line()["payload"], "beside");
    // It is killed, not told to end: its socket stays behind.
    drop(node);
    publish(ada.path(), "after");
    assert_eq!(watch.line()["payload"], "after", "each record once");
}

#[test]
fn watch_whose_reader_has_enough_frees_the_folder() {
    let ada = folder();
    ok(&run(ada.path(), &["group", "create", "Diary"]));
    publish(ada.path(), "one");
    let mut watch = Running::start(ada.path(), &["--json", "watch", "Diary"]);
    assert_eq!(watch.line()["payload"], "one");
    watch.stop_reading();
    assert!(watch.end().success());
    // It is free, so that a node can begin.
    let _node = node(ada.path());
}

#[test]
fn program_of_another_version_and_one_that_is_none_are_told() {
    use std::io::{Read as _, Write as _};
    let ada = folder();
    ok(&run(ada.path(), &["group", "create", "Diary"]));
    let node = node(ada.path());
    let socket = identity_folder(ada.path()).join("control");
    for garbage in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"peergraph\xff",
        b"peergraph\x01\xff\xff\xff\xff",
        b"peergraph\x01\0\0\0\x01\xff",
        b"",
    ] {
        let mut stream = std::os::unix::net::UnixStream::connect(&socket).expect("connects");
        let _ = stream.write_all(garbage);
        stream.shutdown(std::net::Shutdown::Write).expect("shut");
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
    }
    assert_eq!(payloads(ada.path()), Vec::<String>::new(), "it goes on");
    // A program that serves and is of another version.
    std::fs::remove_file(&socket).expect("removed");
    let listener = std::os::unix::net::UnixListener::bind(&socket).expect("bound");
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("accepted");
        stream.write_all(b"peergraph\xfe").expect("written");
        let mut hello = [0; 10];
        stream.read_exact(&mut hello).expect("read");
        hello
    });
    fails(&run(ada.path(), &["records", "Diary"]), 1, &["another version of Peergraph"]);
    assert_eq!(&serving.join().expect("ends")[..9], b"peergraph");
    drop(node);
}
