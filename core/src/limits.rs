//! Every bound of the core, with its unit, its source, and what happens at the bound.
use crate::share::Pool;
use crate::time::WallTime;
use std::time::Duration;

// --- frames and messages ---------------------------------------------------------------------------

/// Longest frame on a link. Bytes. Design §6: messages of 16 KiB are fast on every engine (measured).
/// A longer one costs the link.
pub const FRAME_BYTES_MAX: usize = 16 * 1024;
/// Longest message before the handshake is complete. Bytes. Guess: three certificates fit. Costs the link.
pub const HANDSHAKE_BYTES_MAX: usize = 8 * 1024;
/// Longest message after it that is no flood; of a flood, what it has besides a record's payload. Bytes. Guess. Costs the link.
pub const MESSAGE_OVERHEAD_BYTES_MAX: usize = 256 * 1024;
/// Longest message of a peer that has shown no membership, and that was asked nothing. Bytes. Source: its longest message is
/// a chain of [`CHAIN_MAX`] certificates, and what stands around it. Costs the link.
pub const STRANGER_BYTES_MAX: usize = CHAIN_MAX * CERTIFICATE_BYTES_MAX + HANDSHAKE_BYTES_MAX;
/// Bytes of messages of which a part has come, over all links but those to neighbours, and those of the strangers of one
/// [source](crate::source::Source), or of one link of ours. Guess: a hundred newcomers with the longest chains, or some
/// thousand with usual ones. The oldest message of the holder that has most gives way, with its link.
pub const PARTIAL_BYTES: Pool = Pool::of(16 * 1024 * 1024, 2 * 1024 * 1024);
/// Bytes handed to a transport and not yet reported as gone, per link. Guess: 4 ms at 60 MB/s. Bytes
/// over it wait in the link's queue.
pub const IN_TRANSPORT_BYTES_MAX: usize = 256 * 1024;
/// A host reports [`Input::Buffered`](crate::io::Input::Buffered) when a transport's buffer falls to this. Bytes.
pub const BUFFERED_LOW_BYTES: usize = 64 * 1024;
/// Bytes in the queue of one link. Guess. At the bound the link is closed: its neighbour is too slow, and
/// sync brings it what it missed.
pub const LINK_QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of records that the application published and that are not durable yet, per group. Guess: some batches of a
/// disk. A record over it waits, see `group/publishing.rs`.
pub const PUBLISH_WRITING_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of records that are passed on and shown before they are durable, per group. Guess: what a disk takes in one go, so
/// that only bursts reach it. At the bound a record waits for the disk, in its order, before it is shown, and before it
/// goes out if it is ours; see `group/writing.rs`.
pub const AHEAD_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes that wait for the fastest neighbour at which publications wait too, per group. Guess: keeps its transport
/// busy, and is little in memory.
pub const PUBLISH_BACKLOG_BYTES_MAX: usize = 1024 * 1024;
/// Bytes that wait for the disk at which nothing more is read, or, in a browser, put off; and those that one link brought.
/// Guess: some batches of a disk. See `storage/waiting.rs`.
pub const WRITES_WAITING: Pool = Pool::of(16 * 1024 * 1024, 8 * 1024 * 1024);
/// Publications that wait, per group. Guess. A further one is refused as busy.
pub const PUBLISHES_WAITING_MAX: usize = 4_096;
/// Bytes of them. Guess. As above, but for one that waits alone.
pub const PUBLISHES_WAITING_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Longest offer, answer or candidate. Bytes. Measured: Chromium's offers are under 1 KiB.
pub const SIGNAL_BYTES_MAX: usize = 8 * 1024;

// --- links -------------------------------------------------------------------------------------------

