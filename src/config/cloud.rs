//! `[cloud]` of `config.toml`, and what the environment says of it: whether there is a way to hosted models, and to which.
//!
//! It sends nothing. Without a key there are no such tools; a key that makes no sense is a warning, not an end. Start at
//! [`cloud`].

use super::paths::{environment, home};
use super::{ConfigError, Paths, Settings};
use crate::agent::cloud::{self, Cloud};
use crate::delegate::catalogue::{Capability, Catalogue};
use crate::delegate::openai::{self, Key, OpenAi};
use crate::delegate::{Hosted, Models};
use crate::egress::{Egress, Endpoint};
use crate::journal::{SqliteStore, TaskStore};
use crate::policy::redact::Known;
use crate::policy::{
    Approver, Call, Capabilities, Confidentiality, Decision, Denial, Effect, Folder, Grant, HostPattern, Label, Money,
    Policy, Quote, Targets, ToolId,
};
use crate::tool::Tool;
use crate::world::World;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// OpenAI's own.
const BASE_URL: &str = "https://api.openai.com/v1/";

/// The table, exactly as it may be written.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CloudSettings {
    /// Of the API or of what speaks it, which may be a private server. `OPENAI_BASE_URL` beats it.
    pub base_url: Option<String>,
    /// The account's organisation. `OPENAI_ORG_ID` beats it.
    pub organization: Option<String>,
    /// The account's project. `OPENAI_PROJECT_ID` beats it.
    pub project: Option<String>,
    /// Hosted models by what they are taken for, instead of those of the catalogue.
    pub models: BTreeMap<Capability, String>,
}

/// Where hosted models are, and how they are asked.
pub struct CloudAccess {
    /// The server.
    pub endpoint: Endpoint,
    key: Key,
    /// Whether the user has one: servers of their own may want none.
    has_key: bool,
    account: openai::Settings,
    /// Chosen by the user.
    pub models: Models,
}

/// The way to hosted models as the settings and the environment have it. `Ok(None)` where nobody set one up; the error says what
/// is wrong with it.
pub fn cloud_access(settings: &CloudSettings) -> Result<Option<CloudAccess>, String> {
    access(settings, &environment())
}

fn access(settings: &CloudSettings, environment: &BTreeMap<String, String>) -> Result<Option<CloudAccess>, String> {
    let variable = |name: &str| environment.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
    let base_url = variable("OPENAI_BASE_URL").or(settings.base_url.as_deref());
    let key = match (variable("OPENAI_API_KEY"), base_url) {
        (Some(key), _) => Key::new(key, "the environment variable OPENAI_API_KEY")?,
        // A server of the user's own may want none.
        (None, Some(_)) => Key::new("none", "nowhere: OPENAI_API_KEY is not set")?,
        (None, None) => return Ok(None),
    };
    let mut base_url = base_url.unwrap_or(BASE_URL).to_owned();
    if !base_url.ends_with('/') {
        base_url.push('/');
    }
    let endpoint = Endpoint::parse(&base_url).map_err(|problem| format!("the base URL of hosted models: {problem}"))?;
    let of = |name: &str, own: &Option<String>| variable(name).map(str::to_owned).or(own.clone());
    let account = openai::Settings {
        organization: of("OPENAI_ORG_ID", &settings.organization),
        project: of("OPENAI_PROJECT_ID", &settings.project),
        ..openai::Settings::default()
    };
    let has_key = variable("OPENAI_API_KEY").is_some();
    Ok(Some(CloudAccess { endpoint, key, has_key, account, models: settings.models.clone() }))
}

impl CloudAccess {
    /// A client; it leaves through `egress`.
    pub fn client(&self, egress: Egress, world: &World) -> OpenAi {
        OpenAi::new(egress, self.endpoint.clone(), self.key.clone(), world.clone(), self.account.clone())
    }

    /// Whether the key could be read on its way.
    pub fn is_in_the_clear(&self) -> bool {
        let is_here = self.endpoint.url().host().is_some_and(|host| match host {
            url::Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
            url::Host::Ipv4(address) => address.is_loopback(),
            url::Host::Ipv6(address) => address.is_loopback(),
        });
        self.has_key && self.endpoint.url().scheme() == "http" && !is_here
    }

    /// The host's name.
    pub fn host(&self) -> String {
        self.endpoint.url().host_str().unwrap_or_default().to_owned()
    }
}

