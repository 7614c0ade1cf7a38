//! The core that decides: rules as statements of Cedar, in which an organisation may write its own too.
//!
//! It reads no file and knows nothing of budgets and grants. A call is denied where the action `call` is, asked about where
//! `unattended` is, else allowed. Start at [`Statements::answer`].

use super::file::DEFAULT_RULE;
use super::place::is_address;
use super::rule::{Callers, When};
use super::{Answer, Confidentiality, Effect, Integrity, Money, PolicyError, Principal, Reach, Rule, ToolId};
use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicyId, PolicySet, Request,
    Response, RestrictedExpression, Schema, ValidationMode, Validator,
};
use miette::Diagnostic;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

/// What statements may look at.
pub const SCHEMA: &str = include_str!("../../policies/ossicle.cedarschema");

/// What a rule can look at, of a call or of a path or host that it opens.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Which tool.
    pub tool: &'a ToolId,
    /// What it does outside the sandbox.
    pub effect: Effect,
    /// Where it reaches.
    pub reach: &'a Reach,
    /// Whose words the model has read.
    pub context: Integrity,
    /// Whose words the arguments are.
    pub argument: Integrity,
    /// Of what would leave.
    pub confidentiality: Confidentiality,
    /// At most; `None` when nobody knows.
    pub cost: Option<Money>,
}

impl<'a> Question<'a> {
    /// About a tool whose call reaches nothing and holds nothing that is suspicious.
    pub fn about(tool: &'a ToolId, effect: Effect) -> Self {
        static NOWHERE: Reach = Reach { paths: Vec::new(), hosts: Vec::new() };
        let (context, argument, cost) = (Integrity::Trusted, Integrity::Trusted, Some(Money::ZERO));
        Self { tool, effect, reach: &NOWHERE, context, argument, confidentiality: Confidentiality::Public, cost }
    }
}

/// What decides.
#[derive(Clone, Debug, Default)]
pub(super) struct Statements {
    set: PolicySet,
    /// The file of each rule that was written in Cedar.
    files: BTreeMap<String, String>,
    /// Answers that were given: the same question has the same one, and calls of a tool are mostly alike.
    known: Arc<Mutex<HashMap<Asking, (Answer, String)>>>,
}

/// Answers that are remembered; then all are forgotten.
const MAX_KNOWN: usize = 1024;

/// All that an answer depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Asking {
    principal: Principal,
    tool: ToolId,
    effect: Effect,
    reach: Reach,
    context: Integrity,
    argument: Integrity,
    confidentiality: Confidentiality,
    cost: Option<Money>,
}

impl Asking {
    fn new(principal: &Principal, question: &Question<'_>) -> Self {
        let Question { tool, effect, reach, context, argument, confidentiality, cost } = *question;
        let (principal, tool, reach) = (principal.clone(), tool.clone(), reach.clone());
        Self { principal, tool, effect, reach, context, argument, confidentiality, cost }
    }
}

const CALL: &str = "call";
const UNATTENDED: &str = "unattended";

/// Bytes of stack that Cedar wants to see left, and of the one that it is given where there are fewer.
const STACK_LEFT: usize = 256 << 10;
const STACK: usize = 1 << 20;

/// What stands before a rule's id in those of its statements: an ask is two of them.
const PERMIT: &str = "permit:";
const FORBID: &str = "forbid:";

impl Statements {
    /// Those of the rules. An error says that a rule cannot be put into Cedar.
    pub(super) fn of(rules: &[Rule]) -> Result<Self, String> {
        let mut set = PolicySet::new();
        for rule in rules {
            for (id, text) in rule.statements() {
                let statement = cedar_policy::Policy::parse(Some(PolicyId::new(id)), text);
                set.add(statement.map_err(|error| error.to_string())?).map_err(|error| error.to_string())?;
            }
        }
        Ok(Self { set, ..Self::default() })
    }