/// Links of one node, all graphs together. Guess. A further stranger is refused at once.
pub const LINKS_MAX: usize = 5_000;
/// Links of ours whose handshake is not complete, and those of one group. Guess: a few groups that look for members. No
/// more are begun for that group; they are tried again.
pub const HALF_OPEN_OURS: Pool = Pool::of(512, 128);
/// Links of strangers whose handshake is not complete, and those from one [source](crate::source::Source). Source: engine
/// measurements (512 half-open); a class behind one router. The oldest of the source that has most gives way.
pub const HALF_OPEN_STRANGERS: Pool = Pool::of(512, 64);
/// Links that signals offered and whose handshake is not complete, and those of one member, or of one that brings the
/// signals of others. Guess: as above. The oldest of the one that has most gives way.
pub const HALF_OPEN_OFFERED: Pool = Pool::of(512, 64);
/// Signals that wait for the offer that they overtook, and those of one member or bringer. Guess: the candidates of as many
/// offers as come at once. The oldest of the one that has most gives way.
pub const EARLY_SIGNALS: Pool = Pool::of(512, 64);
/// Bytes of one of them. Guess: several times a candidate. A longer one is dropped.
pub const EARLY_SIGNAL_BYTES_MAX: usize = 1024;
/// Time from opening a transport to a usable link. Source: 5 s of ICE checks, DTLS, slow signalling.
pub const LINK_SETUP_TIMEOUT: Duration = Duration::from_secs(20);
/// Time from a usable transport to a complete handshake. Guess.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// A link says something at least this often. Guess: keeps NAT bindings (30 s) alive.
pub const KEEPALIVE_EVERY: Duration = Duration::from_secs(15);
/// A link that says nothing for this long after it was asked is dead. Guess: two keep-alives; it is asked after one
/// without a word, so a dead link is found within a minute, or at the second wake of a throttled timer.
pub const UNANSWERED_AFTER: Duration = Duration::from_secs(30);
/// A neighbour that says nothing for this long after being asked is not counted on until it does. Guess: many round trips.
pub const DOUBTED_AFTER: Duration = Duration::from_secs(3);
/// The same where the network has just changed, or the transport hears nothing: another link to the same node is begun then.
/// Source: the head start that the better way has, as RFC 8305 has it; if the first one answers after all, nothing is lost.
pub const PATH_DOUBTED_AFTER: Duration = Duration::from_millis(300);
/// A link that says nothing for this long after it was asked because the network has changed is dead. Guess: many round trips.
pub const PATH_SILENT_AFTER: Duration = Duration::from_secs(2);
/// The same for a link that is not open yet. Guess: what ICE may take.
pub const ATTEMPT_DOUBTED_AFTER: Duration = Duration::from_secs(5);
/// A link that serves no graph and no rendezvous is closed after this. Guess.
pub const UNUSED_LINK_AFTER: Duration = Duration::from_secs(20);
/// Graphs carried by one link. Guess. A further one is refused.
pub const GRAPHS_PER_LINK_MAX: usize = 64;

// --- relay -------------------------------------------------------------------------------------------

/// Circuits that a node carries for others, asks for them included, and those that one party asked for: a
/// [source](crate::source::Source), or a peer. Guess: a class behind one router, each with a few. The oldest of the party
/// that has most gives way.
pub const RELAY_CIRCUITS: Pool = Pool::of(1_024, 64);
/// Time that an ask waits for the other end. Guess: a signal over a slow network, several times. It is forgotten then.
pub const RELAY_WAITS_MAX: Duration = Duration::from_secs(10);
/// Bytes on their way to one end of a circuit, besides a frame. Guess: 640 KB/s at a round trip of 100 ms, more
/// than is given for long, and 160 MB if all circuits are full both ways. More costs the link.
pub const RELAY_WINDOW_BYTES: usize = 64 * 1024;
/// Bytes after which an end tells that it has taken them. Source: a quarter of the window, so that the other end rarely
/// waits.
pub const RELAY_TAKEN_BYTES: u64 = RELAY_WINDOW_BYTES as u64 / 4;
/// Bytes that one party may have relayed at once. Guess: joining a small group. Over it, it gets credit at the rate below.
pub const RELAY_SPARE_BYTES: u64 = 16 * 1024 * 1024;
/// The same, per second. Guess: a few who work together, or one film in poor quality.
pub const RELAY_BYTES_PER_SECOND: u64 = 256 * 1024;
/// Links of ours that others relay and that lead to no neighbour yet, those under way included, for which we have asked, and
/// those of one group. Guess: as many as are offered at once to the seats that a few rendezvous nodes name. No more are begun.
pub const RELAYED_ASKED: Pool = Pool::of(64, 16);
/// The same that were offered to us, and those that one rendezvous node brought. Guess: a class that joins at once over one node,
/// and another one over others. The oldest of the node that has most gives way.
pub const RELAYED_OFFERED: Pool = Pool::of(128, 64);
/// The same that one rendezvous node brought, and those of one seat there. Guess: one whose first link is dead tries a second
/// one. The oldest of the seat that has most gives way.
pub const RELAYED_OF_SEAT: Pool = Pool::of(RELAYED_OFFERED.each(), 2);
/// A link that was offered through a rendezvous node has so long before the node is asked to relay as well. Source: the head
/// start of the better way, as RFC 8305 has it; a direct link that comes later replaces the relayed one.
pub const RELAY_AFTER: Duration = Duration::from_millis(300);

// --- groups and the graph ----------------------------------------------------------------------------

