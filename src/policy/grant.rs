//! The answer to a call: [`Decision`], and the [`Grant`] that none but policy can make.

use super::standing::{Approvals, Standing};
use super::{
    Answer, Call, Confidentiality, Effect, HostPattern, Label, Money, Policy, Question, Quote, Reach, Taint, ToolId,
    normal_host,
};
use async_trait::async_trait;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use url::Url;

/// What a sandbox can be given beyond its arguments. Nothing, unless its manifest asks and policy grants it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// The wall clock and the machine's time zone.
    pub clock: bool,
    /// Random numbers.
    pub random: bool,
    /// One file, to read, and to replace in a call whose effect says that it writes.
    pub file: Option<PathBuf>,
    /// The file of its small store, under the same condition.
    pub store: Option<PathBuf>,
    /// Variables of the environment, by name.
    pub environment: Vec<String>,
    /// Folders of the user's.
    pub folders: Vec<Folder>,
    /// Hosts to talk to, in a call whose effect says that something leaves the machine.
    pub hosts: Vec<HostPattern>,
}

/// A folder that a call may look into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// Absolute, and no link.
    pub path: PathBuf,
    /// Whether it may be changed, in a call whose effect says that it writes.
    pub is_writable: bool,
}

impl Capabilities {
    /// Each in words, for people and for the journal.
    pub fn words(&self) -> Vec<String> {
        let list = |items: Vec<String>| (!items.is_empty()).then(|| items.join(", "));
        let folders = |is_writable| {
            let chosen = self.folders.iter().filter(|folder| folder.is_writable == is_writable);
            list(chosen.map(|folder| folder.path.display().to_string()).collect())
        };
        let words = [
            self.clock.then(|| "the time and the time zone".into()),
            self.random.then(|| "random numbers".into()),
            self.file.as_ref().map(|path| format!("its file {}", path.display())),
            self.store.as_ref().map(|path| format!("its store {}", path.display())),
            list(self.environment.clone()).map(|names| format!("of the environment {names}")),
            folders(false).map(|paths| format!("reading in {paths}")),
            folders(true).map(|paths| format!("reading and writing in {paths}")),
            list(self.hosts.iter().map(ToString::to_string).collect()).map(|hosts| format!("the network: {hosts}")),
        ];
        words.into_iter().flatten().collect()
    }

    /// No more of them than the effect says that policy was asked about.
    fn within(&self, effect: Effect) -> Self {
        if effect == Effect::Pure {
            return Self::default();
        }
        let folders = self.folders.iter().cloned();
        Self {
            folders: folders
                .map(|folder| Folder { is_writable: folder.is_writable && effect == Effect::Write, ..folder })
                .collect(),
            hosts: if matches!(effect, Effect::Send | Effect::Cloud) { self.hosts.clone() } else { Vec::new() },
            ..self.clone()
        }
    }
}

/// The permission for one call, its retries included. Neither made nor copied nor stored outside policy.
///
/// That skipping policy does not compile is checked here. No grant out of nothing:
/// ```compile_fail,E0451
/// use ossicle::policy::{Capabilities, Effect, Grant, ToolId};
/// fn forged(tool: ToolId) -> Grant {
///     let (effect, capabilities) = (Effect::Pure, Capabilities::default());
///     let (policy, reach, context) = (Default::default(), Default::default(), Default::default());
///     let (argument, confidentiality, cost) = (Default::default(), Default::default(), None);
///     let (destination, seen, rule, approved) = (None, Default::default(), "mine".into(), true);
///     Grant {
///         tool, effect, capabilities, rule, approved, policy, reach, context, argument, confidentiality, cost, destination,
///         seen,
///     }
/// }
/// ```
/// none from a call that nobody decided:
/// ```compile_fail,E0624
/// use ossicle::policy::{Call, Grant};
/// fn forged(call: &Call<'_>) -> Grant {
///     Grant::new(call, "mine", Default::default(), Default::default())
/// }
/// ```
/// no second one from the first:
/// ```compile_fail,E0599
/// use ossicle::policy::Grant;
/// fn twice(grant: &Grant) -> Grant {
///     grant.clone()
/// }
/// ```
/// and none from a question that nobody answered:
/// ```compile_fail,E0616
/// use ossicle::policy::{Grant, Pending};
/// fn unasked(pending: Pending) -> Grant {
///     pending.grant
/// }
/// ```
#[derive(Debug)]
pub struct Grant {
    tool: ToolId,
    effect: Effect,
    capabilities: Capabilities,
    rule: String,
    approved: bool,
    /// Where the call said that it reaches.
    reach: Reach,
    /// Asked again about each path and each host that the call really opens.
    policy: Policy,
    /// What the model had read.
    context: Label,
    /// What the arguments were taken from.
    argument: Taint,
    /// Of what leaves with it, and what that costs at most.
    confidentiality: Confidentiality,
    cost: Option<Money>,
    /// Where it goes and nowhere else, when that was said in its quote.
    destination: Option<String>,
    /// What the call has read so far, by the marks of what it opened.
    seen: Arc<Mutex<Label>>,
}

