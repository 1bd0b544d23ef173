//! The program `peergraph`, from outside: exit codes, messages, and what wrong input does.

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

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
fn identities_are_named_renamed_chosen_and_deleted() {
    let data = folder();
    let data = data.path();
    let ada = ["--json", "identity", "new", "Ada", "--classifier", "Book club"];
    let ada = json(&ok(&run(data, &ada)));
    let peer = ada["peer"].as_str().expect("text");
    assert_eq!(ada["peer_name"], format!("{peer}.Book club"));
    ok(&run(data, &["identity", "new", "Bob"]));
    let renamed = run(data, &["--json", "identity", "rename", "Ada", "Countess of Lovelace"]);
    let renamed = json(&ok(&renamed));
    assert_eq!((&renamed["peer"], &renamed["classifier"]), (&ada["peer"], &ada["classifier"]));
    assert_eq!(
        (&renamed["name"], &renamed["default"]),
        (&"Countess of Lovelace".into(), &true.into())
    );
    fails(&run(data, &["identity", "rename", "Bob"]), 2, &["NAME"]);
    fails(&run(data, &["identity", "rename", "Bob", &"b".repeat(256)]), 1, &["1 to 255"]);
    let classifier = "c".repeat(150);
    let long = run(data, &["identity", "rename", "Bob", "--classifier", &classifier]);
    fails(&long, 1, &["renaming the identity", "149"]);

    let name = ["--json", "identity", "name", peer, "--classifier", "Größe 7"];
    let name = json(&ok(&run(data, &name)));
    let host = name["host"].as_str().expect("text");
    assert!(host.ends_with(&format!(".{peer}.peergraph.alt")), "{host}");
    let back = json(&ok(&run(data, &["--json", "identity", "name", "--host", host])));
    assert_eq!(back, name);
    assert_eq!(back["peer_name"], format!("{peer}.Größe 7"));
    let own = ok(&run(data, &["identity", "name"]));
    assert!(own.starts_with(&format!("{peer}.Book club\nx-")), "{own}");
    fails(&run(data, &["identity", "name", "--host", "example.org"]), 1, &["not the host form"]);

    fails(&run(data, &["identity", "delete", peer]), 1, &["default identity", "first"]);
    assert!(ok(&run(data, &["identity", "default", "Bob"])).contains("Bob  (default)"));
    assert!(ok(&run(data, &["identity", "default"])).contains("Bob  (default)"));
    let deleted = json(&ok(&run(data, &["--json", "identity", "delete", peer])));
    assert_eq!((&deleted["peer"], &deleted["deleted"]), (&ada["peer"], &true.into()));
    assert_eq!(ok(&run(data, &["identity", "list"])).lines().count(), 1);
    fails(&run(data, &["identity", "delete", peer]), 1, &["no identity", "identity list"]);
}

#[test]
fn identity_in_a_group_is_not_deleted_and_the_group_is_named() {
    let data = folder();
    ok(&run(data.path(), &["identity", "new", "Ada"]));
    ok(&run(data.path(), &["group", "create", "Trip to Lisbon"]));
    let refused = run(data.path(), &["identity", "delete", "Ada"]);
    fails(&refused, 1, &["deleting the identity", "Trip to Lisbon", "leave it first"]);
    assert!(ok(&run(data.path(), &["group", "list"])).contains("Trip to Lisbon"));
}

