//! System calls of the program that fail or wait when the test wants it: `preload.c`.

#![allow(dead_code, reason = "each test program uses its own part")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use crate::{
    peer::eventually,
    support::{C_FLAGS, compiler, output, run},
};

/// A file that tells the program's system calls what to do.
#[derive(Debug)]
pub(crate) struct Switch(PathBuf);

impl Switch {
    /// Makes a program's calls look at a file, by the name of a variable in `preload.c`. There is no file yet.
    pub(crate) fn of(command: &mut Command, variable: &str) -> Self {
        let name = format!("{variable}-{}-{:?}", std::process::id(), std::thread::current().id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        command.env("LD_PRELOAD", library()).env(variable, &path);
        let _ = fs::remove_file(&path);
        Self(path)
    }

    pub(crate) fn make(&self) {
        fs::write(&self.0, "").expect("the tests' own folder");
    }

    /// Waits until the program has made the file.
    pub(crate) fn wait_until_made(&self) {
        eventually("the program makes a file", || self.0.exists());
    }

    pub(crate) fn remove(&self) {
        fs::remove_file(&self.0).expect("it is there");
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let source = "tests/child/preload.c";
        let library = output(source);
        let mut command = compiler("CC", "cc");
        command.args(C_FLAGS).args(["-shared", "-fPIC", source, "-o"]).arg(&library.partial);
        run(&mut command);
        library.finish()
    })
}
