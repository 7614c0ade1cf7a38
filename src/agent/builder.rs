//! How an [`Agent`] is put together: the library user's door, and what `config` fills.

use super::{Agent, AgentError, Caller, Limits, prompt, transcript::Transcript};
use crate::engine::{Engine, SamplingParams};
use crate::harmony::{
    DeveloperContent, Encoding, Message, ReasoningEffort, ResponseFormat, SystemContent, TurnGrammar,
};
use crate::journal::{Journal, Record};
use crate::policy::{Approval, Approvals, Approver, Pending, Policy};
use crate::tool::{Tool, Toolbox};
use crate::world::World;
use async_trait::async_trait;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

/// More declarations than this drown a small model, and each costs a prompt's time.
pub const MAX_DECLARED: usize = 20;

/// Collects the parts of an [`Agent`]. Only the engine is required.
#[must_use = "a builder does nothing until `build` is called"]
pub struct AgentBuilder {
    engine: Option<Arc<dyn Engine>>,
    tools: Vec<Arc<dyn Tool>>,
    policy: Policy,
    approver: Arc<dyn Approver>,
    journal: Option<Journal>,
    world: World,
    template: String,
    project: String,
    effort: ReasoningEffort,
    sampling: SamplingParams,
    top_logprobs: Option<usize>,
    is_constrained: bool,
    response_format: Option<ResponseFormat>,
    attachments: Option<PathBuf>,
    max_declared: usize,
    limits: Limits,
}

/// Nobody can be asked, so whatever needs an approval is refused.
struct Nobody;

#[async_trait]
impl Approver for Nobody {
    async fn approve(&self, _pending: &Pending) -> Approval {
        Approval::NobodyThere
    }
}

impl Default for AgentBuilder {
    fn default() -> Self {
        Self {
            engine: None,
            tools: Vec::new(),
            policy: Policy::default(),
            approver: Arc::new(Nobody),
            journal: None,
            world: World::real(),
            template: prompt::DEVELOPER.into(),
            project: String::new(),
            effort: ReasoningEffort::default(),
            sampling: SamplingParams::default(),
            top_logprobs: None,
            is_constrained: true,
            response_format: None,
            attachments: None,
            max_declared: MAX_DECLARED,
            limits: Limits::default(),
        }
    }
}

impl AgentBuilder {
    /// What runs the model.
    pub fn engine(mut self, engine: Arc<dyn Engine>) -> Self {
        self.engine = Some(engine);
        self
    }

    /// Adds a tool. The order of tools is the order of their declarations.
    pub fn tool(mut self, tool: Arc<dyn Tool>) -> Self {
        self.tools.push(tool);
        self
    }

    /// Who may do what; the embedded `policies/default.toml` unless told otherwise.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Who is asked; nobody unless told otherwise, so that what needs an approval is refused.
    pub fn approver(mut self, approver: Arc<dyn Approver>) -> Self {
        self.approver = approver;
        self
    }

    /// Where the session is written; in memory unless told otherwise.
    pub fn journal(mut self, journal: Journal) -> Self {
        self.journal = Some(journal);
        self
    }

    /// Time, randomness, files and network; the machine's own unless told otherwise.
    pub fn world(mut self, world: World) -> Self {
        self.world = world;
        self
    }

    /// The developer message's template (minijinja), instead of the embedded `prompts/developer.md`.
    pub fn template(mut self, template: impl Into<String>) -> Self {
        self.template = template.into();
        self
    }

    /// The text of the user's `AGENTS.md` files.
    pub fn project(mut self, project: impl Into<String>) -> Self {
        self.project = project.into();
        self
    }

    /// How long the model may think.
    pub fn reasoning_effort(mut self, effort: ReasoningEffort) -> Self {
        self.effort = effort;
        self
    }

    /// How tokens are chosen; greedy unless told otherwise.
    pub fn sampling(mut self, sampling: SamplingParams) -> Self {
        self.sampling = sampling;
        self
    }

