//! Hosted models as data: what they do, what they cost, when they end, as of a date.
//!
//! What it is not: a list of what an account may use; the service has that, and [`Catalogue::compare`] holds one
//! against the other. No model's name is written in code. Start at [`Catalogue::embedded`], whose text is
//! `models/catalogue.toml`.

use super::openai::{ListedModel, Usage};
use crate::policy::Money;
use jiff::civil::Date;
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::str::FromStr;
use toml::Spanned;

/// A model that ends within so many days is spoken of.
const SOON: i32 = 30;

/// The catalogue.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    /// `YYYY-MM`, or with a day: how old this knowledge is.
    pub as_of: String,
    #[serde(default, rename = "model")]
    models: Vec<Model>,
}

/// What a model does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    /// Reads and writes text.
    Text,
    /// Looks at images.
    Vision,
    /// Makes images, from words and from images.
    Image,
    /// Writes down what is said.
    Transcription,
    /// Says a text.
    Speech,
}

impl Capability {
    /// The word in a catalogue, and in `[cloud.models]`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Vision => "vision",
            Self::Image => "image",
            Self::Transcription => "transcription",
            Self::Speech => "speech",
        }
    }
}

/// A model, or a family of them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    id: Spanned<String>,
    /// What it does.
    pub capabilities: Vec<Capability>,
    /// For what it is taken where nobody chose another.
    #[serde(default)]
    pub default_for: Vec<Capability>,
    /// Tokens of input and output together.
    #[serde(default)]
    pub context: Option<u64>,
    #[serde(default)]
    price: Prices,
    /// The first day of what stands here.
    #[serde(default, deserialize_with = "read")]
    pub effective_from: Option<Date>,
    /// The first day without it.
    #[serde(default, deserialize_with = "read")]
    pub shutdown_date: Option<Date>,
    #[serde(default)]
    replacement: Option<Spanned<String>>,
    /// Where the knowledge comes from, where that matters.
    #[serde(default)]
    pub note: Option<String>,
}

/// What is not known is left out.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Prices {
    /// For a million tokens, like the next two.
    #[serde(default, deserialize_with = "read")]
    input: Option<Money>,
    #[serde(default, deserialize_with = "read")]
    cached: Option<Money>,
    #[serde(default, deserialize_with = "read")]
    output: Option<Money>,
    #[serde(default)]
    image: Vec<PerImage>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PerImage {
    quality: String,
    size: String,
    #[serde(deserialize_with = "read")]
    price: Option<Money>,
}

/// Reads what has a form of its own in text, so that an error names its place.
fn read<'de, D: Deserializer<'de>, T: FromStr<Err: fmt::Display>>(deserializer: D) -> Result<Option<T>, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

/// Why a catalogue cannot be read: what is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the catalogue of models, line {line}: {problem}")]
pub struct CatalogueError {
    /// From 1.
    pub line: usize,
    /// In a sentence.
    pub problem: String,
}

/// What is about to be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order<'a> {
    /// Text for text.
    Text {
        /// A model's id.
        model: &'a str,
        /// That are put in.
        n_input_tokens: u64,
        /// That may come out at most, thoughts included.
        n_output_tokens: u64,
    },
    /// Images.
    Image {
        /// A model's id.
        model: &'a str,
        /// `low`, `medium`, `high` ...
        quality: &'a str,
        /// `WIDTHxHEIGHT`.
        size: &'a str,
        /// How many.
        n: u64,
    },
}

/// What is to be known about a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// It has ended.
    ShutDown {
        /// The model.
        id: String,
        /// Since when.
        date: Date,
        /// What to take instead.
        replacement: Option<String>,
    },
    /// It ends within 30 days.
    EndsSoon {
        /// The model.
        id: String,
        /// Its first day without it.
        date: Date,
        /// What to take instead.
        replacement: Option<String>,
    },
    /// The service has it, and the catalogue does not.
    UnknownHere {
        /// The model.
        id: String,
    },
    /// The catalogue has it, and the service does not.
    GoneThere {
        /// The model.
        id: String,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let instead = |replacement: &Option<String>| match replacement {
            Some(id) => format!("; take `{id}` instead"),
            None => String::new(),
        };
        match self {
            Self::ShutDown { id, date, replacement } => write!(f, "`{id}` ended on {date}{}", instead(replacement)),
            Self::EndsSoon { id, date, replacement } => write!(f, "`{id}` ends on {date}{}", instead(replacement)),
            Self::UnknownHere { id } => write!(f, "`{id}` is not in the catalogue: what it costs is not known"),
            Self::GoneThere { id } => write!(f, "`{id}` is not among the models of this account"),
        }
    }
}

impl Catalogue {
    /// The one that comes with the program.
    pub fn embedded() -> Self {
        Self::parse(include_str!("../../models/catalogue.toml")).expect("the catalogue loads: a test loads it")
    }

    /// Reads a catalogue in its TOML form.
    pub fn parse(text: &str) -> Result<Self, CatalogueError> {
        let line = |at: usize| text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1;
        let catalogue: Self = toml::from_str(text).map_err(|error| CatalogueError {
            line: line(error.span().map_or(0, |span| span.start)),
            problem: error.message().to_owned(),
        })?;
        catalogue.check().map_err(|(at, problem)| CatalogueError { line: line(at), problem })?;
        Ok(catalogue)
    }

