//! What a Go programmer does first works, as bindings/go/README.md says: in a fresh clone, in a module beside it,
//! and vendored; without a variable and without a network. What is missing is said.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod peer;
mod support;

use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use peer::{Peer, eventually};
use support::{ROOT, missing, native, run};

const README: &str = "bindings/go/README.md";
const MISSING: &str = "libchat.a: run `cargo build --release --lib --no-default-features --features http` in libchat's folder";

/// The blocks of code of the README in a language, in order.
fn blocks(language: &str) -> Vec<String> {
    let text = fs::read_to_string(Path::new(ROOT).join(README)).unwrap();
    let start = format!("```{language}\n");
    let blocks = text.split(&*start).skip(1);
    blocks.map(|block| block.split_once("```").unwrap().0.to_owned()).collect()
}

/// The one block of commands in which this occurs.
fn commands(part: &str) -> String {
    let found: Vec<_> = blocks("sh").into_iter().filter(|block| block.contains(part)).collect();
    let [block] = <[_; 1]>::try_from(found).unwrap();
    block
}

/// A folder with what git has of libchat for Go, in `libchat`. What was in the folder before is gone. The archive's
/// hash is in the path, since Go does not notice that an archive has changed.
fn clone(name: &str) -> PathBuf {
    let hash = native().file_name().unwrap().to_str().unwrap();
    let folders = Path::new(env!("CARGO_TARGET_TMPDIR")).join("go-modules").join(name);
    _ = fs::remove_dir_all(&folders);
    let folder = folders.join(hash);
    let mut git = Command::new("git");
    git.current_dir(ROOT).args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
        "--",
    ]);
    let files = run(git.args(["go.mod", "go.sum", "include", "bindings/go", "go-client"]));
    for file in files.split_terminator('\0').filter(|file| Path::new(ROOT).join(file).exists()) {
        let copy = folder.join("libchat").join(file);
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(Path::new(ROOT).join(file), copy).unwrap();
    }
    folder
}

