//! A listener: accepts connections, bounds how slow a client may be, stops cleanly.

use crate::Peer;
use axum::Router;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A client has this long to send its request's header.
const HEADER_PATIENCE: Duration = Duration::from_secs(30);
/// Requests still running at a stop get this long.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// A bound listener, not yet serving: its address is known before anything is promised.
pub struct Listening {
    listener: TcpListener,
    pub address: SocketAddr,
}

impl Listening {
    pub async fn bind(address: &str) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }
}

/// Serves until `stop` turns true, then lets running requests finish.
pub async fn serve(listening: Listening, router: Router, mut stop: watch::Receiver<bool>) {
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEADER_PATIENCE);
    let graceful = GracefulShutdown::new();
    let begin = |stream: TcpStream, from: SocketAddr| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY");
        }
        let inner = TowerToHyperService::new(router.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(Peer(from.ip()));
            inner.call(request)
        });
        let connection = server.serve_connection(TokioIo::new(stream), service);
        let watched = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = watched.await {
                tracing::debug!(%error, "connection ended");
            }
        });
    };
    loop {
        tokio::select! {
            accepted = listening.listener.accept() => match accepted {
                Ok((stream, from)) => begin(stream, from),
                Err(error) => {
                    // out of file descriptors, most likely: accepting at once again would only burn the processor
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            // the guard inside would not travel between threads
            () = async { drop(stop.wait_for(|s| *s).await) } => break,
        }
    }
    // who is connected already, in the kernel's queue, would see a reset in place of an answer
    while let Ok(Ok((stream, from))) = tokio::time::timeout(Duration::from_millis(1), listening.listener.accept()).await
    {
        begin(stream, from);
    }
    drop(listening);
    tokio::select! {
        () = graceful.shutdown() => {}
        () = tokio::time::sleep(STOP_PATIENCE) => tracing::warn!("requests were still running at the stop"),
    }
}
