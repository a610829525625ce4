//! The defaults that the documents name are those of the engine: README.md, the C header, the comments in Rust and
//! Go, the docstring in Python. (The program's flags are compared in `src/bin/chat-server/flags.rs`.)

#![allow(clippy::unwrap_used)] // A test reports by panicking.

use std::{collections::BTreeMap, fs};

use chat::Config;

/// A default, whatever its unit: bytes and counts as numbers, times in microseconds, everything else as a word.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Number(u64),
    Micros(u64),
    Word(String),
}

/// A document's defaults, by option.
type Defaults = BTreeMap<String, Value>;

fn read(path: &str) -> String {
    fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// Reads a value as people write it, such as `65,536`, `16 KiB`, `25 s`, or as Rust prints it, such as `15µs`.
fn value(text: &str) -> Value {
    let text = text.trim().trim_matches(['`', '"', '\'', '[', ']', '.']);
    let is_digit = |char: char| char.is_ascii_digit() || char == ',';
    let end = text.find(|char| !is_digit(char)).unwrap_or(text.len());
    let (digits, unit) = (text[..end].replace(',', ""), text[end..].trim());
    let Ok(number) = digits.parse::<u64>() else { return word(text) };
    match unit {
        "" => Value::Number(number),
        "KiB" => Value::Number(number << 10),
        "MiB" => Value::Number(number << 20),
        "ns" => Value::Micros(number / 1000),
        "µs" => Value::Micros(number),
        "ms" => Value::Micros(number * 1000),
        "s" => Value::Micros(number * 1_000_000),
        "h" | "hour" => Value::Micros(number * 3_600_000_000),
        _ => word(text),
    }
}

/// A word without what a language puts before it: `SlowConsumer::Disconnect`, `CHAT_OVERDUE_REFUSE`, `refuse`.
fn word(text: &str) -> Value {
    let last = text.rsplit(['_', ':']).next().unwrap_or(text);
    match if text.contains("127.0.0.1") { text } else { last } {
        "LISTEN" => Value::Word(Config::DEFAULT_LISTEN.to_owned()),
        "zero" => Value::Number(0),
        "MembersOff" => Value::Word("off".to_owned()),
        "" => Value::Word("empty".to_owned()),
        word => Value::Word(word.to_lowercase()),
    }
}

/// Reads the value after a phrase such as `Default: `, up to what qualifies it.
fn value_after(text: &str, phrase: &str) -> Option<Value> {
    let (_, rest) = text.split_once(phrase)?;
    let end = [", ", "; ", ". ", " (", ".\n", "\n"].iter().filter_map(|end| rest.find(end)).min();
    Some(value(&rest[..end.unwrap_or(rest.len())]))
}

/// The defaults of the engine, as a configuration without options shows them.
fn engine() -> Defaults {
    let config = format!("{:?}", Config::new());
    let (_, options) = config.split_once("options: Options { ").unwrap();
    let (options, _) = options.split_once(" }").unwrap();
    let mut defaults: Defaults = options
        .split(", ")
        .map(|option| {
            let (name, default) = option.split_once(": ").unwrap();
            (name.to_owned(), value(default))
        })
        .collect();
    assert!(config.contains("origins: [], "), "{config}");
    defaults.insert("origin".to_owned(), Value::Word("no origin".to_owned()));
    defaults.insert("listen".to_owned(), Value::Word(Config::DEFAULT_LISTEN.to_owned()));
    defaults
}

/// Compares a document with the engine. It may leave out some options.
fn compare(document: &str, found: &Defaults, left_out: &[&str]) {
    let engine = engine();
    for (option, default) in found {
        let expected = engine.get(option).unwrap_or_else(|| panic!("{document}: {option}?"));
        let is_same = match (default, expected) {
            // Zero has no unit.
            (Value::Number(0), Value::Micros(0)) => true,
            (Value::Number(1), Value::Word(word)) => word == "true",
            (Value::Number(0), Value::Word(word)) => word == "false",
            _ => default == expected,
        };
        assert!(is_same, "{document}: {option} is {default:?}, and in the engine {expected:?}");
    }
    let missing: Vec<_> = engine
        .keys()
        .filter(|option| !found.contains_key(*option) && !left_out.contains(&&***option))
        .collect();
    assert!(missing.is_empty(), "{document} does not name the defaults of {missing:?}");
}

/// A comment's text in one line, without the marks of the language.
fn plain(comment: &str) -> String {
    let lines = comment.lines().map(|line| line.trim().trim_start_matches(['/', '*', ' ']));
    lines.collect::<Vec<_>>().join(" ")
}

#[test]
fn the_readmes_name_the_defaults_of_the_engine() {
    let readme = read("README.md");
    let (_, table) = readme.split_once("| option | default | beyond it |\n").unwrap();
    let mut found = Defaults::new();
    for row in table.lines().skip(1).map_while(|line| line.trim().strip_prefix('|')) {
        let cells: Vec<_> = row.split('|').collect();
        let names: Vec<_> = cells[0].split('`').skip(1).step_by(2).collect();
        let defaults: Vec<_> = cells[1].split(", ").collect();
        for (index, name) in names.iter().enumerate() {
            if *name == "origin" {
                continue; // A sentence: programs, and pages from the server's own host and port.
            }
            // `history_messages`, `_size`, `_age`
            let prefix = names[0].split('_').next().unwrap();
            let name = if name.starts_with('_') { &*format!("{prefix}{name}") } else { name };
            found.insert(name.to_owned(), value(defaults[index]));
        }
    }
    let not_bounds = [
        "workers",
        "busy_poll",
        "echo",
        "event_queue",
        "listen",
        "ipv6_only",
        "origin",
        "base_path",
        "members",
        "occupancy",
    ];
    let decisions = ["admission_timeout", "review_timeout", "overdue", "slow_consumer"];
    compare("README.md", &found, &[&not_bounds[..], &decisions].concat());
    let Value::Micros(time) = engine()["busy_poll"] else { panic!("busy_poll is a time") };
    let text = read("bench/README.md").split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains(&format!("polls for its next event for {time} µs before it sleeps")));
}

