//! Invitations: the newcomers that get in, those that do not, and what they are told.
use crate::each_seed;
use bytes::Bytes;
use peergraph_core::cert::{CertError, Role};
use peergraph_core::error::{Error, Misbehaved};
use peergraph_core::id::RootPin;
use peergraph_core::invitation::Invitation;
use peergraph_core::io::{Command, Event, GroupCommand, Invite, NodeState, Outcome, Place, Reply};
use peergraph_core::password::Password;
use peergraph_core::wire::kind;
use peergraph_tests::World;
use peergraph_tests::host::{Kind, node_url, rtc_address};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
/// Generous: a member that starts again looks for the others first.
const JOIN_WITHIN: Duration = Duration::from_secs(90);

#[test]
fn bound_invitation_lets_its_owner_in_while_the_inviter_is_away() {
    each_seed("bound_invitation_lets_its_owner_in_while_the_inviter_is_away", 100, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        let [ada, bob] = hosts[..] else { panic!("two hosts") };
        let cleo = world.native("cleo");
        let mut invitation = world.invite_bound(ada, group, cleo, Role::Member);
        invitation.addresses = vec![rtc_address(bob)];
        world.crash(ada);
        assert_eq!(world.join(cleo, invitation), Ok(group));
        world.await_synced(cleo);
        world.say_to(cleo, group, "hello", &[bob]);
        world.say_to(bob, group, "welcome", &[cleo]);
    });
}

#[test]
fn bearer_invitation_is_redeemed_after_a_trip_through_its_text() {
    each_seed("bearer_invitation_is_redeemed_after_a_trip_through_its_text", 100, |world| {
        let ada = world.native("ada");
        let group = world.create_group(ada, "talk");
        let text = world.invite_bearer(ada, group, 2, HOUR).to_text();
        for name in ["bob", "cleo"] {
            let guest = world.native(name);
            let invitation = Invitation::from_text(&text).expect("it was written by us");
            assert_eq!(world.join(guest, invitation), Ok(group));
            world.await_synced(guest);
        }
        world.say_to(1, group, "we are in", &[0, 2]);
    });
}

/// Goal: a newcomer waits for as few answers as can be, and opens no link in vain. Method: a network in which every trip takes
/// 40 ms and all else little: two to hear of a seat, four for offer and answer, nine that a channel takes, two that the
/// handshake takes, then its last message with the proof of the invitation behind it, and the membership with the welcome and
/// the first record behind it.
#[test]
fn newcomer_sees_the_first_record_after_few_trips_over_one_link() {
    each_seed("newcomer_sees_the_first_record_after_few_trips_over_one_link", 20, |world| {
        const TRIP_US: u64 = 40_000;
        const TRIPS_MAX: u64 = 19;
        world.network.latency = (TRIP_US, TRIP_US);
        let relay = world.add_stopped(Kind::Native, "relay");
        world.host(relay).rendezvous = true;
        world.start(relay);
        world.await_opened(relay);
        let (ada, bob) = (world.browser("ada"), world.browser("bob"));
        for host in [ada, bob] {
            let answer = world.ask(host, Command::Connect { node: node_url(relay) });
            assert!(answer.is_ok(), "{answer:?}");
        }
        let group = world.create_group(ada, "talk");
        world.say(ada, group, "welcome");
        let invitation = world.invite_bearer(ada, group, 1, HOUR);
        world.run_for(Duration::from_secs(5));
        assert_eq!(world.links(bob).len(), 1, "one link to the node, whatever its addresses");
        let (begun, links) = (world.time(), world.counts.links_opened);
        world.command(bob, Command::Join { invitation, password: None });
        let greeted =
            |world: &World| world.has_event(bob, |event| matches!(event, Event::Record { .. }));
        assert!(world.run_until(Duration::from_secs(60), greeted), "bob never saw it");
        let trips = (world.time() - begun).as_micros() as u64 / TRIP_US;
        assert!(trips <= TRIPS_MAX, "it took {trips} trips");
        assert_eq!(world.counts.links_opened - links, 2, "an offer, and its answer");
    });
}

