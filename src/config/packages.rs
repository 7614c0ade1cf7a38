//! The tool packages that the user added: a folder each, copied whole, so that what was looked at is what runs.
//!
//! It asks nobody and shows nothing. Start at [`Packages::all`].

use super::{ConfigError, Paths};
use crate::tool::wasm::{self, Package};
use std::fs;
use std::io;
use std::path::PathBuf;

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

    /// Copies a package here, in the place of an older one of its name.
    pub fn add(&self, package: &Package) -> Result<(), ConfigError> {
        let name = package.name();
        if wasm::bundled()?.iter().any(|bundled| bundled.name() == name) {
            return Err(ConfigError::BundledPackage { name: name.to_owned() });
        }
        self.remove(name)?;
        package.write(&self.folder.join(name))?;
        Ok(())
    }

    /// Removes the added package of that name, and says whether there was one. What it has written for the user stays.
    pub fn remove(&self, name: &str) -> Result<bool, ConfigError> {
        let (folder, aside) = (self.folder.join(name), self.folder.join(format!("{name}.old")));
        if !folder.is_dir() {
            return Ok(false);
        }
        // Out of sight at once, gone afterwards.
        let _ = fs::remove_dir_all(&aside);
        let removed = fs::rename(&folder, &aside).and_then(|()| fs::remove_dir_all(&aside));
        removed.map_err(|error| ConfigError::Packages { path: folder, error })?;
        Ok(true)
    }
}