    /// Those that somebody wrote in Cedar; each must fit the [`SCHEMA`]. One is known by its `@id("...")`, else by its place.
    pub(super) fn parse(name: &str, text: &str) -> Result<Self, PolicyError> {
        let wrong = |error: &(dyn Diagnostic + 'static)| {
            let label = error.labels().and_then(|mut labels| labels.next());
            let span = label.map_or(0..0, |label| label.offset()..label.offset() + label.len());
            let help = error.help().map(|help| format!("; {help}")).unwrap_or_default();
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            PolicyError::new(name, text, span, format!("{error}{cause}{help}"))
        };
        let set = PolicySet::from_str(text).map_err(|error| wrong(&error))?;
        let schema = Schema::from_str(SCHEMA).map_err(|error| wrong(&error))?;
        let validated = Validator::new(schema).validate(&set, ValidationMode::Strict);
        if let Some(error) = validated.validation_errors().next() {
            // People count statements from 1, the parser counts policies from 0.
            let parsed = format!("`{}`", error.policy_id());
            let counted = parsed.trim_matches('`').trim_start_matches("policy").parse().map_or(0, |n: usize| n + 1);
            let told = wrong(error);
            let message = told.message().replace(&format!("policy {parsed}"), &format!("statement {counted}"));
            return Err(PolicyError::new(name, text, told.span(), message));
        }
        let plain = |message: String| PolicyError::new(name, text, 0..0, message);
        if set.templates().next().is_some() {
            return Err(plain(
                "a template decides nothing: write whole statements, without ?principal and ?resource".into(),
            ));
        }
        let (mut named, mut files) = (PolicySet::new(), BTreeMap::new());
        for statement in set.policies() {
            // The parser counts them: `policy0`.
            let place = statement.id().to_string().trim_start_matches("policy").parse().map_or(0, |n: usize| n + 1);
            let id = statement.annotation("id").map_or_else(|| format!("{name}#{place}"), str::to_owned);
            if id.is_empty() || id == DEFAULT_RULE || files.insert(id.clone(), name.to_owned()).is_some() {
                let message =
                    format!("`{id}` cannot name a statement: names are unique, not empty and not `{DEFAULT_RULE}`");
                return Err(plain(message));
            }
            let kind = if statement.effect() == cedar_policy::Effect::Permit { PERMIT } else { FORBID };
            let renamed = statement.new_id(PolicyId::new(format!("{kind}{id}")));
            named.add(renamed).map_err(|error| plain(error.to_string()))?;
        }
        Ok(Self { set: named, files, ..Self::default() })
    }

    /// Both. An error names a rule that both have.
    pub(super) fn joined(&self, other: &Self) -> Result<Self, String> {
        let own = self.rules();
        let mut set = self.set.clone();
        for statement in other.set.policies() {
            let id = rule_of(statement.id());
            let twice = || format!("two rules are called `{id}`: names are unique");
            if own.contains(id) {
                return Err(twice());
            }
            set.add(statement.clone()).map_err(|_| twice())?;
        }
        let mut files = self.files.clone();
        files.extend(other.files.clone());
        Ok(Self { set, files, ..Self::default() })
    }

    /// The names of the rules.
    fn rules(&self) -> HashSet<&str> {
        self.set.policies().map(|statement| rule_of(statement.id())).collect()
    }

    /// The same where the rules mean other places.
    pub(super) fn placed(&self, rules: &[Rule]) -> Self {
        let own: HashSet<&str> = rules.iter().map(Rule::id).collect();
        let others = self.set.policies().filter(|statement| !own.contains(rule_of(statement.id()))).cloned();
        let set = PolicySet::from_policies(others).unwrap_or_default();
        let others = Self { set, files: self.files.clone(), ..Self::default() };
        // They were put into Cedar before. Were it not so, nothing would be allowed.
        Self::of(rules).and_then(|rules| rules.joined(&others)).unwrap_or_default()
    }

    /// All but those of one rule.
    pub(super) fn without(&self, rule: &str) -> Self {
        let kept = self.set.policies().filter(|statement| rule_of(statement.id()) != rule).cloned();
        // They were a set before.
        let set = PolicySet::from_policies(kept).unwrap_or_default();
        Self { set, files: self.files.clone(), ..Self::default() }
    }

    /// The file of a rule that was written in Cedar.
    pub(super) fn file_of(&self, rule: &str) -> Option<&str> {
        self.files.get(rule).map(String::as_str)
    }

