//! Images for compute in other processes.
//!
//! Records are asked for over the bus and come as the values they are here. Data does not go over the bus: whoever may
//! read an image gets a *ticket*, a URL of the image-api that answered, good for this one image and for a while, and
//! fetches the bytes by HTTP, in whole or in ranges, and without their zeros. Tickets live in that process' memory; should it go away, the next
//! one gives a new ticket.
//!
//! ```text
//! compute ── bus ──▶ image-api.call   Show, List, Delete, Change, Ticket ─▶ LocalImages
//!         ── HTTP ─▶ GET /image-transfer/TICKET                          ─▶ Stores
//! ```

mod client;
mod server;
mod sparse;
mod ticket;

pub use client::BusImages;
pub use server::{serve, transfer_routes};
pub use ticket::Tickets;

use base::{ImageId, RequestContext, RequestId, TokenFacts};
use image_model::{Image, ListQuery, ProxyError, SourceError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Served by any image-api.
const SUBJECT: &str = "image-api.call";

/// For whom it is asked: a [`RequestContext`] on the wire.
#[derive(Debug, Serialize, Deserialize)]
struct Caller {
    request: RequestId,
    /// `None`: the cloud itself.
    token: Option<TokenFacts>,
}

impl Caller {
    fn of(cx: &RequestContext) -> Self {
        Self { request: cx.request_id.clone(), token: cx.token.as_deref().cloned() }
    }
    fn context(self) -> RequestContext {
        RequestContext { request_id: self.request, token: self.token.map(Arc::new) }
    }
}

#[derive(Debug, Serialize, Deserialize)]
enum Ask {
    Show(ImageId),
    List(ListQuery),
    Delete(ImageId),
    Change(ImageId, BTreeMap<String, Option<String>>),
    Ticket(ImageId),
}

#[derive(Debug, Serialize, Deserialize)]
struct Asked {
    caller: Caller,
    ask: Ask,
}

#[derive(Debug, Serialize, Deserialize)]
enum Told {
    Image(Box<Image>),
    Images(Vec<Image>),
    Done,
    /// Where the data can be fetched.
    Ticket(String),
    Source(SourceError),
    Proxy(ProxyError),
}
