//! Whether the kernel puts memory into huge pages: what is read of the weights is found faster in them.
//!
//! What it is not: it changes nothing, which takes root; how much of a model lies in such pages is measured by `bench`.
//! Start at [`HugePages::of_this_machine`].

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Where Linux says so.
const PATH: &str = "/sys/kernel/mm/transparent_hugepage/enabled";

/// Who gets transparent huge pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HugePages {
    /// Everybody.
    Always,
    /// Whoever asks for them, as the engine does.
    Madvise,
    /// Nobody.
    Never,
}

impl HugePages {
    /// What this machine's kernel says; `None` where it says nothing.
    pub fn of_this_machine() -> Option<Self> {
        Self::read(Path::new(PATH))
    }

    /// What a file says, of words of which the one that holds is in brackets: `always [madvise] never`.
    fn read(path: &Path) -> Option<Self> {
        let mut text = String::new();
        File::open(path).ok()?.take(100).read_to_string(&mut text).ok()?;
        match text.split_once('[')?.1.split_once(']')?.0 {
            "always" => Some(Self::Always),
            "madvise" => Some(Self::Madvise),
            "never" => Some(Self::Never),
            _ => None,
        }
    }

    /// The kernel's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Madvise => "madvise",
            Self::Never => "never",
        }
    }

    /// What it costs that there are none, and what to do; `None` where there are.
    pub fn advice(self) -> Option<&'static str> {
        (self == Self::Never).then_some(
            "transparent huge pages are off; with them a large model is read about a third faster (32.4 instead of \
             24.7 GB/s where it was measured): `echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled` turns \
             them on until the next start",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_in_brackets_holds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("enabled");
        assert_eq!(HugePages::read(&path), None, "another system");
        for (text, expected) in [
            ("[always] madvise never\n", Some(HugePages::Always)),
            ("always [madvise] never\n", Some(HugePages::Madvise)),
            ("always madvise [never]\n", Some(HugePages::Never)),
            ("always madvise never\n", None),
            ("[sometimes]", None),
            ("", None),
            ("[never", None),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(HugePages::read(&path), expected, "{text}");
            let is_advised = expected.is_some_and(|pages| pages.advice().is_some());
            assert_eq!(is_advised, text.contains("[never]"), "{text}");
        }
    }
}