/// Goal: a node is dialled while the store is read, and its groups are found there all the same. Method: a disk that takes
/// longer to read than a link to open.
#[test]
fn node_that_is_reached_before_the_store_is_read_serves_the_groups_in_it() {
    let name = "node_that_is_reached_before_the_store_is_read_serves_the_groups_in_it";
    each_seed(name, 20, |world| {
        let relay = world.add_stopped(Kind::Native, "relay");
        world.host(relay).rendezvous = true;
        world.start(relay);
        world.await_opened(relay);
        let (ada, bob) = (world.browser("ada"), world.browser("bob"));
        for host in [ada, bob] {
            let answer = world.ask(host, Command::Connect { node: node_url(relay) });
            assert!(answer.is_ok(), "{answer:?}");
        }
        let group = world.create_group(ada, "talk");
        let invitation = world.invite_bearer(ada, group, 1, HOUR);
        assert_eq!(world.join(bob, invitation), Ok(group));
        world.await_synced(bob);
        world.crash(bob);
        world.run_for(Duration::from_secs(20));
        world.host(bob).disk.read_delay = (3_000_000, 3_000_000);
        world.start(bob);
        let request = world.command(bob, Command::Connect { node: node_url(relay) });
        let linked = |world: &World| {
            world.has_event(bob, |it| {
                matches!(it, Event::NamedNode { state: NodeState::Linked { .. }, .. })
            })
        };
        world.host(bob).events.clear();
        assert!(world.run_until(Duration::from_secs(2), linked), "the store was waited for");
        assert!(world.is_answered(bob, request) && !world.hosts()[bob].opened);
        world.await_opened(bob);
        assert!(
            world.run_until(Duration::from_secs(30), |world| world.hosts()[bob].neighbours > 0)
        );
        world.say_to(ada, group, "back", &[bob]);
    });
}

/// Goal: a newcomer sees what is new before stores are compared, and nothing twice. Method: the order of what its
/// application is told, in groups small and large.
#[test]
fn newcomer_is_shown_the_newest_records_before_any_comparison() {
    each_seed("newcomer_is_shown_the_newest_records_before_any_comparison", 30, |world| {
        let ada = world.native("ada");
        let group = world.create_group(ada, "talk");
        let count = *world.chance.of(&[1, 20, 200]);
        for number in 0..count {
            world.say(ada, group, &format!("{number}"));
        }
        let invitation = world.invite_bearer(ada, group, 1, HOUR);
        let bob = world.native("bob");
        assert_eq!(world.join(bob, invitation), Ok(group));
        world.await_synced(bob);
        world.run_for(Duration::from_secs(5));
        let events = world.hosts()[bob].events.iter();
        let mut before = 0;
        for (_, event) in events.clone() {
            match event {
                Event::Record { .. } => before += 1,
                Event::Sync { .. } => break,
                _ => {}
            }
        }
        assert!(before > 0 && before <= count, "{before} of {count} come first");
        assert!(before == count || before >= 20, "{before} of {count} come first");
        let told = events.filter(|(_, event)| matches!(event, Event::Record { .. })).count();
        assert_eq!(told, count, "each is shown once");
        assert_eq!(world.records(ada, group), world.records(bob, group));
        let last = world.records(bob, group).pop().expect("some");
        assert_eq!(last.payload, format!("{}", count - 1).as_bytes());
        assert_eq!(world.counts.misbehaved, 0);
    });
}

#[test]
fn bearer_invitation_is_redeemed_through_another_member() {
    each_seed("bearer_invitation_is_redeemed_through_another_member", 50, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        let mut invitation = world.invite_bearer(hosts[0], group, 1, HOUR);
        invitation.addresses = vec![rtc_address(hosts[1])];
        let cleo = world.native("cleo");
        assert_eq!(world.join(cleo, invitation), Ok(group));
    });
}

#[test]
fn used_up_invitation_is_refused() {
    each_seed("used_up_invitation_is_refused", 50, |world| {
        let ada = world.native("ada");
        let group = world.create_group(ada, "talk");
        let invitation = world.invite_bearer(ada, group, 1, HOUR);
        let (bob, cleo) = (world.native("bob"), world.native("cleo"));
        assert_eq!(world.join(bob, invitation.clone()), Ok(group));
        assert_eq!(world.join(cleo, invitation), Err(Error::InvitationUsedUp));
        let peer = world.hosts()[cleo].peer_id();
        assert!(world.members(ada, group).iter().all(|member| member.peer != peer));
    });
}

