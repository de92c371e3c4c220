//! From a request to a handler and back: the one path that every request of every service takes.

use crate::call::{Call, Params, Payload};
use crate::route::Route;
use crate::schema::{self, SchemaSet};
use crate::{
    Access, Asked, AuthError, Authenticate, Body, BodyKind, Fault, FaultFormat, MALFORMED_BODY, Microversions, Peer,
    Query, Reply, Tenants,
};
use base::{Microversion, RequestContext, RequestId, TokenFacts};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};
use sync_wrapper::SyncWrapper;
use tracing::Instrument;

/// Nesting deeper than this is refused before parsing. serde_json's own limit is 128.
const JSON_DEPTH: usize = 100;

/// A client has this long to send a JSON body: 100 KiB at most.
const BODY_PATIENCE: Duration = Duration::from_secs(60);

/// Takes a path apart into the path to route and the project id in it.
pub type Rewrite = fn(&str) -> (String, Option<String>);
/// A service's own say on a request before its body is read.
pub type Admit = fn(&Call) -> Result<(), Fault>;

/// What a service is, beside its routes.
pub struct ServiceSettings {
    /// Role name: log target, metric label.
    pub name: &'static str,
    pub faults: Arc<dyn FaultFormat>,
    pub auth: Arc<dyn Authenticate>,
    /// What a 401's `WWW-Authenticate` names.
    pub identity_url: String,
    pub versions: Option<Microversions>,
    pub schemas: Option<&'static SchemaSet>,
    /// Largest JSON body in bytes. 114688: oslo.middleware's `max_request_body_size`.
    pub json_limit: usize,
    /// The service's own request id header beside `X-OpenStack-Request-Id`: `x-compute-request-id`.
    pub request_id_header: Option<&'static str>,
    /// Takes apart paths that may carry more than the route: (path to route, project id in it).
    pub rewrite: Option<Rewrite>,
    /// A last check after token and route, before the body: the path's project against the token's.
    pub admit: Option<Admit>,
}

/// A service ready to answer.
pub struct Service<S> {
    settings: ServiceSettings,
    state: S,
    tenants: Arc<Tenants>,
    paths: matchit::Router<usize>,
    /// Routes by path, as `paths` numbers them.
    routes: Vec<Vec<Route<S>>>,
}

