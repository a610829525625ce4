//! What is counted of deliveries, in each way by which they reach a client.

use super::setting::{KIB, options, world};
use crate::frame::Kind;

#[test]
fn every_message_and_byte_that_a_client_is_sent_is_counted_once() {
    let (mut world, id) = world(options(), usize::MAX);
    let before = world.handle.stats();
    // Short ones are merged, the long one goes by itself.
    for len in [1, 2, 3, 100 * KIB, 4] {
        world.handle.publish("a", Kind::Binary, &vec![0; len]).unwrap();
    }
    for _ in 0..3 {
        world.tick_once();
    }
    let (after, received) = (world.handle.stats(), world.peer(id).script.received().len() as u64);
    assert_eq!(after.messages_delivered - before.messages_delivered, 5);
    assert_eq!(after.bytes_delivered - before.bytes_delivered, received);
}
