//! The bus between processes: core NATS, and nothing of it that keeps state.
//!
//! A call is a request with a reply subject; the servers of a subject are a queue group, of which NATS picks one, and it
//! answers at once where there is none. Where an answer takes its time, the caller looks whether anybody is still there
//! (`presence`). A request fits into one message (the server's `max_payload`, 1 MiB unless
//! configured); a reply may be larger and comes in parts. Nothing is compressed: packing and unpacking 200 KiB of JSON
//! takes 1.2 ms, as long as sending them over 1 Gbit/s saves, and twice as long as the whole way on one machine
//! (`cargo xtask bench bus`).

mod connect;
mod inbox;
mod presence;
mod serving;
mod settings;
mod wire;

pub use settings::{OpenError, Settings};

use crate::{Bus, BusError, Handler, OnHint, Subscription, Timing, Versions};
use async_nats::connection::State;
use async_nats::{Client, PublishErrorKind, SubscribeError, Subscriber};
use async_trait::async_trait;
use bytes::Bytes;
use connect::Link;
use futures_util::{FutureExt, StreamExt};
use inbox::{Answer, Inbox};
use presence::Presence;
use serving::Serving;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;
use wire::Status;

/// Hints that wait to be sent. One that finds this full is dropped: many others are on their way.
const HINTS_WAITING: usize = 4096;

/// Cheap to clone; all clones are the same connection, which ends with the last of them, and its subscriptions with it.
#[derive(Clone)]
pub struct NatsBus(Arc<Inner>);

struct Inner {
    client: Client,
    prefix: String,
    versions: Versions,
    timing: Timing,
    inbox: Arc<Inbox>,
    link: Arc<Link>,
    hints: mpsc::Sender<String>,
    drain: watch::Sender<bool>,
    serving: TaskTracker,
    /// Subscriptions that are not yet in the client's queue.
    unsettled: TaskTracker,
    runtime: Handle,
    /// The inbox and the hints; they end with the bus.
    _tasks: JoinSet<()>,
}

impl NatsBus {
    /// Starts to connect, and goes on trying for ever: [`Bus::connected`] tells when it has. Errors are about settings.
    /// Must be called in a tokio runtime.
    pub async fn open(settings: &Settings) -> Result<Self, OpenError> {
        Self::open_with(settings, Versions::OURS, Timing::None).await
    }

    /// The same with the time in replies.
    pub async fn open_timed(settings: &Settings, timing: Timing) -> Result<Self, OpenError> {
        Self::open_with(settings, Versions::OURS, timing).await
    }

    /// As another release would, for tests of upgrades.
    pub async fn open_speaking(settings: &Settings, versions: Versions) -> Result<Self, OpenError> {
        Self::open_with(settings, versions, Timing::None).await
    }

    async fn open_with(settings: &Settings, versions: Versions, timing: Timing) -> Result<Self, OpenError> {
        let (client, link) = connect::start(settings).await?;
        let inbox = Inbox::new(format!("{}._reply.{}", settings.prefix, unique(&client)));
        let arriving = client.subscribe(inbox.pattern()).await.map_err(|e| OpenError::Client(Box::new(e)))?;
        let (hints, waiting) = mpsc::channel(HINTS_WAITING);
        let mut tasks = JoinSet::new();
        tasks.spawn(inbox.clone().run(arriving));
        tasks.spawn(send_hints(client.clone(), waiting));
        Ok(Self(Arc::new(Inner {
            client,
            prefix: settings.prefix.clone(),
            versions,
            timing,
            inbox,
            link,
            hints,
            drain: watch::channel(false).0,
            serving: TaskTracker::new(),
            unsettled: TaskTracker::new(),
            runtime: Handle::current(),
            _tasks: tasks,
        })))
    }

    fn wire(&self, subject: &str) -> String {
        wire::subject(&self.0.prefix, subject)
    }

    /// Spawns `run` with the subscription. That is in the client's queue when this returns, unless that is full, so
    /// that a call made next on this connection finds it.
    fn with_subscription<S, F, Fut>(&self, subscribing: S, run: F) -> tokio::task::JoinHandle<()>
    where
        S: Future<Output = Result<Subscriber, SubscribeError>> + Send + 'static,
        F: FnOnce(Subscriber) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let mut subscribing = Box::pin(subscribing);
        let at_once = tokio::task::unconstrained(subscribing.as_mut()).now_or_never();
        let unsettled = at_once.is_none().then(|| self.0.unsettled.token());
        self.0.runtime.spawn(async move {
            let subscribed = match at_once {
                Some(subscribed) => subscribed,
                None => subscribing.await,
            };
            drop(unsettled);
            match subscribed {
                Ok(subscriber) => run(subscriber).await,
                Err(error) => tracing::error!(error = %error, "a subscription on the bus failed"),
            }
        })
    }
}

/// What no other client's inbox is called.
fn unique(client: &Client) -> String {
    client.new_inbox().rsplit('.').next().unwrap_or_default().to_owned()
}

/// Never waits for a connection: a hint that cannot be sent now is worth nothing later.
async fn send_hints(client: Client, mut waiting: mpsc::Receiver<String>) {
    while let Some(subject) = waiting.recv().await {
        if client.connection_state() != State::Connected {
            continue;
        }
        if let Err(error) = client.publish(subject, Bytes::new()).await {
            tracing::debug!(error = %error, "a hint was not sent");
        }
    }
}

