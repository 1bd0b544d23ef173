//! Static files, from folders that the operator names: compressed if the reader takes that, or a part of one.
//!
//! A path is split at `/` and every part must be a plain name: nothing that begins with a dot, no
//! separator of any platform, no escape that decodes to one. A file to which a symbolic link leads
//! out of the folder is not served.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Response, StatusCode};

use super::shelf::{Coding, FILE_BYTES_MAX, File, Shelf};
use super::{Body, Site, text};

const NO_PAGES: &str = "This is a Peergraph node. It serves no pages: start it with --pages DIR.\n\
    Programs reach it with --node and the address of this page.\n\
    If an invitation led you here: give the whole link to `peergraph group join`.\n";

pub(super) async fn answer(
    path: &str,
    head: bool,
    headers: &HeaderMap,
    site: &Site,
) -> Response<Body> {
    let (folder, rest) = match path.strip_prefix("/peergraph/") {
        Some(rest) if site.package.is_some() => (&site.package, rest),
        _ => (&site.pages, path.strip_prefix('/').unwrap_or(path)),
    };
    let Some(folder) = folder else {
        return match path {
            "/" => text(StatusCode::OK, NO_PAGES),
            _ => text(StatusCode::NOT_FOUND, "There is no such page.\n"),
        };
    };
    let Some(relative) = relative(rest) else {
        return text(StatusCode::NOT_FOUND, "There is no such page.\n");
    };
    let (folder, path) = (folder.clone(), path.to_owned());
    let asked = Asked::of(headers);
    let shelf = site.shelf.clone();
    let found = tokio::task::spawn_blocking(move || find(&folder, &relative, &shelf, &asked)).await;
    match found {
        Ok(Found::Reply(reply)) => reply.into_response(head),
        Ok(Found::Unchanged(etag)) => {
            let mut response = Response::new(Body::default());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            cache(response.headers_mut(), &etag);
            response
        }
        Ok(Found::Folder) => {
            // Relative links in its index need the slash. So is this one: a proxy may have taken away what is before it.
            let mut response = text(StatusCode::PERMANENT_REDIRECT, "See the folder.\n");
            let last = path.rsplit('/').next().unwrap_or_default();
            match HeaderValue::from_str(&format!("{last}/")) {
                Ok(to) => {
                    response.headers_mut().insert(header::LOCATION, to);
                    response
                }
                Err(_) => text(StatusCode::NOT_FOUND, "There is no such page.\n"),
            }
        }
        Ok(Found::NoRoom) => {
            text(StatusCode::SERVICE_UNAVAILABLE, "Too many files are read at once. Try again.\n")
        }
        Ok(Found::Nothing) => text(StatusCode::NOT_FOUND, "There is no such page.\n"),
        Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "The page cannot be read.\n"),
    }
}

/// The headers by which a request chooses the form of a file.
struct Asked {
    /// The version that the asker has.
    known: Option<HeaderValue>,
    accepts: String,
    range: Option<String>,
    /// The range is of this version, if it is named.
    if_range: Option<HeaderValue>,
}

impl Asked {
    fn of(headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        Self {
            known: headers.get(header::IF_NONE_MATCH).cloned(),
            accepts: text(header::ACCEPT_ENCODING).unwrap_or_default().to_ascii_lowercase(),
            range: text(header::RANGE).map(str::to_owned),
            if_range: headers.get(header::IF_RANGE).cloned(),
        }
    }

    /// Whether these bytes may be sent. Source: RFC 9110, 12.5.3; a weight of 0 forbids a coding.
    fn takes(&self, coding: Coding) -> bool {
        let Some(name) = coding.name() else { return true };
        self.accepts.split(',').any(|one| {
            let mut parts = one.split(';').map(str::trim);
            let weight = |part: &str| part.strip_prefix("q=").and_then(|q| q.parse::<f32>().ok());
            parts.next() == Some(name) && !parts.any(|part| weight(part) == Some(0.0))
        })
    }

    /// The part that is asked for, if it is one part of this version.
    fn part(&self, etag: &str, len: u64) -> Part {
        let same = self.if_range.as_ref().is_none_or(|of| of.as_bytes() == etag.as_bytes());
        let Some(range) = self.range.as_ref().filter(|_| same) else { return Part::All };
        let Ok(parsed) = http_range_header::parse_range_header(range) else { return Part::All };
        match parsed.validate(len).as_deref() {
            Ok([part]) => Part::Of(*part.start(), *part.end()),
            Ok(_) => Part::All,
            Err(_) => Part::Nowhere,
        }
    }
}

/// The part of a file that is sent.
enum Part {
    All,
    /// From the first to the last byte.
    Of(u64, u64),
    /// Behind its end.
    Nowhere,
}

enum Found {
    Reply(Reply),
    Unchanged(String),
    Folder,
    NoRoom,
    Nothing,
}

/// A file, or a part of it, as it is sent.
struct Reply {
    status: StatusCode,
    bytes: Bytes,
    coding: Coding,
    /// Which part of how much.
    part: Option<String>,
    etag: String,
    kind: &'static str,
}

/// The path below a folder that a request names; `None` for anything that could lead elsewhere.
fn relative(path: &str) -> Option<PathBuf> {
    let mut relative = PathBuf::new();
    let mut parts = path.split('/').peekable();
    while let Some(part) = parts.next() {
        let part = decode(part)?;
        if part.is_empty() {
            // Only at the end: a folder.
            return parts.peek().is_none().then(|| relative.join("index.html"));
        }
        if part.starts_with('.') || part.contains(['/', '\\', ':', '\0']) {
            return None;
        }
        relative.push(part);
    }
    Some(relative)
}

