//! `/os-keypairs`: public keys of users. Below microversion 2.92 the service also makes key pairs and certificates, and
//! shows the private half once.

mod generate;
mod openssh;
mod resource;
mod x509;

use crate::ComputeApi;
use platform_http::Route;

pub(crate) fn routes() -> Vec<Route<ComputeApi>> {
    vec![
        Route::get("/os-keypairs", resource::index).policy(&[resource::INDEX]).schema("keypairs.index"),
        Route::post("/os-keypairs", resource::create).policy(&[resource::CREATE]).schema("keypairs.create"),
        Route::get("/os-keypairs/{id}", resource::show).policy(&[resource::SHOW]).schema("keypairs.show"),
        Route::delete("/os-keypairs/{id}", resource::delete).policy(&[resource::DELETE]).schema("keypairs.delete"),
    ]
}

/// Nova's words for a key that cannot be used.
fn invalid(reason: &str) -> platform_http::Fault {
    platform_http::Fault::bad_request(format!("Keypair data is invalid: {reason}"))
}

/// Hex pairs with colons between them.
fn with_colons(digest: &[u8]) -> String {
    digest.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(":")
}
