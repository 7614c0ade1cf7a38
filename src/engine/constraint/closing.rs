//! A short way from any place of a turn to its end. It need not be the shortest; it is found step by step, by preferring
//! what ends something. Start at [`close`].

use super::region::{Place, Regions};
use super::{Allowed, Constraint, Next};
use crate::harmony::{Channel, Token, special, tokenizer};
use std::collections::VecDeque;
use std::sync::LazyLock;

/// The tokens that end the turn, forced ones included; `None` when more than `limit` would be needed, as far as was looked.
pub(super) fn close(constraint: &Constraint, limit: usize) -> Option<VecDeque<Token>> {
    let mut constraint = constraint.clone();
    constraint.regions.lift_caps();
    constraint.way = None;
    let mut way = VecDeque::new();
    while way.len() <= limit {
        let regions = constraint.regions.clone();
        let tokens = match constraint.next(limit).ok()? {
            Next::End => return Some(way),
            Next::Forced(tokens) => tokens,
            Next::Choice(allowed) => match exit(&regions, allowed) {
                Some(exit) => vec![exit],
                // A pattern wants more: what satisfies one of the schemas' patterns, or else any of the allowed tokens.
                None => {
                    let any = any(allowed, way.len());
                    witness(&constraint).or(any.map(|token| vec![token]))?
                }
            },
        };
        constraint.follow(&tokens).ok()?;
        way.extend(tokens);
    }
    None
}

/// What leads out of each kind of place, the best first.
struct Exits {
    to_answer: Vec<Token>,
    to_call: Vec<Token>,
    text: Vec<Token>,
    string: Vec<Token>,
    json: Vec<Token>,
}

static EXITS: LazyLock<Exits> = LazyLock::new(|| {
    let words = |words: &[&str]| words.iter().flat_map(|word| tokenizer::encode_ordinary(word)).collect::<Vec<_>>();
    let after = |first: &[Token], then: &[&str]| [first, &words(then)].concat();
    Exits {
        to_answer: after(&[special::MESSAGE, special::CHANNEL], &[Channel::Final.as_str()]),
        to_call: [&words(&[" to"])[..1], &[special::MESSAGE, special::CHANNEL]].concat(),
        text: after(&[special::RETURN, special::CALL, special::END], &["."]),
        string: words(&["\""]),
        json: after(
            &[special::CALL, special::RETURN],
            &["}", "]", "null", "0", "1", "true", "false", "\"", "[", "{", ":", ",", " "],
        ),
    }
});

/// The first exit that is allowed.
fn exit(regions: &Regions, allowed: Allowed<'_>) -> Option<Token> {
    let exits = match regions.place() {
        Place::Header if regions.may_answer() => &EXITS.to_answer,
        Place::Header => &EXITS.to_call,
        Place::Text => &EXITS.text,
        Place::JsonString => &EXITS.string,
        Place::Json => &EXITS.json,
    };
    exits.iter().copied().find(|&token| allowed.contains(token) && !regions.is_spoilt_by(token))
}

/// An allowed token, another at each step, so that a loop of a pattern is left sooner or later.
fn any(allowed: Allowed<'_>, step: usize) -> Option<Token> {
    allowed.iter().nth(step.wrapping_mul(0x9E37_79B9) % allowed.n_tokens().max(1))
}

/// A text after which the string that is open may end.
fn witness(constraint: &Constraint) -> Option<Vec<Token>> {
    let ends_the_string = |tokens: &&Vec<Token>| {
        let mut after = constraint.clone();
        after.follow(tokens).is_ok() && after.follow(&EXITS.string).is_ok()
    };
    let is_open = constraint.regions.place() == Place::JsonString;
    constraint.witnesses.iter().filter(|_| is_open).find(ends_the_string).cloned()
}
