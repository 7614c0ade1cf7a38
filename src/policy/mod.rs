//! Who may do what: every call of a tool is decided here and nowhere else.
//!
//! What it is not: it runs nothing, asks nobody and reads no file of its own; an [`Approver`] asks, and `config` reads.
//! Start at [`Policy::decide`]; a [`Grant`] is the only way to a tool's `call`, and only this module can make one.

mod budget;
mod confidentiality;
mod file;
mod grant;
mod label;
mod pattern;
mod place;
mod quote;
#[cfg(test)]
mod reaching;
pub mod redact;
mod standing;

pub use budget::{Budget, Money};
pub use confidentiality::Confidentiality;
pub use file::{Answer, EgressRules, PolicyError, Rule};
pub use grant::{Approval, Approver, Capabilities, Decision, Denial, Folder, Grant, Pending, Reason};
pub use label::{Integrity, Label};
pub use place::{HostPattern, Places, Reach};
pub use quote::Quote;
pub use standing::Approvals;

use serde_json::Value;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use url::Url;

/// A tool's identity: its package and its name in it. Policy, journal and command line use it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ToolId {
    /// The package: `notes`.
    pub package: String,
    /// The tool in it: `add`.
    pub tool: String,
}

impl fmt::Display for ToolId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.package, self.tool)
    }
}

impl FromStr for ToolId {
    type Err = ();

    /// Reads `package.tool`, both of ASCII letters, digits, `_` and `-`.
    fn from_str(text: &str) -> Result<Self, ()> {
        let part =
            |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
        match text.split_once('.') {
            Some((package, tool)) if part(package) && part(tool) => {
                Ok(Self { package: package.into(), tool: tool.into() })
            }
            _ => Err(()),
        }
    }
}

/// What a call does to the world outside the sandbox: what policy asks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Nothing, and sees nothing but its arguments.
    Pure,
    /// Sees the user's data.
    Read,
    /// Changes the user's data.
    Write,
    /// Lets something leave the machine.
    Send,
    /// Spends money at a hosted model.
    Cloud,
}

impl Effect {
    /// All, from the harmless to the costly.
    pub const ALL: [Self; 5] = [Self::Pure, Self::Read, Self::Write, Self::Send, Self::Cloud];

    /// Whether anything is different afterwards.
    pub fn changes(self) -> bool {
        !matches!(self, Self::Pure | Self::Read)
    }

    /// The word in a policy and in a manifest.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pure => "pure",
            Self::Read => "read",
            Self::Write => "write",
            Self::Send => "send",
            Self::Cloud => "cloud",
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What decides where something is too confidential to leave.
const NEVER_SEND: &str = "egress.never_send";

/// A call, as policy sees it.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Which tool.
    pub tool: &'a ToolId,
    /// What it does outside the sandbox.
    pub effect: Effect,
    /// The parsed arguments.
    pub arguments: &'a Value,
    /// What the tool's manifest asks for; a grant holds at most this.
    pub wants: &'a Capabilities,
    /// Which arguments say where it reaches.
    pub targets: &'a Targets,
    /// What the model has read so far.
    pub context: &'a Label,
    /// What it would send and cost, when it is for a hosted model.
    pub quote: Option<&'a Quote>,
}

/// The names of the arguments, strings or arrays of them, that say where a call reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Targets {
    /// Those that are paths.
    pub paths: Vec<String>,
    /// Those that are URLs.
    pub urls: Vec<String>,
}

impl Targets {
    /// Where a call with these arguments reaches. A path that is left out stands for the workspace, and what is no URL for a
    /// host that is none: no rule allows it but one of all hosts.
    fn reach(&self, arguments: &Value, places: &Places) -> Reach {
        let host = |url: &str| Url::parse(url).ok().and_then(|url| url.host_str().map(normal_host)).unwrap_or_default();
        Reach {
            paths: strings(&self.paths, arguments).map(|path| places.absolute(path)).collect(),
            hosts: strings(&self.urls, arguments).map(host).collect(),
        }
    }
}

