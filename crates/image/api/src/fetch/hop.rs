//! One request to one server, and the redirects that lead to the last one.

use super::{FetchError, FetchSettings, Target, address, connection};
use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::header::{ACCEPT_ENCODING, HOST, HeaderMap, HeaderValue, LOCATION, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use std::error::Error;
use std::io;
use std::net::IpAddr;
use url::Url;

/// urllib's, which Glance fetches with.
const MAX_REDIRECTS: usize = 10;

/// A server's answer, its body still to come.
pub(super) type Answer = Response<Incoming>;

/// Finds the addresses of a name.
#[async_trait]
pub trait Resolve: Send + Sync {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// What the system says.
#[derive(Clone, Copy, Debug)]
pub struct SystemResolver;

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((host, 0)).await?.map(|a| a.ip()).collect())
    }
}

/// The answer of the server that has it, with a body that has not been read.
pub(super) async fn follow(settings: &FetchSettings, target: &Target, extra: &HeaderMap) -> Result<Answer, FetchError> {
    let mut url = target.url.clone();
    for hop in 0..=MAX_REDIRECTS {
        let mut headers = extra.clone();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let own = url.origin() == target.url.origin();
        if own {
            headers.extend(target.headers.clone());
        }
        let answer = ask(settings, &url, headers, target.trusted && hop == 0).await?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        if !is_redirect(status) {
            return Err(FetchError::Refused { host: host(&url), status });
        }
        url = next(settings, &url, &answer)?;
    }
    Err(FetchError::TooManyRedirects(MAX_REDIRECTS))
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn next(settings: &FetchSettings, from: &Url, answer: &Answer) -> Result<Url, FetchError> {
    let to = answer.headers().get(LOCATION).and_then(|v| v.to_str().ok());
    let to = to.ok_or_else(|| FetchError::NoRedirectTarget { host: host(from) })?;
    let refused = || FetchError::RedirectFiltered(to.to_owned());
    // an absolute URL is judged as it is written, a relative one as it comes out
    let absolute = match Url::parse(to) {
        Ok(_) => to.to_owned(),
        Err(_) => from.join(to).map_err(|_| refused())?.to_string(),
    };
    settings.filter.passes(&absolute).ok_or_else(refused)
}

pub(super) fn host(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

async fn ask(settings: &FetchSettings, url: &Url, headers: HeaderMap, trusted: bool) -> Result<Answer, FetchError> {
    let name = host(url);
    let addresses = addresses(settings, url, &name).await?;
    let refused = addresses.iter().find(|a| !trusted && !address::is_allowed(**a, &settings.allowed_networks));
    if let Some(address) = refused {
        tracing::warn!(host = name, %address, "a fetch from {name} was refused: it is at {address}");
        return Err(FetchError::Address { host: name });
    }
    let unreachable = |why: String| FetchError::Unreachable { host: name.clone(), why };
    let request = request(url, headers).map_err(unreachable)?;
    let patience = settings.pace.connect;
    let mut sender = connection::open(url, &addresses, patience).await.map_err(unreachable)?;
    let answer = tokio::time::timeout(patience, sender.send_request(request)).await;
    let answer = answer.map_err(|_| unreachable("it does not answer".to_owned()))?;
    answer.map_err(|e| unreachable(innermost(&e)))
}

fn request(url: &Url, mut headers: HeaderMap) -> Result<Request<Empty<Bytes>>, String> {
    let named = match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (host, _) => host.unwrap_or_default().to_owned(),
    };
    headers.insert(HOST, HeaderValue::try_from(named).map_err(|e| e.to_string())?);
    headers.insert(USER_AGENT, HeaderValue::from_static("skyiron"));
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let mut request = Request::get(target).body(Empty::new()).map_err(|e| e.to_string())?;
    *request.headers_mut() = headers;
    Ok(request)
}

async fn addresses(settings: &FetchSettings, url: &Url, name: &str) -> Result<Vec<IpAddr>, FetchError> {
    if let Ok(literal) = name.trim_start_matches('[').trim_end_matches(']').parse() {
        return Ok(vec![literal]);
    }
    let no_name = || FetchError::NoName { host: name.to_owned() };
    let found = tokio::time::timeout(settings.pace.connect, settings.resolver.resolve(name)).await;
    let found = found.map_err(|_| no_name())?.map_err(|error| {
        tracing::info!(%error, %url, "{name} cannot be resolved");
        no_name()
    })?;
    if found.is_empty() { Err(no_name()) } else { Ok(found) }
}

/// What it comes down to.
pub(super) fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}