#[async_trait]
impl Bus for NatsBus {
    async fn call_bytes(&self, subject: &str, request: Bytes, deadline: Duration) -> Result<Bytes, BusError> {
        let Inner { client, inbox, versions, .. } = &*self.0;
        let named = || subject.to_owned();
        if let Some(why) = self.away() {
            return Err(BusError::Away { subject: named(), why });
        }
        let (size, limit) = (request.len(), wire::room(client.max_payload()));
        if size > limit {
            return Err(BusError::TooLarge { subject: named(), what: "request", size, limit });
        }
        let place = inbox.place();
        let headers = wire::request(*versions, deadline);
        let asked = Instant::now();
        let exchange = async {
            let (to, from) = (self.wire(subject), place.subject());
            client.publish_with_reply_and_headers(to, from, headers, request).await?;
            let presence = Presence { client, inbox, prefix: &self.0.prefix, subject };
            let mut answer = std::pin::pin!(place.answer());
            tokio::select! {
                biased;
                answered = &mut answer => Ok(answered),
                // what is here already came before they went
                () = presence.gone() => Ok(answer.now_or_never().unwrap_or(Some(Answer::Gone))),
            }
        };
        let answered = tokio::time::timeout(deadline, exchange)
            .await
            .map_err(|_| BusError::Silent { subject: named(), limit: deadline })?;
        let reply = match answered {
            Ok(Some(Answer::Reply(reply))) => reply,
            Ok(Some(Answer::NobodyThere)) => return Err(BusError::NobodyThere { subject: named() }),
            Ok(Some(Answer::Gone)) => return Err(BusError::Gone { subject: named() }),
            Ok(Some(Answer::Strange(why))) => return Err(BusError::Strange { subject: named(), why }),
            Ok(None) => return Err(BusError::Silent { subject: named(), limit: deadline }),
            Err(error) => return Err(unsent(&error, named(), size, limit)),
        };
        if let Some(time) = reply.time {
            self.0.timing.heard(asked, time);
        }
        let text = || String::from_utf8_lossy(&reply.body).into_owned();
        match reply.status {
            Status::Done => Ok(reply.body),
            Status::Refused => Err(BusError::Refused { subject: named(), message: text() }),
            Status::Version => Err(BusError::Version { subject: named(), message: text() }),
            Status::TooLarge => {
                let size = text().parse().unwrap_or(usize::MAX);
                Err(BusError::TooLarge { subject: named(), what: "reply", size, limit: wire::LARGEST_REPLY })
            }
        }
    }

    fn hint(&self, subject: &str) {
        if self.0.client.connection_state() == State::Connected {
            // full: many hints are on their way, and this one may be lost like any
            let _dropped = self.0.hints.try_send(self.wire(subject));
        }
    }

    fn serve_bytes(&self, subject: &str, handler: Handler) -> Subscription {
        let Inner { client, inbox, versions, timing, drain, serving, .. } = &*self.0;
        let (on, group) = (self.wire(subject), wire::group(subject));
        let drained = (wire::drained(&self.0.prefix, subject), group.clone());
        let subscribing = {
            let client = client.clone();
            async move { client.queue_subscribe(on, group).await }
        };
        let (end, ended) = oneshot::channel::<()>();
        let (client, inbox, versions, timing) = (client.clone(), inbox.clone(), *versions, timing.clone());
        let side = Serving { client, inbox, versions, timing, drained };
        let (counted, draining) = (serving.token(), drain.subscribe());
        let _runs_on = self.with_subscription(subscribing, move |calls| async move {
            side.run(calls, handler, ended, draining).await;
            drop(counted);
        });
        Subscription::ending_with(end)
    }

    fn listen(&self, subject: &str, on_hint: OnHint) -> Subscription {
        let (client, on) = (self.0.client.clone(), self.wire(subject));
        // an abort alone comes too late for a task that is at work just then: it may see the next hint as well
        let listens = Arc::new(AtomicBool::new(true));
        let still = listens.clone();
        let listening = self.with_subscription(async move { client.subscribe(on).await }, |mut hints| async move {
            while hints.next().await.is_some() && still.load(Ordering::SeqCst) {
                on_hint();
            }
        });
        Subscription::ending_with(Listening { listens, task: listening.abort_handle() })
    }

    fn away(&self) -> Option<String> {
        (self.0.client.connection_state() != State::Connected).then(|| self.0.link.why())
    }

    async fn connected(&self) {
        self.0.link.until(|| self.away().is_none()).await;
    }

    async fn settled(&self) {
        self.0.unsettled.close();
        self.0.unsettled.wait().await;
        self.0.inbox.echo(&self.0.client).await;
    }

    async fn drain(&self) {
        self.0.drain.send_replace(true);
        self.0.serving.close();
        self.0.serving.wait().await;
        if self.away().is_none() {
            // the replies are with the server once this is back
            let _away = tokio::time::timeout(serving::CONFIRM, self.0.inbox.echo(&self.0.client)).await;
        }
    }
}

/// Ends a listener.
struct Listening {
    listens: Arc<AtomicBool>,
    task: tokio::task::AbortHandle,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.listens.store(false, Ordering::SeqCst);
        self.task.abort();
    }
}

fn unsent(error: &async_nats::PublishError, subject: String, size: usize, limit: usize) -> BusError {
    match error.kind() {
        // the connection has moved to a server with a lower limit just now
        PublishErrorKind::MaxPayloadExceeded => BusError::TooLarge { subject, what: "request", size, limit },
        PublishErrorKind::InvalidSubject | PublishErrorKind::Send => BusError::Away { subject, why: error.to_string() },
    }
}
