//! Hosts whose clock is wrong, or is set while they run: nothing is lost, nobody is blamed, and it is told.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use futures::StreamExt as _;
use peergraph::{
    Ahead, Delivery, Event, Events, Filter, Group, Host, HostBuilder, InviteOptions, NodeUrl,
    RecordType, Role, Standing, Watch,
};

const PATIENCE: Duration = Duration::from_secs(60);
const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().expect("an address")
}

fn builder(name: &str) -> HostBuilder {
    Host::builder().name(name).udp(loopback())
}

async fn node(name: &str) -> (Host, NodeUrl) {
    let host = builder(name).http(loopback()).rendezvous(true).start().await.expect("starts");
    let address = host.http_address().expect("serves HTTP");
    let url = format!("http://{address}").parse().expect("a URL");
    (host, url)
}

async fn at(folder: &Path, url: &NodeUrl, ahead: &Ahead) -> Host {
    let host = builder("Bob").data(folder).node(url.clone()).clock(ahead.clone());
    host.start().await.expect("starts")
}

async fn soon<T>(what: &str, wait: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, wait).await {
        Ok(value) => value,
        Err(_) => panic!("not within {} s: {what}", PATIENCE.as_secs()),
    }
}

/// Takes records until one has this payload.
async fn see(watch: &mut Watch, payload: &str) {
    let wait = async {
        while watch.next().await.expect("the watch goes on").payload != payload.as_bytes() {}
    };
    soon(payload, wait).await;
}

/// Waits until a host is told that its clock is so far ahead, give or take a minute.
async fn told(events: &mut Events, ahead: i64) {
    let wait = async {
        loop {
            let event = events.next().await.expect("the host goes on");
            assert!(!matches!(event, Event::PeerMisbehaved { .. }), "{event:?}");
            if let Event::Clock { ahead_ms, .. } = event
                && ahead_ms.abs_diff(ahead) < 61_000
            {
                return;
            }
        }
    };
    soon("told of the clock", wait).await;
}

async fn only(host: &Host) -> Group {
    host.groups().await.expect("listed").pop().expect("it is a member")
}

async fn link(group: &Group) -> String {
    let options = InviteOptions::bearer(Role::Member).uses(1);
    group.invite(options).await.expect("invited").to_link("https://page.example/chat/")
}

async fn texts(group: &Group) -> Vec<String> {
    let kind = RecordType::new("note").expect("a type");
    let records = group.records(Filter { kind: Some(kind), ..Filter::default() }).await;
    let text = |record: &peergraph::Record| String::from_utf8_lossy(&record.payload).into_owned();
    let mut texts: Vec<String> = records.expect("read").iter().map(text).collect();
    texts.sort();
    texts
}

