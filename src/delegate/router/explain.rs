//! A route in words: what `ossicle route explain` prints.
//!
//! It decides nothing, and its text is for people: records have the [`Route`] itself. Start at [`explain`].

use super::gates::dollars;
use super::{Course, Leaving, Route};
use std::fmt::Write;

/// Lines of the difference that are shown.
const MAX_LINES: usize = 40;
/// Characters of one such line.
const MAX_LINE: usize = 400;

/// The gates, the rule, every rung with why it was taken or not, what would leave, the price, and what the local model
/// does instead. Control characters of the words are shown as `�`.
pub fn explain(route: &Route) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{}: {}", route.course.as_str(), course(route));
    let _ = writeln!(text, "\ngates");
    let width = route.gates.iter().map(|gate| gate.name.len()).max().unwrap_or_default();
    for gate in &route.gates {
        let _ = writeln!(text, "  {:width$}  {:<16}  {}", gate.name, gate.verdict.to_string(), gate.reason);
    }
    let _ = writeln!(text, "\nrungs");
    for rung in &route.rungs {
        let _ = writeln!(text, "  {} {}: {}", if rung.is_taken { "*" } else { " " }, rung.rung, rung.reason);
    }
    let _ = writeln!(text, "\npolicy rule: {}", route.rule);
    match &route.leaving {
        Some(leaving) => text.push_str(&difference(leaving)),
        None => text.push_str("leaves the machine: nothing\n"),
    }
    let price = route.price.map_or_else(|| "unknown".into(), dollars);
    let _ = writeln!(text, "price: {price}\nlocal alternative: {}", alternative(route));
    text
}

fn course(route: &Route) -> String {
    let need = route.need.map(|need| need.to_string()).unwrap_or_default();
    match route.course {
        Course::Stay => "the local model answers".into(),
        Course::Go => format!("a brief goes to {} for {need}", route.rung),
        Course::Ask => format!("you are asked whether a brief goes to {} for {need}", route.rung),
        Course::Wait => format!("queued for {} ({need}) until the network is back", route.rung),
        Course::Unable => format!("nobody who may see it can do {need}"),
    }
}

fn alternative(route: &Route) -> &'static str {
    match (route.course, route.need) {
        (Course::Stay, _) => "this is the local one",
        (_, Some(super::Need::Ask)) => "the local model answers as well as it can",
        (_, Some(super::Need::Facts)) => "the local model answers from memory, or by a search tool",
        (_, Some(super::Need::Image)) => "a drawing by a program (SVG, a plot)",
        (_, Some(super::Need::EditImage)) => "cutting, scaling and converting by a program",
        _ => "none: the local model reads and writes text",
    }
}

/// The words before and after, line by line, where they differ.
fn difference(leaving: &Leaving) -> String {
    let mut text = String::from("leaves the machine, at most (- the words, + as they would leave)\n");
    if leaving.before == leaving.after {
        for line in leaving.after.lines().take(MAX_LINES) {
            let _ = writeln!(text, "    {}", shown(line));
        }
    } else {
        // What is redacted keeps its lines, but for values of several.
        for line in leaving.before.lines().take(MAX_LINES) {
            let sign = if leaving.after.lines().any(|after| after == line) { ' ' } else { '-' };
            let _ = writeln!(text, "  {sign} {}", shown(line));
        }
        for line in leaving.after.lines().take(MAX_LINES) {
            if !leaving.before.lines().any(|before| before == line) {
                let _ = writeln!(text, "  + {}", shown(line));
            }
        }
    }
    let n_lines = leaving.before.lines().count();
    if n_lines > MAX_LINES {
        let _ = writeln!(text, "    ... of {n_lines} lines");
    }
    if leaving.files.0 > 0 {
        let _ = writeln!(text, "    and {} files of {} bytes", leaving.files.0, leaving.files.1);
    }
    text
}

fn shown(line: &str) -> String {
    let cut = line.chars().take(MAX_LINE).map(|c| if c.is_control() { '\u{fffd}' } else { c });
    cut.collect()
}