    /// How many there are that stand for themselves, an ask being one.
    pub(super) fn len(&self) -> usize {
        self.rules().len()
    }

    /// The strictest answer of all paths and hosts of a call, and the rule that gives it: of several the one whose id comes first.
    pub(super) fn answer(&self, principal: &Principal, question: &Question<'_>) -> (Answer, String) {
        let asking = Asking::new(principal, question);
        if let Some(known) = self.known().get(&asking) {
            return known.clone();
        }
        let answer = self.asked(principal, question);
        let mut known = self.known();
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        known.insert(asking, answer.clone());
        answer
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Asking, (Answer, String)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn asked(&self, principal: &Principal, question: &Question<'_>) -> (Answer, String) {
        // Tools ask from stacks of their own, which Cedar takes for full ones: where it would, it is given one.
        stacker::maybe_grow(STACK_LEFT, STACK, || {
            let order = |(answer, rule): &(Answer, String)| (Reverse(*answer), rule == DEFAULT_RULE, rule.clone());
            let all = Asked::all(principal, question).unwrap_or_default();
            let strictest = all.iter().map(|asked| self.one_answer(asked)).min_by_key(order);
            // What cannot be asked is not allowed.
            strictest.unwrap_or((Answer::Deny, DEFAULT_RULE.to_owned()))
        })
    }

    fn one_answer(&self, asked: &Asked) -> (Answer, String) {
        let ruled = |answer, rule: Option<String>| (answer, rule.unwrap_or_else(|| DEFAULT_RULE.to_owned()));
        let Some(call) = asked.of(CALL, &self.set) else { return ruled(Answer::Deny, None) };
        if call.decision() == Decision::Deny {
            return ruled(Answer::Deny, first(&call));
        }
        let Some(unattended) = asked.of(UNATTENDED, &self.set) else { return ruled(Answer::Deny, None) };
        match unattended.decision() {
            Decision::Allow => ruled(Answer::Allow, first(&unattended)),
            Decision::Deny => ruled(Answer::Ask, first(&unattended).or_else(|| first(&call))),
        }
    }

    /// The rules that have a say in it, each with its own answer, by their ids.
    pub(super) fn speaking(&self, principal: &Principal, question: &Question<'_>) -> BTreeSet<(String, Answer)> {
        let all = Asked::all(principal, question).unwrap_or_default();
        let alone = |statement: &cedar_policy::Policy| {
            let set = PolicySet::from_policies([statement.clone()]).ok()?;
            let applies = |action| all.iter().any(|asked| asked.of(action, &set).is_some_and(|r| first(&r).is_some()));
            let answer = match (statement.effect(), applies(CALL), applies(UNATTENDED)) {
                (_, false, false) => return None,
                (cedar_policy::Effect::Permit, _, true) => Answer::Allow,
                (cedar_policy::Effect::Forbid, true, _) => Answer::Deny,
                _ => Answer::Ask,
            };
            Some((rule_of(statement.id()).to_owned(), answer))
        };
        self.set.policies().filter_map(alone).collect()
    }

    /// Whether one of them forbids every call of a package, whoever makes it and whatever it does.
    pub(super) fn forbid_all_of(&self, package: &str) -> bool {
        let package = uid(&PACKAGE, package);
        self.set.policies().any(|statement| {
            use cedar_policy::{ActionConstraint, PrincipalConstraint, ResourceConstraint};
            let of_call = match statement.action_constraint() {
                ActionConstraint::Any => true,
                ActionConstraint::Eq(action) => action == uid(&ACTION, CALL),
                ActionConstraint::In(actions) => actions.contains(&uid(&ACTION, CALL)),
            };
            let of_package = match statement.resource_constraint() {
                ResourceConstraint::Any => true,
                ResourceConstraint::In(place) => place == package,
                _ => false,
            };
            statement.effect() == cedar_policy::Effect::Forbid
                && of_call
                && of_package
                && statement.principal_constraint() == PrincipalConstraint::Any
                && !statement.has_non_scope_constraint()
        })
    }
}

/// The rule that a statement belongs to.
fn rule_of(id: &PolicyId) -> &str {
    let id: &str = id.as_ref();
    id.split_once(':').map_or(id, |(_, rule)| rule)
}

/// The rule that decides, by its name the first of several.
fn first(response: &Response) -> Option<String> {
    response.diagnostics().reason().map(rule_of).min().map(str::to_owned)
}

impl Rule {
    /// What the rule says in Cedar: ids and texts.
    fn statements(&self) -> Vec<(String, String)> {
        const BOTH: &str = r#"action in [Action::"call", Action::"unattended"]"#;
        const ATTENDED: &str = r#"action == Action::"call""#;
        const ALONE: &str = r#"action == Action::"unattended""#;
        let conditions = self.conditions();
        let statement = |kind: &str, action: &str| {
            let word = kind.trim_end_matches(':');
            (format!("{kind}{}", self.id), format!("{word}(principal, {action}, resource) when {{ {conditions} }};"))
        };
        match self.answer {
            Answer::Allow => vec![statement(PERMIT, BOTH)],
            Answer::Ask if self.permits() => vec![statement(PERMIT, ATTENDED), statement(FORBID, ALONE)],
            Answer::Ask => vec![statement(FORBID, ALONE)],
            Answer::Deny => vec![statement(FORBID, BOTH)],
        }
    }