/// Goal: one word that an invitation is over ends no join: a member that says so has to show that
/// it could let the newcomer in. Method: the only member that is there may not let anybody in, and
/// its answer is changed on its way so that it says "over"; the inviter comes a little later.
#[test]
fn unproved_word_that_an_invitation_is_over_ends_no_join() {
    each_seed("unproved_word_that_an_invitation_is_over_ends_no_join", 20, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        let [ada, bob] = hosts[..] else { panic!("two hosts") };
        let mut invitation = world.invite_bearer(ada, group, 1, HOUR);
        invitation.addresses = vec![rtc_address(bob)];
        world.run_for(Duration::from_secs(5));
        world.crash(ada);
        let cleo = world.native("cleo");
        world.adversary.flip_after = Some(not_over());
        let request = world.command(cleo, Command::Join { invitation, password: None });
        world.run_for(Duration::from_secs(8));
        assert_eq!(world.adversary.changed, 1, "bob has answered");
        assert!(!world.is_answered(cleo, request), "{:?}", world.answer(cleo, request));
        world.start(ada);
        world.run_until(JOIN_WITHIN, |world| world.is_answered(cleo, request));
        let answer = world.answer(cleo, request);
        assert!(matches!(answer, Some(Ok(Reply::Group(_)))), "{answer:?}");
    });
}

/// The beginning of an answer that somebody cannot let us in, up to whether the invitation is over: on the first graph that
/// the initiator of a link opened, with two fields.
fn not_over() -> Bytes {
    Bytes::copy_from_slice(&[kind::NOT_GRANTED.number(), 0, 2, 0xa2, 0])
}

/// Goal: the holder of a link that was taken back is told so at once. Method: the maker, which may
/// have started again since, is asked alone and among others.
#[test]
fn withdrawn_link_is_told_from_others_at_once() {
    each_seed("withdrawn_link_is_told_from_others_at_once", 30, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob", "dan"]);
        let ada = hosts[0];
        let mut invitation = world.invite_bearer(ada, group, 1, HOUR);
        let id = invitation.id().expect("its maker knows it");
        invitation.addresses = hosts.iter().map(|&host| rtc_address(host)).collect();
        if world.chance.with(0.5) {
            invitation.addresses.truncate(1);
        }
        world.run_for(Duration::from_secs(5));
        let withdrawn =
            world.ask(ada, Command::Group(group, GroupCommand::Withdraw { invitation: id }));
        assert!(withdrawn.is_ok(), "{withdrawn:?}");
        world.run_for(Duration::from_secs(5));
        if world.chance.with(0.5) {
            world.stop(ada);
            world.start(ada);
            world.await_synced(ada);
        }
        let cleo = world.native("cleo");
        let invitation = Invitation::from_text(&invitation.to_text()).expect("written by us");
        let began = world.time();
        let told = world.join(cleo, invitation).err().map(|error| error.code());
        assert_eq!(told, Some("invitation-withdrawn"));
        let took = world.time() - began;
        assert!(took <= Duration::from_secs(2), "{took:?}");
    });
}

/// Goal: if nobody can prove that a link was taken back, its holder is told what was heard, and
/// from how many. Method: the only member that is there may let nobody in.
#[test]
fn member_that_heard_of_a_withdrawal_counts_once() {
    each_seed("member_that_heard_of_a_withdrawal_counts_once", 10, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        let [ada, bob] = hosts[..] else { panic!("two hosts") };
        let mut invitation = world.invite_bearer(ada, group, 1, HOUR);
        let id = invitation.id().expect("its maker knows it");
        invitation.addresses = vec![rtc_address(bob)];
        let withdrawn =
            world.ask(ada, Command::Group(group, GroupCommand::Withdraw { invitation: id }));
        assert!(withdrawn.is_ok(), "{withdrawn:?}");
        world.run_for(Duration::from_secs(10));
        world.crash(ada);
        let cleo = world.native("cleo");
        let Err(Error::NobodyFound(tried)) = world.join(cleo, invitation) else {
            panic!("nobody is there")
        };
        assert_eq!(tried.members, 1, "{tried}");
        assert!(tried.cure().contains("withdrawn"), "{tried}");
    });
}

