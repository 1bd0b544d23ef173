//! Printing: JSON lines for programs, plain lines for people.

use std::io::Write as _;

use anyhow::Result;
use peergraph::{
    Attribute, Broadcast, Grant, GroupInfo, MemberInfo, NodeInfo, PeerId, Record, Standing, Value,
    WallTime,
};
use serde_json::json;

use super::policy::policy_json;

/// Prints one line to standard output, at once.
pub(super) fn line(text: impl std::fmt::Display) -> Result<()> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{text}")?;
    output.flush()?;
    Ok(())
}

/// Whether standard output leads nowhere because it was closed when the program began: the standard library has opened
/// `/dev/null` in its place by then, to read and write. Some languages discard output in the same way, so this is asked only
/// by what is of no use to anybody if its output is lost.
#[cfg(unix)]
pub(super) fn is_closed() -> bool {
    use rustix::fs::{OFlags, fcntl_getfl, fstat, stat};
    let output = std::io::stdout();
    let both = fcntl_getfl(&output).is_ok_and(|flags| flags & OFlags::RWMODE == OFlags::RDWR);
    let null = || Ok::<_, rustix::io::Errno>(fstat(&output)?.st_rdev == stat("/dev/null")?.st_rdev);
    both && null().unwrap_or(false)
}

#[cfg(not(unix))]
pub(super) fn is_closed() -> bool {
    false
}

/// How often it is looked whether somebody still reads. Guess.
#[cfg(unix)]
const READER_EVERY: std::time::Duration = std::time::Duration::from_millis(500);

/// Waits until nobody reads our standard output any longer.
pub(super) async fn reader_gone() {
    #[cfg(unix)]
    loop {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let output = std::io::stdout();
        let mut watched = [PollFd::new(&output, PollFlags::empty())];
        let polled = poll(&mut watched, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
        if polled.is_ok() && watched[0].revents().intersects(PollFlags::ERR | PollFlags::HUP) {
            return;
        }
        tokio::time::sleep(READER_EVERY).await;
    }
    #[cfg(not(unix))]
    std::future::pending().await
}

/// Prints bytes to standard output as they are.
pub(super) fn bytes(bytes: &[u8]) -> Result<()> {
    let mut output = std::io::stdout().lock();
    output.write_all(bytes)?;
    output.flush()?;
    Ok(())
}

/// Text from others, made harmless for a terminal: control characters are shown, not obeyed.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        // Also the marks that turn the direction of a line: they can make one text look like another.
        let bidi = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c == '\n' {
            plain.push_str("\n    ");
        } else if (c.is_control() && c != '\t') || bidi {
            plain.extend(c.escape_unicode());
        } else {
            plain.push(c);
        }
    }
    plain
}

/// `2026-11-20 22:50:21Z`.
pub(super) fn time(time: WallTime) -> String {
    let seconds = time.0 / 1_000;
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}Z")
}

