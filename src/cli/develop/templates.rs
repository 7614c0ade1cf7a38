//! What `ossicle tool new` writes, by language. The texts are those of `tools/templates`, with what differs put in.

use super::Lang;

/// How packages in a language begin.
pub(super) struct Template {
    /// A file that tells the language of a package.
    pub(super) marker: &'static str,
    /// The command that installs, once, what builds the package.
    pub(super) setup: &'static str,
    /// What git leaves out.
    ignored: &'static str,
    /// The lines of the README's table about the files below.
    listed: &'static str,
    /// How the README says to call the host.
    usage: &'static str,
    files: &'static [(&'static str, &'static str)],
}

const README: &str = include_str!("../../../tools/templates/README.md");

/// Files that packages in every language have.
const SHARED: [(&str, &str); 3] = [
    ("tool.toml", include_str!("../../../tools/templates/tool.toml")),
    ("tools.json", include_str!("../../../tools/templates/tools.json")),
    ("wit/tool.wit", include_str!("../../../tools/wit/tool.wit")),
];

const RUST: Template = Template {
    marker: "Cargo.toml",
    setup: "rustup target add wasm32-unknown-unknown",
    ignored: "/target\n",
    listed: "| `src/lib.rs` | the code |",
    usage: include_str!("../../../tools/templates/rust/use.md"),
    files: &[
        ("Cargo.toml", include_str!("../../../tools/templates/rust/Cargo.toml.txt")),
        (".cargo/config.toml", include_str!("../../../tools/templates/rust/config.toml")),
        ("src/lib.rs", include_str!("../../../tools/templates/rust/lib.rs.txt")),
    ],
};

const C: Template = Template {
    marker: "tool.c",
    setup: "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt",
    ignored: "/.venv\n/build\n",
    listed: "| `tool.c` | the code |\n| `json.h`, `json.c` | a reader of JSON |\n| `requirements.txt` | the compiler, zig |",
    usage: include_str!("../../../tools/templates/c/use.md"),
    files: &[
        ("tool.c", include_str!("../../../tools/templates/c/tool.c")),
        ("json.h", include_str!("../../../tools/templates/c/json.h")),
        ("json.c", include_str!("../../../tools/templates/c/json.c")),
        ("requirements.txt", include_str!("../../../tools/templates/c/requirements.txt")),
    ],
};

const JS: Template = Template {
    marker: "package.json",
    setup: "npm install",
    ignored: "/build\n/node_modules\n",
    listed: "| `tool.js` | the code |\n| `package.json` | what builds it, and how |",
    usage: include_str!("../../../tools/templates/js/use.md"),
    files: &[
        ("tool.js", include_str!("../../../tools/templates/js/tool.js")),
        ("package.json", include_str!("../../../tools/templates/js/package.json")),
    ],
};

const PYTHON: Template = Template {
    marker: "tool.py",
    setup: C.setup,
    ignored: "/.venv\n/build\n__pycache__\n",
    listed: "| `tool.py` | the code |\n| `requirements.txt` | what builds it |",
    usage: include_str!("../../../tools/templates/python/use.md"),
    files: &[
        ("tool.py", include_str!("../../../tools/templates/python/tool.py")),
        ("requirements.txt", include_str!("../../../tools/templates/python/requirements.txt")),
    ],
};

impl Template {
    pub(super) fn of(lang: Lang) -> &'static Self {
        match lang {
            Lang::Rust => &RUST,
            Lang::C => &C,
            Lang::Js => &JS,
            Lang::Python => &PYTHON,
        }
    }

    /// The files of a new package, with their texts.
    pub(super) fn files(&self, name: &str) -> Vec<(&'static str, String)> {
        let readme = README
            .replace("SETUP", &format!("{}    # once", self.setup))
            .replace("FILES", self.listed)
            .replace("USE", self.usage.trim_end());
        let texts = SHARED.iter().chain(self.files).map(|(file, text)| (*file, text.replace("NAME", name)));
        texts.chain([("README.md", readme.replace("NAME", name)), (".gitignore", self.ignored.to_owned())]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tool::wasm::Package;
    use clap::ValueEnum;

    #[test]
    fn what_is_written_is_a_package_and_its_readme_names_its_files() {
        for lang in Lang::value_variants() {
            let files = Template::of(*lang).files("words");
            let text = |name: &str| &files.iter().find(|(file, _)| *file == name).unwrap().1;
            assert!(Package::new(text("tool.toml"), text("tools.json"), &[][..]).is_ok(), "{lang:?}");
            for word in ["NAME", "SETUP", "FILES", "USE"] {
                assert!(files.iter().all(|(_, text)| !text.contains(word)), "{lang:?}: {word}");
            }
            let readme = text("README.md");
            for (file, _) in files.iter().filter(|(file, _)| !file.starts_with(['.', 'R']) && *file != "Cargo.toml") {
                assert!(readme.contains(&format!("`{file}`")), "{lang:?}: {file}");
            }
            assert!(readme.contains("`words.count`") && readme.contains(Template::of(*lang).setup), "{lang:?}");
        }
    }
}
