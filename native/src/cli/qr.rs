//! QR codes for a terminal.

use anyhow::{Context as _, Result};
use qrcodegen::{QrCode, QrCodeEcc};

/// Modules of white around a code. Source: ISO/IEC 18004, 4 modules; two are enough for phones on a screen, and
/// leave room on it.
const QUIET: i32 = 2;

/// A QR code of half blocks, two rows of modules a line. With `colours` it is black on white whatever the terminal's
/// own colours are; without, light modules are the drawn ones, as on a dark terminal.
pub(super) fn half_blocks(text: &str, colours: bool) -> Result<String> {
    let code = QrCode::encode_text(text, QrCodeEcc::Low)
        .ok()
        .context("this link is too long for a QR code; send it as text")?;
    let (first, last) = (-QUIET, code.size() + QUIET);
    let mut lines = String::new();
    for y in (first..last).step_by(2) {
        if colours {
            lines.push_str("\u{1b}[97;40m");
        }
        for x in first..last {
            lines.push(match (code.get_module(x, y), code.get_module(x, y + 1)) {
                (false, false) => '█',
                (false, true) => '▀',
                (true, false) => '▄',
                (true, true) => ' ',
            });
        }
        lines.push_str(if colours { "\u{1b}[0m\n" } else { "\n" });
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_module_is_drawn_where_it_stands() {
        let text = "https://example.org/#pgi1";
        let code = QrCode::encode_text(text, QrCodeEcc::Low).expect("holds");
        let drawn = half_blocks(text, false).expect("holds");
        let lines: Vec<Vec<char>> = drawn.lines().map(|line| line.chars().collect()).collect();
        for y in -QUIET..code.size() + QUIET {
            for x in -QUIET..code.size() + QUIET {
                let (row, column) = ((y + QUIET) as usize, (x + QUIET) as usize);
                let half = lines[row / 2][column];
                let dark = if row % 2 == 0 { " ▄" } else { " ▀" }.contains(half);
                assert_eq!(dark, code.get_module(x, y), "{x}, {y}");
            }
        }
        assert!(drawn.starts_with('█'), "a quiet zone: {drawn}");
        assert_eq!(
            half_blocks(text, true).expect("holds").matches("\u{1b}[0m").count(),
            lines.len()
        );
    }

    #[test]
    fn what_does_not_fit_is_an_error_with_a_way_out() {
        let error = half_blocks(&"x".repeat(2_954), false).expect_err("fails");
        assert!(error.to_string().contains("send it as text"), "{error}");
    }
}
