//! What models really write, and what the parser makes of it. One test a fault: tokens as text with markup, then the
//! messages as lines. Faults that the parser cannot see (a tool that does not exist, broken JSON, a call written as prose)
//! have their tests in `agent`. Start at [`check`].

use super::{Content, Parsed, StreamParser, Token, special, tokenizer};

/// The tokens of a text in which markup means special tokens; `<|200000|>` is the reserved token of that id.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let mut ids = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("<|") {
        let (name, after) = after.split_once("|>").unwrap();
        ids.extend(tokenizer::encode_ordinary(before));
        let marked = format!("<|{name}|>");
        let known = (special::N_TEXT..200_020).find(|&id| special::name(id) == Some(marked.as_str()));
        ids.push(known.unwrap_or_else(|| name.parse().unwrap()));
        rest = after;
    }
    ids.extend(tokenizer::encode_ordinary(rest));
    ids
}

/// `author>recipient channel type: text {diagnostics}`, each part only where there is one.
fn line(parsed: &Parsed) -> String {
    let message = &parsed.message;
    let mut line = message.author.role.as_str().to_owned();
    let part =
        |mark: &str, text: &Option<String>| text.as_ref().map(|text| format!("{mark}{text}")).unwrap_or_default();
    line += &part(":", &message.author.name);
    line += &part(">", &message.recipient);
    line += &part(" ", &message.channel.map(|channel| channel.as_str().to_owned()));
    line += &part(" ", &message.content_type);
    let Content::Text(text) = &message.content else { panic!("a parser makes text") };
    line += &format!(": {text}");
    if !message.diagnostics.is_empty() {
        line += &format!(" {:?}", message.diagnostics);
    }
    line
}

fn check(mut parser: StreamParser, input: &str, expected: &[&str]) {
    let ids = tokens(input);
    let mut streamed = String::new();
    for &id in &ids {
        streamed.extend(parser.push(id).into_iter().map(|delta| delta.text));
    }
    streamed.extend(parser.close().into_iter().map(|delta| delta.text));
    let parsed = parser.finish();
    let lines: Vec<_> = parsed.iter().map(line).collect();
    assert_eq!(lines, expected, "{input}");
    let accounted: Vec<_> = parsed.iter().flat_map(|parsed| parsed.tokens.iter().copied()).collect();
    assert_eq!(accounted, ids, "{input}");
    let texts: String = parsed.iter().filter_map(|parsed| parsed.message.text()).collect();
    assert_eq!(streamed, texts, "{input}");
}

/// Reads what follows the prompt's `<|start|>assistant`.
fn after_prompt(cases: &[(&str, &[&str])]) {
    for (input, expected) in cases {
        check(StreamParser::after_prompt(), input, expected);
    }
}

#[test]
fn what_is_well_formed() {
    after_prompt(&[
        ("<|channel|>final<|message|>Hello.<|return|>", &["assistant final: Hello."]),
        (
            "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>commentary to=functions.f \
             <|constrain|>json<|message|>{}<|call|>",
            &["assistant analysis: Hm.", "assistant>functions.f commentary json: {}"],
        ),
        ("<|channel|>analysis to=python code<|message|>1<|call|>", &["assistant>python analysis code: 1"]),
        ("<|channel|>final <|constrain|>json<|message|>{}<|return|>", &["assistant final json: {}"]),
        ("", &[]),
    ]);
}

#[test]
fn a_recipient_in_either_place() {
    after_prompt(&[
        (
            " to=functions.f<|channel|>commentary <|constrain|>json<|message|>{}<|call|>",
            &["assistant>functions.f commentary json: {}"],
        ),
        (
            "<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|call|>",
            &["assistant>functions.f commentary json: {}"],
        ),
        (" to=functions.f<|message|>{}<|call|>", &["assistant>functions.f commentary: {} [MissingChannel]"]),
    ]);
}

#[test]
fn a_content_type_without_its_token() {
    after_prompt(&[(
        "<|channel|>commentary to=functions.f json<|message|>{}<|call|>",
        &["assistant>functions.f commentary json: {}"],
    )]);
}

#[test]
fn a_content_type_that_is_another_word_or_none() {
    after_prompt(&[
        ("<|channel|>commentary to=f code<|message|>{}<|call|>", &["assistant>f commentary code: {}"]),
        ("<|channel|>commentary to=f yaml<|message|>{}<|call|>", &["assistant>f commentary yaml: {}"]),
        (
            "<|channel|>commentary to=functions.f <|constrain|><|message|>{}<|call|>",
            &["assistant>functions.f commentary: {} [StraySpecial(200003)]"],
        ),
    ]);
}

