//! The grammar of `calc`, read and evaluated in one descent.
//!
//! There is no tree: nothing is done with an expression but finding its value. Start at [`evaluate`].
//!
//! From loose to tight: `+ -`, then `* / %`, then a leading `-`, then `^` (which groups to the right), then `sqrt`,
//! numbers and parentheses.

use crate::value::{Outcome, Value};

/// The most characters of an expression.
const LENGTH: usize = 20_000;

/// How deeply parentheses, signs, powers and roots may nest; a guest's stack is small.
const DEPTH: usize = 100;

/// The value of an expression. The error is a sentence for the model, and says where.
pub fn evaluate(expression: &str) -> Outcome {
    let text: Vec<char> = expression.replace("**", "^").chars().collect();
    if text.len() > LENGTH {
        return Err(format!("the expression is longer than {LENGTH} characters"));
    }
    let mut reader = Reader { text, at: 0, depth: 0 };
    let value = reader.sum()?;
    match reader.peek() {
        None => Ok(value),
        Some(',') => Err(reader.fault("a comma is not part of a number; write 1000 for 1,000")),
        Some(')') => Err(reader.fault("this parenthesis was never opened")),
        Some(other) => Err(reader.fault(&format!("expected an operator, found {other:?}"))),
    }
}

struct Reader {
    text: Vec<char>,
    at: usize,
    depth: usize,
}

impl Reader {
    fn sum(&mut self) -> Outcome {
        let mut value = self.product()?;
        loop {
            let step = match self.peek() {
                Some('+') => Value::add,
                Some('-' | '−') => Value::subtract,
                _ => return Ok(value),
            };
            value = self.binary(value, step, Self::product)?;
        }
    }

    fn product(&mut self) -> Outcome {
        let mut value = self.signed()?;
        loop {
            let step = match self.peek() {
                Some('*' | '×' | '·') => Value::multiply,
                Some('/' | '÷') => Value::divide,
                Some('%') => Value::remainder,
                _ => return Ok(value),
            };
            value = self.binary(value, step, Self::signed)?;
        }
    }

    fn signed(&mut self) -> Outcome {
        match self.peek() {
            Some('-' | '−') => {
                self.at += 1;
                Ok(self.deeper(Self::signed)?.negate())
            }
            Some('+') => {
                self.at += 1;
                self.deeper(Self::signed)
            }
            _ => self.power(),
        }
    }

    fn power(&mut self) -> Outcome {
        let base = self.operand()?;
        match self.peek() {
            Some('^') => self.binary(base, Value::power, |reader| reader.deeper(Self::signed)),
            _ => Ok(base),
        }
    }

    fn operand(&mut self) -> Outcome {
        match self.peek() {
            Some('(') => {
                let opened = self.at;
                self.at += 1;
                let value = self.deeper(Self::sum)?;
                match self.peek() {
                    Some(')') => self.at += 1,
                    None => return Err(at(opened, "this parenthesis is never closed")),
                    Some(other) => {
                        return Err(
                            self.fault(&format!("expected an operator or a closing parenthesis, found {other:?}"))
                        );
                    }
                }
                Ok(value)
            }
            Some(c) if c.is_ascii_digit() || c == '.' => self.number(),
            Some('√') => self.root(1),
            Some(c) if c.is_alphabetic() => {
                let rest = &self.text[self.at..];
                let word: String = rest.iter().take_while(|c| c.is_alphanumeric()).take(30).collect();
                if word.eq_ignore_ascii_case("sqrt") {
                    return self.root(word.len());
                }
                Err(self.fault(&format!("{word:?} is not known here; there are numbers, + - * / % ^ ( ) and sqrt")))
            }
            Some(other) => Err(self.fault(&format!("expected a number, found {other:?}"))),
            None => Err(self.fault("expected a number, found the end")),
        }
    }

