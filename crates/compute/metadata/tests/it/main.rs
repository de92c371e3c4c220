//! The metadata service as the network's proxy reaches it, over a real database of each kind.

mod documents;
mod password;
mod paths;
mod refusals;
mod world;