    fn conditions(&self) -> String {
        let effects = self.effects.iter().map(|effect| format!("context.effect == {:?}", effect.as_str()));
        let within = self.within.iter().flat_map(|area| area.paths());
        let within = within.map(|path| format!("context.path in Path::{:?}", plain(path).to_string_lossy()));
        let hosts = self.hosts.iter().map(|host| match host.is_every() {
            true => "true".to_owned(),
            false => format!("context.host in Host::{:?}", host.to_string()),
        });
        let principals = self.principals.iter().map(|callers| match callers {
            Callers::AnyAutomation => "principal is Automation".to_owned(),
            Callers::One(one) => format!("principal == {}", principal_uid(one)),
        });
        let has = |what: &str, any: Option<String>| any.map(|any| format!("context has {what} && {any}"));
        let groups = [
            any_of(self.tools.iter().map(|pattern| format!("context.tool like \"{pattern}\""))),
            any_of(effects),
            has("path", any_of(within)),
            has("host", any_of(hosts)),
            any_of(principals),
        ];
        let all: Vec<String> = groups.into_iter().flatten().chain(self.when.conditions()).collect();
        if all.is_empty() { "true".into() } else { all.join(" && ") }
    }
}

fn any_of(alternatives: impl Iterator<Item = String>) -> Option<String> {
    let alternatives: Vec<String> = alternatives.collect();
    (!alternatives.is_empty()).then(|| format!("({})", alternatives.join(" || ")))
}

impl When {
    fn conditions(&self) -> impl Iterator<Item = String> {
        let confidential = self.confidentiality.and_then(|least| {
            let all = Confidentiality::ALL.into_iter().filter(|of| *of >= least);
            any_of(all.map(|of| format!("context.confidentiality == {:?}", of.as_str())))
        });
        [
            self.context.map(|of| format!("context.read == {:?}", of.as_str())),
            self.argument.map(|of| format!("context.argument == {:?}", of.as_str())),
            confidential,
            self.cost_above.map(|cost| format!("context.cost > {}", long(Some(cost)))),
        ]
        .into_iter()
        .flatten()
    }
}

/// Micro-dollars as Cedar counts; the greatest number where nobody knows.
fn long(cost: Option<Money>) -> i64 {
    cost.and_then(|cost| i64::try_from(cost.micro_dollars()).ok()).unwrap_or(i64::MAX)
}

/// What is asked of Cedar for one path and one host of a call.
struct Asked {
    principal: EntityUid,
    resource: EntityUid,
    context: Context,
    entities: Entities,
}

impl Asked {
    fn all(principal: &Principal, question: &Question<'_>) -> Option<Vec<Self>> {
        fn each<T>(items: &[T]) -> Vec<Option<&T>> {
            if items.is_empty() { vec![None] } else { items.iter().map(Some).collect() }
        }
        let (paths, hosts) = (each(&question.reach.paths), each(&question.reach.hosts));
        let pairs = paths.iter().flat_map(|path| hosts.iter().map(move |host| (path, host)));
        let asked = |(path, host): (&Option<&PathBuf>, &Option<&String>)| {
            Self::new(principal, question, path.map(PathBuf::as_path), host.map(String::as_str))
        };
        pairs.map(asked).collect()
    }

