//! The way to NATS, which may swallow what goes through it: connections stand, new ones are taken, and nothing arrives.

use anyhow::{Context, Result};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Ends with its drop.
pub struct Passage {
    pub(super) address: SocketAddr,
    swallows: watch::Sender<bool>,
    lost: Arc<Lost>,
    runtime: Option<tokio::runtime::Runtime>,
}

#[derive(Default)]
struct Lost {
    bytes: AtomicU64,
    connections: AtomicU64,
}

impl Passage {
    /// From that address of this machine to the other one. In threads of its own: tests stand still at times.
    pub(super) fn open(from: &str, to: SocketAddr) -> Result<Self> {
        let listener = std::net::TcpListener::bind((from, 0)).with_context(|| from.to_owned())?;
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (swallows, hole) = watch::channel(false);
        let lost = Arc::new(Lost::default());
        runtime.spawn(accept(listener, to, hole, lost.clone()));
        Ok(Self { address, swallows, lost, runtime: Some(runtime) })
    }

    /// From now on nothing arrives, in either direction.
    pub fn swallow(&self) {
        self.swallows.send_replace(true);
    }

    /// From now on everything arrives. Connections that have lost something end.
    pub fn heal(&self) {
        self.swallows.send_replace(false);
    }

    /// Bytes that were sent and have not arrived.
    pub fn swallowed(&self) -> u64 {
        self.lost.bytes.load(Ordering::SeqCst)
    }

    /// Connections that were made while nothing arrived.
    pub fn made_in_vain(&self) -> u64 {
        self.lost.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn accept(listener: std::net::TcpListener, to: SocketAddr, hole: watch::Receiver<bool>, lost: Arc<Lost>) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    while let Ok((client, _)) = listener.accept().await {
        if *hole.borrow() {
            lost.connections.fetch_add(1, Ordering::SeqCst);
        }
        let (hole, lost) = (hole.clone(), lost.clone());
        tokio::spawn(async move {
            // a server that is down refuses, and the client is cut off
            let Ok(server) = TcpStream::connect(to).await else { return };
            let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
            tokio::select! {
                () = carry(from_client, to_server, hole.clone(), lost.clone()) => {}
                () = carry(from_server, to_client, hole, lost) => {}
            }
        });
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut hole: watch::Receiver<bool>, lost: Arc<Lost>) {
    let (mut buffer, mut lossy) = (vec![0; 64 << 10], false);
    loop {
        let arrived = tokio::select! {
            biased;
            // what is lost of a stream is not made good
            _ = hole.wait_for(|swallows| !swallows), if lossy => return,
            read = from.read(&mut buffer) => match read {
                Ok(n) if n > 0 => &buffer[..n],
                _ => return,
            },
        };
        if *hole.borrow() {
            lost.bytes.fetch_add(arrived.len() as u64, Ordering::SeqCst);
            lossy = true;
        } else if to.write_all(arrived).await.is_err() {
            return;
        }
    }
}
