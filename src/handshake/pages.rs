//! The answer to every request that asks for no stream: a pure function of its head. It alone knows the pages.

use super::{
    NO_EVENTS, TOO_MANY_CONNECTIONS,
    answer::Answer,
    events,
    head::Head,
    path::{self, HEALTH, READY},
    request::room_name,
    site,
};
use crate::{context::Context, origin::Pattern, shard::Shard};

/// What an answer says about the server.
#[derive(Debug, Clone, Copy)]
pub(super) struct State<'a> {
    /// The option `base_path`.
    pub(super) base_path: &'a str,
    /// The option `origin`.
    pub(super) origins: &'a [Pattern],
    pub(super) is_stopping: bool,
    /// Whether a further client would be refused, and by what.
    pub(super) full: Option<&'static str>,
}

impl<'a> State<'a> {
    pub(super) fn of(shard: &'a Shard) -> Self {
        let context = &shard.context;
        Self {
            base_path: &context.options.base_path,
            origins: &context.origins,
            is_stopping: shard.is_stopping(),
            full: why_full(context),
        }
    }
}

/// Why a further client would be refused.
fn why_full(context: &Context) -> Option<&'static str> {
    if context.events.is_full() {
        return Some(NO_EVENTS);
    }
    let is_full = context.counters.connections.get() >= context.options.max_connections as u64;
    is_full.then_some(TOO_MANY_CONNECTIONS)
}

/// Returns the answer to a request that asks for no stream.
pub(super) fn answer(head: &Head<'_, '_>, state: &State<'_>) -> Answer {
    page(head, state).for_method(head.method)
}

fn page(head: &Head<'_, '_>, state: &State<'_>) -> Answer {
    // RFC 9110, 9.3.7: the server as a whole.
    if head.path == "*" && head.method == "OPTIONS" {
        return Answer::options();
    }
    let base = state.base_path;
    let page = match path::page(base, head.path) {
        Some(HEALTH) => Answer::health(),
        Some(READY) => ready(state),
        Some("/") if is_preflight(head) => return preflight(head, state),
        Some("/") => Answer::home(head.host, base),
        Some(path) if let Some(room) = path.strip_prefix("/rooms/") => match room_name(room) {
            Ok(_) if head.method == "OPTIONS" => return preflight(head, state),
            Ok(_) => Answer::upgrade_required(),
            Err(answer) => return answer.for_page(),
        },
        _ => return Answer::not_found(head.path, base),
    };
    match head.method {
        "GET" | "HEAD" => page,
        "OPTIONS" => Answer::options(),
        _ => Answer::method_not_allowed(),
    }
}

/// Whether a browser asks before a page of another origin connects (Fetch, 4.8).
fn is_preflight(head: &Head<'_, '_>) -> bool {
    head.method == "OPTIONS" && head.has("Access-Control-Request-Method")
}

fn preflight(head: &Head<'_, '_>, state: &State<'_>) -> Answer {
    match site::check_origin(head, state.origins) {
        Ok(()) => events::preflight(head, state.origins),
        Err(answer) => answer.for_page(),
    }
}

/// Whether the server takes clients: what a balancer asks before it sends some.
fn ready(state: &State<'_>) -> Answer {
    match state.full {
        _ if state.is_stopping => Answer::not_ready("the server is stopping"),
        Some(why) => Answer::not_ready(why),
        None => Answer::health(),
    }
}