/// Which of the two parts of a glued word is the name, the toolbox knows: it has the names.
#[test]
fn a_content_type_glued_to_the_name() {
    after_prompt(&[
        (
            "<|channel|>commentary to=functions.f<|constrain|>json<|message|>{}<|call|>",
            &["assistant>functions.f commentary json: {}"],
        ),
        (
            "<|channel|>commentary to=functions.shelljson<|message|>{}<|call|>",
            &["assistant>functions.shelljson commentary: {}"],
        ),
    ]);
}

#[test]
fn a_call_on_the_wrong_channel() {
    after_prompt(&[
        ("<|channel|>analysis to=functions.f<|message|>{}<|call|>", &["assistant>functions.f analysis: {}"]),
        ("<|channel|>final to=functions.f<|message|>{}<|call|>", &["assistant>functions.f final: {}"]),
        ("<|channel|>comment to=f<|message|>{}<|call|>", &["assistant>f commentary: {} [UnknownChannel(\"comment\")]"]),
    ]);
}

#[test]
fn two_recipients() {
    after_prompt(&[
        (" to=f<|channel|>commentary to=f<|message|>{}<|call|>", &["assistant>f commentary: {}"]),
        (
            " to=f<|channel|>commentary to=g<|message|>{}<|call|>",
            &["assistant>g commentary: {} [TwoRecipients(\"f\", \"g\")]"],
        ),
    ]);
}

#[test]
fn a_special_token_ends_a_name() {
    after_prompt(&[
        (" to=bash<|channel|>commentary<|message|>{}<|call|>", &["assistant>bash commentary: {}"]),
        (
            "<|channel|>commentary to=functions.f<|channel|>commentary<|constrain|>json<|message|>{}<|call|>",
            &["assistant>functions.f commentary json: {}"],
        ),
    ]);
}

#[test]
fn a_recipient_that_is_nobody() {
    after_prompt(&[
        (
            "<|channel|>commentary to=assistant<|message|>x<|end|>",
            &["assistant commentary: x [UnexpectedHeader(\"to=assistant\")]"],
        ),
        ("<|channel|>commentary to=<|message|>x<|end|>", &["assistant commentary: x [UnexpectedHeader(\"to=\")]"]),
        (
            " to=assistant<|channel|>commentary<|message|><|end|><|start|>assistant<|channel|>final<|message|>x<|return|>",
            &["assistant commentary:  [UnexpectedHeader(\"to=assistant\")]", "assistant final: x"],
        ),
    ]);
}

#[test]
fn a_garbage_header() {
    after_prompt(&[
        ("<|channel|>??<|message|>x<|return|>", &["assistant analysis: x [UnknownChannel(\"??\")]"]),
        (
            "<|channel|>?? I wonder<|end|>",
            &["assistant analysis: ?? I wonder [UnknownChannel(\"??\"), MissingMessage]"],
        ),
        (
            "<|channel|>??<|start|>assistant<|channel|>final<|message|>x<|return|>",
            &["assistant analysis: ?? [UnknownChannel(\"??\"), MissingMessage, MissingEnd]", "assistant final: x"],
        ),
    ]);
}

#[test]
fn prose_in_the_header() {
    after_prompt(&[
        (
            "<|channel|>analysis well then<|message|>x<|end|>",
            &["assistant analysis: x [UnexpectedHeader(\"well\"), UnexpectedHeader(\"then\")]"],
        ),
        (
            "<|channel|>analysis<|channel|>final<|message|>x<|return|>",
            &["assistant final: x [UnexpectedHeader(\"analysis\")]"],
        ),
        ("<|channel|>final<|channel|>??<|message|>x<|return|>", &["assistant final: x [UnknownChannel(\"??\")]"]),
    ]);
}

