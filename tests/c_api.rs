//! What the C API promises, kept: one C program for each promise.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod support;

use std::{env, fs, path::Path, process::Command};

use support::{C_FLAGS, LINK_FLAGS, ROOT, cargo, cc, compiler, output, run, shared};

fn passes(program: &str) {
    run(&mut Command::new(cc(&format!("tests/c/{program}.c"))));
}

#[test]
fn a_server_starts_carries_messages_and_stops_with_everything_delivered() {
    passes("lifecycle");
}

#[test]
fn no_argument_is_unsafe_and_the_text_of_the_error_names_it() {
    passes("arguments");
}

#[test]
fn the_text_of_a_failed_call_is_that_of_the_threads_own_last_one() {
    passes("last_error");
}

#[test]
fn a_failed_start_says_why_with_a_text_and_the_number_of_the_operating_system() {
    passes("errors");
}

#[test]
fn an_identity_has_several_clients_and_is_reached_at_once() {
    passes("identity");
}

#[test]
fn a_request_is_read_without_code_of_the_hosts() {
    passes("request");
}

#[test]
fn pulled_events_tell_all_that_is_known() {
    passes("pull");
}

#[test]
fn a_handler_may_call_everything_but_stop() {
    passes("handler");
}

#[test]
fn a_server_may_be_freed_inside_its_handler_and_while_it_runs() {
    passes("handler_free");
}

#[test]
fn drop_is_called_exactly_once() {
    passes("drop");
}

#[test]
fn log_lines_reach_their_handler_whole_and_from_every_thread() {
    passes("log");
}

#[test]
fn header_and_library_are_of_one_version() {
    passes("versions");
}

/// Leaves the fields behind one out of a struct of the header, as a header of an earlier day has it.
fn without_what_follows(header: &str, name: &str, last: &str) -> String {
    let end = header.find(&format!("}} {name};")).expect("the struct is in the header");
    let field = header[..end].rfind(&format!(" {last};\n")).expect("the field is in the struct");
    let kept = field + last.len() + " ;\n".len();
    format!("{}{}", &header[..kept], &header[end..])
}

#[test]
fn a_program_with_an_earlier_header_runs_with_this_library() {
    let header = fs::read_to_string(Path::new(ROOT).join("include/libchat.h")).unwrap();
    let earlier = without_what_follows(&header, "chat_event", "code");
    let earlier = without_what_follows(&earlier, "chat_stats", "events_dropped");
    assert!(!earlier.contains(" decision;") && !earlier.contains(" reviews_timed_out;"));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("earlier-header");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("libchat.h"), earlier).unwrap();
    for name in ["lifecycle", "pull", "handler", "many"] {
        let program = output(&format!("{name}-earlier"));
        let mut command = Command::new(env::var("CC").unwrap_or_else(|_| "cc".into()));
        command.current_dir(ROOT).arg("-I").arg(&folder).arg("-Itests/c").args(C_FLAGS);
        command.arg(format!("tests/c/{name}.c")).arg(shared()).arg("-lpthread");
        run(command.arg("-o").arg(&program.partial));
        run(&mut Command::new(program.finish()));
    }
}

#[test]
fn a_host_without_events_learns_that_its_server_could_not_go_on() {
    passes("failed");
}

#[test]
fn a_fault_in_a_handler_reaches_the_hosts_signal_handler() {
    passes("fault");
}

#[test]
fn a_handler_has_a_stack_of_megabytes_whatever_the_environment_says() {
    run(Command::new(cc("tests/c/stack.c")).env("RUST_MIN_STACK", "1"));
}

#[test]
fn a_thread_that_is_cancelled_in_a_call_ends_after_the_call() {
    passes("cancel");
}

#[test]
fn no_socket_of_libchat_has_the_number_of_a_standard_stream() {
    passes("streams");
}

#[test]
fn many_servers_run_in_one_process() {
    passes("many");
}

