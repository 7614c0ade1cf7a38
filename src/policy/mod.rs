//! Who may do what: every call of a tool is decided here and nowhere else.
//!
//! What it is not: it runs nothing, asks nobody and reads no file of its own; an [`Approver`] asks, and `config` reads.
//! Start at [`Policy::decide`]; a [`Grant`] is the only way to a tool's `call`, and only this module can make one.

mod file;
mod grant;
mod label;
mod pattern;
mod place;
#[cfg(test)]
mod reaching;

pub use file::EgressRules;
pub use file::{Answer, PolicyError, Rule};
pub use grant::{Approval, Approver, Capabilities, Decision, Denial, Folder, Grant, Pending, Reason};
pub use label::{Integrity, Label};
pub use place::{HostPattern, Places, Reach};

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
    places: Arc<Places>,
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

    /// What its variables mean.
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// What may be reached at all, whatever the rules say.
    pub fn egress(&self) -> &EgressRules {
        &self.egress
    }

    /// The one place where a call is allowed, asked about or denied.
    pub fn decide(&self, call: &Call<'_>) -> Decision {
        let reach = call.targets.reach(call.arguments, &self.places);
        let (answer, rule) = self.ruling(call.tool, call.effect, &reach, call.context.integrity());
        tracing::debug!(tool = %call.tool, effect = %call.effect, rule, answer = answer.as_str(), "decided");
        match answer {
            Answer::Allow => Decision::Allow(Grant::new(call, rule, reach, self.clone())),
            Answer::Ask => Decision::Ask(Pending::new(call, rule, reach, self.clone())),
            Answer::Deny => Decision::Deny(Denial { rule: rule.to_owned(), reason: Reason::Rule }),
        }
    }

    /// The answer to a call that reaches so far, and the rule that gives it: of several the one whose id comes first,
    /// whatever the file's order.
    ///
    /// A deny or ask holds as soon as it touches any path or host of the call; what lets a call happen must cover all of them.
    pub fn ruling(&self, tool: &ToolId, effect: Effect, reach: &Reach, context: Integrity) -> (Answer, &str) {
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

    /// Whether no tool of a package, whatever it does, may ever be called.
    pub fn denies_all_of(&self, package: &str) -> bool {
        let is_whole = |rule: &Rule| {
            rule.effects.is_empty() && rule.within.is_empty() && rule.hosts.is_empty() && rule.context.is_none()
        };
        let covers = |rule: &Rule| rule.tools.is_empty() || rule.tools.iter().any(|pattern| pattern.covers(package));
        self.rules.iter().any(|rule| rule.answer == Answer::Deny && is_whole(rule) && covers(rule))
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(text: &str) -> ToolId {
        text.parse().unwrap()
    }

    fn answer(policy: &Policy, tool: &str, effect: Effect) -> &'static str {
        let (wants, targets) = (Capabilities::default(), Targets::default());
        let call = Call {
            tool: &id(tool),
            effect,
            arguments: &Value::Null,
            wants: &wants,
            targets: &targets,
            context: Label::trusted(),
        };
        match policy.decide(&call) {
            Decision::Allow(_) => "allow",
            Decision::Ask(_) => "ask",
            Decision::Deny(_) => "deny",
        }
    }

    #[test]
    fn every_bundled_policy_loads_and_has_examples() {
        let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/policies")).unwrap();
        let mut files: Vec<String> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        files.sort();
        let mut bundled: Vec<String> = BUNDLED.iter().map(|(name, _)| format!("{name}.toml")).collect();
        bundled.sort();
        assert_eq!(files, bundled, "every file of policies/ is bundled");
        for (name, text) in BUNDLED {
            if let Err(error) = Policy::parse(name, text) {
                panic!("{error}");
            }
            assert!(text.matches("[[test]]").count() >= 5, "{name} shows what it does by examples");
        }
    }

    #[test]
    fn the_default_lets_tools_look_asks_before_writes_and_lets_nothing_out() {
        let policy = Policy::default();
        assert_eq!(answer(&policy, "calc.calc", Effect::Pure), "allow");
        assert_eq!(answer(&policy, "notes.list", Effect::Read), "allow");
        assert_eq!(answer(&policy, "notes.add", Effect::Write), "ask");
        assert_eq!(answer(&policy, "mail.send", Effect::Send), "deny");
        assert_eq!(answer(&policy, "cloud.ask", Effect::Cloud), "deny");
    }

    #[test]
    fn an_empty_policy_denies_everything() {
        let policy = Policy::parse("p", "version = 1").unwrap();
        for effect in Effect::ALL {
            assert_eq!(answer(&policy, "calc.calc", effect), "deny");
        }
    }

    #[test]
    fn a_grant_holds_what_the_call_wants_and_remembers_its_rule() {
        let policy =
            Policy::parse("p", "version = 1\n[[rule]]\nid = \"all\"\ntools = [\"*\"]\ndecision = \"allow\"").unwrap();
        let wants = Capabilities { clock: true, file: Some(PathBuf::from("/notes.md")), ..Capabilities::default() };
        let (tool, targets) = (id("notes.add"), Targets::default());
        let call = Call {
            tool: &tool,
            effect: Effect::Write,
            arguments: &Value::Null,
            wants: &wants,
            targets: &targets,
            context: Label::trusted(),
        };
        let Decision::Allow(grant) = policy.decide(&call) else { panic!("allowed") };
        assert_eq!((grant.tool(), grant.capabilities()), (&tool, &wants));
        assert_eq!((grant.rule(), grant.approved()), ("all", false));
    }

    #[test]
    fn rules_that_name_no_known_tool_are_warned_of() {
        let text = "version = 1\n[[rule]]\nid = \"typo\"\ntools = [\"notes.*\", \"ntoes.*\", \"mcp__*.*\", \"*\"]\ndecision = \"deny\"";
        let warnings = Policy::parse("p", text).unwrap().check(&[id("notes.add")]);
        assert_eq!(warnings, [Warning { rule: "typo".into(), pattern: "ntoes.*".into(), line: 3 }]);
        assert!(warnings[0].to_string().contains("ntoes.*"));
    }

    fn rules() -> impl Strategy<Value = Vec<Rule>> {
        let patterns = vec!["*", "notes.*", "notes.add", "*.add", "calc.calc", "x.y"];
        let tools = prop::collection::vec(prop::sample::select(patterns), 0..3);
        let effects = prop::collection::vec(prop::sample::select(&Effect::ALL[..]), 0..3);
        let answers = prop::sample::select(vec![Answer::Allow, Answer::Ask, Answer::Deny]);
        prop::collection::vec((tools, effects, answers), 0..7).prop_map(|rules| {
            let rule = |(n, (tools, effects, answer)): (usize, (Vec<&str>, Vec<Effect>, Answer))| Rule {
                id: format!("r{n}"),
                tools: tools.into_iter().map(|text| pattern::Pattern::parse(text).unwrap()).collect(),
                effects,
                within: Vec::new(),
                hosts: Vec::new(),
                context: None,
                answer,
                line: n,
            };
            rules.into_iter().enumerate().map(rule).collect()
        })
    }

    fn calls() -> impl Strategy<Value = (ToolId, Effect)> {
        let tools = prop::sample::select(vec!["notes.add", "notes.list", "calc.calc", "clock.add", "other.tool"]);
        (tools.prop_map(id), prop::sample::select(&Effect::ALL[..]))
    }

    fn with(rules: Vec<Rule>) -> Policy {
        Policy { rules: rules.into(), ..Policy::default() }
    }

    #[test]
    fn what_strangers_wrote_makes_rules_stricter_and_never_laxer() {
        let policy = |rules: &str| Policy::parse("test", &format!("version = 1\n{rules}"));
        let text = "[[rule]]\nid = \"mine\"\ntools = [\"mail.send\"]\ndecision = \"allow\"\n\
                    [[rule]]\nid = \"strangers\"\ncontext = \"untrusted\"\neffects = [\"send\"]\ndecision = \"ask\"\n\
                    [[rule]]\nid = \"alone\"\ntools = [\"post.card\"]\ncontext = \"trusted\"\ndecision = \"allow\"\n\
                    [[test]]\ncall = { tool = \"mail.send\", effect = \"send\", context = \"untrusted\" }\nexpect = \"ask\"\n";
        let (parsed, reach) = (policy(text).unwrap(), Reach::default());
        for (tool, context, answer) in [
            ("mail.send", Integrity::Trusted, (Answer::Allow, "mine")),
            ("mail.send", Integrity::Untrusted, (Answer::Ask, "strangers")),
            ("other.send", Integrity::Untrusted, (Answer::Deny, "default")),
            ("post.card", Integrity::Trusted, (Answer::Allow, "alone")),
            ("post.card", Integrity::Untrusted, (Answer::Deny, "default")),
        ] {
            assert_eq!(parsed.ruling(&id(tool), Effect::Send, &reach, context), answer, "{tool} {context:?}");
        }
        let lax = "[[rule]]\nid = \"r\"\ntools = [\"*\"]\ncontext = \"untrusted\"\ndecision = \"allow\"\n";
        assert!(policy(lax).unwrap_err().to_string().contains("allows nothing"));
        let read = Label::untrusted("browser.open");
        let (wants, targets, tool) = (Capabilities::default(), Targets::default(), id("mail.send"));
        let arguments = Value::Null;
        let call = Call {
            tool: &tool,
            effect: Effect::Send,
            arguments: &arguments,
            wants: &wants,
            targets: &targets,
            context: &read,
        };
        let Decision::Ask(pending) = parsed.decide(&call) else { panic!("a page was read") };
        assert_eq!(pending.context(), &read);
    }

    proptest! {
        #[test]
        fn the_order_of_rules_means_nothing(
            (rules, shuffled) in rules().prop_flat_map(|rules| (Just(rules.clone()), Just(rules).prop_shuffle())),
            (tool, effect) in calls(),
        ) {
            let (one, other) = (with(rules), with(shuffled));
            let (reach, context) = (Reach::default(), Integrity::Trusted);
            prop_assert_eq!(one.ruling(&tool, effect, &reach, context), other.ruling(&tool, effect, &reach, context));
        }

        #[test]
        fn the_strongest_rule_that_speaks_wins(rules in rules(), (tool, effect) in calls()) {
            let policy = with(rules);
            let speaking = policy.rules.iter().filter(|rule| rule.speaks_of(&tool, effect, Integrity::Trusted)).map(|rule| rule.answer);
            let strongest = speaking.max().unwrap_or(Answer::Deny);
            prop_assert_eq!(policy.ruling(&tool, effect, &Reach::default(), Integrity::Trusted).0, strongest);
        }
    }
}
