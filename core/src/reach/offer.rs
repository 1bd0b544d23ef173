//! Whether a signal begins a link, looked at before anything is made for it.

/// Whether a signal is a flat JSON object with the strings `"type":"offer"` and `"sdp"`, which is not empty. The content of
/// the description is for the host.
pub(crate) fn is_offer(signal: &[u8]) -> bool {
    Reader(signal).is_offer().unwrap_or(false)
}

/// The rest of a signal, still to be read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn is_offer(&mut self) -> Option<bool> {
        let (mut offer, mut described) = (false, false);
        self.take(b'{')?;
        loop {
            let name = self.string()?;
            self.take(b':')?;
            let value = self.value()?;
            match name {
                b"type" => offer = value == Some(b"offer"),
                b"sdp" => described = value.is_some_and(|text| !text.is_empty()),
                _ => {}
            }
            if self.take(b',').is_none() {
                self.take(b'}')?;
                self.space();
                return Some(offer && described && self.0.is_empty());
            }
        }
    }

    fn space(&mut self) {
        self.0 = self.0.trim_ascii_start();
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        self.space();
        self.0 = self.0.strip_prefix(&[byte])?;
        Some(())
    }

    /// A string as it is written.
    fn string(&mut self) -> Option<&'a [u8]> {
        self.take(b'"')?;
        let mut escaped = false;
        let end = self.0.iter().position(|&byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        })?;
        let text = &self.0[..end];
        self.0 = &self.0[end + 1..];
        Some(text)
    }

    /// A string, or something else that is neither an object nor a list.
    fn value(&mut self) -> Option<Option<&'a [u8]>> {
        self.space();
        if self.0.first() == Some(&b'"') {
            return self.string().map(Some);
        }
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
        let end = self.0.iter().position(|byte| !plain(byte)).filter(|&end| end > 0)?;
        self.0 = &self.0[end..];
        Some(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_offers_begin_links() {
        for (text, offer) in [
            (r#"{"type":"offer","sdp":"v=0\r\no=- \"x\\\""}"#, true),
            (r#" { "sdp" : "v=0" , "type" : "offer" , "id" : null, "n":-1.5e+3 } "#, true),
            (r#"{"type":"answer","sdp":"v=0"}"#, false),
            (r#"{"type":"offer","sdp":""}"#, false),
            (r#"{"type":"offer","sdp":"v=0"} "#, true),
            (r#"{"type":"offer","sdp":"v=0"}x"#, false),
            (r#"{"type":"offer","sdp":"v=0""#, false),
            (r#"{"type":"offer","sdp":"v=0\"}"#, false),
            (r#"{"type":"offer"}"#, false),
            (r#"{"type":"offer","sdp":{"type":"offer"}}"#, false),
            (r#"{"candidate":"candidate:1","sdpMid":"0","sdpMLineIndex":0}"#, false),
            ("{}", false),
            ("", false),
            ("x", false),
        ] {
            assert_eq!(is_offer(text.as_bytes()), offer, "{text}");
        }
    }

    proptest! {
        #[test]
        fn reads_anything(bytes in prop::collection::vec(any::<u8>(), 0..64), text in r#"[{}":,\\a0 ]{0,64}"#) {
            is_offer(&bytes);
            is_offer(text.as_bytes());
        }
    }
}
