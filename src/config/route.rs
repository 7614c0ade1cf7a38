//! What the router would do with a line of the user's, as things stand: nothing is sent, and no model is loaded.

use super::cloud::{known, ladder};
use super::paths::environment;
use super::{ConfigError, Paths, Settings, tasks};
use crate::delegate::router::{Allowance, Connectivity, Failures, Flags, Need, Request, Route, Router, Rung, State};
use crate::delegate::{Ability, Order};
use crate::policy::redact::{Placeholders, Redactor, Rules};
use crate::policy::{Answer, Confidentiality, Effect, Money, Policy, Question, ToolId};
use crate::world::World;

/// Tokens that gpt-oss reads at once, where nobody said less.
const LOCAL_CONTEXT: u64 = 131_072;

/// Bytes of a token, about.
const BYTES_PER_TOKEN: u64 = 4;

/// Where a line of the user's would be answered, and why. The same for the same line, policy and budget.
pub async fn route(settings: &Settings, paths: &Paths, words: &str) -> Result<Route, ConfigError> {
    let policy = super::policy(settings, paths)?;
    let known = known(&environment());
    let redactor = |rules: Rules| Redactor::new(rules, &known).map_err(|error| ConfigError::Cloud(error.to_string()));
    let redacted = redactor(policy.egress().redact().clone())?.redact(words, &mut Placeholders::new());
    let found = redactor(Rules::all())?.redact(words, &mut Placeholders::new()).found;
    let n_tokens = words.len() as u64 / BYTES_PER_TOKEN;
    let request = Request { redacted: Some(&redacted.text), found: &found, n_tokens, ..Request::line(words) };
    let providers = ladder(settings, None, &World::real(), &policy)?;
    let left = left(settings, paths, &policy).await?;
    let asked = |need: Option<Need>| {
        let ability = need.and_then(ability).unwrap_or(Ability::Ask);
        let tool = ToolId { package: "cloud".into(), tool: ability.as_str().into() };
        let (answer, rule) = policy.ruling(&Question::about(&tool, Effect::Cloud));
        let above = providers.iter().map(|provider| {
            let host = provider.host.to_string();
            let hidden = policy.egress().redact_for(&host);
            let left = found.iter().map(|found| found.kind).filter(|kind| !hidden.has(*kind));
            let redactor = Redactor::new(hidden.clone(), &known).ok();
            let sees = redactor.map(|redactor| redactor.redact(words, &mut Placeholders::new()).text);
            let offer = provider.delegate.offer(&Order::new(ability, words)).ok();
            Rung {
                sees,
                name: provider.name.clone(),
                abilities: provider.delegate.abilities().into_iter().map(Need::from).collect(),
                context: u64::MAX,
                max: policy.egress().own(&host).unwrap_or(Confidentiality::Personal),
                is_redacted: hidden != Rules::default(),
                price: offer.and_then(|offer| offer.cost).map(Money::micro_dollars),
                label: Some(Confidentiality::of(left)),
                is_down: false,
            }
        });
        let local = Rung::local(settings.context_length.map_or(LOCAL_CONTEXT, |length| length as u64));
        let ladder: Vec<Rung> = std::iter::once(local).chain(above).collect();
        let state = State {
            connectivity: if settings.offline { Connectivity::Offline } else { Connectivity::Unknown },
            flags: Flags { offline: settings.offline, cloud: false },
            policy: answer,
            rule: &rule,
            budget: Allowance {
                left: left.micro_dollars(),
                over: Answer::Deny,
                unknown: policy.budget().on_unknown_price(),
            },
            has_search: false,
            failures: Failures::default(),
            is_refused: false,
            has_escalated: false,
            mean_logprob: None,
            ladder: &ladder,
        };
        Router::default().route(&request, &state)
    };
    // What it needs says which rule and which price count.
    let first = asked(None);
    Ok(if first.need.is_some() { asked(first.need) } else { first })
}

fn ability(need: Need) -> Option<Ability> {
    Ability::ALL.into_iter().find(|ability| Need::from(*ability) == need)
}

impl From<Ability> for Need {
    fn from(ability: Ability) -> Self {
        match ability {
            Ability::Image => Self::Image,
            Ability::EditImage => Self::EditImage,
            Ability::Ask => Self::Ask,
            Ability::See => Self::See,
            Ability::Transcribe => Self::Transcribe,
            Ability::Speak => Self::Speak,
        }
    }
}

/// What one more call may cost today, by all limits.
async fn left(settings: &Settings, paths: &Paths, policy: &Policy) -> Result<Money, ConfigError> {
    let budget = policy.budget();
    let spent =
        if settings.offline { Money::ZERO } else { tasks(paths)?.spent("", &World::real().clock.today()).await?.day };
    let day = budget.per_day.map(|limit| limit.checked_sub(spent).unwrap_or(Money::ZERO));
    let limits = [budget.per_call, budget.per_task, day].into_iter().flatten();
    Ok(limits.min().unwrap_or(Money::from_micro_dollars(u64::MAX)))
}
