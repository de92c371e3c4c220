//! `password`: a guest makes its admin's password, encrypts it with the owner's public key and posts it, once. The owner
//! reads it through `os-server-password`. What is answered here is never remembered.

use crate::answers::{self, db};
use crate::guests::Guests;
use crate::tree::Found;
use base::InstanceId;
use compute_store::instance_changes::instance_password_set;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use platform_http::{Call, Fault, Method, Reply};

/// Nova's: four values of system metadata with 255 characters each.
const MAX_BYTES: usize = 1020;
/// Times to look again when something else is noted for the instance at the same moment.
const TRIES: usize = 5;

pub(crate) async fn handle(guests: &Guests, id: InstanceId, call: &mut Call) -> Result<Reply, Fault> {
    match call.method {
        Method::GET => show(guests, id).await,
        Method::POST => post(guests, id, call).await,
        _ => Err(Fault::bad_request("GET and POST only are supported.")),
    }
}

async fn show(guests: &Guests, id: InstanceId) -> Result<Reply, Fault> {
    let row = guests.row(id).await.map_err(db)?.ok_or_else(answers::not_found)?;
    Ok(answers::found(Found::Text(row.password().unwrap_or_default())))
}

async fn post(guests: &Guests, id: InstanceId, call: &mut Call) -> Result<Reply, Fault> {
    let password = read(call).await?;
    for _ in 0..TRIES {
        let row = guests.row(id).await.map_err(db)?.ok_or_else(answers::not_found)?;
        if row.password().is_some() {
            return Err(Fault::conflict("There was a conflict when trying to complete your request."));
        }
        if password.is_empty() {
            return Ok(answers::found(Found::Text(String::new())));
        }
        let mut tx = guests.store().db().begin().await.map_err(db)?;
        if instance_password_set(&mut tx, &row, &password, guests.now()).await.map_err(db)? {
            tx.commit().await.map_err(db)?;
            return Ok(answers::found(Found::Text(String::new())));
        }
        tx.undo().await.map_err(db)?;
    }
    Err(Fault::unavailable("The instance is being changed; try again."))
}

async fn read(call: &mut Call) -> Result<String, Fault> {
    let too_large = || Fault::bad_request("Request is too large.");
    if call.header("content-length").and_then(|n| n.parse::<u64>().ok()).is_some_and(|n| n > MAX_BYTES as u64) {
        return Err(too_large());
    }
    let bytes = match Limited::new(call.take_stream(), MAX_BYTES).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => return Err(too_large()),
        Err(error) => return Err(Fault::bad_request(format!("The request body could not be read: {error}"))),
    };
    String::from_utf8(bytes.into()).map_err(|_| Fault::bad_request("The password is not text."))
}
