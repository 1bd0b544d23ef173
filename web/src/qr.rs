//! Links as QR codes.
use qrcodegen::{QrCode, QrCodeEcc};
use std::fmt::Write as _;

/// Modules of white around a code. Source: ISO/IEC 18004, 4 modules.
const QUIET: i32 = 4;

/// An SVG image of `text`: black on white, one unit a module. `None` where it does not fit into a code.
pub(crate) fn svg(text: &str) -> Option<String> {
    let code = QrCode::encode_text(text, QrCodeEcc::Low).ok()?;
    let size = code.size();
    let side = size + 2 * QUIET;
    let mut path = String::new();
    for y in 0..size {
        let mut x = 0;
        while x < size {
            let run = (x..size).take_while(|x| code.get_module(*x, y)).count() as i32;
            if run > 0 {
                // One rectangle a run of dark modules.
                let _ = write!(path, "M{},{}h{run}v1h-{run}z", x + QUIET, y + QUIET);
            }
            x += run.max(1);
        }
    }
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" \
         shape-rendering=\"crispEdges\" role=\"img\" aria-label=\"QR code\">\
         <path fill=\"#fff\" d=\"M0,0h{side}v{side}h-{side}z\"/><path d=\"{path}\"/></svg>"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn code_of_a_short_text_has_three_finder_patterns() {
        let svg = svg("https://example.org/#x").expect("it fits");
        assert!(svg.contains("viewBox=\"0 0 33 33\""), "{svg}");
        // The upper row of a finder pattern is seven dark modules.
        for corner in ["M4,4h7", "M22,4h7", "M4,22h7"] {
            assert!(svg.contains(&format!("{corner}v1h-7z")), "{corner}: {svg}");
        }
    }

    #[test]
    fn text_that_is_too_long_gives_no_code() {
        assert!(svg(&"x".repeat(2_953)).is_some());
        assert_eq!(svg(&"x".repeat(2_954)), None);
    }
}