/// Groups of one node. Guess. A further one is an error for the application.
pub const GROUPS_MAX: usize = 256;
/// Neighbours of one node in one graph. Guess: ten times as many as are of use. More is an error for who asks for them.
pub const NEIGHBOURS_MAX: usize = 100;
/// Referrals kept per graph, and of one peer that says them. Source: checklist C40; guess: twice what one message brings. The
/// oldest of the peer that has most gives way.
pub const REFERRALS: Pool = Pool::of(100, 20);
/// Referrals sent in one message. Source: checklist C40.
pub const REFERRALS_SENT_MAX: usize = 10;
/// Addresses of one node. Guess. The rest is ignored.
pub const ADDRESSES_MAX: usize = 8;
/// Addresses of a node's description that are looked at. Guess. The rest is ignored.
pub const DESCRIBED_MAX: usize = 64;
/// Nodes whose addresses are kept in the store for the next start, per group, and of one peer. Guess. Oldest out, of the
/// same peer if that has its share.
pub const KNOWN_ADDRESSES: Pool = Pool::of(32, 2);
/// Hops of a carried signal. Guess: twice the depth of a graph of 10,000 nodes. Dropped beyond.
pub const SIGNAL_HOPS_MAX: u8 = 16;
/// Nodes that called by signals and do not say that they are present, per graph, and those of one identity. Guess: those of
/// a minute; a person's devices. The oldest of who has most gives way.
pub const CALLERS: Pool = Pool::of(2_048, 8);
/// Attempts whose signals wait until the other end is found, per graph. Guess: many times as many as are under way. A further
/// one fails.
pub const SOUGHT_MAX: usize = 64;
/// Contacts remembered per graph, and of one peer. Guess: those of a few parts of a million nodes; a person's devices. The
/// oldest of the peer that has most gives way.
pub const CONTACTS: Pool = Pool::of(256, 4);
/// Nodes that were lost and are looked for, per graph. Guess: one that answers is enough. Oldest out.
pub const MISSING_MAX: usize = 64;
/// Nodes that nobody hears of, as members said, per graph, and as one member said. Guess: twice as many as a group has
/// present by default; twice as many as a node has neighbours. A further one is present until its presence ends.
pub const SILENT: Pool = Pool::of(128, 16);
/// Losses that one member may tell at once. Guess: as above. A loss over it is not passed on.
pub const LOSSES_SPARE: u64 = SILENT.each() * LOSS_COSTS;
/// Units that one costs, of which one is given back each second. Guess: it has one node answer, to everybody.
pub const LOSS_COSTS: u64 = 10;
/// Nodes that do not stand any more and whose addresses are remembered, per graph. Guess: a revocation takes away a few.
/// Oldest out: it must ask by itself whether it was taken back.
pub const EXILES_MAX: usize = 64;
/// Connection attempts under way per graph, besides those that are doubted; of those there are at most three times as
/// many, since they end after [`LINK_SETUP_TIMEOUT`]. Guess.
pub const ATTEMPTS_MAX: usize = 3;

// --- records and store -------------------------------------------------------------------------------

