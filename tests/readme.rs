//! The programs in README.md and in the bindings' are compiled and run as they stand there.
//!
//! They listen on port 9001, as a reader's do. So that the tests need no fixed port, `bind` takes a free one in its
//! place.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod peer;
mod support;

use std::{
    env, fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use peer::{Peer, eventually};
use support::{C_FLAGS, LINK_FLAGS, ROOT, compiler, missing, native, python, run, shared};

const TMP: &str = env!("CARGO_TARGET_TMPDIR");

/// A `bind` that takes a free port in place of 9001, and a `listen` that writes the port into a file.
const BIND: &str = r#"
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int bind(int fd, const struct sockaddr *addr, socklen_t len) {
  struct sockaddr_in in = *(const struct sockaddr_in *)addr;
  if (in.sin_family != AF_INET || in.sin_port != htons(9001)) return (int)syscall(SYS_bind, fd, addr, len);
  in.sin_port = 0;
  return (int)syscall(SYS_bind, fd, &in, sizeof in);
}

int listen(int fd, int backlog) {
  struct sockaddr_in in = {0};
  socklen_t len = sizeof in;
  if (syscall(SYS_listen, fd, backlog) || getsockname(fd, (struct sockaddr *)&in, &len)) return -1;
  FILE *file = fopen(getenv("PORT_FILE"), "w");
  if (!file) return -1;
  fprintf(file, "%d\n", ntohs(in.sin_port));
  return fclose(file);
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
struct Program {
    child: Child,
    port_file: PathBuf,
}

impl Program {
    fn start(command: &mut Command, name: &str) -> Self {
        let source = folder(name).join("bind.c");
        let library = source.with_extension("so");
        fs::write(&source, BIND).unwrap();
        run(compiler("CC", "cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]));
        let port_file = source.with_extension("port");
        _ = fs::remove_file(&port_file);
        command.env_remove("LD_LIBRARY_PATH").env("LD_PRELOAD", library);
        command.env("PORT_FILE", &port_file).stdout(Stdio::piped());
        let child = command.spawn().unwrap_or_else(|error| panic!("{}", missing(command, &error)));
        Self { child, port_file }
    }

    /// Returns the address that it listens on.
    fn addr(&self) -> SocketAddr {
        let mut port = String::new();
        eventually("it listens", || {
            port = fs::read_to_string(&self.port_file).unwrap_or_default();
            port.ends_with('\n')
        });
        SocketAddr::from(([127, 0, 0, 1], port.trim().parse().unwrap()))
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        BufReader::new(self.child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        line
    }

    /// Chats with it, whatever else it says, and interrupts it: then it ends cleanly, and tells the client.
    fn serves_until_ctrl_c(&mut self) {
        let mut client = Peer::join(self.addr(), "/");
        client.say("salut");
        while client.text() != "salut" {}
        run(Command::new("kill").args(["-INT", &self.child.id().to_string()]));
        assert_eq!(client.until_closed().1, 1001);
        client.answer_close(1001);
        assert!(self.child.wait().unwrap().success(), "Ctrl-C stops it cleanly");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Compiles a program of a document with the flags of the block that builds it there, with the archive of this build.
fn build_c(document: &str, text: &str, name: &str) -> PathBuf {
    let source = folder(name).join(format!("{name}.c"));
    let program = folder(name).join(name);
    fs::write(&source, text).unwrap();
    let build = blocks(document, "sh").into_iter().find(|block| block.contains("\ncc -I")).unwrap();
    assert!(
        build.starts_with("cargo build --release --lib --no-default-features --features http\n"),
        "{build}"
    );
    let flags = build.lines().find_map(|line| line.strip_prefix("cc ")).unwrap();
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
    program
}

#[test]
fn the_c_programs_run_until_ctrl_c_and_the_first_is_that_of_the_header() {
    let first = the_block("README.md", "c");
    let [same, greet] = <[_; 2]>::try_from(blocks("bindings/c/README.md", "c")).unwrap();
    assert_eq!(first, same, "the first program of bindings/c/README.md is another one");
    for (document, text, name) in
        [("README.md", &first, "first"), ("bindings/c/README.md", &greet, "greet")]
    {
        let program = build_c(document, text, name);
        let mut program = Program::start(&mut Command::new(program), name);
        if name == "greet" {
            let mut client = Peer::join(program.addr(), "/");
            let own = client.stream.local_addr().unwrap();
            assert_eq!(client.text(), format!("{own} has connected"));
            client.leave();
        }
        program.serves_until_ctrl_c();
    }

    let header = fs::read_to_string(Path::new(ROOT).join("include/libchat.h")).unwrap();
    let commented: String = first.lines().map(|line| format!(" * {line}\n")).collect();
    let commented = commented.replace(" * \n", " *\n");
    assert!(header.contains(&commented), "the first program in the header is another one");
}

#[test]
fn the_go_program_runs_until_ctrl_c() {
    // Go takes no package of its module from a folder with such a name.
    let source = folder("_go").join("main.go");
    let text = the_block("README.md", "go");
    fs::write(&source, &text).unwrap();
    assert_eq!(run(Command::new("gofmt").arg("-l").arg(&source)), "", "not as gofmt writes it");
    let program = source.with_file_name("first");
    let flags = format!("-L{} {}", native().display(), LINK_FLAGS.join(" "));
    let go = |args: &[&str]| {
        run(Command::new("go").current_dir(ROOT).args(args).arg(&source).env("CGO_LDFLAGS", &flags))
    };
    go(&["vet"]);
    go(&["build", "-o", program.to_str().unwrap()]);
    Program::start(&mut Command::new(program), "_go").serves_until_ctrl_c();
}

#[test]
fn the_python_program_prints_events_and_runs_until_ctrl_c() {
    // Those of the binding are run by its own tests.
    let source = folder("python").join("first.py");
    fs::write(&source, the_block("README.md", "python")).unwrap();
    let mut command = Command::new(python());
    command.arg("-u").arg(&source).env("PYTHONPATH", format!("{ROOT}/bindings/python"));
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("LIBCHAT_LIBRARY", shared());
    let mut program = Program::start(&mut command, "python");
    assert!(program.line().starts_with("chat at ws://127.0.0.1:"));
    // It prints events once it waits for Ctrl-C.
    let client = Peer::join(program.addr(), "/");
    assert!(program.line().starts_with("Connected("), "it prints the events");
    client.leave();
    program.serves_until_ctrl_c();
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
    command.current_dir(&package).args(["build", "--quiet", "--offline", "--target-dir"]);
    run(command.arg(package.join("target")));
    let mut command = Command::new(package.join("target/debug/first"));
    Program::start(&mut command, "rust").serves_until_ctrl_c();
}
