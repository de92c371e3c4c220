//! A web server that means no good. What it does is in the path that is asked for.

use flate2::Compression;
use flate2::write::GzEncoder;
use std::collections::HashMap;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(crate) const DATA: &[u8] = b"a disk that is raw, and long enough to be cut in two";
const HALF: usize = 20;

pub(crate) fn gzip(file: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(file).unwrap();
    packed.finish().unwrap()
}

#[derive(Clone)]
pub(crate) struct Web {
    pub(crate) address: SocketAddr,
    /// Heads of all requests.
    heads: Arc<Mutex<Vec<String>>>,
}

impl Web {
    /// `ip`: one of loopback's.
    pub(crate) async fn start(ip: &str) -> Self {
        let listener = TcpListener::bind((ip, 0)).await.unwrap();
        let web = Self { address: listener.local_addr().unwrap(), heads: Arc::default() };
        let serving = web.clone();
        tokio::spawn(async move {
            let mut times: HashMap<String, u32> = HashMap::new();
            while let Ok((stream, _)) = listener.accept().await {
                let Some((stream, head)) = read_head(stream).await else { continue };
                serving.heads.lock().unwrap().push(head.clone());
                let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                let time = times.entry(path.clone()).and_modify(|n| *n += 1).or_insert(1);
                tokio::spawn(answer(stream, path, *time));
            }
        });
        web
    }
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

async fn read_head(mut stream: TcpStream) -> Option<(TcpStream, String)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).await.ok()? == 0 || head.len() > 16 << 10 {
            return None;
        }
        head.push(byte[0]);
    }
    Some((stream, String::from_utf8_lossy(&head).into_owned()))
}

fn ok(length: usize, more: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n{more}\r\n")
}

fn rest(first: usize, total: usize, more: &str) -> String {
    let length = total - first;
    let range = format!("bytes {first}-{}/{total}", total - 1);
    format!(
        "HTTP/1.1 206 Partial Content\r\nConnection: close\r\nContent-Length: {length}\r\nContent-Range: {range}\r\n{more}\r\n"
    )
}

/// A client that goes away ends it.
async fn answer(mut stream: TcpStream, path: String, time: u32) {
    let _client_is_gone = write(&mut stream, &path, time).await;
    let _closed = stream.shutdown().await;
}

async fn write(stream: &mut TcpStream, path: &str, time: u32) -> std::io::Result<()> {
    let half = &DATA[..HALF];
    if let Some(to) = path.strip_prefix("/to/") {
        let moved = format!("HTTP/1.1 302 Found\r\nConnection: close\r\nContent-Length: 0\r\nLocation: {to}\r\n\r\n");
        return stream.write_all(moved.as_bytes()).await;
    }
    match (path, time) {
        ("/image", _) => {
            stream.write_all(ok(DATA.len(), "").as_bytes()).await?;
            stream.write_all(DATA).await
        }
        ("/gzip", _) => {
            let packed = gzip(DATA);
            stream.write_all(ok(packed.len(), "").as_bytes()).await?;
            stream.write_all(&packed).await
        }
        ("/cut-off/gzip", _) => {
            let packed = gzip(DATA);
            stream.write_all(ok(packed.len(), "").as_bytes()).await?;
            stream.write_all(&packed[..HALF]).await
        }
        ("/until-closed", _) => {
            stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n").await?;
            stream.write_all(DATA).await
        }
        ("/qcow2", _) => {
            let mut file = vec![0; 1 << 17];
            file[..8].copy_from_slice(b"QFI\xfb\0\0\0\x03");
            stream.write_all(ok(file.len(), "").as_bytes()).await?;
            stream.write_all(&file).await
        }
        ("/huge", _) => stream.write_all(ok(1 << 50, "").as_bytes()).await,
        ("/endless", _) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
            let chunk = [b"10000\r\n".as_slice(), &[0; 65536], b"\r\n"].concat();
            loop {
                stream.write_all(&chunk).await?;
            }
        }
        ("/drip", _) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
            loop {
                stream.write_all(b"x").await?;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        ("/silent", _) => {
            stream.write_all(ok(DATA.len(), "").as_bytes()).await?;
            stream.write_all(half).await?;
            std::future::pending().await
        }
        ("/no-answer", _) => std::future::pending().await,
        ("/garbage", _) => stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await,
        ("/long-head", _) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n").await?;
            loop {
                stream.write_all(b"X-Padding: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n").await?;
            }
        }
        ("/cut-off", _) | ("/resumed/no-proof", _) => {
            stream.write_all(ok(DATA.len(), "").as_bytes()).await?;
            stream.write_all(half).await
        }
        ("/cut-off/chunked", _) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n").await
        }
        ("/loop", _) => stream.write_all(b"HTTP/1.1 301 Moved\r\nLocation: /loop\r\nConnection: close\r\n\r\n").await,
        ("/nowhere", _) => stream.write_all(b"HTTP/1.1 302 Found\r\nConnection: close\r\n\r\n").await,
        ("/broken", _) => stream.write_all(b"HTTP/1.1 500 Oh\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").await,
        ("/resumed/weak", 1) => cut(stream, "ETag: W/\"1\"\r\n").await,
        ("/resumed/date", 1) => cut(stream, "Last-Modified: Mon, 02 Mar 2026 10:00:00 GMT\r\n").await,
        ("/resumed/date", _) => {
            stream
                .write_all(rest(HALF, DATA.len(), "Last-Modified: Mon, 02 Mar 2026 10:00:00 GMT\r\n").as_bytes())
                .await?;
            stream.write_all(&DATA[HALF..]).await
        }
        ("/resumed/tag", 2) => stream.write_all(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n").await,
        ("/resumed/tag", n) if n > 2 => {
            stream.write_all(rest(HALF, DATA.len(), "ETag: \"1\"\r\n").as_bytes()).await?;
            stream.write_all(&DATA[HALF..]).await
        }
        ("/resumed/changed", n) if n > 1 => {
            stream.write_all(ok(DATA.len(), "ETag: \"2\"\r\n").as_bytes()).await?;
            stream.write_all(DATA).await
        }
        ("/resumed/other-tag", n) if n > 1 => {
            stream.write_all(rest(HALF, DATA.len(), "ETag: \"2\"\r\n").as_bytes()).await?;
            stream.write_all(&DATA[HALF..]).await
        }
        ("/resumed/other-place", n) if n > 1 => {
            stream.write_all(rest(HALF - 1, DATA.len(), "ETag: \"1\"\r\n").as_bytes()).await?;
            stream.write_all(&DATA[HALF - 1..]).await
        }
        ("/resumed/other-length", n) if n > 1 => {
            stream.write_all(rest(HALF, DATA.len() + 5, "ETag: \"1\"\r\n").as_bytes()).await?;
            stream.write_all(&DATA[HALF..]).await
        }
        ("/resumed/gone", n) if n > 1 => stream.write_all(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n").await,
        (path, _) if path.starts_with("/resumed/") => cut(stream, "ETag: \"1\"\r\n").await,
        _ => stream.write_all(b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").await,
    }
}

async fn cut(stream: &mut TcpStream, more: &str) -> std::io::Result<()> {
    stream.write_all(ok(DATA.len(), more).as_bytes()).await?;
    stream.write_all(&DATA[..HALF]).await
}
