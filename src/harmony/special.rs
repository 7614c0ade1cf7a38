//! The ids above the vocabulary's text: the nine special tokens and the reserved ones. Numbers and names, nothing else:
//! their meaning is the business of the encoding and of the parser. Start at [`name`].

use super::Token;

/// Rows of the embedding and of the head: ids are 0..201088.
pub const N_VOCAB: usize = 201_088;
/// Ids below this one are text (the ranks of o200k_base); the others have no bytes.
pub const N_TEXT: Token = 199_998;

/// Begins a document in pretraining; never part of a conversation.
pub const STARTOFTEXT: Token = 199_998;
/// Ends a document in pretraining; ends a generation when a model falls back on it.
pub const ENDOFTEXT: Token = 199_999;
/// Ends an answer. It exists while decoding only; in history it is [`END`].
pub const RETURN: Token = 200_002;
/// Before a content type that constrains the content, as in `<|constrain|>json`.
pub const CONSTRAIN: Token = 200_003;
/// Between the author and the channel.
pub const CHANNEL: Token = 200_005;
/// Begins a message.
pub const START: Token = 200_006;
/// Ends a message.
pub const END: Token = 200_007;
/// Between header and content.
pub const MESSAGE: Token = 200_008;
/// Ends a call.
pub const CALL: Token = 200_012;

/// Where a generation stops: the answer is given, a call is made, or the model has left the format.
pub const STOP: [Token; 3] = [ENDOFTEXT, RETURN, CALL];

const NAMED: [(Token, &str); 9] = [
    (STARTOFTEXT, "<|startoftext|>"),
    (ENDOFTEXT, "<|endoftext|>"),
    (RETURN, "<|return|>"),
    (CONSTRAIN, "<|constrain|>"),
    (CHANNEL, "<|channel|>"),
    (START, "<|start|>"),
    (END, "<|end|>"),
    (MESSAGE, "<|message|>"),
    (CALL, "<|call|>"),
];

/// How a special token is written down, as in `<|start|>`; `None` for text, reserved and unknown ids.
pub fn name(token: Token) -> Option<&'static str> {
    NAMED.iter().find(|(id, _)| *id == token).map(|(_, name)| *name)
}

/// Whether the token ends a message: end, return or call.
pub fn is_terminator(token: Token) -> bool {
    matches!(token, END | RETURN | CALL)
}

/// The ids that no generation may contain, ascending: the start of a document and everything reserved.
pub fn forbidden() -> Vec<Token> {
    (N_TEXT..N_VOCAB as Token).filter(|&token| token == STARTOFTEXT || name(token).is_none()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forbidden_is_all_that_is_neither_text_nor_of_use() {
        let forbidden = forbidden();
        assert_eq!(forbidden.len(), N_VOCAB - N_TEXT as usize - 8);
        assert!(forbidden.is_sorted());
        for useful in [ENDOFTEXT, RETURN, CONSTRAIN, CHANNEL, START, END, MESSAGE, CALL, 0, 199_997] {
            assert!(!forbidden.contains(&useful), "{useful}");
        }
        for useless in [STARTOFTEXT, 200_000, 200_004, 200_009, 200_013, 201_087] {
            assert!(forbidden.contains(&useless), "{useless}");
        }
    }

    #[test]
    fn names_are_those_of_the_format() {
        for (token, expected) in
            [(200_006, Some("<|start|>")), (200_012, Some("<|call|>")), (200_000, None), (5, None), (999_999, None)]
        {
            assert_eq!(name(token), expected, "{token}");
        }
    }
}
