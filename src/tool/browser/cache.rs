//! Pages of the web kept on disk, by HTTP's own rules: what a server allows to be kept is shown again without asking while
//! it is fresh, and asked about with its validators afterwards.
//!
//! It decides nothing: whether a call may see a page is the grant's matter, whether it is kept or not. The folder is the
//! user's alone, and bounded. Nothing here fails: a page that cannot be kept is fetched again. Start at [`Cache::before`].

use crate::egress::{Reply, Request, Url};
use http_cache_semantics::{AfterResponse, BeforeRequest, CacheOptions, CachePolicy};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

/// What the folder may hold, in bytes.
const MAX_BYTES: u64 = 64 << 20;

/// The endings of kept pages and of those that are being written.
const KEPT: &str = "page";
const WRITTEN: &str = "new";

/// Told apart: two pages are written at once by two tasks.
static N_WRITTEN: AtomicU64 = AtomicU64::new(0);

/// A folder of pages.
pub struct Cache {
    folder: PathBuf,
    max_bytes: u64,
}

/// A page as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// As the server said.
    pub(super) content_type: Option<String>,
    pub(super) body: Vec<u8>,
}

/// What is known of a page before it is asked for.
pub(super) enum Before {
    /// Nothing.
    Unknown,
    /// It need not be asked for.
    Fresh(Kept),
    /// It is to be asked for with these headers; it may be what is kept still.
    Stale { headers: Vec<(String, String)>, entry: Box<Entry> },
}

/// A kept page with its rules.
pub(super) struct Entry {
    about: About,
    body: Vec<u8>,
}

/// The first line of a file.
#[derive(Serialize, Deserialize)]
struct About {
    /// The file's name is its hash.
    url: String,
    /// It came from a place that policy lists, and not from the public internet.
    is_local: bool,
    content_type: Option<String>,
    /// It knows what was asked for, and so refuses a page under another's name.
    policy: CachePolicy,
}

impl Cache {
    /// The pages in a folder. It need not exist; it is made for the user alone.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, max_bytes: MAX_BYTES }
    }

    /// What is known of the page that a request asks for. `is_local` says whether a place that is not public may be reached.
    pub(super) fn before(&self, request: &Request, is_local: bool, now: SystemTime) -> Before {
        let Some((asking, entry)) = as_http(request).zip(self.load(&request.url)) else { return Before::Unknown };
        if entry.about.is_local && !is_local {
            return Before::Unknown;
        }
        match entry.about.policy.before_request(&asking, now) {
            BeforeRequest::Fresh(_) => Before::Fresh(entry.kept()),
            BeforeRequest::Stale { request: asking, matches: true } => {
                let validators = ["if-none-match", "if-modified-since"];
                let value = |name: &str| asking.headers.get(name)?.to_str().ok().map(str::to_owned);
                let headers = validators.iter().filter_map(|name| Some(((*name).to_owned(), value(name)?)));
                Before::Stale { headers: headers.collect(), entry: Box::new(entry) }
            }
            BeforeRequest::Stale { .. } => Before::Unknown,
        }
    }

    /// The page that a server says is the kept one still, which is kept on with the new rules.
    pub(super) fn unchanged(
        &self,
        request: &Request,
        reply: &Reply,
        entry: Box<Entry>,
        now: SystemTime,
    ) -> Option<Kept> {
        let (asking, answer) = (as_http(request)?, reply_as_http(reply)?);
        let Entry { mut about, body } = *entry;
        match about.policy.after_response(&asking, &answer, now) {
            AfterResponse::NotModified(policy, _) => about.policy = policy,
            // A server that does not repeat its validator can mean nothing but the page that it was asked about.
            AfterResponse::Modified(..) if reply.header("etag").or(reply.header("last-modified")).is_none() => {}
            AfterResponse::Modified(..) => return None,
        }
        let entry = Entry { about, body };
        self.write(&entry);
        Some(entry.kept())
    }

    /// Keeps what came, if its server allows it; else forgets what was kept before.
    pub(super) fn keep(&self, request: &Request, reply: &Reply, is_local: bool, now: SystemTime) {
        // After a redirect, what came is the page of another URL than was asked for.
        let request = Request { url: reply.url.clone(), ..request.clone() };
        let Some((asking, answer)) = as_http(&request).zip(reply_as_http(reply)) else { return };
        // A single user's; and no guesses where a server says nothing.
        let options = CacheOptions { shared: false, cache_heuristic: 0.0, ..CacheOptions::default() };
        let policy = CachePolicy::new_options(&asking, &answer, now, options);
        if !policy.is_storable() {
            let _ = fs::remove_file(self.path(&request.url));
            return;
        }
        let content_type = reply.header("content-type").map(str::to_owned);
        let about = About { url: request.url.to_string(), is_local, content_type, policy };
        self.write(&Entry { about, body: reply.body.clone() });
        self.make_room();
    }

    fn path(&self, url: &Url) -> PathBuf {
        let hash: String = Sha256::digest(url.as_str()).iter().map(|byte| format!("{byte:02x}")).collect();
        self.folder.join(hash).with_extension(KEPT)
    }

    fn load(&self, url: &Url) -> Option<Entry> {
        let bytes = fs::read(self.path(url)).ok()?;
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let about: About = serde_json::from_slice(&bytes[..end]).ok()?;
        Some(Entry { about, body: bytes[end + 1..].to_vec() })
    }

    fn write(&self, entry: &Entry) {
        let written = Url::parse(&entry.about.url).map_err(io::Error::other).and_then(|url| {
            let mut bytes = serde_json::to_vec(&entry.about)?;
            bytes.push(b'\n');
            bytes.extend_from_slice(&entry.body);
            self.replace(&self.path(&url), &bytes)
        });
        if let Err(error) = written {
            tracing::debug!(%error, "a page was not kept");
        }
    }

    /// Written beside it first, so that nobody reads half of it.
    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&self.folder, fs::Permissions::from_mode(0o700))?;
        }
        let n = N_WRITTEN.fetch_add(1, Ordering::Relaxed);
        let beside = self.folder.join(format!("{}-{n}.{WRITTEN}", std::process::id()));
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let written = options.open(&beside).and_then(|mut file| {
            file.write_all(bytes)?;
            fs::rename(&beside, path)
        });
        if written.is_err() {
            let _ = fs::remove_file(&beside);
        }
        written
    }

    /// Removes the pages that were not written for longest until the rest fits.
    fn make_room(&self) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        let mut files: Vec<_> = entries
            .flatten()
            .filter_map(|entry| {
                let metadata = entry.metadata().ok().filter(fs::Metadata::is_file)?;
                let path = entry.path();
                let ending = path.extension()?;
                (ending == KEPT || ending == WRITTEN)
                    .then(|| Some((metadata.modified().ok()?, metadata.len(), path)))?
            })
            .collect();
        files.sort();
        let mut n_bytes: u64 = files.iter().map(|(_, n_bytes, _)| n_bytes).sum();
        for (_, size, path) in files {
            if n_bytes <= self.max_bytes {
                break;
            }
            // Another process may have been faster.
            let _ = fs::remove_file(path);
            n_bytes -= size;
        }
    }
}