    fn root(&mut self, width: usize) -> Outcome {
        let start = self.at;
        self.at += width;
        self.deeper(Self::operand)?.root().map_err(|error| at(start, &error))
    }

    fn number(&mut self) -> Outcome {
        let start = self.at;
        let mut digits = self.digits();
        let mut exponent = 0;
        if self.here() == Some('.') {
            self.at += 1;
            let places = self.digits();
            exponent = -(places.len() as i64);
            digits += &places;
        }
        if digits.is_empty() {
            return Err(at(start, "a number needs a digit"));
        }
        if matches!(self.here(), Some('e' | 'E')) {
            self.at += 1;
            let sign = self.here().filter(|c| matches!(c, '+' | '-'));
            self.at += usize::from(sign.is_some());
            let power = self.digits();
            if power.is_empty() {
                return Err(self.fault("expected the power of ten of this number"));
            }
            // More than nine digits is far beyond what a value may hold, which says so itself.
            let power = power.parse().unwrap_or(i64::from(i32::MAX));
            exponent += if sign == Some('-') { -power } else { power };
        }
        Value::decimal(&digits, exponent).map_err(|error| at(start, &error))
    }

    fn digits(&mut self) -> String {
        let digits: String = self.text[self.at..].iter().take_while(|c| c.is_ascii_digit()).collect();
        self.at += digits.len();
        digits
    }

    fn binary(
        &mut self,
        left: Value,
        step: fn(Value, Value) -> Outcome,
        right: impl FnOnce(&mut Self) -> Outcome,
    ) -> Outcome {
        let operator = self.at;
        self.at += 1;
        let right = right(self)?;
        step(left, right).map_err(|error| at(operator, &error))
    }

    fn deeper(&mut self, inner: impl FnOnce(&mut Self) -> Outcome) -> Outcome {
        if self.depth == DEPTH {
            return Err(self.fault(&format!("more than {DEPTH} parentheses, signs or powers inside each other")));
        }
        self.depth += 1;
        let outcome = inner(self);
        self.depth -= 1;
        outcome
    }

    fn peek(&mut self) -> Option<char> {
        while self.here().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
        self.here()
    }

