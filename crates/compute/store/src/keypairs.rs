//! `keypairs`