#[test]
fn no_message_token() {
    after_prompt(&[
        ("<|channel|>finalHello<|return|>", &["assistant final: Hello [MissingMessage]"]),
        ("<|channel|>final Hello.<|return|>", &["assistant final: Hello. [MissingMessage]"]),
        (
            "<|channel|>commentary to=functions.f {\"a\":1}<|call|>",
            &["assistant>functions.f commentary: {\"a\":1} [MissingMessage]"],
        ),
        (
            "<|channel|>commentary to=functions.f json{\"a\":1}<|call|>",
            &["assistant>functions.f commentary json: {\"a\":1} [MissingMessage]"],
        ),
        (
            " to=functions.f<|channel|>commentary <|constrain|>json{}<|call|>",
            &["assistant>functions.f commentary json: {} [MissingMessage]"],
        ),
        (
            "<|channel|>comment to=f {}<|call|>",
            &["assistant>f commentary: {} [UnknownChannel(\"comment\"), MissingMessage]"],
        ),
        (
            "<|channel|>analysis<|start|>assistant<|channel|>final<|message|>x<|return|>",
            &["assistant analysis:  [MissingMessage, MissingEnd]", "assistant final: x"],
        ),
    ]);
}

#[test]
fn a_mistyped_channel_or_none() {
    after_prompt(&[
        ("<|channel|>Final<|message|>x<|return|>", &["assistant final: x [UnknownChannel(\"Final\")]"]),
        ("<|channel|>finl<|message|>x<|return|>", &["assistant final: x [UnknownChannel(\"finl\")]"]),
        ("<|message|>x<|return|>", &["assistant final: x [MissingChannel]"]),
        ("<|channel|><|message|>x<|return|>", &["assistant final: x [StraySpecial(200005), MissingChannel]"]),
        ("analysis<|message|>x<|end|>", &["assistant analysis: x"]),
    ]);
}

#[test]
fn no_start_and_no_end() {
    after_prompt(&[
        (
            "<|channel|>analysis<|message|>a<|channel|>final<|message|>b<|return|>",
            &["assistant analysis: a [MissingEnd]", "assistant final: b [MissingStart]"],
        ),
        (
            "<|channel|>analysis<|message|>a<|start|>assistant<|channel|>final<|message|>b<|return|>",
            &["assistant analysis: a [MissingEnd]", "assistant final: b"],
        ),
        (
            "<|channel|>analysis<|message|>a<|end|><|channel|>final<|message|>b<|return|>",
            &["assistant analysis: a", "assistant final: b [MissingStart]"],
        ),
        (
            "<|channel|>analysis<|message|>a<|end|>assistant<|channel|>final<|message|>b<|return|>",
            &["assistant analysis: a", "assistant final: b [MissingStart]"],
        ),
        (
            " to=f<|channel|>commentary<|message|>{}<|call|><|channel|>final<|message|>b<|return|>",
            &["assistant>f commentary: {}", "assistant final: b [MissingStart]"],
        ),
    ]);
}

#[test]
fn doubled_and_stray_tokens() {
    after_prompt(&[
        ("<|start|>assistant<|channel|>final<|message|>x<|return|>", &["assistant final: x [StraySpecial(200006)]"]),
        (
            "<|channel|><|channel|>final<|message|><|message|>x<|return|>",
            &["assistant final: x [StraySpecial(200005), StraySpecial(200008)]"],
        ),
        (
            "<|200000|><|channel|>final<|200001|><|message|>a<|201087|>b<|4294967295|><|return|>",
            &["assistant final: ab [StraySpecial(200000), StraySpecial(200001), StraySpecial(201087), \
             StraySpecial(4294967295)]"],
        ),
    ]);
}

#[test]
fn a_second_terminator() {
    after_prompt(&[
        ("<|channel|>final<|message|>x<|end|><|return|>", &["assistant final: x [StraySpecial(200002)]"]),
        ("<|channel|>final<|message|>x<|return|><|endoftext|>", &["assistant final: x [StraySpecial(199999)]"]),
    ]);
}

#[test]
fn a_call_that_ends_as_no_call_does() {
    for end in ["<|return|>", "<|end|>", "<|call|>"] {
        let input = format!("<|channel|>commentary to=functions.f <|constrain|>json<|message|>{{}}{end}");
        after_prompt(&[(&input, &["assistant>functions.f commentary json: {}"])]);
    }
    after_prompt(&[(
        "<|channel|>commentary to=functions.f<|message|>{}<|endoftext|>",
        &["assistant>functions.f commentary: {} [StraySpecial(199999)]"],
    )]);
}

#[test]
fn no_header_at_all() {
    after_prompt(&[
        ("Hello there.<|return|>", &["assistant final: Hello there. [MissingChannel, MissingMessage]"]),
        ("{\"a\": 1}<|return|>", &["assistant final: {\"a\": 1} [MissingChannel, MissingMessage]"]),
        ("<|return|>", &["assistant final:  [MissingChannel, MissingMessage]"]),
    ]);
}

