//! Reading what a model writes for a moment, a duration or a time zone.
//!
//! Takes no natural language beyond four words; whatever else it meets is refused with an example.
//! Start at [`Reader::moment`].

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan, ZonedDateTime};

use crate::Clock;

/// A moment as it was written: a day, or a day and a time of it.
pub struct Moment {
    /// The moment; the start of the day when no time was written.
    pub zoned: ZonedDateTime,
    /// Whether a time of day was written.
    pub timed: bool,
    /// Whether the day was written as `today`.
    pub today: bool,
}

/// Reads moments in one time zone.
pub struct Reader {
    now: ZonedDateTime,
}

impl Reader {
    /// A reader for a zone.
    pub fn new(clock: &dyn Clock, zone: TimeZone) -> Self {
        Self { now: now(clock, zone) }
    }

    /// A moment: `now`, or a day (`today`, `tomorrow`, `yesterday`, `2026-03-01`), a time (`09:30`), or both.
    pub fn moment(&self, text: &str) -> Result<Moment, String> {
        let bad =
            || format!("{text:?} is not a date or a time; write it like 2026-03-01, 2026-03-01 09:30, 09:30 or today");
        let lower = text.trim().to_lowercase();
        if lower == "now" {
            let time = Time::constant(self.now.hour(), self.now.minute(), 0, 0);
            return self.at(self.now.date(), Some(time), false).ok_or_else(bad);
        }
        let spaced = lower.replacen('t', " ", usize::from(lower.starts_with(|c: char| c.is_ascii_digit())));
        let parts: Vec<&str> = spaced.split_whitespace().collect();
        let moment = match parts[..] {
            [one] if one.contains(':') => self.at(self.now.date(), Some(time(one).ok_or_else(bad)?), false),
            [day] => self.at(self.day(day).ok_or_else(bad)?, None, day == "today"),
            [day, at] => self.at(self.day(day).ok_or_else(bad)?, Some(time(at).ok_or_else(bad)?), false),
            _ => None,
        };
        moment.ok_or_else(bad)
    }

    fn day(&self, text: &str) -> Option<Date> {
        let today = self.now.date();
        match text {
            "today" => Some(today),
            "tomorrow" => today.checked_add(1.day()).ok(),
            "yesterday" => today.checked_sub(1.day()).ok(),
            _ => {
                let [year, month, day] = numbers(text, '-')?;
                Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
            }
        }
    }

    fn at(&self, day: Date, time: Option<Time>, today: bool) -> Option<Moment> {
        let zoned =
            day.to_datetime(time.unwrap_or(Time::midnight())).to_zoned_datetime(self.now.time_zone().clone()).ok()?;
        Some(Moment { zoned, timed: time.is_some(), today })
    }
}

/// The present moment in a zone. A host whose clock is beyond the year 9999 gets the start of 1970.
pub fn now(clock: &dyn Clock, zone: TimeZone) -> ZonedDateTime {
    let seconds = i64::try_from(clock.now()).unwrap_or(0);
    Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned_datetime(zone)
}

/// A zone by its name, in any case of letters.
pub fn zone(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name.trim()).map_err(|_| {
        let short: String = name.chars().take(60).collect();
        format!("there is no time zone {short:?}; use a name such as Europe/Berlin")
    })
}

/// The user's zone, or UTC where the host names one that is not known.
pub fn own_zone(clock: &dyn Clock) -> TimeZone {
    zone(&clock.zone()).unwrap_or(TimeZone::UTC)
}

/// A duration such as `3 days`, `-2 weeks`, `1 month 2 days` or `90 minutes`; one sign in front is for all of it.
pub fn duration(text: &str) -> Result<Span, String> {
    let plain = text.trim().to_lowercase().replace(" and ", " ").replace('−', "-");
    plain.parse().map_err(|_| {
        let short: String = text.chars().take(60).collect();
        format!("{short:?} is not a duration; write it like 3 days, -2 weeks or 1 hour 30 minutes")
    })
}

/// A time of day: hours and minutes, and seconds if one likes.
fn time(text: &str) -> Option<Time> {
    let [hour, minute, second] = match numbers(text, ':') {
        Some([hour, minute]) => [hour, minute, 0],
        None => numbers(text, ':')?,
    };
    Time::new(i8::try_from(hour).ok()?, i8::try_from(minute).ok()?, i8::try_from(second).ok()?, 0).ok()
}

/// Exactly so many numbers of up to four digits, with this between them.
fn numbers<const N: usize>(text: &str, between: char) -> Option<[u16; N]> {
    let number = |part: &str| {
        let fits = (1..=4).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        fits.then(|| part.parse().ok()).flatten()
    };
    text.split(between).map(number).collect::<Option<Vec<u16>>>()?.try_into().ok()
}
