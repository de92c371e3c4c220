//! `server_groups`
