//! The form in which people write a policy: TOML, checked as a whole before any of it counts.
//!
//! It only reads text into [`Rule`]s and runs the text's own examples. What rules mean is [`Policy::decide`]'s matter.

use super::pattern::Pattern;
use super::place::{Area, HostPattern, Places, Reach};
use super::redact::{Kind, Rules, UnknownKind};
use super::{Budget, Confidentiality, Effect, Integrity, Money, Policy, ToolId, normal_host};
use serde::Deserialize;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use toml::Spanned;

/// A rule's answer. The stronger one wins, and is the greater one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// Go on.
    Allow,
    /// Ask somebody.
    Ask,
    /// No.
    Deny,
}

impl Answer {
    /// The word in a policy file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Ask => "ask",
            Self::Deny => "deny",
        }
    }
}

/// One rule: an answer to the calls that it speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub(super) id: String,
    /// Empty speaks of every tool.
    pub(super) tools: Vec<Pattern>,
    /// Empty speaks of every effect.
    pub(super) effects: Vec<Effect>,
    /// Empty speaks of every path, and of none.
    pub(super) within: Vec<Area>,
    /// Empty speaks of every host, and of none.
    pub(super) hosts: Vec<HostPattern>,
    /// What the model has read so far; `None` is anything.
    pub(super) context: Option<Integrity>,
    pub(super) answer: Answer,
    /// Where it stands in the file, from 1.
    pub(super) line: usize,
}

impl Rule {
    /// Its name, unique in its policy.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What it says.
    pub fn answer(&self) -> Answer {
        self.answer
    }
}

/// What may be reached at all, whatever the rules say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EgressRules {
    /// `None` leaves it to the rules.
    pub(super) allow_hosts: Option<Vec<HostPattern>>,
    /// `host:port` of this machine or of its network that tools may reach, which they else may not.
    pub(super) allow_local: Vec<String>,
    /// What is as confidential as one of these goes to no hosted model, whatever the rules say.
    pub(super) never_send: Vec<Confidentiality>,
    /// What is taken out of a text before it leaves.
    pub(super) redact: Rules,
    /// Of stricter policies: what may be reached must be so by these too.
    pub(super) above: Vec<Arc<EgressRules>>,
}

impl Default for EgressRules {
    /// What a policy means that says nothing of it: the safe way.
    fn default() -> Self {
        Self {
            allow_hosts: None,
            allow_local: Vec::new(),
            never_send: vec![Confidentiality::Secret, Confidentiality::LocalOnly],
            redact: Rules::all(),
            above: Vec::new(),
        }
    }
}

impl EgressRules {
    /// Whether the host may be reached, by the rules' leave.
    pub fn allows(&self, host: &str) -> bool {
        self.allow_hosts.as_ref().is_none_or(|hosts| hosts.iter().any(|pattern| pattern.matches(host)))
            && self.above.iter().all(|other| other.allows(host))
    }

    /// What is taken out of a text before it goes to a hosted model.
    pub fn redact(&self) -> &Rules {
        &self.redact
    }

    /// Whether that port of a host may be reached though it is no public one.
    pub fn allows_local(&self, host: &str, port: u16) -> bool {
        let place = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        self.allow_local.contains(&place) && self.above.iter().all(|other| other.allows_local(host, port))
    }

    /// Both at once: what one of them keeps in stays in.
    pub(super) fn joined(&self, other: &Arc<Self>) -> Self {
        let mut joined = self.clone();
        joined.never_send.extend(&other.never_send);
        joined.redact = joined.redact.joined(&other.redact);
        joined.above.push(other.clone());
        joined
    }
}

/// Why a policy does not load. Such a policy stops the program: half a policy is none.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{name}:{line}: {message}")]
pub struct PolicyError {
    name: String,
    text: Arc<str>,
    span: Range<usize>,
    line: usize,
    message: String,
}

impl PolicyError {
    fn new(name: &str, text: &str, span: Range<usize>, message: impl Into<String>) -> Self {
        let line = line_of(text, span.start);
        Self { name: name.into(), text: text.into(), span, line, message: message.into() }
    }