/// Default bound of a payload. Bytes. Design §7. An error for its publisher; others drop the record.
pub const PAYLOAD_BYTES_DEFAULT_MAX: usize = 1024 * 1024;
/// Highest bound that a group may set. Bytes. Source: reference 2.1, 60 MiB.
pub const PAYLOAD_BYTES_MAX: usize = 60 * 1024 * 1024;
/// Bytes that a change by another may add to what the creator made, or as many again as that has, if those are more. The
/// quotas count what creators made; so this bounds what others add. Guess: some pages of text. An error for whoever
/// publishes it; others drop the record.
pub const CHANGE_ADDS_BYTES_MAX: u32 = 16 * 1024;
/// Attributes of one record. Guess. An error for its publisher; others drop the record.
pub const ATTRIBUTES_MAX: usize = 64;
/// Bytes of all attributes of a record, encoded. Guess. As above.
pub const ATTRIBUTES_BYTES_MAX: usize = 16 * 1024;
/// Characters of an attribute name. Source: reference 1.2.
pub const ATTRIBUTE_NAME_MAX: usize = 40;
/// Characters of a record type. Design §7.
pub const TYPE_NAME_MAX: usize = 64;
/// A record that its publisher's node refreshes is renewed no later than this before it ends. Source: the ancestors' SDK.
pub const REFRESH_LEAD_MIN: Duration = Duration::from_secs(240);
/// Shortest life of a record that is refreshed; it leaves as much between two refreshes. A shorter one is lengthened.
pub const REFRESH_LIFETIME_MIN: Duration = Duration::from_secs(480);
/// Records that one node refreshes in one group. Guess. A further one is refused.
pub const REFRESHED_MAX: usize = 256;
/// Life of a record whose publisher names none. Guess: ten years.
pub const RECORD_LIFETIME_DEFAULT: Duration = Duration::from_secs(10 * 365 * 86_400);
/// How far a record may be ahead of peer time before it must wait. Source: security.md.
pub const FUTURE_MAX: Duration = Duration::from_secs(600);
/// Records that are deleted on this node only, per group. Guess: 200 KB. More are refused.
pub const HIDDEN_MAX: usize = 4_096;
/// Types that a node wants first in a sync. Guess. More are refused.
pub const PRIORITIES_MAX: usize = 16;
/// Records that the disk refused lately, per group, and of one publisher. Guess: 200 KB. Of who has more none is taken for a
/// while.
pub const REFUSED: Pool = Pool::of(4_096, 1_024);
/// Tombstones that end before what they hide, per group, and wait to be confirmed. Guess. More are not confirmed by us.
pub const TOMBSTONES_OUTLIVED_MAX: usize = 1_024;
/// Records that wait for the membership of their signer, and those that one neighbour brought: who signed them is not
/// known yet. Guess. The oldest of the neighbour that brought most gives way.
pub const DEFERRED: Pool = Pool::of(1_024, 512);
/// The same, per unknown certificate. Guess. Oldest out.
pub const DEFERRED_PER_CERTIFICATE_MAX: usize = 64;
/// Bytes of records that wait. Guess. As above.
pub const DEFERRED_BYTES: Pool = Pool::of(8 * 1024 * 1024, 4 * 1024 * 1024);
/// Bytes of one of them. Guess. A larger one does not wait: it comes with the next sync.
pub const DEFERRED_RECORD_BYTES_MAX: usize = 1024 * 1024;
/// Records that a security provider did not let in and that are remembered, per group; deferred ones are kept whole within
/// bounds like those above. Guess: 2 MB. Oldest out: the provider is asked again when it comes over another link.
pub const WITHHELD_MAX: usize = 16_384;
/// Application records of one group, of which one administrator holds at most half. Guess: the index then takes about
/// 250 MB. The member that holds most loses its oldest to a further one; the last places are for administrators.
pub const RECORDS: Pool = Pool::of(1_000_000, 500_000).reserving(125_000);
/// Application records of one member where the group's policy says nothing else, tombstones included. Guess: a member with
/// 100,000 records is possible. The newest stand; a further one is an error for its publisher while all are new.
pub const MEMBER_RECORDS_DEFAULT: u32 = 131_072;
/// Bytes of them. Guess: a thousand records of the default payload. As above.
pub const MEMBER_BYTES_DEFAULT: u64 = 1024 * 1024 * 1024;
/// How many times the bytes of one member all application records of a group may have. Guess.
pub const GROUP_BYTES_TIMES: u64 = 16;
/// Highest bytes that a policy may allow a member. Guess: a terabyte for the group.
pub const MEMBER_BYTES_MAX: u64 = 64 * 1024 * 1024 * 1024;
/// Bytes of encoded records kept in memory per node, so that floods do not read the disk. Guess.
pub const CACHE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Records answered at once to the application. Guess. Asks again with a cursor.
pub const PAGE_MAX: usize = 1_000;
/// Records of one message of a flood. Guess: more than fit into it, but for the shortest ones. A message of more costs the
/// link.
pub const FLOOD_RECORDS_MAX: usize = 1_000;
/// Records that a host with one thread for everything takes in one go, see
/// [`records_at_once`](crate::node::Config::records_at_once). Measured in Chromium on two busy cores: 64 take about 8 ms
/// until applications have them, and their signatures cost 10 % more each than in batches of several hundred.
pub const RECORDS_IN_A_SLICE: usize = 64;
/// Entries of the store that are read at once when it is opened. They are taken in one go as well, while the disk reads the
/// next ones. Measured in Chromium on two busy cores: 6 ms.
pub const LOAD_PAGE_MAX: usize = 256;

// --- sync --------------------------------------------------------------------------------------------

/// Symbols of one message. Guess: 200 KB, and 10,000 differences can be read from two messages. A message with more is
/// refused.
pub const SYMBOLS_MESSAGE_MAX: usize = 16_000;
/// Work for the syncs of one peer, besides two copies of all records. Units: a symbol, a range, a listed or wanted
/// record, a KB of records given. Guess: a thousand comparisons. Work over it is done later.
pub const SYNC_WORK_SPARE: u64 = 1_000_000;
/// The same, per second, for a peer that has used that up. Guess: 10 MB of records, or ten comparisons.
pub const SYNC_WORK_PER_SECOND: u64 = 10_000;

// --- search ------------------------------------------------------------------------------------------

/// Bytes of a query, in either notation. Guess: many times what people type. A longer one is an error for the application.
pub const QUERY_BYTES_MAX: usize = 16 * 1024;
/// Operators of a query that are inside each other, parentheses included. Guess. As above.
pub const QUERY_DEPTH_MAX: usize = 32;
/// Clauses of a query. Guess. As above.
pub const QUERY_CLAUSES_MAX: usize = 256;
/// Words of one phrase of a query. Guess. As above.
pub const PHRASE_WORDS_MAX: usize = 32;
/// Characters of a word. Guess: longer ones are names of bytes. Those beyond are cut off, in records and in queries.
pub const WORD_CHARS_MAX: usize = 40;
/// Words of one payload that can be found. Guess: a chapter. Those beyond are not.
pub const SEARCHED_WORDS_MAX: usize = 4_096;
/// Bytes of records of one group that its index for searches holds, and those of one creator: of each record at most
/// [`SEARCHED_BYTES_MAX`], without its envelope. Guess: a million short messages; the index of as much text takes a third to
/// three times as much. A record over it is found by no search, and answers say how many there are.
pub const SEARCHABLE_BYTES: Pool = Pool::of(256 * 1024 * 1024, 128 * 1024 * 1024);
/// Searches that wait until the index of a group is made. Guess. A further one is refused as busy.
pub const SEARCHES_WAITING_MAX: usize = 64;
/// Live queries of one group. Guess: the lists of an application. A further one is refused as busy.
pub const LIVE_QUERIES_MAX: usize = 64;
/// Live queries are answered again no sooner than this. Guess: people see no difference, and a sync brings thousands of
/// records in that time.
pub const LIVE_EVERY: Duration = Duration::from_millis(50);
/// Steps that one question to the index of a group may take: a comparison, or some bytes that are read. Guess: tenths of
/// a second. A question that takes more is an error for the application.
pub const SEARCH_STEPS_MAX: u64 = 50_000_000;
/// Bytes of one payload that are looked through for words. Guess: as above, in any script. Those beyond are not.
pub const SEARCHED_BYTES_MAX: usize = 256 * 1024;

