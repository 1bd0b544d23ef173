//! Data that releases wrote, read by today's code.
//!
//! Each release leaves one of everything that it writes in a folder of its own, `tests/fixtures/1` and so on: messages of
//! every kind, records, certificates, invitations, identities, a store as entries of keys and values (as the browser keeps
//! it) and as a file of the native program, a backup. Today's code has to read all of them, and to write again what it has
//! read, byte for byte. A folder may go when no supported release wrote it.
//!
//! Until a release is out, its folder follows the code: `cargo xtask fixtures` writes it from seeds.
mod files;
mod messages;
mod store;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The folder that today's code writes.
const CURRENT: &str = "1";

/// One kind of thing that is written.
struct Form {
    /// Its file, of lines with a name and bytes.
    file: &'static str,
    /// Makes some from seeds, each with a name.
    make: fn() -> Vec<(String, Vec<u8>)>,
    /// Reads one, and writes it again.
    again: fn(&str, &[u8]) -> Option<Vec<u8>>,
    /// Whether what is made depends on nothing but the form: then today's code makes just what is there.
    exact: bool,
}

const FORMS: [Form; 7] = [
    messages::FORM,
    files::CERTIFICATES,
    files::RECORDS,
    files::INVITATIONS,
    files::IDENTITIES,
    store::ENTRIES,
    store::BACKUP,
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures")
}

fn read(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| {
        panic!("{}: {error}; `cargo xtask fixtures` writes it", path.display())
    });
    let line = |line: &str| {
        let (name, hex) = line.split_once(' ').expect("a name and bytes");
        let bytes = data_encoding::HEXLOWER.decode(hex.as_bytes()).expect("hexadecimal digits");
        (name.to_owned(), bytes)
    };
    text.lines().map(line).collect()
}

fn releases() -> Vec<PathBuf> {
    let entries = fs::read_dir(folder()).expect("the fixtures can be listed");
    let mut releases: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    releases.sort();
    releases
}

#[test]
fn what_releases_wrote_is_read_and_written_again() {
    let releases = releases();
    assert!(releases.iter().any(|it| it.ends_with(CURRENT)), "run `cargo xtask fixtures`");
    for release in releases {
        for Form { file, again, .. } in &FORMS {
            let path = release.join(file);
            let found = read(&path);
            assert!(!found.is_empty(), "{}", path.display());
            for (name, bytes) in found {
                let again = again(&name, &bytes);
                let hint = "a form has changed: give it a new version, or, if no release has it, run \
                            `cargo xtask fixtures`";
                assert!(again.is_some_and(|it| it == bytes), "{} in {path:?}: {hint}", &name);
            }
        }
    }
}

#[test]
fn fixtures_are_those_that_todays_code_makes() {
    for Form { file, make, exact, .. } in &FORMS {
        let made: BTreeMap<_, _> = make().into_iter().collect();
        let found = read(&folder().join(CURRENT).join(file));
        let same = if *exact { made == found } else { made.len() == found.len() };
        assert!(same, "{file} is not what today's code makes: run `cargo xtask fixtures`");
    }
}

#[test]
#[ignore = "writes the fixtures: `cargo xtask fixtures`"]
fn write() {
    let release = folder().join(CURRENT);
    fs::create_dir_all(&release).expect("the folder can be made");
    for Form { file, make, .. } in &FORMS {
        let made: BTreeMap<_, _> = make().into_iter().collect();
        let line = |(name, bytes): (&String, &Vec<u8>)| {
            format!("{name} {}\n", data_encoding::HEXLOWER.encode(bytes))
        };
        let text: String = made.iter().map(line).collect();
        fs::write(release.join(file), text).expect("the file can be written");
    }
}
