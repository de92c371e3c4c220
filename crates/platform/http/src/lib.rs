//! The HTTP side that all services share, and that knows none of them: routes as data, request ids, microversions,
//! limits before parsing, JSON-schema validation, each service's own fault format.
//!
//! ```text
//! bytes → limits → request id → route → token → its project's limits → microversion → body (size, depth, JSON) → schema → handler → Reply | Fault
//! ```
//!
//! A service is a table of [`Route`]s over its state; [`Service`] turns the table into something that answers requests.

pub mod auth;
mod call;
mod client;
mod dispatch;
mod fault;
mod limits;
mod linger;
mod negotiate;
mod network;
mod page;
mod peer;
mod query;
mod reply;
mod route;
pub mod schema;
mod serve;
mod tenants;

pub use auth::{Asked, AuthError, Authenticate};
pub use axum::body::Body;
pub use call::{Call, Params, Payload};
pub use client::client;
pub use dispatch::{Admit, Rewrite, Service, ServiceSettings};
pub use fault::{Fault, FaultFormat, MALFORMED_BODY, stock_unauthorized};
pub use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
pub use limits::{Allowed, LimitsUnavailable, ProjectLimits};
pub use negotiate::Microversions;
pub use network::{BadNetwork, Network};
pub use page::Page;
pub use peer::Peer;
pub use query::Query;
pub use reply::Reply;
pub use route::{Access, BodyKind, Route};
pub use serve::{Listening, serve};
pub use tenants::{TenantLimits, Tenants};
