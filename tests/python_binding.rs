//! What the Python binding promises, kept: its own tests, in Python, against this build.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use support::{ROOT, run, shared};

/// A Python with what the tests need, made for them in cargo's folder the first time.
fn python() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python");
    let python = folder.join("bin/python");
    let wanted = format!("{ROOT}/bindings/python/requirements-test.txt");
    let requirements = fs::read_to_string(&wanted).unwrap();
    let stamp = folder.join("requirements");
    if fs::read_to_string(&stamp).ok().as_ref() != Some(&requirements) {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder));
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "-r", &wanted]));
        fs::write(&stamp, requirements).unwrap();
    }
    python
}

#[test]
fn the_binding_keeps_its_promises() {
    let folder = format!("{ROOT}/bindings/python");
    let python = python();
    let run_python = |arguments: &[&str]| {
        run(Command::new(&python)
            .args(arguments)
            .current_dir(&folder)
            .env("PYTHONPATH", &folder)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("LIBCHAT_LIBRARY", shared()))
    };
    run_python(&["-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]);
    run_python(&["-m", "ruff", "check", "--no-cache", "."]);
    run_python(&["-m", "mypy", "--cache-dir", env!("CARGO_TARGET_TMPDIR")]);
}