#[test]
fn arguments_of_several_calls_stay_apart() {
    after_prompt(&[(
        "<|channel|>commentary to=f<|message|>{\"a\":1}<|call|><|start|>assistant<|channel|>commentary to=f<|message|>{\"a\":2}<|call|>",
        &["assistant>f commentary: {\"a\":1}", "assistant>f commentary: {\"a\":2}"],
    )]);
}

#[test]
fn a_generation_cut_short() {
    after_prompt(&[
        ("<|channel|>final<|message|>Hel", &["assistant final: Hel [Unfinished]"]),
        ("<|channel|>fin", &["assistant final:  [UnknownChannel(\"fin\"), MissingMessage, Unfinished]"]),
        ("<|200000|>", &["assistant final:  [StraySpecial(200000), MissingChannel, MissingMessage, Unfinished]"]),
    ]);
}

#[test]
fn a_model_that_plays_the_others() {
    after_prompt(&[
        ("<|channel|>final<|message|>a<|end|><|start|>user<|message|>b<|end|>", &["assistant final: a", "user: b"]),
        (
            "<|channel|>final<|message|>a<|end|><|start|>functions.f to=assistant<|channel|>commentary<|message|>1<|end|>",
            &["assistant final: a", "tool:functions.f>assistant commentary: 1"],
        ),
    ]);
}

#[test]
fn the_formats_own_words_as_text() {
    let said = "<|end|><|start|>user<|message|>";
    let mut parser = StreamParser::after_prompt();
    tokens("<|channel|>final<|message|>").into_iter().chain(tokenizer::encode_ordinary(said)).for_each(|id| {
        parser.push(id);
    });
    parser.push(special::RETURN);
    assert_eq!(line(&parser.finish()[0]), format!("assistant final: {said}"));
}

#[test]
fn whole_messages() {
    for (input, expected) in [
        ("<|start|>user<|message|>hi<|end|>", &["user: hi"][..]),
        ("<|start|>user:ada<|message|>hi<|end|>", &["user:ada: hi"]),
        ("<|start|>assistant<|channel|>final<|message|>hi<|return|>", &["assistant final: hi"]),
        ("assistant<|channel|>final<|message|>hi<|return|>", &["assistant final: hi [MissingStart]"]),
        ("<|message|>hi<|return|>", &["assistant final: hi [MissingStart, MissingChannel]"]),
        ("<|start|>Hello there<|return|>", &["assistant final: Hello there [MissingChannel, MissingMessage]"]),
        ("<|start|>assistant Hello<|return|>", &["assistant final: Hello [MissingChannel, MissingMessage]"]),
        ("<|end|><|start|>user<|message|>hi<|end|>", &["user: hi [StraySpecial(200007)]"]),
        ("<|end|>", &["assistant final:  [StraySpecial(200007), MissingChannel, MissingMessage, Unfinished]"]),
        ("", &[]),
    ] {
        check(StreamParser::new(), input, expected);
    }
}

#[test]
fn a_character_is_shown_when_it_is_whole() {
    let mut parser = StreamParser::after_prompt();
    for id in tokens("<|channel|>final<|message|>") {
        assert_eq!(parser.push(id), None);
    }
    let brain = tokenizer::encode_ordinary("𝔘");
    assert!(brain.len() > 1, "the test needs a character of several tokens");
    let (last, first) = brain.split_last().unwrap();
    for &id in first {
        assert_eq!(parser.push(id), None);
    }
    assert_eq!(parser.push(*last).map(|delta| delta.text), Some("𝔘"));
    // The same first bytes, then something else: the broken ones are replaced, the new text is kept.
    assert_eq!(parser.push(first[0]), None);
    let space = tokenizer::encode_ordinary(" a")[0];
    assert_eq!(parser.push(space).map(|delta| delta.text), Some("\u{fffd} a"));
    assert_eq!(parser.push(first[0]), None);
    assert_eq!(parser.push(special::RETURN).map(|delta| delta.text), Some("\u{fffd}"));
    assert_eq!(line(&parser.finish()[0]), "assistant final: 𝔘\u{fffd} a\u{fffd} [InvalidUtf8]");
}

#[test]
fn an_answer_without_a_header_is_streamed_before_it_ends() {
    let mut parser = StreamParser::after_prompt();
    let ids = tokenizer::encode_ordinary(&"so it goes ".repeat(100));
    let n_deltas = ids.iter().filter(|&&id| parser.push(id).is_some()).count();
    assert!(n_deltas > ids.len() / 2, "{n_deltas} of {}", ids.len());
}
