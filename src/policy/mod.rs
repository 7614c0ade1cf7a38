//! Who may do what: every call of a tool is decided here and nowhere else.
//!
//! What it is not: it runs nothing, asks nobody and reads no file of its own; an [`Approver`] asks, and `config` reads.
//! Start at [`Policy::decide`]; a [`Grant`] is the only way to a tool's `call`, and only this module can make one.

mod budget;
mod cedar;
mod confidentiality;
mod egress;
mod file;
mod grant;
mod label;
mod marks;
mod pattern;
mod place;
mod principal;
mod quote;
#[cfg(test)]
mod reaching;
mod readings;
pub mod redact;
mod rule;
mod standing;
#[cfg(test)]
mod written;

pub use budget::{Budget, Money};
pub use cedar::{Question, SCHEMA};
pub use confidentiality::Confidentiality;
pub use egress::EgressRules;
pub use file::PolicyError;
pub use grant::{Approval, Approver, Capabilities, Decision, Denial, Folder, Grant, Pending, Reason};
pub use label::{Integrity, Label};
pub use place::{HostPattern, Places, Reach};
pub use principal::Principal;
pub use quote::Quote;
pub use readings::{Readings, Taint, Tainted};
pub use rule::{Answer, Rule};
pub use standing::Approvals;

use cedar::Statements;
use marks::Marks;
use serde_json::Value;
use std::fmt;
use std::path::{Path, PathBuf};
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

    /// Whether anything may leave the machine with it.
    pub fn leaves(self) -> bool {
        matches!(self, Self::Send | Self::Cloud)
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

/// What the packages of MCP servers begin with. Whatever such a server says of its tools, something may leave with their calls.
pub const BORROWED: &str = "mcp__";

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
    /// What the arguments were taken from.
    pub argument: &'a Taint,
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

impl Call<'_> {
    /// How confidential what would leave with it is.
    fn confidentiality(&self) -> Confidentiality {
        let of_words = self.quote.map_or(Confidentiality::Public, |quote| quote.confidentiality);
        of_words.join(self.context.confidentiality())
    }

    fn question<'a>(&'a self, reach: &'a Reach) -> Question<'a> {
        Question {
            tool: self.tool,
            effect: self.effect,
            reach,
            context: self.context.integrity(),
            argument: self.argument.label.integrity(),
            confidentiality: self.confidentiality(),
            cost: self.cost(),
        }
    }

    /// What it costs at most; `None` when nobody knows.
    fn cost(&self) -> Option<Money> {
        self.quote.map_or(Some(Money::ZERO), |quote| quote.cost)
    }
}

/// Rules, none of which stands before another: deny beats ask, ask beats allow, and where no rule speaks the answer is no.
#[derive(Clone, Debug)]
pub struct Policy {
    name: Arc<str>,
    /// Those in TOML, for people.
    rules: Arc<[Rule]>,
    /// What decides: the rules, and what was written in Cedar.
    statements: Arc<Statements>,
    marks: Arc<Marks>,
    /// Who acts.
    principal: Arc<Principal>,
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

    /// Reads a policy in Cedar, of statements that fit the [`SCHEMA`]. It says nothing of budgets and of egress.
    pub fn parse_cedar(name: &str, text: &str) -> Result<Self, PolicyError> {
        Ok(Self {
            name: name.into(),
            rules: Arc::new([]),
            statements: Arc::new(Statements::parse(name, text)?),
            marks: Arc::default(),
            principal: Arc::default(),
            egress: Arc::default(),
            budget: Arc::default(),
            places: Arc::default(),
            above: Arc::new([]),
        })
    }

    /// The policy within another one's limits in money, of what may leave, and with its marks: for one in Cedar, which can say
    /// nothing of these.
    pub fn within_limits_of(mut self, other: &Self) -> Self {
        (self.egress, self.budget, self.marks) = (other.egress.clone(), other.budget.clone(), other.marks.clone());
        self
    }

    /// The policy with the statements of another, as if both were one file. An error names what both call theirs.
    pub fn with_statements_of(mut self, other: &Self) -> Result<Self, String> {
        self.statements = Arc::new(self.statements.joined(&other.statements)?);
        Ok(self)
    }

