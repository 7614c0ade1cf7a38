//! What somebody has said yes to for the rest of a session, so that they are not asked the same again.
//!
//! It changes no policy and gives no grant: policy decides each call anew, and only where it wants to ask is this looked at.
//! A deny stays one. Start at [`Approvals`].

use super::{Confidentiality, Grant, Integrity, Money, Quote, Reach, ToolId};
use std::sync::{Arc, Mutex, PoisonError};

/// The yeses of a session. Shared by cloning.
#[derive(Clone, Debug, Default)]
pub struct Approvals(Arc<Mutex<Vec<Standing>>>);

/// A yes, and how far it goes: to calls of the same tool that the same rule asks about, that reach no further, cost no more, and
/// come from a model that has read nothing of strangers that it had not read then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) tool: ToolId,
    pub(super) rule: String,
    pub(super) reach: Reach,
    pub(super) context: Integrity,
    pub(super) argument: Integrity,
    /// What it costs and how confidential it is, for a hosted model; `None` for any other call.
    pub(super) offer: Option<(Money, Confidentiality)>,
}

impl Standing {
    /// The yes that a call would need; `None` where nothing that was said before can be enough: a price that nobody knows, and
    /// words for a hosted model from a model that may have got them from a stranger.
    pub(super) fn needed(grant: &Grant, quote: Option<&Quote>) -> Option<Self> {
        let (context, argument) = (grant.context().integrity(), grant.argument().label.integrity());
        let offer = match quote {
            Some(_) if context == Integrity::Untrusted => return None,
            Some(quote) => Some((quote.cost?, quote.confidentiality)),
            None => None,
        };
        let (tool, rule, reach) = (grant.tool().clone(), grant.rule().to_owned(), grant.reach().clone());
        Some(Self { tool, rule, reach, context, argument, offer })
    }

    /// Whether having said yes to this is to have said yes to `other`.
    fn covers(&self, other: &Self) -> bool {
        self.tool == other.tool
            && self.rule == other.rule
            && other.reach.hosts.iter().all(|host| self.reach.hosts.contains(host))
            && other.reach.paths.iter().all(|path| self.reach.paths.contains(path))
            && other.context <= self.context
            && other.argument <= self.argument
            && match (other.offer, self.offer) {
                (None, None) => true,
                (Some((cost, confidentiality)), Some(most)) => cost <= most.0 && confidentiality <= most.1,
                _ => false,
            }
    }
}

impl Approvals {
    pub(super) fn remember(&self, standing: Standing) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(standing);
    }

    pub(super) fn cover(&self, needed: &Standing) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|standing| standing.covers(needed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Call, Capabilities, Effect, Label, Policy, Taint, Targets};
    use serde_json::Value;

    #[test]
    fn a_yes_goes_no_further_than_what_was_asked() {
        let offer = |text: &str, confidentiality| Some((text.parse::<Money>().unwrap(), confidentiality));
        use Confidentiality::{Personal, Public};
        let yes = Standing {
            tool: "files.write".parse().unwrap(),
            rule: "writing".into(),
            reach: Reach { paths: vec!["/w/a".into(), "/w/b".into()], hosts: vec!["a.org".into()] },
            context: Integrity::Trusted,
            argument: Integrity::Trusted,
            offer: offer("$0.02", Public),
        };
        let approvals = Approvals::default();
        assert!(!approvals.cover(&yes), "nobody has said it");
        approvals.remember(yes.clone());
        assert!(approvals.cover(&yes));
        let less = Reach { paths: vec!["/w/b".into()], hosts: Vec::new() };
        assert!(approvals.cover(&Standing { reach: less, offer: offer("$0.01", Public), ..yes.clone() }));
        for further in [
            Standing { tool: "files.edit".parse().unwrap(), ..yes.clone() },
            Standing { rule: "strangers".into(), ..yes.clone() },
            Standing { reach: Reach { paths: vec!["/w/c".into()], hosts: Vec::new() }, ..yes.clone() },
            Standing { reach: Reach { paths: Vec::new(), hosts: vec!["b.a.org".into()] }, ..yes.clone() },
            Standing { context: Integrity::Untrusted, ..yes.clone() },
            Standing { argument: Integrity::Untrusted, ..yes.clone() },
            Standing { offer: offer("$0.03", Public), ..yes.clone() },
            Standing { offer: offer("$0.01", Personal), ..yes.clone() },
            Standing { offer: None, ..yes.clone() },
        ] {
            assert!(!approvals.cover(&further), "{further:?}");
        }
        let quote = Quote {
            model: String::new(),
            destination: String::new(),
            text: String::new(),
            files: Vec::new(),
            hidden: Vec::new(),
            confidentiality: Public,
            cost: None,
            route: Vec::new(),
        };
        let needed = |context: &Label, quote: &Quote| {
            let (wants, targets) = (Capabilities::default(), Targets::default());
            let call = Call {
                tool: &yes.tool,
                effect: Effect::Cloud,
                arguments: &Value::Null,
                wants: &wants,
                targets: &targets,
                context,
                argument: Taint::trusted(),
                quote: Some(quote),
            };
            let grant = Grant::new(&call, "r", Reach::default(), Policy::default());
            Standing::needed(&grant, Some(quote)).is_some()
        };
        assert!(!needed(Label::trusted(), &quote), "nobody knows the price");
        let priced = Quote { cost: Some(Money::ZERO), ..quote };
        assert!(needed(Label::trusted(), &priced) && !needed(&Label::untrusted("a page"), &priced));
    }
}
