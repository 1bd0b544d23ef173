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
        let text = "https://example.org/#pgi2";
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

    /// The reason for base64url in invitations: an alphabet of QR codes saves one version, and
    /// costs a fifth of length.
    #[test]
    fn longest_short_link_has_53_modules() {
        let page = "https://node.example/chat/#pgi2";
        let text = |count: usize| "aB3-".repeat(count.div_ceil(4))[..count].to_owned();
        let link = format!("{page}{}", text(220 - page.len()));
        let code = QrCode::encode_text(&link, QrCodeEcc::Low).expect("holds");
        assert_eq!((link.len(), code.size()), (220, 53));
        // The same 141 bytes in base 32, in capitals.
        let capitals = "ABC2".repeat(57)[..226].to_owned();
        let segments = [
            qrcodegen::QrSegment::make_bytes(page.as_bytes()),
            qrcodegen::QrSegment::make_alphanumeric(&capitals),
        ];
        let code = QrCode::encode_segments(&segments, QrCodeEcc::Low).expect("holds");
        assert_eq!((page.len() + capitals.len(), code.size()), (257, 49));
    }

    #[test]
    fn what_does_not_fit_is_an_error_with_a_way_out() {
        let error = half_blocks(&"x".repeat(2_954), false).expect_err("fails");
        assert!(error.to_string().contains("send it as text"), "{error}");
    }
}