#[test]
fn the_header_names_the_defaults_of_the_engine() {
    let header = read("include/libchat.h");
    let mut found = Defaults::new();
    for text in header.split("/**").skip(1) {
        let Some((comment, code)) = text.split_once("*/") else { continue };
        let code = code.replace('\n', " ");
        let names = ["chat_config_set_", "chat_config_add_"].map(|prefix| code.split_once(prefix));
        let Some((_, rest)) = names.into_iter().flatten().next() else { continue };
        let (name, parameters) = rest.split_once('(').unwrap();
        let Some(default) = value_after(&plain(comment), "Default: ") else { continue };
        let (parameters, _) = parameters.split_once(')').unwrap();
        let default = match default {
            Value::Number(number) if parameters.ends_with("_ms") => Value::Micros(number * 1000),
            Value::Number(number) if parameters.ends_with("_us") => Value::Micros(number),
            other => other,
        };
        found.insert(name.to_owned(), default);
    }
    for handler in ["event_handler", "log_handler"] {
        assert_eq!(found.remove(handler), Some(Value::Word("no handler".to_owned())));
    }
    compare("include/libchat.h", &found, &[]);
}

#[test]
fn the_comments_in_rust_name_the_defaults_of_the_engine() {
    let source = read("src/config.rs");
    let mut found = Defaults::new();
    let functions: Vec<_> = source.split("    pub fn ").collect();
    for pair in functions.windows(2) {
        let name = pair[1].split('(').next().unwrap();
        let comment = pair[0].rsplit("\n\n").next().unwrap();
        if let Some(default) = value_after(&plain(comment), "Default: ") {
            found.insert(name.to_owned(), default);
        }
    }
    assert_eq!(found.remove("event_handler"), Some(Value::Word("no handler".to_owned())));
    compare("src/config.rs", &found, &[]);
}

#[test]
fn the_comments_in_go_name_the_defaults_of_the_engine() {
    let source = read("bindings/go/options.go");
    let (_, fields) = source.split_once("type Options struct {\n").unwrap();
    let mut found = Defaults::new();
    for field in fields.split("\n\n\t// ").flat_map(|text| text.split("\n\n")) {
        let Some(line) =
            field.lines().find(|line| line.starts_with('\t') && !line.starts_with("\t//"))
        else {
            continue;
        };
        let name = line.split_whitespace().next().unwrap();
        let (start, _) = source.split_once(&format!("\n{line}\n")).unwrap();
        let (_, comment) = start.rsplit_once(&format!("\t// {name} ")).unwrap();
        let comment = plain(comment);
        let default =
            ["Zero means ", "Empty means "].iter().find_map(|it| value_after(&comment, it));
        let snake: String = name
            .replace("TCP", "Tcp")
            .replace("IPv6", "Ipv6")
            .char_indices()
            .flat_map(|(index, char)| {
                let line = (index > 0 && char.is_uppercase()).then_some('_');
                line.into_iter().chain(char.to_lowercase())
            })
            .collect();
        match (&*snake, default) {
            // Sentences: who may connect, what is then done, in place of a value.
            ("origins" | "base_path" | "no_echo" | "ipv6_only" | "logger" | "workers", _) => {}
            (
                "admission_timeout" | "review_timeout" | "event_queue" | "signal_rate",
                Some(Value::Word(text)),
            ) => {
                assert!(text.starts_with("that "), "{name}: {text}");
                found.insert(snake, Value::Number(0));
            }
            (_, Some(default)) => _ = found.insert(snake, default),
            (_, None) => panic!("{name} has no default"),
        }
    }
    compare(
        "bindings/go/options.go",
        &found,
        &["origin", "base_path", "echo", "ipv6_only", "workers"],
    );
}

#[test]
fn the_docstring_in_python_names_the_defaults_of_the_engine() {
    let source = read("bindings/python/libchat/options.py");
    let (_, docstring) = source.split_once("\"\"\"Every option").unwrap();
    let (docstring, _) = docstring.split_once("\"\"\"").unwrap();
    let mut found = Defaults::new();
    for text in docstring.split("\n        ").filter(|text| !text.starts_with(' ')) {
        let Some((name, _)) = text.split_once(": ").filter(|(name, _)| !name.contains(' ')) else {
            continue;
        };
        let (_, rest) = docstring.split_once(&format!("\n        {name}: ")).unwrap();
        let end = rest.find("\n        ").map_or(rest.len(), |_| {
            let next = rest
                .match_indices("\n")
                .find(|(at, _)| !rest[at + 1..].starts_with("            "));
            next.map_or(rest.len(), |(at, _)| at)
        });
        let text = rest[..end].split_whitespace().collect::<Vec<_>>().join(" ");
        let default = value_after(&text, "Default: ").unwrap_or_else(|| panic!("{name}: {text}"));
        found.insert(name.to_owned(), default);
    }
    compare("bindings/python/libchat/options.py", &found, &[]);
}
