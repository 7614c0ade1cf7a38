//! The tool packages that the user added: a folder each, with the files that were read when it was looked at.
//!
//! It asks nobody and shows nothing. Start at [`Packages::all`].

use super::{ConfigError, Paths};
use crate::tool::wasm::{self, Package};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The folder of added packages.
pub struct Packages {
    folder: PathBuf,
}

impl Packages {
    /// Those of the user.
    pub fn new(paths: &Paths) -> Self {
        Self { folder: paths.packages() }
    }

    /// All that can be read, by name, and why the others cannot.
    pub fn all(&self) -> Result<(Vec<Package>, Vec<String>), ConfigError> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            // Where even the folder above is none, the journal says so.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok((Vec::new(), Vec::new()));
            }
            Err(error) => return Err(ConfigError::Packages { path: self.folder.clone(), error }),
        };
        // A folder with an extension is one whose writing or removal was cut short.
        let is_package = |path: &PathBuf| path.is_dir() && path.extension().is_none();
        let mut folders: Vec<_> = entries.flatten().map(|entry| entry.path()).filter(is_package).collect();
        folders.sort();
        let (mut packages, mut problems) = (Vec::new(), Vec::new());
        for folder in folders {
            match Package::read(&folder) {
                Ok(package) if folder.file_name().is_some_and(|name| name == package.name()) => packages.push(package),
                Ok(package) => problems.push(format!("{} holds the package `{}`", folder.display(), package.name())),
                Err(error) => problems.push(error.to_string()),
            }
        }
        Ok((packages, problems))
    }

    /// The added package of that name.
    pub fn find(&self, name: &str) -> Result<Option<Package>, ConfigError> {
        Ok(self.all()?.0.into_iter().find(|package| package.name() == name))
    }

    /// Copies a package here, in the place of an older one of its name. When that fails the older one is still there.
    pub fn add(&self, package: &Package) -> Result<(), ConfigError> {
        let name = package.name();
        if wasm::BUNDLED.contains(&name) {
            return Err(ConfigError::BundledPackage { name: name.to_owned() });
        }
        let [folder, new, old] = ["", ".new", ".old"].map(|end| self.folder.join(format!("{name}{end}")));
        let unusable = |error| ConfigError::Packages { path: self.folder.clone(), error };
        clear(&new).map_err(unusable)?;
        if let Err(error) = package.write(&new) {
            let _ = clear(&new);
            return Err(error.into());
        }
        clear(&old).map_err(unusable)?;
        let had_older = folder.is_dir();
        if had_older {
            fs::rename(&folder, &old).map_err(unusable)?;
        }
        if let Err(error) = fs::rename(&new, &folder) {
            if had_older {
                let _ = fs::rename(&old, &folder);
            }
            return Err(unusable(error));
        }
        // It counts no longer; the next time clears it if this does not.
        let _ = clear(&old);
        Ok(())
    }

    /// Removes the added package of that name, and says whether there was one. What it has written for the user stays.
    pub fn remove(&self, name: &str) -> Result<bool, ConfigError> {
        let [folder, old] = ["", ".old"].map(|end| self.folder.join(format!("{name}{end}")));
        // A name that is none could lead anywhere.
        if !wasm::is_package_name(name) || !folder.is_dir() {
            return Ok(false);
        }
        // Out of sight at once, gone afterwards.
        let removed = clear(&old).and_then(|()| fs::rename(&folder, &old)).and_then(|()| clear(&old));
        removed.map_err(|error| ConfigError::Packages { path: folder, error })?;
        Ok(true)
    }
}

/// Removes a folder, if it is there.
fn clear(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(name: &str, version: &str) -> Package {
        let hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"; // of nothing
        let manifest = format!(
            "name = \"{name}\"\nversion = \"{version}\"\ncomponent = \"a.wasm\"\nsha256 = \"{hash}\"\n\
             [[tool]]\nname = \"t\"\neffect = \"pure\"\nrecovery = \"repeat\"\n"
        );
        Package::new(&manifest, r#"[{"name": "t", "description": "", "parameters": {"type": "object"}}]"#, &[][..])
            .unwrap()
    }

    #[test]
    fn a_newer_one_takes_the_place_or_the_older_one_stays() {
        let base = tempfile::tempdir().unwrap();
        let packages = Packages { folder: base.path().join("tool.packages") };
        packages.add(&added("sums", "1")).unwrap();
        packages.add(&added("sums", "2")).unwrap();
        let version = || packages.find("sums").unwrap().map(|package| package.version().to_owned());
        assert_eq!(version().as_deref(), Some("2"));
        // What is in the way of the new files is no folder.
        fs::write(packages.folder.join("sums.new"), "").unwrap();
        assert!(packages.add(&added("sums", "3")).is_err());
        assert_eq!(version().as_deref(), Some("2"));
    }

    #[test]
    fn a_name_leads_nowhere_else() {
        let base = tempfile::tempdir().unwrap();
        let packages = Packages { folder: base.path().join("tool.packages") };
        packages.add(&added("sums", "1")).unwrap();
        let precious = base.path().join("precious");
        fs::create_dir(&precious).unwrap();
        for name in ["", ".", "..", "../precious", precious.to_str().unwrap(), "sums/../../precious", "sums.old"] {
            assert!(!packages.remove(name).unwrap(), "{name}");
        }
        assert!(precious.is_dir() && packages.find("sums").unwrap().is_some());
        assert!(packages.remove("sums").unwrap() && !packages.remove("sums").unwrap());
    }
}
