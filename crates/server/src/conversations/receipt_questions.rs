//! Who lets others know how far they have read, asked of the directory for many at once: what is asked while one question is under
//! way goes into the next. When a hundred thousand devices come back, each would ask about one or two people by itself.

use std::sync::Arc;

use banter_model::UserId;
use banter_model::limits::USERS_PER_QUESTION;
use banter_store::Directory;
use banter_store::directory::DirectoryError;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use parking_lot::Mutex;

/// The questions to one directory.
pub(super) struct ReceiptQuestions {
    directory: Arc<dyn Directory>,
    /// Held by the question that is under way.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// The one that gathers.
    next: Arc<Mutex<Option<Question>>>,
}

struct Question {
    users: Arc<Mutex<Vec<UserId>>>,
    answer: Answer,
}

/// Whoever of a question's users lets others know. Goes on as long as anybody waits for it.
type Answer = Shared<BoxFuture<'static, Result<Arc<[UserId]>, DirectoryError>>>;

impl ReceiptQuestions {
    /// No questions yet.
    pub fn new(directory: Arc<dyn Directory>) -> Self {
        ReceiptQuestions { directory, turn: Arc::default(), next: Arc::default() }
    }

    /// Those of `users`, at most 200, who let others know how far they have read, and perhaps more people. Deleted users do not. It
    /// is asked after this is called.
    pub fn showing(&self, users: &[UserId]) -> Answer {
        let mut next = self.next.lock();
        if let Some(question) = &*next {
            let mut gathered = question.users.lock();
            if gathered.len() + users.len() <= USERS_PER_QUESTION {
                gathered.extend(users);
                return question.answer.clone();
            }
        }
        let users = Arc::new(Mutex::new(users.to_vec()));
        let answer = ask(self.directory.clone(), self.turn.clone(), self.next.clone(), users.clone()).boxed().shared();
        *next = Some(Question { users, answer: answer.clone() });
        answer
    }
}

async fn ask(
    directory: Arc<dyn Directory>,
    turn: Arc<tokio::sync::Mutex<()>>,
    next: Arc<Mutex<Option<Question>>>,
    users: Arc<Mutex<Vec<UserId>>>,
) -> Result<Arc<[UserId]>, DirectoryError> {
    let _turn = turn.lock().await;
    let mut asked = {
        let mut next = next.lock();
        // Nobody more is taken in.
        next.take_if(|question| Arc::ptr_eq(&question.users, &users));
        std::mem::take(&mut *users.lock())
    };
    asked.sort_unstable();
    asked.dedup();
    let Some(first) = asked.first() else { return Ok(Arc::default()) };
    // The settings are the same for whoever asks, the first of them about themselves too.
    let relations = directory.relations(*first, &asked).await?;
    Ok(relations.into_iter().filter(|relation| relation.settings.read_receipts).map(|relation| relation.user).collect())
}

#[cfg(test)]
mod tests {
    use banter_store::directory::sql::SqlDirectory;
    use banter_store::directory::{NewUser, Settings};
    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn who_asks_meanwhile_is_in_the_next_question() {
        let folder = tempfile::tempdir().unwrap();
        let directory = SqlDirectory::open_sqlite(&folder.path().join("people")).await.unwrap();
        for id in 1..=300 {
            let (handle, display_name, password_hash) = (format!("user{id}"), String::new(), String::new());
            directory.create_user(NewUser { id: UserId(id), handle, display_name, password_hash, created_at: 1 }).await.unwrap();
        }
        let hidden = Settings { read_receipts: false, ..Settings::default() };
        directory.set_settings(UserId(7), hidden).await.unwrap();
        let statements = || directory.counters().statements.load(std::sync::atomic::Ordering::Relaxed);
        let before = statements();
        let questions = ReceiptQuestions::new(Arc::new(directory.clone()));
        // Each asks about themselves and somebody who does not exist.
        let asking = (1..=300).map(|id| questions.showing(&[UserId(id), UserId(1_000)]));
        let answers = join_all(asking).await;
        for (id, answer) in (1..=300).zip(answers) {
            let answer = answer.unwrap();
            assert_eq!(answer.contains(&UserId(id)), id != 7);
            assert!(!answer.contains(&UserId(1_000)));
        }
        assert_eq!(statements() - before, 3, "a hundred of them in each");
        // Afterwards it is asked anew.
        directory.set_settings(UserId(7), Settings::default()).await.unwrap();
        assert!(questions.showing(&[UserId(7)]).await.unwrap().contains(&UserId(7)));
    }

    #[tokio::test]
    async fn one_that_is_given_up_holds_up_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let directory = SqlDirectory::open_sqlite(&folder.path().join("people")).await.unwrap();
        let questions = ReceiptQuestions::new(Arc::new(directory));
        // One that is under way; now and then the answer is there at once.
        let given_up = loop {
            let mut question = questions.showing(&[UserId(1)]);
            if (&mut question).now_or_never().is_none() {
                break question;
            }
        };
        let other = questions.showing(&[UserId(2)]);
        drop(given_up);
        assert!(other.await.unwrap().is_empty());
    }
}
