//! What guests are told about themselves over HTTP: Nova's metadata service, as the network service's proxy asks it.
//!
//! The documents are those of the config drive ([`compute_model::metadata`]); here stands who may read which
//! ([`proxy`]), what lies at which path ([`tree`]) and where the guests come from ([`guests`]). No token is asked for:
//! a request is believed if the proxy has signed it with the secret both know.

mod answers;
mod guests;
mod password;
mod proxy;
mod tree;

use answers::PlainFaults;
use async_trait::async_trait;
use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use base::{Secret, TokenFacts};
use compute_model::metadata::{DHCP_DOMAIN, GuestMetadata};
use compute_store::Store;
use guests::Guests;
use platform_http::{AuthError, Authenticate, Call, Fault, Method, Reply, Route, Service, ServiceSettings};
use std::sync::Arc;
use tree::Found;

/// What the operator decides.
#[derive(Clone, Debug)]
pub struct Config {
    /// Known to this service and to the proxies: Nova's `[neutron] metadata_proxy_shared_secret`. Empty: every request
    /// is refused. (Nova takes an empty one, and with it whatever anybody signs with nothing.)
    pub proxy_secret: Secret,
    /// What follows host names, as on config drives; may be empty: `[api] dhcp_domain` of Nova.
    pub dhcp_domain: String,
}

impl Config {
    pub fn new(proxy_secret: Secret) -> Self {
        Self { proxy_secret, dhcp_domain: DHCP_DOMAIN.to_owned() }
    }
}

/// What the handler works with. Cheap to clone.
#[derive(Clone)]
pub struct ComputeMetadata(Arc<Parts>);

struct Parts {
    config: Config,
    guests: Guests,
}

impl ComputeMetadata {
    pub fn new(store: Store, config: Config) -> Self {
        if config.proxy_secret.expose().is_empty() {
            tracing::warn!("no secret is shared with the network's proxies, so every request of a guest is refused");
        }
        Self(Arc::new(Parts { config, guests: Guests::of(store) }))
    }
}

/// The service, ready to be mounted.
pub fn service(metadata: ComputeMetadata) -> Arc<Service<ComputeMetadata>> {
    let settings = ServiceSettings {
        name: "compute-metadata",
        faults: Arc::new(PlainFaults),
        auth: Arc::new(NoTokens),
        identity_url: String::new(),
        versions: None,
        schemas: None,
        json_limit: 0,
        request_id_header: None,
        rewrite: None,
        admit: None,
    };
    // like Nova's, it looks at the method only where a password is concerned
    let methods =
        [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];
    let routes = methods
        .iter()
        .flat_map(|method| ["/", "/{*path}"].map(|path| Route::new(method.clone(), path, answer).open().stream()));
    Arc::new(Service::new(settings, metadata, routes.collect()))
}

/// Adds the service at the root of a listener of its own, where the network's proxies look for it. `router` has what
/// the process says about itself (`/metrics`): a proxy passes on whatever path a guest asks for, so what comes through
/// one gets nothing of that.
pub fn mount_alone(service: &Arc<Service<ComputeMetadata>>, router: Router) -> Router {
    let guests_only = service.clone();
    let guarded = router.layer(from_fn(move |request: Request, next: Next| {
        let guests_only = guests_only.clone();
        async move {
            match proxy::came_through(request.headers()) {
                true => guests_only.handle("", request).await,
                false => next.run(request).await,
            }
        }
    }));
    service.mount(guarded, "")
}

async fn answer(metadata: ComputeMetadata, mut call: Call) -> Result<Reply, Fault> {
    let Parts { config, guests } = &*metadata.0;
    let path = tree::segments(&call.path);
    if path.is_empty() {
        return Ok(answers::found(Found::Text(tree::ec2_versions())));
    }
    let asker = proxy::asker(&call.headers, &config.proxy_secret).map_err(answers::refused)?;
    let (instance, project) = (&asker.instance, &asker.project);
    let Some(spec) = guests.find(instance).await.map_err(answers::db)? else {
        tracing::warn!(instance, "a proxy asks for instance {instance:?}, which is not there");
        return Err(answers::not_found());
    };
    if spec.project_id.0 != *project {
        tracing::warn!(instance, project, "a proxy asks for instance {instance} in project {project:?}: not its own");
        return Err(answers::not_found());
    }
    let mut guest = GuestMetadata::new(&spec, &config.dhcp_domain);
    if let Some(address) = asker.address {
        guest = guest.with_address(address);
    }
    match tree::find(&guest, &path, guests.now(), rand::random) {
        None => Err(answers::not_found()),
        Some(Found::Password) => password::handle(guests, spec.id, &mut call).await,
        Some(found) => Ok(answers::found(found)),
    }
}

/// No route here asks for a token.
struct NoTokens;

#[async_trait]
impl Authenticate for NoTokens {
    async fn authenticate(&self, _: &str) -> Result<Arc<TokenFacts>, AuthError> {
        Err(AuthError::Invalid)
    }
}