impl Grant {
    pub(super) fn new(call: &Call<'_>, rule: &str, reach: Reach, policy: Policy) -> Self {
        let capabilities = call.wants.within(call.effect);
        let (tool, rule, effect) = (call.tool.clone(), rule.to_owned(), call.effect);
        let (context, argument, seen) = (call.context.clone(), call.argument.clone(), Arc::default());
        let destination = call.quote.map(|quote| quote.destination.clone());
        let (confidentiality, cost) = (call.confidentiality(), call.cost());
        Self {
            tool,
            effect,
            capabilities,
            rule,
            approved: false,
            reach,
            policy,
            context,
            argument,
            confidentiality,
            cost,
            destination,
            seen,
        }
    }

    /// The tool it was given for. A tool refuses a grant of another.
    pub fn tool(&self) -> &ToolId {
        &self.tool
    }

    /// All that it gives.
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// Whether what belongs to the tool, its file and its store, may be changed too.
    pub fn may_write(&self) -> bool {
        self.effect.changes()
    }

    /// The path that an argument of the call means: absolute, without `.` and `..`.
    pub fn absolute(&self, text: &str) -> PathBuf {
        self.policy.places().absolute(text)
    }

    /// Whether the call may open this path, which is absolute; else why not, for the model. Asked with the path that is
    /// really opened: a link may lead where a rule says no.
    pub fn may_open(&self, path: &Path, to_write: bool) -> Result<&Folder, String> {
        let holds = |folder: &&Folder| path.starts_with(&folder.path);
        // The innermost one counts: within a folder that may be changed another can be named that may not.
        let folder = self.capabilities.folders.iter().filter(holds).max_by_key(|folder| folder.path.as_os_str().len());
        let folder = folder.ok_or_else(|| format!("{} is in no folder that was granted", path.display()))?;
        if to_write && !folder.is_writable {
            return Err(format!("{} may only be read", path.display()));
        }
        if self.policy.places().own.iter().any(|own| path.starts_with(own)) {
            return Err(format!("{} is the program's own", path.display()));
        }
        let is_named = self.reach.paths.is_empty() || self.reach.paths.iter().any(|named| path.starts_with(named));
        let reach = Reach { paths: vec![path.to_owned()], hosts: self.reach.hosts.clone() };
        self.settled(&reach, is_named, &path.display())?;
        let label = self.policy.label(path);
        if self.effect.leaves() && self.policy.egress().keeps(label.confidentiality(), self.destination()) {
            return Err(format!("{} is {}: it stays on this machine", path.display(), label.confidentiality()));
        }
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).join(&label);
        Ok(folder)
    }

    /// Whether the call may talk to the host of this URL; else why not, for the model.
    pub fn may_reach(&self, url: &Url) -> Result<(), String> {
        let host = url.host_str().map(normal_host).ok_or_else(|| format!("{url} names no host"))?;
        if !self.capabilities.hosts.iter().any(|pattern| pattern.matches(&host)) {
            return Err(format!("{host} is no host that was granted"));
        }
        if self.destination().is_some_and(|destination| normal_host(destination) != host) {
            return Err(format!("{host} is not where the call was said to go"));
        }
        if !self.policy.egress().allows(&host) {
            return Err(format!("{host} is not among the hosts that the policy allows"));
        }
        // To have said yes to a site is to have said yes to its parts, as which sites like to answer.
        let is_of = |named: &String| !named.is_empty() && (host == *named || host.ends_with(&format!(".{named}")));
        let is_named = self.reach.hosts.is_empty() || self.reach.hosts.iter().any(is_of);
        let reach = Reach { paths: self.reach.paths.clone(), hosts: vec![host.clone()] };
        self.settled(&reach, is_named, &host)
    }

    /// Whether the policy lists this host and port, which is no public one, as one that may be reached.
    pub fn may_reach_locally(&self, url: &Url) -> bool {
        let host = url.host_str().map(normal_host);
        host.zip(url.port_or_known_default()).is_some_and(|(host, port)| self.policy.egress().allows_local(&host, port))
    }

    /// What the policy says to what the call does under this grant. A yes to the call is a yes to what it named.
    fn settled(&self, reach: &Reach, is_named: bool, what: &dyn fmt::Display) -> Result<(), String> {
        let (context, argument) = (self.context.integrity(), self.argument.label.integrity());
        let (tool, effect, confidentiality, cost) = (&self.tool, self.effect, self.confidentiality, self.cost);
        let question = Question { tool, effect, reach, context, argument, confidentiality, cost };
        match self.policy.ruling(&question) {
            (Answer::Allow, _) => Ok(()),
            (Answer::Ask, _) if self.approved && is_named => Ok(()),
            (Answer::Ask, rule) => Err(format!(
                "the policy rule `{rule}` wants to be asked about {what}, which the call did not name: make a call that names it"
            )),
            (Answer::Deny, rule) => Err(format!("{what} is denied by the policy rule `{rule}`")),
        }
    }

    /// The id of the rule that decided.
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// What the model had read when it made the call.
    pub fn context(&self) -> &Label {
        &self.context
    }

    /// Where the call said that it reaches.
    pub(super) fn reach(&self) -> &Reach {
        &self.reach
    }

    /// The host that its quote named, and the only one that it reaches then.
    pub fn destination(&self) -> Option<&str> {
        self.destination.as_deref()
    }

    /// What the call's arguments were taken from.
    pub fn argument(&self) -> &Taint {
        &self.argument
    }

    /// What the call has read by the time of asking: what is marked of the files that it opened. It can be asked after the call.
    pub fn seen(&self) -> Seen {
        Seen(self.seen.clone())
    }

    /// Whether somebody was asked and said yes.
    pub fn approved(&self) -> bool {
        self.approved
    }
}

