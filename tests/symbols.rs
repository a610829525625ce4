//! The library exports the functions of its header and nothing else.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod support;

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use support::{ROOT, run, shared};

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).unwrap()
}

#[test]
fn the_library_exports_the_listed_symbols_and_no_others() {
    let symbols = run(Command::new("nm").args(["-D", "--defined-only", "-P"]).arg(shared()));
    let exported: BTreeSet<_> =
        symbols.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let listed = read("include/libchat.symbols");
    let listed: Vec<_> = listed.lines().collect();
    assert!(listed.is_sorted(), "include/libchat.symbols is not sorted");
    let missing: Vec<_> = listed.iter().filter(|name| !exported.contains(*name)).collect();
    let unlisted: Vec<_> = exported.iter().filter(|name| !listed.contains(name)).collect();
    assert!(
        missing.is_empty() && unlisted.is_empty(),
        "removed, which breaks hosts: {missing:?}; to be added to include/libchat.symbols: {unlisted:?}"
    );
}

#[test]
fn the_header_declares_every_exported_function() {
    let header = read("include/libchat.h");
    for name in read("include/libchat.symbols").lines() {
        assert!(header.contains(&format!("{name}(")), "{name} is not in include/libchat.h");
    }
}

#[test]
fn every_function_whose_first_argument_is_a_pointer_is_tried_with_null() {
    let header = read("include/libchat.h");
    // Without the comments, which mention functions too.
    let code = header.lines().filter(|line| !line.trim_start().starts_with('*'));
    let header: String = code.flat_map(|line| [line, "\n"]).collect();
    let tries = read("tests/c/arguments.c");
    for name in read("include/libchat.symbols").lines() {
        let (_, declaration) = header.split_once(&format!("{name}(")).unwrap();
        let (parameters, _) = declaration.split_once(')').unwrap();
        let is_tried = tries.contains(&format!("{name}(NULL"));
        assert!(
            is_tried || !parameters.contains('*'),
            "{name} is not tried in tests/c/arguments.c"
        );
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_library_is_never_unloaded() {
    let dynamic = run(Command::new("readelf").args(["-d", "-W"]).arg(shared()));
    assert!(dynamic.contains("NODELETE"), "{dynamic}");
}