    /// The policy for what is done on this one's behalf.
    pub fn acting(mut self, principal: Principal) -> Self {
        self.principal = Arc::new(principal);
        self.above = self.above.iter().map(|other| other.clone().acting(Principal::clone(&self.principal))).collect();
        self
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

    /// How many rules it has, those in Cedar too.
    pub fn n_rules(&self) -> usize {
        self.statements.len()
    }

    /// On whose behalf it decides.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The policy where its variables mean these places. `real` finds what a path is without links: a rule that names a link
    /// speaks of where it leads too.
    pub fn at(mut self, places: Places, real: impl Fn(&Path) -> PathBuf) -> Self {
        let placed = |rule: &Rule| Rule {
            within: rule.within.iter().map(|area| area.clone().placed(&places, &real)).collect(),
            ..rule.clone()
        };
        self.rules = self.rules.iter().map(placed).collect();
        self.statements = Arc::new(self.statements.placed(&self.rules));
        self.marks = Arc::new(self.marks.placed(&places, &real));
        self.places = Arc::new(places);
        self
    }

    /// The policy made stricter by another: of two answers the stronger one holds, of two limits the lower. Nothing that this one
    /// forbids becomes allowed by it.
    pub fn under(mut self, other: Self) -> Self {
        let mut egress = EgressRules::clone(&other.egress);
        // Whoever limits money, and names no servers that cost nothing, means all servers.
        if other.budget.limits_anything() {
            egress.own.get_or_insert_default();
        }
        self.egress = Arc::new(self.egress.joined(&Arc::new(egress)));
        self.budget = Arc::new(self.budget.joined(&other.budget));
        self.marks = Arc::new(self.marks.joined(&other.marks));
        let other = other.acting(Principal::clone(&self.principal));
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

    /// The label of what a file says. The path is absolute.
    pub fn label(&self, path: &Path) -> Label {
        self.marks.label(path)
    }

    /// The one place where a call is allowed, asked about or denied.
    pub fn decide(&self, call: &Call<'_>) -> Decision {
        let reach = self.reach(call);
        let (answer, rule) = self.judged(call, &reach);
        tracing::debug!(tool = %call.tool, effect = %call.effect, rule, answer = answer.as_str(), "decided");
        match answer {
            Answer::Allow => Decision::Allow(Grant::new(call, &rule, reach, self.clone())),
            Answer::Ask => Decision::Ask(Pending::new(call, &rule, reach, self.clone())),
            Answer::Deny => {
                let kept = (rule == NEVER_SEND).then(|| call.context.kept().map(str::to_owned).collect());
                Decision::Deny(Denial { rule, reason: kept.map_or(Reason::Rule, Reason::Kept) })
            }
        }
    }

    /// The rules' answer, or what the budget and the rules of egress say of the call when that is stricter.
    fn judged(&self, call: &Call<'_>, reach: &Reach) -> (Answer, String) {
        // What is more confidential than what must not leave must not leave either.
        let destination = call.quote.map(|quote| quote.destination.as_str());
        let leaves = call.effect.leaves() || destination.is_some() || call.tool.package.starts_with(BORROWED);
        if leaves && self.egress.keeps(call.confidentiality(), destination) {
            return (Answer::Deny, NEVER_SEND.into());
        }
        let ruling = self.ruling(&call.question(reach));
        match call.quote.map(|quote| quote.judged(&self.budget)) {
            Some((answer, part)) if answer > ruling.0 => (answer, part.into()),
            _ => ruling,
        }
    }

    /// The rules' answer to a question, and the rule that gives it: of several the one whose id comes first, whatever the file's
    /// order.
    ///
    /// A deny or ask holds as soon as it touches any path or host of the call; all of them must be allowed.
    pub fn ruling(&self, question: &Question<'_>) -> (Answer, String) {
        let own = self.statements.answer(&self.principal, question);
        let others = self.above.iter().map(|other| other.ruling(question));
        others.fold(own, |strictest, other| if other.0 > strictest.0 { other } else { strictest })
    }

    /// The rules that have a say in a call, each with its answer, and what would change it.
    pub fn explain(&self, call: &Call<'_>) -> Explained {
        let reach = self.reach(call);
        let (answer, rule) = self.judged(call, &reach);
        let layers = std::iter::once(self).chain(self.above.iter());
        let rules = layers.flat_map(|policy| policy.speaking(&call.question(&reach))).collect();
        let without = self.without(&rule);
        Explained { answer, rules, otherwise: without.judged(call, &reach), rule }
    }

    /// Where a call reaches: where its arguments say, and where its quote says that it goes.
    fn reach(&self, call: &Call<'_>) -> Reach {
        let mut reach = call.targets.reach(call.arguments, &self.places);
        reach.hosts.extend(call.quote.map(|quote| normal_host(&quote.destination)));
        reach
    }

    /// The policy without a rule, in each of its layers.
    fn without(&self, rule: &str) -> Self {
        let above = self.above.iter().map(|other| other.without(rule)).collect();
        Self { statements: Arc::new(self.statements.without(rule)), above, ..self.clone() }
    }

    fn speaking(&self, question: &Question<'_>) -> Vec<Speaking> {
        let said = self.statements.speaking(&self.principal, question).into_iter();
        said.map(|(id, answer)| {
            let line = self.rules.iter().find(|rule| rule.id == id).map(|rule| format!("{}:{}", self.name, rule.line));
            let place = line.or_else(|| self.statements.file_of(&id).map(str::to_owned));
            Speaking { place: place.unwrap_or_else(|| self.name.to_string()), id, answer }
        })
        .collect()
    }

    /// Whether no tool of a package, whatever it does, may ever be called.
    pub fn denies_all_of(&self, package: &str) -> bool {
        let covers = |rule: &Rule| rule.tools.is_empty() || rule.tools.iter().any(|pattern| pattern.covers(package));
        self.rules.iter().any(|rule| rule.answer == Answer::Deny && rule.is_unconditional() && covers(rule))
            || self.statements.forbid_all_of(package)
            || self.above.iter().any(|other| other.denies_all_of(package))
    }

    /// In a word, what it says to a tool's calls: the answer, or on what it depends.
    pub fn summary(&self, tool: &ToolId, effect: Effect) -> &'static str {
        let permits = |rule: &&Rule| rule.permits() && rule.names(tool, effect);
        let (answer, rule) = self.ruling(&Question::about(tool, effect));
        match answer {
            Answer::Deny if rule == file::DEFAULT_RULE => {
                match self.rules.iter().filter(permits).collect::<Vec<_>>()[..] {
                    [] => answer.as_str(),
                    ref some if some.iter().any(|rule| !rule.hosts.is_empty()) => "by host",
                    _ => "by path",
                }
            }
            answer => answer.as_str(),
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

/// Why a call is answered as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// The answer.
    pub answer: Answer,
    /// The rule, or the part of the policy, that decides.
    pub rule: String,
    /// All rules that speak of the call.
    pub rules: Vec<Speaking>,
    /// The answer without the deciding rule, and what would decide then.
    pub otherwise: (Answer, String),
}

/// A rule that speaks of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Speaking {
    /// Its name.
    pub id: String,
    /// What it says.
    pub answer: Answer,
    /// The file in which it stands, with its line where that is known.
    pub place: String,
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
