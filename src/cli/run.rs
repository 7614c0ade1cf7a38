//! `ossicle run`: one question. The answer alone goes to stdout.

use super::args;
use super::events::JsonLines;
use super::report::{Failure, ended, exit};
use super::screen::Screen;
use super::session;
use crate::agent::{Answer, TurnEnd};
use crate::tool;
use serde_json::Value;
use std::io::{self, IsTerminal, Read};
use std::path::Path;

/// More text than this is no prompt. In bytes.
const LIMIT: u64 = 16 * 1024 * 1024;

pub(super) async fn run(run: &args::Run, flags: &args::Session, screen: &Screen) -> Result<(), Failure> {
    let prompt = prompt(run.prompt.as_deref(), io::stdin().is_terminal(), io::stdin(), screen)?;
    // A prompt that was piped in is the user's; what was piped in beside one need not be.
    let typed = run.prompt.as_deref().filter(|typed| *typed != "-").unwrap_or(&prompt);
    let (mut settings, paths) = session::settings(flags)?;
    let form = run.output_schema.as_deref().map(Form::read).transpose()?;
    settings.output_schema = form.as_ref().map(|form| form.schema.clone());
    settings.top_logprobs = run.logprobs;
    let mut session = session::open(settings, &paths, flags.approve, screen).await?;
    let agent = &mut session.agent;
    let end = if run.json {
        // Stdout is the lines' alone.
        screen.give_up_stdout();
        let mut lines = JsonLines::new(io::stdout(), screen, agent.session_id());
        let answer = session::ask(agent, &prompt, typed, &mut lines, screen).await;
        let kept = keep(run, &answer);
        let answer = answer.and_then(|answer| fitting(form.as_ref(), answer));
        let end = lines.end(answer)?;
        kept?;
        end
    } else {
        let answer = session::ask(agent, &prompt, typed, &mut screen.clone(), screen).await;
        let kept = keep(run, &answer);
        let answer = fitting(form.as_ref(), answer?)?;
        screen.answer(&answer.text)?;
        kept?;
        answer.end
    };
    session.close().await;
    ended(end).map_or(Ok(()), Err)
}

/// More text than this is no schema. In bytes.
const MAX_SCHEMA: u64 = 1024 * 1024;

/// What `--output-schema` asks for.
struct Form {
    schema: Value,
    validator: jsonschema::Validator,
}

impl Form {
    fn read(file: &Path) -> Result<Self, Failure> {
        let refused = |why: String| {
            Failure::usage(format!("{} is no schema for the answer: {why}", file.display()))
                .help("--output-schema takes a file with one JSON Schema")
        };
        let text = std::fs::File::open(file).and_then(|file| io::read_to_string(file.take(MAX_SCHEMA + 1)));
        let text = text.map_err(|error| refused(error.to_string()))?;
        if text.len() as u64 > MAX_SCHEMA {
            return Err(refused(format!("it has more than {} MiB", MAX_SCHEMA >> 20)));
        }
        let schema: Value = serde_json::from_str(&text).map_err(|error| refused(error.to_string()))?;
        let validator = tool::validator(&schema).map_err(refused)?;
        Ok(Self { schema, validator })
    }
}

/// An answer that was finished has the form that was asked for.
fn fitting(form: Option<&Form>, answer: Answer) -> Result<Answer, Failure> {
    let Some(form) = form.filter(|_| answer.end == TurnEnd::Answered) else { return Ok(answer) };
    let problem = match serde_json::from_str(&answer.text) {
        Ok(value) => form.validator.validate(&value).err().map(|error| error.to_string()),
        Err(error) => Some(format!("it is no JSON: {error}")),
    };
    match problem {
        None => Ok(answer),
        Some(problem) => Err(Failure::new(exit::UNFIT, format!("the answer does not fit the schema: {problem}"))
            .help("only a model that is held to the grammar (without --no-grammar) is sure to write what fits")),
    }
}

/// The answer's own copy. It is written before stdout, whose reader may have gone.
fn keep(run: &args::Run, answer: &Result<Answer, Failure>) -> Result<(), Failure> {
    let (Some(file), Ok(answer)) = (&run.output_last_message, answer) else { return Ok(()) };
    std::fs::write(file, &answer.text).map_err(|error| {
        let failure = Failure::new(exit::FAILURE, format!("{} cannot be written: {error}", file.display()));
        failure.help("give -o a file in a folder that exists and that you may write into")
    })
}

/// What was typed, what was piped in, or the one followed by the other.
fn prompt(typed: Option<&str>, is_terminal: bool, stdin: impl Read, screen: &Screen) -> Result<String, Failure> {
    let prompt = match typed {
        Some("-") | None if is_terminal && typed.is_none() => {
            return Err(Failure::usage("there is no prompt")
                .help("ossicle run \"What is 23 * 47?\", or `ossicle` for the chat"));
        }
        Some("-") | None => read(stdin, screen)?,
        Some(typed) if is_terminal => typed.to_owned(),
        Some(typed) => {
            let piped = read(stdin, screen)?;
            match piped.trim() {
                "" => typed.to_owned(),
                _ => format!("{typed}\n\n<stdin>\n{}\n</stdin>", piped.trim_end_matches('\n')),
            }
        }
    };
    if prompt.trim().is_empty() {
        return Err(Failure::usage("the prompt is empty").help("write what you want to know behind `ossicle run`"));
    }
    Ok(prompt)
}

fn read(stdin: impl Read, screen: &Screen) -> Result<String, Failure> {
    screen.wait("reading stdin");
    let mut bytes = Vec::new();
    let read = stdin.take(LIMIT + 1).read_to_end(&mut bytes);
    screen.settle();
    read?;
    if bytes.len() as u64 > LIMIT {
        return Err(Failure::usage(format!("stdin holds more than {} MiB", LIMIT >> 20)).help("pipe in less"));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        Failure::usage(format!("stdin is not text: {}", error.utf8_error())).help("pipe in UTF-8 text")
    })?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(typed: Option<&str>, is_terminal: bool, stdin: &str, expect: Option<&str>) {
        let got = prompt(typed, is_terminal, stdin.as_bytes(), &Screen::of_process());
        assert_eq!(got.ok().as_deref(), expect, "{typed:?} {stdin:?}");
    }

    #[test]
    fn a_prompt_is_typed_or_piped_or_both() {
        check(Some("hi"), true, "not read", Some("hi"));
        check(Some("hi"), false, "", Some("hi"));
        check(Some("sum up"), false, "one\ntwo\n", Some("sum up\n\n<stdin>\none\ntwo\n</stdin>"));
        check(None, false, "piped\n", Some("piped\n"));
        check(Some("-"), false, "piped", Some("piped"));
        check(Some("-"), true, "typed after the command", Some("typed after the command"));
        check(None, true, "", None);
        check(None, false, "\n", None);
        check(Some(" "), true, "", None);
    }

    #[test]
    fn what_is_no_text_is_refused() {
        let screen = Screen::of_process();
        let failure = prompt(None, false, &b"\xff\xfe"[..], &screen).unwrap_err();
        assert!(failure.to_string().contains("not text"), "{failure}");
        let failure = prompt(None, false, io::repeat(b'x'), &screen).unwrap_err();
        assert!(failure.to_string().contains("16 MiB"), "{failure}");
    }
}