/// What a call has read, for whoever made it.
#[derive(Clone, Debug, Default)]
pub struct Seen(Arc<Mutex<Label>>);

impl Seen {
    /// So far.
    pub fn label(&self) -> Label {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What policy says to a call.
#[derive(Debug)]
pub enum Decision {
    /// Go on.
    Allow(Grant),
    /// Somebody has to be asked.
    Ask(Pending),
    /// No.
    Deny(Denial),
}

/// A call that waits for somebody's yes.
#[derive(Debug)]
pub struct Pending {
    grant: Grant,
    arguments: String,
    quote: Option<Quote>,
}

impl Pending {
    pub(super) fn new(call: &Call<'_>, rule: &str, reach: Reach, policy: Policy) -> Self {
        let (arguments, quote) = (call.arguments.to_string(), call.quote.cloned());
        Self { grant: Grant::new(call, rule, reach, policy), arguments, quote }
    }

    /// The tool that would be called.
    pub fn tool(&self) -> &ToolId {
        &self.grant.tool
    }

    /// What it does outside the sandbox.
    pub fn effect(&self) -> Effect {
        self.grant.effect
    }

    /// The exact arguments, as JSON. Control characters are the terminal's matter.
    pub fn arguments(&self) -> &str {
        &self.arguments
    }

    /// What it would send and cost, when it is for a hosted model.
    pub fn quote(&self) -> Option<&Quote> {
        self.quote.as_ref()
    }

    /// What it would be given.
    pub fn capabilities(&self) -> &Capabilities {
        &self.grant.capabilities
    }

    /// What the model has read so far: a stranger may have put the call into its head.
    pub fn context(&self) -> &Label {
        &self.grant.context
    }

    /// What the arguments were taken from.
    pub fn argument(&self) -> &Taint {
        &self.grant.argument
    }

    /// The rule that wants the question asked.
    pub fn rule(&self) -> &str {
        self.grant.rule()
    }

    /// Asks. Only the approver's yes turns this into a grant, one for the session or for this call.
    pub async fn ask(self, approver: &dyn Approver) -> Result<Grant, Denial> {
        self.ask_within(approver, &Approvals::default()).await
    }

    /// Asks, unless a yes for the session covers it; such a yes is remembered in `approvals`.
    pub async fn ask_within(self, approver: &dyn Approver, approvals: &Approvals) -> Result<Grant, Denial> {
        let needed = Standing::needed(&self.grant, self.quote.as_ref());
        if needed.as_ref().is_some_and(|needed| approvals.cover(needed)) {
            return Ok(Grant { approved: true, ..self.grant });
        }
        let reason = match approver.approve(&self).await {
            Approval::Yes => return Ok(Grant { approved: true, ..self.grant }),
            Approval::Session => {
                needed.into_iter().for_each(|needed| approvals.remember(needed));
                return Ok(Grant { approved: true, ..self.grant });
            }
            Approval::No(word) => Reason::Person(word),
            Approval::NobodyThere => Reason::NobodyThere,
        };
        Err(Denial { rule: self.grant.rule, reason })
    }
}

/// Somebody who can be asked: the terminal's user, a test's script, or nobody.
#[async_trait]
pub trait Approver: Send + Sync {
    /// Answers for this one call.
    async fn approve(&self, pending: &Pending) -> Approval;
}

/// An approver's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Approval {
    /// This call, once.
    Yes,
    /// This call, and those like it for the rest of the session.
    Session,
    /// No, with a word to the model where there is one.
    No(Option<String>),
    /// There is nobody to ask.
    NobodyThere,
}

/// Why a call may not happen. `Display` is what the model reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The deciding rule's id.
    pub rule: String,
    /// Who said no.
    pub reason: Reason,
}

