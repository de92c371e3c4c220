//! Threads of their own for hashing: a login must not keep the async workers from answering everybody else.

use super::{HashError, Scheme, hash, verify};
use base::Secret;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use tokio::sync::{Semaphore, oneshot};

/// Logins waiting for a thread. A guesser that sends more than this is told to come back later.
const QUEUE: usize = 256;

type Job = Box<dyn FnOnce() + Send>;

/// Too many logins are waiting already.
#[derive(Debug, thiserror::Error)]
#[error("too many logins are waiting")]
pub struct Busy;

/// Hashes passwords, at most as many at a time as it has threads. Cheap to clone.
#[derive(Clone, Debug)]
pub struct HashPool {
    jobs: mpsc::Sender<Job>,
    places: Arc<Semaphore>,
    scheme: Scheme,
}

impl HashPool {
    /// The threads end when the last clone is dropped.
    pub fn start(scheme: Scheme, threads: usize) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let queue = Arc::new(Mutex::new(queue));
        for n in 0..threads.max(1) {
            let queue = queue.clone();
            std::thread::Builder::new().name(format!("password-{n}")).spawn(move || {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(job) = next else { return };
                    job();
                }
            })?;
        }
        Ok(Self { jobs, places: Arc::new(Semaphore::new(QUEUE)), scheme })
    }

    pub async fn hash(&self, password: Secret) -> Result<Result<String, HashError>, Busy> {
        let scheme = self.scheme;
        self.run(move || hash(scheme, password.expose())).await
    }

    /// Whether the password is the one stored. `None` (nobody of that name, or no password) takes as long as a wrong
    /// one, so that the answer's time does not say which it was.
    pub async fn verify(&self, password: Secret, stored: Option<String>) -> Result<bool, Busy> {
        let scheme = self.scheme;
        self.run(move || match stored {
            Some(stored) => verify(password.expose(), &stored).unwrap_or_else(|error| {
                tracing::error!(%error, "a stored password cannot be checked");
                false
            }),
            None => {
                // the digest is of no use to anybody: only its time counts
                let _unused = hash(scheme, password.expose());
                false
            }
        })
        .await
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Busy> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| Busy)?;
        let (done, answer) = oneshot::channel();
        let job: Job = Box::new(move || {
            let _place = place;
            // whoever asked may have gone away: then there is nothing to hash for
            if !done.is_closed() {
                let _gone = done.send(work());
            }
        });
        self.jobs.send(job).map_err(|_| Busy)?;
        answer.await.map_err(|_| Busy)
    }
}
