//! The user's `AGENTS.md` files: what every session should know of a person and of a project.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Longer files are cut: a prompt is no place for a book. In bytes.
const LIMIT: u64 = 32 * 1024;

/// The texts of `AGENTS.md`, the user's first, then from the repository's root down to `folder`, blank lines between.
pub(super) fn instructions(user_folder: &Path, folder: &Path) -> String {
    let mut folders: Vec<&Path> = folder.ancestors().collect();
    match folders.iter().position(|ancestor| ancestor.join(".git").exists()) {
        Some(root) => folders.truncate(root + 1),
        // Outside a repository nothing above says that it belongs together.
        None => folders.truncate(1),
    }
    let places = std::iter::once(user_folder).chain(folders.into_iter().rev());
    let texts: Vec<String> = places.filter_map(|place| read(place.join("AGENTS.md"))).collect();
    texts.join("\n\n")
}

fn read(path: PathBuf) -> Option<String> {
    let mut bytes = Vec::new();
    match fs::File::open(&path).and_then(|file| file.take(LIMIT + 1).read_to_end(&mut bytes)) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "not read");
            return None;
        }
    }
    if bytes.len() as u64 > LIMIT {
        tracing::warn!(path = %path.display(), "only the first {LIMIT} bytes are used");
        bytes.truncate(LIMIT as usize);
    }
    Some(String::from_utf8_lossy(&bytes).trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_the_user_and_the_root_down_to_the_folder() {
        let base = tempfile::tempdir().unwrap();
        let (user, root) = (base.path().join("user"), base.path().join("above/root"));
        let deep = root.join("a/b");
        fs::create_dir_all(&deep).unwrap();
        fs::create_dir_all(&user).unwrap();
        fs::write(base.path().join("above/AGENTS.md"), "not of this repository").unwrap();
        fs::write(user.join("AGENTS.md"), "user\n").unwrap();
        fs::write(root.join("AGENTS.md"), "root").unwrap();
        fs::write(deep.join("AGENTS.md"), "deep").unwrap();
        assert_eq!(instructions(&user, &deep), "user\n\ndeep", "without a repository the folder stands alone");
        fs::create_dir(root.join(".git")).unwrap();
        assert_eq!(instructions(&user, &deep), "user\n\nroot\n\ndeep");
    }

    #[test]
    fn a_long_file_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("AGENTS.md"), "x".repeat(100_000)).unwrap();
        assert_eq!(instructions(Path::new("/nonexistent"), folder.path()).len() as u64, LIMIT);
    }
}
