//! `cargo xtask shape [REVISION]`: how the code is laid out, in figures, here and as it was in a revision.
//!
//! Functions are measured from the line with `fn` to their last one. A field belongs to the file that defines its struct; uses of
//! it elsewhere are counted by its name, and names that several structs have are left out. Tests are left out too. The text
//! is read as rustfmt lays it out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::layers::{files_below, is_test};
use crate::shell;

/// The sources of each package.
const PACKAGES: &[(&str, &str)] =
    &[("core", "core/src"), ("native", "native/src"), ("web", "web/src")];

/// A function of more lines is counted as long. Source: the style guide of TigerBeetle.
const LONG: usize = 70;

/// Files, by their path in the package, and their text.
type Texts = BTreeMap<PathBuf, String>;

/// Prints the figures.
pub(crate) fn print(before: Option<&str>) -> Result<()> {
    for &(package, folder) in PACKAGES {
        let now = Shape::of(&here(folder)?);
        let earlier = before.map(|revision| there(revision, folder)).transpose()?;
        let earlier = earlier.map(|texts| Shape::of(&texts).rows());
        match before {
            Some(revision) => println!("{package:<32}{revision:>28}{:>28}", "here"),
            None => println!("{package:<32}{:>28}", "here"),
        }
        for (at, (what, now)) in now.rows().into_iter().enumerate() {
            let before = earlier.as_ref().map(|rows| format!("{:>28}", rows[at].1));
            println!("  {what:<30}{}{now:>28}", before.unwrap_or_default());
        }
    }
    Ok(())
}

fn here(folder: &str) -> Result<Texts> {
    let folder = shell::root().join(folder);
    let mut files = Vec::new();
    files_below(&folder, "rs", &mut files)?;
    let read = |file: PathBuf| {
        let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        Ok((file.strip_prefix(&folder)?.to_path_buf(), text))
    };
    files.into_iter().filter(|file| !is_test(file)).map(read).collect()
}

fn there(revision: &str, folder: &str) -> Result<Texts> {
    let git = |arguments: &[&str]| shell::output(shell::command("git").args(arguments));
    let names = git(&["ls-tree", "-r", "--name-only", revision, "--", folder])?;
    let rust = names.lines().filter(|name| name.ends_with(".rs") && !is_test(Path::new(name)));
    let read = |name: &str| {
        let text = git(&["show", &format!("{revision}:{name}")])?;
        Ok((Path::new(name).strip_prefix(folder)?.to_path_buf(), text))
    };
    rust.map(read).collect()
}

/// The figures of a package.
#[derive(Debug, Default, PartialEq)]
struct Shape {
    /// Lines of each function, in order of length.
    functions: Vec<usize>,
    longest_file: (usize, String),
    /// Fields whose names no other struct has.
    fields: usize,
    /// Those that another file uses, and how often.
    reached: usize,
    uses: usize,
}

impl Shape {
    fn of(texts: &Texts) -> Self {
        let mut shape = Self::default();
        let mut owners: BTreeMap<&str, Vec<&Path>> = BTreeMap::new();
        for (file, text) in texts {
            let lines = text.lines().count();
            if lines > shape.longest_file.0 {
                shape.longest_file = (lines, file.display().to_string());
            }
            shape.functions.extend(functions(code(text)));
            for field in fields(code(text)) {
                owners.entry(field).or_default().push(file);
            }
        }
        shape.functions.sort_unstable();
        owners.retain(|_, files| files.len() == 1);
        let mut reached = BTreeSet::new();
        for (file, text) in texts {
            for name in code(text).lines().flat_map(used_fields) {
                if owners.get(name).is_some_and(|owner| owner[0] != file) {
                    reached.insert(name);
                    shape.uses += 1;
                }
            }
        }
        (shape.fields, shape.reached) = (owners.len(), reached.len());
        shape
    }