/// Goal: an invitation renews no membership. Method: a member comes by its link once more, an hour later and under another
/// name.
#[test]
fn another_name_lasts_no_longer_than_the_membership() {
    each_seed("another_name_lasts_no_longer_than_the_membership", 20, |world| {
        let ada = world.native("ada");
        let group = world.create_group(ada, "talk");
        let invitation = world.invite_bearer(ada, group, 1, HOUR * 2);
        let bob = world.native("bob");
        assert_eq!(world.join(bob, invitation.clone()), Ok(group));
        world.say_to(bob, group, "hello", &[ada]);
        let peer = world.hosts()[bob].peer_id();
        let member = |world: &mut World, host| {
            let mut members = world.members(host, group).into_iter();
            let member = members.find(|member| member.peer == peer);
            member.map(|member| (member.name, member.expires))
        };
        let (_, until) = member(world, ada).expect("bob is a member");
        world.run_for(HOUR);
        let device = world.add_device(Kind::Native, "robert", bob);
        world.await_opened(device);
        assert_eq!(world.join(device, invitation), Ok(group));
        world.say_to(device, group, "call me robert", &[ada]);
        assert_eq!(member(world, ada), Some(("robert".to_owned(), until)));
    });
}

#[test]
fn expired_invitations_are_refused() {
    each_seed("expired_invitations_are_refused", 30, |world| {
        let ada = world.native("ada");
        let group = world.create_group(ada, "talk");
        let bearer = world.invite_bearer(ada, group, 1, Duration::from_secs(60));
        let bob = world.native("bob");
        world.run_for(Duration::from_secs(600));
        assert_eq!(world.join(bob, bearer), Err(Error::InvitationExpired));
    });
}

#[test]
fn newcomer_with_a_slow_clock_cannot_use_an_expired_invitation() {
    each_seed("newcomer_with_a_slow_clock_cannot_use_an_expired_invitation", 30, |world| {
        let ada = world.native("ada");
        let group = world.create_group(ada, "talk");
        let bearer = world.invite_bearer(ada, group, 1, Duration::from_secs(60));
        let bob = world.native("bob");
        world.run_for(Duration::from_secs(900));
        world.host(bob).clock.offset_ms -= 900_000;
        assert_eq!(world.join(bob, bearer), Err(Error::InvitationExpired));
        assert_eq!(world.members(ada, group).len(), 1);
    });
}

#[test]
fn invitation_for_another_identity_is_refused() {
    each_seed("invitation_for_another_identity_is_refused", 30, |world| {
        let ada = world.native("ada");
        let group = world.create_group(ada, "talk");
        let (bob, cleo) = (world.native("bob"), world.native("cleo"));
        let invitation = world.invite_bound(ada, group, bob, Role::Member);
        assert_eq!(world.join(cleo, invitation), Err(Error::InvitationForAnother));
    });
}

#[test]
fn invitation_that_names_another_group_is_refused() {
    each_seed("invitation_that_names_another_group_is_refused", 30, |world| {
        let ada = world.native("ada");
        let (talk, work) = (world.create_group(ada, "talk"), world.create_group(ada, "work"));
        let bob = world.native("bob");
        let of_talk = world.invite_bound(ada, talk, bob, Role::Member);
        let of_work = world.invite_bound(ada, work, bob, Role::Member);
        let forged = Invitation { kind: of_talk.kind, ..of_work };
        let answer = world.join(bob, forged);
        assert!(matches!(answer, Err(Error::InvitationInvalid(_))), "{answer:?}");
        let again = world.invite_bound(ada, talk, bob, Role::Member);
        let unpinned = Invitation { root: RootPin::from_bytes([1; 16]), ..again };
        let answer = world.join(bob, unpinned);
        assert_eq!(answer, Err(Error::InvitationInvalid(CertError::OtherGroup)));
    });
}

