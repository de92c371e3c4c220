//! One address for a primary and the replica that takes its place, as a site's balancer or a moved address gives.

use super::Server;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use tokio::net::{TcpListener, TcpStream};

/// Passes connections on to one server at a time, until it is dropped.
pub struct Address {
    port: u16,
    to: Arc<AtomicU16>,
    listening: tokio::task::JoinHandle<()>,
}

impl Address {
    pub async fn of(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let to = Arc::new(AtomicU16::new(server.port));
        let target = to.clone();
        let listening = tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let port = target.load(Ordering::Acquire);
                tokio::spawn(async move {
                    // a server that is down refuses, and the client is cut off
                    if let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await {
                        let _ended = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
        });
        Self { port, to, listening }
    }

    /// New connections go there from now on.
    pub fn leads_to(&self, server: &Server) {
        self.to.store(server.port, Ordering::Release);
    }

    pub fn url(&self, database: &str) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for Address {
    fn drop(&mut self) {
        self.listening.abort();
    }
}