// --- announcements -------------------------------------------------------------------------------------

/// Announced versions of records that have not come, per graph, and those that one peer was first to announce. Guess. Those
/// over it come with the next sync.
pub const PROMISED: Pool = Pool::of(16_384, 4_096);
/// Those of them that are passed on before they came. Guess: the records of some seconds of many who write. A version over it
/// is passed on once it came.
pub const PASSED_ON: Pool = Pool::of(2_048, 256);
/// Units that announced records may cost a peer that do not come: one for each. Guess: all that it may have open. Records that
/// it announces beyond are not asked for.
pub const UNDELIVERED: u64 = PROMISED.each();
/// The same, beyond which what it announces is passed on only once it came. Guess: a quarter, which is what its honest
/// neighbours have to spare at the next hop.
pub const UNDELIVERED_PASSED_ON: u64 = UNDELIVERED / 4;
/// Units of one that was passed on. Source: the charge at the next hop, where it may be passed on as well.
pub const PASSED_ON_COSTS: u64 = 4;
/// Units that are given back in a second. Guess.
pub const UNDELIVERED_PER_SECOND: u64 = 10;

// --- broadcasts ----------------------------------------------------------------------------------------

/// Payload of a broadcast. Bytes. Guess: a cursor, or a sentence that is being typed. A longer one is an error for its sender,
/// and costs the link of whoever brings it.
pub const BROADCAST_BYTES_MAX: usize = 4 * 1024;
/// Bytes of the media type of its payload. Guess. A longer one as above.
pub const MEDIA_TYPE_MAX: usize = 128;
/// All else of it but its signature. Bytes. Guess: 100, and the names of type and media type; later versions may say more.
pub const BROADCAST_HEAD_BYTES_MAX: usize = 512;
/// How old a broadcast may be, and how far ahead of peer time. Guess: as slow as a group passes anything on, and clocks
/// differ. One beyond is not passed on.
pub const BROADCAST_LIVES: Duration = Duration::from_secs(60);
/// Broadcasts that a neighbour may bring at once in one graph, copies left out; and those of one member, whoever brings them.
/// Units: a broadcast, and a KB of it. Guess: three seconds of what follows. One over it is not passed on; its sender, who
/// knows, is told that it is busy.
pub const BROADCASTS: Pool = Pool::of(1_200, 120);
/// The same, per second, for who has used that up. Guess: 20 small ones a second of each, as a hand moves, and 10 such hands.
pub const BROADCASTS_PER_SECOND: Pool = Pool::of(400, 40);
/// Nodes whose broadcasts were heard lately, per graph, and those of one member. Guess: 1 MB. Others are not heard.
pub const BROADCASTERS: Pool = Pool::of(8_192, NODES_PER_PEER_MAX as u64);
/// Bytes that may wait for a neighbour: a broadcast beyond them is dropped on that link. Guess: a moment's, since one that comes
/// late is of no use.
pub const BROADCAST_BACKLOG_BYTES_MAX: usize = 256 * 1024;

// --- direct links --------------------------------------------------------------------------------------

