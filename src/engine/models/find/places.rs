//! The folders in which models may lie.
//!
//! What it is not: it reads no environment and looks into no folder; whoever knows the variables hands them in.
//! Start at [`Places::resolve`].

use std::path::{Path, PathBuf};

/// Where models may lie. None of the folders needs to exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// What `ossicle models pull` stores: ORG--NAME/.
    pub own: PathBuf,
    /// Caches of Hugging Face's libraries: models--ORG--NAME/snapshots/REVISION/.
    pub hugging_face: Vec<PathBuf>,
    /// LM Studio's: ORG/NAME/*.gguf.
    pub lm_studio: Vec<PathBuf>,
    /// Ollama's: manifests/ and blobs/.
    pub ollama: Vec<PathBuf>,
}

impl Places {
    /// The folders by the user's home and the variables that each program looks at. Empty variables count as none.
    pub fn resolve(own: PathBuf, home: &Path, variable: impl Fn(&str) -> Option<PathBuf>) -> Self {
        let variable = |name: &str| variable(name).filter(|value| !value.as_os_str().is_empty());
        let cache = || variable("XDG_CACHE_HOME").unwrap_or_else(|| home.join(".cache"));
        let hugging_face = variable("HF_HUB_CACHE")
            .or_else(|| variable("HUGGINGFACE_HUB_CACHE")) // what it was called before
            .or_else(|| variable("HF_HOME").map(|home| home.join("hub")))
            .unwrap_or_else(|| cache().join("huggingface/hub"));
        let ollama = match variable("OLLAMA_MODELS") {
            Some(folder) => vec![folder],
            // The second is that of the service which its installer sets up.
            None => vec![home.join(".ollama/models"), "/usr/share/ollama/.ollama/models".into()],
        };
        // The second is that of its older versions.
        let lm_studio = vec![home.join(".lmstudio/models"), home.join(".cache/lm-studio/models")];
        Self { own, hugging_face: vec![hugging_face], lm_studio, ollama }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(variables: &[(&str, &str)]) -> Places {
        let lookup = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| PathBuf::from(value));
        Places::resolve("/o".into(), Path::new("/h"), lookup)
    }

    #[test]
    fn each_program_s_own_variables_count() {
        for (variables, expected) in [
            (&[][..], "/h/.cache/huggingface/hub"),
            (&[("XDG_CACHE_HOME", "/c")], "/c/huggingface/hub"),
            (&[("HF_HOME", "/hf"), ("XDG_CACHE_HOME", "/c")], "/hf/hub"),
            (&[("HF_HUB_CACHE", "/hub"), ("HF_HOME", "/hf")], "/hub"),
            (&[("HF_HUB_CACHE", ""), ("HUGGINGFACE_HUB_CACHE", "/old")], "/old"),
        ] {
            assert_eq!(places(variables).hugging_face, [Path::new(expected)], "{variables:?}");
        }
        let ollama = [Path::new("/h/.ollama/models"), Path::new("/usr/share/ollama/.ollama/models")];
        assert_eq!(places(&[]).ollama, ollama);
        assert_eq!(places(&[("OLLAMA_MODELS", "/m")]).ollama, [Path::new("/m")]);
        let lm_studio = [Path::new("/h/.lmstudio/models"), Path::new("/h/.cache/lm-studio/models")];
        assert_eq!(
            (places(&[]).own.to_str(), &places(&[]).lm_studio[..]),
            (Some("/o"), &lm_studio.map(Path::to_owned)[..])
        );
    }
}