    fn new(principal: &Principal, question: &Question<'_>, path: Option<&Path>, host: Option<&str>) -> Option<Self> {
        let (resource, package) = (uid(&TOOL, &question.tool.to_string()), uid(&PACKAGE, &question.tool.package));
        let mut entities = vec![Entity::new_no_attrs(resource.clone(), HashSet::from([package]))];
        let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
        let mut context = vec![
            ("tool", text(&question.tool.to_string())),
            ("effect", text(question.effect.as_str())),
            ("read", text(question.context.as_str())),
            ("argument", text(question.argument.as_str())),
            ("confidentiality", text(question.confidentiality.as_str())),
            ("cost", RestrictedExpression::new_long(long(question.cost))),
        ];
        let mut place = |name, kind: &EntityTypeName, chain: Vec<String>| {
            let Some(innermost) = chain.first() else { return };
            context.push((name, RestrictedExpression::new_entity_uid(uid(kind, innermost))));
            let above = |n: usize| chain.get(n + 1).map(|above| uid(kind, above)).into_iter().collect();
            entities.extend(chain.iter().enumerate().map(|(n, one)| Entity::new_no_attrs(uid(kind, one), above(n))));
        };
        if let Some(path) = path {
            place("path", &PATH, plain(path).ancestors().map(|above| above.to_string_lossy().into_owned()).collect());
        }
        if let Some(host) = host {
            place("host", &HOST, domains(host));
        }
        Some(Self {
            principal: principal_uid(principal),
            resource,
            context: Context::from_pairs(context.into_iter().map(|(name, value)| (name.to_owned(), value))).ok()?,
            entities: Entities::from_entities(entities, None).ok()?,
        })
    }

    /// Cedar's response; `None` where a statement could not be evaluated: what might have been a no is taken for one.
    fn of(&self, action: &str, set: &PolicySet) -> Option<Response> {
        let (principal, resource) = (self.principal.clone(), self.resource.clone());
        let request = Request::new(principal, uid(&ACTION, action), resource, self.context.clone(), None).ok()?;
        let response = Authorizer::new().is_authorized(&request, set, &self.entities);
        let mut errors = response.diagnostics().errors().peekable();
        let is_whole = errors.peek().is_none();
        errors.for_each(|error| tracing::warn!(%error, "a statement cannot be evaluated"));
        is_whole.then_some(response)
    }
}

/// A path as all write it: without a slash at its end, and none twice.
fn plain(path: &Path) -> PathBuf {
    path.components().collect()
}

/// A host and the domains that it lies in, the innermost first.
fn domains(host: &str) -> Vec<String> {
    if is_address(host) {
        return vec![host.to_owned()];
    }
    std::iter::successors(Some(host), |host| host.split_once('.').map(|(_, above)| above)).map(str::to_owned).collect()
}

fn principal_uid(principal: &Principal) -> EntityUid {
    match principal {
        Principal::Interactive => uid(&PERSON, "interactive"),
        Principal::Automation(name) => uid(&AUTOMATION, name),
    }
}

fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

fn kind(name: &str) -> EntityTypeName {
    EntityTypeName::from_str(name).expect("these are names: a test asks for each")
}

static ACTION: LazyLock<EntityTypeName> = LazyLock::new(|| kind("Action"));
static PERSON: LazyLock<EntityTypeName> = LazyLock::new(|| kind("Person"));
static AUTOMATION: LazyLock<EntityTypeName> = LazyLock::new(|| kind("Automation"));
static PACKAGE: LazyLock<EntityTypeName> = LazyLock::new(|| kind("Package"));
static TOOL: LazyLock<EntityTypeName> = LazyLock::new(|| kind("Tool"));
static PATH: LazyLock<EntityTypeName> = LazyLock::new(|| kind("Path"));
static HOST: LazyLock<EntityTypeName> = LazyLock::new(|| kind("Host"));
