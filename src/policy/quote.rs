//! What a call of a hosted model would send and cost, known before anybody says yes to it.

use super::{Answer, Budget, Confidentiality, Money};

/// An offer that a call makes. What it says is what happens: the text is sent as it stands here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// The hosted model.
    pub model: String,
    /// The host that it goes to.
    pub destination: String,
    /// What leaves, after what is confidential was taken out.
    pub text: String,
    /// The files that leave with it, by their names.
    pub files: Vec<String>,
    /// What was taken out, by placeholder.
    pub hidden: Vec<String>,
    /// How confidential what leaves still is.
    pub confidentiality: Confidentiality,
    /// What it costs at most; `None` when nobody knows.
    pub cost: Option<Money>,
    /// Why it would go there: each gate of the router with its verdict and its reason.
    pub route: Vec<String>,
}

impl Quote {
    /// What the budget says of it alone, and the id of what says so: whether the day has room is known when it is reserved.
    pub(super) fn judged(&self, budget: &Budget) -> (Answer, &'static str) {
        match (self.cost, budget.per_call) {
            (None, _) => (budget.on_unknown_price(), "budget.on_unknown_price"),
            (Some(cost), Some(limit)) if cost > limit => (Answer::Deny, "budget.per_call"),
            _ => (Answer::Allow, "budget"),
        }
    }
}
