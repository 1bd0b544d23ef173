//! Real hosts on loopback: groups, invitations, records, restarts.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt as _;
use peergraph::peergraph_core::id::NodeId;
use peergraph::{
    Certificate, CommandError, Delivery, Error, Event, Filter, Folder, Grant, Group, Host,
    HostBuilder, InviteOptions, JoinError, MemberInfo, Neighbours, NodeState, Password, PeerId,
    Reason, Record, RecordType, Right, Role, Standing, StartError, Watch,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const PATIENCE: Duration = Duration::from_secs(30);

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().expect("an address")
}

fn builder(name: &str) -> HostBuilder {
    Host::builder().name(name).udp(loopback())
}

/// A host that serves HTTP, to be used as a node.
async fn node(name: &str) -> Host {
    builder(name).http(loopback()).rendezvous(true).start().await.expect("starts")
}

fn url(node: &Host) -> peergraph::NodeUrl {
    let address = node.http_address().expect("serves HTTP");
    format!("http://{address}").parse().expect("a URL")
}

async fn soon<T>(what: &str, wait: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, wait).await {
        Ok(value) => value,
        Err(_) => panic!("not within {} s: {what}", PATIENCE.as_secs()),
    }
}

/// Takes records until one has this payload.
async fn see(watch: &mut Watch, payload: &str) -> Record {
    let wait = async {
        loop {
            let record = watch.next().await.expect("the watch goes on");
            if record.payload == payload.as_bytes() {
                return record;
            }
        }
    };
    soon(payload, wait).await
}

async fn bearer(group: &Group, uses: u32) -> String {
    let options = InviteOptions::bearer(Role::Member).uses(uses);
    let invitation = group.invite(options).await.expect("invited");
    invitation.to_link("https://page.example/chat/")
}