    /// The file, or whatever the policy was called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The bytes of the text that are wrong.
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// What is wrong and what to write instead, without the place.
    pub fn message(&self) -> &str {
        &self.message
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// The file, exactly as it may be written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: Spanned<i64>,
    #[serde(default)]
    egress: EgressTable,
    #[serde(default)]
    budget: BudgetTable,
    #[serde(default)]
    rule: Vec<RuleTable>,
    #[serde(default)]
    test: Vec<TestTable>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct EgressTable {
    allow_hosts: Option<Vec<Spanned<String>>>,
    allow_local: Vec<Spanned<String>>,
    never_send: Option<Vec<Confidentiality>>,
    redact: Option<Vec<Spanned<String>>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct BudgetTable {
    per_call: Option<Spanned<String>>,
    per_task: Option<Spanned<String>>,
    per_day: Option<Spanned<String>>,
    on_unknown_price: Option<Answer>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleTable {
    id: Spanned<String>,
    tools: Option<Spanned<Vec<Spanned<String>>>>,
    effects: Option<Spanned<Vec<Effect>>>,
    within: Option<Spanned<Vec<Spanned<String>>>>,
    hosts: Option<Spanned<Vec<Spanned<String>>>>,
    context: Option<Spanned<Integrity>>,
    decision: Answer,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TestTable {
    call: CallTable,
    expect: Spanned<Answer>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CallTable {
    tool: Spanned<String>,
    /// Left out, the example must hold for every effect.
    effect: Option<Effect>,
    path: Option<Spanned<String>>,
    url: Option<Spanned<String>>,
    #[serde(default)]
    context: Integrity,
}

/// The rule that decides where no other does.
pub(super) const DEFAULT_RULE: &str = "default";

/// The newest form of the file that this program reads.
const VERSION: i64 = 1;

/// Reads the text and tries its examples.
pub(super) fn parse(name: &str, text: &str) -> Result<Policy, PolicyError> {
    let wrong = |span, message: String| PolicyError::new(name, text, span, message);
    let file: File =
        toml::from_str(text).map_err(|error| wrong(error.span().unwrap_or(0..0), error.message().trim().to_owned()))?;
    if *file.version.get_ref() != VERSION {
        let message = format!("version {} is not known here: write `version = {VERSION}`", file.version.get_ref());
        return Err(wrong(file.version.span(), message));
    }
    let mut ids = HashSet::new();
    let mut rules = Vec::with_capacity(file.rule.len());
    for table in file.rule {
        let (span, id) = (table.id.span(), table.id.get_ref());
        if id.is_empty() || id == DEFAULT_RULE || !ids.insert(id.clone()) {
            let message = format!("`{id}` cannot name a rule: names are unique, not empty and not `{DEFAULT_RULE}`");
            return Err(wrong(span, message));
        }
        rules.push(table.into_rule(text).map_err(|(span, message)| wrong(span, message))?);
    }
    let egress = file.egress.into_rules().map_err(|(span, message)| wrong(span, message))?;
    let budget = file.budget.into_budget().map_err(|(span, message)| wrong(span, message))?;
    let policy = Policy {
        name: name.into(),
        rules: rules.into(),
        egress: Arc::new(egress),
        budget: Arc::new(budget),
        places: Arc::new(Places::default()),
        above: Arc::new([]),
    };
    for test in file.test {
        test.run(&policy).map_err(|(span, message)| wrong(span, message))?;
    }
    Ok(policy)
}

/// What is wrong, and where.
type Wrong = (Range<usize>, String);

impl EgressTable {
    fn into_rules(self) -> Result<EgressRules, Wrong> {
        let address = |text: Spanned<String>| {
            let is_good = text.get_ref().rsplit_once(':').is_some_and(|(host, port)| {
                let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
                let is_host = match inner {
                    Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
                    None => !host.contains(':') && host != "*" && HostPattern::parse(host).is_ok(),
                };
                is_host && port.parse::<u16>().is_ok()
            });
            match is_good {
                true => Ok(text.into_inner().to_ascii_lowercase()),
                false => {
                    Err((text.span(), format!("`{}` is no host and port: write `127.0.0.1:8080`", text.get_ref())))
                }
            }
        };
        let kinds = |names| {
            let kind = |name: &str| name.parse::<Kind>().map_err(|error: UnknownKind| error.to_string());
            each(names, kind).map(|kinds| kinds.into_iter().collect::<Rules>())
        };
        let safe = EgressRules::default();
        Ok(EgressRules {
            allow_hosts: self.allow_hosts.map(|hosts| each(hosts, HostPattern::parse)).transpose()?,
            allow_local: self.allow_local.into_iter().map(address).collect::<Result<_, _>>()?,
            never_send: self.never_send.unwrap_or(safe.never_send),
            redact: self.redact.map(kinds).transpose()?.unwrap_or(safe.redact),
            above: Vec::new(),
        })
    }
}

impl BudgetTable {
    fn into_budget(self) -> Result<Budget, Wrong> {
        let money = |text: Option<Spanned<String>>| {
            text.map(|text| text.get_ref().parse::<Money>().map_err(|message| (text.span(), message))).transpose()
        };
        Ok(Budget {
            per_call: money(self.per_call)?,
            per_task: money(self.per_task)?,
            per_day: money(self.per_day)?,
            on_unknown_price: self.on_unknown_price.unwrap_or(Budget::default().on_unknown_price),
        })
    }
}

/// Reads each of the texts; what is wrong with one is shown where it stands.
fn each<T>(texts: Vec<Spanned<String>>, parse: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, Wrong> {
    texts.into_iter().map(|text| parse(text.get_ref()).map_err(|message| (text.span(), message))).collect()
}

impl RuleTable {
    fn into_rule(self, text: &str) -> Result<Rule, Wrong> {
        let at = self.id.span();
        if self.tools.is_none() && self.effects.is_none() && self.within.is_none() && self.hosts.is_none() {
            let message =
                "a rule needs one of `tools`, `effects`, `within` and `hosts`; `tools = [\"*\"]` speaks of every tool";
            return Err((at, message.into()));
        }
        let list = |list: &Option<Spanned<Vec<Spanned<String>>>>| {
            list.as_ref().map(|list| (list.span(), list.get_ref().is_empty()))
        };
        for (span, empty) in [
            list(&self.tools),
            list(&self.within),
            list(&self.hosts),
            self.effects.as_ref().map(|effects| (effects.span(), effects.get_ref().is_empty())),
        ]
        .into_iter()
        .flatten()
        {
            if empty {
                return Err((span, "an empty list speaks of nothing: fill it, or leave the line out".into()));
            }
        }
        if let Some(context) = &self.context
            && (self.decision, context.get_ref()) == (Answer::Allow, &Integrity::Untrusted)
        {
            let message = "what strangers wrote allows nothing: write `ask` or `deny`, or leave the line out";
            return Err((context.span(), message.into()));
        }
        let texts = |list: Option<Spanned<Vec<Spanned<String>>>>| list.map(Spanned::into_inner).unwrap_or_default();
        Ok(Rule {
            id: self.id.into_inner(),
            tools: each(texts(self.tools), Pattern::parse)?,
            within: each(texts(self.within), Area::parse)?,
            hosts: each(texts(self.hosts), HostPattern::parse)?,
            effects: self.effects.map(Spanned::into_inner).unwrap_or_default(),
            context: self.context.map(Spanned::into_inner),
            answer: self.decision,
            line: line_of(text, at.start),
        })
    }
}

impl TestTable {
    /// Where the example's call reaches. Its path may begin with a variable, as a rule's may.
    fn reach(&self, policy: &Policy) -> Result<Reach, Wrong> {
        let Places { workspace, home, .. } = policy.places();
        let path = self.call.path.as_ref().map(|path| {
            let variables = [("$WORKSPACE", workspace), ("$HOME", home), ("~", home)];
            let placed = variables.iter().find_map(|(name, place)| {
                let rest = path.get_ref().strip_prefix(name).filter(|rest| rest.is_empty() || rest.starts_with('/'))?;
                Some(format!("{}{rest}", place.display()))
            });
            policy.places().absolute(placed.as_deref().unwrap_or(path.get_ref()))
        });
        let host = self.call.url.as_ref().map(|url| {
            let host = url::Url::parse(url.get_ref()).ok().and_then(|url| url.host_str().map(normal_host));
            host.ok_or_else(|| (url.span(), format!("`{}` is no URL with a host", url.get_ref())))
        });
        Ok(Reach { paths: path.into_iter().collect(), hosts: host.transpose()?.into_iter().collect() })
    }

    fn run(&self, policy: &Policy) -> Result<(), Wrong> {
        let tool = self.call.tool.get_ref();
        let id: ToolId = tool
            .parse()
            .map_err(|()| (self.call.tool.span(), format!("`{tool}` is not a tool: write `package.tool`")))?;
        let effects = self.call.effect.map_or(Effect::ALL.to_vec(), |effect| vec![effect]);
        let reach = self.reach(policy)?;
        for effect in effects {
            let (answer, rule) = policy.ruling(&id, effect, &reach, self.call.context);
            if answer != *self.expect.get_ref() {
                let message = format!(
                    "this example fails: it expects `{}`, and for {id} with the effect {effect} the rule `{rule}` says `{}`",
                    self.expect.get_ref().as_str(),
                    answer.as_str(),
                );
                return Err((self.expect.span(), message));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The part of the text that the error points at, and its message.
    fn check(text: &str, at: &str, word: &str) {
        let error = parse("p.toml", text).unwrap_err();
        assert_eq!(&text[error.span()], at, "{error}");
        assert!(error.message().contains(word), "{error}");
        let line = text[..error.span().start].split('\n').count();
        assert!(error.to_string().starts_with(&format!("p.toml:{line}: ")), "{error}");
    }

    const RULE: &str = "version = 1\n[[rule]]\nid = \"a\"\ntools = [\"notes.*\"]\ndecision = \"ask\"\n";

    #[test]
    fn mistakes_are_named_and_pointed_at() {
        check("version = 7", "7", "version 7");
        check("version = 1\nversoin = 1", "versoin", "unknown field");
        check("version = 1\n[[rule]]\nid = \"a\"\ndecision = \"allow\"", "\"a\"", "needs one of");
        check("version = 1\n[[rule]]\nid = \"\"\ntools = [\"*\"]\ndecision = \"allow\"", "\"\"", "not empty");
        check(
            "version = 1\n[[rule]]\nid = \"default\"\ntools = [\"*\"]\ndecision = \"ask\"",
            "\"default\"",
            "not `default`",
        );
        check("version = 1\n[[rule]]\nid = \"a\"\ntools = []\ndecision = \"allow\"", "[]", "empty list");
        check(
            "version = 1\n[[rule]]\nid = \"a\"\ntools = [\"x.y\", \"no tes\"]\ndecision = \"allow\"",
            "\"no tes\"",
            "package.tool",
        );
        check("version = 1\n[[rule]]\nid = \"a\"\neffects = [\"wirte\"]\ndecision = \"allow\"", "\"wirte\"", "write");
        check("version = 1\n[[rule]]\nid = \"a\"\ntools = [\"*\"]\ndecision = \"maybe\"", "\"maybe\"", "ask");
        check(&format!("{RULE}{}", &RULE["version = 1\n".len()..]), "\"a\"", "unique");
        check(&format!("{RULE}[[test]]\ncall = {{ tool = \"notes\" }}\nexpect = \"ask\""), "\"notes\"", "package.tool");
    }

    #[test]
    fn text_that_is_no_toml_is_an_error_with_a_line() {
        for text in ["version =", "version = 1\n[[rule]", "\u{0}", "version = 1\nversion = 1", &"[".repeat(100_000)] {
            let error = parse("p.toml", text).unwrap_err();
            assert!(error.to_string().starts_with("p.toml:"), "{error}");
            assert!(text.get(error.span()).is_some(), "{error}");
        }
        assert_eq!(parse("p.toml", "").unwrap_err().message(), "missing field `version`");
    }

    #[test]
    fn a_policy_that_fails_its_own_examples_does_not_load() {
        let with_test = |tool: &str, expect: &str| {
            parse("p.toml", &format!("{RULE}[[test]]\ncall = {{ {tool} }}\nexpect = \"{expect}\"\n"))
        };
        assert!(with_test("tool = \"notes.add\"", "ask").is_ok());
        assert!(with_test("tool = \"notes.add\", effect = \"write\"", "ask").is_ok());
        let error = with_test("tool = \"notes.add\"", "allow").unwrap_err().to_string();
        assert_eq!(
            error,
            "p.toml:8: this example fails: it expects `allow`, and for notes.add with the effect pure the rule `a` says `ask`"
        );
        let error = with_test("tool = \"calc.calc\"", "ask").unwrap_err().to_string();
        assert!(error.contains("the rule `default` says `deny`"), "{error}");
    }
}
