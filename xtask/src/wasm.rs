//! `cargo xtask wasm`: the npm package in `web/pkg`, and the module of the page `examples/graph` in its `pkg`.
//!
//! The package is one flat folder: the module and its glue, made as by `wasm-bindgen --target web`
//! (which a page, a bundler and a worker all load in the same way), beside the JavaScript and the
//! types that are written by hand in `web/js`, `web/package.json`, `web/README.md` and the licences. The guides are in a
//! folder below it.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};

use crate::shell::{self, say};
use crate::toolchain::{TARGET, Toolchain};

/// A package whose module runs in pages. It and its glue are called `NAME_bg.wasm` and `NAME.js`.
struct Module {
    package: &'static str,
    name: &'static str,
}

/// The npm package.
const WEB: Module = Module { package: "peergraph-web", name: "peergraph_web" };
/// The simulated group of the page `examples/graph`.
const GRAPH: Module = Module { package: "peergraph-graph", name: "peergraph_graph" };
/// Signatures that a test checks in a page.
const VERIFY: Module = Module { package: "peergraph-verify", name: "peergraph_verify" };

/// How the module is compiled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Profile {
    /// Size first; what is published.
    Web,
    /// Quick to build, and stack traces name functions.
    Dev,
    /// Speed first; what computes much and is not published.
    Release,
}

impl Profile {
    /// The profile of this name.
    pub(crate) fn named(name: &str) -> Result<Profile, &'static str> {
        match name {
            "web" => Ok(Profile::Web),
            "dev" => Ok(Profile::Dev),
            _ => Err("a profile is web or dev"),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Profile::Web => "web",
            Profile::Dev => "dev",
            Profile::Release => "release",
        }
    }

    /// Where cargo puts the results, in the folder of the target.
    fn folder(self) -> &'static str {
        match self {
            Profile::Web => "web",
            Profile::Dev => "debug",
            Profile::Release => "release",
        }
    }
}

/// Builds the package and returns its folder.
pub(crate) fn package(profile: Profile) -> Result<PathBuf> {
    let package = assemble(&glue(&WEB, profile)?)?;
    print_sizes(&package)?;
    Ok(package)
}

/// Builds the module of the page `examples/graph` into the folder from which the page loads it.
pub(crate) fn graph() -> Result<()> {
    let glue = glue(&GRAPH, Profile::Release)?;
    let to = shell::root().join("examples/graph/pkg");
    empty(&to)?;
    for name in GRAPH.files() {
        fs::copy(glue.join(&name), to.join(&name))?;
    }
    Ok(())
}

/// Builds the module of the test `tests/web/verify.test.mjs`, as the npm package is built, and returns its folder.
pub(crate) fn verify() -> Result<PathBuf> {
    glue(&VERIFY, Profile::Web)
}

/// Compiles a module, makes its glue, and returns the folder of both.
fn glue(module: &Module, profile: Profile) -> Result<PathBuf> {
    let version = check_versions()?;
    let toolchain = Toolchain::find()?;
    say(format!("compiling {} to wasm (profile {})", module.package, profile.name()));
    let compiled = compile(&toolchain, module, profile)?;
    bind(module, &compiled, &version, profile)
}

impl Module {
    fn files(&self) -> [String; 2] {
        [format!("{}.js", self.name), format!("{}_bg.wasm", self.name)]
    }
}

/// Builds Cargo's runner for tests in a browser and returns its path.
pub(crate) fn test_runner() -> Result<PathBuf> {
    // It brings a web server and a WebDriver client, which the glue does not need.
    tool(&check_versions()?, "wasm-bindgen-test-runner", &["--features", "test-runner"])
}

/// Builds a program of `xtask/wasm-tools` unless it is there, and returns its path.
fn tool(version: &str, program: &str, features: &[&str]) -> Result<PathBuf> {
    let folder = shell::target()?.join("wasm-tools");
    say(format!("wasm-bindgen {version}: building {program} unless it is there"));
    shell::run(
        shell::cargo()
            // Cargo would repeat at every start that a crate of theirs is old-fashioned.
            .args(["--config", "future-incompat-report.frequency='never'", "build"])
            .args(["--locked", "--manifest-path", "xtask/wasm-tools/Cargo.toml"])
            .args(["--bin", program])
            .args(features)
            .arg("--target-dir")
            .arg(&folder),
    )?;
    Ok(folder.join("debug").join(program).with_extension(env::consts::EXE_EXTENSION))
}

