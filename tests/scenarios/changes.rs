//! Changes of others' records, by members who may change and not delete them.
use crate::each_seed;
use peergraph_core::cert::Role;
use peergraph_core::error::{BadRecord, Error, Misbehaved};
use peergraph_core::id::GroupId;
use peergraph_core::io::{Command, Draft, Event, GroupCommand, Invite, Reply};
use peergraph_core::policy::{Policy, Right};
use peergraph_core::record::{Record, Signed};
use peergraph_tests::story::{deletion, draft};
use peergraph_tests::{HostId, World};
use std::collections::BTreeSet;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);
const SOON: Duration = Duration::from_secs(60);

/// A group in which every member changes what others published, and only administrators delete it.
pub(crate) fn wiki(world: &mut World, names: &[&str]) -> (GroupId, Vec<HostId>) {
    let owner = world.native(names[0]);
    let mut policy = Policy::default();
    let (types, roles) = ("*".to_owned(), vec!["member".to_owned()]);
    policy.rights = vec![Right { types, roles, publish: true, update: true, delete: false }];
    let group = world.create_group_under(owner, "wiki", policy);
    let mut hosts = vec![owner];
    for name in &names[1..] {
        let host = world.native(name);
        world.let_in(owner, group, host, &[owner]);
        hosts.push(host);
    }
    (group, hosts)
}

/// The record as all of these hosts see it, the same at each.
fn seen(world: &mut World, hosts: &[HostId], group: GroupId, record: &Record) -> Record {
    let mut all = hosts.iter().map(|&host| {
        world.records(host, group).into_iter().find(|it| it.id == record.id).expect("it is there")
    });
    let first = all.next().expect("some hosts");
    assert!(all.all(|other| other == first));
    first
}

/// Goal: one edits the other's record, and all see it as the other's, with the life that it had. Method: three members;
/// the editor's node has just started, so that only its disk holds the record, and changes it three times at once.
#[test]
fn editor_that_has_just_started_changes_anothers_record_and_all_see_it() {
    let test = "editor_that_has_just_started_changes_anothers_record_and_all_see_it";
    each_seed(test, 50, |world| {
        let (group, hosts) = wiki(world, &["ada", "bob", "cleo"]);
        let [ada, bob, cleo] = hosts[..] else { panic!("three hosts") };
        let long = Draft { expires_in: Some(HOUR * 5), ..draft("bob's words") };
        let made = world.publish(bob, group, long).expect("a life");
        world.await_record(&[ada, cleo], made.id);
        world.stop(cleo);
        world.start(cleo);
        world.await_opened(cleo);
        let edit = |text: &str| {
            let (id, expires_in) = (Some(made.id), Some(SOON));
            let draft = Draft { id, expires_in, ..draft(text.to_owned()) };
            Command::Group(group, GroupCommand::Publish { draft })
        };
        for text in ["cleo's first", "cleo's second"] {
            world.command(cleo, edit(text));
        }
        let last = world.ask(cleo, edit("cleo's last"));
        assert!(matches!(last, Ok(Reply::Record(_))), "{last:?}");
        world.await_synced(cleo);
        world.run_for(SOON * 3);
        let shown = seen(world, &hosts, group, &made);
        assert_eq!((shown.creator, shown.created), (made.creator, made.created));
        assert_eq!(shown.modifier, Some(world.hosts()[cleo].peer_id()));
        assert_eq!(shown.payload, "cleo's last");
        assert!(shown.expires >= made.expires, "it lives as long as Bob wanted");
        // A change of a change, by the creator of the group; then Bob's own; and a deletion only by
        // a member that may delete.
        for (host, text) in [(ada, "ada's"), (bob, "bob's again"), (cleo, "cleo's again")] {
            let change = Draft { id: Some(made.id), ..draft(text.to_owned()) };
            world.publish(host, group, change).expect("all may change it");
            world.run_for(SOON);
            assert_eq!(seen(world, &hosts, group, &made).payload, text);
        }
        assert_eq!(world.publish(cleo, group, deletion(&made)), Err(Error::NotYourRecord));
        assert!(world.publish(ada, group, deletion(&made)).is_ok());
        world.run_for(SOON);
        assert!(hosts.iter().all(|&host| world.texts(host, group).is_empty()));
        assert_eq!((world.counts.misbehaved, world.counts.caught), (0, 0));
    });
}

