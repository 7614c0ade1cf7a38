//! A package in one file, to be handed on: the component, with its manifest and declarations behind it as custom sections,
//! which every other reader of components passes over.
//!
//! The hash in the manifest is that of the component without them. Start at [`Package::pack`].

use super::package::{Package, PackageError};
use wasmparser::{Parser, Payload};

/// The sections, in their order at the end of the file.
const SECTIONS: [&str; 2] = ["ossicle:tool.toml", "ossicle:tools.json"];

impl Package {
    /// The package as one file.
    pub fn pack(&self) -> Vec<u8> {
        let mut bytes = self.component.to_vec();
        for (name, text) in SECTIONS.iter().zip(self.texts()) {
            bytes.extend(section(name, text.as_bytes()));
        }
        bytes
    }

    /// Reads a package from such a file; `name` is what errors call it. A component with another hash than the manifest's is
    /// refused.
    pub fn unpack(name: &str, bytes: &[u8]) -> Result<Self, PackageError> {
        let problem = |problem: String| PackageError::Malformed { package: name.to_owned(), problem };
        let [manifest, declarations] = texts(bytes).map_err(|error| problem(format!("it is no component: {error}")))?;
        let (Some(manifest), Some(declarations)) = (manifest, declarations) else {
            return Err(problem("there is no manifest in the file; `ossicle tool pack` puts it there".into()));
        };
        let behind =
            SECTIONS.iter().zip([&manifest, &declarations]).flat_map(|(name, text)| section(name, text.as_bytes()));
        let component = bytes.strip_suffix(behind.collect::<Vec<_>>().as_slice());
        let component =
            component.ok_or_else(|| problem("the manifest does not stand at the end of the file".into()))?;
        Self::checked(name, &manifest, &declarations, component.to_vec())
    }
}

/// The texts of the sections, where they are there.
fn texts(bytes: &[u8]) -> wasmparser::Result<[Option<String>; 2]> {
    let mut texts = [None, None];
    // Modules within the component may have sections of any name; these are not they.
    let mut depth = 0usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CustomSection(section) if depth == 0 => {
                if let Some(idx) = SECTIONS.iter().position(|name| *name == section.name()) {
                    texts[idx] = String::from_utf8(section.data().to_vec()).ok();
                }
            }
            _ => {}
        }
    }
    Ok(texts)
}

/// A custom section.
fn section(name: &str, data: &[u8]) -> Vec<u8> {
    let mut content = leb128(name.len());
    content.extend(name.as_bytes());
    content.extend(data);
    [vec![0], leb128(content.len()), content].concat()
}

/// An unsigned number as WASM writes it.
fn leb128(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::super::bundled;
    use super::*;

    #[test]
    fn what_was_packed_is_unpacked() {
        for package in bundled().unwrap() {
            let bytes = package.pack();
            let read = Package::unpack("x", &bytes).unwrap();
            assert_eq!((read.name(), read.sha256()), (package.name(), package.sha256()));
            assert_eq!((read.texts(), &read.component), (package.texts(), &package.component));
            super::super::bounds::check(&bytes).unwrap();
        }
    }

    #[test]
    fn what_was_changed_is_refused() {
        let package = bundled().unwrap().remove(0);
        let bytes = package.pack();
        let changed = |at: usize| {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            changed
        };
        for (bytes, words) in [
            (package.component.to_vec(), "no manifest"),
            (bytes[..bytes.len() - 1].to_vec(), "no component"),
            ([bytes.clone(), section("more", b"")].concat(), "at the end"),
            (changed(package.n_bytes() / 2), "not the one"),
            (b"PK\x03\x04".to_vec(), "no component"),
            (Vec::new(), "no component"),
        ] {
            let error = Package::unpack("x", &bytes).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains(words) || error.contains("no component"), "{words}: {error}");
        }
    }
}
