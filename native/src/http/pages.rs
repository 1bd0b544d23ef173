//! Static files, from folders that the operator names.
//!
//! A path is split at `/` and every part must be a plain name: nothing that begins with a dot, no separator of any
//! platform, no escape that decodes to one. What a symbolic link leads out of the folder is not served.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Response, StatusCode};

use super::{Body, Site, text};

/// Longest file. Bytes. Guess: files are read whole.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

const NO_PAGES: &str = "This is a Peergraph node. It serves no pages: start it with --pages DIR.\n\
    Programs reach it with --node and the address of this page.\n";

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
    let known = headers.get(header::IF_NONE_MATCH).cloned();
    let found = tokio::task::spawn_blocking(move || find(&folder, &relative, known.as_ref())).await;
    match found {
        Ok(Found::File { bytes, etag, kind }) => file(bytes, &etag, kind, head),
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
        Ok(Found::Nothing) => text(StatusCode::NOT_FOUND, "There is no such page.\n"),
        Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "The page cannot be read.\n"),
    }
}

enum Found {
    File { bytes: Bytes, etag: String, kind: &'static str },
    Unchanged(String),
    Folder,
    Nothing,
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

fn find(folder: &Path, relative: &Path, known: Option<&HeaderValue>) -> Found {
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
        if known.is_some_and(|known| known.as_bytes() == etag.as_bytes()) {
            return Ok(Found::Unchanged(etag));
        }
        Ok(Found::File { bytes: std::fs::read(&path)?.into(), etag, kind: kind(&path) })
    };
    read().unwrap_or_else(|error: std::io::Error| {
        if error.kind() != std::io::ErrorKind::NotFound {
            tracing::warn!(%error, "a page cannot be read");
        }
        Found::Nothing
    })
}

fn file(bytes: Bytes, etag: &str, kind: &'static str, head: bool) -> Response<Body> {
    let length = bytes.len();
    let mut response = Response::new(Full::new(if head { Bytes::new() } else { bytes }));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    if kind.starts_with("text/javascript") {
        // A service worker from any folder may serve all pages of this node when the node is gone.
        headers.insert("service-worker-allowed", HeaderValue::from_static("/"));
    }
    cache(headers, etag);
    response
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
