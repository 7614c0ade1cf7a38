//! Finds the sources of two dependencies, which hold what the tests read: the reference's fixtures and its vocabulary.

use std::{env, path::Path, process::Command};

fn main() {
    println!("cargo::rerun-if-changed=Cargo.lock");
    let variable = |name| env::var(name).expect("cargo sets it");
    // Only this platform's packages are fetched for a build.
    let output = Command::new(variable("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", &variable("TARGET")])
        .output()
        .expect("cargo metadata");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    for (variable, package, folder) in
        [("FIXTURES", "openai-harmony", "test-data"), ("VOCABULARY", "tiktoken-rs", "assets")]
    {
        let packages = metadata["packages"].as_array().expect("packages");
        let found = packages.iter().find(|found| found["name"] == package).expect("a dependency");
        let manifest = Path::new(found["manifest_path"].as_str().expect("a path"));
        println!("cargo::rustc-env={variable}={}", manifest.with_file_name(folder).display());
    }
}
