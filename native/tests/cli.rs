//! The program `peergraph`, from outside: exit codes, messages, and what wrong input does.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Runs with a data folder, without anything from the surroundings.
fn command(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_peergraph"));
    command.env_clear().env("PEERGRAPH_DATA", data).env("USER", "ada").stdin(Stdio::null());
    command
}

fn run(data: &Path, arguments: &[&str]) -> Output {
    command(data).args(arguments).output().expect("runs")
}

fn run_with_input(data: &Path, arguments: &[&str], input: &[u8]) -> Output {
    let mut command = command(data);
    let command = command.args(arguments).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("runs");
    // A program that fails early does not read its input.
    let _ = child.stdin.take().expect("piped").write_all(input);
    child.wait_with_output().expect("ends")
}

#[track_caller]
fn ok(output: &Output) -> String {
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// Fails with `code`, nothing on standard output, and a message that has all `parts`.
#[track_caller]
fn fails(output: &Output, code: i32, parts: &[&str]) {
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{message}");
    assert_eq!(text(&output.stdout), "");
    for part in parts {
        assert!(message.contains(part), "no {part:?} in: {message}");
    }
    assert!(!message.contains("panicked"), "{message}");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn json(line: &str) -> serde_json::Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

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
    fails(&run(data, &[]), 2, &["Usage"]);
    assert_eq!(std::fs::read_dir(data).expect("readable").count(), 0, "wrong usage makes nothing");
}

#[test]
fn version_and_help_are_no_errors() {
    let data = folder();
    assert!(ok(&run(data.path(), &["--version"])).starts_with("peergraph "));
    assert!(ok(&run(data.path(), &["group", "invite", "--help"])).contains("--uses"));
}

#[test]
fn identities_are_made_listed_exported_and_imported() {
    let (first, second) = (folder(), folder());
    let ada = json(&ok(&run(first.path(), &["--json", "identity", "new", "Ada"])));
    assert_eq!(ada["name"], "Ada");
    ok(&run(first.path(), &["identity", "new", "Bob"]));
    let list = ok(&run(first.path(), &["--json", "identity", "list"]));
    let list: Vec<_> = list.lines().map(json).collect();
    assert_eq!(list.len(), 2);
    let default: Vec<_> = list.iter().filter(|entry| entry["default"] == true).collect();
    assert_eq!(default.len(), 1);
    assert_eq!(default[0]["peer"], ada["peer"]);

    let no_password = run(first.path(), &["identity", "export"]);
    fails(&no_password, 1, &["no password", "--password-file", "PEERGRAPH_PASSWORD"]);
    let export = command(first.path())
        .env("PEERGRAPH_PASSWORD", "correct horse")
        .args(["identity", "export", "Ada"])
        .output()
        .expect("runs");
    let sealed = ok(&export);
    assert!(!sealed.contains("correct horse"));

    let password = second.path().join("password");
    let import = ["identity", "import", "--password-file", password.to_str().expect("text")];
    std::fs::write(&password, "wrong\n").expect("written");
    let wrong = run_with_input(second.path(), &import, sealed.as_bytes());
    fails(&wrong, 1, &["importing the identity", "password is wrong"]);
    std::fs::write(&password, "correct horse\n").expect("written");
    let cut = &sealed.as_bytes()[..sealed.len() / 2];
    fails(&run_with_input(second.path(), &import, cut), 1, &["importing the identity"]);
    let shown = ok(&run_with_input(second.path(), &import, sealed.as_bytes()));
    assert!(shown.contains(ada["peer"].as_str().expect("text")), "{shown}");
    let again = run_with_input(second.path(), &import, sealed.as_bytes());
    fails(&again, 1, &["is here already"]);
}

#[test]
fn public_document_holds_no_secret_and_names_its_identity() {
    let data = folder();
    let new = ok(&run(data.path(), &["identity", "new", "Ada"]));
    let document = ok(&run(data.path(), &["identity", "show", "--document"]));
    assert!(document.starts_with("-----BEGIN CERTIFICATE-----"), "{document}");
    assert!(!document.contains("PRIVATE"));
    let shown = ok(&run(data.path(), &["identity", "show", &new[..10]]));
    assert_eq!(shown, new);
    fails(&run(data.path(), &["identity", "show", "Eve"]), 1, &["Eve", "identity list"]);
    fails(&run(data.path(), &["identity", "new", ""]), 1, &["1 to 255"]);
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
