//! The commands that the documents show, run as they stand there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::together::Running;
use crate::{folder, free_later, text};

/// The node of the documents. Other programs may have this port, so the tests take another one.
const NODE: &str = "127.0.0.1:8080";

/// A line of a block ` ```sh `, and where it stands.
struct Line {
    place: String,
    command: String,
}

/// The lines of the blocks that use the program. Other blocks are about `cargo`.
fn lines(document: &str) -> Vec<Line> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a folder of the workspace");
    let text = fs::read_to_string(root.join(document)).expect("the document is there");
    let mut found = Vec::new();
    let mut block: Option<Vec<Line>> = None;
    for (number, line) in (1..).zip(text.lines()) {
        match (&mut block, line) {
            (None, "```sh") => block = Some(Vec::new()),
            (Some(lines), "```") => {
                if lines.iter().any(|line| line.command.contains("peergraph ")) {
                    found.append(lines);
                }
                block = None;
            }
            (Some(lines), _) => {
                let command = line.split("  # ").next().unwrap_or_default().trim();
                if !command.is_empty() && !command.starts_with('#') {
                    let place = format!("{document}:{number}");
                    lines.push(Line { place, command: command.to_owned() });
                }
            }
            (None, _) => {}
        }
    }
    found
}

/// A shell as a reader has it: the program is in its path, its home is empty but for an application in `trip` and the built
/// npm package, and the reader is in `trip`.
fn shell(home: &Path, command: &str) -> Command {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_peergraph"));
    let path = std::env::var("PATH").expect("a path");
    let path = format!("{}:{path}", program.parent().expect("its folder").display());
    let mut shell = Command::new("sh");
    shell
        .args(["-c", command])
        .current_dir(home.join("trip"))
        .env_clear()
        .env("PATH", path)
        .env("HOME", home);
    shell.env("USER", "ada").env("PEERGRAPH_PASSWORD", "seven geese fly south");
    shell
}

/// Goal: what the documents show works when it is typed in that order. Method: a shell for each line, all lines of a document
/// in one empty home; a line that ends with `&` is waited for until it prints something, and goes on until the end.
fn commands_work(document: &str) {
    let home = folder();
    for made in ["trip", "peergraph/web/pkg"] {
        fs::create_dir_all(home.path().join(made)).expect("made");
    }
    let node = free_later().to_string();
    let mut running = Vec::new();
    let lines = lines(document);
    assert!(!lines.is_empty(), "{document} shows no command");
    for Line { place, command } in lines {
        let command = command.replace(NODE, &node);
        if let Some(lasting) = command.strip_suffix(" &") {
            let mut program = Running::of(&mut shell(home.path(), &format!("exec {lasting}")));
            assert!(program.prints(), "{place}: {command}: ended and printed nothing");
            running.push(program);
            continue;
        }
        let output = shell(home.path(), &command).output().expect("there is a shell");
        let said = text(&output.stderr);
        assert!(output.status.success(), "{place}: {command}\n{said}");
    }
}

#[test]
fn commands_of_the_readme_work() {
    commands_work("README.md");
}

#[test]
fn commands_of_the_programs_own_readme_work() {
    commands_work("native/README.md");
}

#[test]
fn commands_of_the_guides_work() {
    commands_work("native/src/guide/node.md");
    commands_work("web/guides/first-group.md");
}
