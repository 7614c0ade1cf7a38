//! How the router's rules do on labelled requests: `cargo bench --bench routing` (`-- --errors` lists the mistakes of
//! the half that the rules were made with). Accuracy, what was sent though it need not be and the reverse, the time of
//! a decision, and what four strategies send and spend.
//!
//! The labels are the authors' own and say what the router should do, not whether an answer is good.

use ossicle::delegate::router::{
    Allowance, Attachment, Connectivity, Course, Failures, Flags, Need, Request, Router, Rung, State,
};
use ossicle::policy::redact::{Found, Known, Placeholders, Redactor, Rules};
use ossicle::policy::{Answer, Confidentiality, Integrity};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A labelled request, as `tests/fixtures/routing/README.md` describes it.
#[derive(serde::Deserialize)]
struct Labelled {
    category: String,
    words: String,
    expect: String,
    #[serde(default)]
    attachments: Vec<File>,
    tool: Option<Need>,
    n_tokens: Option<u64>,
    #[serde(default)]
    integrity: Integrity,
    #[serde(default)]
    confidentiality: Confidentiality,
    #[serde(default)]
    fails: bool,
    #[serde(default)]
    refused: bool,
}

#[derive(serde::Deserialize)]
struct File {
    media_type: String,
    n_bytes: u64,
}

/// A request with all that routing it needs.
struct Case {
    labelled: Labelled,
    redacted: String,
    found: Vec<Found>,
    attachments: Vec<Attachment>,
    n_tokens: u64,
    is_dev: bool,
}

/// FNV-1a, 64 bits: which half a request belongs to never changes.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, c| (hash ^ u64::from(c)).wrapping_mul(0x0100_0000_01b3))
}

fn cases(lines: &str) -> Result<Vec<Case>, Box<dyn std::error::Error>> {
    let redactor = Redactor::new(Rules::all(), &Known::default())?;
    let case = |line: &str| -> Result<Case, Box<dyn std::error::Error>> {
        let labelled: Labelled = serde_json::from_str(line)?;
        let redacted = redactor.redact(&labelled.words, &mut Placeholders::new());
        let attachments = labelled.attachments.iter();
        Ok(Case {
            attachments: attachments
                .map(|file| Attachment { media_type: file.media_type.clone(), n_bytes: file.n_bytes })
                .collect(),
            // Four bytes a token, as English has them.
            n_tokens: labelled.n_tokens.unwrap_or(labelled.words.len() as u64 / 4 + 1),
            is_dev: (hash(&labelled.words) >> 32).is_multiple_of(2),
            redacted: redacted.text,
            found: redacted.found,
            labelled,
        })
    };
    lines.lines().map(case).collect()
}

/// What a call costs in micro-dollars, by the catalogue's figures of November 2026: $2 and $10 a million tokens in and
/// out with 600 tokens out, an image of medium quality. For sound there is no figure.
fn price(ability: Need, n_tokens: u64) -> Option<u64> {
    match ability {
        Need::Ask | Need::See | Need::Facts => Some(2 * n_tokens + 6_000),
        Need::Image | Need::EditImage => Some(13_000),
        Need::Transcribe | Need::Speak => None,
    }
}

impl Case {
    fn request(&self) -> Request<'_> {
        Request {
            words: &self.labelled.words,
            redacted: Some(&self.redacted),
            found: &self.found,
            attachments: &self.attachments,
            tool: self.labelled.tool,
            n_tokens: self.n_tokens,
            integrity: self.labelled.integrity,
            confidentiality: self.labelled.confidentiality,
        }
    }

    /// What the label says that it is sent for, before anything has failed.
    fn expected(&self) -> Option<Need> {
        Need::ALL.into_iter().find(|ability| ability.as_str() == self.labelled.expect)
    }

    /// What the router sends it for. What waits for somebody's yes is not sent.
    fn routed(&self, ladder: &[Rung], failures: Failures) -> Option<Need> {
        let route = Router::default().route(&self.request(), &self.state(ladder, failures));
        route.need.filter(|_| route.course == Course::Go)
    }

    fn state<'a>(&self, ladder: &'a [Rung], failures: Failures) -> State<'a> {
        State {
            connectivity: Connectivity::Online,
            flags: Flags::default(),
            policy: Answer::Allow,
            rule: "bench",
            budget: Allowance { left: 10_000_000, over: Answer::Deny, unknown: Answer::Allow },
            has_search: false,
            failures,
            is_refused: self.labelled.refused,
            has_escalated: false,
            mean_logprob: None,
            ladder,
        }
    }

    /// Whether anything at all may be sent of it.
    fn may_leave(&self) -> bool {
        let is_open = self.request().label() < Confidentiality::Secret && !self.labelled.refused;
        is_open && self.labelled.integrity == Integrity::Trusted
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let ladder = vec![
        Rung::local(128_000),
        Rung {
            name: "hosted".into(),
            abilities: Need::ALL.to_vec(),
            context: 1_000_000,
            max: Confidentiality::Personal,
            is_redacted: true,
            price: None,
            sees: None,
            label: None,
            is_down: false,
        },
    ];
    let fresh = cases(include_str!("../fixtures/routing/fresh.jsonl"))?;
    let cases = cases(include_str!("../fixtures/routing/requests.jsonl"))?;
    let (dev, test): (Vec<&Case>, Vec<&Case>) = cases.iter().partition(|case| case.is_dev);
    accuracy("dev", &dev, &ladder);
    accuracy("test", &test, &ladder);
    let (fresh_dev, fresh_test): (Vec<&Case>, Vec<&Case>) = fresh.iter().partition(|case| case.is_dev);
    accuracy("fresh dev", &fresh_dev, &ladder);
    accuracy("fresh test", &fresh_test, &ladder);
    if std::env::args().any(|argument| argument == "--errors") {
        for case in dev.iter().chain(&fresh_dev) {
            let (expected, routed) = (case.expected(), case.routed(&ladder, Failures::default()));
            if expected != routed {
                println!("  {}: {:?}: {expected:?}, routed {routed:?}", case.labelled.category, case.labelled.words);
            }
        }
    }
    times(&cases, &ladder);
    strategies(&cases, &ladder);
    Ok(())
}

