//! Whether anybody is there who may still answer a call. NATS says so only of calls that find nobody; a server that dies
//! with a call in hand leaves its caller to wait.
//!
//! The caller sends a message without our headers to the call's subject. Every version's servers refuse it at once, which is
//! an answer; a server that is too busy says nothing, and so does NATS. Only where nobody is subscribed NATS answers itself.

use super::inbox::{Answer, Inbox};
use super::wire;
use async_nats::Client;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// A call that takes so long is worth a look.
const FIRST: Duration = Duration::from_secs(1);
/// The pause between looks is doubled up to this.
const LONGEST: Duration = Duration::from_secs(8);
/// A server that has lost its connection is back by then: nobody has gone who is only missed once.
const AGAIN: Duration = Duration::from_millis(500);
/// Somebody who does not answer a look is there all the same.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) struct Presence<'a> {
    pub client: &'a Client,
    pub inbox: &'a Arc<Inbox>,
    pub prefix: &'a str,
    pub subject: &'a str,
}

impl Presence<'_> {
    /// Returns when everybody has gone.
    pub(super) async fn gone(&self) {
        let mut pause = FIRST;
        loop {
            tokio::time::sleep(pause).await;
            if self.is_nobody_there().await {
                tokio::time::sleep(AGAIN).await;
                if self.is_nobody_there().await {
                    return;
                }
            }
            pause = (pause * 2).min(LONGEST);
        }
    }

    async fn is_nobody_there(&self) -> bool {
        // in this order: who ends begins with the second before it gives up the first
        self.finds_nobody(wire::subject(self.prefix, self.subject)).await
            && self.finds_nobody(wire::drained(self.prefix, self.subject)).await
    }

    async fn finds_nobody(&self, subject: String) -> bool {
        let place = self.inbox.place();
        let look = async {
            self.client.publish_with_reply(subject, place.subject(), Bytes::new()).await.ok()?;
            place.answer().await
        };
        matches!(tokio::time::timeout(PATIENCE, look).await, Ok(Some(Answer::NobodyThere)))
    }
}
