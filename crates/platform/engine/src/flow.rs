//! What a flow is: steps that look at the stored state, do one thing, and say what should happen.

use crate::Operation;
use async_trait::async_trait;
use base::{OperationId, Timestamp};
use futures_util::future::BoxFuture;
use platform_db::{DbError, Tx};
use serde_json::Value;
use std::collections::BTreeSet;

/// Writes that belong to an outcome, made in the transaction that records it. Only SQL.
pub type Effect = Box<dyn for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<(), StepError>> + Send>;

/// What a step wants: what comes next, and what is to be written with it.
pub struct Step {
    pub next: Next,
    /// Replaces the operation's data.
    pub data: Option<Value>,
    pub effect: Option<Effect>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Record, and run that step at once.
    Move(&'static str),
    /// Stand at `step` until someone resumes the operation or `until` has come; then run it.
    Wait {
        step: &'static str,
        why: String,
        until: Timestamp,
    },
    Done,
    /// Ended without success; the effect has put everything in order.
    Failed(String),
}

impl Step {
    pub fn new(next: Next) -> Self {
        Self { next, data: None, effect: None }
    }
    pub fn data(self, data: Value) -> Self {
        Self { data: Some(data), ..self }
    }
    pub fn effect<F>(self, f: F) -> Self
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<(), StepError>> + Send + 'static,
    {
        Self { effect: Some(Box::new(f)), ..self }
    }
}

/// Writes that belong to the outcome of many operations, of those of them that are still their worker's. Only SQL.
pub type CommonEffect =
    Box<dyn for<'t> FnOnce(&'t mut Tx, BTreeSet<OperationId>) -> BoxFuture<'t, Result<(), StepError>> + Send>;

/// What many operations want together: to wait at one step. Written in one transaction, all of it or nothing.
pub struct Together {
    pub step: &'static str,
    pub why: String,
    /// Each with the end of its wait. Who was asked about and is not among them takes its step alone.
    pub waiting: Vec<(OperationId, Timestamp)>,
    pub effect: CommonEffect,
}

/// Why a step could not say what should happen. It is tried again, with growing pauses, until the deadline.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    #[error(transparent)]
    Db(#[from] DbError),
    /// The world has moved on since the step looked (a claim's generation, a row's state): look again, at once.
    #[error("the state changed meanwhile: {0}")]
    Changed(String),
    #[error("{0}")]
    Retry(String),
}

/// One kind of long work.
#[async_trait]
pub trait Flow: Send + Sync {
    /// `compute.build`; also the prefix of its fault points.
    fn kind(&self) -> &'static str;
    /// Every step that it may stand at: they name its fault points.
    fn steps(&self) -> &'static [&'static str];
    async fn step(&self, op: &Operation) -> Result<Step, StepError>;
    /// Whether many that stand there should be asked about at once, by [`Flow::together`].
    fn goes_together(&self, _step: &str) -> bool {
        false
    }
    /// That step of many operations, where working on all at once is cheaper. `None`, an error, or a conflict while it is
    /// written: each of them takes its [`Flow::step`], so only the usual case need be known here.
    async fn together(&self, _ops: &[Operation]) -> Result<Option<Together>, StepError> {
        Ok(None)
    }
    /// The deadline has passed: decide. Must end the operation ([`Next::Done`] or [`Next::Failed`]).
    async fn give_up(&self, op: &Operation) -> Result<Step, StepError>;
}

/// What stands in a fault point's name for the decision after the deadline.
pub(crate) const GIVE_UP: &str = "give_up";

/// The fault points of a flow: before each step, after its work but before it is recorded, and after that.
pub fn fault_points(flow: &dyn Flow) -> Vec<String> {
    let steps = flow.steps().iter().chain([&GIVE_UP]);
    steps
        .flat_map(|step| ["before", "after", "committed"].map(|when| format!("{}.{step}.{when}", flow.kind())))
        .collect()
}