#[test]
fn files_are_signed_and_checked_with_the_public_document_alone() {
    let (data, elsewhere) = (folder(), folder());
    let place = |name: &str| elsewhere.path().join(name).to_str().expect("text").to_owned();
    let [file, signature, document] = ["file", "signature", "ada.pem"].map(place);
    std::fs::write(&file, b"hello \xff\n").expect("written");
    ok(&run(data.path(), &["identity", "new", "Ada"]));
    ok(&run(data.path(), &["identity", "new", "Bob"]));
    ok(&run(data.path(), &["identity", "show", "Ada", "--document", "-o", &document]));
    assert_eq!(ok(&run(data.path(), &["identity", "sign", &file, "-o", &signature])), "");
    assert_eq!(std::fs::read(&signature).expect("there").len(), 64);
    let check = ["identity", "verify", &file, "--signature", &signature, "--document", &document];
    assert!(ok(&run(elsewhere.path(), &check)).contains("Ada  signed it"));
    // Also as text, as JSON, and by an identity of the folder.
    for options in [&["identity", "sign", &file][..], &["--json", "identity", "sign", &file]] {
        let text = ok(&run(data.path(), options));
        std::fs::write(&signature, text).expect("written");
        assert!(ok(&run(elsewhere.path(), &check)).contains("Ada"));
    }
    let by = |who| ["identity", "verify", &file, "--signature", &signature, "--by", who];
    ok(&run(data.path(), &by("Ada")));
    fails(&run(data.path(), &by("Bob")), 1, &["not Bob's"]);
    let piped = run_with_input(data.path(), &["identity", "sign", "-"], b"hello \xff\n");
    assert_eq!(ok(&piped), ok(&run(data.path(), &["identity", "sign", &file])));
    std::fs::write(&file, b"hallo \xff\n").expect("written");
    fails(&run(elsewhere.path(), &check), 1, &["not Ada's"]);
    std::fs::write(&signature, "hello").expect("written");
    fails(&run(elsewhere.path(), &check), 1, &["no signature", "64 bytes"]);
    fails(
        &run(data.path(), &["identity", "verify", &file, "--signature", &signature]),
        2,
        &["--document"],
    );
}

#[test]
fn exported_membership_is_accepted_by_openssl_and_by_us_and_shown() {
    let (data, elsewhere) = (folder(), folder());
    let data = data.path();
    let place = |name: &str| elsewhere.path().join(name).to_str().expect("text").to_owned();
    let [chain, root, der, link] = ["chain.pem", "root.pem", "chain.der", "link"].map(place);
    ok(&run(data, &["identity", "new", "Ada"]));
    let group = json(&ok(&run(data, &["--json", "group", "create", "Trip to Lisbon"])));
    let id = group["id"].as_str().expect("text");
    ok(&run(data, &["group", "create", "Chess"]));
    ok(&run(data, &["cert", "export", "Trip to Lisbon", "-o", &chain]));
    ok(&run(data, &["cert", "export", id, "--part", "root", "-o", &root]));
    ok(&run(data, &["cert", "export", &id[..9], "--format", "der", "-o", &der]));

    let openssl = Command::new("openssl")
        .args(["verify", "-x509_strict", "-CAfile", &root, "-untrusted", &chain, &chain])
        .output();
    match openssl {
        Ok(output) => assert!(ok(&output).contains("OK")),
        Err(error) => println!("skipped: openssl cannot be run: {error}"),
    }

    for file in [&chain, &der] {
        let verified = json(&ok(&run(data, &["--json", "cert", "verify", file, "--group", id])));
        assert_eq!(
            (&verified["name"], &verified["role"]),
            (&"Ada".into(), &"administrator".into())
        );
        let shown = ok(&run(data, &["--json", "cert", "show", file]));
        let shown: Vec<_> = shown.lines().map(json).collect();
        assert_eq!(shown.len(), 2);
        assert_eq!((&shown[0]["kind"], &shown[0]["peer"]), (&"root".into(), &id.into()));
        assert_eq!(
            (&shown[1]["kind"], &shown[1]["issuer"]),
            (&"membership".into(), &"Trip to Lisbon".into())
        );
        assert_eq!(shown[1]["peer"], verified["peer"]);
    }
    let text = ok(&run(data, &["cert", "show", &chain]));
    assert!(
        text.contains("kind         root") && text.contains("role         administrator"),
        "{text}"
    );

    std::fs::write(&link, ok(&run(data, &["group", "invite", id]))).expect("written");
    ok(&run(data, &["cert", "verify", &chain, "--invitation", &link]));
    std::fs::write(&link, ok(&run(data, &["group", "invite", "Chess"]))).expect("written");
    let other = run(data, &["cert", "verify", &chain, "--invitation", &link]);
    fails(&other, 1, &["another group's", "rule 13"]);
    let late = run(data, &["cert", "verify", &chain, "--group", id, "--at", "9999999999"]);
    fails(&late, 1, &["expired", "rule 20"]);
    let alone = run(data, &["cert", "verify", &root, "--group", id]);
    fails(&alone, 1, &["too short", "rule 12"]);
    let mut changed = std::fs::read(&der).expect("there");
    *changed.last_mut().expect("bytes") ^= 1;
    std::fs::write(&der, changed).expect("written");
    fails(&run(data, &["cert", "verify", &der, "--group", id]), 1, &["signature", "15"]);
    fails(&run(data, &["cert", "verify", &der]), 2, &["--group"]);
    fails(&run(data, &["cert", "export", "Golf"]), 1, &["no group", "group list"]);

    let identity = ok(&run(data, &["identity", "show", "--document"]));
    let verify = ["cert", "verify", "-", "--self-signed"];
    assert!(ok(&run_with_input(data, &verify, identity.as_bytes())).contains("Ada  genuine"));
    fails(&run_with_input(data, &["cert", "show"], b"hello"), 1, &["rule 1"]);
}

