//! What the Python binding promises, kept: its own tests, in Python, against this build.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod support;

use std::process::Command;

use support::{ROOT, python, run, shared};

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
