//! The seven gates. Five say whether somebody else is needed (0, 3, 4, 5, 6), two whether it may be (1, 2); all are
//! written down, whichever decides.
//!
//! They know no model and no host by name. Start at [`Gates::route`].

use super::class::{Class, UserWord, class, user_word};
use super::words::Words;
use super::{Connectivity, Considered, Course, Gate, Leaving, Need, Request, Route, Router, Rung, State, Verdict};
use crate::policy::{Answer, Confidentiality, Integrity};

/// Bytes of the words that a route shows.
const MAX_SHOWN: usize = 16_384;

/// One request on its way.
pub(super) struct Gates<'a> {
    router: Router,
    request: &'a Request<'a>,
    state: &'a State<'a>,
    label: Confidentiality,
    class: Class,
    word: Option<UserWord>,
}

/// What a rung is worth to a request.
enum Fit {
    /// Not for this; why not.
    No(String),
    /// It would do, under a verdict that is [`Verdict::Pass`], [`Verdict::Ask`] or [`Verdict::Wait`].
    Yes(Verdict, String),
}

impl<'a> Gates<'a> {
    pub(super) fn new(router: Router, request: &'a Request<'a>, state: &'a State<'a>) -> Self {
        // A stranger's words order nothing, and a tool's text is the model's.
        let is_users = request.integrity == Integrity::Trusted && request.tool.is_none();
        let words = Words::of(if is_users { request.words } else { "" });
        let attachments = if is_users { request.attachments } else { &[] };
        let (class, word) = (class(&words, attachments), user_word(&words));
        Self { router, request, state, label: request.label(), class, word }
    }

    pub(super) fn route(&self) -> Route {
        let mut gates = vec![self.capability(), self.labels(), self.reach(None), self.users_word(), self.failure()];
        gates.extend([self.uncertainty(), self.words()]);
        let need = need(&gates);
        // What the local model cannot do at all is worth waiting for, and worth saying so.
        let is_hard = need.is_some_and(|(gate, ability)| gate == 0 || gate == 6 && ability != Need::Facts);
        let fits: Vec<(&Rung, Fit)> = self.above().map(|rung| (rung, self.considered(rung, need, is_hard))).collect();
        let fitting = |may_wait: bool| {
            fits.iter().find_map(move |(rung, fit)| match fit {
                Fit::Yes(Verdict::Wait, _) if !may_wait => None,
                Fit::Yes(verdict, _) => Some((*rung, *verdict)),
                Fit::No(_) => None,
            })
        };
        // Somebody further up who is there does better than somebody nearer who is not.
        let chosen = fitting(false).or_else(|| fitting(true));
        if let Some((rung, _)) = chosen {
            gates[2] = self.reach(Some(rung));
        }
        let course = match chosen {
            Some((_, Verdict::Ask)) => Course::Ask,
            Some((_, Verdict::Wait)) => Course::Wait,
            Some(_) => Course::Go,
            None if is_hard && !self.state.is_refused => Course::Unable,
            None => Course::Stay,
        };
        let local = self.state.ladder.first();
        let rung = chosen.map(|(rung, _)| rung).or(local);
        Route {
            rung: rung.map_or_else(|| "local".into(), |rung| rung.name.clone()),
            course,
            need: need.map(|(_, ability)| ability),
            gates,
            rungs: self.rungs(&fits, chosen.map(|(rung, _)| rung), course),
            rule: self.state.rule.to_owned(),
            leaving: chosen.map(|(rung, _)| self.leaving(rung)),
            price: chosen.map_or(Some(0), |(rung, _)| rung.price),
        }
    }

    /// The rung for this need, if there is one and nothing holds it back.
    fn considered(&self, rung: &Rung, need: Option<(usize, Need)>, is_hard: bool) -> Fit {
        let Some((_, ability)) = need else { return Fit::No("nobody else is needed".into()) };
        if self.state.is_refused {
            return Fit::No("the request was refused, and that is the answer".into());
        }
        let word = self.users_word();
        if word.verdict == Verdict::Stay {
            return Fit::No(word.reason);
        }
        match self.fit(rung, ability) {
            Fit::Yes(Verdict::Wait, _) if !is_hard => {
                Fit::No("there is no network, and the local model can try".into())
            }
            fit => fit,
        }
    }

