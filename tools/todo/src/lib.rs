//! The tools over a list of things to do: `add`, `list`, `done` and `remove`, kept in the package's own store.
//!
//! Reminds of nothing and knows no present day: a due date is shown, never acted on. Start at [`call`]; how an item lies
//! in the store is in [`items`].

pub mod items;

use serde::Deserialize;
use tool_guest::Failure;

use items::{Item, Items, Store};

/// The most characters that an item may have.
const MAX_TEXT: usize = 1000;
/// The most bytes of a list that are shown at once.
const MAX_LIST: usize = 16_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Add {
    text: String,
    due: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    all: Option<bool>,
    from: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Numbered {
    number: u64,
}

/// Runs the tool of this name on the store.
pub fn call(store: &dyn Store, name: &str, arguments: &str) -> Result<String, Failure> {
    let items = Items(store);
    match name {
        "add" => add(&items, tool_guest::arguments(arguments)?),
        "list" => list(&items, &tool_guest::arguments(arguments)?),
        "done" => {
            let Numbered { number } = tool_guest::arguments(arguments)?;
            let item = items.item(number)?.ok_or_else(|| absent(number))?;
            items.put(number, &Item { done: true, ..item.clone() })?;
            Ok(format!("done: {number}. {}", item.text))
        }
        "remove" => {
            let Numbered { number } = tool_guest::arguments(arguments)?;
            if !items.has(number)? {
                return Err(absent(number));
            }
            items.remove(number)?;
            Ok(format!("removed number {number}"))
        }
        _ => Err(tool_guest::unknown(name)),
    }
}

fn add(items: &Items, Add { text, due }: Add) -> Result<String, Failure> {
    let text = fold(&text);
    if text.is_empty() {
        return Err(Failure::Arguments("the text is empty; say what is to be done".into()));
    }
    let n_chars = text.chars().count();
    if n_chars > MAX_TEXT {
        return Err(Failure::Arguments(format!("the text has {n_chars} characters; say it in at most {MAX_TEXT}")));
    }
    let due = due.as_deref().map(str::trim).filter(|due| !due.is_empty()).map(day).transpose()?;
    let number = items.add(&Item { text, due, done: false })?;
    Ok(format!("added as number {number}"))
}

fn list(items: &Items, List { all, from }: &List) -> Result<String, Failure> {
    let (is_all, from) = (all.unwrap_or(false), from.unwrap_or(1));
    let mut lines: Vec<String> = Vec::new();
    let (mut n_bytes, mut n_done) = (0, 0);
    for number in items.numbers()?.into_iter().filter(|number| *number >= from) {
        let line = match items.item(number) {
            Ok(Some(item)) if item.done && !is_all => {
                n_done += 1;
                continue;
            }
            Ok(Some(item)) => shown(number, &item),
            Ok(None) => continue,
            Err(Failure::Failed(problem)) => format!("{number}. ({problem})"),
            Err(other) => return Err(other),
        };
        n_bytes += line.len() + 1;
        if n_bytes > MAX_LIST {
            lines.push(format!("[there are more; go on with from = {number}]"));
            break;
        }
        lines.push(line);
    }
    Ok(match (lines.is_empty(), n_done) {
        (false, _) => lines.join("\n"),
        (true, 0) => "nothing to do".into(),
        (true, _) => format!("nothing to do; {n_done} done, which all = true shows"),
    })
}

fn shown(number: u64, Item { text, due, done }: &Item) -> String {
    let due = due.as_ref().map(|due| format!(" (due {due})")).unwrap_or_default();
    format!("{number}. {}{text}{due}", if *done { "[done] " } else { "" })
}

/// The text on one line: runs of blanks, line ends and control characters become single spaces.
fn fold(text: &str) -> String {
    let blank = |c: char| c.is_whitespace() || c.is_control();
    text.split(blank).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// A day that the calendar has, as `2026-03-01`.
fn day(text: &str) -> Result<String, Failure> {
    let is_day = |text: &str| {
        let [year, month, day] = text.split('-').collect::<Vec<_>>().try_into().ok()?;
        let number = |part: &str, n_digits| {
            let fits = part.len() == n_digits && part.bytes().all(|byte| byte.is_ascii_digit());
            fits.then(|| part.parse::<u32>().ok()).flatten()
        };
        let (year, month, day) = (number(year, 4)?, number(month, 2)?, number(day, 2)?);
        let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let n_days = match month {
            2 => 28 + u32::from(is_leap),
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return None,
        };
        (1..=n_days).contains(&day).then_some(())
    };
    is_day(text).map(|()| text.to_owned()).ok_or_else(|| {
        let short: String = text.chars().take(60).collect();
        Failure::Arguments(format!("{short:?} is not a day; write it like 2026-03-01"))
    })
}

fn absent(number: u64) -> Failure {
    Failure::Failed(format!("there is no number {number}; list shows the numbers"))
}

#[cfg(target_family = "wasm")]
mod export {
    //! The component's side of `wit/tool.wit`.

    use tool_guest::host::store;
    use tool_guest::{Failure, Output};

    struct Tools;

    impl tool_guest::Package for Tools {
        const TOOLS: &'static str = include_str!("../tools.json");

        fn call(name: &str, arguments: &str) -> Result<Output, Failure> {
            crate::call(&Granted, name, arguments).map(Output::from)
        }
    }

    struct Granted;

    impl crate::items::Store for Granted {
        fn value(&self, key: &str) -> Result<Option<String>, String> {
            store::get(key)
        }

        fn set(&self, key: &str, value: &str) -> Result<(), String> {
            store::set(key, value)
        }

        fn remove(&self, key: &str) -> Result<(), String> {
            store::remove(key)
        }

        fn keys(&self, prefix: &str) -> Result<Vec<String>, String> {
            store::keys(prefix)
        }
    }

    tool_guest::export!(Tools);
}

#[cfg(test)]
mod tests;
