//! Long work: operations that survive the death of whoever does them.
//!
//! An API handler writes the resource's row, its quota use and an operation in one transaction ([`enqueue`]) and
//! answers. A worker ([`Engine::run`]) takes due operations under a lease and a fence, runs the next step of their
//! [`Flow`], and stores what the step says should happen, only while the fence still stands. A step may be run twice
//! (its worker died before recording it), so it does one thing that may be repeated. What a step waits for from outside
//! (a host's report) is brought in by [`resume`], in the transaction that records the report itself.
//!
//! ```text
//!  enqueue ─▶ running ──claim: lease, fence+1──▶ step ─▶ Move ─▶ next step (same lease)
//!                 ▲                                ├──▶ Wait ─▶ lease given back, wake_at = until  ◀── resume
//!                 └── lease ends (worker died) ────├──▶ Err ─▶ wake_at = now + backoff
//!                                                  └──▶ Done | Failed            deadline passed ─▶ Flow::give_up
//! ```
//!
//! Operations that were taken together, stand at one step and ask for nothing special may take that step together, in one
//! transaction for all ([`Flow::together`]): a burst then costs each of them a fraction.
//!
//! On PostgreSQL transactions wait for each other's rows. So that they never do so in a circle, every transaction that
//! changes an operation changes it *before* the rows it is about: a worker that records a step does, and so must
//! whoever resumes, supersedes or holds one.

mod flow;
mod forget;
mod history;
mod operation;
mod together;
mod worker;

pub use flow::{CommonEffect, Effect, Flow, Next, Step, StepError, Together, fault_points};
pub use forget::forget_hourly;
pub use history::{record, record_all};
pub use operation::{
    NewOperation, Operation, Resumed, WAKE, enqueue, enqueue_all, finish_all, hold_running, purge, recent, resume,
    say_waiting, supersede, supersede_but,
};
pub use worker::{Engine, EngineSettings};
