//! A queue whose engine has connections, for threads that may not use them.
//!
//! A shard's thread has a descriptor table of its own, and an engine that is handed something may wake its own threads by writing to a
//! descriptor. So commands are handed over on the main runtime.

use std::sync::Arc;

use async_trait::async_trait;
use banter_model::partition::partition_of;
use banter_store::queue::PushError;
use banter_store::{CommandQueue, Envelope};
use tokio::sync::mpsc;

use super::unqueued::Unqueued;

/// Commands of different partitions do not wait for each other, on so many lanes; those of one partition stay in order.
const LANES: usize = 16;
/// Most commands on their way on one lane.
const WAITING: usize = 1_024;

/// Hands commands on to a queue from the runtime that it was made on.
pub struct ForwardedQueue {
    partitions: u32,
    lanes: Vec<mpsc::Sender<Envelope>>,
}

impl ForwardedQueue {
    /// In front of `queue`; `unqueued` is told of what it does not take. To be called on the main runtime.
    pub fn new(queue: Arc<dyn CommandQueue>, unqueued: Arc<Unqueued>) -> Self {
        let partitions = queue.partitions();
        let lane = |_| {
            let (lane, mut waiting) = mpsc::channel::<Envelope>(WAITING);
            let (queue, unqueued) = (queue.clone(), unqueued.clone());
            tokio::spawn(async move {
                while let Some(envelope) = waiting.recv().await {
                    let given_back = match queue.try_push(envelope) {
                        Err(PushError::Full(envelope)) => *envelope,
                        // Its device asks again at the next server: this one is going down.
                        Err(PushError::Closed) | Ok(()) => continue,
                    };
                    let copy = given_back.clone();
                    if queue.push(given_back).await.is_err() {
                        unqueued.failed(copy);
                    }
                }
            });
            lane
        };
        ForwardedQueue { partitions, lanes: (0..LANES).map(lane).collect() }
    }

    fn lane(&self, envelope: &Envelope) -> &mpsc::Sender<Envelope> {
        &self.lanes[partition_of(envelope.command.conversation, self.partitions) as usize % LANES]
    }
}

#[async_trait]
impl CommandQueue for ForwardedQueue {
    fn partitions(&self) -> u32 {
        self.partitions
    }

    fn try_push(&self, envelope: Envelope) -> Result<(), PushError> {
        self.lane(&envelope).try_send(envelope).map_err(|error| match error {
            mpsc::error::TrySendError::Full(envelope) => PushError::Full(Box::new(envelope)),
            mpsc::error::TrySendError::Closed(_) => PushError::Closed,
        })
    }

    async fn push(&self, envelope: Envelope) -> Result<(), PushError> {
        self.lane(&envelope).send(envelope).await.map_err(|_| PushError::Closed)
    }
}

#[cfg(test)]
mod tests {
    use banter_model::{Action, Command, ConversationId, DeviceId, EventId, UserId};
    use banter_store::embedded::queue::EmbeddedQueue;
    use banter_store::{Origin, PartitionReader};

    use super::*;

    fn envelope(number: u64) -> Envelope {
        let action = Action::Send { text: number.to_string(), reply_to: None, mentions: Vec::new() };
        let conversation = ConversationId::direct(UserId(1), UserId(2)).unwrap();
        let command = Command { conversation, sender: UserId(1), device: DeviceId(1), tag: None, id: EventId(number), action };
        Envelope { command, origin: Origin { gateway: 0, session: number }, objection: None }
    }

    #[tokio::test]
    async fn order_is_kept_and_room_is_bounded() {
        let (queue, mut readers) = EmbeddedQueue::new(1, 10, &[0]);
        let forwarded = ForwardedQueue::new(Arc::new(queue), Arc::new(Unqueued::default()));
        let mut pushed = 0;
        loop {
            match forwarded.try_push(envelope(pushed + 1)) {
                Ok(()) => pushed += 1,
                Err(PushError::Full(_)) if pushed > 100_000 => panic!("there is no end of room"),
                Err(PushError::Full(given_back)) => {
                    assert_eq!(*given_back, envelope(pushed + 1));
                    break;
                }
                Err(PushError::Closed) => panic!("it is open"),
            }
        }
        assert!(pushed as usize >= WAITING);
        let mut seen = 0;
        while seen < pushed {
            for (_, envelope) in readers[0].next_batch(100).await.unwrap() {
                seen += 1;
                assert_eq!(envelope.origin.session, seen);
            }
        }
        forwarded.push(envelope(pushed + 1)).await.unwrap();
        assert_eq!(readers[0].next_batch(100).await.unwrap().len(), 1);
    }
}
