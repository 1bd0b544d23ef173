//! Bounds on what a node may put out: frame sizes, outputs for one input, wakes at one moment.
use peergraph_core::io::Output;
use peergraph_core::limits::FRAME_BYTES_MAX;

/// Outputs of one input at most. Guess: a sync answers with a window of frames, a start with a scan's worth of
/// events; nothing is proportional to the store.
pub const OUTPUTS_MAX: usize = 20_000;
/// Wakes at one moment at most. Ours: several owners of deadlines may be due, one after the other.
pub const WAKES_AT_ONCE_MAX: u32 = 100;

/// Says what is wrong with an output, the `nth` of its input.
pub fn violation(output: &Output, nth: usize) -> Option<String> {
    if nth > OUTPUTS_MAX {
        return Some(format!("more than {OUTPUTS_MAX} outputs for one input"));
    }
    if let Output::Send { bytes, link } = output {
        if bytes.is_empty() {
            return Some(format!("an empty frame on {link:?}"));
        }
        if bytes.len() > FRAME_BYTES_MAX {
            return Some(format!("a frame of {} bytes on {link:?}", bytes.len()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use peergraph_core::io::LinkId;

    #[test]
    fn oversized_and_empty_frames_are_seen() {
        let send = |length| Output::Send { link: LinkId(1), bytes: Bytes::from(vec![0; length]) };
        assert!(violation(&send(1), 0).is_none());
        assert!(violation(&send(FRAME_BYTES_MAX), 0).is_none());
        assert!(violation(&send(FRAME_BYTES_MAX + 1), 0).is_some());
        assert!(violation(&send(0), 0).is_some());
        assert!(violation(&send(1), OUTPUTS_MAX + 1).is_some());
    }
}
