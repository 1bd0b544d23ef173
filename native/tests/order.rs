//! Records that are published at once are published in the order in which they were given, for the
//! publisher and for readers.

use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _, future, stream};
use peergraph::{Filter, Group, Host, InviteOptions, Record, Role};

const COUNT: usize = 10_000;
const PATIENCE: Duration = Duration::from_secs(300);

async fn host(name: &str) -> Host {
    let builder = Host::builder().name(name).udp("127.0.0.1:0".parse().expect("an address"));
    builder.start().await.expect("starts")
}

/// How many neighbours are the wrong way round, in a list that should go on by one.
fn inverted(numbers: &[u64]) -> usize {
    numbers.windows(2).filter(|pair| pair[0] >= pair[1]).count()
}

fn numbers(records: &[Record]) -> Vec<u64> {
    let number = |record: &Record| std::str::from_utf8(&record.payload).expect("text").parse();
    records.iter().map(|record| number(record).expect("a number")).collect()
}

/// Waits until `group` holds all records of a type, and returns them as readers list them.
async fn all(group: &Group, kind: &str) -> Vec<Record> {
    let mut watch = group.watch(kind);
    let seen = async {
        for _ in 0..COUNT {
            watch.next().await.expect("the watch goes on");
        }
    };
    tokio::time::timeout(PATIENCE, seen).await.expect("all of them come");
    let kind = peergraph::RecordType::new(kind).expect("a type");
    group.records(Filter { kind: Some(kind), ..Filter::default() }).await.expect("readable")
}

fn check(records: &[Record], what: &str) {
    assert_eq!(records.len(), COUNT, "{what}");
    let versions: Vec<u64> = records.iter().map(|record| record.version).collect();
    assert_eq!((inverted(&numbers(records)), inverted(&versions)), (0, 0), "{what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_records_keep_the_order_in_which_they_were_given() {
    let (ada, bob) = (host("Ada").await, host("Bob").await);
    let group = ada.create_group("order").await.expect("made");
    let invitation = group.invite(InviteOptions::bearer(Role::Member)).await.expect("invited");
    let joined = bob.join(&invitation.to_text()).await.expect("joined");

    let mut sink = group.sink("sink");
    let lines = stream::iter((0..COUNT).map(|number| Ok(number.to_string())));
    lines.forward(&mut sink).await.expect("published");
    sink.close().await.expect("durable");
    check(&all(&group, "sink").await, "sink, publisher");
    check(&all(&joined, "sink").await, "sink, reader");

    let publish = |number: usize| group.publish("buffered", number.to_string()).into_future();
    let published = stream::iter(0..COUNT).map(publish).buffered(256);
    let done: Vec<_> = published.collect().await;
    assert!(done.iter().all(Result::is_ok));
    check(&all(&joined, "buffered").await, "buffered, reader");

    // More than may be under way at once.
    let published = future::join_all(
        (0..COUNT).map(|number| group.publish("joined", number.to_string()).into_future()),
    );
    assert!(published.await.iter().all(Result::is_ok));
    check(&all(&joined, "joined").await, "joined, reader");
    ada.shutdown().await.expect("ended");
    bob.shutdown().await.expect("ended");
}