    fn rows(&self) -> [(&'static str, String); 8] {
        let part = |permille: usize| {
            let last = self.functions.len().saturating_sub(1);
            self.functions.get(last * permille / 1_000).copied().unwrap_or_default().to_string()
        };
        let long = self.functions.iter().filter(|lines| **lines > LONG).count();
        let (lines, file) = &self.longest_file;
        [
            ("functions", self.functions.len().to_string()),
            ("lines of one, median", part(500)),
            ("lines of one, 90 of 100", part(900)),
            ("functions over 70 lines", long.to_string()),
            ("longest file", format!("{lines} {file}")),
            ("fields of one struct's name", self.fields.to_string()),
            ("of them used by another file", self.reached.to_string()),
            ("uses by another file", self.uses.to_string()),
        ]
    }
}

/// A text without the tests at its end.
fn code(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default()
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// How many lines each function has.
fn functions(code: &str) -> Vec<usize> {
    let lines: Vec<&str> = code.lines().collect();
    let begins = |line: &str| {
        let mut words = line.split_whitespace();
        let modifier = |word: &&str| {
            word.starts_with("pub") || ["const", "async", "unsafe", "extern"].contains(word)
        };
        words.find(|word| !modifier(word)) == Some("fn")
    };
    let length = |from: usize| {
        let first = lines[from];
        if first.ends_with('}') || first.ends_with(';') {
            return first.ends_with('}').then_some(1);
        }
        let ends = |line: &&&str| {
            indent(line) == indent(first) && (line.ends_with(';') || line.trim_start() == "}")
        };
        let after = lines[from + 1..].iter();
        let (at, last) = after.enumerate().find(|(_, line)| ends(line))?;
        last.ends_with('}').then_some(at + 2)
    };
    (0..lines.len()).filter(|&at| begins(lines[at])).filter_map(length).collect()
}

/// The fields of the structs of a text.
fn fields(code: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut lines = code.lines();
    while let Some(line) = lines.next() {
        let named = line.split_whitespace().take(2).any(|word| word == "struct");
        if !named || !line.ends_with('{') {
            continue;
        }
        let inside = indent(line) + 4;
        let body = lines.by_ref().take_while(|line| line.is_empty() || indent(line) >= inside);
        for line in body.filter(|line| indent(line) == inside) {
            let name = line.trim_start().split(':').next().unwrap_or_default();
            let name = name.rsplit(' ').next().unwrap_or_default();
            let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            if line.contains(": ") && !name.is_empty() && name.chars().all(is_name) {
                found.push(name);
            }
        }
    }
    found
}

/// The fields that a line uses.
fn used_fields(line: &str) -> impl Iterator<Item = &str> {
    let code = line.split("//").next().unwrap_or_default();
    code.split('.').skip(1).filter_map(|after| {
        let end = after.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(after.len());
        let (name, rest) = after.split_at(end);
        (!name.is_empty() && !rest.starts_with(['(', ':'])).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_as_long_as_they_look() {
        let code = "fn one() {}\n\
                    trait T {\n    fn declared(\n        a: u8,\n    );\n    fn short();\n}\n\
                    impl T {\n    pub(crate) const fn three() {\n        go();\n    }\n\n    async fn six(\n        \
                    a: u8,\n    ) {\n        if a {\n        }\n    }\n}\n";
        assert_eq!(functions(code), [1, 3, 6]);
    }

    #[test]
    fn a_field_that_another_file_uses_is_reached() {
        let texts = [
            (
                "a.rs",
                "/// One.\npub(crate) struct A {\n    /// It.\n    own: u8,\n    pub(crate) seen: u8,\n    both: u8,\n}\n",
            ),
            (
                "b.rs",
                "struct B {\n    both: u8,\n}\n\nfn f(a: &A) {\n    a.seen + a.seen + a.own() + a.both // a.own\n}\n",
            ),
        ];
        let texts = texts.map(|(file, text)| (PathBuf::from(file), text.to_owned()));
        let shape = Shape::of(&texts.into());
        assert_eq!((shape.fields, shape.reached, shape.uses), (2, 1, 2));
        assert_eq!(shape.functions, [3]);
        assert_eq!(shape.longest_file, (7, "a.rs".to_owned()));
    }
}
