//! Where replies arrive: one subscription for all calls of a connection, so that a call costs no subscription of its own.

use super::wire::{Assembly, Reply, Status, reply};
use async_nats::{Client, Message, StatusCode, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

pub(super) struct Inbox {
    root: String,
    waiting: Mutex<HashMap<u64, Waiting>>,
    next: AtomicU64,
}

struct Waiting {
    assembly: Assembly,
    answer: oneshot::Sender<Answer>,
}

#[derive(Debug)]
pub(super) enum Answer {
    Reply(Reply),
    NobodyThere,
    /// There was somebody.
    Gone,
    /// Not a reply of ours; why.
    Strange(String),
}

/// A call's place in the inbox, given up when dropped.
pub(super) struct Place {
    inbox: Arc<Inbox>,
    token: u64,
    answer: oneshot::Receiver<Answer>,
}

impl Inbox {
    /// `root` must be nobody else's.
    pub(super) fn new(root: String) -> Arc<Self> {
        Arc::new(Self { root, waiting: Mutex::default(), next: AtomicU64::new(0) })
    }

    pub(super) fn pattern(&self) -> String {
        format!("{}.*", self.root)
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<u64, Waiting>> {
        // a panic while the lock was held left at worst a place that nobody waits at
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn place(self: &Arc<Self>) -> Place {
        let token = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        self.waiting().insert(token, Waiting { assembly: Assembly::default(), answer: sender });
        Place { inbox: self.clone(), token, answer }
    }

    /// Hands out what arrives, until the connection ends.
    pub(super) async fn run(self: Arc<Self>, mut arriving: Subscriber) {
        while let Some(message) = arriving.next().await {
            self.arrived(message);
        }
    }

    /// A reply that nobody waits for any more is dropped.
    fn arrived(&self, message: Message) {
        let Some(token) = message.subject.rsplit('.').next().and_then(|t| t.parse().ok()) else { return };
        let mut waiting = self.waiting();
        let Some(Waiting { assembly, .. }) = waiting.get_mut(&token) else { return };
        let answer = match message.status {
            Some(StatusCode::NO_RESPONDERS) => Answer::NobodyThere,
            _ => match assembly.take(message.headers.as_ref(), message.payload) {
                Ok(None) => return,
                Ok(Some(reply)) => Answer::Reply(reply),
                Err(why) => Answer::Strange(why),
            },
        };
        if let Some(waiting) = waiting.remove(&token) {
            // the caller may have given up just now
            let _gone = waiting.answer.send(answer);
        }
    }

    /// A message to ourselves. A server handles what one connection sends in order, and so do we: once it is back,
    /// everything sent before it has been handled there, and everything that arrived before it has been taken in here.
    pub(super) async fn echo(self: &Arc<Self>, client: &Client) {
        let place = self.place();
        for (headers, payload) in reply(Status::Done, &Bytes::new(), usize::MAX, None) {
            if client.publish_with_headers(place.subject(), headers, payload).await.is_err() {
                return;
            }
        }
        let _came_back = place.answer().await;
    }
}

impl Place {
    pub(super) fn subject(&self) -> String {
        format!("{}.{}", self.inbox.root, self.token)
    }

    /// `None`: the connection has ended for good.
    pub(super) async fn answer(mut self) -> Option<Answer> {
        (&mut self.answer).await.ok()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.inbox.waiting().remove(&self.token);
    }
}