/// The version of wasm-bindgen, which must be one and the same in both lock files: the module and the
/// program that reads it share a format that changes with every version.
fn check_versions() -> Result<String> {
    let read = |path: &str| {
        fs::read_to_string(shell::root().join(path)).with_context(|| format!("cannot read {path}"))
    };
    let crates = locked_version(&read("Cargo.lock")?, "wasm-bindgen")
        .context("Cargo.lock has no wasm-bindgen: does peergraph-web depend on it?")?;
    let tools = locked_version(&read("xtask/wasm-tools/Cargo.lock")?, "wasm-bindgen-cli-support")
        .context("xtask/wasm-tools/Cargo.lock has no wasm-bindgen-cli-support")?;
    ensure!(
        crates == tools,
        "Cargo.lock has wasm-bindgen {crates}, but the tools are of version {tools}: write \
         ={crates} into xtask/wasm-tools/Cargo.toml (also as its own version) and run \
         `cargo update --manifest-path xtask/wasm-tools/Cargo.toml`"
    );
    Ok(crates)
}

/// The version of a package in the text of a lock file, where a package starts with
/// `name = "…"`, followed by `version = "…"`.
fn locked_version(lock: &str, package: &str) -> Option<String> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != name).skip(1);
    let version = lines.next()?.strip_prefix("version = \"")?.strip_suffix('"')?;
    Some(version.to_owned())
}

/// Compiles the module and returns its path.
fn compile(toolchain: &Toolchain, module: &Module, profile: Profile) -> Result<PathBuf> {
    // A crate may also be a plain library, for its tests; only a build of the module alone gets
    // optimisation across all crates.
    let mut cargo = toolchain.cargo()?;
    cargo
        .args(["rustc", "--locked", "--lib", "--crate-type", "cdylib", "--target", TARGET])
        .args(["-p", module.package, "--profile", profile.name()]);
    if profile == Profile::Web {
        let mut flags = no_paths_of_this_machine()?;
        // Every browser with WebRTC that is still served has SIMD since 2023. It saves moves of
        // structures.
        flags.push("\x1f-Ctarget-feature=+simd128");
        cargo.env("CARGO_ENCODED_RUSTFLAGS", flags);
    }
    shell::run(&mut cargo)?;
    let file = format!("{}.wasm", module.name);
    Ok(shell::target()?.join(TARGET).join(profile.folder()).join(file))
}

/// Compiler flags that keep the paths of the one who builds out of the panic messages of what is
/// published: it is nobody's business, and two machines then build the same bytes.
fn no_paths_of_this_machine() -> Result<OsString> {
    let cargo_home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo_home = cargo_home.or_else(|| Some(env::home_dir()?.join(".cargo")));
    let folders = [
        (cargo_home, "/cargo"),
        (Some(shell::root().to_path_buf()), "/peergraph"),
        (Some(shell::target()?), "/target"),
    ];
    let mut flags = OsString::new();
    for (folder, name) in folders {
        let Some(folder) = folder else { continue };
        if !flags.is_empty() {
            flags.push("\x1f");
        }
        flags.push("--remap-path-prefix=");
        flags.push(folder);
        flags.push("=");
        flags.push(name);
    }
    Ok(flags)
}

/// Makes the glue, unless that of this very module is there. Returns its folder.
fn bind(module: &Module, compiled: &Path, version: &str, profile: Profile) -> Result<PathBuf> {
    let out = shell::target()?.join("web-glue").join(module.name).join(profile.name());
    let stamp = out.join("made-from");
    let mut hasher = DefaultHasher::new();
    fs::read(compiled)
        .with_context(|| format!("cannot read {}", compiled.display()))?
        .hash(&mut hasher);
    let program = tool(version, "wasm-glue", &[])?;
    fs::read(&program)?.hash(&mut hasher);
    let made_from = format!("{version} {:016x}", hasher.finish());
    if fs::read_to_string(&stamp).is_ok_and(|stamp| stamp == made_from) {
        say("the module has not changed: its glue is kept");
        return Ok(out);
    }
    say("making the glue");
    empty(&out)?;
    let sections = if profile == Profile::Dev { "names" } else { "bare" };
    shell::run(shell::command(program).arg(compiled).arg(&out).args([module.name, sections]))?;
    fs::write(stamp, made_from)?;
    Ok(out)
}