#[test]
fn eight_threads_may_use_and_stop_a_server_at_once() {
    passes("threads");
}

#[test]
fn what_was_published_while_a_thread_stopped_reaches_every_reader_once() {
    run(Command::new(cc("tests/c/stopping.c")).arg("1000"));
}

#[test]
fn a_host_with_nothing_left_is_told_what_is_missing_and_what_runs_goes_on() {
    passes("limits");
}

#[test]
fn nobody_but_the_host_waits_for_a_handler_that_waits() {
    passes("blocked");
}

#[test]
fn a_call_beyond_the_bound_of_an_inbox_waits_publish_timeout_and_does_nothing() {
    passes("full");
}

#[test]
fn the_events_that_are_left_reach_the_handler_before_a_stop_or_a_free_returns() {
    passes("leftover");
}

#[test]
fn as_many_events_wait_for_a_handler_as_the_option_says() {
    passes("queue_size");
}

#[test]
fn a_listener_for_ipv6_leaves_ipv4_to_another_if_it_is_told_to() {
    passes("listen");
}

#[test]
fn a_host_without_any_memory_is_aborted_and_told_why() {
    passes("memory");
}

#[test]
fn the_host_decides_who_comes_in_and_what_is_said() {
    passes("decisions");
}

#[test]
fn clients_and_the_host_signal_to_each_other() {
    passes("typing");
}

#[test]
fn the_host_says_how_much_of_a_rooms_past_a_client_gets_and_what_it_is_called() {
    passes("past");
}

#[test]
fn a_message_with_a_key_is_published_once_and_a_refusal_has_the_hosts_reason() {
    passes("keys");
}

#[test]
fn a_stop_ends_in_time_whoever_is_stuck() {
    passes("stuck");
}

#[test]
fn a_host_may_end_without_a_stop() {
    passes("exit");
}

#[test]
fn a_storm_of_signals_loses_nothing() {
    passes("storm");
}

#[test]
fn signals_stay_the_hosts() {
    passes("signals");
}

#[test]
fn a_fork_is_told_that_the_server_is_not_its_own_and_may_start_another() {
    passes("fork");
}

#[test]
fn nothing_is_left_behind_by_servers_that_were_stopped() {
    let printed = run(Command::new(cc("tests/c/loop.c")).arg("1000"));
    assert_eq!(printed, "1000 times\n");
}

#[test]
fn the_shared_library_serves_as_well_as_the_static_one() {
    let program = output("lifecycle-shared");
    let mut command = compiler("CC", "cc");
    command.args(C_FLAGS).arg("tests/c/lifecycle.c").arg(shared());
    run(command.arg("-o").arg(&program.partial));
    run(&mut Command::new(program.finish()));
}

#[test]
fn the_shared_library_may_be_loaded_and_let_go_again_and_again() {
    let program = output("dlopen");
    let mut command = compiler("CC", "cc");
    run(command.args(C_FLAGS).args(["tests/c/dlopen.c", "-ldl", "-o"]).arg(&program.partial));
    run(Command::new(program.finish()).arg(shared()));
}

#[test]
fn the_documented_link_flags_are_all_that_the_static_library_needs() {
    let mut command = cargo("rustc");
    command.args(["--message-format=json", "--crate-type=staticlib", "--"]);
    let messages = run(command.args(["--print", "native-static-libs"]));
    let (_, libraries) = messages
        .split_once("native-static-libs: ")
        .unwrap_or_else(|| panic!("no native-static-libs in {messages}"));
    let libraries = libraries.split(['"', '\\']).next().unwrap_or_default();
    // A C compiler adds the first two by itself. The others Rust names for every program; that
    // nothing of them is used is seen by the programs here, which link without.
    let implied = ["-lc", "-lgcc_s", "-lrt", "-lutil"];
    for library in libraries.split_whitespace() {
        let known = LINK_FLAGS.contains(&library) || implied.contains(&library);
        assert!(known, "the documentation does not mention {library}");
    }
}