/// Nobody was blamed since these events began.
async fn nobody_is_blamed(host: Host, mut events: Events) {
    host.shutdown().await.expect("ends");
    while let Some(event) = events.next().await {
        assert!(!matches!(event, Event::PeerMisbehaved { .. }), "{event:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn newcomer_with_a_wrong_clock_is_heard_and_told() {
    let (ada, url) = node("Ada").await;
    let at_ada = ada.events();
    let group = ada.create_group("Trip").await.expect("made");
    group.publish("note", "before").await.expect("published");
    let mut watch = group.watch("note");
    for minutes in [15, -15, 60, -60, 180, -180, 11 * 365 * 1_440] {
        let ahead = Ahead::default();
        ahead.set(minutes * 60_000);
        let bob = builder("Bob").node(url.clone()).clock(ahead).start().await.expect("starts");
        let mut events = bob.events();
        let joined = soon("joined", bob.join(link(&group).await)).await.expect("joined");
        let text = format!("{minutes} minutes");
        joined.publish("note", text.as_str()).await.expect("published");
        see(&mut watch, &text).await;
        see(&mut joined.watch("note"), "before").await;
        told(&mut events, minutes * 60_000).await;
        nobody_is_blamed(bob, events).await;
    }
    nobody_is_blamed(ada, at_ada).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn newcomer_of_1970_is_told_what_its_clock_says() {
    let (ada, url) = node("Ada").await;
    let group = ada.create_group("Trip").await.expect("made");
    let ahead = Ahead::default();
    ahead.set(-56 * YEAR);
    let bob = builder("Bob").node(url).clock(ahead.clone()).start().await.expect("starts");
    let invitation = link(&group).await;
    let error = bob.join(&invitation).await.expect_err("its clock is wrong").to_string();
    assert!(error.contains("the clock of this device says 197"), "{error}");
    ahead.set(0);
    soon("joined", bob.join(&invitation)).await.expect("joined");
}

/// Goal: a member starts with a wrong clock and loses nothing, whichever it is. Method: it is started with each, and publishes
/// before it has reached anybody; then again with its node.
#[tokio::test(flavor = "multi_thread")]
async fn member_that_starts_with_a_wrong_clock_loses_nothing() {
    let place = tempfile::tempdir().expect("a folder");
    let (ada, url) = node("Ada").await;
    let at_ada = ada.events();
    let group = ada.create_group("Trip").await.expect("made");
    let mut watch = group.watch("note");
    let ahead = Ahead::default();
    let bob = at(place.path(), &url, &ahead).await;
    soon("joined", bob.join(link(&group).await)).await.expect("joined");
    bob.shutdown().await.expect("ends");

    let mut said = Vec::new();
    for ms in [11 * YEAR, -56 * YEAR, -HOUR, -400 * DAY, 3 * HOUR, 0] {
        ahead.set(ms);
        let bob = builder("Bob").data(place.path()).clock(ahead.clone());
        let bob = bob.start().await.expect("starts");
        let mine = only(&bob).await;
        let text = format!("alone {ms}");
        mine.publish("note", text.as_str()).await.expect("published");
        said.push(text);
        bob.shutdown().await.expect("ends");

        let bob = at(place.path(), &url, &ahead).await;
        let (mut events, mine) = (bob.events(), only(&bob).await);
        let text = format!("together {ms}");
        mine.publish("note", text.as_str()).await.expect("published");
        said.push(text);
        said.sort();
        let all = async {
            while texts(&group).await != said {
                watch.next().await.expect("the watch goes on");
            }
        };
        soon("all are there", all).await;
        if ms != 0 {
            let info = mine.info().await.expect("there");
            if info.clock_ahead_ms.abs_diff(ms) >= 61_000 {
                told(&mut events, ms).await;
            }
            assert_eq!(mine.info().await.expect("there").standing, Standing::Member);
        }
        assert_eq!(texts(&mine).await.len(), said.len(), "{:?}", texts(&mine).await);
        nobody_is_blamed(bob, events).await;
    }
    assert_eq!(texts(&group).await, said);
    nobody_is_blamed(ada, at_ada).await;
}

/// I7, natively: the clock is set forth and back while the host runs.
#[tokio::test(flavor = "multi_thread")]
async fn clock_that_is_set_while_a_host_runs_changes_nothing() {
    let (ada, url) = node("Ada").await;
    let at_ada = ada.events();
    let group = ada.create_group("Trip").await.expect("made");
    let mut watch = group.watch("note");
    let ahead = Ahead::default();
    let bob = builder("Bob").node(url).clock(ahead.clone()).start().await.expect("starts");
    let joined = soon("joined", bob.join(link(&group).await)).await.expect("joined");
    joined.publish("note", "before").await.expect("published");
    see(&mut watch, "before").await;
    let (mut events, mut hears) = (bob.events(), joined.watch("note"));
    for ms in [HOUR, -HOUR, 0, 11 * YEAR, -400 * DAY, -56 * YEAR, 0] {
        ahead.set(ms);
        let delivery = Delivery::new();
        let publish = joined.publish("note", format!("{ms} from Bob"));
        publish.with(&delivery).await.expect("published");
        see(&mut watch, &format!("{ms} from Bob")).await;
        soon("sent", delivery.all_sent()).await;
        group.publish("note", format!("{ms} from Ada")).await.expect("published");
        see(&mut hears, &format!("{ms} from Ada")).await;
        told(&mut events, ms).await;
        assert_eq!(joined.info().await.expect("there").standing, Standing::Member);
        assert_eq!(joined.neighbours().await.expect("there").len(), 1);
    }
    nobody_is_blamed(bob, events).await;
    nobody_is_blamed(ada, at_ada).await;
}
