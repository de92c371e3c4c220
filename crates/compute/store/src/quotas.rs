//! `quotas`