    /// 0: what the local model lacks for what is there: a tool's ability, a file's kind, the length.
    fn capability(&self) -> Gate {
        let name = "0 capability";
        let local = self.state.ladder.first();
        let can = |ability| local.is_some_and(|rung| rung.abilities.contains(&ability));
        let gate = |verdict, reason: String| Gate { name, verdict, reason };
        if let Some(ability) = self.request.tool {
            return match can(ability) {
                true => gate(Verdict::Pass, format!("the local model can do {ability} itself")),
                false => gate(Verdict::Up(ability), format!("the local model calls for {ability}")),
            };
        }
        let context = local.map_or(0, |rung| rung.context);
        if self.request.n_tokens > context {
            let reason =
                format!("{} tokens are more than the {context} that the local model reads", self.request.n_tokens);
            return gate(Verdict::Up(Need::Ask), reason);
        }
        let kind = |kind: &str| self.request.attachments.iter().any(|file| file.media_type.starts_with(kind));
        match self.class {
            Class::Needs(ability) if (kind("image/") || kind("audio/")) && !can(ability) => {
                gate(Verdict::Up(ability), format!("the files need {ability}, which the local model cannot do"))
            }
            _ => gate(Verdict::Pass, "the local model reads what is there".into()),
        }
    }

    /// 1: the labels and the policy.
    fn labels(&self) -> Gate {
        let gate = |verdict, reason| Gate { name: "1 policy and labels", verdict, reason };
        let least = self.above().map(|rung| self.label_at(rung)).min().unwrap_or(self.label);
        let nobody_may = self.above().all(|rung| self.label_at(rung) > rung.max);
        if least == Confidentiality::LocalOnly || least == Confidentiality::Secret && nobody_may {
            return gate(Verdict::Stay, format!("{least} never leaves the machine"));
        }
        let rule = self.state.rule;
        match (self.state.policy, self.request.integrity) {
            (Answer::Deny, _) => gate(Verdict::Stay, format!("the policy rule `{rule}` denies it")),
            (Answer::Ask, _) => gate(Verdict::Ask, format!("the policy rule `{rule}` wants somebody to be asked")),
            (Answer::Allow, Integrity::Untrusted) => {
                gate(Verdict::Ask, format!("a stranger's words are in it, whatever the policy rule `{rule}` allows"))
            }
            (Answer::Allow, Integrity::Trusted) => {
                gate(Verdict::Pass, format!("{least}, and the policy rule `{rule}` allows it"))
            }
        }
    }

    /// 2: the network and the money, of a rung once there is one.
    fn reach(&self, rung: Option<&Rung>) -> Gate {
        let (verdict, reason) = match (self.network(), rung) {
            (Err(reason), _) => (Verdict::Stay, reason),
            (Ok(Verdict::Wait), _) => (Verdict::Wait, "there is no network".into()),
            (Ok(_), Some(rung)) => self.money(rung).unwrap_or_else(|reason| (Verdict::Stay, reason)),
            (Ok(_), None) if self.state.budget.left == u64::MAX => {
                (Verdict::Pass, "nothing limits what is spent".into())
            }
            (Ok(_), None) => (Verdict::Pass, format!("{} is left to spend", dollars(self.state.budget.left))),
        };
        Gate { name: "2 connectivity and budget", verdict, reason }
    }

    /// 3: what the user says, by a flag or in words.
    fn users_word(&self) -> Gate {
        let ability = match self.class {
            Class::Needs(ability) => ability,
            Class::Hard | Class::Simple | Class::Plain => Need::Ask,
        };
        let (verdict, reason) = match (self.state.flags.offline, self.state.flags.cloud, self.word) {
            (true, _, _) => (Verdict::Stay, "`--offline`"),
            (_, _, Some(UserWord::Around)) => {
                (Verdict::Stay, "the words ask to go round the policy, or to send secrets")
            }
            (_, _, Some(UserWord::Stay)) => (Verdict::Stay, "the user wants it to stay here"),
            (_, true, _) => (Verdict::Up(ability), "`--cloud`"),
            (_, _, Some(UserWord::Up)) => (Verdict::Up(ability), "the user asks for the strong model"),
            _ => (Verdict::Pass, "the user does not say"),
        };
        Gate { name: "3 the user's word", verdict, reason: reason.into() }
    }

