//! Identity as an HTTP service.

use crate::faults::KeystoneFaults;
use crate::{Identity, api};
use platform_http::{Service, ServiceSettings};
use std::sync::Arc;

/// oslo.middleware's `max_request_body_size`.
const BODY_LIMIT: usize = 114_688;

/// `identity_url`: what the `WWW-Authenticate` of a 401 names.
pub fn service(identity: &Identity, identity_url: &str) -> Arc<Service<Identity>> {
    let settings = ServiceSettings {
        name: "identity",
        faults: Arc::new(KeystoneFaults),
        auth: Arc::new(identity.clone()),
        identity_url: identity_url.to_owned(),
        versions: None,
        schemas: None,
        json_limit: BODY_LIMIT,
        request_id_header: None,
        rewrite: None,
        admit: None,
    };
    Arc::new(Service::new(settings, identity.clone(), api::routes()))
}
