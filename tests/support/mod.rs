//! What the tests share: the native library as it ships, and programs in C and Go that use it.
//!
//! Use it with `mod support;`. A missing compiler fails the test with a line that says what to
//! install.

#![allow(dead_code)] // Each test uses a part of it.
#![allow(clippy::unwrap_used)] // A test reports by panicking.

use std::{
    collections::hash_map::DefaultHasher,
    env, fs,
    hash::{Hash, Hasher},
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
    time::{Duration, SystemTime},
};

/// The package's folder.
pub(crate) const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// What a program needs besides `libchat.a`, as it is documented.
pub(crate) const LINK_FLAGS: [&str; 3] = ["-lm", "-ldl", "-lpthread"];

/// What every C program is compiled with.
pub(crate) const C_FLAGS: [&str; 6] =
    ["-std=c11", "-Wall", "-Wextra", "-pedantic", "-Werror", "-g"];

const TMP: &str = env!("CARGO_TARGET_TMPDIR");

/// The folder with this build's `libchat.a` and nothing else. Its name is the archive's hash: Go
/// does not notice that an archive has changed, but does notice another folder.
pub(crate) fn native() -> &'static Path {
    &library().folder
}

/// This build's `libchat.so`.
pub(crate) fn shared() -> &'static Path {
    &library().shared
}

/// Compiles a C program, whose path is relative to the package, with all warnings as errors, linked
/// with the native library; tells where the program is.
pub(crate) fn cc(source: &str) -> PathBuf {
    let program = output(source);
    let mut command = compiler("CC", "cc");
    command.args(C_FLAGS).arg("-Wl,--gc-sections").arg(source).arg(native().join("libchat.a"));
    run(command.args(LINK_FLAGS).arg("-o").arg(&program.partial));
    program.finish()
}

/// A C or C++ compiler in the package's folder, which finds libchat's header and the tests' own.
pub(crate) fn compiler(variable: &str, default: &str) -> Command {
    let mut command = Command::new(env::var(variable).unwrap_or_else(|_| default.into()));
    command.current_dir(ROOT).args(["-Iinclude", "-Itests/c"]);
    command
}

/// Runs `go` in the package's folder with the native library, and returns what it printed.
pub(crate) fn go(args: &[&str]) -> String {
    go_with(&[], args)
}

/// As `go`, with further variables in its environment.
pub(crate) fn go_with(environment: &[(&str, &str)], args: &[&str]) -> String {
    let flags = format!("-L{} {}", native().display(), LINK_FLAGS.join(" "));
    let mut command = Command::new("go");
    command.current_dir(ROOT).args(args).env("CGO_LDFLAGS", flags);
    run(command.envs(environment.iter().copied()))
}

/// A Python with what the tests need, made for them in cargo's folder the first time.
pub(crate) fn python() -> PathBuf {
    let folder = Path::new(TMP).join("python");
    let python = folder.join("bin/python");
    let wanted = format!("{ROOT}/bindings/python/requirements-test.txt");
    let requirements = fs::read_to_string(&wanted).unwrap();
    let stamp = folder.join("requirements");
    if fs::read_to_string(&stamp).ok().as_ref() != Some(&requirements) {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder));
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "-r", &wanted]));
        fs::write(&stamp, requirements).unwrap();
    }
    python
}

/// Runs a command to its end and returns its standard output; fails with all of its output.
pub(crate) fn run(command: &mut Command) -> String {
    // cargo puts its own folder there, in which yesterday's libchat.so may lie.
    command.env_remove("LD_LIBRARY_PATH").stdin(Stdio::null());
    let output = command.output().unwrap_or_else(|error| panic!("{}", missing(command, &error)));
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?}\n{}\n--- stdout\n{stdout}\n--- stderr\n{stderr}",
        output.status
    );
    stdout
}