    /// 4: what went wrong with the local model, once.
    fn failure(&self) -> Gate {
        let failures = self.state.failures;
        let observed = if failures.n_schema >= self.router.max_schema_failures {
            Some(format!("{} answers did not fit the schema", failures.n_schema))
        } else if failures.has_looped {
            Some("the local model went round in circles".into())
        } else if failures.is_refuted {
            Some("a verifier refused the local model's answer".into())
        } else if failures.is_empty {
            Some("the local model's answer was empty".into())
        } else {
            None
        };
        let (verdict, reason) = match observed {
            _ if self.state.is_refused => (Verdict::Stay, "a refusal is an answer, not a failure".into()),
            Some(reason) if self.state.has_escalated => {
                (Verdict::Stay, format!("{reason}, and it has gone up once already"))
            }
            Some(reason) => (Verdict::Up(Need::Ask), reason),
            None => (Verdict::Pass, "nothing has failed".into()),
        };
        Gate { name: "4 observed failure", verdict, reason }
    }

    /// 5: how sure the local model was of its answer.
    fn uncertainty(&self) -> Gate {
        let (verdict, reason) = match (self.state.mean_logprob, self.router.min_logprob) {
            (Some(mean), Some(min)) if mean < min && !self.state.has_escalated && !self.state.is_refused => {
                (Verdict::Up(Need::Ask), format!("the mean log-probability {mean:.2} is under {min:.2}"))
            }
            (Some(mean), Some(_)) => (Verdict::Pass, format!("the mean log-probability is {mean:.2}")),
            (_, None) => (Verdict::Pass, "no threshold is set".into()),
            (None, _) => (Verdict::Pass, "there is no answer yet".into()),
        };
        Gate { name: "5 uncertainty", verdict, reason }
    }

    /// 6: what the words ask for.
    fn words(&self) -> Gate {
        let can = |ability| self.state.ladder.first().is_some_and(|rung| rung.abilities.contains(&ability));
        let (verdict, reason) = match self.class {
            _ if self.request.integrity == Integrity::Untrusted => {
                (Verdict::Pass, "a stranger's words are in it: they order nothing".into())
            }
            Class::Needs(Need::Facts) if self.state.has_search => {
                (Verdict::Pass, "fresh facts, which a search on this side finds".into())
            }
            Class::Needs(ability) if can(ability) => {
                (Verdict::Pass, format!("{ability}, which the local model can do"))
            }
            Class::Needs(ability) => (Verdict::Up(ability), format!("the words ask for {ability}")),
            Class::Hard => (Verdict::Pass, "hard: the local model tries first".into()),
            Class::Simple => (Verdict::Pass, "simple".into()),
            Class::Plain => (Verdict::Pass, "nothing that the local model cannot try".into()),
        };
        Gate { name: "6 words", verdict, reason }
    }

    /// How confidential the request is as it reaches the rung.
    fn label_at(&self, rung: &Rung) -> Confidentiality {
        rung.label.unwrap_or(self.label)
    }