#[test]
fn root_that_is_not_the_pinned_one_is_believed_by_nobody() {
    each_seed("root_that_is_not_the_pinned_one_is_believed_by_nobody", 20, |world| {
        let ada = world.native("ada");
        let group = world.create_group(ada, "talk");
        // The same group key, another root: as where its owner signs two.
        let invitation = world.invite_bearer(ada, group, 2, HOUR);
        let unpinned = Invitation { root: RootPin::from_bytes([1; 16]), ..invitation.clone() };
        let bob = world.native("bob");
        assert_eq!(
            world.preview(bob, unpinned.clone()).err().map(|it| it.code()),
            Some("nobody-to-ask")
        );
        let blamed = |event: &Event| {
            matches!(event, Event::PeerMisbehaved { fault: Misbehaved::Membership, .. })
        };
        // The pin may be that of an heir of which this member has not heard: it is not to blame.
        assert!(!world.has_event(bob, blamed));
        let answer = world.join(bob, unpinned);
        assert!(matches!(answer, Err(Error::NobodyFound(_))), "{answer:?}");
        let cleo = world.native("cleo");
        assert_eq!(world.join(cleo, invitation), Ok(group), "a link that pins it");
    });
}

#[test]
fn link_with_the_url_of_a_node_alone_leads_in_and_is_remembered() {
    each_seed("link_with_the_url_of_a_node_alone_leads_in_and_is_remembered", 30, |world| {
        let ada = world.native("ada");
        let group = world.create_group(ada, "talk");
        let mut invitation = world.invite_bearer(ada, group, 1, HOUR);
        invitation.addresses.clear();
        invitation.nodes = vec![node_url(ada)];
        let link = invitation.to_link("https://n0.world.example/chat/");
        assert!(link.len() < 160, "{link}");
        let bob = world.native("bob");
        let read = Invitation::from_text(&link).expect("it was written by us");
        assert_eq!(read.nodes, [node_url(ada)]);
        assert_eq!(world.join(bob, read), Ok(group));
        world.await_synced(bob);
        // After a restart he looks the node up again.
        let looked_up = |world: &World| {
            let events = world.hosts()[bob].events.iter();
            let named = |event: &Event| matches!(event, Event::NamedNode { url, .. } if *url == node_url(ada));
            events.filter(|(_, event)| named(event)).count()
        };
        world.stop(bob);
        let before = looked_up(world);
        world.start(bob);
        assert!(world.run_until(HOUR, |world| looked_up(world) > before));
        world.await_synced(bob);
    });
}

#[test]
fn preview_tells_what_the_group_is_and_spends_no_use() {
    each_seed("preview_tells_what_the_group_is_and_spends_no_use", 50, |world| {
        let ada = world.native("ada");
        let group = world.create_group(ada, "talk");
        let text = world.invite_bearer(ada, group, 1, HOUR).to_text();
        let invitation = Invitation::from_text(&text).expect("it was written by us");
        let bob = world.native("bob");
        for _ in 0..3 {
            let preview = world.preview(bob, invitation.clone()).expect("Ada is there");
            assert_eq!((preview.group, preview.name.as_str()), (group, "talk"));
            let open = preview.open.expect("it is open");
            assert_eq!(
                (open.inviter, open.inviter_name.as_str()),
                (world.hosts()[ada].peer_id(), "ada")
            );
            assert_eq!((open.left(), open.grant.role), (Some(1), Role::Member));
            assert_eq!(Some(open.expires), invitation.expires);
        }
        assert_eq!(group_count(world, bob), 0, "to look is not to join");
        assert_eq!(world.join(bob, invitation.clone()), Ok(group));
        world.await_synced(bob);
        let preview = world.preview(ada, invitation.clone()).expect("it is her group");
        assert_eq!(preview.open.and_then(|open| open.left()), Some(0));
        // Somebody else is told that it is used up before trying, and its maker that nobody can
        // come by it any longer.
        let cleo = world.native("cleo");
        let preview = world.preview(cleo, invitation).expect("Ada is there");
        assert_eq!(preview.state.word(), "used-up");
        assert_eq!(preview.open.and_then(|open| open.left()), Some(0));
        let Ok(Reply::Invitations(listed)) =
            world.ask(ada, Command::Group(group, GroupCommand::Invitations))
        else {
            panic!("they are listed")
        };
        assert_eq!(listed.iter().map(|it| it.state.word()).collect::<Vec<_>>(), ["used-up"]);
    });
}