/// Direct links of a node, those that are being opened included, and those with one peer. Guess: a service for some hundred
/// members. A further one is refused.
pub const DIRECT_LINKS: Pool = Pool::of(512, 8);
/// The same, and those of one group. Guess: one group leaves room for others. As above.
pub const DIRECT_LINKS_OF_GROUP: Pool = Pool::of(512, 384);
/// Direct links that a peer may ask for at once. Guess: all that it may have, four times over. A further one is refused.
pub const DIRECT_ASKS_SPARE: u64 = 32;
/// The same in milliseconds for each, for a peer that has used that up. Guess: some people are asked by this.
pub const DIRECT_ASK_COSTS_MS: u64 = 2_000;
/// How long the application has to answer to a request for a direct link. Guess: a person looks up, reads and decides. A
/// request that is not answered is refused.
pub const DIRECT_ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// How long a link to the other node is looked for. Guess: all ways, one after the other. Then the request has failed.
pub const DIRECT_REACHED_WITHIN: Duration = Duration::from_secs(30);
/// How long a direct link waits for another link if the one that it used is gone. Guess: a change of networks. Then it ends.
pub const DIRECT_APART_MAX: Duration = Duration::from_secs(20);
/// Bytes of the purpose of a direct link, and of the words of an application that ends something. Guess: a sentence. Longer
/// ones are errors for the application, and cost the link of whoever sends them.
pub const DIRECT_WORDS_BYTES_MAX: usize = 256;
/// Bytes of the name of a call or stream. Guess. As above.
pub const DIRECT_NAME_BYTES_MAX: usize = 64;
/// Payload of a message, request or response. Bytes. Guess: four frames. Longer content goes by a stream; as above.
pub const DIRECT_MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// All else in it. Bytes. Guess: names, and what later versions say. As above.
pub const DIRECT_HEAD_BYTES_MAX: usize = 1024;
/// Bytes of a stream in one frame. Source: one frame of a link, with what stands around.
pub const DIRECT_CHUNK_BYTES_MAX: usize = 15 * 1024;
/// Bytes that are written to a stream at once. Guess: as a channel may bring at first. More is an error for the application.
pub const DIRECT_WRITE_BYTES_MAX: usize = 64 * 1024;
/// Bytes written to a stream that are not sent; a write that comes while there are as many waits. Guess: keeps it busy.
pub const DIRECT_WRITING_MAX: u64 = 256 * 1024;
/// Cost of a frame besides its bytes, at both ends. Bytes. Guess: its place in a list.
pub const DIRECT_FRAME_COSTS: u64 = 64;
/// Calls and streams of one direct link that each end has begun and that are not over. Guess. A further one of ours is
/// refused as busy; one of the other end costs its link.
pub const DIRECT_CHANNELS_MAX: usize = 32;
/// Bytes that a channel may bring before the application has taken any, messages first, then a call or a stream. Guess: half a
/// round trip of 50 ms at 10 MB/s, and little enough for all channels. More costs the link.
pub const DIRECT_CREDIT_FIRST: (u64, u64) = (256 * 1024, 64 * 1024);
/// The same for a channel whose application reads as fast as it comes. Guess: a round trip of 100 ms at 10 MB/s.
pub const DIRECT_CREDIT_MAX: u64 = 1024 * 1024;
/// All that channels of one direct link may have beyond their first credit. Guess: two fast ones.
pub const DIRECT_CREDIT_SPARE: u64 = 2 * 1024 * 1024;
/// Bytes sent and not acknowledged, per direct link. Guess: as a channel may bring. Nothing is sent until they are.
pub const DIRECT_UNACKNOWLEDGED_MAX: u64 = 1024 * 1024;
/// Bytes of messages, requests and responses that wait to be sent, per direct link. Guess: 16 of the longest. A further one is
/// refused as busy.
pub const DIRECT_WAITING_MAX: u64 = 1024 * 1024;
/// Bytes that wait for a link beyond which a stream sends nothing on it: the small goes before the large. Guess: a little more
/// than [`BUFFERED_LOW_BYTES`], of which the host tells us.
pub const DIRECT_BULK_BACKLOG: usize = 96 * 1024;
/// The same for messages and calls. Guess: as much as a transport holds.
pub const DIRECT_BACKLOG: usize = 512 * 1024;
/// Names that a group serves on this node. Guess. A further one is refused as busy.
pub const DIRECT_SERVED_MAX: usize = 64;
/// Calls that wait for whoever serves them, of one name. Guess. A further one is answered as busy.
pub const DIRECT_CALLS_WAITING_MAX: usize = 256;

// --- conduct -----------------------------------------------------------------------------------------

/// Signals that a peer may bring at once in one graph, or to a rendezvous node; and those of one member, whoever brings them.
/// Measured: 700 to 1,000 where 600 browsers that were cut in two find each other again. A signal over it is not carried on.
pub const SIGNALS: Pool = Pool::of(4_000, 1_000);
/// The same, per second, for who has used that up. Guess. As above.
pub const SIGNALS_PER_SECOND: Pool = Pool::of(200, 50);
/// Signals at once of those who are no members that one peer brings, all together, and of one of them. Guess: a newcomer
/// offers to ten.
pub const GUEST_SIGNALS: Pool = Pool::of(1_000, 250);
/// The same, per second. Guess. As above.
pub const GUEST_SIGNALS_PER_SECOND: Pool = Pool::of(50, 12);
/// How many times as many signals a peer may send if copies of what others have brought are counted too. Guess: the ten
/// most talkative neighbours that it may have. A signal over it is dropped unread.
pub const SIGNAL_COPIES_TIMES: u64 = 10;
/// Messages besides signals, records and syncs that a peer may send at once; of the latter, those that name no record.
/// Guess: what opens as many graphs as a link carries, ten times over. More costs the link.
pub const WORDS_SPARE: u64 = 4_000;
/// The same, per second, for a peer that has used that up. Guess: a hundredth of a core. More costs the link.
pub const WORDS_PER_SECOND: u64 = 100;
/// Records that a peer may bring in vain or be given again, besides what a link may for what we take meanwhile. Units: a
/// record, a KB of it. Guess: half a second of a core, 100 MB. More costs the link.
pub const WASTE_SPARE: u64 = 100_000;
/// The same, per second, for a peer that has used that up. Guess: half a hundredth of a core. More costs the link.
pub const WASTE_PER_SECOND: u64 = 1_000;
/// How long a fault takes to be forgiven. Guess.
pub const PENANCE: Duration = Duration::from_secs(30);
/// The same for a peer that used up a budget. Guess: longer than all that a peer may have open, so that it is not let near
/// for some minutes.
pub const PENANCE_OF_EXCESS: Duration = Duration::from_secs(600);
/// Penance that a peer may have open. Guess: eight faults. A peer with more is not let near until it has less.
pub const PENANCE_MAX: Duration = Duration::from_secs(240);
/// Peers whose use of one budget is known. Guess: half a MB; more than there are links. The peer that owes least is forgotten
/// first.
pub const PEERS_REMEMBERED_MAX: usize = 8_192;