    fn check(&self) -> Result<(), (usize, String)> {
        for (idx, model) in self.models.iter().enumerate() {
            let (id, at) = (model.id(), model.id.span().start);
            if id.trim_matches('*').is_empty() || id.trim_matches('*').contains('*') {
                return Err((at, format!("`{id}` is no model: a `*` may stand at its beginning or end")));
            }
            if self.models[..idx].iter().any(|other| other.id() == id) {
                return Err((at, format!("`{id}` is here twice")));
            }
            if let Some(replacement) = &model.replacement
                && !self.models.iter().any(|other| other.id() == replacement.get_ref())
            {
                return Err((replacement.span().start, format!("`{}` is not in the catalogue", replacement.get_ref())));
            }
            for capability in &model.default_for {
                let others = self.models[..idx].iter();
                if model.is_family() || others.flat_map(|other| &other.default_for).any(|other| other == capability) {
                    return Err((
                        at,
                        format!("`{id}` cannot be the default for {capability:?}: there is one, or it is a family"),
                    ));
                }
            }
        }
        Ok(())
    }

    /// All of it, in its order.
    pub fn models(&self) -> &[Model] {
        &self.models
    }

    /// The model of this id; else the family that it belongs to.
    pub fn model(&self, id: &str) -> Option<&Model> {
        let exact = self.models.iter().find(|model| model.id() == id);
        exact.or_else(|| self.models.iter().find(|model| model.is_family() && model.holds(id)))
    }

    /// The model that is taken where nobody chose another.
    pub fn default_for(&self, capability: Capability) -> Option<&Model> {
        self.models.iter().find(|model| model.default_for.contains(&capability))
    }

    /// What an order costs at most, rounded up; `None` where a price is not known, and then somebody is asked.
    pub fn estimate(&self, order: &Order<'_>) -> Option<Money> {
        match *order {
            Order::Text { model, n_input_tokens, n_output_tokens } => {
                let prices = &self.model(model)?.price;
                prices.input?.per_million(n_input_tokens)?.checked_add(prices.output?.per_million(n_output_tokens)?)
            }
            Order::Image { model, quality, size, n } => {
                let is_it = |image: &&PerImage| image.quality == quality && image.size == size;
                self.model(model)?.price.image.iter().find(is_it)?.price?.checked_mul(n)
            }
        }
    }

    /// What an answer cost by its tokens, rounded up; `None` where a price is not known. Where only the price of cached
    /// input is not, it counts as input that is not cached.
    pub fn cost(&self, model: &str, usage: &Usage) -> Option<Money> {
        let prices = &self.model(model)?.price;
        let n_cached = usage.input_tokens_details.cached_tokens.min(usage.input_tokens);
        let fresh = prices.input?.per_million(usage.input_tokens - n_cached)?;
        let cached = prices.cached.or(prices.input)?.per_million(n_cached)?;
        fresh.checked_add(cached)?.checked_add(prices.output?.per_million(usage.output_tokens)?)
    }

    /// What is to be known when the service lists these models. Its own dates count more than the catalogue's.
    pub fn compare(&self, listed: &[ListedModel], today: Date) -> Vec<Note> {
        let mut notes = Vec::new();
        for there in listed {
            let here = self.model(&there.id);
            let date = there.shutdown_date.as_ref().and_then(|date| date.parse().ok());
            let date = date.or(here.and_then(|model| model.shutdown_date));
            let replacement = here.and_then(Model::replacement);
            notes.extend(ending(&there.id, date, replacement, today));
            if here.is_none() {
                notes.push(Note::UnknownHere { id: there.id.clone() });
            }
        }
        let is_listed = |model: &Model| listed.iter().any(|there| there.id == model.id());
        for model in self.models.iter().filter(|model| !model.is_family() && !is_listed(model)) {
            let note = ending(model.id(), model.shutdown_date, model.replacement(), today);
            match note {
                // That one which has ended is not listed is as it should be, unless it would be taken.
                Some(Note::ShutDown { .. }) if model.default_for.is_empty() => {}
                Some(note @ Note::ShutDown { .. }) => notes.push(note),
                _ => notes.push(Note::GoneThere { id: model.id().to_owned() }),
            }
        }
        notes
    }
}

/// Whether a model has ended, or soon will.
fn ending(id: &str, date: Option<Date>, replacement: Option<&str>, today: Date) -> Option<Note> {
    let date = date?;
    let (id, replacement) = (id.to_owned(), replacement.map(str::to_owned));
    match (date - today).get_days() {
        ..=0 => Some(Note::ShutDown { id, date, replacement }),
        1..=SOON => Some(Note::EndsSoon { id, date, replacement }),
        _ => None,
    }
}

impl Model {
    /// What requests name it by; for a family with a `*`.
    pub fn id(&self) -> &str {
        self.id.get_ref()
    }

    /// What to take instead when it has ended.
    pub fn replacement(&self) -> Option<&str> {
        self.replacement.as_ref().map(|id| id.get_ref().as_str())
    }

    /// Whether it stands for several.
    pub fn is_family(&self) -> bool {
        self.id().contains('*')
    }

    /// Its prices in words.
    pub fn prices(&self) -> String {
        let each = [("in", self.price.input), ("cached", self.price.cached), ("out", self.price.output)];
        let tokens: Vec<String> =
            each.into_iter().filter_map(|(what, price)| Some(format!("{} {what}", price?))).collect();
        let images = self.price.image.iter().filter_map(|image| Some(format!("{} {}", image.price?, image.quality)));
        let images: Vec<String> = images.collect();
        match (tokens.is_empty(), images.is_empty()) {
            (false, _) => format!("{} per million tokens", tokens.join(", ")),
            (true, false) => images.join(", "),
            (true, true) => "price not known".into(),
        }
    }

    fn holds(&self, id: &str) -> bool {
        let pattern = self.id();
        let middle = pattern.trim_matches('*');
        match (pattern.starts_with('*'), pattern.ends_with('*')) {
            (true, true) => id.contains(middle),
            (true, false) => id.ends_with(middle),
            (false, true) => id.starts_with(middle),
            (false, false) => id == pattern,
        }
    }
}

#[cfg(test)]
mod tests;
