//! The step `layers` of `cargo xtask test`: what the parts of the code may know of each other, and how comments begin.
//!
//! 1. Core is a house of [`FLOORS`]: a module uses modules on its own floor and on lower ones. [`EXCEPTIONS`] lists the uses
//!    upwards that there still are; one that is not listed fails with its file and line, and so does one that is listed
//!    and no longer there.
//! 2. No module of [`CRATES`] uses itself by way of others.
//! 3. Headless sentences ("Who asks is told", for "A peer that asks is told") do not become more than [`HEADLESS_MAX`] in
//!    a thousand lines of comments.
//!
//! Tests and fixtures are left out of 1 and 2: they may know everything.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::shell;

/// The floors of core, the lowest first.
const FLOORS: &[(&str, &[&str])] = &[
    (
        "ground",
        &[
            "address",
            "budget",
            "cbor",
            "id",
            "limits",
            "name",
            "node_url",
            "place",
            "random",
            "recent",
            "record_type",
            "sealed",
            "share",
            "sorted",
            "source",
            "stretch",
            "symbols",
            "table",
            "time",
            "web_url",
        ],
    ),
    (
        "trust",
        &[
            "cert",
            "identity",
            "invitation",
            "key",
            "noise",
            "password",
            "policy",
            "roll",
            "serial",
            "verify",
        ],
    ),
    ("record", &["fault", "index", "reconcile", "record", "search"]),
    ("border", &["io", "provider"]),
    ("link", &["conduct", "config", "context", "link", "wire"]),
    ("reach", &["reach"]),
    ("group", &["group", "storage"]),
    ("capabilities", &["direct"]),
    ("node", &["node"]),
    ("files of hosts", &["backup", "stored"]),
];

/// Uses upwards that there still are: who, and whom. Delete one when it is gone, add none.
const EXCEPTIONS: &[(&str, &str)] = &[];

/// The crates in which no module may use itself by way of others.
const CRATES: [&str; 3] = ["core", "native", "web"];

/// Headless sentences in a thousand lines of comments, at most. Lower it when there are less. The aim is 5.
const HEADLESS_MAX: f64 = 1.0;

/// Checks all that this file is about.
pub(crate) fn check() -> Result<()> {
    let mut faults = String::new();
    for package in CRATES {
        let sources = Sources::read(&shell::root().join(package).join("src"))?;
        if package == "core" {
            sources.check_floors(FLOORS, EXCEPTIONS, &mut faults);
        }
        let circle = sources.largest_circle();
        let (modules, many) = (sources.modules.len(), circle.len());
        println!("{package}: {modules} modules, {many} of them in a circle");
        if !circle.is_empty() {
            let names: Vec<_> = circle.into_iter().collect();
            writeln!(faults, "{package}: modules use each other in a circle: {}", names.join(" "))?;
        }
    }
    let english = English::read(shell::root())?;
    println!("{english}");
    if english.headless_in_1000() > HEADLESS_MAX {
        writeln!(faults, "more than {HEADLESS_MAX} headless sentences in 1,000 lines of comments")?;
    }
    if !faults.is_empty() {
        bail!("{}", faults.trim_end());
    }
    Ok(())
}

/// Where one module uses another: file and line.
type Use = (PathBuf, usize);

/// The modules of a crate, and which of them uses which.
struct Sources {
    modules: BTreeSet<String>,
    uses: BTreeMap<(String, String), Vec<Use>>,
}

impl Sources {
    fn read(folder: &Path) -> Result<Self> {
        let mut files = Vec::new();
        files_below(folder, "rs", &mut files)?;
        let texts = files.into_iter().filter(|file| !is_test(file)).map(|file| {
            let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
            Ok((file.strip_prefix(folder)?.to_path_buf(), text))
        });
        Ok(Self::of(texts.collect::<Result<_>>()?))
    }

    fn of(texts: Vec<(PathBuf, String)>) -> Self {
        let modules: BTreeSet<String> = texts
            .iter()
            .map(|(file, _)| module_of(file))
            .filter(|name| name != "lib" && name != "main")
            .collect();
        let lib = texts.iter().find(|(file, _)| file == Path::new("lib.rs"));
        let aliases = lib.map_or_else(BTreeMap::new, |(_, text)| aliases(text));
        let mut uses: BTreeMap<(String, String), Vec<Use>> = BTreeMap::new();
        for (file, text) in texts {
            let from = module_of(&file);
            if !modules.contains(&from) {
                continue;
            }
            for (line, to) in used_modules(&text) {
                let to = aliases.get(&to).cloned().unwrap_or(to);
                if to != from && modules.contains(&to) {
                    uses.entry((from.clone(), to)).or_default().push((file.clone(), line));
                }
            }
        }
        Self { modules, uses }
    }

