//! What the Python binding promises, kept: its own tests, in Python, against this build.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod support;

use std::{fs, path::Path, process::Command, thread};

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
    let entries = fs::read_dir(Path::new(&folder).join("tests")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let files: Vec<_> = names
        .filter(|name| name.starts_with("test_") && name.ends_with(".py"))
        .map(|name| format!("tests/{name}"))
        .collect();
    // They wait more than they work. Those that build the package are in one half.
    let (early, late): (Vec<&str>, Vec<&str>) =
        files.iter().map(|file| &**file).partition(|file| *file < "tests/test_i");
    assert!(!early.is_empty() && !late.is_empty());
    let test = |files: &[&str]| {
        run_python(&[&["-m", "pytest", "-q", "-p", "no:cacheprovider"], files].concat());
    };
    thread::scope(|scope| {
        scope.spawn(|| test(&early));
        test(&late);
    });
    run_python(&["-m", "ruff", "check", "--no-cache", "."]);
    run_python(&["-m", "mypy", "--cache-dir", env!("CARGO_TARGET_TMPDIR")]);
}