    /// Has each generation followed by [`Event::Logprobs`](super::Event::Logprobs), with so many of the most probable tokens
    /// in each place; nobody is told unless told otherwise. See [`Request::top_logprobs`](crate::engine::Request::top_logprobs).
    pub fn top_logprobs(mut self, n_top: Option<usize>) -> Self {
        self.top_logprobs = n_top;
        self
    }

    /// Whether the model is held to well-formed turns that name a declared tool and fit its schema, as it is unless told
    /// otherwise; for experiments. An engine that cannot hold it lets the model write freely.
    pub fn constrained(mut self, is_constrained: bool) -> Self {
        self.is_constrained = is_constrained;
        self
    }

    /// Answers are JSON of this form. A constrained model is held to it; any other is asked for it.
    pub fn response_format(mut self, format: ResponseFormat) -> Self {
        self.response_format = Some(format);
        self
    }

    /// How many tools the model reads of from the beginning, [`MAX_DECLARED`] unless told otherwise; where there are more, it
    /// looks for the last ones when it needs them.
    pub fn max_declared(mut self, n: usize) -> Self {
        self.max_declared = n;
        self
    }

    /// The folder for the files that calls make; without one, as it is unless told otherwise, they are dropped.
    pub fn attachments(mut self, folder: Option<PathBuf>) -> Self {
        self.attachments = folder;
        self
    }

    /// When a turn is stopped.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Renders the prompt, opens the journal's session, and is ready for the first question.
    pub async fn build(self) -> Result<Agent, AgentError> {
        let engine = self.engine.ok_or(AgentError::NoEngine)?;
        let mut toolbox = Toolbox::default();
        for tool in self.tools {
            toolbox.register(tool)?;
        }
        toolbox.declare_at_most(self.max_declared)?;
        let grammar = if self.is_constrained {
            let grammar = TurnGrammar::new(&toolbox.callable(), &toolbox.builtins());
            let grammar = Arc::new(match &self.response_format {
                Some(format) => grammar.with_response_format(format.schema.clone()),
                None => grammar,
            });
            engine.prepare(&grammar)?;
            Some(grammar)
        } else {
            None
        };
        let wants_json = self.response_format.is_some();
        let encoding = Encoding::new();
        let date = self.world.clock.today();
        let mut transcript = Transcript::default();
        let frame = Message::system(SystemContent {
            current_date: Some(date.clone()),
            reasoning_effort: self.effort,
            builtins: toolbox.builtins(),
            functions_declared: !toolbox.declarations().is_empty(),
            ..SystemContent::default()
        });
        let developer = Message::developer(DeveloperContent {
            instructions: Some(prompt::developer(&self.template, &self.project)?),
            functions: toolbox.declarations(),
            response_formats: self.response_format.into_iter().collect(),
        });
        let mut tokens = transcript.push_rendered(&encoding, frame).to_vec();
        tokens.extend_from_slice(transcript.push_rendered(&encoding, developer));
        let journal = match self.journal {
            Some(journal) => journal,
            None => Journal::in_memory(&self.world).await?,
        };
        journal.append(Record::SessionStarted { model: engine.description().name.clone(), date }).await?;
        journal.append(Record::prompt(tokens)).await?;
        Ok(Agent {
            engine,
            encoding,
            toolbox,
            caller: Caller {
                policy: self.policy,
                approver: self.approver,
                journal: journal.clone(),
                world: self.world.clone(),
                attachments: self.attachments,
                max_time: self.limits.max_call_time,
                approvals: Approvals::default(),
                provenance: Arc::default(),
            },
            journal,
            world: self.world,
            sampling: self.sampling,
            top_logprobs: self.top_logprobs,
            grammar,
            wants_json,
            limits: self.limits,
            transcript,
            pages: HashMap::new(),
            usage: super::Usage::default(),
            n_calls: 0,
        })
    }
}