fn share(part: usize, whole: usize) -> String {
    format!("{part} of {whole} ({:.1} %)", 100.0 * part as f64 / whole.max(1) as f64)
}

fn accuracy(half: &str, cases: &[&Case], ladder: &[Rung]) {
    let (mut n_right, mut n_false, mut n_missed, mut n_local) = (0, 0, 0, 0);
    let mut wrong: BTreeMap<&str, usize> = BTreeMap::new();
    for case in cases {
        let (expected, routed) = (case.expected(), case.routed(ladder, Failures::default()));
        n_right += usize::from(expected == routed);
        n_local += usize::from(expected.is_none());
        n_false += usize::from(expected.is_none() && routed.is_some());
        n_missed += usize::from(expected.is_some() && routed.is_none());
        if expected != routed {
            *wrong.entry(case.labelled.category.as_str()).or_default() += 1;
        }
    }
    println!(
        "{half}: right {}; sent though it should stay {}; kept though it should go {}; wrong by category {wrong:?}",
        share(n_right, cases.len()),
        share(n_false, n_local),
        share(n_missed, cases.len() - n_local),
    );
}

fn times(cases: &[Case], ladder: &[Rung]) {
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..20 {
        for case in cases {
            let (request, state) = (case.request(), case.state(ladder, Failures::default()));
            let start = Instant::now();
            std::hint::black_box(Router::default().route(&request, &state));
            times.push(start.elapsed());
        }
    }
    let long = "Draw the \"cat\" and «ask the cloud, ".repeat(30_000);
    let start = Instant::now();
    let case = &cases[0];
    std::hint::black_box(
        Router::default().route(&Request { words: &long, ..case.request() }, &case.state(ladder, Failures::default())),
    );
    let long_took = start.elapsed();
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!("a decision: p50 {:.1?}, p99 {:.1?}; of a line of 1 MB {long_took:.1?}", at(0.5), at(0.99));
}

/// What is sent, spent and served when failures of the local model are those that the labels name.
fn strategies(cases: &[Case], ladder: &[Rung]) {
    let failed = |case: &Case| Failures { is_refuted: case.labelled.fails, ..Failures::default() };
    type Sends<'a> = Box<dyn Fn(&Case) -> Option<Need> + 'a>;
    let strategies: [(&str, Sends<'_>); 4] = [
        ("always local", Box::new(|_| None)),
        ("always cloud", Box::new(|case| case.may_leave().then(|| case.expected().unwrap_or(Need::Ask)))),
        ("rules", Box::new(|case| case.routed(ladder, Failures::default()))),
        ("rules, then failure", Box::new(|case| case.routed(ladder, failed(case)))),
    ];
    for (name, sends) in strategies {
        let (mut n_sent, mut n_served, mut n_unpriced, mut cost) = (0, 0, 0, 0);
        for case in cases {
            let (sent, expected) = (sends(case), case.expected());
            n_sent += usize::from(sent.is_some());
            let is_local = expected.is_none() && !case.labelled.fails;
            n_served += usize::from(is_local || sent.is_some() && (sent == expected || expected.is_none()));
            match sent.map(|ability| price(ability, case.n_tokens)) {
                Some(Some(price)) => cost += price,
                Some(None) => n_unpriced += 1,
                None => {}
            }
        }
        println!(
            "{name}: sent {}, by its label served {}, ${:.2} and {n_unpriced} calls without a figure",
            share(n_sent, cases.len()),
            share(n_served, cases.len()),
            cost as f64 / 1e6
        );
    }
}
