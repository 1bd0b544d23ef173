//! People meet: by a link, through a node that is far away, behind a path or a redirect, and again
//! after restarts.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::together::Running;
use crate::{
    between, command, fails, folder, free_later, json, ok, one, run, run_with_input, text,
};

/// How often a flow is repeated: `ROUNDS=20` for a proof.
fn rounds() -> usize {
    std::env::var("ROUNDS").ok().and_then(|it| it.parse().ok()).unwrap_or(2)
}

/// Fails what took longer than `BOUND_MS`, if that is set: `cargo xtask meet`.
pub(crate) fn within_bound(times: impl IntoIterator<Item = Duration>) {
    let bound = std::env::var("BOUND_MS").ok().and_then(|it| it.parse().ok());
    let bound = bound.map_or(Duration::MAX, Duration::from_millis);
    for time in times {
        assert!(time <= bound, "{time:?}");
    }
}

/// The socket of a URL of the form `http://IP:PORT`.
fn socket(url: &str) -> SocketAddr {
    url.trim_start_matches("http://").trim_end_matches('/').parse().expect("an address")
}

/// The description that a node gives to a program on this machine.
fn described(url: &str) -> serde_json::Value {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(socket(url)).expect("connected");
    let host = socket(url);
    let request =
        format!("GET /.well-known/peergraph HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    json(answer.split_once("\r\n\r\n").expect("a head").1)
}

fn says(peer: &Path, group: &str, words: &str) {
    let publish = ["publish", group, "chat.message", "--wait", "sent"];
    ok(&run_with_input(peer, &publish, words.as_bytes()));
}

fn publish_here(peer: &Path, group: &str, words: &str) {
    let publish = ["publish", group, "chat.message", "--wait", "stored"];
    ok(&run_with_input(peer, &publish, words.as_bytes()));
}

/// Goal: a link names the node that its maker named, however far that is. Method: a node 150 ms
/// away; the README's commands, in which Bob knows nothing but the link.
#[test]
fn link_made_by_a_command_leads_through_a_node_that_is_far() {
    let (node, ada, bob) = (folder(), folder(), folder());
    let (_node, url) = Running::node(node.path());
    let far = between::slow(socket(&url), Duration::from_millis(150));
    ok(&run(ada.path(), &["--node", &far, "group", "create", "Trip"]));
    publish_here(ada.path(), "Trip", "hello");
    let invited = run(ada.path(), &["group", "invite", "Trip"]);
    let link = ok(&invited);
    assert!(!text(&invited.stderr).contains("Warning"), "{}", text(&invited.stderr));
    let mut adas = Running::start(ada.path(), &["--json", "watch", "Trip"]);
    assert_eq!(adas.line()["payload"], "hello", "it runs");
    let joined = run_with_input(bob.path(), &["--json", "group", "join"], link.as_bytes());
    assert_eq!(one(&joined)["records"], 1);
}

#[test]
fn link_without_a_node_comes_with_a_warning() {
    let ada = folder();
    ok(&run(ada.path(), &["group", "create", "Trip"]));
    let invited = run(ada.path(), &["group", "invite", "Trip"]);
    ok(&invited);
    let said = text(&invited.stderr);
    assert!(said.contains("no node is in this link") && said.contains("--node"), "{said}");

    // One that is named and not there is said to be so, with its URL and why.
    let url = "http://127.0.0.1:1/";
    let invited = run(ada.path(), &["--node", url, "group", "invite", "Trip"]);
    ok(&invited);
    let said = text(&invited.stderr);
    assert!(said.contains(url) && said.contains("refused"), "{said}");
    assert!(said.contains("is not reached"), "{said}");
}

/// Goal: four groups with one inviter are joined one after the other, each by a command of its own.
#[test]
fn every_group_of_one_inviter_is_joined() {
    let (ada, bob) = (folder(), folder());
    let (ada, bob) = (ada.path(), bob.path());
    let groups = ["one", "two", "three", "four"];
    let links = groups.map(|group| {
        ok(&run(ada, &["--name", "Ada", "group", "create", group]));
        ok(&run(ada, &["group", "invite", group]))
    });
    let (_node, url) = Running::node(ada);
    for (group, link) in groups.iter().zip(links) {
        let begun = Instant::now();
        let join = ["--json", "--node", &url, "group", "join"];
        let joined = one(&run_with_input(bob, &join, link.as_bytes()));
        assert_eq!(joined["name"], *group);
        println!("{group}: {:?}", begun.elapsed());
        within_bound([begun.elapsed()]);
    }
}

/// Goal: a member that joined by a link finds the others after they have restarted, without being
/// told of the node again. Method: Bob's only knowledge of the node is the link; then Ada's program
/// starts again, and Bob publishes.
#[test]
fn node_of_the_link_is_remembered() {
    let (node, ada, bob) = (folder(), folder(), folder());
    let (_node, url) = Running::node(node.path());
    ok(&run(ada.path(), &["--node", &url, "group", "create", "Trip"]));
    publish_here(ada.path(), "Trip", "hello");
    let link = ok(&run(ada.path(), &["group", "invite", "Trip"]));
    let watch = || {
        let mut adas = Running::start(ada.path(), &["--json", "watch", "Trip"]);
        assert_eq!(adas.line()["payload"], "hello", "it runs");
        adas
    };
    let adas = watch();
    ok(&run_with_input(bob.path(), &["group", "join"], link.as_bytes()));
    drop(adas);
    // Ada is nowhere where she was.
    let identities = ada.path().join("identities");
    let identity = std::fs::read_dir(identities).expect("a folder").next().expect("Ada's");
    std::fs::remove_file(identity.expect("readable").path().join("port")).expect("it was kept");
    let mut adas = watch();
    says(bob.path(), "Trip", "still here");
    loop {
        if adas.line()["payload"] == "still here" {
            break;
        }
    }
    let kept = std::fs::read_to_string(bob.path().join("nodes")).expect("kept for all groups");
    assert!(kept.contains(&url), "{kept}");
}

/// Goal: a node is kept once it is reached, and forgotten on demand; a wrong one is told and not kept.
#[test]
fn nodes_are_kept_once_they_are_reached() {
    let (node, ada) = (folder(), folder());
    let ada = ada.path();
    let wrong = "http://127.0.0.1:1/";
    let made = run(ada, &["--node", wrong, "group", "create", "Trip"]);
    ok(&made);
    let told = text(&made.stderr);
    assert!(told.contains(wrong) && told.contains("not kept"), "{told}");
    assert_eq!(ok(&run(ada, &["node", "list"])), "");

    let (_node, url) = Running::node(node.path());
    let listed = run(ada, &["--node", &url, "group", "list"]);
    ok(&listed);
    assert!(text(&listed.stderr).contains("is kept"), "{}", text(&listed.stderr));
    assert_eq!(ok(&run(ada, &["node", "list"])), format!("{url}/\n"));
    let told = text(&run(ada, &["--node", &url, "group", "list"]).stderr);
    assert_eq!(told, "", "it is no news");
    assert_eq!(one(&run(ada, &["--json", "node", "list"]))["url"], format!("{url}/"));

    assert_eq!(ok(&run(ada, &["node", "forget", &url])), format!("Forgotten: {url}/\n"));
    assert_eq!(ok(&run(ada, &["node", "list"])), "");
    fails(&run(ada, &["node", "forget", &url]), 1, &["not kept", "node list"]);
}

/// Goal: a UDP port is the same at every start, so that addresses in links stay true. Method: two
/// members alone on this machine, no node; the link was made by a command that has ended.
#[test]
fn addresses_in_a_link_outlive_the_command_that_made_it() {
    let (ada, bob) = (folder(), folder());
    ok(&run(ada.path(), &["group", "create", "Trip"]));
    publish_here(ada.path(), "Trip", "hello");
    let link = ok(&run(ada.path(), &["group", "invite", "Trip"]));
    let mut adas = Running::start(ada.path(), &["--json", "watch", "Trip"]);
    assert_eq!(adas.line()["payload"], "hello", "it runs");
    let joined = run_with_input(bob.path(), &["--json", "group", "join"], link.as_bytes());
    assert_eq!(one(&joined)["records"], 1);
}

/// Goal: a newcomer that waits for an inviter that comes back, or for a node that does, is let in
/// within 5 s of its return. Method: Bob's join begins while nobody is there; times are printed,
/// and `BOUND_MS` fails longer ones.
#[test]
fn inviter_that_comes_back_during_a_join_is_found() {
    let (node, ada) = (folder(), folder());
    let (node, ada) = (node.path(), ada.path());
    let http = free_later().to_string();
    let serve = ["--json", "--name", "Node", "node", "--http", &http];
    let url = format!("http://{http}");
    for by_node in [false, true] {
        let group = if by_node { "by node" } else { "by address" };
        if by_node {
            ok(&run(ada, &["--node", &url, "group", "create", group]));
        } else {
            ok(&run(ada, &["group", "create", group]));
        }
        publish_here(ada, group, "hello");
        let mut invite = vec!["group", "invite", group];
        if by_node {
            // It is not kept, since it was never reached.
            invite.extend(["--node", &url]);
        }
        let link = ok(&run(ada, &invite));
        let bob = folder();
        let mut joining = Running::start(
            bob.path(),
            &["--json", "--timeout", "5m", "group", "join", link.trim()],
        );
        std::thread::sleep(Duration::from_secs(8));
        let begun = Instant::now();
        let _node = by_node.then(|| Running::start(node, &serve));
        let mut watch = vec!["--json", "watch", group];
        if by_node {
            watch.extend(["--node", &url]);
        }
        let mut adas = Running::start(ada, &watch);
        assert_eq!(joining.line()["name"], group);
        println!("{group}: joined {:?} after the inviter came back", begun.elapsed());
        within_bound([begun.elapsed()]);
        assert_eq!(adas.line()["payload"], "hello");
    }
}

/// Goal: a link names addresses that are true when it is used. Method: a node that listens on
/// loopback alone; a command with its data folder makes the link while it is away.
#[test]
fn link_of_a_node_on_loopback_names_no_other_address() {
    let (ada, bob) = (folder(), folder());
    let ada = ada.path();
    ok(&run(ada, &["group", "create", "Trip"]));
    publish_here(ada, "Trip", "hello");
    drop(Running::node(ada));
    let invited = run(ada, &["group", "invite", "Trip"]);
    let link = ok(&invited);
    let invitation = peergraph::parse_invitation(&link).expect("an invitation");
    let [peergraph::Address::Rtc { socket, .. }] = invitation.addresses[..] else {
        panic!("{:?}", invitation.addresses)
    };
    assert!(socket.ip().is_loopback(), "{socket}");
    assert!(text(&invited.stderr).contains("on this machine alone"), "{}", text(&invited.stderr));
    let node = Running::node(ada);
    let joined = run_with_input(bob.path(), &["--json", "group", "join"], link.as_bytes());
    assert_eq!(one(&joined)["records"], 1);
    drop(node);

    // A program that listens everywhere takes the place of the node.
    let mut watch = Running::start(ada, &["--json", "watch", "Trip"]);
    assert_eq!(watch.line()["payload"], "hello", "it runs");
    drop(watch);
    let identities = std::fs::read_dir(ada.join("identities")).expect("a folder");
    let identity = identities.flatten().next().expect("Ada's").path();
    let kept = std::fs::read_to_string(identity.join("port")).expect("kept");
    assert_eq!(kept, format!("{}\n", socket.port()));
}

/// Goal: a search that finds nobody says for each place what came of it, and what to do; one that
/// has found somebody says whom. Method: a link to a closed port and to a node where nobody is.
#[test]
fn what_was_tried_is_told_place_by_place() {
    let (node, ada, bob) = (folder(), folder(), folder());
    let (_node, url) = Running::node(node.path());
    let (ada, bob) = (ada.path(), bob.path());
    ok(&run(ada, &["--node", &url, "group", "create", "Trip"]));
    publish_here(ada, "Trip", "hello");
    let link = ok(&run(ada, &["group", "invite", "Trip"]));
    let dead = "ws://127.0.0.1:1/link";
    let join = ["--node", dead, "--timeout", "4s", "group", "join", link.trim()];
    let failed = run(bob, &join);
    let refused = format!("{dead}, a named node: refused");
    let parts = [refused.as_str(), "a named node: reached, but it is not in this group", "inviter"];
    fails(&failed, 1, &parts);
    let preview = ["invitation", "show", link.trim(), "--preview", "--node", dead];
    let asked = run(bob, &preview);
    let said = text(&asked.stderr);
    assert!(said.contains("no member who tells") && said.contains(&refused), "{said}");

    let mut adas = Running::start(ada, &["--json", "watch", "Trip"]);
    assert_eq!(adas.line()["payload"], "hello", "it runs");
    ok(&run(bob, &["group", "join", link.trim()]));
    // On a busy machine they may take longer to meet than a command waits for it.
    let mut told = (0..10).map(|_| ok(&run(bob, &["group", "explain", "Trip"])));
    assert!(told.any(|found| found.contains(": ada, direct")));
    let mut told = (0..10).map(|_| one(&run(bob, &["--json", "group", "explain", "Trip"])));
    let found = told.find(|found| found["neighbours"] == 1).expect("they meet");
    // The node may have been reached before the store was read.
    let mut others = found["places"].as_array().expect("a list").iter();
    assert!(others.all(|place| place["outcome"] == "not-in-group"), "{found}");
    drop(adas);
    let alone =
        one(&run(bob, &["--json", "--timeout", "3s", "--node", dead, "group", "explain", "Trip"]));
    assert_eq!(alone["neighbours"], 0);
    let outcomes = alone["places"].as_array().expect("a list").iter();
    let outcomes: Vec<_> = outcomes.map(|place| place["outcome"].as_str().expect("text")).collect();
    assert!(outcomes.contains(&"refused") && outcomes.contains(&"not-in-group"), "{alone}");
}

/// Goal: `[::]` takes both families over TCP and UDP, and both are told the truth.
#[test]
fn ipv6_wildcard_is_reached_over_both_families() {
    let node = folder();
    let serve = ["--json", "--name", "Node", "node", "--http", "[::]:0"];
    let mut running = Running::start(node.path(), &serve);
    let url = running.line()["url"].as_str().expect("text").to_owned();
    let port = socket(&url).port();
    for host in ["127.0.0.1", "[::1]"] {
        let url = format!("http://{host}:{port}");
        let addresses = described(&url)["addresses"].clone();
        let first = addresses[0].as_str().expect("an address").to_owned();
        assert!(first.starts_with(&format!("rtc://{host}:")), "{addresses}");
        // That address alone is enough: nobody falls back to the WebSocket.
        let (ada, bob) = (folder(), folder());
        ok(&run(ada.path(), &["--node", &first, "group", "create", "Trip"]));
        publish_here(ada.path(), "Trip", "hello");
        let link = ok(&run(ada.path(), &["group", "invite", "Trip"]));
        let mut adas = Running::start(ada.path(), &["--json", "watch", "Trip"]);
        assert_eq!(adas.line()["payload"], "hello", "it runs");
        let join = ["--json", "--node", &first, "group", "join"];
        assert_eq!(one(&run_with_input(bob.path(), &join, link.as_bytes()))["records"], 1);
    }
}

/// Goal: a node below a path, and one behind redirects, is found by its URL. Method: the node knows
/// its public URL, whose proxy takes the path away; members know the node by that URL and by ones
/// that redirect to it.
#[test]
fn node_below_a_path_or_behind_a_redirect_is_found() {
    let (node, ada, bob) = (folder(), folder(), folder());
    let inside = free_later();
    let public = between::below_a_path(inside);
    let serve = ["--json", "--name", "Node", "node", "--public-url", &public, "--http"];
    let inside = inside.to_string();
    let mut running = Running::start(node.path(), &[&serve[..], &[&inside]].concat());
    assert_eq!(running.line()["url"], public.as_str());
    ok(&run(ada.path(), &["--node", &public, "group", "create", "Trip"]));
    publish_here(ada.path(), "Trip", "hello");
    let link = ok(&run(ada.path(), &["group", "invite", "Trip", "--uses", "9"]));
    let mut adas = Running::start(ada.path(), &["--json", "watch", "Trip"]);
    assert_eq!(adas.line()["payload"], "hello", "it runs");
    ok(&run_with_input(bob.path(), &["group", "join"], link.as_bytes()));
    for status in [301, 302, 307, 308] {
        let (cleo, url) = (folder(), between::redirect(status, &public));
        let twice = between::redirect(308, &url);
        ok(&run(cleo.path(), &["--node", &twice, "group", "join", link.trim()]));
        says(cleo.path(), "Trip", "by a redirect");
    }
    // Round and round, and to a place without a node.
    let alone = folder();
    for (url, why) in [
        (between::redirect(302, "http://127.0.0.1:1"), "refused"),
        (format!("{public}nothing/"), "404"),
    ] {
        ok(&run(alone.path(), &["group", "create", &url]));
        let invited = run(alone.path(), &["--node", &url, "group", "invite", &url]);
        ok(&invited);
        assert!(text(&invited.stderr).contains(why), "{}", text(&invited.stderr));
    }
}

/// Goal: a node listens wherever it is told to.
#[test]
fn node_listens_at_several_addresses() {
    let node = folder();
    let serve = ["--json", "node", "--http", "127.0.0.1:0", "--http", "[::1]:0", "--udp"];
    let mut running = Running::start(node.path(), &[&serve[..], &["127.0.0.1:0"]].concat());
    let ready = running.line();
    let bound: Vec<_> = ready["http"].as_array().expect("a list").iter().collect();
    assert_eq!(bound.len(), 2, "{ready}");
    for address in bound {
        let url = format!("http://{}", address.as_str().expect("text"));
        let addresses = described(&url)["addresses"].clone();
        let rtc = addresses[0].as_str().expect("an address");
        assert!(rtc.starts_with("rtc://127.0.0.1:"), "UDP is IPv4 alone: {addresses}");
        let socket = addresses[1].as_str().expect("an address");
        assert_eq!(socket, format!("{}/link", url.replacen("http", "ws", 1)));
    }
    drop(running);
    let many: Vec<&str> = [["--http", "127.0.0.1:0"]; 5].concat();
    fails(&run(node.path(), &[&["node"], &many[..]].concat()), 1, &["at most 4"]);
}

#[test]
fn port_that_there_is_not_is_wrong_usage() {
    let ada = folder();
    for url in ["http://127.0.0.1:99999", "https://[::1]:65536/", "http://127.0.0.1:0"] {
        fails(&run(ada.path(), &["--node", url, "group", "list"]), 2, &["port"]);
        fails(&run(ada.path(), &["node", "--public-url", url]), 2, &["port"]);
    }
    for proxy in ["10.0.0.0/33", "node.example"] {
        fails(&run(ada.path(), &["node", "--trusted-proxy", proxy]), 2, &["not a network"]);
    }
}

/// Goal: the README's commands, with a node 40 ms away (20 ms each way, TCP and UDP): all join, and
/// meet again after restarts in any order, without being told of the node again. `ROUNDS=20`
/// repeats it; times are printed.
#[test]
fn readme_flow_through_a_node_40_ms_away() {
    let node = folder();
    let (_node, near) = Running::node(node.path());
    let far = between::far(socket(&near), &described(&near), Duration::from_millis(20));
    for round in 0..rounds() {
        let (ada, bob) = (folder(), folder());
        let (ada, bob) = (ada.path(), bob.path());
        ok(&run(ada, &["--node", &far, "group", "create", "Trip"]));
        publish_here(ada, "Trip", "hello");
        let link = ok(&run(ada, &["group", "invite", "Trip"]));
        let watch = |who: &Path| {
            let mut watch = Running::start(who, &["--json", "watch", "Trip"]);
            assert_eq!(watch.line()["payload"], "hello", "it runs");
            watch
        };
        let adas = watch(ada);
        let begun = Instant::now();
        let join = ["--json", "--name", "Bob", "group", "join"];
        assert_eq!(one(&run_with_input(bob, &join, link.as_bytes()))["records"], 1);
        let joined = begun.elapsed();
        drop(adas);
        // In one order, then in the other.
        let mut met = Vec::new();
        for (first, second) in [(ada, bob), (bob, ada)] {
            let mut firsts = watch(first);
            let begun = Instant::now();
            let words = format!("round {round}, {} first", met.len());
            says(second, "Trip", &words);
            while firsts.line()["payload"] != words.as_str() {}
            met.push(begun.elapsed());
        }
        println!("round {round}: joined in {joined:?}, met again in {met:?}");
        within_bound(met.into_iter().chain([joined]));
    }
}

/// The same as a program would do it, with an invitation made the moment after the start.
#[test]
fn rust_flow_through_a_node_40_ms_away() {
    use futures::StreamExt as _;
    use peergraph::{Host, InviteOptions, Role};
    let node = folder();
    let (_node, near) = Running::node(node.path());
    let far = between::far(socket(&near), &described(&near), Duration::from_millis(20));
    let start = async |name: &str, data: &Path, node: Option<&str>| {
        let mut host = Host::builder().name(name).data(data);
        if let Some(node) = node {
            host = host.node(node.parse().expect("a URL"));
        }
        host.start().await.expect("starts")
    };
    let flow = async |round: usize| {
        let (adas, bobs) = (folder(), folder());
        let ada = start("Ada", adas.path(), Some(&far)).await;
        let group = ada.create_group("Trip").await.expect("made");
        let invitation = group.invite(InviteOptions::bearer(Role::Member)).await.expect("invited");
        let bob = start("Bob", bobs.path(), None).await;
        let begun = Instant::now();
        let joined = bob.join(invitation.to_text()).await.expect("joined");
        let took = begun.elapsed();
        group.publish("note", "hello").await.expect("published");
        assert_eq!(joined.watch("note").next().await.expect("it goes on").payload, "hello");
        // Both restart, in either order; the second one publishes.
        let mut met = Vec::new();
        let (mut ada, mut bob) = (ada, bob);
        for ada_first in [true, false] {
            for host in [&ada, &bob] {
                host.shutdown().await.expect("ends");
            }
            if ada_first {
                ada = start("Ada", adas.path(), Some(&far)).await;
                bob = start("Bob", bobs.path(), None).await;
            } else {
                bob = start("Bob", bobs.path(), None).await;
                ada = start("Ada", adas.path(), Some(&far)).await;
            }
            let (first, second) = if ada_first { (&ada, &bob) } else { (&bob, &ada) };
            let begun = Instant::now();
            let words = format!("{ada_first}");
            let [first, second] = [first, second].map(|host| host.groups());
            let (first, second) = (first.await.expect("listed"), second.await.expect("listed"));
            let mut watch = first[0].watch("note");
            second[0].publish("note", words.clone()).await.expect("published");
            while watch.next().await.expect("it goes on").payload != words.as_bytes() {}
            met.push(begun.elapsed());
        }
        println!("round {round}: joined in {took:?}, met again in {met:?}");
        within_bound(met.into_iter().chain([took]));
        for host in [ada, bob] {
            host.shutdown().await.expect("ends");
        }
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    for round in 0..rounds() {
        let patience = Duration::from_secs(300);
        let flow = async { tokio::time::timeout(patience, flow(round)).await.expect("in time") };
        runtime.block_on(flow);
    }
}

/// Goal: a newcomer that waits for a member that does not come can leave. Method: the invitation
/// leads to a program that has ended.
#[cfg(unix)]
#[test]
fn join_that_nobody_answers_ends_when_it_is_told_to() {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};
    let (ada, bob) = (folder(), folder());
    ok(&run(ada.path(), &["group", "create", "Trip"]));
    let link = ok(&run(ada.path(), &["group", "invite", "Trip"]));
    let join = ["--timeout", "1h", "-v", "group", "join", link.trim()];
    let mut command = command(bob.path());
    let mut joining = command.args(join).stderr(Stdio::piped()).spawn().expect("runs");
    let mut said = BufReader::new(joining.stderr.take().expect("piped")).lines();
    let mut until = |part: &str| loop {
        let line = said.next().expect("it goes on").expect("text");
        if line.contains(part) {
            return;
        }
    };
    until("link begun");
    let pid = joining.id().to_string();
    assert!(
        Command::new("kill").args(["-INT", &pid]).status().expect("there is a `kill`").success()
    );
    until("interrupted");
    assert_eq!(joining.wait().expect("ended").code(), Some(1));
}
