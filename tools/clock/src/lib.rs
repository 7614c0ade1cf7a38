//! The tools of the clock: `now`, `add`, `between` and `convert`.
//!
//! Has no clock of its own: the moment and the user's zone come from the host, the rules of the zones are built in.
//! Start at [`call`]; how times are read is in [`reading`].

pub mod reading;

use jiff::civil::DateTime;
use jiff::{Span, Unit, ZonedDateTime};
use serde::Deserialize;
use tool_guest::Failure;

use reading::{Moment, Reader};

/// What the host says about time.
pub trait Clock {
    /// Seconds since 1970-01-01T00:00:00Z.
    fn now(&self) -> u64;
    /// The IANA name of the user's zone.
    fn zone(&self) -> String;
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Now {
    zone: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Add {
    start: String,
    duration: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Between {
    start: String,
    end: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Convert {
    time: String,
    from: String,
    to: String,
}

/// Runs the tool of this name by the host's clock.
pub fn call(clock: &dyn Clock, name: &str, arguments: &str) -> Result<String, Failure> {
    let result = match name {
        "now" => now(clock, tool_guest::arguments(arguments)?),
        "add" => add(clock, tool_guest::arguments(arguments)?),
        "between" => between(clock, tool_guest::arguments(arguments)?),
        "convert" => convert(clock, tool_guest::arguments(arguments)?),
        _ => return Err(tool_guest::unknown(name)),
    };
    result.map_err(Failure::Arguments)
}

fn now(clock: &dyn Clock, Now { zone }: Now) -> Result<String, String> {
    let zone = match zone.as_deref().map(str::trim) {
        None | Some("") => reading::own_zone(clock),
        Some(name) => reading::zone(name)?,
    };
    let now = reading::now(clock, zone);
    Ok(format!("{} {} ({})", now.strftime("%Y-%m-%d %H:%M:%S"), zone_name(&now), now.strftime("%A")))
}

fn add(clock: &dyn Clock, Add { start, duration }: Add) -> Result<String, String> {
    let reader = Reader::new(clock, reading::own_zone(clock));
    let span = reading::duration(&duration)?;
    let mut start_moment = reader.moment(&start)?;
    let timed = start_moment.timed || has_time(&span);
    if timed && start_moment.today && !start_moment.timed {
        // "In five hours" is asked as today and five hours, and means from now on.
        start_moment = reader.moment("now")?;
    }
    let sum = start_moment.zoned.checked_add(span);
    let sum = sum.map_err(|_| format!("{start} and {duration} make no date between the years -9999 and 9999"))?;
    Ok(shown(sum.datetime(), timed))
}

fn between(clock: &dyn Clock, Between { start, end }: Between) -> Result<String, String> {
    let reader = Reader::new(clock, reading::own_zone(clock));
    let (from, to) = (reader.moment(&start)?, reader.moment(&end)?);
    if !from.timed && !to.timed {
        let days = from.zoned.date().until((Unit::Day, to.zoned.date())).map_err(|error| error.to_string())?.get_days();
        return Ok(count(days.into(), "day"));
    }
    let span = from.zoned.until((Unit::Day, &to.zoned)).map_err(|error| error.to_string())?;
    Ok(spoken(span))
}

fn convert(clock: &dyn Clock, Convert { time, from, to }: Convert) -> Result<String, String> {
    let (from, to) = (reading::zone(&from)?, reading::zone(&to)?);
    let Moment { zoned, timed, .. } = Reader::new(clock, from).moment(&time)?;
    if !timed {
        return Err(format!("{time:?} has no time of day; write it like 09:30 or 2026-03-01 09:30"));
    }
    let there = zoned.with_time_zone(to);
    Ok(format!("{} {} ({})", there.strftime("%Y-%m-%d %H:%M"), zone_name(&there), there.strftime("%A")))
}

fn zone_name(zoned: &ZonedDateTime) -> &str {
    zoned.time_zone().iana_name().unwrap_or("UTC")
}

fn shown(at: DateTime, timed: bool) -> String {
    let day = at.strftime("%Y-%m-%d");
    match (timed, at.second()) {
        (false, _) => format!("{day} ({})", at.strftime("%A")),
        (true, 0) => format!("{day} {} ({})", at.strftime("%H:%M"), at.strftime("%A")),
        (true, _) => format!("{day} {} ({})", at.strftime("%H:%M:%S"), at.strftime("%A")),
    }
}

fn has_time(span: &Span) -> bool {
    span.get_hours() != 0 || span.get_minutes() != 0 || span.get_seconds() != 0
}

/// A span in words, with one sign in front of all of it.
fn spoken(span: Span) -> String {
    let parts = [
        (i64::from(span.get_days()), "day"),
        (i64::from(span.get_hours()), "hour"),
        (span.get_minutes(), "minute"),
        (span.get_seconds(), "second"),
    ];
    let words = parts.iter().filter(|(n, _)| *n != 0).map(|(n, unit)| count(n.abs(), unit)).collect::<Vec<_>>();
    match (words.is_empty(), span.is_negative()) {
        (true, _) => "0 minutes".into(),
        (false, true) => format!("-{}", words.join(" ")),
        (false, false) => words.join(" "),
    }
}

fn count(number: i64, unit: &str) -> String {
    format!("{number} {unit}{}", if number.abs() == 1 { "" } else { "s" })
}

#[cfg(target_family = "wasm")]
mod export {
    //! The component's side of `wit/tool.wit`.

    use tool_guest::host::clock;
    use tool_guest::{Failure, Output};

    struct Tools;

    impl tool_guest::Package for Tools {
        const TOOLS: &'static str = include_str!("../tools.json");

        fn call(name: &str, arguments: &str) -> Result<Output, Failure> {
            crate::call(&Hosts, name, arguments).map(Output::from)
        }
    }

    struct Hosts;

    impl crate::Clock for Hosts {
        fn now(&self) -> u64 {
            clock::now().seconds
        }

        fn zone(&self) -> String {
            clock::zone()
        }
    }

    tool_guest::export!(Tools);
}

#[cfg(test)]
mod tests;
