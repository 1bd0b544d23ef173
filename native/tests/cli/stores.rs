//! Backups, upkeep of the store, and what is read within bounds.

use std::path::Path;
use std::process::Stdio;

use crate::running::{identity_folder, node, payloads};
use crate::together::Running;
use crate::{command, fails, folder, json, ok, one, run, run_with_input, text};

const PASSWORD: (&str, &str) = ("PEERGRAPH_PASSWORD", "correct horse");

fn with_password(data: &Path, arguments: &[&str]) -> std::process::Output {
    command(data).args(arguments).env(PASSWORD.0, PASSWORD.1).output().expect("runs")
}

fn diary() -> tempfile::TempDir {
    let ada = folder();
    ok(&run(ada.path(), &["group", "create", "Diary"]));
    publish(ada.path(), b"one");
    ada
}

fn publish(data: &Path, payload: &[u8]) -> serde_json::Value {
    one(&run_with_input(data, &["--json", "publish", "Diary", "t", "--wait", "stored"], payload))
}

#[test]
fn backup_is_made_beside_a_running_node_and_restored_elsewhere() {
    let (ada, phone) = (diary(), folder());
    let file = ada.path().join("ada.backup");
    let name = file.to_str().expect("text");
    {
        let _node = node(ada.path());
        assert!(
            ok(&with_password(ada.path(), &["backup", name, "--records"])).contains("1 groups")
        );
        let checked = one(&run(ada.path(), &["--json", "store", "verify"]));
        assert_eq!(checked["damaged"], 0);
        fails(&run(ada.path(), &["store", "compact"]), 1, &["in use by another process"]);
    }
    fails(&with_password(ada.path(), &["backup", name]), 1, &["is there already"]);
    let wrong = command(phone.path()).args(["restore", name]).env(PASSWORD.0, "battery").output();
    fails(&wrong.expect("runs"), 1, &["the password is wrong"]);
    let restored = one(&with_password(phone.path(), &["--json", "restore", name]));
    assert_eq!(restored["groups"], 1);
    assert_eq!(payloads(phone.path()), ["one"]);
    let shown = one(&run(phone.path(), &["--json", "group", "show", "Diary"]));
    assert_eq!(shown["owner"], true);
    assert!(one(&run(phone.path(), &["--json", "store", "compact"]))["after"].is_u64());
}

/// Goal: a newcomer with a full disk is told so, once, and the command fails. Method: no file of
/// the newcomer may be longer than 3 MB; the group holds more.
#[test]
fn join_on_a_full_disk_fails_and_says_why() {
    let (ada, bob) = (folder(), folder());
    ok(&run(ada.path(), &["group", "create", "Diary"]));
    let lines = format!("{}\n", "x".repeat(250_000)).repeat(40);
    let publish = ["publish", "Diary", "t", "--wait", "stored", "--lines"];
    ok(&run_with_input(ada.path(), &publish, lines.as_bytes()));
    let link = ok(&run(ada.path(), &["group", "invite", "Diary"]));
    let mut adas = Running::start(ada.path(), &["--json", "watch", "Diary"]);
    assert_eq!(adas.line()["type"], "t", "it runs");
    let mut join = std::process::Command::new("sh");
    // Blocks of 512 bytes; without the signal a write fails.
    let limited = "trap '' XFSZ; ulimit -f 6000; exec \"$@\"";
    join.args(["-c", limited, "sh", env!("CARGO_BIN_EXE_peergraph"), "group", "join"]);
    join.env_clear().env("PEERGRAPH_DATA", bob.path()).env("USER", "bob").arg(link.trim());
    let joined = join.output().expect("runs");
    fails(&joined, 1, &["joining the group", "the storage is full"]);
    let told = text(&joined.stderr);
    assert!(told.lines().count() <= 6, "{} lines: {told}", told.lines().count());
}

#[test]
fn damaged_store_is_told_with_its_folder_and_restored_from_a_backup() {
    const PAYLOAD: &[u8] = b"a payload like no other";
    let ada = diary();
    publish(ada.path(), PAYLOAD);
    let file = ada.path().join("ada.backup");
    let name = file.to_str().expect("text");
    ok(&with_password(ada.path(), &["backup", name]));
    let store = identity_folder(ada.path()).join("store.redb");
    let mut bytes = std::fs::read(&store).expect("readable");
    // In every copy of its page.
    let found = |bytes: &[u8]| bytes.windows(PAYLOAD.len()).position(|window| window == PAYLOAD);
    assert!(found(&bytes).is_some());
    while let Some(at) = found(&bytes) {
        bytes[at] ^= 1;
    }
    std::fs::write(&store, &bytes).expect("written");
    let listed = run(ada.path(), &["--json", "records", "Diary"]);
    let (shown, told) = (text(&listed.stdout), text(&listed.stderr));
    assert!(shown.contains("one") && !shown.contains("payload like"), "{shown}");
    assert!(told.contains(ada.path().to_str().expect("text")), "{told}");
    // An empty file is no new store.
    std::fs::write(&store, b"").expect("written");
    let empty = run(ada.path(), &["group", "list"]);
    fails(&empty, 1, &["the file is empty", "peergraph restore", "the only key"]);
    let restored = with_password(ada.path(), &["restore", name]);
    assert!(text(&restored.stderr).contains("kept as"), "{}", text(&restored.stderr));
    let shown = one(&run(ada.path(), &["--json", "group", "show", "Diary"]));
    assert_eq!(shown["owner"], true);
}