/// Puts the package together in `web/pkg` and returns that folder.
fn assemble(glue: &Path) -> Result<PathBuf> {
    let root = shell::root();
    let web = root.join("web");
    let package = web.join("pkg");
    let manifest = fs::read_to_string(web.join("package.json"))?;
    let version = concat!("\"version\": \"", env!("CARGO_PKG_VERSION"), "\"");
    ensure!(manifest.contains(version), "web/package.json must have {version}, as Cargo.toml");

    let mut files = vec![web.join("package.json"), web.join("README.md")];
    files.extend(["LICENSE-APACHE", "LICENSE-MIT"].map(|name| root.join(name)));
    files.extend(WEB.files().map(|name| glue.join(name)));
    // For bundlers that take no files along, and for a page in one file.
    files.push(glue.join(format!("{}_inline.js", WEB.name)));
    files.extend(files_of(&web.join("js"), &[".js", ".d.ts"])?);

    empty(&package)?;
    copy_into(&package, &files)?;
    let guides = package.join("guides");
    empty(&guides)?;
    copy_into(&guides, &files_of(&web.join("guides"), &[".md"])?)?;
    for needed in ["index.js", "index.d.ts", "inline.js", "inline.d.ts"] {
        ensure!(package.join(needed).exists(), "web/js/{needed} is missing");
    }
    say(format!("web/pkg holds the npm package: {} files", files.len()));
    Ok(package)
}

/// The files of a folder whose names end in one of these ways.
fn files_of(folder: &Path, endings: &[&str]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for file in fs::read_dir(folder).with_context(|| format!("no {}", folder.display()))? {
        let path = file?.path();
        if endings.iter().any(|ending| path.to_string_lossy().ends_with(ending)) {
            found.push(path);
        }
    }
    Ok(found)
}

/// Copies the files, none of which may have the name of another.
fn copy_into(folder: &Path, files: &[PathBuf]) -> Result<()> {
    for file in files {
        let name = file.file_name().with_context(|| format!("{} is no file", file.display()))?;
        let to = folder.join(name);
        if to.exists() {
            bail!("two files of the package are called {}", name.to_string_lossy());
        }
        fs::copy(file, to).with_context(|| format!("cannot copy {}", file.display()))?;
    }
    Ok(())
}

/// Makes the folder exist with nothing in it.
fn empty(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))
}

/// Prints the size of what a page loads, as it is and compressed.
fn print_sizes(package: &Path) -> Result<()> {
    let mut names: Vec<String> = fs::read_dir(package)?
        .map(|file| Ok(file?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_>>()?;
    // The module as a script is loaded instead of the module, if at all.
    names.retain(|name| name.ends_with(".wasm") || name.ends_with(".js"));
    names.retain(|name| !name.ends_with("inline.js"));
    names.sort();
    let mut total = (0, Some(0));
    println!("{:<24} {:>12} {:>12}", "web/pkg", "bytes", "gzip -9");
    for name in names {
        let path = package.join(&name);
        let (raw, gzip) = (fs::metadata(&path)?.len(), gzip_size(&path));
        println!("{name:<24} {raw:>12} {:>12}", shown(gzip));
        total = (total.0 + raw, total.1.zip(gzip).map(|(sum, size)| sum + size));
    }
    println!("{:<24} {:>12} {:>12}", "total", total.0, shown(total.1));
    Ok(())
}

fn shown(size: Option<u64>) -> String {
    size.map_or("?".to_owned(), |size| size.to_string())
}

/// The size of a file as a server would send it, if the program gzip is there to tell.
fn gzip_size(path: &Path) -> Option<u64> {
    let gzip = shell::command("gzip").arg("-9cn").arg(path).stdin(Stdio::null()).output().ok()?;
    gzip.status.success().then_some(gzip.stdout.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_is_that_of_the_exact_package() {
        let lock = "[[package]]\nname = \"wasm-bindgen-cli\"\nversion = \"0.2.1\"\n\n\
                    [[package]]\nname = \"wasm-bindgen\"\nversion = \"0.2.130\"\nsource = \"r\"\n";
        assert_eq!(locked_version(lock, "wasm-bindgen").as_deref(), Some("0.2.130"));
        assert_eq!(locked_version(lock, "wasm-bindgen-cli").as_deref(), Some("0.2.1"));
        assert_eq!(locked_version(lock, "wasm"), None);
    }
}