/// The session's way to hosted models, with its tools, if there is one and the policy could ever allow it.
pub(super) fn cloud(
    settings: &Settings,
    paths: &Paths,
    world: &World,
    egress: Option<&Egress>,
    policy: &Policy,
    session: &str,
) -> Result<Option<Arc<Cloud>>, ConfigError> {
    let Some(access) = cloud_access(&settings.cloud).map_err(ConfigError::Cloud)? else { return Ok(None) };
    let Some(delegate) = hosted(settings, egress, world)? else { return Ok(None) };
    let (host, known) = (host_pattern(&access)?, known(&environment()));
    let cloud = Cloud::new(Arc::new(delegate), host, tasks(paths)?, policy.clone(), &known, world.clone(), session);
    let cloud = cloud.map_err(|error| ConfigError::Cloud(error.to_string()))?;
    Ok(Some(Arc::new(cloud.offline(settings.offline).ephemeral(settings.ephemeral))))
}

/// Who does what the local model cannot; without a way out it only says what it would cost.
pub(super) fn hosted(
    settings: &Settings,
    egress: Option<&Egress>,
    world: &World,
) -> Result<Option<Hosted>, ConfigError> {
    let Some(access) = cloud_access(&settings.cloud).map_err(ConfigError::Cloud)? else { return Ok(None) };
    let client = egress.map(|egress| access.client(egress.clone(), world));
    Ok(Some(Hosted::new(client, access.host(), Catalogue::embedded(), access.models)))
}

/// The tools of it that the policy could allow.
pub(super) fn cloud_tools(cloud: &Arc<Cloud>, folders: &[Folder]) -> Vec<Arc<dyn Tool>> {
    let mut tools = cloud::tools(cloud, folders);
    tools.retain(|tool| cloud.policy.summary(&tool.spec().id, Effect::Cloud) != "deny");
    tools
}

/// A client for looking at what there is, with its permission; `Ok(None)` where nothing is set up.
pub async fn hosted_client(
    settings: &Settings,
    paths: &Paths,
    approver: Arc<dyn Approver>,
) -> Result<Option<Result<(OpenAi, Grant), Denial>>, ConfigError> {
    let access = cloud_access(&settings.cloud).map_err(ConfigError::Cloud)?;
    let (Some(access), Some(egress)) = (access, super::egress(settings, paths).await?) else { return Ok(None) };
    let policy = super::policy(settings, paths)?;
    let tool = ToolId { package: "cloud".into(), tool: "models".into() };
    let wants = Capabilities { hosts: vec![host_pattern(&access)?], ..Capabilities::default() };
    let quote = Quote {
        model: "the list of models".into(),
        destination: access.host(),
        text: String::new(),
        files: Vec::new(),
        hidden: Vec::new(),
        confidentiality: Confidentiality::Public,
        cost: Some(Money::ZERO),
    };
    let call = Call {
        tool: &tool,
        effect: Effect::Cloud,
        arguments: &Value::Null,
        wants: &wants,
        targets: &Targets::default(),
        context: Label::trusted(),
        quote: Some(&quote),
    };
    let grant = match policy.decide(&call) {
        Decision::Allow(grant) => Ok(grant),
        Decision::Ask(pending) => pending.ask(approver.as_ref()).await,
        Decision::Deny(denial) => Err(denial),
    };
    Ok(Some(grant.map(|grant| (access.client(egress, &World::real()), grant))))
}

fn host_pattern(access: &CloudAccess) -> Result<HostPattern, ConfigError> {
    HostPattern::parse(access.host().trim_start_matches('[').trim_end_matches(']')).map_err(ConfigError::Cloud)
}

/// Where tasks and money are kept, whatever becomes of the session: a limit that an ephemeral session could step over is none.
pub fn tasks(paths: &Paths) -> Result<Arc<dyn TaskStore>, ConfigError> {
    Ok(Arc::new(SqliteStore::open(&paths.journal())?))
}

/// What the environment tells of its user, to be taken out of what leaves.
pub(super) fn known(environment: &BTreeMap<String, String>) -> Known {
    const WORDS: [&str; 12] = [
        "SECRET",
        "TOKEN",
        "PASSWORD",
        "PASSWD",
        "PASSPHRASE",
        "PASS",
        "PWD",
        "CREDENTIAL",
        "CREDENTIALS",
        "AUTH",
        "PAT",
        "COOKIE",
    ];
    let is_secret = |name: &str| {
        let name = name.to_ascii_uppercase();
        // These two are folders.
        let is_folder = matches!(name.as_str(), "PWD" | "OLDPWD");
        !is_folder && name.split(['_', '-', '.']).any(|word| word.ends_with("KEY") || WORDS.contains(&word))
    };
    let variable = |name: &str| environment.get(name).cloned();
    Known {
        secrets: environment.iter().filter(|(name, _)| is_secret(name)).map(|(_, value)| value.clone()).collect(),
        users: ["USER", "LOGNAME", "USERNAME"].into_iter().filter_map(variable).collect(),
        home: home().to_str().map(str::to_owned),
        host: variable("HOSTNAME").or_else(|| sysinfo::System::host_name().ok()),
    }
}