// --- certificates, invitations, names ------------------------------------------------------------------

/// Certificates of a chain, the group root included, heirs left out. Source: reference 2.2 (24).
pub const CHAIN_MAX: usize = 24;
/// Heirs of one group: how often its own key can be rotated or handed over. Guess: every two or three years of a root's
/// life. A further one is an error for the owner; others refuse it.
pub const HEIRS_MAX: usize = 8;
/// Certificates of a chain, all told. Source: the two above.
pub const CERTIFICATES_MAX: usize = CHAIN_MAX + HEIRS_MAX;
/// Bytes of one certificate in DER. Guess: ours have under 600.
pub const CERTIFICATE_BYTES_MAX: usize = 4 * 1024;
/// Characters of a friendly name. Source: reference 2.2 (255).
pub const FRIENDLY_NAME_MAX: usize = 255;
/// Characters of a classifier. Source: reference 1.6. A longer one is an error for whoever gives it.
pub const CLASSIFIER_MAX: usize = 149;
/// Characters of a peer name. Source: reference 1.6. As above.
pub const PEER_NAME_MAX: usize = 191;
/// Characters of one label of a host name. Source: RFC 1035 §2.3.4.
pub const LABEL_MAX: usize = 63;
/// Characters of a host name, its dots included. Source: RFC 1035 §2.3.4 (255 bytes with length bytes). A peer name
/// whose host form is longer has none.
pub const HOST_MAX: usize = 253;
/// No certificate is made while the clock shows an earlier time: a device without a battery begins in 1970. 2026-11-01 UTC.
/// Source: no program can run before it was made.
pub const RELEASED: WallTime = WallTime(1_793_491_200_000);
/// How far clocks may differ where certificates are judged. Source: security.md.
pub const CERTIFICATE_CLOCK_SKEW: Duration = Duration::from_secs(300);
/// Life of a membership. Source: reference 2.2, the upper end of the protocol's range (365 days), since no record
/// outlives the certificate that it relies on.
pub const MEMBERSHIP_LIFETIME: Duration = Duration::from_secs(31_536_000);
/// Life of a group's root certificate and its creator's membership. Guess: twenty years.
pub const ROOT_LIFETIME: Duration = Duration::from_secs(20 * 31_536_000);
/// Invitations of one group that are open at once, and of one member. Guess. A further one is an error for its maker;
/// at other nodes the oldest of who holds most is closed. The last places are for administrators.
pub const INVITATIONS: Pool = Pool::of(1_000, 100).reserving(200);
/// Revocations of one group, those by its own key left out, which are never refused. Guess. The seniors' come first; one
/// beyond has no effect, and is an error for its maker.
pub const REVOCATIONS_MAX: usize = 10_000;
/// The same of one signer, its earliest first. Guess.
pub const REVOCATIONS_PER_SIGNER_MAX: usize = 1_000;
/// Records that all revocations of one signer keep. Guess: 8 MB of names.
pub const REVOCATIONS_KEPT_PER_SIGNER_MAX: usize = 4 * REVOCATION_KEPT_MAX;
/// Revocations that one signer has of one target. Guess: their ids are made of 40 bits of the target's digest, and two
/// targets may have these in common.
pub const REVOCATIONS_PER_TARGET_MAX: u8 = 4;
/// Records of a proof that a membership does not stand; the rest is not looked at. Guess: a revocation is one, and a
/// newcomer beyond the uses of its invitation is shown all of them: of an invitation with more uses nobody is convinced,
/// who is refused all the same. Signatures of so many take some ms, once a link.
pub const PROOF_RECORDS_MAX: usize = 128;
/// Redemptions of one invitation beyond its uses: those in parts of a graph that was cut. Guess. Others drop one beyond.
pub const REDEMPTIONS_SPARE: usize = 64;
/// Records that one revocation keeps: all that a member may hold of all kinds by the default policy, and some more. 2 MB of
/// names. More is an error for its maker; others drop it.
pub const REVOCATION_KEPT_MAX: usize = 163_840;
/// Certificates that one revocation lets stand. Guess. As above.
pub const REVOCATION_STANDING_MAX: usize = 8_192;
/// Payload of a record of the core's own types. Bytes. Guess: the largest revocation. Others drop the record. Most of
/// these types have smaller bounds, see `group/quota.rs`.
pub const INTERNAL_PAYLOAD_BYTES_MAX: usize = 2_560 * 1024;
/// Attributes of a presence, encoded. Bytes. Guess. An error for the application that asks for more.
pub const PRESENCE_ATTRIBUTES_BYTES_MAX: usize = 4 * 1024;
/// Nodes of one peer that are present at once. Guess: a person's devices. The oldest presence gives way.
pub const NODES_PER_PEER_MAX: usize = 8;
/// Bytes of a password. Guess. A longer one is refused.
pub const PASSWORD_BYTES_MAX: usize = 256;
/// Places from which passwords were tried that are remembered, per invitation. Guess. A further one takes the place and
/// the failures of the one with the fewest.
pub const PASSWORD_SOURCES_MAX: usize = 256;
/// Newcomers of one such place whose failures are remembered, per invitation. Guess. As above.
pub const PASSWORD_PEERS_MAX: usize = 16;
/// Application roles of one membership. Guess. A certificate with more is refused.
pub const APP_ROLES_MAX: usize = 16;
/// Characters of the name of an application role. Guess. As above.
pub const APP_ROLE_MAX: usize = 32;
/// Rights of a policy. Guess: they travel in the root certificate. A policy with more is refused.
pub const RIGHTS_MAX: usize = 32;
/// Nodes that an invitation names. Guess: two operators, and a spare. The rest is ignored.
pub const INVITATION_NODES_MAX: usize = 4;
/// Places that a group remembers to have looked for members at, for people. Guess: more than they read. An earlier one goes
/// for a further one.
pub const PLACES_TRIED_MAX: usize = 16;
/// Previews of invitations that a node keeps a link for. Guess. A further one is refused as busy.
pub const PREVIEWS_MAX: usize = 8;
/// Characters of an invitation link. Guess: fits a QR code of version 40-L (2,953 bytes).
pub const INVITATION_TEXT_MAX: usize = 2_800;

