//! The form in which people write a policy: TOML, checked as a whole before any of it counts.
//!
//! It only reads text into [`Rule`]s and runs the text's own examples. What rules mean is [`Policy::decide`]'s matter.

use super::cedar::Statements;
use super::pattern::Pattern;
use super::place::{Area, HostPattern, Places, Reach};
use super::redact::{Kind, Rules, UnknownKind};
use super::rule::{Callers, When};
use super::{
    Answer, Budget, Confidentiality, Effect, EgressRules, Integrity, Marks, Money, Policy, Principal, Question, Rule,
    ToolId, normal_host,
};
use serde::Deserialize;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use toml::Spanned;

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
    pub(super) fn new(name: &str, text: &str, span: Range<usize>, message: impl Into<String>) -> Self {
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
    labels: LabelsTable,
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
    own: Option<Vec<OwnTable>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnTable {
    host: Spanned<String>,
    up_to: Spanned<Confidentiality>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct BudgetTable {
    per_call: Option<Spanned<String>>,
    per_task: Option<Spanned<String>>,
    per_day: Option<Spanned<String>>,
    on_unknown_price: Option<Answer>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LabelsTable {
    untrusted: Vec<Spanned<String>>,
    secret: Vec<Spanned<String>>,
    local_only: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleTable {
    id: Spanned<String>,
    tools: Option<Spanned<Vec<Spanned<String>>>>,
    effects: Option<Spanned<Vec<Effect>>>,
    within: Option<Spanned<Vec<Spanned<String>>>>,
    hosts: Option<Spanned<Vec<Spanned<String>>>>,
    principals: Option<Spanned<Vec<Spanned<String>>>>,
    #[serde(default)]
    when: Option<Spanned<WhenTable>>,
    decision: Answer,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WhenTable {
    context: Option<WhoseTable>,
    argument: Option<WhoseTable>,
    confidentiality: Option<Confidentiality>,
    cost: Option<CostTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WhoseTable {
    integrity: Integrity,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CostTable {
    above: Spanned<String>,
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
    #[serde(default)]
    argument: Integrity,
    #[serde(default)]
    confidentiality: Confidentiality,
    cost: Option<Spanned<String>>,
    principal: Option<Spanned<String>>,
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
    let marks = file.labels.into_marks().map_err(|(span, message)| wrong(span, message))?;
    // What was read above has its form: there is no such rule.
    let statements = Statements::of(&rules).map_err(|message| wrong(0..0, message))?;
    let policy = Policy {
        name: name.into(),
        rules: rules.into(),
        statements: Arc::new(statements),
        marks: Arc::new(marks),
        principal: Arc::new(Principal::Interactive),
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
        let own = |table: OwnTable| {
            let up_to = (table.up_to.span(), table.up_to.into_inner());
            if up_to.1 == Confidentiality::LocalOnly {
                return Err((
                    up_to.0,
                    "what is local-only goes nowhere: write `public`, `personal` or `secret`".into(),
                ));
            }
            Ok(each(vec![table.host], HostPattern::parse)?.into_iter().map(move |host| (host, up_to.1)))
        };
        let own = self.own.map(|tables| tables.into_iter().map(own).collect::<Result<Vec<_>, Wrong>>()).transpose()?;
        // Who says what must be taken out, and names no hosts of their own, means all hosts.
        let is_said = self.redact.is_some() || self.never_send.is_some();
        let own = own.map(|own| own.into_iter().flatten().collect()).or_else(|| is_said.then(Vec::new));
        let safe = EgressRules::default();
        Ok(EgressRules {
            allow_hosts: self.allow_hosts.map(|hosts| each(hosts, HostPattern::parse)).transpose()?,
            allow_local: self.allow_local.into_iter().map(address).collect::<Result<_, _>>()?,
            never_send: self.never_send.unwrap_or(safe.never_send),
            redact: self.redact.map(kinds).transpose()?.unwrap_or(safe.redact),
            own,
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
            unknown_price: self.on_unknown_price,
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
        let says_of_what =
            self.tools.is_some() || self.effects.is_some() || self.within.is_some() || self.hosts.is_some();
        if !says_of_what && self.principals.is_none() {
            let message = "a rule needs one of `tools`, `effects`, `within`, `hosts` and `principals`; `tools = [\"*\"]` speaks of every tool";
            return Err((at, message.into()));
        }
        let list = |list: &Option<Spanned<Vec<Spanned<String>>>>| {
            list.as_ref().map(|list| (list.span(), list.get_ref().is_empty()))
        };
        for (span, empty) in [
            list(&self.tools),
            list(&self.within),
            list(&self.hosts),
            list(&self.principals),
            self.effects.as_ref().map(|effects| (effects.span(), effects.get_ref().is_empty())),
        ]
        .into_iter()
        .flatten()
        {
            if empty {
                return Err((span, "an empty list speaks of nothing: fill it, or leave the line out".into()));
            }
        }
        let when_span = self.when.as_ref().map(Spanned::span);
        let when = self.when.map(|when| when.into_inner().into_when()).transpose()?.unwrap_or_default();
        if let Some(span) = when_span
            && self.decision == Answer::Allow
            && when.is_suspicious()
        {
            let message =
                "what is suspicious in a call allows nothing: write `ask` or `deny`, or leave the condition out";
            return Err((span, message.into()));
        }
        let texts = |list: Option<Spanned<Vec<Spanned<String>>>>| list.map(Spanned::into_inner).unwrap_or_default();
        Ok(Rule {
            id: self.id.into_inner(),
            tools: each(texts(self.tools), Pattern::parse)?,
            within: each(texts(self.within), Area::parse)?,
            hosts: each(texts(self.hosts), HostPattern::parse)?,
            effects: self.effects.map(Spanned::into_inner).unwrap_or_default(),
            principals: each(texts(self.principals), Callers::parse)?,
            when,
            answer: self.decision,
            line: line_of(text, at.start),
        })
    }
}

impl WhenTable {
    fn into_when(self) -> Result<When, Wrong> {
        let whose = |table: Option<WhoseTable>| table.map(|table| table.integrity);
        let above = |cost: CostTable| each(vec![cost.above], str::parse).map(|cost| cost.into_iter().next());
        Ok(When {
            context: whose(self.context),
            argument: whose(self.argument),
            confidentiality: self.confidentiality,
            cost_above: self.cost.map(above).transpose()?.flatten(),
        })
    }
}

impl LabelsTable {
    fn into_marks(self) -> Result<Marks, Wrong> {
        let areas = |texts| each(texts, Area::parse);
        Ok(Marks {
            untrusted: areas(self.untrusted)?,
            secret: areas(self.secret)?,
            local_only: areas(self.local_only)?,
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
        let principal = match &self.call.principal {
            Some(text) => text.get_ref().parse().map_err(|message| (text.span(), message))?,
            None => Principal::Interactive,
        };
        let cost = match &self.call.cost {
            Some(text) => text.get_ref().parse().map_err(|message| (text.span(), message))?,
            None => Money::ZERO,
        };
        let (policy, call) = (policy.clone().acting(principal), &self.call);
        for effect in effects {
            let (answer, rule) = policy.ruling(&Question {
                reach: &reach,
                context: call.context.max(call.argument),
                argument: call.argument,
                confidentiality: call.confidentiality,
                cost: Some(cost),
                ..Question::about(&id, effect)
            });
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