    fn above(&self) -> impl Iterator<Item = &'a Rung> {
        self.state.ladder.iter().skip(1)
    }

    /// Whether the rung can do it, may see it, can be reached and paid.
    fn fit(&self, rung: &Rung, ability: Need) -> Fit {
        if !rung.can(ability, self.request.n_tokens) {
            let reason = match rung.abilities.contains(&ability) {
                true => format!("reads {} tokens at once, and these are {}", rung.context, self.request.n_tokens),
                false => format!("cannot do {ability}"),
            };
            return Fit::No(reason);
        }
        let labels = self.labels();
        if labels.verdict == Verdict::Stay {
            return Fit::No(labels.reason);
        }
        let label = self.label_at(rung);
        if label > rung.max {
            return Fit::No(format!("may see what is {} at most, and this is {label}", rung.max));
        }
        if rung.is_redacted && rung.sees.is_none() && self.request.redacted.is_none() {
            return Fit::No("wants it redacted, and nothing has redacted it".into());
        }
        let is_asked = labels.verdict == Verdict::Ask;
        match (self.network(), self.money(rung)) {
            (Err(reason), _) | (_, Err(reason)) => Fit::No(reason),
            _ if rung.is_down => Fit::Yes(Verdict::Wait, "it was not there a moment ago".into()),
            (_, Ok((Verdict::Ask, reason))) => Fit::Yes(Verdict::Ask, reason),
            (_, Ok(_)) if is_asked => Fit::Yes(Verdict::Ask, labels.reason),
            (Ok(Verdict::Wait), _) => Fit::Yes(Verdict::Wait, "when the network is back".into()),
            (Ok(_), Ok((_, reason))) => {
                Fit::Yes(Verdict::Pass, format!("the first that can do {ability}, and sees what is {label}: {reason}"))
            }
        }
    }

    fn network(&self) -> Result<Verdict, String> {
        match (self.state.flags.offline, self.state.connectivity) {
            (true, _) => Err("`--offline`: nothing leaves".into()),
            (false, Connectivity::Offline) => Ok(Verdict::Wait),
            (false, Connectivity::Online | Connectivity::Unknown) => Ok(Verdict::Pass),
        }
    }

    fn money(&self, rung: &Rung) -> Result<(Verdict, String), String> {
        let budget = self.state.budget;
        let (answer, reason) = match rung.price {
            Some(price) if budget.left == u64::MAX => return Ok((Verdict::Pass, dollars(price))),
            Some(price) if price <= budget.left => {
                return Ok((Verdict::Pass, format!("{} of {}", dollars(price), dollars(budget.left))));
            }
            Some(price) => {
                (budget.over, format!("{} is more than the {} that is left", dollars(price), dollars(budget.left)))
            }
            None => (budget.unknown, "its price is unknown".into()),
        };
        match answer {
            Answer::Allow => Ok((Verdict::Pass, reason)),
            Answer::Ask => Ok((Verdict::Ask, reason)),
            Answer::Deny => Err(reason),
        }
    }

    fn leaving(&self, rung: &Rung) -> Leaving {
        let of_request = self.request.redacted.filter(|_| rung.is_redacted).unwrap_or(self.request.words);
        let after = rung.sees.as_deref().unwrap_or(of_request);
        let files = self.request.attachments;
        Leaving {
            before: beginning(self.request.words).to_owned(),
            after: beginning(after).to_owned(),
            files: (files.len(), files.iter().fold(0, |sum, file| sum.saturating_add(file.n_bytes))),
        }
    }

    /// Every rung, the local one too, with what speaks for or against it.
    fn rungs(&self, fits: &[(&Rung, Fit)], chosen: Option<&Rung>, course: Course) -> Vec<Considered> {
        let local = self.state.ladder.first().map(|rung| Considered {
            rung: rung.name.clone(),
            is_taken: chosen.is_none(),
            reason: match course {
                Course::Stay => "answers".into(),
                Course::Unable => "cannot do it, and says so".into(),
                Course::Go | Course::Ask | Course::Wait => "somebody else is needed: see the gates".into(),
            },
        });
        let above = fits.iter().map(|(rung, fit)| {
            let is_taken = chosen.is_some_and(|chosen| std::ptr::eq(chosen, *rung));
            let reason = match fit {
                Fit::Yes(..) if !is_taken => "would do, but a lower rung does".into(),
                Fit::Yes(_, reason) | Fit::No(reason) => reason.clone(),
            };
            Considered { rung: rung.name.clone(), is_taken, reason }
        });
        local.into_iter().chain(above).collect()
    }
}

/// The first gate that calls for somebody, by its number, and for what. What 1 and 2 say is said of each rung.
fn need(gates: &[Gate]) -> Option<(usize, Need)> {
    gates.iter().enumerate().find_map(|(n, gate)| match gate.verdict {
        Verdict::Up(ability) => Some((n, ability)),
        _ => None,
    })
}

/// As much of the words as people are shown.
fn beginning(words: &str) -> &str {
    let end = (0..=words.len().min(MAX_SHOWN)).rev().find(|at| words.is_char_boundary(*at));
    &words[..end.unwrap_or_default()]
}

/// Micro-dollars for people.
pub(super) fn dollars(micro: u64) -> String {
    format!("${}.{:04}", micro / 1_000_000, micro % 1_000_000 / 100)
}
