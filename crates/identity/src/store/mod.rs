//! SQL, one file a table or a question. The tables are those of `0002_identity.sql` and `0012_identity_totp.sql`.

pub(crate) mod access_rules;
pub(crate) mod application_credentials;
pub(crate) mod assignments;
pub(crate) mod catalog;
pub(crate) mod consumers;
pub(crate) mod credentials;
pub(crate) mod domain_configs;
pub(crate) mod endpoint_filter;
pub(crate) mod groups;
pub(crate) mod limits;
pub(crate) mod policies;
pub(crate) mod projects;
pub(crate) mod revision;
pub(crate) mod revocations;
pub(crate) mod roles;
pub(crate) mod sealed;
pub(crate) mod totp_steps;
pub(crate) mod trusts;
pub(crate) mod users;
