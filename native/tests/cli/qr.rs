//! Goal: phones read the code of an invitation. Method: what `group invite --qr` draws is made a picture 200 pixels wide, held
//! at an angle and out of focus, and read by `zbarimg`.
//!
//! `cargo xtask test` sees to it that ImageMagick and zbar are there. Without them this says so and is skipped.

use std::path::Path;
use std::process::Command;

use crate::{folder, ok, run, text};

/// Side of the picture with its white margin. Pixels.
const SIDE: u32 = 200;

#[test]
fn code_of_an_invitation_is_read_small_tilted_and_blurred() {
    if !(is_there("convert") && is_there("zbarimg")) {
        println!("skipped: `convert` (imagemagick) or `zbarimg` (zbar-tools) is not installed");
        return;
    }
    let data = folder();
    let data = data.path();
    ok(&run(data, &["group", "create", "Trip to Lisbon"]));
    for page in ["https://node.example/chat/", "https://chat.node.example/p2p/chat/"] {
        let invite = ["group", "invite", "Trip to Lisbon", "--qr", "--page", page];
        let output = run(data, &invite);
        let link = ok(&output);
        let modules = modules(&text(&output.stderr));
        println!("{} characters, {} modules a side with margin", link.trim().len(), modules.len());
        for angle in ["0", "7", "-7"] {
            let read = read_back(data, &modules, angle);
            assert_eq!(read.trim(), link.trim(), "at {angle} degrees");
        }
    }
}

fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// The modules of a drawn code, row by row; true if dark.
fn modules(drawn: &str) -> Vec<Vec<bool>> {
    let is_code = |line: &&str| !line.is_empty() && line.chars().all(|c| "█▀▄ ".contains(c));
    let lines: Vec<&str> = drawn.lines().filter(is_code).collect();
    let rows = lines.iter().flat_map(|line| {
        // Drawn characters are light, as on a dark terminal.
        let row = |light: &'static str| line.chars().map(|c| !light.contains(c)).collect();
        [row("█▀"), row("█▄")]
    });
    rows.collect()
}

fn read_back(folder: &Path, modules: &[Vec<bool>], angle: &str) -> String {
    let (wide, high) = (modules[0].len(), modules.len());
    let row = |row: &Vec<bool>| row.iter().map(|&dark| if dark { "1 " } else { "0 " }).collect();
    let rows: Vec<String> = modules.iter().map(row).collect();
    let picture = folder.join("code.pbm");
    std::fs::write(&picture, format!("P1\n{wide} {high}\n{}\n", rows.join("\n"))).expect("written");
    let seen = folder.join("seen.png");
    let side = format!("{SIDE}x{SIDE}");
    let convert = Command::new("convert")
        .arg(&picture)
        .args(["-colorspace", "Gray", "-scale", "800%", "-resize", &side, "-background", "white"])
        .args(["-rotate", angle, "-blur", "0x1"])
        .arg(&seen)
        .output()
        .expect("runs");
    assert!(convert.status.success(), "{}", text(&convert.stderr));
    let read = Command::new("zbarimg").args(["-q", "--raw"]).arg(&seen).output().expect("runs");
    assert!(read.status.success(), "nothing is read at {angle} degrees: {}", text(&read.stderr));
    text(&read.stdout)
}
