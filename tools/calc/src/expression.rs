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
                Some('+') => Value::plus,
                Some('-' | '−') => Value::minus,
                _ => return Ok(value),
            };
            value = self.binary(value, step, Self::product)?;
        }
    }

    fn product(&mut self) -> Outcome {
        let mut value = self.signed()?;
        loop {
            let step = match self.peek() {
                Some('*' | '×' | '·') => Value::times,
                Some('/' | '÷') => Value::over,
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
mod tests;
