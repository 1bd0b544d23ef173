//! Identities, what they sign, and their certificates.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::{command, fails, folder, json, ok, run, run_with_input, text};

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

/// Goal: commands that begin at once in a new folder share one identity. Method: eight processes, some rounds.
#[test]
fn commands_that_begin_at_once_make_one_identity() {
    for _ in 0..4 {
        let data = folder();
        let begin = |nth| {
            let mut command = command(data.path());
            command.args(["group", "create", &format!("group {nth}")]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("runs")
        };
        let begun: Vec<_> = (0..8).map(begin).collect();
        let ended = begun.into_iter().map(|child| child.wait_with_output().expect("ends"));
        let ended: Vec<_> = ended.collect();
        let made = ended.iter().filter(|output| text(&output.stderr).contains("New identity"));
        assert_eq!(made.count(), 1, "one says that it made it");
        assert_eq!(ok(&run(data.path(), &["--json", "identity", "list"])).lines().count(), 1);
    }
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
        .output()
        .expect("openssl runs: install it");
    assert!(ok(&openssl).contains("OK"));

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
    // A certificate that a root issued names the root by all bytes of the root's certificate.
    fails(&run(data, &["cert", "verify", &der, "--group", id]), 1, &["issued by another", "14"]);
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
