//! The Rust version that Cargo.toml promises.

use std::process::Command;

use serde_json::Value;

fn version(package: &Value) -> Option<(u32, u32)> {
    let mut parts = package["rust_version"].as_str()?.split('.').map(|part| part.parse().expect("a number"));
    Some((parts.next()?, parts.next().unwrap_or(0)))
}

#[test]
fn no_dependency_needs_a_newer_rust() {
    let arguments = ["metadata", "--locked", "--offline", "--format-version", "1"];
    let platform = ["--filter-platform", "x86_64-unknown-linux-gnu"];
    let output = Command::new(env!("CARGO")).args(arguments).args(platform).output().expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let ours = packages.iter().find(|package| package["name"] == env!("CARGO_PKG_NAME")).and_then(version);
    assert!(ours.is_some());
    let newer = packages.iter().filter(|package| version(package) > ours).map(|package| &package["name"]);
    assert_eq!(newer.collect::<Vec<_>>(), Vec::<&Value>::new(), "need a newer Rust than {ours:?}");
}
