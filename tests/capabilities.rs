//! The table of what is reachable from which language is true, and whole.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

use std::{collections::BTreeSet, fs, path::Path};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// All sources of a folder with an ending, one behind the other.
fn sources(folder: &str, ending: &str) -> String {
    let mut text = String::new();
    let mut folders = vec![Path::new(ROOT).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.to_str().unwrap().to_owned();
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(ending) && !name.contains("test") {
                text += &fs::read_to_string(path).unwrap();
            }
        }
    }
    text
}

/// What a cell names, without those that are explained in words.
fn names(cell: &str) -> impl Iterator<Item = &str> {
    cell.split(", ").filter_map(|name| name.trim().strip_prefix('`')?.strip_suffix('`'))
}

#[test]
fn everything_in_the_table_exists_and_every_function_is_in_it() {
    let table = fs::read_to_string(format!("{ROOT}/bindings/README.md")).unwrap();
    let symbols = fs::read_to_string(format!("{ROOT}/include/libchat.symbols")).unwrap();
    let symbols: BTreeSet<_> = symbols.lines().collect();
    let rust = sources("src", ".rs");
    let go = sources("bindings/go", ".go");
    let python = sources("bindings/python/libchat", ".py");
    let mut listed = BTreeSet::new();
    for row in table.lines().filter(|row| row.starts_with("| `")) {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let &[c, in_rust, in_go, in_python] = &cells[..] else { panic!("{row}") };
        for name in names(c) {
            assert!(symbols.contains(name), "no function {name}");
            listed.insert(name.to_owned());
        }
        for name in names(in_rust) {
            let (item, field) =
                (name.rsplit("::").next().unwrap(), name.rsplit('.').next().unwrap());
            let exists = rust.contains(&format!("pub fn {item}("))
                || rust.contains(&format!("pub {field}: "))
                || (name == "tracing" && rust.contains("tracing::"));
            assert!(exists, "no {name} in Rust");
        }
        for name in names(in_go) {
            let item = name.rsplit('.').next().unwrap();
            let exists = [format!(") {item}("), format!("func {item}("), format!("\t{item} ")];
            assert!(exists.iter().any(|text| go.contains(text)), "no {name} in Go");
        }
        for name in names(in_python) {
            let item = name.rsplit('.').next().unwrap().trim_end_matches("(…)");
            let exists = [
                format!("def {item}("),
                format!("class {item}:"),
                format!("    {item}: "),
                format!("self.{item} = "),
                format!(" {item}: "),
            ];
            assert!(exists.iter().any(|text| python.contains(text)), "no {name} in Python");
        }
    }
    let wanted = symbols.iter().filter(|name| {
        let is_option =
            name.starts_with("chat_config_set_") || name.starts_with("chat_config_add_");
        is_option || name.starts_with("chat_server_")
    });
    let missing: Vec<_> = wanted.filter(|name| !listed.contains(**name)).collect();
    assert!(missing.is_empty(), "not in bindings/README.md: {missing:?}");
}
