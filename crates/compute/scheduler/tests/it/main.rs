//! The scheduler against tables of hosts.

mod demand;
mod filters;
mod pick;
mod properties;
mod support;
