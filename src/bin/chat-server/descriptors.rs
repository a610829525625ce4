//! The limit of file descriptors. Most systems begin with a soft limit of 1,024, which a process may raise to the
//! hard limit.

use rlimit::{Resource, increase_nofile_limit};

use crate::flags::Flags;

/// What the program needs besides: standard streams, signals, the log.
const OWN: usize = 32;

/// What an address to listen on needs: the listener, and a descriptor in reserve.
const PER_ADDRESS: usize = 2;

/// What a thread of the server needs: its event loop, its timer, its waker.
const PER_WORKER: usize = 3;

/// The threads that the server has unless their number is set; at most.
const DEFAULT_WORKERS: usize = 4;

/// There are fewer descriptors than the flags ask for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shortage {
    needed: u64,
    limit: u64,
}

/// Raises the soft limit to what the flags need, at most to the hard limit. A limit that is higher
/// stays.
pub(crate) fn raise_limit(flags: &Flags) -> Option<Shortage> {
    let needed = needed(flags);
    let limit = increase_nofile_limit(needed)
        .or_else(|_| Resource::NOFILE.get_soft())
        // Nothing is known of the limit then, and nothing can be said.
        .unwrap_or(needed);
    (limit < needed).then_some(Shortage { needed, limit })
}

fn needed(flags: &Flags) -> u64 {
    let workers = if flags.workers == 0 { DEFAULT_WORKERS } else { flags.workers };
    let own = workers
        .saturating_mul(PER_WORKER)
        .saturating_add(flags.listen.len().saturating_mul(PER_ADDRESS))
        .saturating_add(OWN);
    // Half as many idle connections may be kept between requests.
    let handshakes = flags.max_handshakes.saturating_add(flags.max_handshakes / 2);
    let needed = flags.max_connections.saturating_add(handshakes).saturating_add(own);
    needed.try_into().unwrap_or(u64::MAX)
}

impl Shortage {
    /// Logs the figures and the remedy.
    pub(crate) fn warn(self) {
        let Self { needed, limit } = self;
        tracing::warn!(
            needed,
            limit,
            "too few file descriptors for --max-connections: raise the limit (ulimit -n {needed}, or \
             LimitNOFILE={needed} for systemd), or lower --max-connections"
        );
    }
}
