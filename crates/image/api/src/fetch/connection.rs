//! A connection to one of the addresses that were checked, and to nothing else.

use super::hop::innermost;
use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Url;

/// The first address that answers. Why none did, otherwise.
pub(super) async fn open(
    url: &Url,
    addresses: &[IpAddr],
    patience: Duration,
) -> Result<SendRequest<Empty<Bytes>>, String> {
    let port = url.port_or_known_default().unwrap_or(80);
    let mut last = "it has no address".to_owned();
    for address in addresses {
        match tokio::time::timeout(patience, connect(url, *address, port)).await {
            Ok(Ok(sender)) => return Ok(sender),
            Ok(Err(why)) => last = why,
            Err(_) => last = "it takes no connection".to_owned(),
        }
    }
    Err(last)
}

async fn connect(url: &Url, address: IpAddr, port: u16) -> Result<SendRequest<Empty<Bytes>>, String> {
    let stream = TcpStream::connect((address, port)).await.map_err(|e| e.to_string())?;
    if url.scheme() != "https" {
        return speak(stream).await;
    }
    let name = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(name.to_owned()).map_err(|e| e.to_string())?;
    let connector = TlsConnector::from(tls()?);
    speak(connector.connect(name, stream).await.map_err(|e| innermost(&e))?).await
}

async fn speak(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> Result<SendRequest<Empty<Bytes>>, String> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|e| innermost(&e))?;
    // ends with the body, or when nobody wants it any more; how, the body says
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}

/// Trusts what the system trusts.
fn tls() -> Result<Arc<ClientConfig>, String> {
    static CONFIG: OnceLock<Result<Arc<ClientConfig>, String>> = OnceLock::new();
    let load = || {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "a certificate of the system's cannot be read");
        }
        roots.add_parsable_certificates(found.certs);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(|e| e.to_string())?;
        Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
    };
    CONFIG.get_or_init(load).clone()
}
