//! What may leave at all, whatever the rules say: hosts, and how confidential what goes to them may be.
//!
//! It opens no connection; `egress` does, and asks. Start at [`EgressRules`].

use super::Confidentiality;
use super::place::HostPattern;
use super::redact::Rules;
use std::sync::Arc;

/// What may be reached at all, whatever the rules say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EgressRules {
    /// `None` leaves it to the rules.
    pub(super) allow_hosts: Option<Vec<HostPattern>>,
    /// `host:port` of this machine or of its network that tools may reach, which they else may not.
    pub(super) allow_local: Vec<String>,
    /// What is as confidential as one of these goes to no hosted model, whatever the rules say.
    pub(super) never_send: Vec<Confidentiality>,
    /// What is taken out of a text before it leaves.
    pub(super) redact: Rules,
    /// Hosts of the user's own or of their organisation's, and how confidential what goes there may be. `None` leaves it to
    /// other policies.
    pub(super) own: Option<Vec<(HostPattern, Confidentiality)>>,
    /// Of stricter policies: what may be reached must be so by these too.
    pub(super) above: Vec<Arc<EgressRules>>,
}

impl Default for EgressRules {
    /// What a policy means that says nothing of it: the safe way.
    fn default() -> Self {
        Self {
            allow_hosts: None,
            allow_local: Vec::new(),
            never_send: vec![Confidentiality::Secret, Confidentiality::LocalOnly],
            redact: Rules::all(),
            own: None,
            above: Vec::new(),
        }
    }
}

impl EgressRules {
    /// Whether what is as confidential as this stays here rather than go to that host, where there is one.
    pub fn keeps(&self, confidentiality: Confidentiality, destination: Option<&str>) -> bool {
        let is_trusted = destination.and_then(|host| self.own(host)).is_some_and(|up_to| confidentiality <= up_to);
        let is_kept = self.never_send.iter().any(|least| confidentiality >= *least);
        confidentiality == Confidentiality::LocalOnly || is_kept && !is_trusted
    }

    /// How confidential what goes to this host as it is may be, when it is one of the user's own: the policy itself must say so,
    /// and those above it can lower it.
    pub fn own(&self, host: &str) -> Option<Confidentiality> {
        self.own.as_ref()?;
        self.said_of(host).flatten()
    }

    /// What is said of a host that may be the user's own; `None` where no policy speaks of such.
    fn said_of(&self, host: &str) -> Option<Option<Confidentiality>> {
        let matching = |own: &Vec<(HostPattern, Confidentiality)>| {
            own.iter().filter(|(pattern, _)| pattern.matches(host)).map(|(_, up_to)| *up_to).max()
        };
        let here = self.own.as_ref().map(matching);
        let said = here.into_iter().chain(self.above.iter().filter_map(|other| other.said_of(host)));
        said.reduce(|one, other| one.zip(other).map(|(one, other)| one.min(other)))
    }

    /// What is taken out of a text before it goes to this host.
    pub fn redact_for(&self, host: &str) -> Rules {
        match self.own(host) {
            Some(up_to) => self.redact.above(up_to),
            None => self.redact.clone(),
        }
    }

    /// Whether the host may be reached, by the rules' leave.
    pub fn allows(&self, host: &str) -> bool {
        self.allow_hosts.as_ref().is_none_or(|hosts| hosts.iter().any(|pattern| pattern.matches(host)))
            && self.above.iter().all(|other| other.allows(host))
    }

    /// What is taken out of a text before it goes to a hosted model.
    pub fn redact(&self) -> &Rules {
        &self.redact
    }

    /// Whether that port of a host may be reached though it is no public one.
    pub fn allows_local(&self, host: &str, port: u16) -> bool {
        let place = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        self.allow_local.contains(&place) && self.above.iter().all(|other| other.allows_local(host, port))
    }

    /// Both at once: what one of them keeps in stays in.
    pub(super) fn joined(&self, other: &Arc<Self>) -> Self {
        let mut joined = self.clone();
        joined.never_send.extend(&other.never_send);
        joined.redact = joined.redact.joined(&other.redact);
        joined.above.push(other.clone());
        joined
    }
}
