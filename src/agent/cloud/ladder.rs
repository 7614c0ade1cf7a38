//! Who is asked: the user's own servers before the hosted ones, as far up as what is asked may go.
//!
//! It sends nothing and decides nothing that policy decides: it says where a call would go, and why, and the policy is asked
//! about that. Start at [`Cloud::routed`].

use super::Cloud;
use crate::delegate::router::{self, Allowance, Connectivity, Failures, Flags, Need, Request, Route, Router, State};
use crate::delegate::{Ability, Breaker, Delegate, Order};
use crate::policy::redact::{Known, Placeholders, RedactError, Redacted, Redactor, Rules};
use crate::policy::{Answer, Confidentiality, Effect, HostPattern, Money, Policy, Question, ToolId};
use std::sync::Arc;

/// Somebody who does what the local model cannot, and where.
#[derive(Clone)]
pub struct Provider {
    /// For people: `lab`, `hosted`.
    pub name: String,
    /// Who does it.
    pub delegate: Arc<dyn Delegate>,
    /// Where.
    pub host: HostPattern,
}

/// A provider as the policy sees it.
pub(super) struct Rung {
    pub(super) provider: Provider,
    /// Takes out what the policy does not let go there.
    redactor: Redactor,
    /// What that is.
    hidden: Rules,
    /// How confidential what goes there may be.
    up_to: Confidentiality,
    pub(super) breaker: Breaker,
}

impl Rung {
    pub(super) fn new(provider: Provider, policy: &Policy, known: &Known) -> Result<Self, RedactError> {
        let host = provider.host.to_string();
        let hidden = policy.egress().redact_for(&host);
        let up_to = policy.egress().own(&host).unwrap_or(Confidentiality::Personal);
        Ok(Self {
            redactor: Redactor::new(hidden.clone(), known)?,
            provider,
            hidden,
            up_to,
            breaker: Breaker::default(),
        })
    }

    /// A text as it goes there, and what its placeholders stand for. The same text gives the same, so that what was asked can be
    /// understood again after a crash.
    pub(super) fn redacted(&self, text: &str) -> (Redacted, Placeholders) {
        let mut names = Placeholders::new();
        (self.redactor.redact(text, &mut names), names)
    }

    fn can(&self, ability: Ability) -> bool {
        self.provider.delegate.abilities().contains(&ability)
    }
}

impl Cloud {
    /// Who would be asked for this, and why; `None` where nobody can do it. It is the first who may see it and is there, else the
    /// first who can do it: what then speaks against it is the policy's to say.
    pub(super) fn routed(&self, ability: Ability, words: &str) -> Option<(&Rung, Route)> {
        let now = self.world.clock.elapsed();
        let seen = |rung: &Rung| {
            let redacted = rung.redacted(words).0.text;
            let offer = rung.provider.delegate.offer(&Order::new(ability, redacted.as_str())).ok();
            router::Rung {
                name: rung.provider.name.clone(),
                abilities: rung.provider.delegate.abilities().into_iter().map(Need::from).collect(),
                context: u64::MAX,
                max: rung.up_to,
                is_redacted: rung.hidden != Rules::default(),
                price: offer.and_then(|offer| offer.cost).map(Money::micro_dollars),
                sees: Some(redacted),
                label: Some(self.confidentiality(words, rung)),
                is_down: !rung.breaker.is_closed(now),
            }
        };
        let local = router::Rung::local(u64::MAX);
        let ladder: Vec<router::Rung> = std::iter::once(local).chain(self.rungs.iter().map(seen)).collect();
        let tool = ToolId { package: "cloud".into(), tool: ability.as_str().into() };
        let (answer, rule) = self.policy.ruling(&Question::about(&tool, Effect::Cloud));
        let limit = self.budget().per_call.map_or(u64::MAX, Money::micro_dollars);
        let state = State {
            connectivity: if self.is_offline { Connectivity::Offline } else { Connectivity::Unknown },
            flags: Flags::default(),
            policy: answer,
            rule: &rule,
            budget: Allowance { left: limit, over: Answer::Deny, unknown: self.budget().on_unknown_price() },
            has_search: false,
            failures: Failures::default(),
            is_refused: false,
            has_escalated: false,
            mean_logprob: None,
            ladder: &ladder,
        };
        let request = Request { tool: Some(ability.into()), ..Request::line(words) };
        let route = Router::default().route(&request, &state);
        let taken = self.rungs.iter().find(|rung| rung.provider.name == route.rung);
        taken.or_else(|| self.rungs.iter().find(|rung| rung.can(ability))).map(|rung| (rung, route))
    }

    /// The one at this host.
    pub(super) fn at(&self, destination: &str) -> Option<&Rung> {
        let host = destination.trim_start_matches('[').trim_end_matches(']');
        self.rungs.iter().find(|rung| rung.provider.host.to_string() == host)
    }

    /// How confidential what is left in a text is as it goes there.
    pub(super) fn confidentiality(&self, text: &str, rung: &Rung) -> Confidentiality {
        let found = self.inspector.redact(text, &mut Placeholders::new()).found.into_iter().map(|found| found.kind);
        Confidentiality::of(found.filter(|kind| !rung.hidden.has(*kind)))
    }
}