#[test]
fn preview_blocks_no_join_and_a_join_no_preview() {
    each_seed("preview_blocks_no_join_and_a_join_no_preview", 50, |world| {
        let ada = world.native("ada");
        let group = world.create_group(ada, "talk");
        let invitation = world.invite_bearer(ada, group, 2, HOUR);
        for (name, look_first) in [("bob", true), ("cleo", false)] {
            let guest = world.native(name);
            let look = Command::Preview { invitation: invitation.clone() };
            let join = Command::Join { invitation: invitation.clone(), password: None };
            let commands = if look_first { [look, join] } else { [join, look] };
            let requests = commands.map(|command| world.command(guest, command));
            for request in requests {
                let within = Duration::from_secs(30);
                assert!(world.run_until(within, |world| world.is_answered(guest, request)));
                let answer = world.answer(guest, request);
                assert!(matches!(answer, Some(Ok(_))), "{answer:?}");
            }
            world.await_synced(guest);
        }
    });
}

#[test]
fn preview_without_anybody_says_where_it_looked() {
    each_seed("preview_without_anybody_says_where_it_looked", 20, |world| {
        let ada = world.native("ada");
        let group = world.create_group(ada, "talk");
        let invitation = world.invite_bearer(ada, group, 1, HOUR);
        world.stop(ada);
        let bob = world.native("bob");
        let Err(error) = world.preview(bob, invitation.clone()) else { panic!("nobody is there") };
        let failed = |place: &Place| {
            place.address == Some(rtc_address(ada)) && matches!(place.outcome, Outcome::Failed(_))
        };
        assert!(error.tried().is_some_and(|it| it.places.iter().any(failed)), "{error:?}");
        let nowhere = Invitation { addresses: Vec::new(), ..invitation.clone() };
        let Err(error) = world.preview(bob, nowhere) else { panic!("nobody is there") };
        assert!(error.to_string().contains("names no place to look"), "{error}");
        // It is over then: a join begins anew, and finds her when she is back.
        world.start(ada);
        assert_eq!(world.join(bob, invitation), Ok(group));
    });
}

#[test]
fn preview_of_a_withdrawn_invitation_says_that_it_is_not_open() {
    each_seed("preview_of_a_withdrawn_invitation_says_that_it_is_not_open", 20, |world| {
        let ada = world.native("ada");
        let group = world.create_group(ada, "talk");
        let invitation = world.invite_bearer(ada, group, 1, HOUR);
        let id = invitation.id().expect("its maker knows it");
        let withdrawn =
            world.ask(ada, Command::Group(group, GroupCommand::Withdraw { invitation: id }));
        assert!(withdrawn.is_ok(), "{withdrawn:?}");
        let bob = world.native("bob");
        let preview = world.preview(bob, invitation).expect("Ada is there");
        assert_eq!((preview.name.as_str(), preview.open), ("talk", None));
        assert_eq!(preview.state.word(), "withdrawn");
    });
}

#[test]
fn preview_of_a_bound_invitation_needs_nobody() {
    each_seed("preview_of_a_bound_invitation_needs_nobody", 5, |world| {
        let ada = world.native("ada");
        let group = world.create_group(ada, "talk");
        let bob = world.native("bob");
        let invitation = world.invite_bound(ada, group, bob, Role::Inviting);
        world.crash(ada);
        let preview = world.preview(bob, invitation).expect("it says all itself");
        let open = preview.open.expect("open");
        assert_eq!((open.grant.role, open.uses), (Role::Inviting, None));
        assert_eq!((preview.name.as_str(), open.inviter_name.as_str()), ("talk", "ada"));
    });
}

#[test]
fn bearer_invitation_waits_for_an_inviter_and_then_says_that_nobody_was_found() {
    let name = "bearer_invitation_waits_for_an_inviter_and_then_says_that_nobody_was_found";
    each_seed(name, 30, |world| {
        let ada = world.native("ada");
        let group = world.create_group(ada, "talk");
        let invitation = world.invite_bearer(ada, group, 1, HOUR);
        world.crash(ada);
        let bob = world.native("bob");
        let answer = world.join(bob, invitation);
        assert!(matches!(answer, Err(Error::NobodyFound(_))), "{answer:?}");
        assert_eq!(group_count(world, bob), 0, "nothing is left of the attempt");
    });
}

