//! Chromium and its driver, from Debian's packages if they are missing and may be installed.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::shell::{self, say};

/// The programs that drive a page in the tests.
pub(crate) struct Browser {
    /// Chromium, or another browser of its family.
    pub(crate) chromium: PathBuf,
    /// The WebDriver server of the same version.
    pub(crate) driver: PathBuf,
}

impl Browser {
    /// Takes what `CHROMIUM` and `CHROMEDRIVER` name, else what is on the search path, else
    /// installs Debian's packages, which only root may do.
    pub(crate) fn find() -> Result<Browser> {
        if let Some(found) = installed() {
            return Ok(found);
        }
        if may_install() {
            say("installing Debian's packages chromium and chromium-driver");
            install(&["chromium", "chromium-driver"])?;
        }
        let Some(found) = installed() else {
            bail!(
                "no Chromium with driver: `sudo apt-get install chromium chromium-driver`, or set \
                 CHROMIUM and CHROMEDRIVER to the programs"
            );
        };
        Ok(found)
    }
}

fn installed() -> Option<Browser> {
    let named = |variable| env::var_os(variable).map(PathBuf::from);
    let chromium = ["chromium", "chromium-browser", "google-chrome"];
    Some(Browser {
        chromium: named("CHROMIUM").or_else(|| shell::find_program(&chromium))?,
        driver: named("CHROMEDRIVER").or_else(|| shell::find_program(&["chromedriver"]))?,
    })
}

/// Thousands of short texts with odd line ends, which a test imports as records. Without them it says so and is skipped.
pub(crate) fn need_fortunes() {
    let there = Path::new("/usr/share/games/fortunes").is_dir();
    if !there && may_install() && install(&["fortunes"]).is_err() {
        say("Debian's package fortunes cannot be installed: the test that imports it is skipped");
    }
}

/// The programs that tests use: to take a picture of a QR code, to read it, and to judge our certificates.
pub(crate) fn need_test_programs() -> Result<()> {
    const PROGRAMS: [&str; 3] = ["convert", "zbarimg", "openssl"];
    const PACKAGES: [&str; 3] = ["imagemagick", "zbar-tools", "openssl"];
    let missing = || PROGRAMS.into_iter().find(|program| shell::find_program(&[program]).is_none());
    if missing().is_some() && may_install() {
        say(format!("installing Debian's packages {}", PACKAGES.join(", ")));
        install(&PACKAGES)?;
    }
    if let Some(program) = missing() {
        bail!("no `{program}`: `sudo apt-get install {}`", PACKAGES.join(" "));
    }
    Ok(())
}

fn may_install() -> bool {
    let root = shell::output(shell::command("id").arg("-u")).is_ok_and(|id| id == "0");
    root && shell::find_program(&["apt-get"]).is_some()
}

fn install(packages: &[&str]) -> Result<()> {
    let apt = |args: &[&str]| {
        let mut apt = shell::command("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive");
        apt.args(["-q", "-o", "DPkg::Lock::Timeout=600", "-o", "Acquire::Retries=3"]).args(args);
        shell::run(&mut apt)
    };
    let packages = || apt(&[&["install", "-y", "--no-install-recommends"], packages].concat());
    // The lists of a fresh machine are empty or old: try with what is there, then renew them.
    packages().or_else(|_| apt(&["update"]).and_then(|()| packages()))
}
