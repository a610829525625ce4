//! What one shard of a server does for all rooms from time to time: forgets those without subscribers whose last message
//! is too old, and has what a broker does not answer looked after.

use std::{pin::pin, rc::Rc};

use futures_util::future::select;

use super::Shard;
use crate::rooms::CHECK_INTERVAL;

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

/// Looks after what the broker was asked for, while the shard runs. One shard of a server does it.
pub(super) async fn check_broker(shard: Rc<Shard>) {
    loop {
        shard.deadlines.until(shard.shared.now() + CHECK_INTERVAL).await;
        shard.rooms.check_broker();
    }
}