/// The strings under these names; an empty one where there is none under a name.
fn strings<'a>(names: &'a [String], arguments: &'a Value) -> impl Iterator<Item = &'a str> {
    names.iter().flat_map(|name| {
        let value = arguments.get(name).unwrap_or(&Value::Null);
        let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        let texts: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
        if texts.is_empty() { vec![""] } else { texts }
    })
}

/// A URL's host as rules compare it: without the dot of a full name, and without the brackets of an address.
fn normal_host(host: &str) -> String {
    host.trim_end_matches('.').trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase()
}

/// Rules, none of which stands before another: deny beats ask, ask beats allow, and where no rule speaks the answer is no.
#[derive(Clone, Debug)]
pub struct Policy {
    name: Arc<str>,
    rules: Arc<[Rule]>,
    egress: Arc<EgressRules>,
    budget: Arc<Budget>,
    places: Arc<Places>,
    /// Other policies whose answers count as well: what any of them is stricter about holds.
    above: Arc<[Policy]>,
}

/// The policies that come with the program, by name.
pub const BUNDLED: [(&str, &str); 4] = [
    ("default", include_str!("../../policies/default.toml")),
    ("offline", include_str!("../../policies/offline.toml")),
    ("strict", include_str!("../../policies/strict.toml")),
    ("automation", include_str!("../../policies/automation.toml")),
];

impl Default for Policy {
    /// The embedded `policies/default.toml`.
    fn default() -> Self {
        Self::bundled("default").expect("`default` is one of the bundled policies")
    }
}

impl Policy {
    /// Reads a policy in its TOML form; `name` is what errors call it. One that fails its own examples does not load.
    pub fn parse(name: &str, text: &str) -> Result<Self, PolicyError> {
        file::parse(name, text)
    }

    /// One of the [`BUNDLED`] policies.
    pub fn bundled(name: &str) -> Option<Self> {
        let (name, text) = BUNDLED.into_iter().find(|(bundled, _)| *bundled == name)?;
        Some(Self::parse(name, text).expect("the bundled policies load: a test loads each"))
    }

    /// What the policy is called: its file, or its name when it is bundled.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its rules, in the file's order, which means nothing.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The policy where its variables mean these places. `real` finds what a path is without links: a rule that names a link
    /// speaks of where it leads too.
    pub fn at(mut self, places: Places, real: impl Fn(&std::path::Path) -> PathBuf) -> Self {
        let placed = |rule: &Rule| Rule {
            within: rule.within.iter().map(|area| area.clone().placed(&places, &real)).collect(),
            ..rule.clone()
        };
        self.rules = self.rules.iter().map(placed).collect();
        self.places = Arc::new(places);
        self
    }

    /// The policy made stricter by another: of two answers the stronger one holds, of two limits the lower. Nothing that this one
    /// forbids becomes allowed by it.
    pub fn under(mut self, other: Self) -> Self {
        self.egress = Arc::new(self.egress.joined(&other.egress));
        self.budget = Arc::new(self.budget.joined(&other.budget));
        self.above = self.above.iter().cloned().chain([other]).collect();
        self
    }

    /// What its variables mean.
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// What may be reached at all, whatever the rules say.
    pub fn egress(&self) -> &EgressRules {
        &self.egress
    }

    /// What may be spent.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// The one place where a call is allowed, asked about or denied.
    pub fn decide(&self, call: &Call<'_>) -> Decision {
        let reach = call.targets.reach(call.arguments, &self.places);
        let ruling = self.ruling(call.tool, call.effect, &reach, call.context.integrity());
        let (answer, rule) = match call.quote {
            Some(quote) => self.stricter(ruling, quote),
            None => ruling,
        };
        tracing::debug!(tool = %call.tool, effect = %call.effect, rule, answer = answer.as_str(), "decided");
        match answer {
            Answer::Allow => Decision::Allow(Grant::new(call, rule, reach, self.clone())),
            Answer::Ask => Decision::Ask(Pending::new(call, rule, reach, self.clone())),
            Answer::Deny => Decision::Deny(Denial { rule: rule.to_owned(), reason: Reason::Rule }),
        }
    }

