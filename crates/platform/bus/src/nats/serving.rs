//! The serving side of calls: one task a subject, one more for each call in hand.

use super::inbox::Inbox;
use super::wire::{self, Status};
use crate::{Handler, Timing, Versions};
use async_nats::{Client, Message, Subject, Subscriber};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

/// Calls of one subject in hand at once. The next wait in the subscription's queue.
const IN_HAND: usize = 256;
/// Parts of a reply sent before we wait for the socket: more would only pile up here.
const PARTS_AT_ONCE: usize = 8;
/// How long the server may take to confirm the end of a subscription. Longer means it is away, and sends nothing more.
pub(super) const CONFIRM: Duration = Duration::from_secs(2);

#[derive(Clone)]
pub(super) struct Serving {
    pub client: Client,
    pub inbox: Arc<Inbox>,
    pub versions: Versions,
    pub timing: Timing,
    /// Subject and group at which this one is found while it ends.
    pub drained: (String, String),
}

impl Serving {
    /// Serves until `end` is gone or the bus drains (or is gone), and then what has been taken on.
    pub(super) async fn run(
        self,
        mut calls: Subscriber,
        handler: Handler,
        mut end: oneshot::Receiver<()>,
        mut draining: watch::Receiver<bool>,
    ) {
        let mut in_hand = JoinSet::new();
        loop {
            tokio::select! {
                _ = &mut end => break,
                _ = draining.wait_for(|draining| *draining) => break,
                Some(_) = in_hand.join_next() => {}
                call = calls.next(), if in_hand.len() < IN_HAND => match call {
                    Some(call) => self.take(call, &handler, &mut in_hand),
                    None => break,
                },
            }
        }
        let mut _found = None;
        let ending = async {
            // first: who has a call here finds somebody at each moment
            _found = self.be_found().await;
            self.end(&mut calls).await;
        };
        if tokio::time::timeout(CONFIRM, ending).await.is_err() {
            tracing::debug!("the server did not confirm the end of a subscription");
        }
        // unconstrained: else "nothing there" may only mean that this task has had its turn
        while let Some(Some(call)) = tokio::task::unconstrained(calls.next()).now_or_never() {
            if in_hand.len() >= IN_HAND {
                in_hand.join_next().await;
            }
            self.take(call, &handler, &mut in_hand);
        }
        drop(calls);
        while in_hand.join_next().await.is_some() {}
    }

    /// Tells the server to send no more, and returns once all it has sent is here. The client's own ways to end a
    /// subscription forget it before the server has, and drop what the server sends in between. An end after more
    /// messages than will ever come makes the client keep it, while servers take a number so long (over nine digits) for
    /// none and end it at once. A server that read it otherwise would go on sending until `calls` is dropped: the test
    /// of draining under load would show it.
    async fn end(&self, calls: &mut Subscriber) {
        if calls.unsubscribe_after(u64::MAX).await.is_ok() {
            self.inbox.echo(&self.client).await;
        }
    }

    /// Answers those who look whether their calls are still in hand, until dropped. `None`: the client has ended.
    async fn be_found(&self) -> Option<AbortOnDropHandle<()>> {
        let (on, group) = self.drained.clone();
        let mut looks = self.client.queue_subscribe(on, group).await.ok()?;
        let me = self.clone();
        Some(AbortOnDropHandle::new(tokio::spawn(async move {
            while let Some(look) = looks.next().await {
                if let Some(to) = look.reply {
                    me.reply(to, Status::Done, &Bytes::new()).await;
                }
            }
        })))
    }

    fn take(&self, call: Message, handler: &Handler, in_hand: &mut JoinSet<()>) {
        let Some(to) = call.reply else { return };
        let me = self.clone();
        let handler = handler.clone();
        in_hand.spawn(async move {
            let Some((status, body)) = me.answer(call.headers.as_ref(), call.payload, &handler).await else { return };
            me.reply(to, status, &body).await;
        });
    }

    /// `None`: the caller has stopped waiting, and what was done for it with it, as on the bus in one process.
    async fn answer(
        &self,
        headers: Option<&async_nats::HeaderMap>,
        request: Bytes,
        handler: &Handler,
    ) -> Option<(Status, Bytes)> {
        let ours = self.versions;
        let Some(asked) = wire::asked(headers) else {
            return Some((Status::Version, format!("the call says no protocol version; served here: {ours}").into()));
        };
        if ours.common(asked.versions).is_none() {
            let text = format!("the caller speaks protocol version {}, this server {ours}", asked.versions);
            return Some((Status::Version, text.into()));
        }
        let handled = AssertUnwindSafe(async { handler(request).await }).catch_unwind();
        match tokio::time::timeout(asked.within, handled).await.ok()? {
            Ok(Ok(body)) if body.len() > wire::LARGEST_REPLY => Some((Status::TooLarge, body.len().to_string().into())),
            Ok(Ok(body)) => Some((Status::Done, body)),
            Ok(Err(message)) => Some((Status::Refused, message.into())),
            Err(_panic) => Some((Status::Refused, Bytes::from_static(b"the server failed while it handled the call"))),
        }
    }

    async fn reply(&self, to: Subject, status: Status, body: &Bytes) {
        let room = wire::room(self.client.max_payload());
        let time = self.timing.to_tell();
        for (index, (headers, part)) in wire::reply(status, body, room, time).into_iter().enumerate() {
            if let Err(error) = self.client.publish_with_headers(to.clone(), headers, part).await {
                tracing::warn!(error = %error, "a reply could not be sent");
                return;
            }
            if index % PARTS_AT_ONCE == PARTS_AT_ONCE - 1 && self.client.flush().await.is_err() {
                return;
            }
        }
    }
}
