//! A security provider of an application: an archive that lets in only whom and what it likes.
//!
//! Everybody below is a member of one group. The archive takes nothing away from them: what it does not let in, others
//! have all the same.
use std::collections::BTreeSet;
use std::sync::Mutex;

use anyhow::Context as _;
use futures::StreamExt as _;
use peergraph::peergraph_core::cert::VerifiedChain;
use peergraph::provider::Meeting;
use peergraph::{
    Event, Group, Host, HostBuilder, InviteOptions, PeerId, Provider, Record, RecordId, Role,
    Verdict,
};

/// Lets near whom it knows, and lets in what is no advertisement; articles once an administrator has approved them.
#[derive(Debug)]
pub struct Moderation {
    friends: BTreeSet<PeerId>,
    approved: Mutex<BTreeSet<RecordId>>,
}

impl Provider for Moderation {
    fn authenticate(&self, meeting: &Meeting<'_>) -> Verdict {
        match self.friends.contains(&meeting.identity.peer_id()) {
            true => Verdict::Valid,
            false => Verdict::Invalid("the archive does not know you".into()),
        }
    }

    fn validate(&self, record: &Record, signer: &VerifiedChain) -> Verdict {
        let text = String::from_utf8_lossy(&record.payload);
        let mut approved = self.approved.lock().expect("nobody panics while holding it");
        match record.kind.as_str() {
            "approval" if signer.role() == Role::Administrator => {
                approved.extend(text.parse::<RecordId>());
                Verdict::Valid
            }
            "approval" => Verdict::Invalid("only administrators approve".into()),
            "article" if !approved.contains(&record.id) => Verdict::Deferred,
            _ if text.to_lowercase().contains("buy now") => Verdict::Invalid("advertising".into()),
            _ => Verdict::Valid,
        }
    }
}

/// Four hosts on this machine, one of them the archive. Answers what happened, in order.
///
/// # Errors
/// The faults on the way.
pub async fn run() -> anyhow::Result<Vec<String>> {
    let ada = local("Ada").start().await?;
    let group = ada.create_group("The paper").await?;
    let link = group.invite(InviteOptions::bearer(Role::Member).uses(3)).await?.to_text();
    let bob = local("Bob").node(door(&ada)?).start().await?;
    let bobs = bob.join(&link).await?;

    let friends = BTreeSet::from([ada.peer_id(), bob.peer_id()]);
    let provider = Moderation { friends, approved: Mutex::default() };
    let archive = local("Archive").node(door(&ada)?).provider(provider).start().await?;
    let mut events = archive.events();
    let archived = archive.join(&link).await?;

    let mut story = Vec::new();
    bobs.publish("chat.message", "Good morning").await?;
    story.push(next(&mut events, &archived).await?);
    bobs.publish("chat.message", "Buy now!").await?;
    story.push(next(&mut events, &archived).await?);
    let article = bobs.publish("article", "All is well").await?;
    story.push(next(&mut events, &archived).await?);
    group.publish("approval", article.id.to_string()).await?;
    story.push(next(&mut events, &archived).await?);
    story.push(next(&mut events, &archived).await?);

    // A member, but no friend of the archive.
    let eve = local("Eve").node(door(&ada)?).start().await?;
    let mut told = eve.events();
    eve.join(&link).await?;
    for address in archive.addresses() {
        eve.connect(address.into()).await?;
    }
    while let Some(event) = told.next().await {
        if let Event::NotAdmitted { why, .. } = event {
            story.push(format!("Eve is told: {why}"));
            break;
        }
    }
    for host in [eve, archive, bob, ada] {
        host.shutdown().await?;
    }
    Ok(story)
}

/// Waits for the next event of the archive and describes it. After an approval, the archive asks
/// its provider again about the approved record.
async fn next(events: &mut peergraph::Events, group: &Group) -> anyhow::Result<String> {
    while let Some(event) = events.next().await {
        if let Event::Withheld { verdict, .. } = event {
            return Ok(match verdict {
                Verdict::Invalid(why) => format!("refused: {why}"),
                Verdict::Deferred | Verdict::Valid => "deferred".to_owned(),
            });
        }
        if let Event::Record { record, .. } = event {
            let text = String::from_utf8_lossy(&record.payload);
            if record.kind.as_str() == "approval" {
                group.revalidate(&[text.parse()?]).await?;
                return Ok("archived an approval".to_owned());
            }
            return Ok(format!("archived {}: {text}", record.kind.as_str()));
        }
    }
    anyhow::bail!("the archive has ended")
}

fn local(name: &str) -> HostBuilder {
    let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    Host::builder().name(name).udp(any).http(any)
}

fn door(host: &Host) -> anyhow::Result<peergraph::NodeUrl> {
    let address = host.http_address().context("it serves HTTP")?;
    Ok(format!("http://{address}").parse()?)
}

#[cfg(test)]
mod tests {
    #[tokio::test(flavor = "current_thread")]
    async fn archive_lets_in_what_its_provider_says() {
        let run = tokio::time::timeout(std::time::Duration::from_secs(60), super::run());
        let story = run.await.expect("it ends").expect("nothing goes wrong");
        assert_eq!(
            story,
            [
                "archived chat.message: Good morning",
                "refused: advertising",
                "deferred",
                "archived an approval",
                "archived article: All is well",
                "Eve is told: the archive does not know you",
            ]
        );
    }
}