    /// A rule's answer, or what the budget and the rules of egress say of an offer when that is stricter.
    fn stricter<'a>(&'a self, ruling: (Answer, &'a str), quote: &Quote) -> (Answer, &'a str) {
        // What is more confidential than what must not leave must not leave either.
        if self.egress.never_send.iter().any(|least| quote.confidentiality >= *least) {
            return (Answer::Deny, NEVER_SEND);
        }
        let judged = quote.judged(&self.budget);
        if judged.0 > ruling.0 { judged } else { ruling }
    }

    /// The answer to a call that reaches so far, and the rule that gives it: of several the one whose id comes first,
    /// whatever the file's order.
    ///
    /// A deny or ask holds as soon as it touches any path or host of the call; what lets a call happen must cover all of them.
    pub fn ruling(&self, tool: &ToolId, effect: Effect, reach: &Reach, context: Integrity) -> (Answer, &str) {
        let own = self.own_ruling(tool, effect, reach, context);
        let others = self.above.iter().map(|other| other.ruling(tool, effect, reach, context));
        others.fold(own, |strictest, other| if other.0 > strictest.0 { other } else { strictest })
    }

    fn own_ruling(&self, tool: &ToolId, effect: Effect, reach: &Reach, context: Integrity) -> (Answer, &str) {
        let speaking = |rule: &&Rule| rule.speaks_of(tool, effect, context);
        let first = |is_meant: &dyn Fn(&Rule) -> bool| {
            let rules = self.rules.iter().filter(speaking).filter(|rule| is_meant(rule));
            rules.min_by(|a, b| a.id.cmp(&b.id)).map(|rule| rule.id.as_str())
        };
        if let Some(id) = first(&|rule| rule.answer == Answer::Deny && rule.touches(reach)) {
            return (Answer::Deny, id);
        }
        let Some(permitting) = first(&|rule| rule.permits() && rule.covers(reach)) else {
            return (Answer::Deny, file::DEFAULT_RULE);
        };
        match first(&|rule| rule.answer == Answer::Ask && rule.touches(reach)) {
            Some(id) => (Answer::Ask, id),
            None => (Answer::Allow, permitting),
        }
    }

    /// The rules that have a say in a call, each with its answer: the deciding one first.
    pub fn explain(&self, call: &Call<'_>) -> Explained {
        let reach = call.targets.reach(call.arguments, &self.places);
        let ruling = |policy: &Self| {
            let ruling = policy.ruling(call.tool, call.effect, &reach, call.context.integrity());
            let (answer, rule) = call.quote.map_or(ruling, |quote| policy.stricter(ruling, quote));
            (answer, rule.to_owned())
        };
        let (answer, rule) = ruling(self);
        let speaks =
            |rule: &&Rule| rule.speaks_of(call.tool, call.effect, call.context.integrity()) && rule.touches(&reach);
        let all = self.rules.iter().chain(self.above.iter().flat_map(|other| other.rules.iter()));
        let rules = all.filter(speaks).map(|rule| (rule.id.clone(), rule.answer, rule.line)).collect();
        let without =
            Self { rules: self.rules.iter().filter(|other| other.id != rule).cloned().collect(), ..self.clone() };
        Explained { answer, rules, otherwise: ruling(&without), rule }
    }

    /// Whether no tool of a package, whatever it does, may ever be called.
    pub fn denies_all_of(&self, package: &str) -> bool {
        let is_whole = |rule: &Rule| {
            rule.effects.is_empty() && rule.within.is_empty() && rule.hosts.is_empty() && rule.context.is_none()
        };
        let covers = |rule: &Rule| rule.tools.is_empty() || rule.tools.iter().any(|pattern| pattern.covers(package));
        self.rules.iter().any(|rule| rule.answer == Answer::Deny && is_whole(rule) && covers(rule))
            || self.above.iter().any(|other| other.denies_all_of(package))
    }

