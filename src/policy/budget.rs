//! Money as budgets count it, in whole micro-dollars, so that sums are exact; and what may be spent.
//!
//! What it is not: a price; the catalogue of hosted models knows those. Nor is anything added up here: what is spent, the
//! journal knows. Start at [`Budget`].

use super::Answer;
use std::fmt;
use std::str::FromStr;

/// A dollar in micro-dollars.
const DOLLAR: u64 = 1_000_000;

/// What may be spent. What is absent has no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// By one call.
    pub per_call: Option<Money>,
    /// By one session.
    pub per_task: Option<Money>,
    /// By all sessions of a local day.
    pub per_day: Option<Money>,
    /// The answer where nobody knows what a call costs, unless a rule is stricter; see [`Budget::on_unknown_price`].
    pub unknown_price: Option<Answer>,
}

impl Budget {
    /// The answer where nobody knows what a call costs: to ask, unless told otherwise.
    pub fn on_unknown_price(&self) -> Answer {
        self.unknown_price.unwrap_or(Answer::Ask)
    }

    /// Whether it sets any limit.
    pub(super) fn limits_anything(&self) -> bool {
        self.per_call.or(self.per_task).or(self.per_day).is_some()
    }

    /// This one made stricter by another: the lower limits, the stricter answer. What the other does not speak of stays.
    pub(super) fn joined(&self, other: &Self) -> Self {
        let lower = |one: Option<Money>, other: Option<Money>| one.into_iter().chain(other).min();
        Self {
            per_call: lower(self.per_call, other.per_call),
            per_task: lower(self.per_task, other.per_task),
            per_day: lower(self.per_day, other.per_day),
            unknown_price: Some(self.on_unknown_price()).max(other.unknown_price),
        }
    }
}

/// An amount in micro-dollars: a millionth of a US dollar each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(u64);

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// So many micro-dollars.
    pub const fn from_micro_dollars(n: u64) -> Self {
        Self(n)
    }

    /// In micro-dollars.
    pub const fn micro_dollars(self) -> u64 {
        self.0
    }

    /// The sum; `None` where it is more than can be counted.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// What is left; `None` where it is not enough.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// So many times this; `None` where it is more than can be counted.
    pub fn checked_mul(self, n: u64) -> Option<Self> {
        self.0.checked_mul(n).map(Self)
    }

    /// What `n` units cost where a million of them costs this, rounded up; `None` where it is more than can be counted.
    pub fn per_million(self, n: u64) -> Option<Self> {
        let total = u128::from(self.0) * u128::from(n);
        u64::try_from(total.div_ceil(u128::from(DOLLAR))).ok().map(Self)
    }
}

impl fmt::Display for Money {
    /// Cents at least, micro-dollars at most: `$2.00`, `$0.013`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micro = format!("{:06}", self.0 % DOLLAR);
        let (cents, rest) = micro.split_at(2);
        write!(f, "${}.{cents}{}", self.0 / DOLLAR, rest.trim_end_matches('0'))
    }
}

impl FromStr for Money {
    type Err = String;

    /// Reads `$0.06`; the dollar sign may be left out. What is finer than a micro-dollar is refused, not rounded.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no amount: write dollars, such as `$0.06`, with six decimals at most");
        let digits = text.strip_prefix('$').unwrap_or(text);
        let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(whole) || !is_number(part) || part.len() > 6 {
            return Err(wrong());
        }
        let whole: u64 = whole.parse().map_err(|_| wrong())?;
        let part: u64 = format!("{part:0<6}").parse().map_err(|_| wrong())?;
        whole.checked_mul(DOLLAR).and_then(|micro| micro.checked_add(part)).map(Self).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn amounts_are_read_and_written() {
        for (text, micro, written) in [
            ("$0.06", 60_000, "$0.06"),
            ("0.013", 13_000, "$0.013"),
            ("$2", 2_000_000, "$2.00"),
            ("$2.00", 2_000_000, "$2.00"),
            ("$0.000001", 1, "$0.000001"),
            ("$0", 0, "$0.00"),
            ("$1234.5", 1_234_500_000, "$1234.50"),
        ] {
            let money: Money = text.parse().unwrap();
            assert_eq!((money.micro_dollars(), money.to_string().as_str()), (micro, written), "{text}");
        }
        for text in
            ["", "$", ".5", "$1.", "-1", "$0.0000001", "1e3", "$ 1", "1,5", "€1", "$99999999999999999999", "$$1"]
        {
            assert!(text.parse::<Money>().unwrap_err().contains("$0.06"), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_counted_is_none() {
        let (all, one) = (Money::from_micro_dollars(u64::MAX), Money::from_micro_dollars(1));
        assert_eq!(all.checked_add(one), None);
        assert_eq!(all.checked_mul(2), None);
        assert_eq!(Money::ZERO.checked_sub(one), None);
        assert_eq!(all.per_million(u64::MAX), None);
        assert_eq!(all.checked_sub(one).and_then(|less| less.checked_add(one)), Some(all));
    }

    #[test]
    fn a_part_of_a_million_rounds_up() {
        for (price, n, cost) in
            [("$2", 1, 2), ("$0.10", 1, 1), ("$0.10", 11, 2), ("$10", 1_000_000, 10_000_000), ("$5", 0, 0)]
        {
            let price: Money = price.parse().unwrap();
            assert_eq!(price.per_million(n).unwrap().micro_dollars(), cost, "{price} {n}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_can_be_read(micro: u64) {
            let money = Money::from_micro_dollars(micro);
            prop_assert_eq!(money.to_string().parse(), Ok(money));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _ = text.parse::<Money>();
        }
    }
}