#[test]
fn what_has_no_end_is_refused_while_it_is_read() {
    let ada = diary();
    let zero = "/dev/zero";
    for arguments in [
        &["publish", "Diary", "t", zero][..],
        &["group", "join", "--file", zero],
        &["invitation", "show", zero],
        &["restore", zero],
        &["cert", "show", zero],
    ] {
        fails(&with_password(ada.path(), arguments), 1, &["longer than"]);
    }
    let endless = Stdio::from(std::fs::File::open(zero).expect("opens"));
    let lines = ["publish", "Diary", "t", "--lines", "--wait", "stored"];
    let output = command(ada.path()).args(lines).stdin(endless).output().expect("runs");
    fails(&output, 1, &["line 1", "longer than any record"]);
}

#[test]
fn lines_are_printed_as_records_in_their_order() {
    let ada = diary();
    let lines: String = (0..500).map(|number| format!("{number}\n")).collect();
    let arguments = ["--json", "publish", "Diary", "line", "--lines", "--wait", "stored"];
    let printed = ok(&run_with_input(ada.path(), &arguments, lines.as_bytes()));
    let printed: Vec<_> = printed.lines().map(|line| json(line)["payload"].clone()).collect();
    let listed = ok(&run(ada.path(), &["--json", "records", "Diary", "--type", "line"]));
    let listed: Vec<_> = listed.lines().map(|line| json(line)["payload"].clone()).collect();
    let given: Vec<_> =
        (0..500).map(|number| serde_json::Value::from(number.to_string())).collect();
    assert_eq!((printed, listed), (given.clone(), given));
}

#[test]
fn record_is_replaced_and_keeps_its_life_and_attributes() {
    let ada = diary();
    let first = [
        "--json",
        "publish",
        "Diary",
        "t",
        "--wait",
        "stored",
        "-a",
        "room=side",
        "--expires",
        "1h",
    ];
    let first = one(&run_with_input(ada.path(), &first, b"first"));
    let id = first["id"].as_str().expect("text");
    let second = ["--json", "publish", "Diary", "t", "--wait", "stored", "--replace", id];
    let second = one(&run_with_input(ada.path(), &second, b"second"));
    for kept in ["id", "expires", "attributes"] {
        assert_eq!(second[kept], first[kept], "{kept}");
    }
    assert_eq!(second["payload"], "second");
}

#[test]
fn listing_makes_no_identity_and_names_that_do_nothing_are_told() {
    let ada = folder();
    assert_eq!(ok(&run(ada.path(), &["group", "list"])), "");
    fails(&run(ada.path(), &["records", "Diary"]), 1, &["no identity yet", "group create"]);
    assert_eq!(ok(&run(ada.path(), &["identity", "list"])), "");
    ok(&run(ada.path(), &["--name", "Ada", "group", "create", "Diary"]));
    let named = run(ada.path(), &["--name", "Eve", "group", "list"]);
    assert!(text(&named.stderr).contains("identity rename"), "{}", text(&named.stderr));
    assert!(text(&run(ada.path(), &["--name", "Ada", "group", "list"]).stderr).is_empty());
    fails(&run(ada.path(), &["group", "invite", "Diary", "--expires", "0s"]), 2, &["at once"]);
}

#[cfg(target_os = "linux")]
#[test]
fn file_names_need_not_be_text() {
    use std::os::unix::ffi::OsStrExt as _;
    let ada = diary();
    let name = ada.path().join(std::ffi::OsStr::from_bytes(b"na\xefve"));
    std::fs::write(&name, b"by any name").expect("written");
    let mut publishing = command(ada.path());
    publishing.args(["publish", "Diary", "t"]).arg(&name).args(["--wait", "stored"]);
    ok(&publishing.output().expect("runs"));
    assert_eq!(payloads(ada.path()), ["one", "by any name"]);
}

#[cfg(target_os = "linux")]
#[test]
fn end_of_the_terminal_is_a_goodbye_unless_it_is_to_be_outlived() {
    use crate::together::Running;
    let ada = diary();
    let hang_up = |id: u32| {
        let kill = std::process::Command::new("kill").args(["-HUP", &id.to_string()]).status();
        assert!(kill.expect("runs").success());
    };
    // The shell that runs the tests may ignore hang-ups, as below `nohup`, and programs inherit
    // that.
    let program = command(ada.path());
    let mut watching = std::process::Command::new("env");
    watching.arg("--default-signal=HUP").arg(program.get_program()).args(program.get_args());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => watching.env(name, value),
            None => watching.env_remove(name),
        };
    }
    let mut watch = Running::of(watching.args(["--json", "watch", "Diary"]));
    assert_eq!(watch.line()["payload"], "one");
    hang_up(watch.id());
    assert!(watch.end().success());
    assert!(!identity_folder(ada.path()).join("control").exists(), "it ended properly");
}
