//! Imports point down: `src/lib.rs` lists the modules from the ground up, and each imports only from those
//! above it in the list. Nor do files of a module import each other in a circle.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The text of a file without its tests and comments.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("a source file");
    // The tests at the end of the file, and nothing behind them.
    let (before, tests) = text.split_once("#[cfg(test)]\nmod tests {").unwrap_or((&text, ""));
    let after = tests.split_once("\n}\n").map_or("", |(_, after)| after);
    let text = format!("{before}\n{after}");
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    // What only tests import counts for tests.
    let mut kept = Vec::new();
    let mut is_for_tests = false;
    for line in lines {
        if !is_for_tests {
            kept.push(line);
        }
        is_for_tests = line.trim() == "#[cfg(test)]";
    }
    kept.join("\n")
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("a folder").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

fn is_for_tests(path: &Path) -> bool {
    path.iter().any(|part| {
        let part = part.to_string_lossy();
        part == "model_tests" || part == "scripted.rs" || part.ends_with("tests.rs")
    })
}

/// The paths behind a prefix such as `crate::`, each as its first `depth` names; `use` lists are followed.
fn paths(code: &str, prefix: &str, depth: usize) -> BTreeSet<Vec<String>> {
    let mut found = BTreeSet::new();
    let mut rest = code;
    while let Some(at) = rest.find(prefix) {
        let is_whole = !rest[..at].ends_with(|last: char| last.is_alphanumeric() || last == '_');
        rest = &rest[at + prefix.len()..];
        if is_whole {
            follow(rest, &mut Vec::new(), depth, &mut found);
        }
    }
    found
}

/// Adds the names that a path or a list in braces begins with.
fn follow(text: &str, names: &mut Vec<String>, depth: usize, found: &mut BTreeSet<Vec<String>>) {
    let text = text.trim_start();
    if names.len() == depth {
        found.insert(names.clone());
        return;
    }
    if let Some(list) = text.strip_prefix('{') {
        let mut level = 0;
        let mut start = 0;
        for (index, char) in list.char_indices() {
            match char {
                '{' => level += 1,
                '}' if level == 0 => {
                    follow(&list[start..index], names, depth, found);
                    return;
                }
                '}' => level -= 1,
                ',' if level == 0 => {
                    follow(&list[start..index], names, depth, found);
                    start = index + 1;
                }
                _ => {}
            }
        }
        return;
    }
    let end = text.find(|char: char| !char.is_alphanumeric() && char != '_');
    let (name, rest) = text.split_at(end.unwrap_or(text.len()));
    if name.is_empty() || name == "self" {
        if !names.is_empty() {
            found.insert(names.clone());
        }
        return;
    }
    names.push(name.to_owned());
    match rest.strip_prefix("::") {
        Some(rest) => follow(rest, names, depth, found),
        None => _ = found.insert(names.clone()),
    }
    names.pop();
}

/// All that a file names of this crate, each as the names from the crate's root on: by `crate::`, `super::` or
/// `self::`, in a `use` or in an expression.
fn named(own: &[String], code: &str, depth: usize) -> BTreeSet<Vec<String>> {
    let mut found = paths(code, "crate::", depth);
    for (prefix, up) in [("self::", 0), ("super::", 1)] {
        // Deep enough for a chain of `super`, as a path or in a list.
        for names in paths(code, prefix, depth + 3) {
            let further = names.iter().take_while(|name| *name == "super").count();
            let Some(len) = own.len().checked_sub(up + further) else { continue };
            found.insert(own[..len].iter().chain(&names[further..]).cloned().collect());
        }
    }
    found
}

/// The names of a file's module.
fn module_of(path: &Path) -> Vec<String> {
    let relative = path.strip_prefix(source()).expect("a file of src").with_extension("");
    let mut names: Vec<String> =
        relative.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if names.last().is_some_and(|name| name == "mod" || name == "lib") {
        names.pop();
    }
    names
}

/// The names that `lib.rs` passes on, by the module that each is from.
fn passed_on() -> BTreeMap<String, String> {
    let public = paths(&code(&source().join("lib.rs")), "pub use ", 9);
    let pairs = public.into_iter().filter(|path| path.len() > 1);
    pairs.map(|path| (path[path.len() - 1].clone(), path[0].clone())).collect()
}

/// The modules of `lib.rs`, from the ground up.
fn modules() -> Vec<String> {
    let code = code(&source().join("lib.rs"));
    let modules = code.lines().filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'));
    modules.map(str::to_owned).collect()
}

