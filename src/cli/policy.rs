//! `ossicle policy`: whether a policy says what it should, and why a call is answered as it is.
//!
//! It decides nothing that a session would not decide in the same way. Start at [`policy`].

use super::report::Failure;
use super::screen::{Ink, Screen};
use super::{args, session, terminal};
use crate::config;
use crate::policy::{Answer, Call, Label, Speaking, Taint};
use serde_json::Value;
use std::io::{self, Write};

pub(super) fn policy(command: &args::Policy, flags: &args::Session, screen: &Screen) -> Result<(), Failure> {
    let (mut settings, paths) = session::settings(flags)?;
    settings.tools = Some(vec!["all".into()]);
    match command {
        args::Policy::Check { policy } => {
            settings.policy = policy.clone().or(settings.policy);
            let policy = config::policy(&settings, &paths)?;
            let (toolbox, _) = config::toolbox(&settings, &paths)?;
            let warnings = policy.check(&config::known(&toolbox));
            for warning in &warnings {
                screen.say(Ink::Yellow, &warning.to_string());
            }
            if !warnings.is_empty() {
                let failure = Failure::usage(format!("{} names tools that are not there", policy.name()));
                return Err(failure.help("such a rule protects nothing: mend the name, or take the rule out"));
            }
            let n_rules = policy.n_rules();
            screen.say(Ink::Green, &format!("{}: {n_rules} rules, and all its examples hold", policy.name()));
            Ok(())
        }
        args::Policy::Explain { tool, arguments, untrusted, untrusted_argument } => {
            let policy = config::policy(&settings, &paths)?;
            let arguments: Value = serde_json::from_str(arguments).map_err(|error| {
                Failure::usage(format!("the arguments are no JSON: {error}"))
                    .help("write them as '{\"path\": \"notes.md\"}'")
            })?;
            let tools = config::explained_tools(&settings, &paths)?;
            let registered = tools.named(tool).ok_or_else(|| {
                Failure::usage(format!("there is no tool {tool}"))
                    .help("`ossicle tool list` names those that there are")
            })?;
            let argument = if *untrusted_argument { Taint::of_all("a stranger") } else { Taint::trusted().clone() };
            let has_read = *untrusted || *untrusted_argument;
            let context = if has_read { Label::untrusted("a stranger") } else { Label::trusted().clone() };
            let (spec, quote) = (registered.spec(), registered.tool().quote(&arguments));
            let effect = registered.tool().effect(&arguments);
            let labelled = Call { context: &context, argument: &argument, ..spec.asks(&arguments) };
            let call = Call { effect, quote: quote.as_ref(), ..labelled };
            let explained = policy.explain(&call);
            let mut out = io::stdout().lock();
            writeln!(out, "{}: {}, by `{}`", terminal::line(tool), explained.answer.as_str(), explained.rule)?;
            for Speaking { id, answer, place } in &explained.rules {
                writeln!(out, "  {:<6} `{id}` ({})", answer.as_str(), terminal::line(place))?;
            }
            let (answer, rule) = &explained.otherwise;
            match explained.rule.as_str() {
                _ if explained.rules.is_empty() => {
                    writeln!(
                        out,
                        "no rule speaks of it, and what no rule speaks of is denied: a rule that names it would change that"
                    )?;
                }
                decided if *answer != explained.answer => {
                    writeln!(out, "without `{decided}` it would be {}, by `{rule}`", answer.as_str())?;
                }
                decided => writeln!(out, "without `{decided}` it would be the same, by `{rule}`")?,
            }
            if explained.answer == Answer::Ask && !context.strangers().any(|_| true) {
                writeln!(
                    out,
                    "`--approve always` says yes for you; `decision = \"allow\"` in a copy of the policy does not ask"
                )?;
            }
            Ok(())
        }
    }
}
