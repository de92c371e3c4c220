//! Paging as most of OpenStack does it: `limit` and `marker`.

use crate::{Fault, Query};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// How many rows to give, already cut to the service's maximum.
    pub limit: usize,
    pub marker: Option<String>,
    /// The client asked for a limit (some services give a next link only then).
    pub limited: bool,
}

impl Page {
    /// `limit` above `max` is cut to it; 0 or none means `max`; negative or no number is a 400 in `bad`'s words.
    pub fn parse(query: &Query, max: usize, bad: impl Fn(&str) -> Fault) -> Result<Self, Fault> {
        let marker = query.last("marker").map(str::to_owned);
        let Some(text) = query.last("limit") else {
            return Ok(Self { limit: max, marker, limited: false });
        };
        let wanted: i64 = text.parse().map_err(|_| bad(text))?;
        match usize::try_from(wanted) {
            Ok(0) => Ok(Self { limit: max, marker, limited: true }),
            Ok(n) => Ok(Self { limit: n.min(max), marker, limited: true }),
            Err(_) => Err(bad(text)),
        }
    }
}
