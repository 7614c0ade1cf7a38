//! Numbers: fractions of whole numbers, with a mark on those that stand for a root no fraction equals.
//!
//! Not floating point: an exact value stays exact through every operation but `sqrt`. Start at [`Value`].

use std::fmt;

use num_bigint::{BigInt, Sign};
use num_integer::Integer;
use num_rational::BigRational;
use num_traits::{One, Signed, ToPrimitive, Zero};

/// The most decimal digits of a numerator or a denominator.
pub const DIGITS: u64 = 10_000;

/// The digits shown of a number that has no end.
const SHOWN: u64 = 30;

/// The digits a root is computed to, so that what follows it still rounds right.
const KEPT: u64 = 90;

/// What an operation gives; the error is a sentence for the model.
pub type Outcome = Result<Value, String>;

/// A fraction, and whether it is exactly what was asked for.
#[derive(Clone, Debug)]
pub struct Value {
    number: BigRational,
    exact: bool,
}

impl Value {
    /// The number `digits` × 10^`exponent`, where digits are decimal digits only.
    pub fn decimal(digits: &str, exponent: i64) -> Outcome {
        if digits.len() as u64 + exponent.unsigned_abs() > DIGITS {
            return Err(too_long());
        }
        let digits = BigInt::parse_bytes(digits.as_bytes(), 10).ok_or("a number has no digits")?;
        let power = ten(exponent.unsigned_abs());
        let number = if exponent < 0 { BigRational::new(digits, power) } else { (digits * power).into() };
        Ok(Self { number, exact: true })
    }

    /// The sum.
    pub fn plus(self, other: Self) -> Outcome {
        Self::bounded(self.number + other.number, self.exact && other.exact)
    }

    /// The difference.
    pub fn minus(self, other: Self) -> Outcome {
        Self::bounded(self.number - other.number, self.exact && other.exact)
    }

    /// The product.
    pub fn times(self, other: Self) -> Outcome {
        Self::bounded(self.number * other.number, self.exact && other.exact)
    }

    /// The quotient.
    pub fn over(self, other: Self) -> Outcome {
        let divisor = other.divisor()?;
        Self::bounded(self.number / divisor, self.exact && other.exact)
    }

    /// What a whole number of divisors leaves over; it has the sign of the divisor.
    pub fn remainder(self, other: Self) -> Outcome {
        let divisor = other.divisor()?;
        let whole = (&self.number / divisor).floor();
        Self::bounded(self.number - divisor * whole, self.exact && other.exact)
    }

    /// The opposite.
    pub fn negate(self) -> Self {
        Self { number: -self.number, exact: self.exact }
    }

    /// The power to a whole exponent. Its length is known before it is computed, and refused when it is too much.
    pub fn power(self, exponent: Self) -> Outcome {
        if !exponent.number.is_integer() {
            return Err("an exponent must be a whole number; for a root use sqrt".into());
        }
        let (base, exponent, exact) = (self.number, exponent.number.to_integer(), self.exact && exponent.exact);
        if base.is_zero() && exponent.is_negative() {
            return Err(by_zero());
        }
        if base.is_zero() || base.numer().magnitude().is_one() && base.is_integer() {
            let kept = !exponent.is_zero() && (base.is_zero() || exponent.is_odd() || base.is_positive());
            let number = if kept { base } else { BigRational::one() };
            return Ok(Self { number, exact });
        }
        let bits = base.numer().bits().max(base.denom().bits()) - 1;
        let times = exponent.to_i32().filter(|times| u64::from(times.unsigned_abs()).saturating_mul(bits) <= limit());
        Self::bounded(base.pow(times.ok_or_else(too_long)?), exact)
    }