fn group_count(world: &mut World, host: usize) -> usize {
    use peergraph_core::io::Reply;
    match world.ask(host, Command::Groups) {
        Ok(Reply::Groups(groups)) => groups.len(),
        other => panic!("groups answered {other:?}"),
    }
}

#[test]
fn joining_again_is_done_at_once() {
    each_seed("joining_again_is_done_at_once", 30, |world| {
        let ada = world.native("ada");
        let group = world.create_group(ada, "talk");
        let bob = world.native("bob");
        let mut invitation = world.invite_bound(ada, group, bob, Role::Member);
        invitation.addresses = vec![rtc_address(ada)];
        assert_eq!(world.join(bob, invitation.clone()), Ok(group));
        let before = world.time();
        assert_eq!(world.join(bob, invitation), Ok(group));
        assert_eq!(world.time(), before);
    });
}

#[test]
fn member_without_the_role_cannot_invite() {
    each_seed("member_without_the_role_cannot_invite", 20, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        let cleo = world.native("cleo");
        let identity = world.hosts()[cleo].certificate.clone();
        let bound = Invite::Bound { identity, grant: Role::Member.into() };
        assert_eq!(world.invite(hosts[1], group, bound).err(), Some(Error::NotAllowed));
        let bearer = Invite::Bearer { grant: Role::Member.into(), uses: 1, expires_in: HOUR };
        assert_eq!(world.invite(hosts[1], group, bearer).err(), Some(Error::NotAllowed));
    });
}

#[test]
fn stranger_with_the_address_alone_gets_no_record() {
    each_seed("stranger_with_the_address_alone_gets_no_record", 50, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        world.say_to(hosts[0], group, "between us", &hosts);
        let eve = world.native("eve");
        // She has a group of her own, and knows the id of theirs from hearsay.
        world.create_group(eve, "mine");
        world.point(eve, hosts[0]);
        world.run_for(Duration::from_secs(60));
        assert!(world.links(eve).iter().all(|link| link.graphs.is_empty()));
        assert!(
            world
                .links(hosts[0])
                .iter()
                .all(|link| link.peer != Some(world.hosts()[eve].peer_id())
                    || link.graphs.is_empty())
        );
        let (_, received) = world.hosts()[eve].traffic;
        assert!(received < 8_000, "{received} bytes for a stranger in a minute");
    });
}

/// Goal: a join that nobody waits for any longer is not in the way of the next one. Method: the only member that
/// lets others in is away; the newcomer is linked to another one, waits in vain, and tries again with another link.
#[test]
fn later_join_takes_the_place_of_one_under_way() {
    each_seed("later_join_takes_the_place_of_one_under_way", 50, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        let password = || Password::new("correct horse").expect("long enough");
        let grant = Role::Member.into();
        let how = Invite::Password { grant, password: password(), uses: 1, expires_in: HOUR };
        let mut by_password = world.invite(hosts[0], group, how).expect("an administrator invites");
        let mut bearer = world.invite_bearer(hosts[0], group, 1, HOUR);
        for invitation in [&mut by_password, &mut bearer] {
            invitation.addresses = vec![rtc_address(hosts[1])];
        }
        world.run_for(Duration::from_secs(5));
        world.crash(hosts[0]);
        let cleo = world.native("cleo");
        let join = Command::Join { invitation: by_password, password: Some(password()) };
        let first = world.command(cleo, join);
        world.run_for(Duration::from_secs(10));
        assert!(!world.is_answered(cleo, first), "nobody is there who could let it in");
        world.start(hosts[0]);
        world.await_opened(hosts[0]);
        let second = world.command(cleo, Command::Join { invitation: bearer, password: None });
        world.run_until(JOIN_WITHIN, |world| world.is_answered(cleo, second));
        let outcome = world.answer(cleo, second);
        assert!(matches!(outcome, Some(Ok(Reply::Group(_)))), "{outcome:?}");
        assert_eq!(world.answer(cleo, first).and_then(Result::err), Some(Error::Busy));
        world.await_synced(cleo);
        world.say_to(cleo, group, "hello", &[hosts[1]]);
    });
}