/// Something that Cleo signs.
type Lie = fn(&mut Record);

/// Goal: no copy goes because an editor says so, and the editor is blamed for it wherever it says so. Method: each lie about
/// Bob's record is flooded to all neighbours.
#[test]
fn editor_that_ends_or_makes_up_anothers_record_is_blamed_at_every_hop() {
    let lies: [(BadRecord, Lie); 6] = [
        (BadRecord::Life, |r| r.expires = r.modified.after(Duration::from_secs(3))),
        (BadRecord::Life, |r| r.expires = r.expires.after(HOUR)),
        // A version of Bob's that Bob never signed.
        (BadRecord::Beginning, |r| r.beginning.as_mut().expect("Bob's").version += 1),
        (BadRecord::Beginning, |r| r.created = r.created.before(HOUR)),
        (BadRecord::Beginning, |r| {
            r.id = peergraph_core::id::RecordId::new(r.creator, r.kind.as_str(), 99);
        }),
        (BadRecord::Beginning, |r| r.beginning = None),
    ];
    for (fault, lie) in lies {
        let test = "editor_that_ends_or_makes_up_anothers_record_is_blamed_at_every_hop";
        each_seed(test, 10, |world| {
            let (group, hosts) = wiki(world, &["ada", "bob", "dan", "cleo"]);
            let [ada, bob, dan, cleo] = hosts[..] else { panic!("four hosts") };
            for host in [ada, dan, cleo] {
                world.say_to(host, group, &format!("host {host} is here"), &hosts);
            }
            let words = Draft { expires_in: Some(HOUR * 5), ..draft("bob's words") };
            let made = world.publish(bob, group, words).expect("a life");
            world.await_record(&hosts, made.id);
            world.run_for(Duration::from_secs(20));
            world.host(cleo).liar = true;
            let lie = world.edit_by(cleo, group, &made, lie).expect("Cleo has published");
            let told = world.bring(cleo, &[lie]);
            assert!(!told.is_empty());
            world.run_for(Duration::from_secs(10));
            let faults_at = |host: HostId| -> BTreeSet<Misbehaved> {
                let events = world.hosts()[host].events.iter();
                let faults = events.filter_map(|(_, event)| match event {
                    Event::PeerMisbehaved { fault, .. } => Some(*fault),
                    _ => None,
                });
                faults.collect()
            };
            for host in told {
                assert_eq!(faults_at(host), BTreeSet::from([Misbehaved::Record(fault)]));
            }
            assert_eq!(world.counts.misbehaved, 0, "no honest member was blamed");
            let shown = seen(world, &[ada, bob, dan], group, &made);
            assert_eq!(shown, made);
            assert_eq!(world.texts(ada, group).len(), 4);
        });
    }
}

/// Cleo's forged change of a version of Bob's, under a version as high as it may be.
fn lie_about(world: &mut World, cleo: HostId, group: GroupId, of: &Record, n: u64) -> Signed {
    let lie = world.edit_by(cleo, group, of, |record| {
        record.deleted = false;
        record.version += (300_000 + n) << 16;
        record.payload = format!("lie {n}").into_bytes().into();
    });
    lie.expect("Cleo has published")
}

