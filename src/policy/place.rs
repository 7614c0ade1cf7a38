//! Where a call reaches: paths and hosts, and how rules name them.
//!
//! Paths are compared as text, part by part; nothing is looked up. That a path is what it seems (no link, no `..`) is the
//! matter of whoever opens it, who asks again with the real one. Start at [`Reach`].

use std::fmt;
use std::path::{Component, Path, PathBuf};

/// What the variables of a policy's `within` stand for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// `$WORKSPACE`: the folder in which the user works, and to which relative paths of a call belong.
    pub workspace: PathBuf,
    /// `$HOME` and `~`.
    pub home: PathBuf,
    /// The program's own folders: configuration, journal, keys. No call opens them, whatever the rules say.
    pub own: Vec<PathBuf>,
}

impl Default for Places {
    /// Those that a policy's own examples mean.
    fn default() -> Self {
        Self { workspace: "/workspace".into(), home: "/home/user".into(), own: Vec::new() }
    }
}

impl Places {
    /// The path that a call's argument means: absolute, without `.` and `..`.
    pub fn absolute(&self, text: &str) -> PathBuf {
        let mut path = PathBuf::new();
        for part in self.workspace.join(text).components() {
            match part {
                Component::ParentDir => {
                    path.pop();
                }
                Component::CurDir => {}
                part => path.push(part),
            }
        }
        path
    }
}

/// What a call reaches beyond its arguments, as far as they say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Reach {
    /// Absolute.
    pub paths: Vec<PathBuf>,
    /// In small letters.
    pub hosts: Vec<String>,
}

/// A folder, or a single file, that a rule names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Area {
    base: Base,
    /// Under the base.
    rest: PathBuf,
    /// What it means: the path as it is written, and without links.
    paths: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Base {
    Root,
    Workspace,
    Home,
}

impl Area {
    /// Reads `$WORKSPACE/src`, `~/notes` or `/srv`; the error says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is no place: write an absolute path, `$WORKSPACE`, `~` or a path under one of these");
        let (first, rest) = text.split_once('/').unwrap_or((text, ""));
        let base = match first {
            "" if text.starts_with('/') => Base::Root,
            "$WORKSPACE" => Base::Workspace,
            "$HOME" | "~" => Base::Home,
            _ => return Err(wrong()),
        };
        let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_));
        if text.contains(['*', '\0']) || !Path::new(rest).components().all(is_plain) {
            return Err(wrong());
        }
        Ok(Self { base, rest: rest.into(), paths: Vec::new() }.placed(&Places::default(), Path::to_path_buf))
    }

    /// The area where its variable means one of these places.
    pub(super) fn placed(self, places: &Places, real: impl Fn(&Path) -> PathBuf) -> Self {
        let base = match self.base {
            Base::Root => Path::new("/"),
            Base::Workspace => &places.workspace,
            Base::Home => &places.home,
        };
        let path = base.join(&self.rest);
        Self { paths: vec![real(&path), path], ..self }
    }

    /// What it means.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.paths.iter().map(PathBuf::as_path)
    }

    /// Whether the path is this place or lies in it.
    pub(super) fn holds(&self, path: &Path) -> bool {
        self.paths.iter().any(|place| path.starts_with(place))
    }
}

/// A host with its subdomains, or `*` for every host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern(String);

impl HostPattern {
    /// Reads `example.org`, an address such as `192.0.2.1` or `::1`, or `*`; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if let Ok(address) = text.parse::<std::net::IpAddr>() {
            return Ok(Self(address.to_string()));
        }
        let has_empty_part = text.split('.').any(str::is_empty);
        if text == "*" || !text.is_empty() && text.chars().all(is_good) && !has_empty_part {
            return Ok(Self(text.to_ascii_lowercase()));
        }
        Err(format!("`{text}` is no host: write `example.org`, which means its subdomains too, or `*` for every host"))
    }

    /// Whether it speaks of every host.
    pub(super) fn is_every(&self) -> bool {
        self.0 == "*"
    }

    /// Whether the host, in small letters, is this one or one below it.
    pub fn matches(&self, host: &str) -> bool {
        self.is_every()
            || host
                .strip_suffix(&self.0)
                .is_some_and(|below| below.is_empty() || below.ends_with('.') && !is_address(host))
    }
}

/// An address has no subdomains.
pub(super) fn is_address(host: &str) -> bool {
    host.contains(':') || host.parse::<std::net::Ipv4Addr>().is_ok()
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_holds_what_lies_in_it() {
        let places = Places { workspace: "/home/me/work".into(), home: "/home/me".into(), own: Vec::new() };
        for (area, path, expect) in [
            ("$WORKSPACE", "/home/me/work", true),
            ("$WORKSPACE", "/home/me/work/a/b", true),
            ("$WORKSPACE", "/home/me/workshop", false),
            ("$WORKSPACE/src", "/home/me/work/src/x", true),
            ("$WORKSPACE/src", "/home/me/work/srcs", false),
            ("~/.ssh", "/home/me/.ssh/id", true),
            ("$HOME/.ssh", "/home/you/.ssh/id", false),
            ("/etc", "/etc/passwd", true),
            ("/etc", "/etcetera", false),
            ("/", "/anything", true),
        ] {
            let area_ = Area::parse(area).unwrap().placed(&places, Path::to_path_buf);
            assert_eq!(area_.holds(Path::new(path)), expect, "{area} {path}");
        }
        let linked = Area::parse("~/.ssh").unwrap().placed(&places, |_| "/home/me/dot/ssh".into());
        for path in ["/home/me/.ssh/id", "/home/me/dot/ssh/id"] {
            assert!(linked.holds(Path::new(path)), "{path}");
        }
        for text in ["", "etc", "./a", "$OTHER/a", "~me/a", "/a/../b", "/a/*", "$WORKSPACE/..", "/a\0"] {
            assert!(Area::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_argument_is_made_absolute() {
        let places = Places { workspace: "/w".into(), home: "/h".into(), own: Vec::new() };
        for (text, path) in [
            ("a/b", "/w/a/b"),
            ("./a/./b/", "/w/a/b"),
            ("../etc/passwd", "/etc/passwd"),
            ("../../../..", "/"),
            ("a/../../x", "/x"),
            ("/etc//passwd", "/etc/passwd"),
            ("", "/w"),
            ("~/x", "/w/~/x"),
        ] {
            assert_eq!(places.absolute(text), Path::new(path), "{text}");
        }
    }

    #[test]
    fn a_host_means_its_subdomains() {
        for (pattern, host, expect) in [
            ("example.org", "example.org", true),
            ("Example.org", "en.example.org", true),
            ("example.org", "badexample.org", false),
            ("example.org", "example.org.evil.test", false),
            ("*", "anything.test", true),
            ("0.0.1", "127.0.0.1", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("::1", "::1", true),
            ("0:0::0001", "::1", true),
        ] {
            assert_eq!(HostPattern::parse(pattern).unwrap().matches(host), expect, "{pattern} {host}");
        }
        for text in ["", "*.example.org", "http://x.org", "a..b", "x/y", "é.org", "a b", ".org"] {
            assert!(HostPattern::parse(text).is_err(), "{text:?}");
        }
    }
}
