//! `aggregates`
