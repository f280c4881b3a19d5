//! What is asked for and has not been made yet.
//!
//! The law: in the order in which it was asked for; those who wait one behind the other for the entries of the API are served by one
//! reload, since it reads them when it begins, after all of them have asked. A file is read once for each who asks.

use tokio::sync::{mpsc, oneshot};

use super::{Outcome, Wish};

/// Who wants to hear what came of it.
pub(super) type Answer = oneshot::Sender<Outcome>;

/// Those who wait.
pub(super) struct Queue {
    asked: mpsc::UnboundedReceiver<(Wish, Answer)>,
    /// Looked at already, and not alike.
    next: Option<(Wish, Answer)>,
}

impl Queue {
    pub(super) fn new(asked: mpsc::UnboundedReceiver<(Wish, Answer)>) -> Self {
        Self { asked, next: None }
    }

    /// What is to be made next, and for whom; none: nobody can ask any more. Given up while it waits, it loses nobody.
    pub(super) async fn next(&mut self) -> Option<(Wish, Vec<Answer>)> {
        let (wish, first) = match self.next.take() {
            Some(next) => next,
            None => self.asked.recv().await?,
        };
        let mut answers = vec![first];
        while wish == Wish::Entries && self.next.is_none() {
            match self.asked.try_recv() {
                Ok((Wish::Entries, answer)) => answers.push(answer),
                Ok(other) => self.next = Some(other),
                Err(_) => break,
            }
        }
        Some((wish, answers))
    }
}
