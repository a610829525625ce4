//! `include/libchat.h` is what the sources say, and every C and C++ compiler takes it.
//!
//! `UPDATE_HEADER=1 cargo test --test header` writes it anew.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod support;

use std::{fs, path::Path};

use support::{C_FLAGS, LINK_FLAGS, ROOT, compiler, native, output, run};

#[cfg(feature = "header")]
#[test]
fn the_committed_header_is_up_to_date() {
    let committed = Path::new(ROOT).join("include/libchat.h");
    let generated = fs::read_to_string(concat!(env!("OUT_DIR"), "/libchat.h")).unwrap();
    if std::env::var_os("UPDATE_HEADER").is_some() {
        // Renamed into place: the tests beside this one read it at the same time.
        let fresh = committed.with_extension("new");
        fs::write(&fresh, &generated).unwrap();
        fs::rename(fresh, &committed).unwrap();
    }
    assert!(
        fs::read_to_string(&committed).unwrap_or_default() == generated,
        "include/libchat.h is not what src/ffi says; refresh it: \
         UPDATE_HEADER=1 cargo test --test header"
    );
}

#[test]
fn the_header_declares_what_the_library_exports_and_nothing_else() {
    let header = fs::read_to_string(Path::new(ROOT).join("include/libchat.h")).unwrap();
    let foreign: Vec<_> = header.lines().filter(|line| line.starts_with("extern ")).collect();
    assert_eq!(foreign, ["extern \"C\" {"], "exclude these in cbindgen.toml");
    let mut declared: Vec<_> = header
        .split("CHAT_API")
        .skip(1)
        .filter_map(|text| text.split_once('(')?.0.rsplit([' ', '*', '\n']).next())
        .filter(|name| name.starts_with("chat_"))
        .collect();
    declared.sort_unstable();
    let symbols = fs::read_to_string(Path::new(ROOT).join("include/libchat.symbols")).unwrap();
    assert_eq!(declared, symbols.lines().collect::<Vec<_>>());
}

/// Compiles two units that both include the header, and links them.
fn two_units(variable: &str, default: &str, standard: &str, extension: &str) {
    let unit = output(&format!("unit-{standard}.{extension}"));
    let folder = unit.partial.with_extension("d");
    fs::create_dir_all(&folder).unwrap();
    let main = folder.join(format!("main.{extension}"));
    let other = folder.join(format!("other.{extension}"));
    let header = "#include <libchat.h>\n#include <libchat.h>\n";
    let body = "chat_status other(void);\n\
        int main(void) { return other() == CHAT_ERR_NULL_ARGUMENT ? 0 : 1; }\n";
    fs::write(&main, format!("{header}{body}")).unwrap();
    let body = "chat_status other(void);\n\
        chat_status other(void) { return chat_server_stop(0, 0); }\n";
    fs::write(&other, format!("{header}{body}")).unwrap();
    let mut command = compiler(variable, default);
    command.arg(format!("-std={standard}")).args(["-Wall", "-Wextra", "-pedantic", "-Werror"]);
    command.arg(&main).arg(&other).arg(native().join("libchat.a")).args(LINK_FLAGS);
    run(command.arg("-o").arg(&unit.partial));
    run(&mut std::process::Command::new(unit.finish()));
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_header_is_clean_as_c99_to_c23_and_from_two_units() {
    for standard in ["c99", "c11", "c17", "c2x"] {
        two_units("CC", "cc", standard, "c");
    }
}

#[test]
fn the_header_is_clean_as_cpp11_to_cpp20_and_from_two_units() {
    for standard in ["c++11", "c++17", "c++20"] {
        two_units("CXX", "c++", standard, "cpp");
    }
}

#[test]
fn the_first_program_in_the_header_compiles() {
    let header = fs::read_to_string(Path::new(ROOT).join("include/libchat.h")).unwrap();
    let (_, program) = header.split_once("```c\n").unwrap();
    let (program, _) = program.split_once(" * ```").unwrap();
    let program: String =
        program.lines().map(|line| format!("{}\n", line.get(3..).unwrap_or_default())).collect();
    let target = output("first-program");
    let source = target.partial.with_extension("c");
    fs::write(&source, program).unwrap();
    let mut command = compiler("CC", "cc");
    command.args(C_FLAGS).arg(&source).arg(native().join("libchat.a")).args(LINK_FLAGS);
    run(command.arg("-o").arg(&target.partial));
    fs::remove_file(source).unwrap();
    fs::remove_file(target.partial).unwrap();
}
