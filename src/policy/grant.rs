//! The answer to a call: [`Decision`], and the [`Grant`] that none but policy can make.

use super::{Call, Effect, ToolId};
use async_trait::async_trait;
use std::fmt;
use std::path::{Path, PathBuf};

/// What a sandbox can be given beyond its arguments. Nothing, unless its manifest asks and policy grants it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// The wall clock and the machine's time zone.
    pub clock: bool,
    /// One file, to read, and to replace in a call whose effect says that it writes.
    pub file: Option<PathBuf>,
}

/// The permission for one call, its retries included. Neither made nor copied nor stored outside policy.
///
/// That skipping policy does not compile is checked here. No grant out of nothing:
/// ```compile_fail,E0451
/// use ossicle::policy::{Capabilities, Effect, Grant, ToolId};
/// fn forged(tool: ToolId) -> Grant {
///     let (effect, capabilities) = (Effect::Pure, Capabilities::default());
///     Grant { tool, effect, capabilities, rule: "mine".into(), approved: true }
/// }
/// ```
/// none from a call that nobody decided:
/// ```compile_fail,E0624
/// use ossicle::policy::{Call, Grant};
/// fn forged(call: &Call<'_>) -> Grant {
///     Grant::new(call, "mine")
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
}

impl Grant {
    pub(super) fn new(call: &Call<'_>, rule: &str) -> Self {
        // What a tool may reach is no more than the effect says that policy was asked about.
        let capabilities = if call.effect == Effect::Pure { Capabilities::default() } else { call.wants.clone() };
        let (tool, rule) = (call.tool.clone(), rule.to_owned());
        Self { tool, effect: call.effect, capabilities, rule, approved: false }
    }

    /// The tool it was given for. A tool refuses a grant of another.
    pub fn tool(&self) -> &ToolId {
        &self.tool
    }

    /// Whether the wall clock may be read.
    pub fn clock(&self) -> bool {
        self.capabilities.clock
    }

    /// The one file that may be read.
    pub fn file(&self) -> Option<&Path> {
        self.capabilities.file.as_deref()
    }

    /// Whether that file may be replaced too.
    pub fn may_write(&self) -> bool {
        self.effect.changes()
    }

    /// The id of the rule that decided.
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// Whether somebody was asked and said yes.
    pub fn approved(&self) -> bool {
        self.approved
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
}

impl Pending {
    pub(super) fn new(call: &Call<'_>, rule: &str) -> Self {
        Self { grant: Grant::new(call, rule), arguments: call.arguments.to_string() }
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

    /// The file it would be given.
    pub fn file(&self) -> Option<&Path> {
        self.grant.file()
    }

    /// The rule that wants the question asked.
    pub fn rule(&self) -> &str {
        self.grant.rule()
    }

    /// Asks. Only the approver's yes turns this into a grant.
    pub async fn ask(self, approver: &dyn Approver) -> Result<Grant, Denial> {
        let reason = match approver.approve(&self).await {
            Approval::Yes => return Ok(Grant { approved: true, ..self.grant }),
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
    /// The person, perhaps with a word to the model.
    Person(Option<String>),
    /// An approval was needed and nobody could give it.
    NobodyThere,
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            Reason::Rule => write!(f, "denied by the policy rule `{}`", self.rule)?,
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
        let wants = Capabilities { clock: false, file: Some("/n.md".into()) };
        let call =
            Call { tool: &tool, effect: Effect::Write, arguments: &json!({"text": "a\u{1b}[2J"}), wants: &wants };
        let pending = Pending::new(&call, "writes");
        assert_eq!(pending.arguments(), r#"{"text":"a\u001b[2J"}"#, "an approver sees everything, escaped");
        assert_eq!(
            (pending.rule(), pending.effect(), pending.file()),
            ("writes", Effect::Write, Some(Path::new("/n.md")))
        );
        pending.ask(&Scripted(approval)).await
    }

    #[tokio::test]
    async fn only_a_yes_becomes_a_grant() {
        let grant = ask(Approval::Yes).await.unwrap();
        assert_eq!((grant.rule(), grant.approved(), grant.file()), ("writes", true, Some(Path::new("/n.md"))));
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