    /// In a word, what it says to a tool's calls: the answer, or on what it depends.
    pub fn summary(&self, tool: &ToolId, effect: Effect) -> &'static str {
        let permits = |rule: &&Rule| rule.permits() && rule.speaks_of(tool, effect, Integrity::Trusted);
        match self.ruling(tool, effect, &Reach::default(), Integrity::Trusted) {
            (Answer::Deny, file::DEFAULT_RULE)
                if self.rules.iter().filter(permits).any(|rule| !rule.hosts.is_empty()) =>
            {
                "by host"
            }
            (Answer::Deny, file::DEFAULT_RULE) if self.rules.iter().any(|rule| permits(&rule)) => "by path",
            (answer, _) => answer.as_str(),
        }
    }

    /// What looks like a mistake though it loads: rules that name tools which are not among the `known`.
    pub fn check(&self, known: &[ToolId]) -> Vec<Warning> {
        let unmatched = |rule: &Rule| -> Vec<Warning> {
            rule.tools
                .iter()
                .filter(|pattern| !pattern.is_of_any_package() && !known.iter().any(|id| pattern.matches(id)))
                .map(|pattern| Warning { rule: rule.id.clone(), pattern: pattern.to_string(), line: rule.line })
                .collect()
        };
        self.rules.iter().flat_map(unmatched).collect()
    }
}

impl Rule {
    /// Whether a call can happen by it. One that is only about what strangers wrote makes others stricter and allows nothing.
    fn permits(&self) -> bool {
        self.answer != Answer::Deny && self.context != Some(Integrity::Untrusted)
    }

    fn speaks_of(&self, tool: &ToolId, effect: Effect, context: Integrity) -> bool {
        self.context.is_none_or(|meant| meant == context)
            && (self.tools.is_empty() || self.tools.iter().any(|pattern| pattern.matches(tool)))
            && (self.effects.is_empty() || self.effects.contains(&effect))
    }

    /// Whether it speaks of any path and any host of a call, as far as it names some.
    fn touches(&self, reach: &Reach) -> bool {
        (self.within.is_empty() || reach.paths.iter().any(|path| self.is_within(path)))
            && (self.hosts.is_empty() || reach.hosts.iter().any(|host| self.has_host(host)))
    }

    /// Whether it speaks of all of them.
    fn covers(&self, reach: &Reach) -> bool {
        self.touches(reach)
            && (self.within.is_empty() || reach.paths.iter().all(|path| self.is_within(path)))
            && (self.hosts.is_empty() || reach.hosts.iter().all(|host| self.has_host(host)))
    }

    fn is_within(&self, path: &std::path::Path) -> bool {
        self.within.iter().any(|area| area.holds(path))
    }

    fn has_host(&self, host: &str) -> bool {
        self.hosts.iter().any(|pattern| pattern.matches(host))
    }
}

/// Why a call is answered as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// The answer.
    pub answer: Answer,
    /// The rule, or the part of the policy, that decides.
    pub rule: String,
    /// All rules that speak of the call, with their answers and their lines, from 1.
    pub rules: Vec<(String, Answer, usize)>,
    /// The answer without the deciding rule, and what would decide then.
    pub otherwise: (Answer, String),
}

/// A rule that names no tool there is: a slip of the pen, or a tool that is merely absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The rule's id.
    pub rule: String,
    /// The name or pattern that matches nothing.
    pub pattern: String,
    /// Where the rule stands in the policy's text, from 1.
    pub line: usize,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the policy rule `{}` (line {}) names `{}`, and there is no such tool",
            self.rule, self.line, self.pattern
        )
    }
}

#[cfg(test)]
mod tests;
