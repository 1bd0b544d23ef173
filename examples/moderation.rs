//! A host with a security provider of its own: who may be its neighbour, and which records it lets in, now or later.
//!
//! `cargo run -p peergraph-examples --example moderation`
use peergraph_examples::moderation;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    for line in moderation::run().await? {
        println!("{line}");
    }
    Ok(())
}
