//! The body: bounded in time and speed, taken up again where it was cut off.

use super::hop::{self, Answer, follow};
use super::{FetchError, FetchSettings, Target};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, HeaderValue, IF_RANGE, LAST_MODIFIED, RANGE};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A file on its way here.
pub(crate) struct Transfer {
    settings: Arc<FetchSettings>,
    target: Target,
    answer: Answer,
    /// Bytes of the whole file, if the server says so.
    length: Option<u64>,
    /// What must still hold for the rest to belong to what has come.
    validator: Option<HeaderValue>,
    at: u64,
    resumes_left: u32,
    /// Time spent waiting for bytes, and how many came in it.
    window: (Duration, u64),
}

impl Transfer {
    pub(super) async fn begin(settings: Arc<FetchSettings>, target: Target) -> Result<Self, FetchError> {
        let answer = follow(&settings, &target, &HeaderMap::new()).await?;
        if answer.status() != StatusCode::OK {
            let host = hop::host(&target.url);
            return Err(FetchError::Refused { host, status: answer.status() });
        }
        let length = answer.headers().get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.trim().parse().ok());
        let validator = validator(answer.headers());
        let resumes_left = settings.pace.resumes;
        Ok(Self { settings, target, answer, length, validator, at: 0, resumes_left, window: (Duration::ZERO, 0) })
    }

    /// What the server says will come in all.
    pub(crate) fn length(&self) -> Option<u64> {
        self.length
    }

    /// `None` after the last byte.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, FetchError> {
        loop {
            match self.read().await {
                Ok(chunk) => return Ok(chunk),
                Err(error) => self.resume(error).await?,
            }
        }
    }

    async fn read(&mut self) -> Result<Option<Bytes>, FetchError> {
        let idle = self.settings.pace.idle;
        let asked = Instant::now();
        loop {
            let frame = tokio::time::timeout(idle, self.answer.body_mut().frame()).await;
            let frame = frame.map_err(|_| FetchError::Idle(idle))?;
            match frame {
                Some(Ok(frame)) => {
                    // what is no data is what comes after it
                    let Ok(chunk) = frame.into_data() else { continue };
                    self.at += chunk.len() as u64;
                    self.keep_pace(asked.elapsed(), chunk.len() as u64)?;
                    return Ok(Some(chunk));
                }
                Some(Err(e)) => return Err(FetchError::CutOff { at: self.at, why: hop::innermost(&e) }),
                None if self.length.is_some_and(|l| l != self.at) => {
                    return Err(FetchError::CutOff { at: self.at, why: "there should be more".to_owned() });
                }
                None => return Ok(None),
            }
        }
    }

    /// Somebody who sends a byte now and then holds a place that others need. That a store is slow to take the bytes is
    /// not his fault.
    fn keep_pace(&mut self, waited: Duration, came: u64) -> Result<(), FetchError> {
        let pace = &self.settings.pace;
        self.window.0 += waited;
        self.window.1 += came;
        if self.window.0 < pace.window {
            return Ok(());
        }
        let (_, bytes) = std::mem::take(&mut self.window);
        if bytes < pace.window_bytes { Err(FetchError::Slow { bytes, window: pace.window }) } else { Ok(()) }
    }

    /// Asks for the rest; `error`, or a better one, if there is no way to know that it would be the rest of the same.
    async fn resume(&mut self, error: FetchError) -> Result<(), FetchError> {
        let mut error = error;
        while error.is_passing() && self.resumes_left > 0 {
            let Some(validator) = &self.validator else { return Err(error) };
            self.resumes_left -= 1;
            tracing::info!(%error, at = self.at, "a transfer is taken up again");
            tokio::time::sleep(self.settings.pace.before_resume).await;
            let mut headers = HeaderMap::new();
            let Ok(range) = HeaderValue::try_from(format!("bytes={}-", self.at)) else { return Err(error) };
            headers.insert(RANGE, range);
            headers.insert(IF_RANGE, validator.clone());
            match follow(&self.settings, &self.target, &headers).await {
                Ok(answer) if self.continues(&answer) => {
                    self.answer = answer;
                    self.window = (Duration::ZERO, 0);
                    return Ok(());
                }
                Ok(_) => return Err(FetchError::Changed { at: self.at }),
                Err(again) => error = again,
            }
        }
        Err(error)
    }

    /// Whether an answer is the rest of what has come.
    fn continues(&self, answer: &Answer) -> bool {
        let range = answer.headers().get(CONTENT_RANGE).and_then(|v| v.to_str().ok()).and_then(content_range);
        let Some((first, total)) = range else { return false };
        answer.status() == StatusCode::PARTIAL_CONTENT
            && first == self.at
            && (total.is_none() || self.length.is_none() || total == self.length)
            && validator(answer.headers()).is_none_or(|v| Some(v) == self.validator)
    }
}

/// What proves that a file is the same: a strong tag, else the time of its last change.
fn validator(headers: &HeaderMap) -> Option<HeaderValue> {
    let strong = headers.get(ETAG).filter(|tag| tag.as_bytes().starts_with(b"\""));
    strong.or_else(|| headers.get(LAST_MODIFIED)).cloned()
}

/// `bytes 5-9/10`: the first byte, and how many there are in all.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (positions, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, _last) = positions.split_once('-')?;
    let total = if total.trim() == "*" { None } else { Some(total.trim().parse().ok()?) };
    Some((first.trim().parse().ok()?, total))
}