/// Goal: what an editor makes of an old version of another's record takes nothing from the newer one, nor does it bring back
/// what was deleted; and nobody is blamed, since honest members change old versions, too. Method: Bob lengthens the life of
/// a record and Cleo's lies about its first version are on their way at the same time, to a node that was away as well; then
/// Bob or Ada deletes it, and Cleo's lies are about each of Bob's versions, the deletion included.
#[test]
fn editor_takes_nothing_from_newer_versions_and_brings_nothing_back() {
    let test = "editor_takes_nothing_from_newer_versions_and_brings_nothing_back";
    each_seed(test, 20, |world| {
        let (group, hosts) = wiki(world, &["ada", "bob", "dan", "cleo"]);
        let [ada, bob, dan, cleo] = hosts[..] else { panic!("four hosts") };
        let honest = [ada, bob, dan];
        for host in [ada, dan, cleo] {
            world.say_to(host, group, &format!("host {host} is here"), &hosts);
        }
        let short = Draft { expires_in: Some(HOUR), ..draft("bob's first") };
        let first = world.publish(bob, group, short).expect("a life");
        world.await_record(&hosts, first.id);
        // A record that is brought before two hosts are neighbours breaks another rule.
        world.run_for(Duration::from_secs(20));
        world.host(cleo).liar = true;
        let lies: Vec<Signed> = (0..3).map(|n| lie_about(world, cleo, group, &first, n)).collect();
        world.stop(dan);
        let (id, expires_in) = (Some(first.id), Some(HOUR * 5));
        let longer = Draft { id, expires_in, ..draft("bob's second") };
        world.command(bob, Command::Group(group, GroupCommand::Publish { draft: longer }));
        world.bring(cleo, &lies[..2]);
        world.run_for(Duration::from_secs(20));
        world.start(dan);
        world.await_opened(dan);
        world.bring(cleo, &lies);
        world.await_synced(dan);
        world.run_for(SOON);
        let second = seen(world, &honest, group, &first);
        assert_eq!(
            (&second.payload[..], second.modifier),
            (&b"bob's second"[..], Some(first.creator))
        );
        assert!(second.expires >= first.expires.after(HOUR * 3));

        let by = *world.chance.of(&[ada, bob]);
        world.command(by, Command::Group(group, GroupCommand::Publish { draft: deletion(&first) }));
        world.bring(cleo, &lies);
        world.run_for(SOON);
        let records = world.hosts()[cleo].disk.records(group).into_iter();
        let grave =
            records.into_iter().find(|it| it.id == first.id && it.deleted).expect("deleted");
        let versions = [Some(first), Some(second), (by == bob).then_some(grave)];
        let more: Vec<Signed> = (versions.into_iter().flatten().zip(10..))
            .map(|(of, n)| lie_about(world, cleo, group, &of, n))
            .collect();
        world.bring(cleo, &more);
        world.stop(dan);
        world.start(dan);
        world.await_opened(dan);
        world.bring(cleo, &more);
        world.await_synced(dan);
        world.run_for(HOUR * 2);
        world.bring(cleo, &[lies, more].concat());
        world.run_for(SOON);
        for host in honest {
            assert_eq!(world.texts(host, group).len(), 3, "host {host}: what was deleted is gone");
        }
        assert_eq!((world.counts.misbehaved, world.counts.caught), (0, 0));
    });
}

/// Goal: an administrator withdraws another's invitation, also right after a start, when only the disk holds it.
#[test]
fn administrator_that_has_just_started_withdraws_anothers_invitation() {
    let test = "administrator_that_has_just_started_withdraws_anothers_invitation";
    each_seed(test, 20, |world| {
        let (group, hosts) = wiki(world, &["ada", "bob", "cleo"]);
        let [ada, bob, cleo] = hosts[..] else { panic!("three hosts") };
        for &host in &hosts {
            world.say_to(host, group, &format!("host {host} is here"), &hosts);
        }
        let peer = world.hosts()[bob].peer_id();
        let issued = world.ask(
            ada,
            Command::Group(group, GroupCommand::Issue { peer, grant: Role::Administrator.into() }),
        );
        assert!(matches!(issued, Ok(Reply::Ok)), "{issued:?}");
        let (grant, uses, expires_in) = (Role::Member.into(), 3, HOUR);
        let open = world.invite(ada, group, Invite::Bearer { grant, uses, expires_in });
        let invitation = open.expect("the owner invites").id().expect("its maker knows it");
        world.run_for(SOON);
        world.stop(bob);
        world.start(bob);
        world.await_opened(bob);
        let withdrawn =
            world.ask(bob, Command::Group(group, GroupCommand::Withdraw { invitation }));
        assert!(matches!(withdrawn, Ok(Reply::Ok)), "{withdrawn:?}");
        world.await_synced(bob);
        world.run_for(SOON);
        for host in [ada, bob, cleo] {
            let open = world.ask(host, Command::Group(group, GroupCommand::Invitations));
            assert!(matches!(&open, Ok(Reply::Invitations(open)) if open.is_empty()), "{open:?}");
        }
        assert_eq!((world.counts.misbehaved, world.counts.caught), (0, 0));
    });
}