/// Year, month and day of a day since 1970, in the Gregorian calendar. Source: Hinnant, *chrono-compatible low-level
/// date algorithms*, `civil_from_days`.
fn date(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

/// A record as one JSON object. The payload is `payload` where it is text, else `payload_base64`. Versions are text:
/// they have more digits than numbers in JSON keep.
pub(super) fn record_json(record: &Record, creator_name: Option<&str>) -> serde_json::Value {
    let mut object = json!({
        "id": record.id.to_string(),
        "type": record.kind.as_str(),
        "version": record.version.to_string(),
        "creator": record.creator.to_string(),
        "creator_name": creator_name,
        "modifier": record.modifier.map(|peer| peer.to_string()),
        "created": record.created.0,
        "modified": record.modified.0,
        "expires": record.expires.0,
        "deleted": record.deleted,
        "attributes": record.attributes.iter().map(attribute_json).collect::<Vec<_>>(),
    });
    put_payload(&mut object, &record.payload);
    object
}

/// Adds bytes: as text, if they are some.
fn put_payload(object: &mut serde_json::Value, payload: &[u8]) {
    match std::str::from_utf8(payload) {
        Ok(text) => object["payload"] = text.into(),
        Err(_) => object["payload_base64"] = data_encoding::BASE64.encode(payload).into(),
    }
}

/// A message that nobody stores, as one JSON object.
pub(super) fn broadcast_json(message: &Broadcast, name: Option<&str>) -> serde_json::Value {
    let mut object = json!({
        "type": message.kind.as_str(),
        "peer": message.peer.to_string(),
        "name": name,
        "node": message.node.to_string(),
        "media_type": message.media_type,
    });
    put_payload(&mut object, &message.payload);
    object
}

/// A message that nobody stores, as a line for people.
pub(super) fn broadcast_text(message: &Broadcast, name: Option<&str>) -> String {
    let peer = message.peer.to_string();
    let who = name.map_or_else(|| peer[..8].to_owned(), plain);
    format!("{who}  {}  {}", message.kind, payload_text(&message.payload))
}

fn attribute_json(attribute: &Attribute) -> serde_json::Value {
    let (kind, value) = match &attribute.value {
        Value::String(value) => ("string", value.as_str().into()),
        Value::Integer(value) => ("integer", (*value).into()),
        Value::Real(value) => ("real", (*value).into()),
        Value::Date(value) => ("date", value.0.into()),
        Value::Boolean(value) => ("boolean", (*value).into()),
    };
    let value: serde_json::Value = value;
    json!({ "name": attribute.name, "type": kind, "value": value })
}

/// A record as lines for people.
pub(super) fn record_text(record: &Record, creator_name: Option<&str>) -> String {
    let peer = record.creator.to_string();
    let who = creator_name.map_or_else(|| peer[..8].to_owned(), plain);
    let when = time(record.modified);
    let kind = &record.kind;
    if record.deleted {
        return format!("{when}  {who}  {kind}  (deleted)");
    }
    let what = payload_text(&record.payload);
    let attributes: String = record.attributes.iter().map(attribute_text).collect();
    format!("{when}  {who}  {kind}{attributes}  {what}")
}

fn payload_text(payload: &[u8]) -> String {
    match std::str::from_utf8(payload) {
        Ok(text) => plain(text.trim_end_matches(['\n', '\r'])),
        Err(_) => format!("({} bytes)", payload.len()),
    }
}

fn attribute_text(attribute: &Attribute) -> String {
    let value = match &attribute.value {
        Value::String(value) => plain(value),
        Value::Integer(value) => value.to_string(),
        Value::Real(value) => value.to_string(),
        Value::Date(value) => time(*value),
        Value::Boolean(value) => value.to_string(),
    };
    format!("  {}={value}", plain(&attribute.name))
}

/// Prints names and values, one below the other.
pub(super) fn fields(fields: &[(&str, String)]) -> Result<()> {
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    fields.iter().try_for_each(|(name, value)| line(format!("{name:width$}  {value}")))
}

pub(super) fn group_json(group: &GroupInfo) -> serde_json::Value {
    json!({
        "id": group.id.to_string(),
        "name": group.name,
        "comment": group.comment,
        "presence": group.presence_max,
        "owner": group.owner,
        "own_key": group.own_key.to_string(),
        "role": group.grant.role.to_string(),
        "app_roles": group.grant.app_roles,
        "standing": standing_json(group.standing),
        "expires": group.expires.0,
        "announced": group.announced,
        "records": group.records,
        "neighbours": group.neighbours,
        "ready": group.ready,
        "policy": policy_json(&group.policy),
    })
}

pub(super) fn group_text(group: &GroupInfo) -> String {
    let GroupInfo { id, name, grant, standing, records, expires, .. } = group;
    let role = grant_text(grant);
    let standing = if *standing == Standing::Member {
        format!("until {}", time(*expires))
    } else {
        standing.word().to_owned()
    };
    format!("{id}  {}  {role} {standing}, {records} records", plain(name))
}

pub(super) fn member_json(member: &MemberInfo) -> serde_json::Value {
    json!({
        "peer": member.peer.to_string(),
        "name": member.name,
        "role": member.grant.role.to_string(),
        "app_roles": member.grant.app_roles,
        "standing": standing_json(member.standing),
        "certificate": member.certificate.to_string(),
        "issuer": member.issuer.to_string(),
        "expires": member.expires.0,
        "offers_ownership": member.offers_ownership,
        "nodes": member.nodes.iter().map(|node| node.to_string()).collect::<Vec<_>>(),
    })
}

/// A node that is here as one JSON object; `name` is its owner's.
pub(super) fn node_json(node: &NodeInfo, name: Option<&str>) -> serde_json::Value {
    json!({
        "node": node.node.to_string(),
        "peer": node.peer.to_string(),
        "name": name,
        "addresses": node.addresses.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "attributes": node.attributes.iter().map(attribute_json).collect::<Vec<_>>(),
    })
}

/// A node that is here as a line.
pub(super) fn node_text(node: &NodeInfo, name: &str) -> String {
    let attributes: String = node.attributes.iter().map(attribute_text).collect();
    let addresses: String = node.addresses.iter().map(|address| format!("  {address}")).collect();
    format!("{}  {name}{attributes}{addresses}", node.node)
}

/// A member as a line; `name_of` tells who the others in it are.
pub(super) fn member_text(member: &MemberInfo, name_of: impl Fn(PeerId) -> String) -> String {
    let MemberInfo { peer, name, grant, certificate, .. } = member;
    let (role, issuer) = (grant_text(grant), name_of(member.issuer));
    let here = if member.nodes.is_empty() { "away" } else { "here" };
    let standing = if member.standing == Standing::Member {
        format!("until {}, {here}", time(member.expires))
    } else {
        standing_text(member.standing, name_of)
    };
    let offers = if member.offers_ownership { ", would be the owner" } else { "" };
    format!(
        "{peer}  {}  {role}, {standing}, issued by {issuer}, certificate {certificate}{offers}",
        plain(name)
    )
}

/// `{"is": "revoked", "by": …, "reason": "misconduct"}`.
fn standing_json(standing: Standing) -> serde_json::Value {
    let mut object = json!({ "is": standing.word() });
    if let Standing::Revoked { by, reason } = standing {
        object["by"] = by.to_string().into();
        object["reason"] = reason.word().into();
    }
    object
}

/// `member`, `expired`, or `revoked by Ada (misconduct)`.
pub(super) fn standing_text(standing: Standing, name_of: impl Fn(PeerId) -> String) -> String {
    let Standing::Revoked { by, reason } = standing else { return standing.word().to_owned() };
    format!("revoked by {} ({reason})", name_of(by))
}

/// `member (editor, moderator)`.
pub(super) fn grant_text(grant: &Grant) -> String {
    with_roles(&grant.role.to_string(), &grant.app_roles)
}

/// A role, and those of the application.
pub(super) fn with_roles(role: &str, app_roles: &[String]) -> String {
    if app_roles.is_empty() {
        return role.to_owned();
    }
    format!("{role} ({})", app_roles.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_gregorian_utc() {
        for (millis, text) in [
            (0, "1970-01-01 00:00:00Z"),
            (951_782_400_000, "2000-02-29 00:00:00Z"),
            (1_795_215_021_999, "2026-11-20 22:50:21Z"),
            (4_107_542_399_000, "2100-02-28 23:59:59Z"),
            (4_107_542_400_000, "2100-03-01 00:00:00Z"),
        ] {
            assert_eq!(time(WallTime(millis)), text);
        }
    }

    #[test]
    fn text_of_others_cannot_drive_the_terminal() {
        let shown = plain("a\u{1b}[31mred\u{202e}\rb\nc\td");
        assert_eq!(shown, "a\\u{1b}[31mred\\u{202e}\\u{d}b\n    c\td");
    }
}