    fn check_floors(
        &self,
        floors: &[(&str, &[&str])],
        exceptions: &[(&str, &str)],
        faults: &mut String,
    ) {
        let floor_of =
            |module: &str| floors.iter().position(|(_, modules)| modules.contains(&module));
        for module in self.modules.iter().filter(|module| *module != "fixtures") {
            if floor_of(module).is_none() {
                let _ = writeln!(faults, "core/src/{module}.rs stands on no floor");
            }
        }
        let is_up = |from: &str, to: &str| floor_of(from) < floor_of(to);
        let ups = self.uses.iter().filter(|((from, to), _)| from != "fixtures" && is_up(from, to));
        let ups: BTreeMap<(&str, &str), &Vec<Use>> =
            ups.map(|((from, to), uses)| ((from.as_str(), to.as_str()), uses)).collect();
        for (pair, uses) in ups.iter().filter(|(pair, _)| !exceptions.contains(pair)) {
            for (file, line) in uses.iter() {
                let _ = writeln!(
                    faults,
                    "core/src/{}:{line}: `{}` uses `{}`, which is on a higher floor",
                    file.display(),
                    pair.0,
                    pair.1
                );
            }
        }
        for (from, to) in exceptions.iter().filter(|pair| !ups.contains_key(pair)) {
            let _ = writeln!(faults, "`{from}` no longer uses `{to}`: delete the exception");
        }
    }

    /// The largest set of modules each of which uses, by way of others, all the others.
    fn largest_circle(&self) -> BTreeSet<&str> {
        let reached = |from: &str| {
            let mut reached: BTreeSet<&str> = BTreeSet::new();
            let mut next: Vec<&str> = self.used_by(from).collect();
            while let Some(module) = next.pop() {
                if reached.insert(module) {
                    next.extend(self.used_by(module));
                }
            }
            reached
        };
        let all: BTreeMap<&str, BTreeSet<&str>> =
            self.modules.iter().map(|module| (module.as_str(), reached(module))).collect();
        let circle = |module: &&str| -> BTreeSet<&str> {
            all[*module].iter().copied().filter(|other| all[other].contains(*module)).collect()
        };
        all.keys().map(circle).max_by_key(BTreeSet::len).unwrap_or_default()
    }

    fn used_by<'a>(&'a self, from: &str) -> impl Iterator<Item = &'a str> {
        let pairs = self.uses.keys().filter(move |(user, _)| user == from);
        pairs.map(|(_, used)| used.as_str()).collect::<Vec<_>>().into_iter()
    }
}

/// The module at the top of the crate to which a file belongs.
fn module_of(file: &Path) -> String {
    let first = file.components().next().map(|first| first.as_os_str().to_string_lossy());
    first.unwrap_or_default().trim_end_matches(".rs").to_owned()
}

/// Second names at the top of the crate for parts of its modules, with the modules: `pub use io::error;` calls a part of
/// `io` `error`.
fn aliases(lib: &str) -> BTreeMap<String, String> {
    let used = lib.lines().filter_map(|line| line.strip_prefix("pub use ")?.strip_suffix(';'));
    let pairs = used.filter_map(|path| Some((path.rsplit("::").next()?, identifier(path))));
    pairs.map(|(name, module)| (name.to_owned(), module)).collect()
}

/// The modules at the top of the crate that a text names, outside of comments and of the tests at its end, with the lines.
fn used_modules(text: &str) -> Vec<(usize, String)> {
    const CRATE: &str = "crate::";
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let mut found = Vec::new();
    let lines: Vec<&str> =
        code.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
    for (at, line) in lines.iter().enumerate() {
        for (place, _) in line.match_indices(CRATE) {
            let rest = &line[place + CRATE.len()..];
            if !rest.starts_with('{') {
                found.push((at + 1, identifier(rest)));
                continue;
            }
            // `use crate::{a::B, c}`, perhaps over several lines.
            let all = [&[&rest[1..]], &lines[at + 1..]].concat().join("\n");
            let mut depth = 0;
            let mut begins = true;
            for (byte, c) in all.char_indices() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => begins = true,
                    c if begins && depth == 0 && !c.is_whitespace() => {
                        let line = at + 1 + all[..byte].matches('\n').count();
                        found.push((line, identifier(&all[byte..])));
                        begins = false;
                    }
                    _ => {}
                }
            }
        }
    }
    found
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

pub(crate) fn is_test(file: &Path) -> bool {
    let parts = file.components().map(|part| part.as_os_str().to_string_lossy());
    let mut names = parts.map(|part| part.trim_end_matches(".rs").to_owned());
    names.any(|name| {
        name.ends_with("tests")
            || ["laws", "attacks", "fixtures", "benches", "testing"].contains(&name.as_str())
    })
}

/// The files below a folder with an extension, in order.
pub(crate) fn files_below(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    paths.sort();
    for path in paths {
        if path.is_dir() {
            if !path.ends_with("target") && !path.ends_with("node_modules") {
                files_below(&path, extension, found)?;
            }
        } else if path.extension().is_some_and(|it| it == extension) {
            found.push(path);
        }
    }
    Ok(())
}

/// How the sentences of comments begin.
#[derive(Debug, Default, PartialEq)]
struct English {
    lines: usize,
    headless: usize,
}

