//! A step of `cargo xtask test`: links between documents lead somewhere, and the README stays short.
//!
//! The snippets of the documents are run elsewhere: see the seventh rule of `.github/CONTRIBUTING.md`.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};

use crate::shell;

/// Lines of the README at most, and columns of each. Source: what a reader looks through in five minutes.
const README_LINES_MAX: usize = 130;
const README_COLUMNS_MAX: usize = 100;

/// Looks at every document that git knows.
pub(crate) fn check() -> Result<()> {
    let documents = shell::output(shell::command("git").args(["ls-files", "*.md"]))?;
    let mut faults = Vec::new();
    for document in documents.lines() {
        let text = fs::read_to_string(shell::root().join(document))?;
        let folder = Path::new(document).parent().unwrap_or(Path::new(""));
        for (line, target) in links(&text) {
            if !shell::root().join(folder).join(target).exists() {
                faults.push(format!("{document}:{line}: there is no {target}"));
            }
        }
        if document == "README.md" {
            faults.extend(too_long(&text));
        }
    }
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}

/// The files to which a document links, with the lines of the links. Links of rustdoc have `::`.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        for after in line.split("](").skip(1) {
            let target = after.split([')', '#']).next().unwrap_or_default();
            if !target.is_empty() && !target.contains("::") && !target.contains("://") {
                found.push((number, target));
            }
        }
    }
    found
}

fn too_long(readme: &str) -> Vec<String> {
    let lines = readme.lines().count();
    let mut faults = Vec::new();
    if lines > README_LINES_MAX {
        faults.push(format!("README.md has {lines} lines, of {README_LINES_MAX} at most"));
    }
    for (number, line) in (1..).zip(readme.lines()) {
        let columns = line.chars().count();
        if columns > README_COLUMNS_MAX {
            faults.push(format!("README.md:{number}: {columns} columns of {README_COLUMNS_MAX}"));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_files_are_found() {
        let text = "[a](b.md)\n[c](d/e.md#f), [g](#h), [i](https://j.example), [k](crate::L)";
        assert_eq!(links(text), [(1, "b.md"), (2, "d/e.md")]);
    }

    #[test]
    fn readme_has_its_bounds() {
        let fits = "é".repeat(README_COLUMNS_MAX) + "\n";
        assert_eq!(too_long(&fits.repeat(README_LINES_MAX)), Vec::<String>::new());
        assert_eq!(too_long(&("x".to_owned() + &fits)).len(), 1);
        assert_eq!(too_long(&"\n".repeat(README_LINES_MAX + 1)).len(), 1);
    }
}
