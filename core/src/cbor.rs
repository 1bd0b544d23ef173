//! How everything of ours is encoded: CBOR.
use minicbor::Encode;

/// Encodes the body of a message, a payload, or what is kept.
pub(crate) fn encode(body: &impl Encode<()>) -> Vec<u8> {
    minicbor::to_vec(body).expect("a vector takes everything")
}
