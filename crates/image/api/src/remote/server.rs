//! The side of the image-api: answers on the bus, and the listener's route that tickets lead to.

use super::{Ask, Asked, SUBJECT, Tickets, Told, sparse};
use crate::data::range;
use crate::{Glance, LocalImages, fault};
use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base::{ImageId, RequestContext};
use image_model::{ImageProxy, ImageSource, SourceError};
use platform_bus::{Bus, Subscription};
use platform_http::{Body, HeaderMap, StatusCode, header};
use std::convert::Infallible;

/// Below what the listener serves tickets.
const TRANSFER_PATH: &str = "/image-transfer";

/// Answers compute's calls until the subscription is dropped. `url` is where other processes reach this one's listener:
/// `http://10.0.0.5:8700`.
pub fn serve(bus: &dyn Bus, glance: Glance, tickets: Tickets, url: String) -> Subscription {
    let images = LocalImages(glance);
    platform_bus::serve(bus, SUBJECT, move |q: Asked| {
        let (images, tickets, url) = (images.clone(), tickets.clone(), url.clone());
        // a refusal is an answer too: it must arrive as what it is, not as text
        async move { Ok::<Told, Infallible>(answer(&images, &tickets, &url, q).await) }
    })
}

async fn answer(images: &LocalImages, tickets: &Tickets, url: &str, q: Asked) -> Told {
    let cx = q.caller.context();
    match q.ask {
        Ask::Show(id) => images.show(&cx, id).await.map_or_else(Told::Source, |i| Told::Image(Box::new(i))),
        Ask::List(query) => images.list(&cx, query).await.map_or_else(Told::Proxy, Told::Images),
        Ask::Delete(id) => images.delete(&cx, id).await.map_or_else(Told::Proxy, |()| Told::Done),
        Ask::Change(id, changes) => {
            images.change_properties(&cx, id, changes).await.map_or_else(Told::Proxy, |i| Told::Image(Box::new(i)))
        }
        Ask::Ticket(id) => match ticket(images, tickets, &cx, id).await {
            Ok(ticket) => Told::Ticket(format!("{url}{TRANSFER_PATH}/{ticket}")),
            Err(error) => Told::Source(error),
        },
    }
}

async fn ticket(
    images: &LocalImages,
    tickets: &Tickets,
    cx: &RequestContext,
    id: ImageId,
) -> Result<String, SourceError> {
    Ok(tickets.give(images.readable(cx, id).await?))
}

/// What the listener must serve for tickets to lead anywhere.
pub fn transfer_routes(glance: Glance, tickets: Tickets) -> Router {
    Router::new().route(&format!("{TRANSFER_PATH}/{{ticket}}"), get(transfer)).with_state((glance, tickets))
}

/// 404 for a ticket that is not, or no longer, good.
async fn transfer(
    State((glance, tickets)): State<(Glance, Tickets)>,
    Path(ticket): Path<String>,
    headers: HeaderMap,
) -> Response {
    let Some(given) = tickets.find(&ticket) else {
        return (StatusCode::NOT_FOUND, "no such ticket\n").into_response();
    };
    let sparse = headers.get(header::ACCEPT).is_some_and(|v| v.as_bytes() == sparse::MEDIA_TYPE.as_bytes());
    let asked = headers.get(header::RANGE).and_then(|v| v.to_str().ok());
    let wanted = match asked.map(|text| range::range(text, given.data.size)).transpose() {
        Ok(wanted) => wanted,
        Err(refused) => return (refused.status, refused.message.into_owned()).into_response(),
    };
    let (status, bytes) = match wanted {
        Some(bytes) => (StatusCode::PARTIAL_CONTENT, bytes),
        None => (StatusCode::OK, 0..given.data.size),
    };
    let length = bytes.end - bytes.start;
    let data = glance.still(given.data).await;
    match glance.read(&data, bytes).await {
        Ok(stream) if sparse => {
            let kind = [(header::CONTENT_TYPE, sparse::MEDIA_TYPE)];
            (status, kind, Body::from_stream(sparse::packed(stream))).into_response()
        }
        Ok(stream) => (status, [(header::CONTENT_LENGTH, length)], Body::from_stream(stream)).into_response(),
        Err(error) => {
            tracing::error!(image.id = %data.image, %error, "the data of image {} cannot be read", data.image);
            let fault = fault::of_backend(error);
            (fault.status, fault.message.into_owned()).into_response()
        }
    }
}
