//! What `ossicle models inspect` prints: a checkpoint described for people.
//!
//! What it is not: it loads nothing; everything comes from the configuration and the headers, and from what memory is free.
//! Start at [`Inspection::of`]; it prints itself.

use super::{Checkpoint, LoadError, amount};
use crate::engine::cpu::{Options, config::LayerKind};
use std::collections::BTreeMap;
use std::fmt;

/// A checkpoint, described.
pub struct Inspection {
    checkpoint: Checkpoint,
    /// Tensors, elements and bytes for each type of number.
    by_dtype: BTreeMap<String, (usize, u64, u64)>,
    /// One line for each tensor that is missing or of another form.
    pub faults: Vec<String>,
    /// Tensors that the model does not use.
    pub n_unused: usize,
    /// Bytes taken beside the mapped weights, when the context of the options is full.
    pub working_memory: u64,
    options: Options,
    in_panels: bool,
    context_length: usize,
}

impl Inspection {
    /// Describes an opened checkpoint, also one with faults, and what it would take in an engine with these options;
    /// `in_panels` is whether it would run prepared.
    pub fn of(checkpoint: Checkpoint, options: Options, in_panels: bool) -> Self {
        let config = &checkpoint.config;
        let by_dtype = checkpoint.types();
        let faults = checkpoint.parts().filter_map(|part| checkpoint.check(part).err());
        let faults = faults.map(|error| error.to_string()).collect();
        let n_unused = checkpoint.n_unused();
        let sizes = options.sizes(config, in_panels);
        let (working_memory, context_length) = (sizes.n_bytes(config), sizes.context_length);
        Self { by_dtype, faults, n_unused, working_memory, options, in_panels, context_length, checkpoint }
    }

    /// What it takes beside the mapped weights, and what is free; an error when that is too little.
    pub fn memory(&self) -> Result<String, LoadError> {
        self.options.fitting_sizes(&self.checkpoint, self.in_panels)?;
        let free = super::available_memory().map_or("unknown".into(), amount);
        Ok(format!(
            "{free} free, {} needed beside the weights' {}",
            amount(self.working_memory),
            amount(self.checkpoint.n_bytes())
        ))
    }

    /// Its name, and whether it is complete.
    pub fn summary(&self) -> String {
        let name = &self.checkpoint.name;
        match self.faults.first() {
            None => format!("{name}, complete"),
            Some(fault) => format!("{name}, with {} faults: {fault}", self.faults.len()),
        }
    }

    /// Whether every tensor is there and of the right form.
    pub fn is_complete(&self) -> bool {
        self.faults.is_empty()
    }
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let c = &self.checkpoint.config;
        let n_sliding = c.layers.iter().filter(|kind| **kind == LayerKind::Sliding).count();
        let context = self.context_length;
        let n_parameters = self.checkpoint.n_parameters();
        writeln!(
            f,
            "model         {} (gpt-oss, {:.1} million parameters)",
            self.checkpoint.name,
            n_parameters as f64 / 1e6
        )?;
        if let Some(notice) = &self.checkpoint.notice {
            writeln!(f, "notice        {notice}")?;
        }
        writeln!(f, "layers        {}: {n_sliding} with a window of {}, the others see all", c.n_layers(), c.window)?;
        writeln!(f, "width         {}, vocabulary {}", c.hidden, c.n_vocab)?;
        writeln!(f, "attention     {} query heads, {} key heads, of {}", c.n_heads, c.n_kv_heads, c.head_dim)?;
        writeln!(f, "experts       {} in a layer, {} for a token, width {}", c.n_experts, c.n_active, c.intermediate)?;
        writeln!(
            f,
            "context       up to {} tokens (YaRN: {} times {})",
            c.max_context, c.rope.factor, c.rope.original_context
        )?;
        writeln!(f, "files         {}", self.checkpoint.n_shards)?;
        for (dtype, (n_tensors, n_elements, n_bytes)) in &self.by_dtype {
            writeln!(f, "{dtype:<13} {n_tensors} tensors, {n_elements} elements, {}", amount(*n_bytes))?;
        }
        let weights = amount(self.checkpoint.n_bytes());
        writeln!(
            f,
            "memory        {weights} of weights, and {} for {context} tokens of context",
            amount(self.working_memory)
        )?;
        match self.memory() {
            Ok(enough) => writeln!(f, "fits          yes: {enough}")?,
            Err(error) => writeln!(f, "fits          no: {error}")?,
        }
        if self.n_unused > 0 {
            writeln!(f, "unused        {} tensors that gpt-oss does not have", self.n_unused)?;
        }
        if self.is_complete() {
            return writeln!(f, "complete      yes");
        }
        writeln!(f, "complete      no, {} faults:", self.faults.len())?;
        for fault in self.faults.iter().take(10) {
            writeln!(f, "  {fault}")?;
        }
        match self.faults.len().saturating_sub(10) {
            0 => Ok(()),
            n_more => writeln!(f, "  and {n_more} more"),
        }
    }
}