    /// The square root: exact where there is one, and otherwise a fraction close to it.
    pub fn root(self) -> Outcome {
        if self.number.is_negative() {
            return Err("a negative number has no square root".into());
        }
        let (upper, lower) = (self.number.numer().sqrt(), self.number.denom().sqrt());
        if &(&upper * &upper) == self.number.numer() && &(&lower * &lower) == self.number.denom() {
            return Ok(Self { number: BigRational::new(upper, lower), exact: self.exact });
        }
        // Half of the number's own magnitude comes for free, or has to be made up where it is small.
        let digits = KEPT as i64 - magnitude(&self.number) / 2 + 1;
        let scale = ten(digits.max(0).unsigned_abs());
        let scaled = (&self.number * (&scale * &scale)).to_integer().sqrt();
        Self::bounded(BigRational::new(scaled, scale), false)
    }

    fn divisor(&self) -> Result<&BigRational, String> {
        if self.number.is_zero() { Err(by_zero()) } else { Ok(&self.number) }
    }

    fn bounded(number: BigRational, exact: bool) -> Outcome {
        if number.numer().bits().max(number.denom().bits()) > limit() {
            return Err(too_long());
        }
        Ok(Self { number, exact })
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match places(self.number.denom()).filter(|_| self.exact) {
            Some(places) => {
                let digits = (&self.number * ten(places)).to_integer();
                f.write_str(&point(digits.sign(), &digits.magnitude().to_string(), -(places as i64)))
            }
            None => {
                let (digits, exponent) = rounded(&self.number.abs());
                let text = if exponent.unsigned_abs() > 2 * SHOWN {
                    let last = exponent + digits.len() as i64 - 1;
                    let digits = digits.trim_end_matches('0');
                    point(self.number.numer().sign(), digits, 1 - digits.len() as i64) + &format!("e{last}")
                } else {
                    point(self.number.numer().sign(), &digits, exponent)
                };
                write!(f, "{text} (rounded to {SHOWN} significant digits)")
            }
        }
    }
}

/// The digits × 10^exponent as one writes it, without zeros that say nothing.
fn point(sign: Sign, digits: &str, exponent: i64) -> String {
    let sign = if sign == Sign::Minus { "-" } else { "" };
    if exponent >= 0 {
        return format!("{sign}{digits}{}", "0".repeat(exponent.unsigned_abs() as usize));
    }
    let places = exponent.unsigned_abs() as usize;
    let digits = format!("{digits:0>width$}", width = places + 1);
    let (whole, part) = digits.split_at(digits.len() - places);
    let part = part.trim_end_matches('0');
    if part.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") }
}

/// How many decimal places a fraction over this denominator has; none when it never ends.
fn places(denominator: &BigInt) -> Option<u64> {
    let twos = denominator.trailing_zeros().unwrap_or(0);
    let (mut rest, mut fives, five) = (denominator >> twos, 0, BigInt::from(5));
    while !rest.is_one() {
        let (quotient, remainder) = rest.div_rem(&five);
        if !remainder.is_zero() {
            return None;
        }
        (rest, fives) = (quotient, fives + 1);
    }
    Some(twos.max(fives))
}

/// The first digits of a positive number or zero, rounded half up, and the power of ten they are to be taken times.
fn rounded(number: &BigRational) -> (String, i64) {
    if number.is_zero() {
        return ("0".into(), 0);
    }
    let mut exponent = magnitude(number) - SHOWN as i64;
    loop {
        let power = BigRational::from(ten(exponent.unsigned_abs()));
        let shifted = if exponent < 0 { number * power } else { number / power };
        let digits = shifted.round().to_integer().to_string();
        // The magnitude is a guess from the length in bits; one step either way sets it right.
        match digits.len() as u64 {
            SHOWN => return (digits, exponent),
            fewer if fewer < SHOWN => exponent -= 1,
            _ => exponent += 1,
        }
    }
}

/// The power of ten near a positive number, up to one off.
fn magnitude(number: &BigRational) -> i64 {
    let bits = number.numer().bits() as i64 - number.denom().bits() as i64;
    bits * 30_103 / 100_000
}

fn ten(exponent: u64) -> BigInt {
    BigInt::from(10).pow(exponent as u32)
}

fn limit() -> u64 {
    DIGITS * 33_220 / 10_000
}

fn by_zero() -> String {
    "division by zero".into()
}

fn too_long() -> String {
    format!("a number here would have more than {DIGITS} digits")
}
