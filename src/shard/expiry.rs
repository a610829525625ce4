//! Forgets rooms without subscribers when their last message is too old.

use std::{pin::pin, rc::Rc};

use futures_util::future::select;

use super::Shard;

/// Forgets rooms at their times, while the shard runs. One shard of a server does it.
pub(super) async fn run(shard: Rc<Shard>) {
    loop {
        let earlier = shard.rooms.earlier_expiry();
        match shard.rooms.next_expiry() {
            None => earlier.await,
            Some(at) => {
                let at = shard.shared.clock.of_system(at);
                select(pin!(shard.deadlines.until(at)), pin!(earlier)).await;
            }
        }
        while shard.rooms.forget_expired() {
            shard.reactor.yield_now().await;
        }
    }
}
