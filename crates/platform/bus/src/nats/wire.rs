//! What goes over NATS: subjects, headers, and replies in parts.

use crate::Versions;
use async_nats::HeaderMap;
use base::Timestamp;
use bytes::Bytes;
use std::fmt::Write;
use std::time::Duration;

/// Largest reply. What is larger is asked for page by page.
pub(super) const LARGEST_REPLY: usize = 64 << 20;
/// Room kept for headers in each message; ours take less than 250 bytes.
const HEADERS: usize = 512;
/// Smallest part worth sending: a server's limit below this is taken for this.
const SMALLEST_PART: usize = 512;

const NEWEST: &str = "Skyiron-Version";
const OLDEST: &str = "Skyiron-Oldest";
/// How long the caller waits, in milliseconds.
const WITHIN: &str = "Skyiron-Within";
const STATUS: &str = "Skyiron-Status";
/// `INDEX/COUNT/BYTES IN ALL`; a reply of one part has none.
const PART: &str = "Skyiron-Part";
/// What the site's clock shows, in microseconds since 1970: in replies of those who go by the database's.
const TIME: &str = "Skyiron-Time";

/// How many bytes of ours fit into one message, by the server's `max_payload`.
pub(super) fn room(max_payload: usize) -> usize {
    max_payload.saturating_sub(HEADERS).max(SMALLEST_PART)
}

/// A subject as NATS takes it. Whatever has a meaning there (`*`, `>`, spaces) or could break its lines is escaped, so
/// that a host's name can neither listen for others nor be lost.
pub(super) fn subject(prefix: &str, subject: &str) -> String {
    let mut out = String::with_capacity(prefix.len() + subject.len() + 1);
    out.push_str(prefix);
    for word in subject.split('.') {
        out.push('.');
        if word.is_empty() {
            out.push('%');
        }
        for byte in word.bytes() {
            if byte.is_ascii_alphanumeric() || b"-_".contains(&byte) {
                out.push(byte.into());
            } else {
                let _infallible = write!(out, "%{byte:02x}");
            }
        }
    }
    out
}

/// Where those are found who take no more calls of a subject and have some in hand.
pub(super) fn drained(prefix: &str, subject: &str) -> String {
    self::subject(&format!("{prefix}._drained"), subject)
}

/// Servers of one role share their calls: the group is the subject's first word.
pub(super) fn group(subject: &str) -> String {
    self::subject("q", subject.split('.').next().unwrap_or_default())
}

fn number<T: std::str::FromStr>(headers: &HeaderMap, name: &str) -> Option<T> {
    headers.get(name)?.as_str().parse().ok()
}

pub(super) fn request(versions: Versions, within: Duration) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(NEWEST, versions.newest.to_string());
    headers.insert(OLDEST, versions.oldest.to_string());
    headers.insert(WITHIN, within.as_millis().to_string());
    headers
}

pub(super) struct Asked {
    pub versions: Versions,
    pub within: Duration,
}

/// `None`: not sent by a bus of ours.
pub(super) fn asked(headers: Option<&HeaderMap>) -> Option<Asked> {
    let headers = headers?;
    let versions = Versions { newest: number(headers, NEWEST)?, oldest: number(headers, OLDEST)? };
    Some(Asked { versions, within: Duration::from_millis(number(headers, WITHIN)?) })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Done,
    Refused,
    /// No protocol version in common; the body says it in words.
    Version,
    /// The body is the size in bytes, in decimal.
    TooLarge,
}

const STATUSES: &[(Status, &str)] = &[
    (Status::Done, "done"),
    (Status::Refused, "refused"),
    (Status::Version, "version"),
    (Status::TooLarge, "too-large"),
];

/// A reply as the messages that carry it. `time` is what the clock shows now, if that is to be told.
pub(super) fn reply(status: Status, body: &Bytes, room: usize, time: Option<Timestamp>) -> Vec<(HeaderMap, Bytes)> {
    let word = STATUSES.iter().find(|(s, _)| *s == status).map_or("refused", |(_, word)| word);
    let count = body.len().div_ceil(room).max(1);
    (0..count)
        .map(|index| {
            let mut headers = HeaderMap::new();
            headers.insert(STATUS, word);
            if let Some(Timestamp(micros)) = time {
                headers.insert(TIME, micros.to_string());
            }
            if count > 1 {
                headers.insert(PART, format!("{index}/{count}/{}", body.len()));
            }
            (headers, body.slice(index * room..((index + 1) * room).min(body.len())))
        })
        .collect()
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub status: Status,
    pub body: Bytes,
    /// What the server's clock showed when it replied, if it says.
    pub time: Option<Timestamp>,
}

/// Puts a reply together from its parts, in whatever order they come.
#[derive(Default)]
pub(super) struct Assembly {
    parts: Vec<Option<Bytes>>,
    /// Bytes in all, as the first part said.
    size: usize,
    missing: usize,
}

