//! Compute's long work, one file a flow: the steps the engine runs, and what a host's report means to each.

pub mod build;
pub mod delete;
pub mod evacuate;
pub mod power;
pub mod recover;

use crate::Conductor;
use base::{InstanceId, Timestamp};
use compute_model::assignment::Outcome;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Arc;

/// `compute.build`.
pub struct Build(pub(crate) Arc<Conductor>);
/// `compute.delete`.
pub struct Delete(pub(crate) Arc<Conductor>);
/// `compute.power`.
pub struct Power(pub(crate) Arc<Conductor>);
/// `compute.evacuate`.
pub struct Evacuate(pub(crate) Arc<Conductor>);
/// `compute.recover_host`.
pub struct Recover(pub(crate) Arc<Conductor>);

/// The operation a report belongs to.
#[derive(Clone, Copy)]
pub(crate) struct Waiting<'a> {
    pub id: &'a str,
    pub data: &'a Value,
}

/// What was reported.
#[derive(Clone, Copy)]
pub(crate) struct About<'a> {
    pub instance: InstanceId,
    pub host: &'a str,
    pub outcome: &'a Outcome,
    pub now: Timestamp,
}

/// An operation's data as its type. What cannot be read was not written by us; the flow goes on with the default.
pub(crate) fn data<T: DeserializeOwned>(value: &Value) -> Option<T> {
    T::deserialize(value).inspect_err(|error| tracing::error!(%error, "an operation's data cannot be read")).ok()
}

pub(crate) fn instance_id(subject: &str) -> InstanceId {
    subject.parse().unwrap_or(InstanceId(Default::default()))
}
