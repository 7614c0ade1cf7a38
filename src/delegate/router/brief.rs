//! What a stronger model is sent: a brief, never the transcript.
//!
//! It is written by the agent, which renders `prompts/brief.md` with it after everything in it was redacted. Start at
//! [`Brief`].

/// The template that is used when the user has none of their own.
pub const TEMPLATE: &str = include_str!("../../../prompts/brief.md");

/// The fields of the template, which also needs [`Brief::fence`] as `fence`; what is empty leaves its part out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Brief {
    /// What shall be done, in a few sentences.
    pub task: String,
    /// What the answer must keep to: language, length, form.
    pub constraints: Vec<String>,
    /// The least that is needed of files and pages.
    pub excerpts: Vec<Excerpt>,
    /// What was tried and how it went wrong, one failure each.
    pub failures: Vec<String>,
    /// The JSON schema that the answer must fit; empty where any text will do.
    pub schema: String,
}

impl Brief {
    /// What stands before and after an excerpt: longer than any such line in one, so that none ends early.
    pub fn fence(&self) -> String {
        let longest = |text: &str| text.split(|c| c != '~').map(str::len).max().unwrap_or_default();
        let texts = self.excerpts.iter().map(|excerpt| excerpt.text.as_str()).chain([self.schema.as_str()]);
        "~".repeat(texts.map(longest).max().unwrap_or_default().max(2) + 1)
    }
}

/// A part of something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Excerpt {
    /// Where it is from, as far as the reader must know.
    pub source: String,
    /// The part.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, context};

    fn render(brief: &Brief) -> String {
        let Brief { task, constraints, excerpts, failures, schema } = brief.clone();
        let excerpt = |excerpt: Excerpt| context! { source => excerpt.source, text => excerpt.text };
        let excerpts: Vec<Value> = excerpts.into_iter().map(excerpt).collect();
        let fields = context! { task, constraints, excerpts, failures, schema, fence => brief.fence() };
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.render_named_str("brief.md", TEMPLATE, fields).unwrap()
    }

    #[test]
    fn the_template_has_all_fields_and_leaves_out_what_is_empty() {
        let small = render(&Brief { task: "Check the proof.".into(), ..Brief::default() });
        assert!(
            small.contains("Check the proof.")
                && !small.contains("## Constraints")
                && !small.contains("## What failed")
        );
        let whole = render(&Brief {
            task: "Check the proof of <lemma> 2.".into(),
            constraints: vec!["In German.".into(), "Two paragraphs.".into()],
            excerpts: vec![Excerpt {
                source: "proof.md, lines 3 to 9".into(), text: "Let ⟦USER_1⟧ be\n~~~\nx".into()
            }],
            failures: vec!["The first answer left out the case n = 0.".into()],
            schema: "{\"type\":\"object\"}".into(),
        });
        for part in [
            "<lemma> 2",
            "- In German.\n- Two paragraphs.",
            "proof.md, lines 3 to 9",
            "n = 0",
            "\"object\"",
            "⟦USER_1⟧",
        ] {
            assert!(whole.contains(part), "{part}: {whole}");
        }
        assert!(whole.contains("~~~~\nLet ⟦USER_1⟧ be\n~~~\nx\n~~~~"), "an excerpt's own fences end nothing: {whole}");
        assert!(!whole.contains("\n\n\n"), "{whole}");
    }
}
