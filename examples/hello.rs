//! Two members in one program: a group, an invitation, a message.
//!
//! `cargo run -p peergraph-examples --example hello`
use futures::StreamExt as _;
use peergraph::{Host, InviteOptions, Role};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let ada = Host::builder().name("Ada").http("127.0.0.1:0".parse()?).start().await?;
    let group = ada.create_group("Trip to Lisbon").await?;
    let invitation = group.invite(InviteOptions::bearer(Role::Member)).await?;

    let door = ada.http_address().map(|address| format!("http://{address}"));
    let node = door.unwrap_or_default().parse()?;
    let bob = Host::builder().name("Bob").node(node).start().await?;
    let joined = bob.join(invitation.to_text()).await?;

    group.publish("chat.message", "Hello").attribute("room", "general").await?;
    let mut messages = joined.watch("chat.message");
    if let Some(record) = messages.next().await {
        println!("Bob reads: {}", String::from_utf8_lossy(&record.payload));
    }
    bob.shutdown().await?;
    ada.shutdown().await?;
    Ok(())
}
