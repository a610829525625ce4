//! The table of what is reachable from which language is true, and whole.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

use std::{collections::BTreeSet, fs, path::Path};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// What a language has without a name for it.
const WORDS: [&str; 3] = ["drop", "the collector", "none"];

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).unwrap()
}

/// All sources of a folder with an ending, one behind the other; not the tests.
fn sources(folder: &str, ending: &str) -> String {
    let mut text = String::new();
    let mut folders = vec![Path::new(ROOT).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if path.is_dir() && !["tests", "examples", "internal"].contains(&&*name) {
                folders.push(path);
            } else if name.ends_with(ending) && !name.contains("test") {
                text += &without_comments(&fs::read_to_string(path).unwrap());
            }
        }
    }
    text
}

/// A source without the lines that are comments, in any of the languages.
fn without_comments(source: &str) -> String {
    let is_comment =
        |line: &&str| ["//", "#", "/*", "*"].iter().any(|mark| line.trim_start().starts_with(mark));
    let lines = source.lines().filter(|line| !is_comment(line));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// The rows of the table: C, Rust, Go, Python.
fn rows(table: &str) -> Vec<[String; 4]> {
    let rows = table.lines().filter(|row| row.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<_> =
            row.trim_matches('|').split(" | ").map(|it| it.trim().to_owned()).collect();
        <[String; 4]>::try_from(cells).unwrap_or_else(|cells| panic!("not four cells: {cells:?}"))
    })
    .collect()
}

/// What a cell names: at least one thing, or one of the words for none.
fn names(cell: &str) -> Vec<&str> {
    if WORDS.contains(&cell) {
        return Vec::new();
    }
    let names: Option<Vec<_>> =
        cell.split(", ").map(|name| name.trim().strip_prefix('`')?.strip_suffix('`')).collect();
    names.filter(|names| !names.is_empty()).unwrap_or_else(|| panic!("names nothing: {cell:?}"))
}

/// The last part of a name, which is what its definition is found by.
fn item(name: &str) -> &str {
    name.rsplit(['.', ':']).next().unwrap().trim_end_matches("(…)")
}

fn must_have(source: &str, language: &str, name: &str, definitions: &[String]) {
    let exists = definitions.iter().any(|definition| source.contains(definition));
    assert!(exists, "no {name} in {language}: none of {definitions:?}");
}

/// The names behind a marker, as far as they are names.
fn after<'a>(text: &'a str, marker: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(marker).skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        &rest[..end]
    })
}

#[test]
fn what_the_table_names_exists() {
    let (rust, header) = (sources("src", ".rs"), without_comments(&read("include/libchat.h")));
    let go = sources("bindings/go", ".go");
    let python = sources("bindings/python/libchat", ".py");
    for [c, in_rust, in_go, in_python] in &rows(&read("bindings/README.md")) {
        for name in names(c) {
            let definitions =
                [format!("{name}("), format!("{name} = "), format!("uint64_t {name};")];
            must_have(&header, "C", name, &definitions);
        }
        for name in names(in_rust).into_iter().filter(|name| *name != "tracing") {
            let item = item(name);
            let definitions = [
                format!("pub fn {item}("),
                // Of a trait of the standard library.
                format!("    fn {item}("),
                format!("pub const {item}: "),
                format!("pub {item}: "),
                format!("    {item} {{"),
                format!("    {item}("),
                format!("    {item},"),
            ];
            must_have(&rust, "Rust", name, &definitions);
        }
        for name in names(in_go) {
            let item = item(name);
            let definitions = [
                format!(") {item}("),
                format!("func {item}("),
                format!("\t{item} "),
                format!("type {item} "),
                format!("\t{item}, "),
                format!(", {item} "),
                format!(", {item}, "),
            ];
            must_have(&go, "Go", name, &definitions);
        }
        for name in names(in_python) {
            let item = item(name);
            let definitions = [
                format!("def {item}("),
                format!("class {item}:"),
                format!("class {item}("),
                format!("\n    {item}: "),
                format!(" {item}: Optional["),
                format!("\n{item} = "),
                format!("\n{item}: "),
                format!("self.{item} = "),
            ];
            must_have(&python, "Python", name, &definitions);
        }
    }
}

#[test]
fn all_that_c_has_is_in_the_table() {
    let table = read("bindings/README.md");
    let rows = rows(&table);
    let listed: BTreeSet<_> = rows.iter().flat_map(|row| names(&row[0])).collect();
    let (_, only_c) =
        table.split_once("What only C needs:").expect("the list of what only C needs");
    let (only_c, _) = only_c.split_once("\n\n").unwrap_or((only_c, ""));
    let only_c: BTreeSet<_> = after(only_c, "`").filter(|name| !name.is_empty()).collect();
    for symbol in read("include/libchat.symbols").lines() {
        let is_known = listed.contains(symbol) || only_c.contains(symbol);
        assert!(is_known, "{symbol} is not in bindings/README.md");
        assert!(!(listed.contains(symbol) && only_c.contains(symbol)), "{symbol} is there twice");
    }
    let header = read("include/libchat.h");
    for event in after(&header, "  CHAT_EVENT_") {
        let event = format!("CHAT_EVENT_{event}");
        assert!(listed.contains(&*event), "{event} is not in bindings/README.md");
    }
    for status in after(&header, "  CHAT_ERR_") {
        let status = format!("CHAT_ERR_{status}");
        assert!(listed.contains(&*status), "{status} is not in bindings/README.md");
    }
    let (before, _) = header.split_once("} chat_stats;").unwrap();
    let (_, stats) = before.rsplit_once("typedef struct").unwrap();
    for counter in after(stats, "uint64_t ") {
        assert!(listed.contains(counter), "the counter {counter} is not in bindings/README.md");
    }
}

#[test]
fn all_that_rust_has_is_in_the_table() {
    let rows = rows(&read("bindings/README.md"));
    let listed: BTreeSet<_> = rows.iter().flat_map(|row| names(&row[1])).map(item).collect();
    let public =
        ["src/config.rs", "src/server.rs"].map(read).concat() + &sources("src/handle", ".rs");
    // What Rust has of its own: making values, and reaching one server from many places.
    let own = ["new", "handle"];
    for function in after(&public, "pub fn ").filter(|name| !own.contains(name)) {
        assert!(listed.contains(function), "{function} is not in bindings/README.md");
    }
}

#[test]
fn every_error_of_a_language_is_in_the_table() {
    let table = read("bindings/README.md");
    let rows = rows(&table);
    let listed: BTreeSet<_> =
        rows.iter().flat_map(|row| row[1..].iter().flat_map(|cell| names(cell))).collect();
    let rust = without_comments(&read("src/error.rs"));
    let (_, variants) = rust.split_once("pub enum Error {\n").unwrap();
    let (variants, _) = variants.split_once("\n}").unwrap();
    let is_variant =
        |line: &&str| line.starts_with("    ") && line[4..].starts_with(char::is_uppercase);
    let rust = variants.lines().filter(is_variant).map(|line| {
        let name = line.trim().split(['(', '{', ',', ' ']).next().unwrap_or_default();
        format!("Error::{name}")
    });
    let go = read("bindings/go/error.go");
    let go = after(&go, "\tErr").map(|name| format!("Err{name}"));
    let python = read("bindings/python/libchat/errors.py");
    let python = after(&python, "\nclass ").filter(|name| *name != "Error").map(str::to_owned);
    let errors: Vec<_> = rust.chain(go).chain(python).collect();
    assert!(errors.len() > 45, "{errors:?}");
    for error in errors {
        assert!(listed.contains(&*error), "{error} is not in bindings/README.md");
    }
}