impl Assembly {
    /// The reply once it is whole. `Err`: not a reply of ours, or one that does not hold together.
    pub(super) fn take(&mut self, headers: Option<&HeaderMap>, payload: Bytes) -> Result<Option<Reply>, String> {
        let Some(word) = headers.and_then(|h| h.get(STATUS)) else { return Err("it has no status".into()) };
        let Some((status, _)) = STATUSES.iter().find(|(_, w)| *w == word.as_str()) else {
            return Err(format!("it has the unknown status {:?}", word.as_str()));
        };
        let status = *status;
        let time = headers.and_then(|h| number(h, TIME)).map(Timestamp);
        let Some(part) = headers.and_then(|h| h.get(PART)) else {
            return Ok(Some(Reply { status, body: payload, time }));
        };
        let odd = || format!("part {:?} of {} bytes does not fit", part.as_str(), payload.len());
        let numbers: Vec<usize> = part.as_str().split('/').map_while(|n| n.parse().ok()).collect();
        let [index, count, size] = numbers[..] else { return Err(odd()) };
        if self.parts.is_empty() {
            // bounds what a stranger can make us allocate
            if size > LARGEST_REPLY || count > size.div_ceil(SMALLEST_PART) {
                return Err(odd());
            }
            (self.parts, self.size, self.missing) = (vec![None; count], size, count);
        }
        if index >= count || count != self.parts.len() || size != self.size || payload.len() > size {
            return Err(odd());
        }
        if self.parts[index].replace(payload).is_none() {
            self.missing -= 1;
        }
        if self.missing > 0 {
            return Ok(None);
        }
        let body = self.parts.iter().flatten().fold(Vec::with_capacity(size), |mut all, part| {
            all.extend_from_slice(part);
            all
        });
        if body.len() != size {
            return Err(format!("its parts have {} bytes, not {size}", body.len()));
        }
        Ok(Some(Reply { status, body: body.into(), time }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn subjects_mean_only_themselves() {
        assert_eq!(subject("skyiron", "compute-agent.host7.wake"), "skyiron.compute-agent.host7.wake");
        assert_eq!(subject("s", "a.*.>"), "s.a.%2a.%3e");
        assert_eq!(subject("s", "a..b c"), "s.a.%.b%20c");
        assert_eq!(group("compute-agent.host7.wake"), "q.compute-agent");
    }

    #[test]
    fn headers_read_back() {
        let headers = request(Versions { newest: 3, oldest: 2 }, Duration::from_millis(1500));
        let asked = asked(Some(&headers)).unwrap();
        assert_eq!((asked.versions.newest, asked.versions.oldest, asked.within.as_millis()), (3, 2, 1500));
        assert!(super::asked(None).is_none());
        assert!(super::asked(Some(&HeaderMap::new())).is_none());
    }

    #[test]
    fn what_does_not_hold_together_is_no_reply() {
        let part = |text: &str| {
            let mut h = HeaderMap::new();
            h.insert(STATUS, "done");
            h.insert(PART, text);
            h
        };
        let bytes = || Bytes::from_static(b"xx");
        for odd in
            ["", "0", "0/2", "2/2/1024", "0/9/10", "0/0/0", "0/2/99999999999", "0/4000000000/4000000000", "a/b/c"]
        {
            assert!(Assembly::default().take(Some(&part(odd)), bytes()).is_err(), "{odd}");
        }
        let mut short = Assembly::default();
        assert_eq!(short.take(Some(&part("0/2/1024")), bytes()), Ok(None));
        assert!(short.take(Some(&part("1/3/1024")), bytes()).is_err(), "another count");
        assert!(short.take(Some(&part("1/2/1024")), bytes()).is_err(), "bytes are missing");
        assert!(Assembly::default().take(None, bytes()).is_err());
        let mut unknown = HeaderMap::new();
        unknown.insert(STATUS, "perhaps");
        assert!(Assembly::default().take(Some(&unknown), bytes()).is_err());
    }

    proptest! {
        #[test]
        fn replies_arrive_whole_in_any_order(
            body in proptest::collection::vec(any::<u8>(), 0..5000),
            room in 512_usize..2000,
            seed in any::<usize>(),
        ) {
            let body = Bytes::from(body);
            let time = Some(Timestamp(1_767_323_045_000_123));
            let mut messages = reply(Status::Refused, &body, room, time);
            let turn = seed % messages.len();
            messages.rotate_left(turn);
            // the first part once more: a part may come twice
            if messages.len() > 1 {
                messages.insert(1, messages[0].clone());
            }
            let mut assembly = Assembly::default();
            let last = messages.pop().unwrap();
            for (headers, payload) in messages {
                prop_assert_eq!(assembly.take(Some(&headers), payload), Ok(None));
            }
            let whole = assembly.take(Some(&last.0), last.1).unwrap();
            prop_assert_eq!(whole, Some(Reply { status: Status::Refused, body, time }));
        }

        #[test]
        fn different_subjects_stay_different(a in "[a-c.*> %]{0,6}", b in "[a-c.*> %]{0,6}") {
            prop_assert_eq!(a == b, subject("s", &a) == subject("s", &b));
            let wire = subject("s", &a);
            prop_assert!(wire.split('.').all(|w| !w.is_empty()) && !wire.contains(['*', '>', ' ']));
        }
    }
}