// --- rendezvous ----------------------------------------------------------------------------------------

/// Seats at all tables of a rendezvous node, and of those that come from one [source](crate::source::Source). Guess: a school
/// behind one router. The oldest of the source that has most gives way, and its holder is told.
pub const SEATS: Pool = Pool::of(10_000, 1_000);
/// The same of one peer, wherever it comes from. Guess: some devices, each in dozens of groups. Its oldest gives way.
pub const SEATS_OF_PEER: Pool = Pool::of(SEATS.all(), 128);
/// Tables at which one seat is. Source: two periods by one's own clock, and two by that of the rendezvous node. More costs
/// the link.
pub const TABLES_PER_SEAT_MAX: usize = 4;

const _: () = assert!(PEERS_REMEMBERED_MAX > LINKS_MAX);
const _: () = assert!(PENANCE_OF_EXCESS.as_secs() > PENANCE_MAX.as_secs());
const _: () = assert!(HANDSHAKE_BYTES_MAX <= FRAME_BYTES_MAX);
const _: () = assert!(SIGNAL_BYTES_MAX < FRAME_BYTES_MAX);
const _: () = assert!(STRANGER_BYTES_MAX < MESSAGE_OVERHEAD_BYTES_MAX);
const _: () = assert!(MESSAGE_OVERHEAD_BYTES_MAX as u64 <= PARTIAL_BYTES.each());
const _: () = assert!(BUFFERED_LOW_BYTES < IN_TRANSPORT_BYTES_MAX);
const _: () = assert!(
    REVOCATION_KEPT_MAX * 12
        + REVOCATION_STANDING_MAX * 32
        + 2 * CERTIFICATES_MAX * CERTIFICATE_BYTES_MAX
        < INTERNAL_PAYLOAD_BYTES_MAX
);
const _: () = assert!(INTERNAL_PAYLOAD_BYTES_MAX < LINK_QUEUE_BYTES_MAX);
const _: () = assert!(IN_TRANSPORT_BYTES_MAX < PUBLISH_BACKLOG_BYTES_MAX);
const _: () = assert!(PUBLISH_BACKLOG_BYTES_MAX + PUBLISH_WRITING_BYTES_MAX < LINK_QUEUE_BYTES_MAX);
const _: () = assert!(PAYLOAD_BYTES_DEFAULT_MAX <= PAYLOAD_BYTES_MAX);
const _: () = assert!(DEFERRED_PER_CERTIFICATE_MAX as u64 <= DEFERRED.each());
const _: () = assert!(DIRECT_BULK_BACKLOG > BUFFERED_LOW_BYTES);
const _: () = assert!(
    DIRECT_MESSAGE_BYTES_MAX + DIRECT_HEAD_BYTES_MAX + HANDSHAKE_BYTES_MAX < STRANGER_BYTES_MAX
);
const _: () = assert!(SYMBOLS_MESSAGE_MAX * 16 < MESSAGE_OVERHEAD_BYTES_MAX);
