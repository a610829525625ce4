//! The oldest Go that the module asks for is enough for it, and is the one that is documented.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod support;

use std::{fs, path::Path, process::Command};

use support::{ROOT, go, run};

/// The Go that a module needs, such as "1.24.0", for the module itself and each of its dependencies.
fn versions() -> Vec<(String, String)> {
    let listed = go(&["list", "-m", "-f", "{{.Path}} {{.GoVersion}}", "all"]);
    let modules = listed.lines().map(|line| line.split_once(' ').unwrap());
    modules.map(|(path, version)| (path.to_owned(), version.to_owned())).collect()
}

fn own_version() -> String {
    versions().into_iter().find(|(path, _)| path == "libchat").unwrap().1
}

#[test]
fn no_dependency_asks_for_a_newer_go() {
    let numbers = |version: &str| -> Vec<u32> {
        version.split('.').map(|number| number.parse().unwrap()).collect()
    };
    let own = own_version();
    let modules = versions();
    assert!(modules.len() > 3, "{modules:?}");
    for (path, asked) in modules {
        assert!(numbers(&asked) <= numbers(&own), "{path} asks for Go {asked}, libchat for {own}");
    }
}

#[test]
fn the_documents_name_the_go_that_the_module_asks_for() {
    let own = own_version();
    let (minor, _) = own.rsplit_once('.').unwrap();
    for document in [
        "README.md",
        ".ci/run",
        "bindings/go/README.md",
        "bindings/go/doc.go",
        "tests/support/mod.rs",
    ] {
        let text = fs::read_to_string(Path::new(ROOT).join(document)).unwrap();
        assert!(text.contains(&format!("Go {minor}")), "{document} does not say Go {minor}");
    }
}

/// `go vet` refuses the language and the standard library of a later Go than the module asks for.
#[test]
fn the_module_uses_nothing_of_a_later_go() {
    go(&["vet", "./..."]);
}

/// `go vet` passes over files with C, as generated ones. So what cgo makes of them is vetted in their place, without
/// the mark of what is generated, in a module of its own.
#[test]
fn files_with_c_use_nothing_of_a_later_go() {
    for package in ["bindings/go", "bindings/go/internal/callback"] {
        let source = Path::new(ROOT).join(package);
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("go-version").join(package);
        _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let files = |kind: &str| -> Vec<String> {
            let format = format!("{{{{join .{kind} \"\\n\"}}}}");
            go(&["list", "-f", &format, &format!("./{package}")]).lines().map(Into::into).collect()
        };
        let with_c = files("CgoFiles");
        assert!(!with_c.is_empty(), "{package}");
        let mut cgo = Command::new("go");
        cgo.current_dir(&source).args(["tool", "cgo", "-objdir"]).arg(&folder);
        run(cgo.args(["--", "-I.", &format!("-I{ROOT}/include")]).args(&with_c));
        for file in files("GoFiles") {
            fs::copy(source.join(&file), folder.join(&file)).unwrap();
        }
        for file in with_c {
            let made = folder.join(file.replace(".go", ".cgo1.go"));
            let text = fs::read_to_string(&made).unwrap();
            let (mark, code) = text.split_once('\n').unwrap();
            assert!(mark.starts_with("// Code generated"), "{mark}");
            fs::write(&made, code).unwrap();
        }
        // Go takes no file whose name begins so.
        fs::rename(folder.join("_cgo_gotypes.go"), folder.join("cgo_gotypes.go")).unwrap();
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension != "go") {
                fs::remove_file(path).unwrap();
            }
        }
        let module = format!(
            "module vetted\n\ngo {}\n\nrequire libchat v0.0.0\n\nreplace libchat => {ROOT:?}\n",
            own_version()
        );
        fs::write(folder.join("go.mod"), module).unwrap();
        let mut vet = Command::new("go");
        vet.current_dir(&folder).args(["vet", "-stdversion", "."]);
        run(vet.envs([("GOFLAGS", "-mod=mod"), ("GOPROXY", "off"), ("GOWORK", "off")]));
    }
}
