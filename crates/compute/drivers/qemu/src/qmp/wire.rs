//! Lines over a Unix socket, and what they mean.

use super::{Event, QmpError};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde_json::Value;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use tokio::io::Interest;
use tokio::net::UnixStream;

/// Longest line taken. `query-cpu-model-expansion` and the like stay under 100 KiB; a QEMU that sends more has been
/// taken over by its guest.
pub(super) const LONGEST_LINE: usize = 4 << 20;

#[derive(Debug)]
pub(super) enum Message {
    Greeting,
    Answer { id: Option<u64>, result: Result<Value, QmpError> },
    Event(Event),
}

pub(super) struct Lines {
    stream: UnixStream,
    buffer: Vec<u8>,
    /// How much of `buffer` is known to hold no newline.
    searched: usize,
}

impl Lines {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self { stream, buffer: Vec::new(), searched: 0 }
    }

    /// The next message. May be cancelled: nothing is lost.
    pub(super) async fn next(&mut self) -> Result<Message, QmpError> {
        loop {
            if let Some(at) = self.buffer[self.searched..].iter().position(|b| *b == b'\n') {
                let rest = self.buffer.split_off(self.searched + at + 1);
                let line = std::mem::replace(&mut self.buffer, rest);
                self.searched = 0;
                if line.len() > LONGEST_LINE {
                    return Err(too_long());
                }
                if line.trim_ascii().is_empty() {
                    continue;
                }
                return parse(&line);
            }
            self.searched = self.buffer.len();
            if self.buffer.len() > LONGEST_LINE {
                return Err(too_long());
            }
            self.buffer.reserve(4096);
            self.stream.readable().await?;
            match self.stream.try_read_buf(&mut self.buffer) {
                Ok(0) => return Err(QmpError::Closed),
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// Writes all of `bytes`; `fd` travels with the first of them.
    pub(super) async fn send(&mut self, mut bytes: &[u8], mut fd: Option<OwnedFd>) -> Result<(), QmpError> {
        while !bytes.is_empty() {
            self.stream.writable().await?;
            let attempt = self.stream.try_io(Interest::WRITABLE, || {
                let fds = fd.as_ref().map(|fd| [fd.as_fd()]);
                let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
                let mut control = SendAncillaryBuffer::new(&mut space);
                if let Some(fds) = &fds {
                    control.push(SendAncillaryMessage::ScmRights(fds));
                }
                Ok(sendmsg(&self.stream, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?)
            });
            match attempt {
                Ok(n) => {
                    fd = None;
                    bytes = &bytes[n..];
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }
}

fn too_long() -> QmpError {
    QmpError::Garbage(format!("a line of more than {LONGEST_LINE} bytes"))
}

fn parse(line: &[u8]) -> Result<Message, QmpError> {
    let garbage = || QmpError::Garbage(excerpt(line));
    let mut value: Value = serde_json::from_slice(line).map_err(|_| garbage())?;
    let object = value.as_object_mut().ok_or_else(garbage)?;
    let id = object.get("id").and_then(Value::as_u64);
    let mut take = |key: &str| object.get_mut(key).map(Value::take);
    if let Some(result) = take("return") {
        return Ok(Message::Answer { id, result: Ok(result) });
    }
    if let Some(error) = take("error") {
        let text = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        return Ok(Message::Answer {
            id,
            result: Err(QmpError::Refused { class: text("class"), description: text("desc") }),
        });
    }
    if let Some(Value::String(name)) = take("event") {
        return Ok(Message::Event(Event { name, data: take("data").unwrap_or_default() }));
    }
    if take("QMP").is_some() { Ok(Message::Greeting) } else { Err(garbage()) }
}

fn excerpt(line: &[u8]) -> String {
    String::from_utf8_lossy(&line[..line.len().min(120)]).trim_end().to_owned()
}
