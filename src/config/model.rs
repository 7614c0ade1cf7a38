//! The model of a session: found, prepared once for this machine, and opened in an engine.
//!
//! What it is not: it reads no weights itself. Start at [`checkpoint`].

use super::{ConfigError, Paths, Settings};
use crate::engine::CpuEngine;
use crate::engine::cpu::{CacheFormat, HugePages, Options, SnapshotStore};
use crate::engine::models::{self, Checkpoint, Inspection, Preparation, Source};
use crate::world::SystemClock;
use serde::Deserialize;
use std::sync::Arc;

/// Bytes that snapshots take together unless told otherwise.
const SNAPSHOT_BYTES: u64 = 4 << 30;

/// Bytes of the disk that snapshots leave to others.
const LEAST_FREE: u64 = 1 << 30;

/// A model of so many bytes is large: how its memory is paged makes a difference.
const LARGE: u64 = 1 << 30;

/// The part of `config.toml` about the engine.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct EngineSettings {
    /// Compute with the checkpoint's own numbers, as it lies, slowly: for checking.
    pub exact: Option<bool>,
    /// How keys and values are kept.
    pub cache: Option<CacheChoice>,
    /// How experts are prepared that do not lie in MXFP4.
    pub experts: Option<Experts>,
    /// Conversations in memory.
    pub sessions: Option<usize>,
    /// Take little memory, where nothing else is said: a short context in int8, one conversation, smaller passes.
    pub low_memory: Option<bool>,
    /// Gigabytes of disk for what was read already; 0 keeps nothing.
    pub snapshots_gb: Option<u64>,
}

impl EngineSettings {
    /// What is said here, and for the rest what `file` says.
    pub(super) fn or(self, file: Self) -> Self {
        Self {
            exact: self.exact.or(file.exact),
            cache: self.cache.or(file.cache),
            experts: self.experts.or(file.experts),
            sessions: self.sessions.or(file.sessions),
            low_memory: self.low_memory.or(file.low_memory),
            snapshots_gb: self.snapshots_gb.or(file.snapshots_gb),
        }
    }
}

/// How keys and values are kept.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum CacheChoice {
    /// As they were computed.
    F32,
    /// Half of that.
    F16,
    /// A quarter.
    Int8,
}

/// How experts are prepared that do not lie in MXFP4, as those of fine-tuned models.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Experts {
    /// As small as the official ones.
    #[default]
    Mxfp4,
    /// Twice as large, and hardly different from what was trained.
    Q8,
}

/// Told while a model is prepared: its name, bytes done, and bytes in all.
pub type Preparing = Arc<dyn Fn(&str, u64, u64) + Send + Sync>;

/// How the settings want a model prepared.
pub fn preparation(settings: &Settings) -> Preparation {
    Preparation {
        experts_in_q8: settings.engine.experts == Some(Experts::Q8),
        n_threads: settings.threads.unwrap_or_else(num_cpus::get_physical),
    }
}

/// The model of the settings, prepared where that can be and is wanted, with its adapter.
pub fn checkpoint(settings: &Settings, paths: &Paths, preparing: &Preparing) -> Result<Checkpoint, ConfigError> {
    let checkpoint = plain_checkpoint(settings, paths, preparing)?;
    match &settings.adapter {
        Some(folder) => Ok(checkpoint.adapted(folder)?),
        None => Ok(checkpoint),
    }
}

/// Said of a model whose experts have lost something.
const ROUNDED: &str = "the experts of this fine-tuned model are rounded to MXFP4; `ossicle models prepare` says how far that \
moves its logits, and experts = \"q8\" in config.toml rounds less";

/// The same without an adapter.
fn plain_checkpoint(settings: &Settings, paths: &Paths, preparing: &Preparing) -> Result<Checkpoint, ConfigError> {
    let source = settings.model.clone().unwrap_or_default();
    let checkpoint = source.open()?;
    if checkpoint.is_prepared() || runs_as_it_lies(settings, &source, &checkpoint) {
        return Ok(checkpoint);
    }
    let preparation = preparation(settings);
    models::check_fits(&checkpoint, preparation)?;
    let mut progress = |done, total| {
        preparing(&checkpoint.name, done, total);
        true
    };
    let mut prepared = models::prepare(&checkpoint, preparation, &paths.prepared(), &mut progress)?;
    if checkpoint.is_dequantised() && !preparation.experts_in_q8 {
        prepared.notice = Some(ROUNDED.to_owned());
    }
    Ok(prepared)
}

/// Whether a checkpoint is not prepared before it runs.
fn runs_as_it_lies(settings: &Settings, source: &Source, checkpoint: &Checkpoint) -> bool {
    // The embedded model is so small that its own numbers are as fast.
    settings.engine.exact == Some(true) || *source == Source::Embedded || !models::can_prepare(checkpoint)
}

/// The model of the settings, described, and what it would take. Nothing is prepared.
pub fn inspection(settings: &Settings, paths: &Paths) -> Result<Inspection, ConfigError> {
    let source = settings.model.clone().unwrap_or_default();
    let checkpoint = source.open()?;
    let in_panels = checkpoint.is_prepared() || !runs_as_it_lies(settings, &source, &checkpoint);
    Ok(Inspection::of(checkpoint, options(settings, paths), in_panels))
}

/// How the settings want the engine.
pub fn options(settings: &Settings, paths: &Paths) -> Options {
    let most_bytes = settings.engine.snapshots_gb.map_or(SNAPSHOT_BYTES, |gigabytes| gigabytes << 30);
    // What was read is as private as what was said.
    let keeps = most_bytes > 0 && !settings.ephemeral;
    let clock = Arc::new(SystemClock::new());
    Options {
        threads: settings.threads,
        context_length: settings.context_length,
        cache: settings.engine.cache.map(|cache| match cache {
            CacheChoice::F32 => CacheFormat::F32,
            CacheChoice::F16 => CacheFormat::F16,
            CacheChoice::Int8 => CacheFormat::Int8,
        }),
        n_sessions: settings.engine.sessions,
        low_memory: settings.engine.low_memory == Some(true),
        snapshots: keeps.then(|| SnapshotStore {
            folder: paths.snapshots(),
            most_bytes,
            least_free: LEAST_FREE,
            clock,
        }),
    }
}

/// The model of the settings in an engine.
pub(super) fn engine(settings: &Settings, paths: &Paths, preparing: &Preparing) -> Result<CpuEngine, ConfigError> {
    let source = settings.model.clone().unwrap_or_default();
    if source != Source::Embedded {
        source.open()?.check_vocabulary()?; // before it is prepared, which takes minutes
    }
    let checkpoint = checkpoint(settings, paths, preparing)?;
    Ok(CpuEngine::open(checkpoint, options(settings, paths))?)
}

/// What is to be said of the machine's memory before a model of so many bytes is used.
pub(super) fn memory_warning(n_bytes: u64, pages: Option<HugePages>) -> Option<String> {
    let advice = pages.filter(|_| n_bytes > LARGE)?.advice()?;
    Some(advice.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_large_model_without_huge_pages_is_warned_of() {
        for (n_bytes, pages, is_warned) in [
            (13 << 30, Some(HugePages::Never), true),
            (13 << 30, Some(HugePages::Madvise), false),
            (13 << 30, None, false),
            (LARGE, Some(HugePages::Never), false),
        ] {
            assert_eq!(memory_warning(n_bytes, pages).is_some(), is_warned, "{n_bytes}, {pages:?}");
        }
    }
}
