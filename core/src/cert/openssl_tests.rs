//! Goal: `openssl verify` accepts every chain that we accept, and refuses expired, foreign and over-long ones.
//! Method: give it our chains in PEM, with a clock of its own. Without `openssl` these tests fail: agreement that was not
//! looked at is no agreement.
#![cfg(not(target_arch = "wasm32"))]
use super::profile::Template;
use super::tests::{DAY, Group, NOW, group, group_named, identity, issue_root, join, longest};
use super::*;
use std::path::PathBuf;
use std::process::Command;

mod generated;

/// A folder that goes away again.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("peergraph-openssl-{}-{name}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Whether openssl accepts the chain at `now` under `root`, and what it says.
fn verdict(test: &str, root: &Certificate, chain: &[Certificate], now: WallTime) -> (bool, String) {
    let chain: Vec<&[u8]> = chain.iter().map(|certificate| &certificate.der()[..]).collect();
    verdict_of_bytes(test, "-CAfile", root.der(), &chain, now)
}

/// The same of bytes, which need not be certificates of ours. `trust` names the option that trusts `root`.
fn verdict_of_bytes(
    test: &str,
    trust: &str,
    root: &[u8],
    chain: &[&[u8]],
    now: WallTime,
) -> (bool, String) {
    let folder = Folder::new(test);
    let text = |der: &&[u8]| pem::encode(PEM_LABEL, der);
    let (leaf, issuers) = chain.split_last().unwrap();
    let mut command = Command::new("openssl");
    command.args(["verify", "-x509_strict", "-attime", &(now.0 / 1_000).to_string()]);
    if trust == "-trusted" {
        command.arg("-partial_chain");
    }
    for (option, file, text) in [
        (Some(trust), "root.pem", text(&root)),
        (Some("-untrusted"), "issuers.pem", issuers.iter().map(text).collect()),
        (None, "leaf.pem", text(leaf)),
    ] {
        let path = folder.0.join(file);
        // An empty file is an error to openssl.
        if text.is_empty() {
            continue;
        }
        std::fs::write(&path, text).unwrap();
        command.args(option).arg(path);
    }
    let output = command.output();
    let output =
        output.unwrap_or_else(|error| panic!("install openssl; it cannot be run: {error}"));
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

fn accepts(test: &str, root: &Certificate, chain: &[Certificate]) {
    let (accepted, text) = verdict(test, root, chain, NOW.after(DAY));
    assert!(accepted, "{test}: {text}");
}

fn refuses(test: &str, root: &Certificate, chain: &[Certificate], now: WallTime, reason: &str) {
    let (accepted, text) = verdict(test, root, chain, now);
    assert!(!accepted && text.contains(reason), "{test}: {text}");
}

/// A certificate for Zoe below the leaf of `chain`, whatever that may issue.
fn forged(chain: &VerifiedChain, issuer: &crate::identity::Identity, kind: Kind) -> Certificate {
    let zoe = identity(99, "Zoe");
    let above = chain.leaf();
    let template = Template {
        app_roles: &[],
        policy: None,
        above: Some(above.id()),
        since: None,
        lists: None,
        kind,
        serial: [1; 16],
        issuer: above.name(),
        subject: "Zoe",
        key: zoe.public_key(),
        host: None,
        issuer_key_id: Some(above.parsed.key_id()),
        not_before: NOW,
        not_after: NOW.after(DAY * 28),
        path_len: kind.is_ca().then_some(0),
    };
    Certificate::from_der(template.to_der(|tbs| issuer.as_ref().sign_certificate(tbs))).unwrap()
}

#[test]
fn openssl_accepts_what_we_accept() {
    let Group { root, ada, ada_chain, .. } = group();
    accepts("creator", &root, ada_chain.certificates());
    for role in [Role::Member, Role::Inviting, Role::Administrator] {
        let chain = join(&ada, &ada_chain, &identity(2, "Zoë 🦊, O=Bank"), role);
        accepts(&format!("by-{role}"), &root, chain.certificates());
    }
    let long = "ß".repeat(crate::limits::FRIENDLY_NAME_MAX);
    let chain = join(&ada, &ada_chain, &identity(2, &long), Role::Member);
    accepts("long-name", &root, chain.certificates());
    let identity = ada.certificate().clone();
    accepts("identity", &identity, std::slice::from_ref(&identity));
    let named = ada.reissue("Ada", "Book club №1", [7; 16], NOW).unwrap().certificate().clone();
    accepts("classifier", &named, std::slice::from_ref(&named));
}

#[test]
fn openssl_accepts_the_longest_chain_even_if_everybody_has_one_name() {
    let group = group_named("Ada");
    accepts("longest", &group.root, longest(&group, "Ada").certificates());
}

/// Goal: eight heirs cost no depth, with openssl neither. Method: the longest chain there can be, every CA with one name.
#[test]
fn openssl_accepts_heirs_and_all_the_depth_below_them() {
    use super::heir_tests::{by_heir, line};
    let group = group_named("Ada");
    let heirs = crate::limits::HEIRS_MAX as u8;
    for heirs in [1, heirs] {
        let line = line(&group, heirs);
        let mut chain = by_heir(&line, 1, Role::Administrator);
        let at = NOW.after(DAY * 2);
        let (accepted, text) = verdict("heirs", &group.root, chain.certificates(), at);
        assert!(accepted, "{heirs}: {text}");
        for n in 2..crate::limits::CHAIN_MAX as u8 {
            let last = usize::from(n) == crate::limits::CHAIN_MAX - 1;
            let role = if last { Role::Member } else { Role::Administrator };
            chain = join(&identity(n - 1, "Ada"), &chain, &identity(n, "Ada"), role);
        }
        let (accepted, text) = verdict("heirs-longest", &group.root, chain.certificates(), at);
        assert!(accepted, "{heirs}: {text}");
        let gap = [&chain.certificates()[..1], &chain.certificates()[2..]].concat();
        assert!(!verdict("heirs-gap", &group.root, &gap, at).0, "{heirs}");
    }
}

#[test]
fn openssl_refuses_expired_foreign_and_overlong_chains() {
    let group = group();
    let Group { root, ada, ada_chain, .. } = &group;
    let bobs = join(ada, ada_chain, &identity(2, "Bob"), Role::Member);
    let chain = bobs.certificates();
    let late = NOW.after(DAY * 29);
    refuses("late", root, chain, late, "certificate has expired");
    refuses("early", root, chain, NOW.before(DAY), "certificate is not yet valid");
    let other = crate::identity::GroupKey::generate([201; 32]);
    let other = issue_root(&other, "Chess", [0; 16], NOW, NOW.after(DAY * 3650));
    let day = NOW.after(DAY);
    refuses("foreign", &other, chain, day, "self-signed certificate in certificate chain");
    refuses("rootless", &other, &chain[1..], day, "unable to get local issuer certificate");
    // A plain member issues; it is not a CA.
    let by_member = [chain, &[forged(&bobs, &identity(2, "Bob"), Kind::Member(Role::Member))]];
    refuses("by-member", root, &by_member.concat(), day, "invalid CA certificate");
    // Below the last issuer, an issuer too many, and a member below it.
    let longest = longest(&group, "Bob");
    let above = &longest.certificates()[..longest.certificates().len() - 1];
    let above = verify_chain(above, group.key.group_id(), crate::identity::verify).unwrap();
    let last = identity(above.depth() as u8, "Bob");
    let zoe = forged(&above, &last, Kind::Member(Role::Inviting));
    let template = Template {
        app_roles: &[],
        policy: None,
        above: Some(zoe.id()),
        since: None,
        lists: None,
        kind: Kind::Member(Role::Member),
        serial: [2; 16],
        issuer: "Zoe",
        subject: "Yan",
        key: identity(98, "Yan").public_key(),
        host: None,
        issuer_key_id: Some(zoe.parsed.key_id()),
        not_before: NOW,
        not_after: day.after(DAY),
        path_len: None,
    };
    let yan = template.to_der(|tbs| identity(99, "Zoe").as_ref().sign_certificate(tbs));
    let overlong = [above.certificates(), &[zoe, Certificate::from_der(yan).unwrap()]].concat();
    refuses("overlong", root, &overlong, day, "path length constraint exceeded");
}

#[test]
fn openssl_refuses_a_changed_signature() {
    let Group { root, ada_chain, .. } = group();
    let mut der = ada_chain.leaf().der().to_vec();
    let place = der.len() - 20;
    der[place] ^= 1;
    let changed = [root.clone(), Certificate::from_der(der).unwrap()];
    refuses("signature", &root, &changed, NOW.after(DAY), "certificate signature failure");
}
