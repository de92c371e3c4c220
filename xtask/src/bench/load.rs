//! Load: requests over connections that stay open, with as little work on this side as possible.

use anyhow::{Context, Result, bail};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// One kept-open connection.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

pub(crate) struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self { stream, buffer: Vec::with_capacity(1 << 16) })
    }

    /// Sends a ready-made request and reads its whole answer.
    pub(crate) fn send(&mut self, request: &[u8]) -> Result<Answer> {
        self.stream.write_all(request)?;
        self.buffer.clear();
        let mut chunk = [0_u8; 65536];
        loop {
            let n = self.stream.read(&mut chunk)?;
            if n == 0 {
                bail!("the connection was closed");
            }
            self.buffer.extend_from_slice(&chunk[..n]);
            if let Some(answer) = self.complete()? {
                return Ok(answer);
            }
        }
    }

    /// How long each of so many answers took, the shortest first.
    pub(crate) fn times(&mut self, request: &[u8], count: usize) -> Result<Vec<Duration>> {
        let mut times = Vec::with_capacity(count);
        for _ in 0..count {
            let started = Instant::now();
            let answer = self.send(request)?;
            times.push(started.elapsed());
            if answer.status != 200 {
                bail!("answered {}", answer.status);
            }
        }
        times.sort();
        Ok(times)
    }

    fn complete(&self) -> Result<Option<Answer>> {
        let Some(end) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") else { return Ok(None) };
        let head = std::str::from_utf8(&self.buffer[..end])?;
        let status = head.split(' ').nth(1).context("a status")?.parse()?;
        let length = head.lines().find_map(|l| {
            let (name, value) = l.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
        });
        let body = &self.buffer[end + 4..];
        match length {
            Some(n) if body.len() < n => Ok(None),
            Some(n) => Ok(Some(Answer { status, body: body[..n].to_vec() })),
            None if status == 204 => Ok(Some(Answer { status, body: Vec::new() })),
            None => bail!("an answer without a length"),
        }
    }
}

/// A GET as bytes.
pub(crate) fn get(address: &str, path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut text = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    text.into_bytes()
}

/// A POST as bytes.
pub(crate) fn post(address: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut text = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    text.push_str(body);
    text.into_bytes()
}

/// The same request over `connections` for `time`: answers a second. Anything but 200 ends it.
pub(crate) fn rate(address: &str, request: &[u8], connections: usize, time: Duration) -> Result<f64> {
    let started = Instant::now();
    let total: Result<Vec<u64>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..connections)
            .map(|_| {
                scope.spawn(move || -> Result<u64> {
                    let mut c = Connection::open(address)?;
                    let mut n = 0;
                    while started.elapsed() < time {
                        let answer = c.send(request)?;
                        if answer.status != 200 {
                            bail!("answered {}", answer.status);
                        }
                        n += 1;
                    }
                    Ok(n)
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap_or_else(|_| bail!("a client panicked"))).collect()
    });
    Ok(total?.iter().sum::<u64>() as f64 / started.elapsed().as_secs_f64())
}

/// The `p`-th percentile (0 … 100) of durations.
pub(crate) fn percentile(sorted: &[Duration], p: f64) -> Duration {
    let n = ((sorted.len() as f64 * p / 100.0).ceil() as usize).clamp(1, sorted.len());
    sorted[n - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles() {
        let ms: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(percentile(&ms, 50.0), Duration::from_millis(50));
        assert_eq!(percentile(&ms, 99.0), Duration::from_millis(99));
        assert_eq!(percentile(&ms[..1], 99.0), Duration::from_millis(1));
    }
}
