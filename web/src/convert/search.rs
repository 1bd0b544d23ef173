//! Questions about records, and what they find.
use super::{RecordJs, cursor_text, parse_cursor, texts};
use crate::failure::Failure;
use peergraph_core::error::Error;
use peergraph_core::io::{Changes, Found, Placed, Search};
use peergraph_core::search::{Order, Query, SearchCursor};
use serde::{Deserialize, Serialize};

/// A question as `search` and `query` give it.
#[derive(Deserialize)]
pub(crate) struct SearchJs {
    /// In the notation for people, or in JSON.
    text: String,
    json: bool,
    order: OrderJs,
    after: Option<String>,
    limit: u32,
    count: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum OrderJs {
    Newest,
    Oldest,
    Best,
}

impl SearchJs {
    pub(crate) fn into_search(self) -> Result<Search, Failure> {
        let read = if self.json { Query::from_json } else { Query::parse };
        Ok(Search {
            query: read(&self.text).map_err(Error::BadQuery)?,
            order: match self.order {
                OrderJs::Newest => Order::Newest,
                OrderJs::Oldest => Order::Oldest,
                OrderJs::Best => Order::Best,
            },
            after: self.after.as_deref().map(parse_search_cursor).transpose()?,
            limit: self.limit as usize,
            count: self.count,
        })
    }
}

/// Cursors of searches cross as those of records; behind one that has a score stand its bits.
fn search_cursor_text(cursor: SearchCursor) -> String {
    let at = cursor_text(cursor.at);
    if cursor.score == 0.0 { at } else { format!("{at}.{:x}", cursor.score.to_bits()) }
}

fn parse_search_cursor(text: &str) -> Result<SearchCursor, Failure> {
    let wrong = || Failure::bad_argument("not a cursor; use `next` of the page before");
    let (at, score) = match text.match_indices('.').nth(1) {
        Some((dot, _)) => {
            let bits = u64::from_str_radix(&text[dot + 1..], 16).map_err(|_| wrong())?;
            (&text[..dot], f64::from_bits(bits))
        }
        None => (text, 0.0),
    };
    Ok(SearchCursor { score, at: parse_cursor(at)? })
}

/// A page of what a search has found.
#[derive(Serialize)]
pub(crate) struct FoundJs {
    records: Vec<RecordJs>,
    next: Option<String>,
    count: Option<f64>,
    unsearched: f64,
}

impl From<Found> for FoundJs {
    fn from(found: Found) -> Self {
        Self {
            records: found.records.into_iter().map(RecordJs::from).collect(),
            next: found.next.map(search_cursor_text),
            count: found.count.map(|count| count as f64),
            unsearched: found.unsearched as f64,
        }
    }
}

/// Changes of what a live query finds.
#[derive(Serialize)]
pub(crate) struct ChangesJs {
    removed: Vec<String>,
    placed: Vec<PlacedJs>,
    unsearched: f64,
}

/// A record that is new in the list, or has another content or place.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PlacedJs {
    at: u32,
    is_new: bool,
    record: RecordJs,
}

impl From<Changes> for ChangesJs {
    fn from(changes: Changes) -> Self {
        let placed = |it: Placed| PlacedJs {
            at: u32::try_from(it.at).unwrap_or(u32::MAX),
            is_new: it.is_new,
            record: it.record.into(),
        };
        Self {
            removed: texts(changes.removed),
            placed: changes.placed.into_iter().map(placed).collect(),
            unsearched: changes.unsearched as f64,
        }
    }
}