    fn here(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn fault(&self, message: &str) -> String {
        at(self.at, message)
    }
}

/// A message with its place, which counts from 1. Division by zero needs none: which one it was, nobody asks.
fn at(place: usize, message: &str) -> String {
    if message == "division by zero" { message.into() } else { format!("at character {}: {message}", place + 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(expression: &str) -> String {
        match evaluate(expression) {
            Ok(value) => value.to_string(),
            Err(error) => format!("! {error}"),
        }
    }

    #[test]
    fn values() {
        let rounded = " (rounded to 30 significant digits)";
        for (expression, expected) in [
            ("23 * 47", "1081"),
            ("0.1 + 0.2", "0.3"),
            ("1/8", "0.125"),
            ("-1/8", "-0.125"),
            ("2 + 3 * 4", "14"),
            ("(2 + 3) * 4", "20"),
            ("10 - 4 - 3", "3"),
            ("100 / 10 / 2", "5"),
            ("2 ^ 3 ^ 2", "512"),
            ("-2 ^ 2", "-4"),
            ("(-2) ** 2", "4"),
            ("2 ^ -2", "0.25"),
            ("(1/2) ^ -3", "8"),
            ("0 ^ 0", "1"),
            ("(-1) ^ 99999999999999999999", "-1"),
            ("1 ^ 99999999999999999999", "1"),
            ("7 % 3", "1"),
            ("-7 % 3", "2"),
            ("7.5 % 2", "1.5"),
            ("6 × 7 − 8 ÷ 2", "38"),
            ("sqrt(144)", "12"),
            ("sqrt 2.25", "1.5"),
            ("√(16) + 1", "5"),
            ("sqrt(0)", "0"),
            ("1e3 + 1.5E-1", "1000.15"),
            (".5 + 5.", "5.5"),
            ("+-+-3", "3"),
            ("250 * 15 / 100", "37.5"),
            ("2^100", "1267650600228229401496703205376"),
            ("100.00", "100"),
        ] {
            assert_eq!(shown(expression), expected, "{expression}");
        }
        for (expression, expected) in [
            ("1/3", "0.333333333333333333333333333333"),
            ("2/3", "0.666666666666666666666666666667"),
            ("-200/3", "-66.6666666666666666666666666667"),
            ("sqrt(2)", "1.41421356237309504880168872421"),
            ("sqrt(2) ^ 2", "2"),
            ("sqrt(2) - sqrt(2)", "0"),
            ("sqrt(0.5)", "0.707106781186547524400844362105"),
            ("1/3 + sqrt(4)", "2.33333333333333333333333333333"),
            ("10^29 - 1/3", "99999999999999999999999999999.7"),
            ("1 - 1/(3*10^40)", "1"),
            ("10^40/3", "3333333333333333333333333333330000000000"),
            ("10^100/3", "3.33333333333333333333333333333e99"),
            ("1/(3*10^100)", "3.33333333333333333333333333333e-101"),
        ] {
            assert_eq!(shown(expression), format!("{expected}{rounded}"), "{expression}");
        }
    }

    #[test]
    fn faults_say_where() {
        for (expression, expected) in [
            ("1/0", "division by zero"),
            ("1 % (2 - 2)", "division by zero"),
            ("0 ^ -1", "division by zero"),
            ("", "at character 1: expected a number, found the end"),
            ("2 +", "at character 4: expected a number, found the end"),
            ("2 + * 3", "at character 5: expected a number, found '*'"),
            ("2 3", "at character 3: expected an operator, found '3'"),
            ("(1 + 2", "at character 1: this parenthesis is never closed"),
            ("1)", "at character 2: this parenthesis was never opened"),
            ("1,000 + 1", "at character 2: a comma is not part of a number; write 1000 for 1,000"),
            ("2 * pi", "at character 5: \"pi\" is not known here; there are numbers, + - * / % ^ ( ) and sqrt"),
            ("1 + sqrt(-1)", "at character 5: a negative number has no square root"),
            ("2 ^ 0.5", "at character 3: an exponent must be a whole number; for a root use sqrt"),
            ("1e", "at character 3: expected the power of ten of this number"),
            (".", "at character 1: a number needs a digit"),
        ] {
            assert_eq!(shown(expression), format!("! {expected}"), "{expression}");
        }
    }

    #[test]
    fn hostile_expressions_are_refused_or_short() {
        let open = "(".repeat(19_000);
        let minus = "-".repeat(19_000) + "1";
        let tower = "2^".repeat(9_000) + "2";
        let long = "9".repeat(10_001);
        let roots = "sqrt ".repeat(3_000) + "2";
        for expression in [
            "10^1000000",
            "9^9^9^9",
            "2^-999999999999999999999",
            "(1/3)^1000000",
            "10^9999 * 10^9999",
            "1e1000000",
            "1e-99999999999999999999999",
            &open,
            &minus,
            &tower,
            &long,
            &roots,
            "\u{0}",
            "💥 + 1",
            "SELECT 1",
            "2 ^ ^ 3",
            &"1+".repeat(20_000),
        ] {
            assert!(evaluate(expression).is_err(), "{}", expression.chars().take(30).collect::<String>());
        }
        assert_eq!(shown("10^9998").len(), 9_999);
        assert_eq!(shown(&format!("{}1{}", "(".repeat(90), ")".repeat(90))), "1");
        assert_eq!(shown(&("1".to_owned() + &"+1".repeat(5_000))), "5001");
        assert!(shown("sqrt(10^9001)").starts_with("3.16227766016837933199889354443e4500 ("));
        assert!(shown("sqrt(1/(2*10^4000))").starts_with("7.07106781186547524400844362105e-2001 ("));
    }
}