impl English {
    fn read(root: &Path) -> Result<Self> {
        let mut all = Self::default();
        for folder in ["core", "native", "web/src", "web/js", "examples", "tests", "xtask"] {
            for extension in ["rs", "js", "mjs", "ts"] {
                let mut files = Vec::new();
                files_below(&root.join(folder), extension, &mut files)?;
                for file in files {
                    all.count(
                        &fs::read_to_string(&file).with_context(|| file.display().to_string())?,
                    );
                }
            }
        }
        Ok(all)
    }

    fn count(&mut self, text: &str) {
        let comment = |line: &str| -> Option<String> {
            let line = line.trim_start();
            let markers = ["//!", "///", "//", "/**", "* "];
            markers
                .iter()
                .find_map(|marker| line.strip_prefix(marker))
                .map(|it| it.trim().to_owned())
        };
        // A sentence begins a line after a blank or a finished one, or follows a full stop within one.
        let mut begins = true;
        for line in text.lines() {
            let Some(comment) = comment(line) else {
                begins = true;
                continue;
            };
            self.lines += 1;
            let sentences = comment.split_inclusive(['.', ':', '!', '?']);
            for sentence in sentences {
                self.headless += usize::from(begins && is_headless(sentence));
                begins = sentence.ends_with(['.', '!', '?']);
            }
            begins |= comment.is_empty();
        }
    }

    fn headless_in_1000(&self) -> f64 {
        self.headless as f64 * 1_000.0 / self.lines.max(1) as f64
    }
}

impl std::fmt::Display for English {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (lines, headless) = (self.lines, self.headless);
        write!(
            f,
            "{lines} lines of comments, {headless} headless sentences, {:.1} in 1,000",
            self.headless_in_1000()
        )
    }
}

/// Whether a sentence begins with a clause in the place of its subject. A question does not.
fn is_headless(sentence: &str) -> bool {
    let words = sentence.trim_start_matches([
        '-', '*', '>', ' ', '1', '2', '3', '4', '5', '6', '7', '8', '9', '0', '.', ')',
    ]);
    let first = words.split_whitespace().next().unwrap_or_default();
    ["Who", "Whoever", "Whose", "Whom", "What", "Whatever"].contains(&first)
        && !sentence.ends_with('?')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(texts: &[(&str, &str)]) -> Sources {
        Sources::of(
            texts.iter().map(|(file, text)| (PathBuf::from(file), (*text).to_owned())).collect(),
        )
    }

    #[test]
    fn a_use_upwards_is_found_with_its_file_and_line() {
        let floors: &[(&str, &[&str])] = &[("low", &["id", "cert"]), ("high", &["group"])];
        let texts = [
            ("id.rs", "//! See crate::group.\nuse std::fmt;\n"),
            (
                "cert/chain.rs",
                "use crate::id::{PeerId, Serial};\n\nuse crate::{\n    id::Digest,\n    group::Group,\n};\n",
            ),
            ("cert.rs", "#[cfg(test)]\nmod tests {\n    use crate::group::Group;\n}\n"),
            ("group.rs", "use crate::{cert::{self, Role}, id};\n"),
        ];
        let mut faults = String::new();
        sources(&texts).check_floors(floors, &[], &mut faults);
        assert_eq!(
            faults,
            "core/src/cert/chain.rs:5: `cert` uses `group`, which is on a higher floor\n"
        );
        faults.clear();
        sources(&texts).check_floors(floors, &[("cert", "group")], &mut faults);
        assert_eq!(faults, "");
        sources(&texts).check_floors(floors, &[("cert", "group"), ("id", "group")], &mut faults);
        assert_eq!(faults, "`id` no longer uses `group`: delete the exception\n");
        faults.clear();
        // A second name at the top hides nothing.
        let alias = ("lib.rs", "pub mod id;\nmod group;\npub use group::error;\n");
        let low = ("id.rs", "use crate::error::Error;\n");
        sources(&[alias, low, ("group.rs", "")]).check_floors(floors, &[], &mut faults);
        assert_eq!(faults, "core/src/id.rs:1: `id` uses `group`, which is on a higher floor\n");
        faults.clear();
        sources(&[("new.rs", "")]).check_floors(floors, &[], &mut faults);
        assert_eq!(faults, "core/src/new.rs stands on no floor\n");
    }

    #[test]
    fn circles_are_found() {
        let texts = [
            ("a.rs", "use crate::b;\n"),
            ("b.rs", "fn f() { crate::c::g() }\n"),
            ("c.rs", "use crate::a::A;\n"),
            ("d.rs", "use crate::a::A;\n"),
        ];
        assert_eq!(sources(&texts).largest_circle(), BTreeSet::from(["a", "b", "c"]));
        assert_eq!(sources(&texts[1..]).largest_circle(), BTreeSet::new());
    }

    #[test]
    fn headless_sentences_are_counted() {
        let mut english = English::default();
        english.count(
            "//! Who asks is told. A peer that asks\n//! is told who it is.\n//!\n//! 1. What is this?\n\
             fn f() {} // a comment behind code\n    /// It ends. Whose it is\n    /// Whatever comes\n",
        );
        assert_eq!(english, English { lines: 6, headless: 2 });
    }
}