/// Commands in a folder, as a reader would run them. Cargo is one that only has the archive: the real one takes a
/// minute. Nothing comes from a network.
fn shell(folder: &Path, commands: &str) -> Command {
    let programs = folder.join(".programs");
    let cargo = format!(
        "#!/bin/sh\n[ \"$*\" = 'build --release --lib --no-default-features --features http' ] || exit 1\n\
         mkdir -p target/release && cp '{}/libchat.a' target/release/\n",
        native().display()
    );
    fs::create_dir_all(&programs).unwrap();
    fs::write(programs.join("cargo"), cargo).unwrap();
    fs::set_permissions(programs.join("cargo"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    // Ctrl-C reaches the shell too, which then waits for the program.
    shell.current_dir(folder).args(["-euc", &format!("trap : INT\n{commands}")]).env("PATH", path);
    shell.env_remove("CGO_LDFLAGS").env_remove("LD_LIBRARY_PATH");
    shell.envs([("GOPROXY", "off"), ("GOWORK", "off"), ("GONOSUMDB", "*")]);
    shell
}

fn fails(command: &mut Command) -> String {
    let Output { status, stderr, .. } =
        command.output().unwrap_or_else(|error| panic!("{}", missing(command, &error)));
    assert!(!status.success(), "{command:?} succeeded");
    String::from_utf8(stderr).unwrap()
}

/// Programs that serve until Ctrl-C, in a process group of their own, which is killed if a test fails.
struct Serving(Child);

impl Serving {
    /// Starts the programs, and reads the address that the line on standard output has between these.
    fn start(command: &mut Command, before: &str, after: &str) -> (Self, SocketAddr) {
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut serving = Self(command.spawn().unwrap());
        let mut line = String::new();
        BufReader::new(serving.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address =
            line.trim_end().strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
        let address = address.unwrap_or_else(|| panic!("it says {line:?}")).parse().unwrap();
        (serving, address)
    }

    fn signal(&self, name: &str) -> bool {
        let group = format!("-{}", self.0.id());
        Command::new("kill")
            .args([name, "--", &group])
            .stderr(Stdio::null())
            .status()
            .unwrap()
            .success()
    }

    /// Waits for the end, and says whether it was a good one. `go run` says no after each Ctrl-C.
    fn ends_well(mut self) -> bool {
        let mut status = None;
        eventually("the end of the program", || {
            status = self.0.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap().success()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.signal("-KILL");
        _ = self.0.wait();
    }
}

/// The README's first program as `main.go`, on a free port instead of the one that it names.
fn write_first_program(folder: &Path) {
    let [program] = <[_; 1]>::try_from(blocks("go")).unwrap();
    let options = "chat.Options{}";
    assert_eq!(program.matches(options).count(), 1, "{program}");
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("main.go"), &program).unwrap();
    assert_eq!(run(Command::new("gofmt").arg("-l").arg(folder)), "", "not as gofmt writes it");
    let free = program.replace(options, r#"chat.Options{Listen: []string{"127.0.0.1:0"}}"#);
    fs::write(folder.join("main.go"), free).unwrap();
}

/// The README's first program serves, and ends on Ctrl-C; says whether it ends well.
fn serves(program: &mut Command) -> bool {
    let (serving, addr) = Serving::start(program, "chat at ws://", "/ - Ctrl-C stops it");
    let mut client = Peer::join(addr, "/?history=1");
    assert_eq!(client.text(), "welcome");
    client.say("salut");
    assert_eq!(client.text(), "salut");
    assert!(serving.signal("-INT"));
    assert_eq!(client.closed().0, 1001);
    client.answer_close(1001);
    serving.ends_well()
}

#[test]
fn the_commands_of_a_fresh_clone_end_in_a_program_that_serves() {
    let clone = clone("clone").join("libchat");
    let commands = commands("examples/signin");
    let commands = commands.trim_end();
    assert!(commands.ends_with("go run ./bindings/go/examples/signin"), "{commands}");
    let commands = format!("{commands} -listen=127.0.0.1:0");
    let after = "/ in two browsers; Ctrl-C ends the program";
    let (serving, addr) = Serving::start(&mut shell(&clone, &commands), "open http://", after);
    let mut client = Peer::connect(addr);
    client.write(format!("GET / HTTP/1.1\r\nHost: {addr}\r\n\r\n").as_bytes());
    let answer = client.response();
    assert!(answer.status == 200 && answer.body.contains("Sign in"), "{answer:?}");
    assert!(serving.signal("-INT"));
    drop(client);
    serving.ends_well();
}

#[test]
fn a_module_beside_the_clone_is_built_and_vendored_without_a_variable_and_a_network() {
    let folder = clone("module");
    let module = folder.join("chat");
    write_first_program(&module);
    let commands_of_module = commands("-replace=");
    assert!(commands_of_module.ends_with("\ngo run .\n"), "{commands_of_module}");
    serves(&mut shell(&module, &commands_of_module));
    // Tidying keeps what the README's commands have written. It looks at what libchat's own tests need.
    support::go(&["mod", "download"]);
    let written = fs::read_to_string(module.join("go.mod")).unwrap();
    run(&mut shell(&module, "go mod tidy"));
    assert_eq!(fs::read_to_string(module.join("go.mod")).unwrap(), written);

    run(&mut shell(&module, &commands("go mod vendor")));
    assert!(serves(&mut Command::new(module.join("chat"))));
    let size = fs::metadata(module.join("chat")).unwrap().len();
    // What Go's packages embed is there for their hash alone.
    assert!(size < fs::metadata(native().join("libchat.a")).unwrap().len(), "{size} bytes");
    fs::rename(folder.join("libchat"), folder.join("gone")).unwrap();
    run(&mut shell(&module, "go vet . && go build -o alone"));
    assert!(serves(&mut Command::new(module.join("alone"))));

    // Go notices that the archive or the header has changed.
    let archive = module.join("vendor/libchat/bindings/go/archive/libchat.a");
    fs::write(&archive, "INPUT(changed)").unwrap();
    let error = fails(&mut shell(&module, "go build -o alone"));
    assert!(error.contains("changed"), "{error}");
    fs::remove_file(&archive).unwrap();
    let error = fails(&mut shell(&module, "go build -o alone"));
    assert!(error.contains(MISSING), "{error}");
    let header = module.join("vendor/libchat/include/libchat.h");
    fs::write(&header, fs::read_to_string(&header).unwrap() + "#error changed\n").unwrap();
    let error = fails(&mut shell(&module, "go build -o alone"));
    assert!(error.contains("#error changed"), "{error}");
}

#[test]
fn a_missing_archive_is_named_with_what_to_build_and_found_once_it_is_built() {
    let clone = clone("missing").join("libchat");
    let build_example = "go build -o signin ./bindings/go/examples/signin";
    let error = fails(&mut shell(&clone, build_example));
    assert!(error.contains(MISSING), "{error}");
    // Where `cargo build` puts it, and where `cargo run` leaves it.
    for folder in ["target/release", "target/release/deps"] {
        let archive = clone.join(folder).join("libchat.a");
        fs::create_dir_all(archive.parent().unwrap()).unwrap();
        fs::copy(native().join("libchat.a"), &archive).unwrap();
        run(&mut shell(&clone, build_example));
        fs::remove_file(&archive).unwrap();
        fs::remove_file(clone.join("signin")).unwrap();
    }
    // A folder that is named comes first.
    let other = clone.join("other");
    fs::create_dir_all(&other).unwrap();
    fs::write(other.join("libchat.a"), "INPUT(the-named-one)").unwrap();
    let named = format!("CGO_LDFLAGS=-L'{}' {build_example}", other.display());
    let error = fails(&mut shell(&clone, &named));
    assert!(error.contains("the-named-one"), "{error}");
}