async fn payloads(group: &Group) -> Vec<String> {
    let kind = RecordType::new("note").expect("a type");
    let records = group.records(Filter { kind: Some(kind), ..Filter::default() }).await;
    let records = records.expect("read");
    records.iter().map(|record| String::from_utf8_lossy(&record.payload).into_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_members_by_bearer_link_hear_each_other() {
    let ada = node("Ada").await;
    let group = ada.create_group("Trip").await.expect("made");
    group.publish("note", "before").await.expect("published");
    let link = bearer(&group, 1).await;

    let bob = builder("Bob").node(url(&ada)).start().await.expect("starts");
    let joined = soon("joined", bob.join(&link)).await.expect("joined");
    assert_eq!(joined.id(), group.id());
    assert_eq!(joined.name(), "Trip");

    let (mut at_ada, mut at_bob) = (group.watch("note"), joined.watch("note"));
    see(&mut at_bob, "before").await;
    let sent =
        group.publish("note", "from Ada").attribute("room", "general").await.expect("published");
    let seen = see(&mut at_bob, "from Ada").await;
    assert_eq!(seen, sent);
    assert_eq!(seen.creator, ada.peer_id());
    joined.publish("note", "from Bob").await.expect("published");
    assert_eq!(see(&mut at_ada, "from Bob").await.creator, bob.peer_id());

    let names: Vec<String> =
        joined.members().await.expect("listed").into_iter().map(|member| member.name).collect();
    assert_eq!(names.len(), 2);
    assert!(names.contains(&"Ada".to_owned()) && names.contains(&"Bob".to_owned()), "{names:?}");
    assert_eq!(joined.neighbours().await.expect("listed").len(), 1);
    bob.shutdown().await.expect("ends");
    ada.shutdown().await.expect("ends");
}

/// Goal: a person has as many nodes as devices, and a node is another one at every start (C9). Method: one identity in
/// two data folders, seen by a member.
#[tokio::test(flavor = "multi_thread")]
async fn one_identity_runs_several_nodes_and_another_one_at_every_start() {
    let places = [0; 2].map(|_| tempfile::tempdir().expect("a folder"));
    let [desk, phone] = places.each_ref().map(|it| Folder::open(it.path()).expect("opens"));
    let ada = desk.new_identity("Ada", "").expect("made").peer_id();
    let export = desk.export(ada, "correct horse").expect("exported");
    phone.import(&export, "correct horse").expect("imported");

    let bob = node("Bob").await;
    let group = bob.create_group("Trip").await.expect("made");
    let link = bearer(&group, 2).await;
    let start = async |folder: &Folder| {
        let start = builder("Ada").data(folder.path()).node(url(&bob)).start();
        start.await.expect("starts")
    };
    // Ada's nodes that Bob sees, once there are so many.
    let nodes = async |count: usize, without: &[NodeId]| {
        let wait = async {
            loop {
                let members = group.members().await.expect("listed");
                let hers = members.into_iter().find(|member| member.peer == ada);
                let mut nodes = hers.map(|member| member.nodes).unwrap_or_default();
                nodes.retain(|node| !without.contains(node));
                if nodes.len() == count {
                    return nodes;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        soon("Ada's nodes", wait).await
    };
    let (at_desk, at_phone) = (start(&desk).await, start(&phone).await);
    for host in [&at_desk, &at_phone] {
        assert_eq!(host.peer_id(), ada);
        soon("joined", host.join(&link)).await.expect("joined");
    }
    let both = nodes(2, &[]).await;
    assert_ne!(both[0], both[1]);
    at_desk.shutdown().await.expect("ends");
    let again = start(&desk).await;
    let other = nodes(1, &both).await;
    assert!(!both.contains(&other[0]));
    for host in [again, at_phone, bob] {
        host.shutdown().await.expect("ends");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn members_meet_through_a_node_that_is_no_member_and_talk_without_it() {
    let rendezvous = node("Node").await;
    let ada = builder("Ada").node(url(&rendezvous)).start().await.expect("starts");
    let bob = builder("Bob").node(url(&rendezvous)).start().await.expect("starts");
    let group = ada.create_group("Trip").await.expect("made");
    let joined = soon("joined", bob.join(bearer(&group, 1).await)).await.expect("joined");
    assert!(rendezvous.groups().await.expect("listed").is_empty());
    rendezvous.shutdown().await.expect("ends");
    let (mut at_ada, mut at_bob) = (group.watch("note"), joined.watch("note"));
    group.publish("note", "still here").await.expect("published");
    see(&mut at_bob, "still here").await;
    joined.publish("note", "so am I").await.expect("published");
    see(&mut at_ada, "so am I").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn websocket_alone_is_enough() {
    let ada = node("Ada").await;
    let group = ada.create_group("Trip").await.expect("made");
    let door = format!("ws://{}/link", ada.http_address().expect("serves HTTP"));
    let bob = builder("Bob").node(door.parse().expect("an address")).start().await.expect("starts");
    let joined = soon("joined", bob.join(bearer(&group, 1).await)).await.expect("joined");
    group.publish("note", vec![b'x'; 500_000]).await.expect("published");
    let mut watch = joined.watch("note");
    let record = soon("a long record", watch.next()).await.expect("the watch goes on");
    assert_eq!(record.payload.len(), 500_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn restart_keeps_identity_groups_and_records_and_finds_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let ada = node("Ada").await;
    let group = ada.create_group("Trip").await.expect("made");
    let open = |folder: &Path| builder("Bob").data(folder).node(url(&ada)).start();
    let bob = open(folder.path()).await.expect("starts");
    let peer = bob.peer_id();
    let joined = soon("joined", bob.join(bearer(&group, 1).await)).await.expect("joined");
    let delivery = Delivery::new();
    joined.publish("note", "one").with(&delivery).await.expect("published");
    see(&mut group.watch("note"), "one").await;
    soon("sent", delivery.all_sent()).await;
    bob.shutdown().await.expect("ends");
    assert_eq!(joined.info().await, Err(CommandError::Stopped));
    group.publish("note", "meanwhile").await.expect("published");

    let bob = open(folder.path()).await.expect("starts again");
    assert_eq!(bob.peer_id(), peer);
    let groups = bob.groups().await.expect("listed");
    assert_eq!(groups.len(), 1);
    assert_eq!(payloads(&groups[0]).await[0], "one");
    see(&mut groups[0].watch("note"), "meanwhile").await;
    bob.shutdown().await.expect("ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_records_reach_who_was_away() {
    let ada = node("Ada").await;
    let group = ada.create_group("Trip").await.expect("made");
    let publish = (0..1000).map(|n| group.publish("note", format!("record {n}")).into_future());
    for result in futures::future::join_all(publish).await {
        result.expect("published");
    }
    let bob = builder("Bob").node(url(&ada)).start().await.expect("starts");
    let joined = soon("joined", bob.join(bearer(&group, 1).await)).await.expect("joined");
    let all = joined.watch("note").take(1000).collect::<Vec<Record>>();
    let mut got: Vec<_> = soon("all records", all).await;
    got.sort_by_key(|record| record.id);
    let mut expected = group.records(Filter::default()).await.expect("read");
    expected.sort_by_key(|record| record.id);
    assert_eq!(got, expected);
}

/// Goal: a watcher that sleeps while thousands of records arrive loses none and stops nobody. Method: it takes one
/// record, sleeps until all are published (more than any queue holds), then takes the rest.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_watcher_loses_nothing() {
    let host = builder("Ada").start().await.expect("starts");
    let group = host.create_group("Trip").await.expect("made");
    group.publish("note", "0").await.expect("published");
    let mut watch = group.watch("note");
    see(&mut watch, "0").await;
    let publish = (1..3000).map(|n| group.publish("note", n.to_string()).into_future());
    let published = futures::future::join_all(publish).await;
    let last = published.into_iter().last().expect("many").expect("published");
    group.delete(&last).await.expect("deleted");
    let rest = soon("the rest", (&mut watch).take(2999).collect::<Vec<_>>()).await;
    let mut numbers: Vec<u32> = rest
        .iter()
        .filter(|record| !record.deleted)
        .map(|record| String::from_utf8_lossy(&record.payload).parse().expect("a number"))
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..2999).collect::<Vec<u32>>());
    let deleted: Vec<_> = rest.iter().filter(|record| record.deleted).map(|it| it.id).collect();
    assert_eq!(deleted, [last.id]);
}

/// As on the command line: one process makes the group, another the link, a third lets people in.
#[tokio::test(flavor = "multi_thread")]
async fn invitation_made_before_a_restart_lets_people_in() {
    let rendezvous = node("Node").await;
    let folder = tempfile::tempdir().expect("a folder");
    let open = || builder("Ada").data(folder.path()).node(url(&rendezvous)).start();
    let ada = open().await.expect("starts");
    let group = ada.create_group("Trip").await.expect("made");
    ada.shutdown().await.expect("ends");
    let ada = open().await.expect("starts again");
    let link = bearer(&ada.groups().await.expect("listed")[0], 2).await;
    ada.shutdown().await.expect("ends");
    let ada = open().await.expect("starts again");
    let bob = builder("Bob").node(url(&rendezvous)).start().await.expect("starts");
    let joined = soon("joined", bob.join(&link)).await.expect("joined");
    joined.publish("note", "from Bob").await.expect("published");
    let group = ada.groups().await.expect("listed").into_iter().find(|it| it.id() == group.id());
    see(&mut group.expect("still there").watch("note"), "from Bob").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn preview_tells_names_and_uses_and_a_join_follows() {
    let ada = node("Ada").await;
    let group = ada.create_group("Trip").await.expect("made");
    let link = bearer(&group, 2).await;
    assert!(link.len() <= 220, "{} characters: {link}", link.len());
    let touched = format!("Here is the link: <{link}>, see you!");
    let invitation = peergraph::parse_invitation(&touched).expect("read");
    let bob = builder("Bob").start().await.expect("starts");
    let preview = soon("told", bob.preview(&invitation)).await.expect("told");
    let open = preview.open.clone().expect("open");
    assert_eq!((preview.name.as_str(), open.inviter_name.as_str()), ("Trip", "Ada"));
    assert_eq!((open.inviter, open.left()), (ada.peer_id(), Some(2)));
    assert!(bob.groups().await.expect("listed").is_empty());
    let joined = soon("joined", bob.join(&link)).await.expect("joined");
    assert_eq!((joined.id(), joined.name()), (group.id(), "Trip"));
    // Nobody is there: that is said, and soon enough.
    ada.shutdown().await.expect("ends");
    let cleo = builder("Cleo").start().await.expect("starts");
    let error = soon("answered", cleo.preview(&invitation)).await.expect_err("nobody is there");
    assert!(error.to_string().contains("dialled"), "{error}");
}

/// A server of this machine that is no node: notes what it is asked for, and redirects that elsewhere on itself.
async fn asked_of(listener: tokio::net::TcpListener, asked: Arc<Mutex<Vec<String>>>) {
    let at = listener.local_addr().expect("bound");
    loop {
        let (mut stream, _) = listener.accept().await.expect("accepted");
        let mut request = [0; 2_048];
        let length = stream.read(&mut request).await.unwrap_or(0);
        let request = String::from_utf8_lossy(&request[..length]);
        asked.lock().expect("no panic").push(request.lines().next().unwrap_or_default().to_owned());
        let to = format!("http://{at}/jobs/cancel/.well-known/peergraph");
        let answer = format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
        // The client may have gone.
        let _ = stream.write_all(answer.as_bytes()).await;
    }
}

/// Law 3. Goal: to look at a stranger's link sends nothing to this machine that the stranger chose. Method: a link that
/// names a server of this machine in every way; in six seconds of looking it is asked for what a node has at its root.
#[tokio::test(flavor = "multi_thread")]
async fn link_of_a_stranger_chooses_no_request_to_this_machine() {
    let ada = builder("Ada").start().await.expect("starts");
    let group = ada.create_group("Trip").await.expect("made");
    let mut invitation = peergraph::parse_invitation(&bearer(&group, 1).await).expect("read");
    let listener = tokio::net::TcpListener::bind(loopback()).await.expect("bound");
    let at = listener.local_addr().expect("bound");
    let asked = Arc::new(Mutex::new(Vec::new()));
    let server = tokio::spawn(asked_of(listener, asked.clone()));
    let nodes = ["jobs/cancel", "", "jobs/", "a/b"].map(|path| format!("http://{at}/{path}"));
    invitation.nodes = nodes.map(|url| url.parse().expect("a URL")).to_vec();
    let paths = ["jobs/cancel/link", "jobs/cancel", "link", ""];
    let sockets = paths.map(|path| format!("ws://{at}/{path}").parse().expect("an address"));
    invitation.addresses = sockets.to_vec();
    let bob = builder("Bob").start().await.expect("starts");
    let looked = tokio::time::timeout(Duration::from_secs(6), bob.preview(&invitation)).await;
    assert!(!matches!(looked, Ok(Ok(_))), "nobody is there who could tell");
    server.abort();
    let asked = asked.lock().expect("no panic").clone();
    let usual = ["GET /.well-known/peergraph HTTP/1.1", "GET /link HTTP/1.1"];
    assert!(asked.iter().all(|line| usual.contains(&line.as_str())), "{asked:?}");
    assert!(usual.iter().all(|line| asked.iter().any(|it| it == line)), "{asked:?}");
    assert!(asked.len() <= 12, "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bound_invitation_is_for_one_identity() {
    let ada = node("Ada").await;
    let group = ada.create_group("Trip").await.expect("made");
    let bob = builder("Bob").node(url(&ada)).start().await.expect("starts");
    let eve = builder("Eve").node(url(&ada)).start().await.expect("starts");
    let document = Certificate::from_pem(bob.public_document()).expect("a certificate");
    let options = InviteOptions::bound(document, Role::Inviting);
    let text = group.invite(options).await.expect("invited").to_text();
    let error = eve.join(&text).await.expect_err("refused");
    assert_eq!(error, JoinError::Command(CommandError::Node(Error::InvitationForAnother)));
    let joined = soon("joined", bob.join(&text)).await.expect("joined");
    assert_eq!(joined.info().await.expect("there").grant.role, Role::Inviting);
}

#[tokio::test(flavor = "multi_thread")]
async fn truncated_and_used_up_invitations_are_refused() {
    let ada = node("Ada").await;
    let group = ada.create_group("Trip").await.expect("made");
    let link = bearer(&group, 1).await;
    let bob = builder("Bob").node(url(&ada)).start().await.expect("starts");
    let eve = builder("Eve").node(url(&ada)).start().await.expect("starts");
    let cut = &link[..link.len() - 5];
    assert!(matches!(bob.join(cut).await, Err(JoinError::Invitation(_))));
    soon("joined", bob.join(&link)).await.expect("joined");
    let error = soon("an answer", eve.join(&link)).await.expect_err("refused");
    assert_eq!(error, JoinError::Command(CommandError::Node(Error::InvitationUsedUp)));
}

#[tokio::test(flavor = "multi_thread")]
async fn second_host_on_one_folder_and_ports_in_use_are_clear_errors() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = builder("Ada").data(folder.path()).http(loopback()).start().await.expect("starts");
    let error = builder("Ada").data(folder.path()).start().await.expect_err("refused");
    assert!(matches!(error, StartError::Folder(_)), "{error:?}");
    assert!(error.to_string().contains("in use by another process"), "{error}");
    let taken = first.http_address().expect("serves HTTP");
    let error = Host::builder().http(taken).udp(loopback()).start().await.expect_err("refused");
    assert!(error.to_string().contains("another program uses this port"), "{error}");
    let socket = std::net::UdpSocket::bind(loopback()).expect("bound");
    let taken = socket.local_addr().expect("bound");
    let error = Host::builder().udp(taken).start().await.expect_err("refused");
    assert!(error.to_string().contains("cannot listen on UDP"), "{error}");
    first.shutdown().await.expect("ends");
    let again = builder("Ada").data(folder.path()).start().await.expect("free again");
    again.shutdown().await.expect("ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn unreachable_node_does_not_stop_the_start() {
    let url = "http://127.0.0.1:1".parse().expect("a URL");
    let host = soon("started", builder("Ada").node(url).start()).await.expect("starts");
    host.create_group("Trip").await.expect("made");
    soon("ended", host.shutdown()).await.expect("ends");
    assert_eq!(host.shutdown().await, Err(CommandError::Stopped));
}

#[tokio::test(flavor = "multi_thread")]
async fn events_tell_of_neighbours_and_of_their_loss() {
    let ada = node("Ada").await;
    let group = ada.create_group("Trip").await.expect("made");
    let mut events = ada.events();
    let bob = builder("Bob").node(url(&ada)).start().await.expect("starts");
    soon("joined", bob.join(bearer(&group, 1).await)).await.expect("joined");
    let peer = bob.peer_id();
    let mut neighbour = async |wanted: bool| loop {
        let event = events.next().await.expect("events go on");
        if matches!(event, Event::Neighbour { peer: who, up, .. } if who == peer && up == wanted) {
            break;
        }
    };
    soon("a neighbour", neighbour(true)).await;
    drop(bob);
    soon("the loss of it", neighbour(false)).await;
}

/// Waits until `peer` is in the group as `wanted` says.
async fn member(group: &Group, peer: PeerId, wanted: impl Fn(&MemberInfo) -> bool) -> MemberInfo {
    let wait = async {
        loop {
            let members = group.members().await.expect("listed");
            if let Some(found) = members.into_iter().find(|it| it.peer == peer && wanted(it)) {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon("the member", wait).await
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_decide_who_publishes_and_promotion_reaches_the_member() {
    let ada = node("Ada").await;
    let news = Right {
        types: "news.*".into(),
        roles: vec!["editor".into()],
        publish: true,
        update: false,
        delete: false,
    };
    let group = ada.create_group("Daily").only_administrators_invite().right(news).await;
    let group = group.expect("made");
    group.set().comment("What happened").presence_max(9).await.expect("set");
    let info = group.info().await.expect("told");
    assert_eq!((info.name.as_str(), info.comment.as_str()), ("Daily", "What happened"));
    assert_eq!((info.presence_max, info.owner), (9, true));

    let bob = builder("Bob").node(url(&ada)).start().await.expect("starts");
    let joined = soon("joined", bob.join(bearer(&group, 1).await)).await.expect("joined");
    assert_eq!(joined.info().await.expect("told").policy, info.policy);
    let refused = joined.publish("news.story", "It rains").await;
    assert_eq!(refused.err(), Some(CommandError::Node(Error::NotAllowed)));
    joined.publish("note", "anybody may").await.expect("published");

    member(&group, bob.peer_id(), |_| true).await;
    let editor = Grant::new(Role::Inviting, vec!["editor".into()]).expect("legal");
    group.promote(bob.peer_id(), editor.clone()).await.expect("promoted");
    member(&joined, bob.peer_id(), |it| it.grant == editor).await;
    assert_eq!(joined.info().await.expect("told").grant, editor);
    joined.publish("news.story", "It rains").await.expect("published");
    see(&mut group.watch("news.story"), "It rains").await;
    // The creator keeps inviting to administrators, whatever the role's name says.
    let refused = joined.invite(InviteOptions::bearer(Role::Member)).await;
    assert_eq!(refused.err(), Some(CommandError::Node(Error::NotAllowed)));
}

#[tokio::test(flavor = "multi_thread")]
async fn revoked_member_is_told_why_loses_its_records_and_can_be_reinstated() {
    let ada = node("Ada").await;
    let group = ada.create_group("Trip").await.expect("made");
    let eve = builder("Eve").node(url(&ada)).start().await.expect("starts");
    let joined = soon("joined", eve.join(bearer(&group, 1).await)).await.expect("joined");
    joined.publish("note", "from Eve").await.expect("published");
    see(&mut group.watch("note"), "from Eve").await;

    let mut events = ada.events();
    group.revoke(eve.peer_id()).reason(Reason::Misconduct).drop_records().await.expect("revoked");
    let gone = member(&group, eve.peer_id(), |it| it.standing != Standing::Member).await;
    let by: PeerId = group.id().into();
    assert_eq!(gone.standing, Standing::Revoked { by, reason: Reason::Misconduct });
    let withdrawn =
        async { while !matches!(events.next().await, Some(Event::Withdrawn { .. })) {} };
    soon("the record is withdrawn", withdrawn).await;
    assert!(payloads(&group).await.is_empty());
    member(&joined, eve.peer_id(), |it| it.standing == gone.standing).await;
    let info = joined.info().await.expect("told");
    assert_eq!(info.standing, gone.standing);
    let refused = joined.publish("note", "again").await;
    assert_eq!(refused.err(), Some(CommandError::Node(Error::Revoked)));

    group.reinstate(eve.peer_id()).await.expect("reinstated");
    member(&group, eve.peer_id(), |it| it.standing == Standing::Member).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn withdrawn_invitation_lets_nobody_in_and_who_leaves_is_gone_for_all() {
    let ada = node("Ada").await;
    let group = ada.create_group("Trip").await.expect("made");
    let good = bearer(&group, 1).await;
    let bad = group.invite(InviteOptions::bearer(Role::Member)).await.expect("invited");
    let id = bad.id().expect("its maker knows it");
    let open = group.invitations().await.expect("listed");
    assert_eq!(open.len(), 2);
    group.withdraw(id).await.expect("withdrawn");
    assert_eq!(group.invitations().await.expect("listed").len(), 1);
    let again = group.withdraw(id).await;
    assert_eq!(again, Err(CommandError::Node(Error::UnknownInvitation)));

    let bob = builder("Bob").node(url(&ada)).start().await.expect("starts");
    let joined = soon("joined", bob.join(&good)).await.expect("joined");
    member(&group, bob.peer_id(), |_| true).await;
    soon("a neighbour", async {
        while joined.neighbours().await.expect("listed").is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    joined.leave().await.expect("left");
    assert!(bob.groups().await.expect("listed").is_empty());
    let left = member(&group, bob.peer_id(), |it| it.standing != Standing::Member).await;
    assert_eq!(left.standing, Standing::Revoked { by: bob.peer_id(), reason: Reason::Left });
}

#[tokio::test(flavor = "multi_thread")]
async fn password_lets_in_who_knows_it() {
    let ada = node("Ada").await;
    let group = ada.create_group("Class").await.expect("made");
    let password = |text: &str| Password::new(text).expect("long enough");
    let options = InviteOptions::password(Role::Member, password("seven geese fly")).uses(2);
    let link = group.invite(options).await.expect("invited").to_text();

    let bob = builder("Bob").node(url(&ada)).start().await.expect("starts");
    let refused = |error| Some(JoinError::Command(CommandError::Node(error)));
    assert_eq!(bob.join(&link).await.err(), refused(Error::PasswordNeeded));
    let wrong = soon("told", bob.join_with(&link, password("eight geese fly"))).await;
    assert_eq!(wrong.err(), refused(Error::WrongPassword));
    let right = soon("joined", bob.join_with(&link, password("seven geese fly"))).await;
    right.expect("joined").publish("note", "I knew").await.expect("published");
    see(&mut group.watch("note"), "I knew").await;

    let strict = ada.create_group("Strict").no_passwords().await.expect("made");
    let refused = strict.invite(InviteOptions::password(Role::Member, password("12345678"))).await;
    assert_eq!(refused.err(), Some(CommandError::Node(Error::NotAllowed)));
}

/// C37: Goal: a host keeps to the limits that it was given, and all still hear each other. Method: a hub that wants four
/// neighbours at most, whom six members know.
#[tokio::test(flavor = "multi_thread")]
async fn host_keeps_to_the_neighbours_that_it_was_told_to_have() {
    let limits = Neighbours::new(1, 3, 4).expect("a graph can be of these");
    let ada = builder("Ada").http(loopback()).rendezvous(true).neighbours(limits);
    let ada = ada.start().await.expect("starts");
    let group = ada.create_group("Trip").await.expect("made");
    let link = bearer(&group, 6).await;
    let mut others = Vec::new();
    for name in ["Bob", "Cleo", "Dan", "Eve", "Finn", "Gus"] {
        let host = builder(name).node(url(&ada)).start().await.expect("starts");
        let joined = soon("joined", host.join(&link)).await.expect("joined");
        others.push((host, joined));
    }
    let mut watches: Vec<Watch> = others.iter().map(|(_, group)| group.watch("note")).collect();
    group.publish("note", "to all").await.expect("published");
    for watch in &mut watches {
        see(watch, "to all").await;
    }
    assert!((1..=4).contains(&group.neighbours().await.expect("listed").len()));
    for (host, _) in others {
        host.shutdown().await.expect("ends");
    }
    ada.shutdown().await.expect("ends");
}

/// Opens one silent WebSocket after the other from 127.0.0.2, each as soon as the last is closed.
async fn silent_sockets(address: SocketAddr) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    loop {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.bind("127.0.0.2:0".parse().expect("an address")).expect("bound");
        let Ok(mut stream) = socket.connect(address).await else { continue };
        let ask = "GET /link HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        let _ = stream.write_all(ask.as_bytes()).await;
        let mut answer = [0; 1024];
        // Says nothing until it is closed.
        while stream.read(&mut answer).await.is_ok_and(|read| read > 0) {}
    }
}

/// Goal: one address that sends all it can keeps no stranger out (R7). Method: 127.0.0.2 holds as many silent WebSockets as
/// the node gives it and opens the next as soon as one is closed; fifty strangers come from 127.0.0.1, one after the other.
#[tokio::test(flavor = "multi_thread")]
async fn silent_sockets_of_one_address_keep_no_stranger_out() {
    let ada = node("Ada").await;
    let address = ada.http_address().expect("serves HTTP");
    let attackers: Vec<_> = (0..512).map(|_| tokio::spawn(silent_sockets(address))).collect();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut let_in = 0;
    for n in 0..50 {
        let stranger = builder("Stranger").node(url(&ada)).start().await.expect("starts");
        let linked = async {
            while !matches!(stranger.nodes()[..], [(_, NodeState::Linked { .. })]) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        match tokio::time::timeout(Duration::from_secs(10), linked).await {
            Ok(()) => let_in += 1,
            Err(_) => println!("stranger {n} was not let in"),
        }
        stranger.shutdown().await.expect("ends");
    }
    attackers.iter().for_each(tokio::task::JoinHandle::abort);
    assert_eq!(let_in, 50);
    ada.shutdown().await.expect("ends");
}