#[test]
fn modules_import_from_those_below_only() {
    let (modules, passed_on) = (modules(), passed_on());
    let floor = |name: &str| modules.iter().position(|module| module == name);
    let mut wrong = Vec::new();
    for path in rust_files(&source()).iter().filter(|path| !is_for_tests(path)) {
        let relative = path.strip_prefix(source()).unwrap();
        let first = relative.iter().next().unwrap().to_string_lossy().into_owned();
        let Some(own) = floor(first.trim_end_matches(".rs")) else { continue };
        let code = code(path);
        for import in named(&module_of(path), &code, 1) {
            // Through the door, it is an import from where the name is from.
            let module = passed_on.get(&import[0]).unwrap_or(&import[0]);
            if floor(module).is_some_and(|other| other > own) {
                wrong.push(format!("{}: {module}", relative.display()));
            }
        }
        for hidden in
            ["crate::*", "crate as ", "crate::{self", "super::{self", "extern crate ", " chat::"]
        {
            if code.contains(hidden) && relative.iter().next().is_some_and(|first| first != "bin") {
                wrong.push(format!("{}: `{hidden}` hides what it imports", relative.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "these import from above:\n{}", wrong.join("\n"));
    assert!(modules.len() > 15, "{modules:?}");
}

#[test]
fn the_c_abi_knows_the_public_api_only() {
    let public = code(&source().join("lib.rs"));
    let exported: BTreeSet<_> =
        paths(&public, "pub use ", 2).into_iter().filter_map(|path| path.get(1).cloned()).collect();
    let mut wrong = Vec::new();
    for path in rust_files(&source().join("ffi")).iter().filter(|path| !is_for_tests(path)) {
        for import in paths(&code(path), "crate::", 2) {
            let is_public = match &import[..] {
                [name] => exported.contains(name) || name == "VERSION",
                [module, name] => {
                    module == "ffi" || exported.contains(module) || {
                        // By its module's name or through the door.
                        exported.contains(name)
                    }
                }
                _ => false,
            };
            if !is_public {
                wrong.push(format!("{}: {}", path.display(), import.join("::")));
            }
        }
    }
    assert!(wrong.is_empty(), "these are not public:\n{}", wrong.join("\n"));
}

/// The file of a module of `src`, named by its path such as `fanout::lane`.
fn file_of(names: &[String]) -> Option<PathBuf> {
    let base = names.iter().fold(source(), |path, name| path.join(name));
    let candidates = [base.with_extension("rs"), base.join("mod.rs")];
    candidates.into_iter().find(|path| path.exists())
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let files: Vec<_> =
        rust_files(&source()).into_iter().filter(|path| !is_for_tests(path)).collect();
    let mut imports: BTreeMap<PathBuf, BTreeSet<PathBuf>> = BTreeMap::new();
    for path in &files {
        for whole in named(&module_of(path), &code(path), 3) {
            let target = (1..=whole.len()).rev().find_map(|len| file_of(&whole[..len]));
            // A folder's own file is its table of contents: what it only names is no import.
            if let Some(target) =
                target.filter(|target| target != path && !target.ends_with("mod.rs"))
            {
                imports.entry(path.clone()).or_default().insert(target);
            }
        }
    }
    let mut done = BTreeSet::new();
    for path in &files {
        let mut trail = Vec::new();
        visit(path, &imports, &mut trail, &mut done);
    }
}

fn visit(
    path: &PathBuf,
    imports: &BTreeMap<PathBuf, BTreeSet<PathBuf>>,
    trail: &mut Vec<PathBuf>,
    done: &mut BTreeSet<PathBuf>,
) {
    assert!(!trail.contains(path), "a circle: {trail:?} and again {path:?}");
    if done.contains(path) {
        return;
    }
    trail.push(path.clone());
    for import in imports.get(path).into_iter().flatten() {
        visit(import, imports, trail, done);
    }
    trail.pop();
    done.insert(path.clone());
}

#[test]
fn an_import_is_found_however_it_is_written() {
    let own = ["rooms", "room"].map(str::to_owned);
    for (code, expected) in [
        ("use crate::server::Server;", "server"),
        ("use crate::{\n    frame::Kind,\n    server::{Parts, Server},\n};", "server"),
        ("fn f() {\n    use crate::server;\n}", "server"),
        ("let it = crate::server::start();", "server"),
        ("macro_rules! it { () => { $crate::server::start() }; }", "server"),
        ("use super::super::server::Server;", "server"),
        ("let it = super::super::server::start();", "server"),
        ("use super::{super::server::Server, client};", "server"),
        ("use crate::Server;", "Server"),
    ] {
        let found: BTreeSet<_> =
            named(&own, code, 1).into_iter().map(|path| path[0].clone()).collect();
        assert!(found.contains(expected), "{code}: {found:?}");
    }
    assert_eq!(passed_on().get("Server").map(String::as_str), Some("server"));
    assert_eq!(passed_on().get("Config").map(String::as_str), Some("config"));
}
