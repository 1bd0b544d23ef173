//! Our addresses as others see them, by STUN (RFC 8489): we ask nodes, and answer whoever asks us.
//!
//! A router with NAT gives our packets another source address. Others reach us there once we have sent to them, so both
//! ends of a signalled link tell each other those addresses, and check them at the same time.
//!
//! ```text
//!   servers ──► one question for each server and socket ──► answers ──► candidates of the links that are not open
//!                 again after 100, 300, 700 ms                 kept for FRESH
//! ```
//!
//! A server may lie. The address that it tells goes to the other end of a link and nowhere else, as any address that we
//! could have made up, so nobody gains by it: the other end bounds what it checks.
//!
//! Our answer holds the address and nothing else: 32 bytes for IPv4, 44 for IPv6, to a question of at least 20. The
//! questions of one source are bounded ([`ASKED`]); beyond, they are not answered.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::budget::Allowance;
use super::link::{OWED_FOR, Origin};
use super::place::Pair;
use super::stun::TransactionId;
use super::{Engine, Happened, RtcId, signal, stun};

/// How often one source may ask for its address. Guess: a class behind one router, each with several questions.
pub(super) const ASKED: Allowance = Allowance { burst: 256, per_second: 64 };
/// Servers that are asked. Ours: two of each family; the second one in case the first is gone.
pub(super) const SERVERS_MAX: usize = 4;
/// How long after each question the next one follows. Guess: what is lost is seldom lost twice; RFC 8489 waits 500 ms,
/// which somebody who joins would notice.
const AGAIN_AFTER: [Duration; 4] = [
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
];
/// How long an answer counts. Guess: below the shortest life of a mapping that was seen (30 s), so that the mapping still
/// lives when the other end sends to it.
const FRESH: Duration = Duration::from_secs(15);
/// Candidates of this kind that one link tells. Ours: one for each server.
const TOLD_MAX: usize = SERVERS_MAX;

/// The servers, and what they have said.
#[derive(Default)]
pub(super) struct Reflexive {
    servers: Vec<SocketAddr>,
    /// By our socket and the server.
    questions: BTreeMap<Pair, Question>,
}

struct Question {
    id: TransactionId,
    asked: usize,
    /// When to ask again, if the answer is still missing.
    next: Option<Instant>,
    answer: Option<(SocketAddr, Instant)>,
}

impl Reflexive {
    /// Forgets the answers of the servers, which are of another network.
    pub(super) fn forget(&mut self) {
        self.questions.clear();
    }

    /// A link hears nothing: answers from before may be of another mapping.
    pub(super) fn forget_old(&mut self, now: Instant) {
        let young = |at: Instant| now.saturating_duration_since(at) < OWED_FOR;
        self.questions.retain(|_, question| question.answer.is_none_or(|(_, at)| young(at)));
    }

    /// When [`Engine::ask_servers`] is to be called.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.questions.values().filter_map(|it| it.next).min()
    }

    /// The address that a server sees at a socket, if we have asked it lately.
    fn fresh(&self, pair: &Pair, now: Instant) -> Option<SocketAddr> {
        let (seen, at) = self.questions.get(pair)?.answer?;
        (now.saturating_duration_since(at) < FRESH).then_some(seen)
    }
}

impl Engine {
    /// The servers that are asked for our addresses from here on, best first; at most 4. They are asked at once, so that
    /// the next link finds the answers.
    pub fn stun_servers(&mut self, mut servers: Vec<SocketAddr>) {
        servers.truncate(SERVERS_MAX);
        self.reflexive.questions.retain(|(_, server), _| servers.contains(server));
        self.reflexive.servers = servers;
        self.gather(Instant::now());
    }

    /// Asks every server whose last answer is old.
    pub(super) fn gather(&mut self, now: Instant) {
        for server in self.reflexive.servers.clone() {
            let route = |port: &super::Port| port.route(server).is_some();
            let Some(port) = self.ports.iter().position(route) else { continue };
            let pair = (port, server);
            let waits = self.reflexive.questions.get(&pair).is_some_and(|it| it.next.is_some());
            if !waits && self.reflexive.fresh(&pair, now).is_none() {
                let mut id = TransactionId::default();
                crate::secret::fill(&mut id);
                let question = Question { id, asked: 0, next: Some(now), answer: None };
                self.reflexive.questions.insert(pair, question);
            }
        }
        self.ask_servers(now);
    }

    /// Sends the questions that are due.
    pub(super) fn ask_servers(&mut self, now: Instant) {
        let is_due = |it: &Question| it.next.is_some_and(|at| at <= now);
        let questions = &mut self.reflexive.questions;
        let due: Vec<(Pair, TransactionId)> = questions
            .iter_mut()
            .filter(|(_, question)| is_due(question))
            .map(|(pair, question)| {
                question.next = AGAIN_AFTER.get(question.asked).map(|after| now + *after);
                question.asked += 1;
                (*pair, question.id)
            })
            .collect();
        for ((port, server), id) in due {
            if let Some(local) = self.ports[port].route(server) {
                self.push_to(port, local, server, &stun::question(id));
            }
        }
    }

    /// Takes an answer to a question of ours. Whether it is one.
    pub(super) fn learn(&mut self, pair: Pair, datagram: &[u8], now: Instant) -> bool {
        let Some(question) = self.reflexive.questions.get_mut(&pair) else { return false };
        if question.answer.is_some() || question.id != stun::id(datagram) {
            return false;
        }
        let Some(seen) = stun::reflected(datagram) else { return false };
        question.next = None;
        if signal::is_usable(seen) && seen.is_ipv4() == pair.1.is_ipv4() {
            question.answer = Some((seen, now));
            let waiting: Vec<RtcId> = self.links.keys().copied().collect();
            for id in waiting {
                self.tell_reflexive(id, now);
            }
        }
        true
    }

    /// Tells the other end of a link that is being signalled the addresses that it was not told yet.
    pub(super) fn tell_reflexive(&mut self, id: RtcId, now: Instant) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let signalled = matches!(link.origin, Origin::Offerer | Origin::Answerer);
        if !signalled || link.open || !link.has_spoken {
            return;
        }
        let known = self.reflexive.questions.keys().filter_map(|it| self.reflexive.fresh(it, now));
        for seen in known {
            if link.told.contains(&seen) || link.told.len() >= link.locals + TOLD_MAX {
                continue;
            }
            link.told.push(seen);
            let json = signal::reflexive_json(seen);
            self.happened.push_back(Happened::Signal { link: id, json });
        }
    }

    /// Answers somebody who asks for its address. Whether the datagram is such a question.
    pub(super) fn reflect(
        &mut self,
        (port, from): Pair,
        local: SocketAddr,
        datagram: &[u8],
        now: Instant,
    ) -> bool {
        let Some(id) = stun::plain_request(datagram) else { return false };
        if !self.config.answers_stun || !self.asks.allows(from, now) {
            self.stats.refused += 1;
            return true;
        }
        self.asks.take(from, now);
        if let Some(answer) = stun::reflection(id, from) {
            self.push_to(port, local, from, &answer);
            self.stats.reflected += 1;
        }
        true
    }
}
