//! The developer message's text: templates from `prompts/`, rendered so strictly that a missing variable is an error.

use crate::delegate::router::{self, Brief};
use minijinja::{Environment, UndefinedBehavior, context};

/// The template that is used when the user has none of their own.
pub const DEVELOPER: &str = include_str!("../../prompts/developer.md");

/// Renders the developer template. `project` is the text of the user's `AGENTS.md` files, empty when there are none.
///
/// # Errors
/// A template with a mistake in it, or with a variable that there is not.
pub fn developer(template: &str, project: &str) -> Result<String, minijinja::Error> {
    environment().render_named_str("developer.md", template, context! { project })
}

/// Renders what a stronger model is told.
///
/// # Errors
/// None that a test would not have found: the template is embedded.
pub(super) fn brief(brief: &Brief) -> Result<String, minijinja::Error> {
    let Brief { task, constraints, excerpts, failures, schema } = brief;
    let excerpts: Vec<_> = excerpts
        .iter()
        .map(|excerpt| context! { source => excerpt.source.as_str(), text => excerpt.text.as_str() })
        .collect();
    let fields = context! { task, constraints, excerpts, failures, schema, fence => brief.fence() };
    environment().render_named_str("brief.md", router::TEMPLATE, fields)
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    // The text goes to a model, not into HTML.
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_template_renders_with_and_without_a_project() {
        let alone = developer(DEVELOPER, "").unwrap();
        assert!(alone.starts_with("You are Ossicle") && !alone.ends_with('\n'), "{alone:?}");
        assert_eq!(developer(DEVELOPER, "Use <tabs> & spaces.").unwrap(), format!("{alone}\n\nUse <tabs> & spaces."));
    }

    #[test]
    fn an_unknown_variable_is_an_error_that_names_it() {
        let error = developer("Hello {{ nobody }}", "").unwrap_err();
        assert!(format!("{error:#}").contains("developer.md"), "{error:#}");
    }
}
