//! A bus that loses, repeats, delays and thereby reorders messages, as the seed says.

use crate::dice::Dice;
use crate::process::Life;
use crate::trace::Trace;
use async_trait::async_trait;
use bytes::Bytes;
use platform_bus::{Bus, BusError, Handler, OnHint, Subscription};
use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// How bad the network is. All numbers are per mille of messages.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    pub(crate) lost: u32,
    pub(crate) repeated: u32,
    /// Half a second at most.
    pub(crate) late: u32,
    /// Up to two minutes: long after whoever sent it has given up.
    pub(crate) very_late: u32,
}

/// The network all processes are on.
#[derive(Clone)]
pub(crate) struct Net(Arc<Mutex<Inner>>, Trace);

struct Inner {
    dice: Dice,
    weather: Weather,
    /// Processes that nothing reaches, and that reach nobody.
    cut_off: BTreeSet<String>,
    next: u64,
    servers: BTreeMap<String, Vec<Listener<Handler>>>,
    listeners: BTreeMap<String, Vec<Listener<OnHint>>>,
    /// Changes requests as they arrive: a protection switched off for a test.
    tamper: Option<Tamper>,
}

pub(crate) type Tamper = Arc<dyn Fn(&str, Bytes) -> Tampered + Send + Sync>;
pub(crate) type Tampered = Pin<Box<dyn Future<Output = Bytes> + Send>>;

#[derive(Clone)]
struct Listener<T> {
    id: u64,
    process: String,
    life: Life,
    what: T,
}

impl Net {
    pub(crate) fn new(dice: Dice, trace: Trace) -> Self {
        let inner = Inner {
            dice,
            weather: Weather::default(),
            cut_off: BTreeSet::new(),
            next: 0,
            servers: BTreeMap::new(),
            listeners: BTreeMap::new(),
            tamper: None,
        };
        Self(Arc::new(Mutex::new(inner)), trace)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The network as one process has it.
    pub(crate) fn of(&self, process: &str, life: &Life) -> Arc<dyn Bus> {
        Arc::new(Plug { net: self.clone(), process: process.to_owned(), life: life.clone() })
    }

    pub(crate) fn set_weather(&self, weather: Weather) {
        self.lock().weather = weather;
    }

    pub(crate) fn tamper(&self, with: Tamper) {
        self.lock().tamper = Some(with);
    }

    /// `true`: nothing goes to or from the process any more.
    pub(crate) fn cut_off(&self, process: &str, cut: bool) {
        let cut_off = &mut self.lock().cut_off;
        if cut {
            cut_off.insert(process.to_owned())
        } else {
            cut_off.remove(process)
        };
    }

    async fn tampered(&self, subject: &str, request: Bytes) -> Bytes {
        let tamper = self.lock().tamper.clone();
        match tamper {
            Some(tamper) => tamper(subject, request).await,
            None => request,
        }
    }

    /// When each copy of a message arrives; none: it is lost.
    fn journeys(&self, from: &str, to: &str) -> Vec<Duration> {
        let inner = &mut *self.lock();
        if inner.cut_off.contains(from) || inner.cut_off.contains(to) || inner.dice.per_mille(inner.weather.lost) {
            return Vec::new();
        }
        let copies = if inner.dice.per_mille(inner.weather.repeated) { 2 } else { 1 };
        (0..copies).map(|_| inner.journey()).collect()
    }
}

impl Inner {
    fn journey(&mut self) -> Duration {
        if self.dice.per_mille(self.weather.very_late) {
            // up to ten minutes: what it was about has long ended otherwise
            self.dice.millis(1000, 600_000)
        } else if self.dice.per_mille(self.weather.late) {
            self.dice.millis(5, 500)
        } else {
            self.dice.millis(0, 3)
        }
    }