/// Undoes percent encoding.
fn decode(part: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first == b'%' {
            let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
            if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return None;
            }
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

fn find(folder: &Path, relative: &Path, shelf: &Arc<Shelf>, asked: &Asked) -> Found {
    let read = || {
        let folder = folder.canonicalize()?;
        let path = folder.join(relative).canonicalize()?;
        if !path.starts_with(&folder) {
            return Ok(Found::Nothing);
        }
        let facts = path.metadata()?;
        if facts.is_dir() {
            return Ok(Found::Folder);
        }
        if !facts.is_file() || facts.len() > FILE_BYTES_MAX {
            return Ok(Found::Nothing);
        }
        let changed = facts.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        let etag = format!("\"{:x}-{:x}\"", changed.as_nanos(), facts.len());
        // A client with the compressed form has the same version.
        let same = |known: &HeaderValue| {
            known.to_str().is_ok_and(|known| known.trim_start_matches("W/") == etag)
        };
        if asked.known.as_ref().is_some_and(same) {
            return Ok(Found::Unchanged(etag));
        }
        let Some(file) = shelf.file(&path, &etag)? else { return Ok(Found::NoRoom) };
        Ok(Found::Reply(Reply::of(&file, kind(&path), asked)))
    };
    read().unwrap_or_else(|error: std::io::Error| {
        if error.kind() != std::io::ErrorKind::NotFound {
            tracing::warn!(%error, "a page cannot be read");
        }
        Found::Nothing
    })
}

impl Reply {
    fn of(file: &Arc<File>, kind: &'static str, asked: &Asked) -> Self {
        let len = file.plain.len() as u64;
        let whole = |coding, bytes| Self {
            status: StatusCode::OK,
            bytes,
            coding,
            part: None,
            etag: file.etag.clone(),
            kind,
        };
        match asked.part(&file.etag, len) {
            Part::Of(first, last) => Self {
                status: StatusCode::PARTIAL_CONTENT,
                bytes: file.plain.slice(first as usize..=last as usize),
                part: Some(format!("bytes {first}-{last}/{len}")),
                ..whole(Coding::Plain, Bytes::new())
            },
            Part::Nowhere => Self {
                status: StatusCode::RANGE_NOT_SATISFIABLE,
                part: Some(format!("bytes */{len}")),
                ..whole(Coding::Plain, Bytes::new())
            },
            Part::All if !is_text(kind) => whole(Coding::Plain, file.plain.clone()),
            Part::All => {
                if asked.takes(Coding::Gzip) {
                    file.compress(Coding::Gzip);
                }
                let (coding, bytes) = file.best(|coding| asked.takes(coding));
                // It takes a while: for the next one.
                if coding != Coding::Brotli && asked.takes(Coding::Brotli) {
                    let file = file.clone();
                    tokio::task::spawn_blocking(move || file.compress(Coding::Brotli));
                }
                whole(coding, bytes)
            }
        }
    }

    fn into_response(self, head: bool) -> Response<Body> {
        let length = self.bytes.len();
        let mut response = Response::new(Full::new(if head { Bytes::new() } else { self.bytes }));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.kind));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        if let Some(part) = self.part.and_then(|part| HeaderValue::from_str(&part).ok()) {
            headers.insert(header::CONTENT_RANGE, part);
        }
        if self.kind.starts_with("text/javascript") {
            // A service worker from any folder may serve all pages of this node when the node is gone.
            headers.insert("service-worker-allowed", HeaderValue::from_static("/"));
        }
        match self.coding.name() {
            Some(name) => {
                headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(name));
                // The same file, byte for byte another: no part of it fits a part of the other.
                cache(headers, &format!("W/{}", self.etag));
            }
            None => cache(headers, &self.etag),
        }
        response
    }
}

/// Whether a file of this kind gets shorter by compression.
fn is_text(kind: &str) -> bool {
    kind.starts_with("text/")
        || matches!(
            kind,
            "application/wasm" | "application/json" | "application/manifest+json" | "image/svg+xml"
        )
}

/// Kept, but asked about each time: pages change with the node.
fn cache(headers: &mut HeaderMap, etag: &str) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(etag) = HeaderValue::from_str(etag) {
        headers.insert(header::ETAG, etag);
    }
}

fn kind(path: &Path) -> &'static str {
    let extension = path.extension().and_then(|it| it.to_str()).unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "html" | "htm" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "wasm" => "application/wasm",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" | "md" | "ts" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_in_their_folder() {
        for (path, found) in [
            ("", Some("index.html")),
            ("chat/", Some("chat/index.html")),
            ("chat/main.js", Some("chat/main.js")),
            ("a%20b.txt", Some("a b.txt")),
            ("%e2%82%ac", Some("€")),
            ("../secret", None),
            ("a/../../secret", None),
            ("%2e%2e/secret", None),
            ("a%2fb", None),
            ("a%5cb", None),
            ("a\\b", None),
            ("c:/x", None),
            (".git/config", None),
            ("a//b", None),
            ("a%00b", None),
            ("a%", None),
            ("a%+1", None),
            ("a%ff", None),
        ] {
            assert_eq!(relative(path), found.map(PathBuf::from), "{path}");
        }
    }
}