/// Who said no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The rule itself.
    Rule,
    /// What the model has read stays on this machine: the files.
    Kept(Vec<String>),
    /// The person, perhaps with a word to the model.
    Person(Option<String>),
    /// An approval was needed and nobody could give it.
    NobodyThere,
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            Reason::Rule => write!(f, "denied by the policy rule `{}`", self.rule)?,
            Reason::Kept(files) if files.is_empty() => write!(f, "denied by the policy rule `{}`", self.rule)?,
            Reason::Kept(files) => write!(
                f,
                "denied by the policy rule `{}`: {} was read in this session and stays on this machine, so nothing leaves any more",
                self.rule,
                files.join(", ")
            )?,
            Reason::Person(None) => write!(f, "denied by the user")?,
            Reason::Person(Some(word)) => write!(f, "denied by the user, who says: {word}")?,
            Reason::NobodyThere => {
                write!(f, "the policy rule `{}` wants the user's approval and nobody can be asked", self.rule)?;
            }
        }
        write!(f, "; do not try this call again in this turn")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Targets;
    use serde_json::json;

    struct Scripted(Approval);

    #[async_trait]
    impl Approver for Scripted {
        async fn approve(&self, _pending: &Pending) -> Approval {
            self.0.clone()
        }
    }

    async fn ask(approval: Approval) -> Result<Grant, Denial> {
        let tool: ToolId = "notes.add".parse().unwrap();
        let wants = Capabilities { file: Some("/n.md".into()), ..Capabilities::default() };
        let (arguments, targets) = (json!({"text": "a\u{1b}[2J"}), Targets::default());
        let call = Call {
            tool: &tool,
            effect: Effect::Write,
            arguments: &arguments,
            wants: &wants,
            targets: &targets,
            context: Label::trusted(),
            argument: Taint::trusted(),
            quote: None,
        };
        let pending = Pending::new(&call, "writes", Reach::default(), Policy::default());
        assert_eq!(pending.arguments(), r#"{"text":"a\u001b[2J"}"#, "an approver sees everything, escaped");
        assert_eq!((pending.rule(), pending.effect(), pending.capabilities()), ("writes", Effect::Write, &wants));
        pending.ask(&Scripted(approval)).await
    }

    #[tokio::test]
    async fn only_a_yes_becomes_a_grant() {
        let grant = ask(Approval::Yes).await.unwrap();
        assert_eq!((grant.rule(), grant.approved(), grant.capabilities().words().len()), ("writes", true, 1));
        assert!(ask(Approval::Session).await.unwrap().approved());
        for (approval, word) in [
            (Approval::No(None), "denied by the user;"),
            (Approval::No(Some("use the other list".into())), "use the other list"),
            (Approval::NobodyThere, "`writes` wants the user's approval and nobody can be asked"),
        ] {
            let denial = ask(approval).await.unwrap_err();
            assert!(denial.to_string().contains(word), "{denial}");
            assert_eq!(denial.rule, "writes");
        }
    }
}
