//! Prices, dates and what is wrong with a catalogue; the one that comes with the program first.

use super::*;
use crate::delegate::openai::InputDetails;
use proptest::prelude::*;

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

fn text(model: &str, n_input_tokens: u64, n_output_tokens: u64) -> Order<'_> {
    Order::Text { model, n_input_tokens, n_output_tokens }
}

#[test]
fn the_embedded_catalogue_loads_and_has_defaults_that_have_not_ended() {
    let catalogue = Catalogue::embedded();
    for capability in [Capability::Text, Capability::Image, Capability::Transcription] {
        let model = catalogue.default_for(capability).unwrap();
        assert!(model.capabilities.contains(&capability) && model.shutdown_date.is_none(), "{}", model.id());
    }
    assert!(catalogue.default_for(Capability::Vision).is_none(), "none is known");
    let speech = catalogue.default_for(Capability::Speech).unwrap();
    assert!(speech.shutdown_date > Some(day("2026-11-26")), "the only one that is known ends, but has not ended");
    assert_eq!(catalogue.as_of, "2026-11");
    for (id, family) in [("gpt-5-mini", "gpt-5*"), ("o3-deep-research", "*deep-research*"), ("tts-1", "*tts*")] {
        assert_eq!(catalogue.model(id).unwrap().id(), family);
    }
    assert!(catalogue.model("gpt-0").is_none());
    for (id, prices) in [
        ("gpt-6.2-sol", "$2.00 in, $0.10 cached, $10.00 out per million tokens"),
        ("gpt-image-2.6-flare", "$0.006 low, $0.013 medium, $0.053 high"),
        ("gpt-transcribe", "price not known"),
    ] {
        assert_eq!(catalogue.model(id).unwrap().prices(), prices);
    }
}

#[test]
fn prices_are_rounded_up_and_unknown_ones_are_none() {
    let catalogue = Catalogue::embedded();
    let image = |quality, size, n| Order::Image { model: "gpt-image-2.6-flare", quality, size, n };
    for (order, expect) in [
        (text("gpt-6.2-sol", 1_000_000, 0), Some("$2")),
        (text("gpt-6.2-sol", 1, 1), Some("$0.000012")),
        (text("gpt-6-luna", 11, 3), Some("$0.000004")),
        (text("gpt-6.2-sol", u64::MAX, u64::MAX), None),
        (text("gpt-transcribe", 1, 1), None),
        (text("gpt-0", 1, 1), None),
        (image("medium", "1024x1024", 1), Some("$0.013")),
        (image("high", "1024x1024", 3), Some("$0.159")),
        (image("max", "1024x1024", 1), None),
        (image("low", "1040x1024", 1), None),
        (image("auto", "1024x1024", 1), None),
    ] {
        assert_eq!(catalogue.estimate(&order), expect.map(money), "{order:?}");
    }
}

#[test]
fn a_usage_is_paid_by_its_parts() {
    let catalogue = Catalogue::embedded();
    let usage = |input_tokens, cached_tokens, output_tokens| Usage {
        input_tokens,
        input_tokens_details: InputDetails { cached_tokens, ..InputDetails::default() },
        output_tokens,
        ..Usage::default()
    };
    for (model, usage, expect) in [
        ("gpt-6.2-sol", usage(1_000_000, 0, 1_000_000), Some("$12")),
        ("gpt-6.2-sol", usage(1_000_000, 500_000, 0), Some("$1.05")),
        ("gpt-6.2-sol", usage(10, 500, 0), Some("$0.000001")),
        ("gpt-6-luna", usage(1_000_000, 1_000_000, 0), Some("$0.10")),
        ("gpt-image-2.6-flare", usage(10, 0, 1000), None),
    ] {
        assert_eq!(catalogue.cost(model, &usage), expect.map(money), "{model} {usage:?}");
    }
}

#[test]
fn what_the_service_lists_is_compared_by_date() {
    let catalogue = Catalogue::embedded();
    let listed = |id: &str, date: Option<&str>| ListedModel { id: id.into(), shutdown_date: date.map(str::to_owned) };
    let all = [
        listed("gpt-6.2-sol", None),
        listed("gpt-6-luna", Some("2026-12-20")),
        listed("gpt-image-2.6-flare", None),
        listed("gpt-5-mini", None),
        listed("gpt-image-1", None),
        listed("new-model", Some("no date")),
        listed("whisper-1", None),
        listed("gpt-4o-transcribe", None),
        listed("gpt-image-1-mini", None),
        listed("chatgpt-image-latest", Some("2028-01-01")),
    ];
    let notes: Vec<String> = catalogue.compare(&all, day("2026-11-26")).iter().map(ToString::to_string).collect();
    assert_eq!(
        notes,
        [
            "`gpt-6-luna` ends on 2026-12-20",
            "`gpt-5-mini` ends on 2026-12-11; take `gpt-6.2-sol` instead",
            "`gpt-image-1` ended on 2026-10-23; take `gpt-image-2.6-flare` instead",
            "`new-model` is not in the catalogue: what it costs is not known",
            "`gpt-image-1-mini` ends on 2026-12-01; take `gpt-image-2.6-flare` instead",
            "`gpt-transcribe` is not among the models of this account",
            "`gpt-image-1.5` is not among the models of this account",
            "`gpt-4o-mini-tts` is not among the models of this account",
        ]
    );
    let late = catalogue.compare(&all, day("2026-12-01"));
    assert!(late.iter().any(|note| matches!(note, Note::ShutDown { id, .. } if id == "gpt-image-1-mini")));
    let early = catalogue.compare(&all, day("2026-10-31"));
    assert!(!early.iter().any(|note| matches!(note, Note::EndsSoon { id, .. } if id == "gpt-image-1-mini")));
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let model = |more: &str| format!("as_of = \"2026-11\"\n[[model]]\nid = \"a\"\ncapabilities = [\"text\"]\n{more}");
    for (text, line, words) in [
        (model("price.input = \"2 dollars\""), 5, "write dollars"),
        (model("price.input = 2"), 5, "string"),
        (model("shutdown_date = \"2026-13-01\""), 5, ""),
        (model("colour = 1"), 5, "colour"),
        (model("replacement = \"b\""), 5, "`b` is not in the catalogue"),
        (model("[[model]]\nid = \"a\"\ncapabilities = []"), 6, "twice"),
        (model("[[model]]\nid = \"a*b\"\ncapabilities = []"), 6, "beginning or end"),
        (model("[[model]]\nid = \"b*\"\ncapabilities = []\ndefault_for = [\"text\"]"), 6, "family"),
        (model("capabilities = []"), 5, ""),
        ("as_of = ".into(), 1, ""),
        ("[[model]]".into(), 1, "missing"),
    ] {
        let error = Catalogue::parse(&text).unwrap_err();
        assert!(error.line == line && error.problem.contains(words), "{text}: {error}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in ".*", id in "\\PC{0,9}") {
        let _ = Catalogue::parse(&text);
        let _ = Catalogue::embedded().model(&id);
    }
}