/// Why a command could not be started, and what to do about it.
pub(crate) fn missing(command: &Command, error: &io::Error) -> String {
    let program = command.get_program().to_string_lossy();
    let advice = match program.as_ref() {
        _ if error.kind() != io::ErrorKind::NotFound => "",
        "cc" | "gcc" => ": install a C compiler (Debian: apt-get install gcc)",
        "c++" | "g++" => ": install a C++ compiler (Debian: apt-get install g++)",
        "nm" => ": install the binary utilities (Debian: apt-get install binutils)",
        "go" => ": install Go 1.24 or later (https://go.dev/dl)",
        "node" => ": install Node.js 20.10 or newer (https://nodejs.org)",
        "npm" => ": install npm, which comes with Node.js (https://nodejs.org)",
        "curl" => ": install curl (Debian: apt-get install curl)",
        "git" => ": install git (Debian: apt-get install git)",
        "python3" => {
            ": install Python 3.9 or later with venv (Debian: apt-get install python3-venv)"
        }
        _ => ": install it",
    };
    format!("cannot run {program}: {error}{advice}")
}

/// A file that appears under its name only when it is complete: another test may be using the one
/// before.
pub(crate) struct Output {
    pub(crate) partial: PathBuf,
    path: PathBuf,
}

/// Where the program that is made of a source file goes.
pub(crate) fn output(source: &str) -> Output {
    let folder = Path::new(TMP).join("programs");
    fs::create_dir_all(&folder).unwrap();
    let name = source.replace(['/', '.'], "-");
    let partial =
        folder.join(format!("{name}.{}.{:?}", std::process::id(), std::thread::current().id()));
    Output { partial, path: folder.join(name) }
}

impl Output {
    pub(crate) fn finish(self) -> PathBuf {
        fs::rename(&self.partial, &self.path).unwrap();
        self.path
    }
}

struct Library {
    folder: PathBuf,
    shared: PathBuf,
}

fn library() -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let artifacts = build();
        let artifact = |extension: &str| {
            let found =
                artifacts.iter().find(|path| path.extension().is_some_and(|e| e == extension));
            found.cloned().unwrap_or_else(|| panic!("no .{extension} among {artifacts:?}"))
        };
        Library { folder: keep(&artifact("a")), shared: artifact("so") }
    })
}

/// A cargo command on the library that ships, which is without the other default features. It has a
/// folder of its own: cargo gives the libraries of all features one file name, and so would leave
/// the wrong one to the next test.
pub(crate) fn cargo(command: &str) -> Command {
    let mut cargo = Command::new(env::var("CARGO").unwrap_or_else(|_| env!("CARGO").into()));
    cargo.current_dir(ROOT).args([
        command,
        "--lib",
        "--no-default-features",
        "--features",
        "http",
        "--target-dir",
    ]);
    cargo.arg(Path::new(TMP).join("native"));
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    cargo
}

/// Builds the library and returns its files, whose names are not to be guessed.
fn build() -> Vec<PathBuf> {
    let messages = run(cargo("build").arg("--message-format=json-render-diagnostics"));
    let mut artifacts = Vec::new();
    for line in messages.lines() {
        let Ok(message) = serde_json::from_str::<serde_json::Value>(line) else { continue };
        if message["reason"] != "compiler-artifact" || message["target"]["name"] != "chat" {
            continue;
        }
        let files = message["filenames"].as_array().into_iter().flatten();
        artifacts.extend(files.filter_map(|file| file.as_str()).map(PathBuf::from));
    }
    artifacts
}

/// Copies an archive to a folder that is named by its hash.
fn keep(archive: &Path) -> PathBuf {
    let bytes = fs::read(archive).unwrap();
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    let folders = Path::new(TMP).join("archives");
    let folder = folders.join(format!("{:016x}", hasher.finish()));
    if folder.exists() {
        return folder;
    }
    remove_old(&folders);
    let partial = folders.join(format!("partial-{}", std::process::id()));
    fs::create_dir_all(&partial).unwrap();
    fs::write(partial.join("libchat.a"), bytes).unwrap();
    if fs::rename(&partial, &folder).is_err() {
        // Another test was faster.
        fs::remove_dir_all(&partial).unwrap();
    }
    folder
}

/// Removes the archives of earlier builds that nothing can be linking any more.
fn remove_old(folders: &Path) {
    let Ok(entries) = fs::read_dir(folders) else { return };
    let hour_ago = SystemTime::now() - Duration::from_secs(60 * 60);
    for entry in entries.flatten() {
        if entry.metadata().and_then(|data| data.modified()).is_ok_and(|time| time < hour_ago) {
            _ = fs::remove_dir_all(entry.path());
        }
    }
}