/// Goal: the answer to an earlier join's wrong password is not the end of a later join. Method: newcomers try a wrong
/// password, and the right one or a link a little later, at all moments of the exchange; each has invitations of its own.
#[test]
fn later_join_outlives_the_answers_to_the_earlier_one() {
    each_seed("later_join_outlives_the_answers_to_the_earlier_one", 3, |world| {
        let (group, hosts) = world.group_of(&["ada", "bob"]);
        let password = |text: &str| Password::new(text).expect("long enough");
        for delay in (0..1_200).step_by(40) {
            let how = Invite::Password {
                grant: Role::Member.into(),
                password: password("correct horse"),
                uses: 1,
                expires_in: HOUR,
            };
            let mut invited = world.invite(hosts[0], group, how).expect("an administrator invites");
            let mut bearer = world.invite_bearer(hosts[0], group, 1, HOUR);
            for invitation in [&mut invited, &mut bearer] {
                invitation.addresses = vec![rtc_address(hosts[0])];
            }
            let by = |invitation: &Invitation, text: Option<&str>| Command::Join {
                invitation: invitation.clone(),
                password: text.map(password),
            };
            let cleo = world.native(&format!("cleo {delay}"));
            let first = world.command(cleo, by(&invited, Some("wrong horse")));
            world.run_for(Duration::from_millis(delay));
            let second = if delay % 80 == 0 {
                by(&invited, Some("correct horse"))
            } else {
                by(&bearer, None)
            };
            let second = world.command(cleo, second);
            world.run_until(JOIN_WITHIN, |world| world.is_answered(cleo, second));
            let outcome = world.answer(cleo, second);
            assert!(matches!(outcome, Some(Ok(Reply::Group(_)))), "after {delay} ms: {outcome:?}");
            let earlier = world.answer(cleo, first).and_then(Result::err);
            assert!(matches!(earlier, Some(Error::Busy | Error::WrongPassword)), "{earlier:?}");
        }
    });
}

/// Goal: a newcomer that first had a preview, from a member that may let nobody in, joins all the
/// same. Method: browsers that find each other at a node alone look at a link, and follow it at
/// once or a little later; only its maker can let them in.
#[test]
fn join_after_a_preview_by_a_member_that_lets_nobody_in() {
    each_seed("join_after_a_preview_by_a_member_that_lets_nobody_in", 10, |world| {
        let node = world.add_stopped(Kind::Native, "node");
        world.host(node).rendezvous = true;
        world.start(node);
        world.await_opened(node);
        let meets_at = || Command::Connect { node: rtc_address(node).into() };
        let ada = world.browser("ada");
        world.command(ada, meets_at());
        let group = world.create_group(ada, "talk");
        let mut invitation = world.invite_bearer(ada, group, 8, HOUR);
        invitation.addresses.clear();
        for (name, delay) in [("bob", 50), ("cleo", 50), ("dan", 2_000), ("eve", 10_000)] {
            let guest = world.browser(name);
            world.command(guest, meets_at());
            world.preview(guest, invitation.clone()).expect("members are there");
            world.run_for(Duration::from_millis(delay));
            let joined = world.join(guest, invitation.clone());
            assert_eq!(joined, Ok(group), "{name}");
        }
    });
}

/// Goal: neighbours that are dead, which nobody knows yet, keep no newcomer waiting. Method: all neighbours of the inviter are
/// killed at once; somebody joins, whose membership the inviter holds within a few seconds.
#[test]
fn newcomer_is_heard_beside_neighbours_that_were_killed() {
    each_seed("newcomer_is_heard_beside_neighbours_that_were_killed", 20, |world| {
        let (group, hosts) = world.group_of_many(9);
        let ada = hosts[0];
        world.run_for(Duration::from_secs(30));
        for &host in &hosts[1..] {
            world.crash(host);
        }
        let cleo = world.native("cleo");
        let invitation = world.invite_bearer(ada, group, 1, HOUR);
        world.command(cleo, Command::Join { invitation, password: None });
        let held = |world: &World| world.has_event(cleo, |it| matches!(it, Event::Status { .. }));
        assert!(world.run_until(Duration::from_secs(5), held), "its membership is held by nobody");
    });
}
