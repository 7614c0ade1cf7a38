//! `[cloud]` of `config.toml`, and what the environment says of it: whether there is a way to hosted models, and to which.
//!
//! It sends nothing. Without a key there are no such tools; a key that makes no sense is a warning, not an end. Start at
//! [`cloud`].

use super::paths::{environment, home};
use super::{ConfigError, Paths, Settings, key};
use crate::agent::cloud::{self, Cloud, Provider};
use crate::delegate::catalogue::{Capability, Catalogue};
use crate::delegate::openai::{self, Key, OpenAi};
use crate::delegate::{Hosted, Models};
use crate::egress::{Egress, Endpoint};
use crate::journal::{SqliteStore, TaskStore};
use crate::policy::redact::Known;
use crate::policy::{
    Approver, Call, Capabilities, Confidentiality, Decision, Denial, Effect, Folder, Grant, HostPattern, Label, Money,
    Policy, Quote, Taint, Targets, ToolId,
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
    /// The program that prints the key, and its arguments. `OPENAI_API_KEY` beats it.
    pub key_command: Option<Vec<String>>,
    /// Servers of the user's or of their organisation's, which are asked first, in this order.
    pub server: Vec<ServerSettings>,
}

/// A server of the user's own that speaks the same API.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerSettings {
    /// What people call it.
    pub name: String,
    /// Of its API.
    pub base_url: String,
    /// The variable of the environment that holds its key, if it wants one.
    pub key_env: Option<String>,
    /// What it can do, and with which model.
    pub models: BTreeMap<Capability, String>,
}

/// Where hosted models are, and how they are asked.
pub struct CloudAccess {
    /// The server.
    pub endpoint: Endpoint,
    key: Arc<Key>,
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
    let key = match (variable("OPENAI_API_KEY"), &settings.key_command, base_url) {
        (Some(key), _, _) => Key::new(key, "the environment variable OPENAI_API_KEY")?,
        (None, Some(command), _) => key::key(command)?,
        // A server of the user's own may want none.
        (None, None, Some(_)) => no_key("OPENAI_API_KEY")?,
        (None, None, None) => return Ok(None),
    };
    let endpoint = endpoint(base_url.unwrap_or(BASE_URL), "hosted models")?;
    let of = |name: &str, own: &Option<String>| variable(name).map(str::to_owned).or(own.clone());
    let account = openai::Settings {
        organization: of("OPENAI_ORG_ID", &settings.organization),
        project: of("OPENAI_PROJECT_ID", &settings.project),
        ..openai::Settings::default()
    };
    let has_key = variable("OPENAI_API_KEY").is_some() || settings.key_command.is_some();
    Ok(Some(CloudAccess { endpoint, key: Arc::new(key), has_key, account, models: settings.models.clone() }))
}

/// The way to a server of the user's own. The error says what is wrong with it.
pub fn server_access(server: &ServerSettings) -> Result<CloudAccess, String> {
    own_access(server, &environment())
}

fn own_access(server: &ServerSettings, environment: &BTreeMap<String, String>) -> Result<CloudAccess, String> {
    let ServerSettings { name, base_url, key_env, models } = server;
    let key = match key_env {
        Some(variable) => {
            let value =
                environment.get(variable).ok_or_else(|| format!("{variable}, the key of {name}, is not set"))?;
            Key::new(value, &format!("the environment variable {variable}"))?
        }
        None => no_key("`key_env`")?,
    };
    if models.is_empty() {
        return Err(format!("{name} can do nothing: write `models = {{ text = \"gpt-oss-120b\" }}`"));
    }
    Ok(CloudAccess {
        endpoint: endpoint(base_url, name)?,
        key: Arc::new(key),
        has_key: key_env.is_some(),
        account: openai::Settings::default(),
        models: models.clone(),
    })
}

fn no_key(setting: &str) -> Result<Key, String> {
    Key::new("none", &format!("nowhere: {setting} is not set"))
}

fn endpoint(base_url: &str, of: &str) -> Result<Endpoint, String> {
    let slash = if base_url.ends_with('/') { "" } else { "/" };
    Endpoint::parse(&format!("{base_url}{slash}")).map_err(|problem| format!("the base URL of {of}: {problem}"))
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
    let ladder = ladder(settings, egress, world, policy)?;
    if ladder.is_empty() {
        return Ok(None);
    }
    let known = known(&environment());
    let cloud = Cloud::new(ladder, tasks(paths)?, policy.clone(), &known, world.clone(), session);
    let cloud = cloud.map_err(|error| ConfigError::Cloud(error.to_string()))?;
    Ok(Some(Arc::new(cloud.offline(settings.offline).ephemeral(settings.ephemeral))))
}

/// What hosted models are called among those who are asked.
const HOSTED: &str = "hosted";

/// Who does what the local model cannot, the user's own servers first, which cost nothing where the policy knows them as such.
/// Without a way out they only say what it would cost.
pub(super) fn ladder(
    settings: &Settings,
    egress: Option<&Egress>,
    world: &World,
    policy: &Policy,
) -> Result<Vec<Provider>, ConfigError> {
    let mut ladder: Vec<Provider> = Vec::new();
    let mut add = |name: &str, access: CloudAccess, is_own: bool| {
        let (host, client) = (host_pattern(&access)?, egress.map(|egress| access.client(egress.clone(), world)));
        let is_taken = |other: &Provider| other.name == name || other.host == host;
        if name == "local" || ladder.iter().any(is_taken) {
            let problem = "each server has a name and a host of its own, and none is called `local` or `hosted`";
            return Err(ConfigError::Cloud(format!("`{name}` cannot be added: {problem}")));
        }
        let hosted = match is_own {
            true => {
                let is_free = policy.egress().own(&host.to_string()).is_some();
                Hosted::of_ones_own(client, access.host(), access.models, is_free)
            }
            false => Hosted::new(client, access.host(), Catalogue::embedded(), access.models),
        };
        ladder.push(Provider { name: name.into(), delegate: Arc::new(hosted), host });
        Ok(())
    };
    for server in &settings.cloud.server {
        add(&server.name, server_access(server).map_err(ConfigError::Cloud)?, true)?;
    }
    if let Some(access) = cloud_access(&settings.cloud).map_err(ConfigError::Cloud)? {
        add(HOSTED, access, false)?;
    }
    Ok(ladder)
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
        route: Vec::new(),
    };
    let call = Call {
        tool: &tool,
        effect: Effect::Cloud,
        arguments: &Value::Null,
        wants: &wants,
        targets: &Targets::default(),
        context: Label::trusted(),
        argument: Taint::trusted(),
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