impl Entry {
    fn kept(self) -> Kept {
        Kept { content_type: self.about.content_type, body: self.body }
    }
}

fn as_http(request: &Request) -> Option<http::Request<()>> {
    let mut builder = http::Request::builder().method(request.method.as_str()).uri(request.url.as_str());
    for (name, value) in &request.headers {
        builder = builder.header(name, value);
    }
    builder.body(()).ok()
}

fn reply_as_http(reply: &Reply) -> Option<http::Response<()>> {
    let mut builder = http::Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        builder = builder.header(name, value);
    }
    builder.body(()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn request(url: &str) -> Request {
        let headers = vec![("accept".to_owned(), "text/html".to_owned())];
        Request { method: "GET".into(), url: Url::parse(url).unwrap(), headers, body: Vec::new() }
    }

    fn reply(url: &str, status: u16, headers: &[(&str, &str)], body: &str) -> Reply {
        let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Reply { status, url: Url::parse(url).unwrap(), headers, body: body.into() }
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)
    }

    fn look(cache: &Cache, url: &str, seconds: u64) -> String {
        match cache.before(&request(url), false, at(seconds)) {
            Before::Unknown => "unknown".into(),
            Before::Fresh(kept) => format!("fresh {}", String::from_utf8(kept.body).unwrap()),
            Before::Stale { headers, .. } => format!("stale {headers:?}"),
        }
    }

    const URL: &str = "https://example.org/a";

    #[test]
    fn a_page_is_kept_as_its_server_says() {
        let validators = r#"stale [("if-none-match", "\"v1\"")]"#;
        for (headers, soon, late) in [
            (&[("cache-control", "max-age=60"), ("etag", "\"v1\"")][..], "fresh text", validators),
            (&[("cache-control", "max-age=60, private"), ("etag", "\"v1\"")], "fresh text", validators),
            (&[("cache-control", "no-cache"), ("etag", "\"v1\"")], validators, validators),
            (&[("etag", "\"v1\"")], validators, validators),
            (&[("cache-control", "no-store, max-age=60"), ("etag", "\"v1\"")], "unknown", "unknown"),
            (&[("cache-control", "max-age=60"), ("vary", "*")], "unknown", "unknown"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let cache = Cache::new(folder.path().to_owned());
            cache.keep(&request(URL), &reply(URL, 200, headers, "text"), false, at(0));
            assert_eq!((look(&cache, URL, 30).as_str(), look(&cache, URL, 90).as_str()), (soon, late), "{headers:?}");
            assert_eq!(look(&cache, "https://example.org/b", 30), "unknown");
        }
    }

    #[test]
    fn what_a_server_no_longer_allows_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().to_owned());
        cache.keep(&request(URL), &reply(URL, 200, &[("cache-control", "max-age=60")], "text"), false, at(0));
        cache.keep(&request(URL), &reply(URL, 200, &[("cache-control", "no-store")], "secret"), false, at(0));
        assert_eq!(look(&cache, URL, 1), "unknown");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_unchanged_page_is_fresh_again() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().to_owned());
        let headers = [("cache-control", "max-age=60"), ("etag", "\"v1\""), ("content-type", "text/plain")];
        cache.keep(&request(URL), &reply(URL, 200, &headers, "text"), false, at(0));
        let Before::Stale { entry, .. } = cache.before(&request(URL), false, at(90)) else { panic!("stale") };
        let kept = cache.unchanged(&request(URL), &reply(URL, 304, &headers, ""), entry, at(90)).unwrap();
        assert_eq!((kept.content_type.as_deref(), kept.body.as_slice()), (Some("text/plain"), &b"text"[..]));
        assert_eq!(look(&cache, URL, 120), "fresh text");
    }

    #[test]
    fn what_came_after_a_redirect_is_the_page_of_where_it_led() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().to_owned());
        let headers = [("cache-control", "max-age=60")];
        cache.keep(&request(URL), &reply("https://example.org/b", 200, &headers, "text"), false, at(0));
        assert_eq!(look(&cache, URL, 1), "unknown");
        assert_eq!(look(&cache, "https://example.org/b", 1), "fresh text");
    }

    #[test]
    fn what_came_from_a_private_place_is_shown_where_that_is_allowed() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().to_owned());
        cache.keep(&request(URL), &reply(URL, 200, &[("cache-control", "max-age=60")], "text"), true, at(0));
        assert_eq!(look(&cache, URL, 1), "unknown");
        assert!(matches!(cache.before(&request(URL), true, at(1)), Before::Fresh(_)));
    }

    #[test]
    fn a_damaged_entry_is_none_and_an_entry_under_anothers_name_too() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().to_owned());
        cache.keep(&request(URL), &reply(URL, 200, &[("cache-control", "max-age=60")], "text"), false, at(0));
        let path = cache.path(&Url::parse(URL).unwrap());
        let good = fs::read(&path).unwrap();
        fs::copy(&path, cache.path(&Url::parse("https://example.org/b").unwrap())).unwrap();
        assert_eq!(look(&cache, "https://example.org/b", 1), "unknown");
        for bad in [&good[..10], b"", b"\n", b"{}\ntext"] {
            fs::write(&path, bad).unwrap();
            assert_eq!(look(&cache, URL, 1), "unknown");
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_folder_is_the_users_alone() {
        use std::os::unix::fs::PermissionsExt;
        let base = tempfile::tempdir().unwrap();
        let cache = Cache::new(base.path().join("new/pages"));
        cache.keep(&request(URL), &reply(URL, 200, &[("cache-control", "max-age=60")], "text"), false, at(0));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&cache.folder), mode(&cache.path(&Url::parse(URL).unwrap()))), (0o700, 0o600));
    }

    #[test]
    fn the_oldest_pages_make_room() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache { max_bytes: 25_000, ..Cache::new(folder.path().to_owned()) };
        fs::write(folder.path().join("somebody.else"), vec![0; 100_000]).unwrap();
        for n in 0..4 {
            let url = format!("https://example.org/{n}");
            cache.keep(
                &request(&url),
                &reply(&url, 200, &[("cache-control", "max-age=60")], &"x".repeat(10_000)),
                false,
                at(0),
            );
            let path = cache.path(&Url::parse(&url).unwrap());
            let written = SystemTime::UNIX_EPOCH + Duration::from_secs(n);
            if let Ok(file) = fs::File::options().write(true).open(path) {
                file.set_modified(written).unwrap();
            }
        }
        let kept: Vec<_> =
            (0..4).map(|n| look(&cache, &format!("https://example.org/{n}"), 1).len() > 10_000).collect();
        assert_eq!(kept, [false, false, true, true]);
        assert!(folder.path().join("somebody.else").exists());
    }
}
