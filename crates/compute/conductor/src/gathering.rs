//! What arrives while others of its kind are being written is written together: a burst takes a few transactions, and what
//! comes alone is written at once.

use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// In one transaction.
const MOST: usize = 64;

/// `R`: what is answered to a `T`.
pub(crate) struct Gathering<T, R> {
    queue: Mutex<Queue<T, R>>,
    /// Who writes. There is one turn: with a second, most would find it free and go alone.
    turn: tokio::sync::Mutex<()>,
}

struct Queue<T, R> {
    /// In the order in which they came.
    waiting: Vec<Waiting<T, R>>,
    came: u64,
}

struct Waiting<T, R> {
    number: u64,
    what: T,
    /// Told when it is written; dropped if it must be looked at by itself.
    written: oneshot::Sender<R>,
}

pub(crate) enum Joined<'a, R> {
    Written(R),
    /// It must be looked at by itself. As long as this is held, others gather.
    Alone(#[expect(dead_code, reason = "held for its drop")] Option<tokio::sync::MutexGuard<'a, ()>>),
}

impl<T, R> Default for Gathering<T, R> {
    fn default() -> Self {
        Self { queue: Mutex::new(Queue { waiting: Vec::new(), came: 0 }), turn: tokio::sync::Mutex::default() }
    }
}

impl<T, R> Gathering<T, R> {
    /// Has it written with all that wait, or waits until somebody has. `write` is given several, and has an answer to each
    /// in their order; `None`: that one must be looked at by itself.
    pub(crate) async fn join<F>(&self, what: T, write: impl Fn(Vec<T>) -> F) -> Joined<'_, R>
    where
        F: Future<Output = Vec<Option<R>>>,
    {
        let (number, mut told) = self.enter(what);
        let joined = |told: Result<R, _>| told.map_or(Joined::Alone(None), Joined::Written);
        loop {
            let turn = tokio::select! {
                biased;
                told = &mut told => return joined(told),
                turn = self.turn.lock() => turn,
            };
            let Some(some) = self.next(number) else {
                drop(turn);
                return joined(told.await);
            };
            if some.len() == 1 {
                return Joined::Alone(Some(turn));
            }
            let (all, tell): (Vec<T>, Vec<_>) = some.into_iter().map(|w| (w.what, w.written)).unzip();
            for (tell, answer) in tell.into_iter().zip(write(all).await) {
                if let Some(answer) = answer {
                    // who no longer listens will say it again
                    _ = tell.send(answer);
                }
            }
        }
    }

    fn enter(&self, what: T) -> (u64, oneshot::Receiver<R>) {
        let (written, told) = oneshot::channel();
        let mut queue = self.lock();
        queue.came += 1;
        let number = queue.came;
        queue.waiting.push(Waiting { number, what, written });
        (number, told)
    }

    /// The first that wait. `None`: somebody else has taken this one.
    fn next(&self, number: u64) -> Option<Vec<Waiting<T, R>>> {
        let waiting = &mut self.lock().waiting;
        // who is no longer there has said it again, or says something else by now
        waiting.retain(|w| !w.written.is_closed());
        waiting.iter().any(|w| w.number == number).then(|| waiting.drain(..waiting.len().min(MOST)).collect())
    }

    fn lock(&self) -> MutexGuard<'_, Queue<T, R>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