    fn id(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

struct Plug {
    net: Net,
    process: String,
    life: Life,
}

#[async_trait]
impl Bus for Plug {
    async fn call_bytes(&self, subject: &str, request: Bytes, deadline: Duration) -> Result<Bytes, BusError> {
        let (net, trace) = (&self.net, &self.net.1);
        let server = {
            let inner = &mut *net.lock();
            let servers = inner.servers.get(subject).map(Vec::as_slice).unwrap_or_default();
            inner.dice.pick(servers).cloned()
        };
        let Some(server) = server else {
            tokio::time::sleep(Duration::from_millis(1)).await;
            return Err(BusError::NobodyThere { subject: subject.to_owned() });
        };
        let journeys = net.journeys(&self.process, &server.process);
        trace.event(format_args!("{} calls {} {subject} {journeys:?}", self.process, server.process));
        trace.bytes(&request);
        // a sender is kept, so that an answer that never comes is waited for until the deadline
        let (answered, mut answers) = mpsc::unbounded_channel();
        for journey in journeys {
            let (net, server, caller) = (net.clone(), server.clone(), self.process.clone());
            let (request, answered, subject) = (request.clone(), answered.clone(), subject.to_owned());
            tokio::spawn(async move {
                tokio::time::sleep(journey).await;
                let request = net.tampered(&subject, request).await;
                let at = server.life.clone();
                at.spawn(async move {
                    let answer = (server.what)(request).await;
                    for journey in net.journeys(&server.process, &caller) {
                        let (answer, answered) = (answer.clone(), answered.clone());
                        tokio::spawn(async move {
                            tokio::time::sleep(journey).await;
                            // who asked may be gone
                            let _gone = answered.send(answer);
                        });
                    }
                });
            });
        }
        let answer = tokio::time::timeout(deadline, answers.recv()).await;
        match answer {
            Ok(Some(Ok(reply))) => {
                trace.event(format_args!("{} is answered {subject}", self.process));
                trace.bytes(&reply);
                Ok(reply)
            }
            Ok(Some(Err(message))) => {
                trace.event(format_args!("{} is refused {subject}: {message}", self.process));
                Err(BusError::Refused { subject: subject.to_owned(), message })
            }
            Ok(None) | Err(_) => Err(BusError::Silent { subject: subject.to_owned(), limit: deadline }),
        }
    }

    fn hint(&self, subject: &str) {
        let listeners = self.net.lock().listeners.get(subject).cloned().unwrap_or_default();
        for listener in listeners {
            for journey in self.net.journeys(&self.process, &listener.process) {
                let listener = listener.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(journey).await;
                    if !listener.life.is_over() {
                        (listener.what)();
                    }
                });
            }
        }
    }

    fn serve_bytes(&self, subject: &str, handler: Handler) -> Subscription {
        let inner = &mut *self.net.lock();
        let listener =
            Listener { id: inner.id(), process: self.process.clone(), life: self.life.clone(), what: handler };
        let ends = Ends { net: self.net.clone(), subject: subject.to_owned(), id: listener.id };
        inner.servers.entry(subject.to_owned()).or_default().push(listener);
        Subscription::ending_with(ends)
    }

    fn listen(&self, subject: &str, on_hint: OnHint) -> Subscription {
        let inner = &mut *self.net.lock();
        let listener =
            Listener { id: inner.id(), process: self.process.clone(), life: self.life.clone(), what: on_hint };
        let ends = Ends { net: self.net.clone(), subject: subject.to_owned(), id: listener.id };
        inner.listeners.entry(subject.to_owned()).or_default().push(listener);
        Subscription::ending_with(ends)
    }
}

struct Ends {
    net: Net,
    subject: String,
    id: u64,
}

impl Drop for Ends {
    fn drop(&mut self) {
        let inner = &mut *self.net.lock();
        if let Some(servers) = inner.servers.get_mut(&self.subject) {
            servers.retain(|l| l.id != self.id);
        }
        if let Some(listeners) = inner.listeners.get_mut(&self.subject) {
            listeners.retain(|l| l.id != self.id);
        }
    }
}
