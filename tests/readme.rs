//! The programs in README.md and in the bindings' are compiled and run as they stand there.
//!
//! They listen on port 9001, as a reader's do. So that the tests need no fixed port, `bind` takes a free one in its
//! place.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod peer;
mod support;

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use peer::Peer;
use support::{C_FLAGS, LINK_FLAGS, ROOT, compiler, missing, native, python, run, shared};

const TMP: &str = env!("CARGO_TARGET_TMPDIR");

/// A `bind` that takes a free port in place of 9001.
const BIND: &str = r#"
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/syscall.h>
#include <unistd.h>

int bind(int fd, const struct sockaddr *addr, socklen_t len) {
  struct sockaddr_in in = *(const struct sockaddr_in *)addr;
  if (in.sin_family != AF_INET || in.sin_port != htons(9001)) return (int)syscall(SYS_bind, fd, addr, len);
  in.sin_port = 0;
  return (int)syscall(SYS_bind, fd, &in, sizeof in);
}
"#;

/// The blocks of code of a document in a language, in order.
fn blocks(document: &str, language: &str) -> Vec<String> {
    let text = fs::read_to_string(Path::new(ROOT).join(document)).unwrap();
    let start = format!("```{language}\n");
    let blocks = text.split(&*start).skip(1);
    blocks.map(|block| block.split_once("```").unwrap().0.to_owned()).collect()
}

fn the_block(document: &str, language: &str) -> String {
    let [block] = <[_; 1]>::try_from(blocks(document, language)).unwrap();
    block
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(TMP).join("readme").join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// A program that runs; it is killed if a test fails.
struct Program(Child);

impl Program {
    fn start(command: &mut Command, name: &str) -> Self {
        let source = folder(name).join("bind.c");
        let library = source.with_extension("so");
        fs::write(&source, BIND).unwrap();
        run(compiler("CC", "cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]));
        command.env_remove("LD_LIBRARY_PATH").env("LD_PRELOAD", library);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        Self(command.spawn().unwrap_or_else(|error| panic!("{}", missing(command, &error))))
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        BufReader::new(self.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        line
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

#[test]
fn the_c_program_runs_until_enter_and_is_that_of_the_header() {
    let source = folder("c").join("first.c");
    let program = folder("c").join("first");
    let text = the_block("README.md", "c");
    fs::write(&source, &text).unwrap();
    // As the README builds it, with the archive of this build.
    let [build] = &blocks("README.md", "sh")
        .into_iter()
        .filter(|block| block.contains("cc "))
        .collect::<Vec<_>>()[..]
    else {
        panic!("one block of the README builds the C program")
    };
    assert!(build.starts_with("cargo build --release --lib --no-default-features\n"), "{build}");
    let (_, flags) = build.split_once("\ncc ").unwrap();
    let mut command = compiler("CC", "cc");
    command.args(C_FLAGS);
    for flag in flags.split_whitespace() {
        match flag {
            "first.c" => command.arg(&source),
            "target/release/libchat.a" => command.arg(native().join("libchat.a")),
            "first" => command.arg(&program),
            flag => command.arg(flag),
        };
    }
    assert!(LINK_FLAGS.iter().all(|flag| flags.contains(flag)), "{flags}");
    run(&mut command);
    let mut program = Program::start(&mut Command::new(program), "c");
    assert_eq!(program.0.stdin.take().unwrap().write(b"\n").unwrap(), 1);
    assert_eq!(program.line(), "chat at ws://127.0.0.1:9001/ - Enter stops it\n");
    assert!(program.0.wait().unwrap().success());

    let header = fs::read_to_string(Path::new(ROOT).join("include/libchat.h")).unwrap();
    let commented: String = text.lines().map(|line| format!(" * {line}\n")).collect();
    let commented = commented.replace(" * \n", " *\n");
    assert!(header.contains(&commented), "the first program in the header is another one");
}

#[test]
fn the_go_program_runs() {
    let source = folder("go").join("main.go");
    let text = the_block("README.md", "go");
    fs::write(&source, &text).unwrap();
    assert_eq!(run(Command::new("gofmt").arg("-l").arg(&source)), "", "not as gofmt writes it");
    let flags = format!("-L{} {}", native().display(), LINK_FLAGS.join(" "));
    let go = |verb: &str| {
        run(Command::new("go").current_dir(ROOT).arg(verb).arg(&source).env("CGO_LDFLAGS", &flags))
    };
    go("vet");
    let printed = go("run");
    assert!(
        printed.starts_with("chat at ws://127.0.0.1:") && printed.ends_with("/\n"),
        "{printed}"
    );
}

#[test]
fn the_python_programs_serve() {
    for (name, document) in
        [("python", "README.md"), ("python-binding", "bindings/python/README.md")]
    {
        let source = folder(name).join("first.py");
        // The first one. All of the binding's are run by its own tests.
        let text = blocks(document, "python").remove(0);
        fs::write(&source, &text).unwrap();
        let mut command = Command::new(python());
        command.arg("-u").arg(&source).env("PYTHONPATH", format!("{ROOT}/bindings/python"));
        command.env("PYTHONDONTWRITEBYTECODE", "1").env("LIBCHAT_LIBRARY", shared());
        if document == "README.md" {
            let mut program = Program::start(&mut command, name);
            let line = program.line();
            let addr =
                line.trim().strip_prefix("chat at ws://").and_then(|rest| rest.strip_suffix('/'));
            let addr = addr.unwrap_or_else(|| panic!("{line}")).parse().unwrap();
            let mut client = Peer::join(addr, "/?history=1");
            assert_eq!(client.text(), "welcome");
            client.say("salut");
            assert_eq!(client.text(), "salut");
            assert!(program.line().contains("Connected("), "it prints the events");
        } else {
            // It prints nothing: its address is not known.
            run(Command::new(python())
                .args(["-m", "py_compile"])
                .arg(&source)
                .env("PYTHONDONTWRITEBYTECODE", "1"));
        }
    }
}

#[test]
fn the_rust_program_runs_with_the_line_of_cargo_toml() {
    let package = folder("rust");
    fs::create_dir_all(package.join("src")).unwrap();
    fs::write(package.join("src/main.rs"), the_block("README.md", "rust")).unwrap();
    let dependency = the_block("README.md", "toml").replace("\"../libchat\"", &format!("{ROOT:?}"));
    assert!(dependency.contains(ROOT), "{dependency}");
    let manifest = format!(
        "[package]\nname = \"first\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n\
         [dependencies]\n{dependency}"
    );
    fs::write(package.join("Cargo.toml"), manifest).unwrap();
    // The versions that are tested, which are here.
    fs::copy(Path::new(ROOT).join("Cargo.lock"), package.join("Cargo.lock")).unwrap();
    let cargo = env::var("CARGO").unwrap_or_else(|_| env!("CARGO").into());
    let mut command = Command::new(cargo);
    command.current_dir(&package).args(["run", "--quiet", "--offline", "--target-dir"]);
    let printed = run(command.arg(package.join("target")));
    assert!(
        printed.starts_with("chat at ws://127.0.0.1:") && printed.ends_with("/\n"),
        "{printed}"
    );
}
