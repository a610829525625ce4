//! What the tests of the JSON form share: a client that reads objects, the programs that check and recover, and a relay
//! that cuts connections.

#![allow(dead_code, reason = "each test program uses its own part")]
#![allow(clippy::unwrap_used)] // A test reports by panicking.

pub(crate) mod program;
pub(crate) mod relay;

use std::{
    cell::RefCell,
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::SystemTime,
};

use serde_json::Value;

use crate::{
    peer::Peer,
    support::{ROOT, missing, python, run},
};

/// Every object that the server has sent to the clients of a test, as text.
#[derive(Debug, Default)]
pub(crate) struct Seen(RefCell<Vec<String>>);

/// A client of the JSON form.
#[derive(Debug)]
pub(crate) struct Client<'s> {
    pub(crate) peer: Peer,
    seen: &'s Seen,
}

impl Seen {
    /// Connects a client, which offers the subprotocol.
    pub(crate) fn join(&self, addr: SocketAddr, path: &str) -> Client<'_> {
        let mut peer = Peer::connect(addr);
        let response = peer.upgrade(path, &["Sec-WebSocket-Protocol: chat, libchat.json"]);
        assert_eq!(response.status, 101, "{path}: {response:?}");
        assert_eq!(response.header("Sec-WebSocket-Protocol"), Some("libchat.json"));
        Client { peer, seen: self }
    }

    /// Notes an object that came otherwise.
    pub(crate) fn note(&self, text: String) {
        self.0.borrow_mut().push(text);
    }

    /// Holds every object against the schema. Returns what was seen, sorted: types, fields as `type.field`, and the
    /// values of `code` and `reason` where they are words of the wire.
    pub(crate) fn check(&self) -> Vec<String> {
        check("server", &self.0.borrow().join("\n"))
    }
}

impl Client<'_> {
    /// Reads the next object.
    pub(crate) fn object(&mut self) -> Value {
        let text = self.peer.text();
        let object = serde_json::from_str(&text).unwrap_or_else(|why| panic!("{why}: {text}"));
        self.seen.0.borrow_mut().push(text);
        object
    }

    /// Reads objects up to the first of a type.
    pub(crate) fn find(&mut self, kind: &str) -> Value {
        loop {
            let object = self.object();
            if object["type"] == kind {
                return object;
            }
        }
    }

    /// Sends an object, and reads up to the next one of a type.
    pub(crate) fn ask(&mut self, object: &str, kind: &str) -> Value {
        self.peer.say(object);
        self.find(kind)
    }
}

/// Holds objects, one a line, against a definition of the schema; fails with the first that does not fit, and with a
/// field that the schema does not name.
pub(crate) fn check(definition: &str, lines: &str) -> Vec<String> {
    run_check("fits", definition, lines).lines().map(Into::into).collect()
}

/// The same, but none of the objects may fit.
pub(crate) fn check_none(definition: &str, lines: &str) {
    run_check("none", definition, lines);
}

fn run_check(mode: &str, definition: &str, lines: &str) -> String {
    let file = scratch(&format!("{mode}-{definition}-{:?}", std::thread::current().id()));
    fs::write(&file, lines).unwrap();
    let mut command = Command::new(the_python());
    let program = format!("{ROOT}/tests/wire/check.py");
    let schema = format!("{ROOT}/docs/wire.schema.json");
    let printed = run(command.args([&program, &schema, mode, definition]).arg(&file));
    fs::remove_file(file).unwrap();
    printed
}

/// The blocks of code of docs/wire.md in a language, in order, up to a heading.
pub(crate) fn blocks(language: &str, between: (&str, &str)) -> Vec<String> {
    let text = fs::read_to_string(format!("{ROOT}/docs/wire.md")).unwrap();
    let (_, text) = text.split_once(between.0).unwrap();
    let (text, _) = text.split_once(between.1).unwrap();
    let start = format!("\n```{language}\n");
    let blocks = text.split(&*start).skip(1);
    blocks.map(|block| block.split_once("\n```").unwrap().0.to_owned()).collect()
}

/// The JavaScript of docs/wire.md that recovers.
pub(crate) fn recovering_javascript() -> String {
    blocks("js", ("\n## Thirty lines", "\nWhat it does not do")).swap_remove(0)
}

/// A file of this test program in cargo's folder.
pub(crate) fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("wire");
    fs::create_dir_all(&folder).unwrap();
    folder.join(format!("{name}-{}", std::process::id()))
}

/// The Python of the tests, which two tests must not make at once.
pub(crate) fn the_python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(python)
}

/// A command of Node.js in which WebSocket is there: Node.js 20 has it behind a flag.
pub(crate) fn node() -> Command {
    let mut node = Command::new("node");
    node.args(["--experimental-websocket", "--no-warnings"]);
    let mut trial = Command::new("node");
    let trial = trial.args(["--experimental-websocket", "--no-warnings", "-e", "new WebSocket"]);
    let output = trial.output().unwrap_or_else(|error| panic!("{}", missing(trial, &error)));
    let text = String::from_utf8_lossy(&output.stderr);
    // It is there if it complains that it has no address.
    assert!(text.contains("TypeError"), "node is too old: install Node.js 20.10 or newer\n{text}");
    node
}

/// A folder with the packages that the JavaScript of the tests wants, made for them in cargo's folder the first time.
pub(crate) fn node_packages() -> PathBuf {
    static PACKAGES: OnceLock<()> = OnceLock::new();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("node");
    PACKAGES.get_or_init(|| {
        let wanted = ["package.json", "package-lock.json"];
        let of = |name: &str| fs::read_to_string(format!("{ROOT}/tests/wire/node/{name}")).unwrap();
        let stamp = folder.join("installed");
        if fs::read_to_string(&stamp).ok() == Some(of(wanted[1])) {
            return;
        }
        fs::create_dir_all(&folder).unwrap();
        wanted.iter().for_each(|name| fs::write(folder.join(name), of(name)).unwrap());
        let mut npm = Command::new("npm");
        run(npm.args(["ci", "--silent", "--no-audit", "--no-fund"]).current_dir(&folder));
        fs::write(stamp, of(wanted[1])).unwrap();
    });
    folder.join("node_modules")
}

/// Random numbers (splitmix64) from a seed, which is printed: `WIRE_SEED` repeats a run.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new() -> Self {
        let seed = match env::var("WIRE_SEED") {
            Ok(seed) => seed.parse().expect("WIRE_SEED is a number"),
            Err(_) => {
                let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
                now.subsec_nanos().into()
            }
        };
        eprintln!("WIRE_SEED={seed}");
        Self(seed)
    }

    /// Another sequence of the same run.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.below(u64::MAX))
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }
}
