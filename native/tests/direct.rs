//! Direct links between real hosts on loopback: messages, calls and streams.

use std::net::SocketAddr;
use std::time::Duration;

use futures::StreamExt as _;
use peergraph::{
    CommandError, Direct, DirectAdmit, DirectError, Error, Group, Host, HostBuilder, InviteOptions,
    Role,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const PATIENCE: Duration = Duration::from_secs(60);

fn builder(name: &str) -> HostBuilder {
    let loopback: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    Host::builder().name(name).udp(loopback)
}

async fn soon<T>(what: &str, wait: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, wait).await {
        Ok(value) => value,
        Err(_) => panic!("not within {} s: {what}", PATIENCE.as_secs()),
    }
}

/// Two hosts in one group, that know of each other.
async fn two() -> ([Host; 2], [Group; 2]) {
    let loopback: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    let ada = builder("Ada").http(loopback).rendezvous(true).start().await.expect("starts");
    let group = ada.create_group("Trip").await.expect("made");
    let invitation = group.invite(InviteOptions::bearer(Role::Member)).await.expect("invited");
    let link = invitation.to_link("https://page.example/");
    let address = ada.http_address().expect("serves HTTP");
    let node = format!("http://{address}").parse().expect("a URL");
    let bob = builder("Bob").node(node).start().await.expect("starts");
    let joined = soon("joined", bob.join(&link)).await.expect("joined");
    let here = async {
        while joined.nodes().await.expect("listed").len() < 2
            || group.nodes().await.expect("listed").len() < 2
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon("both are here", here).await;
    ([ada, bob], [group, joined])
}

/// A direct link between two hosts, and its other end.
async fn joined(hosts: &[Host; 2], groups: &[Group; 2]) -> [Direct; 2] {
    let mut requests = groups[1].direct_requests();
    let asked = tokio::join!(soon("open", groups[0].direct(hosts[1].peer_id(), "chess")), async {
        let request = soon("asked", requests.next()).await.expect("goes on");
        assert_eq!((request.peer(), request.purpose()), (hosts[0].peer_id(), "chess"));
        request.accept().await
    });
    [asked.0.expect("open"), asked.1.expect("accepted")]
}

fn why(error: CommandError) -> DirectError {
    let CommandError::Node(Error::Direct(why)) = error else { panic!("{error}") };
    why
}

#[tokio::test(flavor = "multi_thread")]
async fn direct_links_carry_messages_calls_and_streams() {
    let (hosts, groups) = two().await;
    let [ada, bob] = joined(&hosts, &groups).await;
    assert_eq!(ada.peer(), hosts[1].peer_id());
    assert_eq!(bob.peer(), hosts[0].peer_id());
    assert_eq!(groups[0].directs().await.expect("listed").len(), 1);

    let mut messages = bob.messages();
    for number in 0..100 {
        ada.send("move", number.to_string()).media_type("text/plain").await.expect("sent");
    }
    for number in 0..100 {
        let message = soon("a message", messages.next()).await.expect("goes on").expect("came");
        assert_eq!(message.payload, number.to_string());
        assert_eq!(message.media_type.as_deref(), Some("text/plain"));
    }

    let failed =
        soon("refused", ada.call("score", "1").into_future()).await.expect_err("nobody serves it");
    assert_eq!(why(failed), DirectError::NotServed);
    let serving = groups[1]
        .serve("score", |request| async move {
            match request.payload.as_ref() {
                b"bad" => Err("no such round".to_owned()),
                b"slow" => std::future::pending().await,
                round => Ok([b"score of ", round].concat()),
            }
        })
        .await
        .expect("served");
    let score = soon("called", ada.call("score", "3").into_future()).await.expect("answered");
    assert_eq!(score.payload, "score of 3");
    let failed = soon("called", ada.call("score", "bad").into_future()).await.expect_err("refused");
    assert_eq!(why(failed), DirectError::Reset("no such round".to_owned()));
    let slow = ada.call("score", "slow").within(Duration::from_millis(200));
    assert_eq!(
        why(soon("called", slow.into_future()).await.expect_err("late")),
        DirectError::TimedOut
    );
    drop(serving);
    let mut calls = groups[1].calls("count").await.expect("served");
    let counted = tokio::join!(
        ada.call("count", "to five")
            .responses()
            .map(|it| it.expect("came").payload)
            .collect::<Vec<_>>(),
        async {
            let call = calls.next().await.expect("goes on");
            assert_eq!(call.request.peer, hosts[0].peer_id());
            for number in 1..5 {
                call.respond(number.to_string()).await.expect("sent");
            }
            call.finish("5").await.expect("sent");
        }
    );
    assert_eq!(counted.0, ["1", "2", "3", "4", "5"]);

    let mut stream = ada.stream("log").await.expect("begun");
    let mut streams = bob.streams();
    let (name, there) = soon("a stream", streams.next()).await.expect("goes on").expect("came");
    assert_eq!(name, "log");
    let content: Vec<u8> =
        (0..3_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let echo = tokio::spawn(async move {
        let (mut read, mut write) = tokio::io::split(there);
        let many = tokio::io::copy(&mut read, &mut write).await.expect("copied");
        write.shutdown().await.expect("ended");
        many
    });
    let (mut read, mut write) = tokio::io::split(&mut stream);
    let mut got = Vec::new();
    let both = async {
        tokio::try_join!(read.read_to_end(&mut got), async {
            write.write_all(&content).await?;
            write.shutdown().await
        })
    };
    soon("echoed", both).await.expect("echoed");
    assert!(got == content, "{} of {} bytes", got.len(), content.len());
    assert_eq!(echo.await.expect("no panic"), content.len() as u64);

    let closed = tokio::spawn({
        let bob = bob.clone();
        async move { bob.closed().await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop((stream, ada, messages));
    assert_eq!(soon("closed", closed).await.expect("no panic"), DirectError::ClosedThere);
    assert!(soon("the end", bob.messages().next()).await.is_none());
    for host in hosts {
        host.shutdown().await.expect("ends");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn direct_links_are_refused_and_admitted() {
    let (hosts, groups) = two().await;
    let mut requests = groups[1].direct_requests();
    let refused = tokio::join!(groups[0].direct(hosts[1].peer_id(), "chess"), async {
        let request = requests.next().await.expect("goes on");
        request.refuse("not now").await.expect("refused");
    });
    let refused = why(refused.0.expect_err("refused"));
    assert_eq!(refused, DirectError::Declined("not now".to_owned()));

    groups[1].admit_directs(DirectAdmit::Nobody).await.expect("decided");
    let refused = soon("refused", groups[0].direct(hosts[1].peer_id(), "chess")).await;
    assert_eq!(why(refused.expect_err("refused")), DirectError::NotAdmitted);
    let nobody = groups[0].direct(hosts[0].peer_id(), "chess").await;
    assert_eq!(why(nobody.expect_err("nobody else")), DirectError::NotHere);

    groups[1].admit_directs(DirectAdmit::Members).await.expect("decided");
    let mut incoming = groups[1].incoming_directs();
    let direct = soon("open", groups[0].direct(hosts[1].peer_id(), "go")).await.expect("open");
    let there = soon("came", incoming.next()).await.expect("goes on");
    assert_eq!(there.purpose(), "go");
    direct.send("move", "c3").await.expect("sent");
    hosts[1].shutdown().await.expect("ends");
    let lost = soon("the end", direct.closed()).await;
    assert!(matches!(lost, DirectError::ClosedThere | DirectError::Unknown), "{lost}");
    hosts[0].shutdown().await.expect("ends");
}
