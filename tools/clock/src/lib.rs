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

    use tool_guest::Failure;

    wit_bindgen::generate!({ path: "../wit", world: "clock-tool" });

    struct Tool;

    impl Guest for Tool {
        fn describe() -> Vec<ToolSpec> {
            let spec = |spec: tool_guest::Spec| ToolSpec {
                name: spec.name,
                description: spec.description,
                parameters: spec.parameters.get().to_owned(),
            };
            tool_guest::specs(include_str!("../tools.json")).into_iter().map(spec).collect()
        }

        fn call(name: String, arguments: String) -> Result<String, ToolError> {
            crate::call(&Hosts, &name, &arguments).map_err(|failure| match failure {
                Failure::Arguments(text) => ToolError::InvalidArguments(text),
                Failure::Unknown(text) => ToolError::UnknownTool(text),
                Failure::Failed(text) => ToolError::Failed(text),
            })
        }
    }

    struct Hosts;

    impl crate::Clock for Hosts {
        fn now(&self) -> u64 {
            ossicle::tool::clock::now().seconds
        }

        fn zone(&self) -> String {
            ossicle::tool::clock::zone()
        }
    }

    export!(Tool);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-24 12:05:09 in Berlin.
    struct Tuesday;

    impl Clock for Tuesday {
        fn now(&self) -> u64 {
            1_795_518_309
        }

        fn zone(&self) -> String {
            "Europe/Berlin".into()
        }
    }

    fn check(name: &str, cases: &[(&str, &str)]) {
        for (arguments, expected) in cases {
            let shown = match call(&Tuesday, name, arguments) {
                Ok(text) => text,
                Err(Failure::Arguments(text)) => format!("! {text}"),
                Err(other) => format!("{other:?}"),
            };
            assert_eq!(shown, *expected, "{name} {arguments}");
        }
    }

    fn pair(first: &str, second: &str, cases: &[(&str, &str, &str)], name: &str) {
        for (one, two, expected) in cases {
            check(name, &[(&format!(r#"{{"{first}":"{one}","{second}":"{two}"}}"#), expected)]);
        }
    }

    #[test]
    fn now_is_the_hosts() {
        check(
            "now",
            &[
                ("{}", "2026-11-24 12:05:09 Europe/Berlin (Tuesday)"),
                (r#"{"zone":" "}"#, "2026-11-24 12:05:09 Europe/Berlin (Tuesday)"),
                (r#"{"zone":"asia/tokyo"}"#, "2026-11-24 20:05:09 Asia/Tokyo (Tuesday)"),
                (r#"{"zone":"Pacific/Kiritimati"}"#, "2026-11-25 01:05:09 Pacific/Kiritimati (Wednesday)"),
                (r#"{"zone":"UTC"}"#, "2026-11-24 11:05:09 UTC (Tuesday)"),
                (r#"{"zone":"Berlin"}"#, "! there is no time zone \"Berlin\"; use a name such as Europe/Berlin"),
                (
                    r#"{"zone":"../etc/passwd"}"#,
                    "! there is no time zone \"../etc/passwd\"; use a name such as Europe/Berlin",
                ),
            ],
        );
    }

    #[test]
    fn add_keeps_what_was_written() {
        let cases = [
            ("today", "1 week", "2026-12-01 (Tuesday)"),
            ("today", "-3 days", "2026-11-21 (Saturday)"),
            ("tomorrow", "1 month 2 days", "2026-12-27 (Sunday)"),
            ("Yesterday", "0 days", "2026-11-23 (Monday)"),
            ("today", "5 hours", "2026-11-24 17:05 (Tuesday)"),
            ("now", "90 minutes", "2026-11-24 13:35 (Tuesday)"),
            ("2026-11-30 08:00", "1 day", "2026-12-01 08:00 (Tuesday)"),
            ("2026-11-30T08:00", "1 hour and 30 minutes", "2026-11-30 09:30 (Monday)"),
            ("2026-11-30", "90 minutes", "2026-11-30 01:30 (Monday)"),
            ("2024-02-29", "1 year", "2025-02-28 (Friday)"),
            ("2024-01-31", "1 month", "2024-02-29 (Thursday)"),
            ("2026-03-28 23:30", "3 hours", "2026-03-29 03:30 (Sunday)"),
            ("18:00", "15 minutes", "2026-11-24 18:15 (Tuesday)"),
            ("2026-01-01", "-400 months", "1992-09-01 (Tuesday)"),
            ("2026-01-01", "soon", "! \"soon\" is not a duration; write it like 3 days, -2 weeks or 1 hour 30 minutes"),
            ("2026-01-01", "9999 years", "! 2026-01-01 and 9999 years make no date between the years -9999 and 9999"),
        ];
        pair("start", "duration", &cases, "add");
    }

    #[test]
    fn between_counts_days_or_the_clock() {
        let cases = [
            ("2026-11-24", "2026-12-01", "7 days"),
            ("2026-12-01", "2026-11-24", "-7 days"),
            ("today", "tomorrow", "1 day"),
            ("today", "yesterday", "-1 day"),
            ("today", "today", "0 days"),
            ("1995-01-01", "2040-12-28", "16798 days"),
            ("2026-11-24 09:00", "2026-11-24 12:20", "3 hours 20 minutes"),
            ("2026-11-24 12:20", "2026-11-24 09:00", "-3 hours 20 minutes"),
            ("09:00", "10:00", "1 hour"),
            ("now", "now", "0 minutes"),
            ("now", "2026-11-26 12:06", "2 days 1 minute"),
            ("2026-03-29 00:00", "2026-03-29 06:00", "5 hours"),
            ("10:00:00", "10:00:30", "30 seconds"),
        ];
        pair("start", "end", &cases, "between");
    }

    #[test]
    fn convert_goes_from_zone_to_zone() {
        for (time, from, to, expected) in [
            ("10:00", "Europe/Berlin", "Asia/Tokyo", "2026-11-24 18:00 Asia/Tokyo (Tuesday)"),
            ("2026-07-01 23:30", "America/New_York", "Europe/Paris", "2026-07-02 05:30 Europe/Paris (Thursday)"),
            ("9:05", "Asia/Kathmandu", "UTC", "2026-11-24 03:20 UTC (Tuesday)"),
            ("now", "UTC", "Asia/Tokyo", "2026-11-24 20:05 Asia/Tokyo (Tuesday)"),
            ("today", "UTC", "UTC", "! \"today\" has no time of day; write it like 09:30 or 2026-03-01 09:30"),
            ("10:00", "Mars", "UTC", "! there is no time zone \"Mars\"; use a name such as Europe/Berlin"),
        ] {
            check("convert", &[(&format!(r#"{{"time":"{time}","from":"{from}","to":"{to}"}}"#), expected)]);
        }
    }

    #[test]
    fn garbage_is_refused() {
        let long = "9".repeat(1_000_000);
        for text in [
            "",
            " ",
            "2026-13-01",
            "2026-02-30",
            "25:00",
            "2026-11-24 10:60",
            "-",
            ":",
            "t",
            "2026-11-24 1 2",
            "10:00:00:00",
            "\u{661}",
            &long,
        ] {
            let between = format!(r#"{{"start":"{text}","end":"today"}}"#);
            let add = format!(r#"{{"start":"today","duration":"{}"}}"#, text.replace('t', "x"));
            assert!(call(&Tuesday, "between", &between).is_err(), "{between:.60}");
            assert!(call(&Tuesday, "add", &add).is_err(), "{add:.60}");
        }
        assert!(matches!(call(&Tuesday, "alarm", "{}"), Err(Failure::Unknown(_))));
        assert!(call(&Tuesday, "between", "{}").is_err());
    }
}
