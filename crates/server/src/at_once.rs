//! Questions to the history that do not depend on each other, asked at the same time where each takes a round trip.

use futures_util::stream::{self, Stream, StreamExt};

/// The answers to `questions`, in their order, with at most `at_once` under way ([`banter_store::History::questions_at_once`]). Each is
/// begun when there is room, so a few of those behind the last answer that is taken are asked for nothing. One at a time takes no
/// memory for it.
pub fn in_order<F: Future>(at_once: usize, questions: impl IntoIterator<Item = F>) -> impl Stream<Item = F::Output> {
    let questions = stream::iter(questions);
    match at_once {
        0 | 1 => questions.then(std::convert::identity).left_stream(),
        many => questions.buffered(many).right_stream(),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Duration;

    use super::*;

    /// Asks ten questions, the later ones of which are answered sooner. Gives the answers, and how many were under way at most.
    async fn ask(at_once: usize) -> (Vec<u64>, usize) {
        let (running, most) = (Cell::new(0), Cell::new(0));
        let questions = (0..10).map(|number| {
            let (running, most) = (&running, &most);
            async move {
                running.set(running.get() + 1);
                most.set(most.get().max(running.get()));
                tokio::time::sleep(Duration::from_millis(100 - number)).await;
                running.set(running.get() - 1);
                number
            }
        });
        let answers = in_order(at_once, questions).collect().await;
        (answers, most.get())
    }

    #[tokio::test(start_paused = true)]
    async fn answers_keep_their_order_and_questions_are_bounded() {
        let numbers: Vec<u64> = (0..10).collect();
        for (at_once, most) in [(0, 1), (1, 1), (4, 4), (50, 10)] {
            assert_eq!(ask(at_once).await, (numbers.clone(), most));
        }
    }
}