/// Goal: a password that is typed is not shown. Method: the program runs in a terminal of its own, that of `script`.
#[cfg(target_os = "linux")]
#[test]
fn password_is_asked_for_on_a_terminal_and_not_shown() {
    let data = folder();
    ok(&run(data.path(), &["identity", "new", "Ada"]));
    let program = env!("CARGO_BIN_EXE_peergraph");
    let file = data.path().join("export");
    let line = format!("{program} identity export -o {}", file.display());
    let mut script = Command::new("script");
    script.args(["-qec", &line, "/dev/null"]).env_remove("PEERGRAPH_PASSWORD");
    script.env("PEERGRAPH_DATA", data.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = match script.spawn() {
        Ok(child) => child,
        Err(error) => return println!("skipped: script cannot be run: {error}"),
    };
    let (mut input, mut output) =
        (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
    let mut seen = String::new();
    for question in ["Password: ", "Again: "] {
        while !seen.ends_with(question) {
            let mut byte = [0];
            let count = std::io::Read::read(&mut output, &mut byte).expect("readable");
            assert_eq!(count, 1, "no {question:?} in {seen:?}");
            seen.push(char::from(byte[0]));
        }
        input.write_all(b"correct horse\n").expect("typed");
    }
    std::io::Read::read_to_string(&mut output, &mut seen).expect("readable");
    assert!(child.wait().expect("ends").success(), "{seen}");
    assert!(!seen.contains("horse"), "{seen}");
    let other = folder();
    let mut import = command(other.path());
    import.env("PEERGRAPH_PASSWORD", "correct horse").args(["identity", "import"]).arg(&file);
    assert!(ok(&import.output().expect("runs")).contains("Ada"));
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

/// The one line of JSON that a command prints.
#[track_caller]
fn one(output: &Output) -> serde_json::Value {
    json(ok(output).trim_end())
}

/// Bob, in a data folder of his own, in Ada's group by a bound invitation, which needs nobody online.
fn bob_joins(ada: &Path, group: &str) -> (tempfile::TempDir, String) {
    let bob = folder();
    let peer = one(&run(bob.path(), &["--json", "identity", "new", "Bob"]));
    ok(&join(bob.path(), &invite_bob(ada, group, bob.path())));
    (bob, peer["peer"].as_str().expect("text").to_owned())
}

fn join(data: &Path, link: &str) -> Output {
    run_with_input(data, &["--timeout", "1s", "group", "join"], link.as_bytes())
}

/// Ada's invitation for the identity of Bob's data folder.
fn invite_bob(ada: &Path, group: &str, bob: &Path) -> String {
    let document = bob.join("bob.pem");
    std::fs::write(&document, ok(&run(bob, &["identity", "show", "--document"]))).expect("written");
    let document = document.to_str().expect("text");
    ok(&run(ada, &["group", "invite", group, "--bound", document]))
}

#[test]
fn a_group_is_made_with_a_policy_shown_and_changed() {
    let data = folder();
    let data = data.path();
    let made = one(&run(
        data,
        &[
            "--json",
            "group",
            "create",
            "Daily",
            "--comment",
            "What happened",
            "--no-passwords",
            "--only-administrators-invite",
            "--membership-lifetime",
            "90d",
            "--right",
            "news.*:editor:publish,update",
        ],
    ));
    assert_eq!(made["role"], "administrator");
    assert_eq!(made["owner"], true);
    let shown = one(&run(data, &["--json", "group", "show", "Daily"]));
    assert_eq!(shown["comment"], "What happened");
    assert_eq!(shown["standing"], serde_json::json!({ "is": "member" }));
    let policy = &shown["policy"];
    assert_eq!(policy["invite"], "administrator");
    assert_eq!(policy["passwords"], false);
    assert_eq!(policy["membership_lifetime_seconds"], 90 * 86_400);
    let right = serde_json::json!({
        "types": "news.*", "roles": ["editor"], "publish": true, "update": true, "delete": false,
    });
    assert_eq!(policy["rights"], serde_json::json!([right]));

    // What was shown makes another group like it.
    let file = data.join("policy.json");
    std::fs::write(&file, policy.to_string()).expect("written");
    let again = run(
        data,
        &["--json", "group", "create", "Weekly", "--policy", file.to_str().expect("text")],
    );
    assert_eq!(&one(&again)["policy"], policy);

    let set = ["--json", "group", "set", "Daily", "--rename", "Nightly", "--presence", "7"];
    let set = one(&run(data, &set));
    assert_eq!(
        (&set["name"], &set["comment"], &set["presence"]),
        (&"Nightly".into(), &"What happened".into(), &7.into())
    );
    let text = ok(&run(data, &["group", "show", "Nightly"]));
    for part in ["Nightly", "and owner", "editor may publish, update", "not allowed", "90 days"] {
        assert!(text.contains(part), "no {part:?} in: {text}");
    }
}

#[test]
fn policies_that_cannot_be_are_refused() {
    let data = folder();
    let data = data.path();
    fails(&run(data, &["group", "create", "X", "--right", "news"]), 2, &["TYPES:ROLES:RIGHTS"]);
    fails(&run(data, &["group", "create", "X", "--membership-lifetime", "x"]), 2, &["30s, 5m"]);
    let file = data.join("policy.json");
    let path = file.to_str().expect("text");
    for (text, part) in [("{", "policy.json"), (r#"{"colour": "red"}"#, "colour")] {
        std::fs::write(&file, text).expect("written");
        fails(&run(data, &["group", "create", "X", "--policy", path]), 1, &[path, part]);
    }
    assert!(!data.join("identities").exists(), "no identity was made");
    let short = run(data, &["group", "create", "X", "--membership-lifetime", "1s"]);
    fails(&short, 1, &["making the group", "policy"]);
    fails(&run(data, &["group", "create", ""]), 1, &["1 to 255"]);
}

#[test]
fn invitations_are_shown_before_joining_listed_and_withdrawn() {
    let data = folder();
    let data = data.path();
    ok(&run(data, &["group", "create", "Trip"]));
    let invite =
        ["--json", "group", "invite", "Trip", "--as", "editor,cook", "--uses", "3", "--qr"];
    let output = run(data, &invite);
    let drawn = text(&output.stderr);
    assert!(drawn.contains('▀') && drawn.contains("group withdraw"), "{drawn}");
    let made = one(&output);
    let link = made["link"].as_str().expect("text");

    let nobody = folder();
    let shown =
        one(&run_with_input(nobody.path(), &["--json", "invitation", "show"], link.as_bytes()));
    assert_eq!(shown["name"], "Trip");
    assert_eq!(shown["kind"], "bearer");
    assert_eq!(shown["role"], "member");
    assert_eq!(shown["app_roles"], serde_json::json!(["cook", "editor"]));
    assert_eq!(shown["usable"], true);
    let file = nobody.path().join("link");
    std::fs::write(&file, link).expect("written");
    for from in [link, file.to_str().expect("text")] {
        let fields = ok(&run(nobody.path(), &["invitation", "show", from]));
        for part in ["Trip", "whoever has the link", "member", "editor", "Good until"] {
            assert!(fields.contains(part), "no {part:?} in: {fields}");
        }
    }
    assert!(!nobody.path().join("identities").exists(), "to look makes no identity");
    let cut = &link[..link.len() - 9];
    fails(
        &run(nobody.path(), &["invitation", "show", cut]),
        1,
        &["reading", "copy the whole link"],
    );
    fails(&run(nobody.path(), &["invitation", "show", "hello"]), 1, &["not an invitation"]);

    let open = one(&run(data, &["--json", "group", "invitations", "Trip"]));
    assert_eq!(open["id"], made["id"]);
    assert_eq!(open["app_roles"], serde_json::json!(["cook", "editor"]));
    assert_eq!((&open["uses"], &open["used"]), (&3.into(), &0.into()));
    fails(&run(data, &["group", "withdraw", "Trip", "777"]), 1, &["777", "group invitations"]);
    let id = open["id"].as_str().expect("text");
    ok(&run(data, &["group", "withdraw", "Trip", &id[..20]]));
    assert_eq!(ok(&run(data, &["group", "invitations", "Trip"])), "");
    let king = run(data, &["group", "invite", "Trip", "--as", "Editor"]);
    fails(&king, 1, &["--as Editor", "a-z"]);
}

#[test]
fn members_are_promoted_revoked_reinstated_and_told_why_not() {
    let ada = folder();
    let ada = ada.path();
    ok(&run(ada, &["group", "create", "Trip"]));
    let (bob, peer) = bob_joins(ada, "Trip");
    // Ada has not met Bob: his membership is in the group's records only once he comes.
    let alone = run(ada, &["group", "promote", "Trip", "Bob", "--role", "inviting"]);
    fails(&alone, 1, &["Bob", "group members"]);

    // Bob may do none of it.
    let bob = bob.path();
    let quick =
        |arguments: &[&str]| run(bob, &[&["--timeout", "1s", "--json"], arguments].concat());
    let members = ok(&quick(&["group", "members", "Trip"]));
    assert_eq!(members.lines().count(), 1, "{members}");
    let me = json(members.trim_end());
    assert_eq!((me["peer"].as_str(), me["role"].as_str()), (Some(peer.as_str()), Some("member")));
    fails(&quick(&["group", "set", "Trip", "--rename", "Mine"]), 1, &["owner"]);
    fails(&quick(&["group", "invite", "Trip"]), 1, &["your role", "ask an administrator"]);
    fails(&quick(&["group", "promote", "Trip", "Bob", "--role", "administrator"]), 1, &["role"]);
    fails(&quick(&["group", "revoke", "Trip", "Eve"]), 1, &["Eve", "group members"]);
    fails(&quick(&["group", "reinstate", "Trip", "Bob"]), 1, &["no such member"]);
    fails(&quick(&["group", "revoke", "Trip", "Bob", "--reason", "bored"]), 2, &["misconduct"]);
    fails(&quick(&["group", "set", "Trip"]), 2, &["--rename"]);

    // He may revoke himself, by his serial, which is leaving with the group kept.
    let serial = me["serial"].as_str().expect("text");
    let revoke = ["group", "revoke", "Trip", serial, "--reason", "key-lost"];
    let gone = one(&quick(&revoke));
    let standing = serde_json::json!({ "is": "revoked", "by": peer, "reason": "key-lost" });
    assert_eq!(gone["standing"], standing);
    fails(&quick(&["publish", "Trip", "note"]), 1, &["was revoked", "new invitation"]);
    let shown = ok(&run(bob, &["group", "show", "Trip"]));
    assert!(shown.contains("revoked by Bob (key-lost)"), "{shown}");

    // Whoever is out joins again by leaving first.
    let link = invite_bob(ada, "Trip", bob);
    fails(&join(bob, &link), 1, &["revoked by", "group leave", "group reinstate"]);
    let left = one(&quick(&["group", "leave", "Trip"]));
    assert!(left["left"].is_string());
    fails(&quick(&["group", "show", "Trip"]), 1, &["in no group"]);
    assert!(ok(&join(bob, &link)).contains("member until"));
}

/// A program that runs until this is dropped, and its lines.
struct Running(Child, Lines<BufReader<ChildStdout>>);

impl Running {
    fn start(data: &Path, arguments: &[&str]) -> Self {
        let mut command = command(data);
        let command = command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("runs");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        Self(child, lines)
    }

    /// A bootstrap node on loopback, and where it is.
    fn node(data: &Path) -> (Self, String) {
        let serve = ["--json", "--name", "Node", "node", "--http", "127.0.0.1:0"];
        let mut node = Self::start(data, &serve);
        let url = node.line()["url"].as_str().expect("text").to_owned();
        (node, url)
    }

    fn line(&mut self) -> serde_json::Value {
        json(&self.1.next().expect("it goes on").expect("text"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Goal: what one program changes, others learn at once. Method: a node, and Ada and Bob with short commands and a
/// watch in turn, each in a process of its own.
#[test]
fn membership_changed_by_one_program_reaches_the_other() {
    let (node, ada) = (folder(), folder());
    let (_node, url) = Running::node(node.path());
    let ada = ada.path();
    ok(&run(ada, &["--node", &url, "group", "create", "Trip"]));
    let (bob, peer) = bob_joins(ada, "Trip");
    let bob = bob.path();
    ok(&run(bob, &["--node", &url, "group", "list"]));

    let mut adas = Running::start(ada, &["--json", "watch", "Trip"]);
    let publish = ["publish", "Trip", "note", "--wait", "sent"];
    ok(&run_with_input(bob, &publish, b"from Bob"));
    assert_eq!(adas.line()["payload"], "from Bob");
    drop(adas);

    let mut bobs = Running::start(bob, &["--json", "watch", "Trip"]);
    assert_eq!(bobs.line()["payload"], "from Bob", "it runs");
    let promote =
        ["--json", "group", "promote", "Trip", "Bob", "--role", "inviting", "--as", "cook"];
    let promoted = one(&run(ada, &promote));
    assert_eq!(
        (&promoted["role"], &promoted["app_roles"]),
        (&"inviting".into(), &json(r#"["cook"]"#))
    );
    let revoke = ["--json", "group", "revoke", "Trip", &peer[..9], "--reason", "misconduct"];
    let revoke = run(ada, &[&revoke[..], &["--drop-records"]].concat());
    assert!(!text(&revoke.stderr).contains("No other member"), "{}", text(&revoke.stderr));
    let revoked = one(&revoke)["standing"].clone();
    assert_eq!((&revoked["is"], &revoked["reason"]), (&"revoked".into(), &"misconduct".into()));
    assert_eq!(ok(&run(ada, &["records", "Trip"])), "", "what he published is gone");
    drop(bobs);

    let shown = one(&run(bob, &["--json", "group", "show", "Trip"]));
    assert_eq!((&shown["standing"], &shown["role"]), (&revoked, &"inviting".into()));
    let listed = ok(&run(ada, &["group", "members", "Trip"]));
    assert!(listed.contains("inviting (cook), revoked by"), "{listed}");
    let reinstate = ["--json", "--timeout", "1s", "group", "reinstate", "Trip", "Bob"];
    assert_eq!(one(&run(ada, &reinstate))["standing"]["is"], "member");
}

#[test]
fn who_is_here_is_listed_with_what_they_say_of_themselves() {
    let (node, ada) = (folder(), folder());
    let (_node, url) = Running::node(node.path());
    let ada = ada.path();
    ok(&run(ada, &["--node", &url, "group", "create", "Trip"]));
    ok(&run_with_input(ada, &["publish", "Trip", "note", "--wait", "stored"], b"hello"));
    let (bob, _) = bob_joins(ada, "Trip");
    let bob = bob.path();
    ok(&run(bob, &["--node", &url, "group", "list"]));
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

#[test]
fn record_that_is_refreshed_lives_long_enough_for_it() {
    let ada = folder();
    let ada = ada.path();
    ok(&run(ada, &["group", "create", "Trip"]));
    let life = |options: &[&str]| {
        let publish = ["--json", "publish", "Trip", "note", "--wait", "stored", "--expires", "1m"];
        let record = one(&run_with_input(ada, &[&publish, options].concat(), b"hello"));
        record["expires"].as_u64().zip(record["modified"].as_u64()).map(|(end, from)| end - from)
    };
    assert_eq!((life(&[]), life(&["--refresh"])), (Some(60_000), Some(480_000)));
}

#[test]
fn invitation_by_password_is_shown_as_such_and_asks_for_it() {
    let (ada, bob) = (folder(), folder());
    let (ada, bob) = (ada.path(), bob.path());
    ok(&run(ada, &["group", "create", "Class"]));
    let file = ada.join("password");
    let file = file.to_str().expect("text");
    let invite = ["group", "invite", "Class", "--password-file", file];
    std::fs::write(file, "short\n").expect("written");
    fails(&run(ada, &invite), 1, &["choosing the password", "8 to 256"]);
    std::fs::write(file, "seven geese fly\n").expect("written");
    let bound = run(ada, &["group", "invite", "Class", "--password", "--bound", file]);
    fails(&bound, 2, &["cannot be used with"]);
    let output = run(ada, &invite);
    assert!(text(&output.stderr).contains("who know the password"), "{}", text(&output.stderr));
    let link = ok(&output);
    assert!(!link.contains("geese"));

    let show = ["--json", "invitation", "show"];
    assert_eq!(one(&run_with_input(bob, &show, link.as_bytes()))["kind"], "password");
    let fields = ok(&run(bob, &["invitation", "show", link.trim()]));
    assert!(fields.contains("knows the password"), "{fields}");
    let none = run_with_input(bob, &["group", "join"], link.as_bytes());
    fails(&none, 1, &["no password", "--password-file", "PEERGRAPH_PASSWORD"]);
    let nobody = ["--timeout", "1s", "group", "join", "--password-file", file];
    fails(&run_with_input(bob, &nobody, link.as_bytes()), 1, &["nobody let us in"]);
}

/// Goal: what a program wants first comes first. Method: Bob has joined; while he is away Ada publishes 400 notes, with
/// news among them; he watches, and his program says in which order they arrive.
#[test]
fn record_types_that_are_wanted_first_arrive_first() {
    let (node, ada) = (folder(), folder());
    let (_node, url) = Running::node(node.path());
    let ada = ada.path();
    ok(&run(ada, &["--node", &url, "group", "create", "Daily"]));
    let (bob, _) = bob_joins(ada, "Daily");
    let bob = bob.path();
    ok(&run(bob, &["--node", &url, "group", "list"]));
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
