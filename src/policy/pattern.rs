//! Which tools a rule speaks of: a tool's identity with `*` for any run of characters in a part.

use super::ToolId;
use std::fmt;

/// `notes.add`, `notes.*`, `*.add`, `mcp_*.read_*`, or `*` for every tool. A star never reaches over the dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    package: String,
    tool: String,
}

impl Pattern {
    /// Reads a pattern; the error says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self { package: "*".into(), tool: "*".into() });
        }
        let part = |part: &str| {
            !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '*'))
        };
        match text.split_once('.') {
            Some((package, tool)) if part(package) && part(tool) => {
                Ok(Self { package: package.into(), tool: tool.into() })
            }
            _ => Err(format!(
                "`{text}` is not a tool: write `package.tool`, with `*` for any name, or `*` for every tool"
            )),
        }
    }

    pub(super) fn matches(&self, id: &ToolId) -> bool {
        glob(self.package.as_bytes(), id.package.as_bytes()) && glob(self.tool.as_bytes(), id.tool.as_bytes())
    }

    /// Whether it speaks of every tool of a package.
    pub(super) fn covers(&self, package: &str) -> bool {
        self.tool == "*" && glob(self.package.as_bytes(), package.as_bytes())
    }

    /// Whether it names no package in particular, so that it may well speak of tools that are not there.
    pub(super) fn is_of_any_package(&self) -> bool {
        self.package.contains('*')
    }

    /// Whether it speaks of every tool there could be.
    fn is_everything(&self) -> bool {
        self.package == "*" && self.tool == "*"
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_everything() { f.write_str("*") } else { write!(f, "{}.{}", self.package, self.tool) }
    }
}

/// Whether `text` has the form of `pattern`. Takes at most `pattern.len() * text.len()` steps, whatever the stars.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where the last star stands, and how much of the text it has swallowed so far.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match (pattern.get(p), star) {
            (Some(b'*'), _) => {
                star = Some((p, t));
                p += 1;
            }
            (Some(c), _) if *c == text[t] => {
                p += 1;
                t += 1;
            }
            (_, Some((at, swallowed))) => {
                star = Some((at, swallowed + 1));
                p = at + 1;
                t = swallowed + 1;
            }
            _ => return false,
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, tool: &str, expect: bool) {
        let (package, name) = tool.split_once('.').unwrap();
        let id = ToolId { package: package.into(), tool: name.into() };
        assert_eq!(Pattern::parse(pattern).unwrap().matches(&id), expect, "{pattern} on {tool}");
    }

    #[test]
    fn stars_stand_for_any_run_within_a_part() {
        check("notes.add", "notes.add", true);
        check("notes.add", "notes.added", false);
        check("notes.add", "notes.ad", false);
        check("notes.*", "notes.add", true);
        check("notes.*", "notes2.add", false);
        check("note*.add", "notes.add", true);
        check("*.add", "clock.add", true);
        check("*.*_file", "x.read_file", true);
        check("*.*_file", "x.read_files", false);
        check("*.a*b*c", "x.aXbXbXc", true);
        check("*.a*b*c", "x.aXcXb", false);
        check("*", "anything.at_all", true);
        check("mcp__*.*", "mcp__files.read", true);
        check("mcp__*.*", "mcp_files.read", false);
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in
            ["", "notes", "notes.", ".add", "a.b.c", "notes.ad d", "notes.add\n", "notés.add", "[a-z].b", "**/x"]
        {
            assert!(Pattern::parse(text).is_err(), "{text:?}");
        }
        // The star's cost is bounded: this would take a naive matcher longer than the universe.
        check(&format!("{}b.x", "a*".repeat(40)), &format!("{}.x", "a".repeat(80)), false);
    }
}