impl<S: Clone + Send + Sync + 'static> Service<S> {
    /// # Panics
    /// If two paths of the table conflict: the table is part of the program.
    pub fn new(settings: ServiceSettings, state: S, table: Vec<Route<S>>) -> Self {
        let mut paths = matchit::Router::new();
        let mut routes: Vec<Vec<Route<S>>> = Vec::new();
        for route in table {
            let found = routes.iter_mut().find(|r| r[0].path == route.path);
            match found {
                Some(same) => same.push(route),
                None => {
                    if let Err(e) = paths.insert(route.path, routes.len()) {
                        panic!("route {}: {e}", route.path);
                    }
                    routes.push(vec![route]);
                }
            }
        }
        Self { settings, state, tenants: Arc::default(), paths, routes }
    }

    /// Holds each project to what it may take. Limits are shared by all services that are given the same.
    pub fn limited(mut self: Arc<Self>, tenants: &Arc<Tenants>) -> Arc<Self> {
        match Arc::get_mut(&mut self) {
            Some(service) => service.tenants = tenants.clone(),
            None => tracing::error!(service = self.name(), "limits come too late: the service is in use already"),
        }
        self
    }

    pub fn name(&self) -> &'static str {
        self.settings.name
    }

    /// Every route of the table, for coverage tests and docs.
    pub fn table(&self) -> impl Iterator<Item = &Route<S>> {
        self.routes.iter().flatten()
    }

    /// Adds the service to a listener's router, below `prefix` (`/compute`, or empty for a listener of its own).
    pub fn mount(self: &Arc<Self>, router: axum::Router, prefix: &'static str) -> axum::Router {
        let me = self.clone();
        let handler = axum::routing::any(move |request: Request<Body>| {
            let me = me.clone();
            async move { me.handle(prefix, request).await }
        });
        if prefix.is_empty() {
            return router.fallback_service(handler);
        }
        router
            .route(prefix, handler.clone())
            .route(&format!("{prefix}/"), handler.clone())
            .route(&format!("{prefix}/{{*rest}}"), handler)
    }

    /// Answers one request. `prefix` is what was cut off the path to get here (`/compute`).
    pub async fn handle(self: Arc<Self>, prefix: &str, request: Request<Body>) -> Response<Body> {
        let started = Instant::now();
        let cx_id = RequestId::fresh();
        let method = request.method().clone();
        let path = request.uri().path().strip_prefix(prefix).unwrap_or(request.uri().path()).to_owned();
        let accept = request.headers().get(header::ACCEPT).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let span = tracing::info_span!("request", service = self.settings.name, id = %cx_id, %method, path);
        let root_url = root_url(request.headers(), prefix);
        let id = cx_id.clone();
        let me = self.clone();
        // on a task of its own: a client that goes away does not stop what it has asked for half-way
        let work = tokio::spawn(async move { me.answer(id, path, root_url, request).await }.instrument(span.clone()));
        let (version, result) = match work.await {
            Ok(answer) => answer,
            Err(panic) => (None, Err(Fault::internal(&panic))),
        };
        let mut response = match result {
            Ok(reply) => reply.into_response(),
            Err(f) if f.status == StatusCode::UNAUTHORIZED && f.message.is_empty() => {
                self.settings.faults.unauthorized(&self.settings.identity_url).into_response()
            }
            Err(fault) => fault.into_response(&*self.settings.faults, accept.as_deref(), cx_id.as_str()),
        };
        if let Some(versions) = &self.settings.versions
            && let Some(v) = version
        {
            versions.echo(response.headers_mut(), v);
        }
        self.name_request(response.headers_mut(), &cx_id);
        if method == Method::HEAD {
            *response.body_mut() = Body::empty();
        }
        self.record(&span, &method, response.status(), started);
        response
    }

    fn name_request(&self, headers: &mut HeaderMap, id: &RequestId) {
        let Ok(value) = HeaderValue::from_str(id.as_str()) else { return };
        if let Some(own) = self.settings.request_id_header {
            headers.insert(HeaderName::from_static(own), value.clone());
        }
        headers.insert(HeaderName::from_static("x-openstack-request-id"), value);
    }

    fn record(&self, span: &tracing::Span, method: &Method, status: StatusCode, started: Instant) {
        let took = started.elapsed();
        let labels = [("service", self.settings.name.to_owned()), ("method", method.to_string())];
        metrics::histogram!("skyiron_http_request_seconds", &labels).record(took.as_secs_f64());
        metrics::counter!("skyiron_http_requests_total", "service" => self.settings.name, "status" => status.as_u16().to_string())
            .increment(1);
        let _in = span.enter();
        let (status, ms) = (status.as_u16(), took.as_millis());
        // 501 and 503 are answers, not faults of ours
        if status >= 500 && status != 501 && status != 503 {
            tracing::error!(status, ms, "answered {status} in {ms} ms");
        } else if method == Method::GET || method == Method::HEAD {
            tracing::debug!(status, ms, "answered {status} in {ms} ms");
        } else {
            tracing::info!(status, ms, "answered {status} in {ms} ms");
        }
    }

    async fn answer(
        &self,
        request_id: RequestId,
        raw_path: String,
        root_url: String,
        request: Request<Body>,
    ) -> (Option<Microversion>, Result<Reply, Fault>) {
        let (path, path_project) = match self.settings.rewrite {
            Some(rewrite) => rewrite(&raw_path),
            None => (raw_path.clone(), None),
        };
        let (parts, body) = request.into_parts();
        let body = crate::linger::lingering(body);
        let found = self.find(&path, &parts.method);
        let access = found.as_ref().map_or(Access::Token, |f| f.candidates[0].access);
        let asked = Asked { service: self.settings.name, method: &parts.method, path: &raw_path };
        let token = match self.token(&parts.headers, access, asked).await {
            Ok(t) => t,
            Err(fault) => return (None, Err(fault)),
        };
        // until there is an answer
        let _turn = match token.as_deref().map(|t| self.tenants.admit(t)).transpose() {
            Ok(turn) => turn,
            Err(fault) => return (None, Err(fault)),
        };
        let legacy = self.settings.versions.is_some_and(|v| v.is_legacy(&raw_path));
        let version = match self.settings.versions.map(|v| v.negotiate(&parts.headers)) {
            None => None,
            Some(_) if legacy => self.settings.versions.map(|v| v.min),
            Some(Ok(v)) => Some(v),
            // a version document must be readable at any version
            Some(Err(_)) if access == Access::Open => self.settings.versions.map(|v| v.min),
            Some(Err(fault)) => return (None, Err(fault)),
        };
        let call = Call {
            cx: RequestContext { request_id, token },
            version: version.unwrap_or(Microversion::new(0, 0)),
            legacy,
            method: parts.method,
            path,
            root_url,
            path_project,
            params: Params::default(),
            query: Query::parse(parts.uri.query().unwrap_or_default()),
            headers: parts.headers,
            peer: parts.extensions.get::<Peer>().map(|p| p.0),
            payload: Payload::Json(Value::Null),
        };
        (version.filter(|_| !legacy), self.route(call, found, body).await)
    }

    async fn route(&self, mut call: Call, found: Result<Found<'_, S>, Fault>, body: Body) -> Result<Reply, Fault> {
        let found = found?;
        call.params = found.params;
        let mut candidates = found.candidates;
        if self.settings.versions.is_some() && candidates[0].access != Access::Open {
            candidates.retain(|r| r.versions.contains(call.version));
        }
        let first = *candidates.first().ok_or_else(|| Fault::not_found("The resource could not be found."))?;
        if let Some(admit) = self.settings.admit {
            admit(&call)?;
        }
        if first.body == BodyKind::Stream {
            call.payload = Payload::Stream(SyncWrapper::new(body));
            return (first.handler)(self.state.clone(), call).await;
        }
        let mut json = self.read_json(&call, first, body).await?;
        let route = if first.action.is_some() { pick_action(&candidates, &json)? } else { first };
        self.check_schema(&mut call, route, &mut json)?;
        call.payload = Payload::Json(json);
        (route.handler)(self.state.clone(), call).await
    }

    fn find(&self, path: &str, method: &Method) -> Result<Found<'_, S>, Fault> {
        let trimmed = if path.len() > 1 { path.trim_end_matches('/') } else { path };
        let trimmed = if trimmed.is_empty() { "/" } else { trimmed };
        let matched = self
            .paths
            .at(trimmed)
            .or_else(|e| match trimmed.strip_suffix(".json") {
                Some(bare) => self.paths.at(bare),
                None => Err(e),
            })
            .map_err(|_| Fault::not_found("The resource could not be found."))?;
        let decode = |s: &str| percent_encoding::percent_decode_str(s).decode_utf8_lossy().into_owned();
        let params = Params(matched.params.iter().map(|(k, v)| (k.to_owned(), decode(v))).collect());
        let all = &self.routes[*matched.value];
        let mut candidates: Vec<&Route<S>> = all.iter().filter(|r| r.method == *method).collect();
        if candidates.is_empty() && *method == Method::HEAD {
            candidates = all.iter().filter(|r| r.method == Method::GET).collect();
        }
        if candidates.is_empty() {
            let mut allowed: Vec<&str> = all.iter().map(|r| r.method.as_str()).collect();
            allowed.sort_unstable();
            allowed.dedup();
            return Err(Fault::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "The method specified is not allowed for this resource.",
            )
            .header("allow", &allowed.join(", ")));
        }
        Ok(Found { params, candidates })
    }

    async fn token(
        &self,
        headers: &HeaderMap,
        access: Access,
        asked: Asked<'_>,
    ) -> Result<Option<Arc<TokenFacts>>, Fault> {
        if access == Access::Open {
            return Ok(None);
        }
        let unauthorized = || Fault::unauthorized("");
        let given = headers.get("x-auth-token").and_then(|v| v.to_str().ok());
        match (given, access) {
            (None, Access::Token) => Err(unauthorized()),
            (None, _) => Ok(None),
            (Some(token), _) => match self.settings.auth.authenticate_for(token, asked).await {
                Ok(facts) => Ok(Some(facts)),
                Err(AuthError::Invalid) if access == Access::Optional => Ok(None),
                Err(AuthError::Invalid) => Err(unauthorized()),
                Err(AuthError::Unavailable(why)) => Err(Fault::unavailable(format!("Identity cannot answer: {why}"))),
            },
        }
    }

    async fn read_json(&self, call: &Call, route: &Route<S>, body: Body) -> Result<Value, Fault> {
        let limit = self.settings.json_limit;
        let too_large = || Fault::too_large("Request is too large.");
        let declared = call.header("content-length").and_then(|v| v.parse::<u64>().ok());
        if declared.is_some_and(|n| n > limit as u64) {
            return Err(too_large());
        }
        let collected = tokio::time::timeout(BODY_PATIENCE, Limited::new(body, limit).collect());
        let Ok(collected) = collected.await else {
            let why = format!("The request body did not arrive within {} seconds.", BODY_PATIENCE.as_secs());
            return Err(Fault::new(StatusCode::REQUEST_TIMEOUT, why).header("connection", "close"));
        };
        let bytes = match collected {
            Ok(collected) => collected.to_bytes(),
            Err(e) if e.is::<http_body_util::LengthLimitError>() => return Err(too_large()),
            Err(e) => return Err(Fault::bad_request(format!("The request body could not be read: {e}"))),
        };
        if bytes.is_empty() || matches!(call.method, Method::GET | Method::HEAD | Method::DELETE) {
            return Ok(Value::Null);
        }
        let content_type = call.header("content-type").map(|v| v.split(';').next().unwrap_or(v).trim());
        let is_json = match (content_type, route.content_types) {
            (Some(t), []) => t.eq_ignore_ascii_case("application/json"),
            (Some(t), own) => own.iter().any(|o| t.eq_ignore_ascii_case(o)),
            (None, own) => own.is_empty(),
        };
        if !is_json {
            let shown = content_type.unwrap_or_default();
            let fault = Fault::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("Unsupported Content-Type: {shown}"));
            let says_which = call.method == Method::PATCH && !route.content_types.is_empty();
            return Err(if says_which { fault.header("accept-patch", &route.content_types.join(", ")) } else { fault });
        }
        if !schema::json_depth_within(&bytes, JSON_DEPTH) {
            return Err(Fault::bad_request(format!("{MALFORMED_BODY}: nested too deep")));
        }
        serde_json::from_slice(&bytes).map_err(|_| Fault::bad_request(MALFORMED_BODY))
    }

    fn check_schema(&self, call: &mut Call, route: &Route<S>, json: &mut Value) -> Result<(), Fault> {
        let (Some(set), Some(prefix)) = (self.settings.schemas, route.schema) else { return Ok(()) };
        if let Some(query) = set.query(prefix, call.version) {
            query.check_query(&call.query.0).map_err(Fault::bad_request)?;
            query.strip_query(&mut call.query.0);
        }
        let older = call.legacy.then(|| Microversion::new(call.version.major, 0));
        let body = older.and_then(|older| set.body(prefix, older)).or_else(|| set.body(prefix, call.version));
        if let Some(body) = body.filter(|_| call.legacy) {
            body.strip_body(json);
        }
        match body {
            Some(body) => body.check_body(json).map_err(Fault::bad_request),
            None => Ok(()),
        }
    }
}

struct Found<'a, S> {
    params: Params,
    candidates: Vec<&'a Route<S>>,
}

/// `POST …/action`: the body's one key names the route.
fn pick_action<'a, S>(candidates: &[&'a Route<S>], json: &Value) -> Result<&'a Route<S>, Fault> {
    let only = json.as_object().filter(|o| o.len() == 1).and_then(|o| o.keys().next());
    let Some(action) = only else { return Err(Fault::bad_request(MALFORMED_BODY)) };
    candidates
        .iter()
        .find(|r| r.action == Some(action))
        .copied()
        .ok_or_else(|| Fault::bad_request(format!("There is no such action: {action}")))
}

/// The service's root as the client reached it: what links in answers begin with. A proxy in front that ends TLS says
/// so in `X-Forwarded-Proto`.
fn root_url(headers: &HeaderMap, prefix: &str) -> String {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    let proto = text("x-forwarded-proto").filter(|p| *p == "https").unwrap_or("http");
    let host = text("x-forwarded-host").or_else(|| text("host")).unwrap_or("localhost");
    format!("{proto}://{host}{prefix}")
}
