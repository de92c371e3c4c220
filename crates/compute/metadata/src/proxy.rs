//! Whom a request is for: what the network's proxy says in headers, and has signed. Pure.

use base::Secret;
use platform_http::{HeaderMap, HeaderValue};
use ring::hmac;
use std::net::IpAddr;
use subtle::ConstantTimeEq;

const INSTANCE: &str = "X-Instance-ID";
const PROJECT: &str = "X-Tenant-ID";
const SIGNATURE: &str = "X-Instance-ID-Signature";
/// Names a balancer that knows guests by their network and address only.
const PROVIDER: &str = "X-Metadata-Provider";
const ADDRESS: &str = "X-Forwarded-For";

/// A guest, as a proxy that knows the secret says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Asker {
    /// As it was signed; whether there is such an instance is not known yet.
    pub(crate) instance: String,
    pub(crate) project: String,
    /// `None`: the proxy has not said, or no address.
    pub(crate) address: Option<IpAddr>,
}

/// In Nova's words, except where Nova would ask the network service.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("{0} header is missing from request.")]
    Missing(&'static str),
    #[error("Multiple {0} headers found within request.")]
    Twice(&'static str),
    #[error("Invalid proxy request signature.")]
    Signature,
    #[error("it did not come through a proxy, and no network service is there to tell a guest by its address")]
    Direct,
    #[error("it came through a balancer, and no network service is there to tell a guest by its provider and address")]
    Balancer,
}

/// Whether a proxy has passed it on. Only proxies set these headers, and they delete what a guest sends under the same
/// names.
pub(crate) fn came_through(headers: &HeaderMap) -> bool {
    [INSTANCE, PROJECT, SIGNATURE, PROVIDER].iter().any(|name| headers.contains_key(*name))
}

/// Checks the form first and then the signature, as Nova does.
pub(crate) fn asker(headers: &HeaderMap, secret: &Secret) -> Result<Asker, Refused> {
    if !came_through(headers) {
        return Err(Refused::Direct);
    }
    if headers.contains_key(PROVIDER) {
        return Err(Refused::Balancer);
    }
    let first = |name| headers.get(name).ok_or(Refused::Missing(name));
    let (instance, signature, project) = (first(INSTANCE)?, first(SIGNATURE)?, first(PROJECT)?);
    for name in [INSTANCE, SIGNATURE, PROJECT] {
        if headers.get_all(name).iter().count() > 1 {
            return Err(Refused::Twice(name));
        }
    }
    if !is_signed(secret, instance.as_bytes(), signature.as_bytes()) {
        return Err(Refused::Signature);
    }
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    Ok(Asker { instance: text(instance), project: text(project), address: address(headers) })
}

/// `signature` is HMAC-SHA256 of the instance's id in lower-case hex. How long the comparison takes says nothing about
/// where the two differ. Nobody can sign with a secret that is not set.
fn is_signed(secret: &Secret, id: &[u8], signature: &[u8]) -> bool {
    let secret = secret.expose();
    if secret.is_empty() {
        return false;
    }
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), id);
    let expected: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    expected.as_bytes().ct_eq(signature).into()
}

/// The first of the comma list.
fn address(headers: &HeaderMap) -> Option<IpAddr> {
    headers.get(ADDRESS)?.to_str().ok()?.split(',').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0a1b2c3d-0000-4000-8000-000000000001";
    /// `printf %s ID | openssl dgst -sha256 -hmac open-sesame`
    const SIGNED: &str = "1b82063415251de4fe0cc4ae51fec73680db3ed849b0be1cbe1cf79968753d7b";

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, value.parse().unwrap());
        }
        map
    }

    #[test]
    fn each_way_to_be_wrong() {
        let id = ("x-instance-id", ID);
        let (signed, project) = (("x-instance-id-signature", SIGNED), ("x-tenant-id", "p"));
        let upper = SIGNED.to_uppercase();
        let mut flipped = SIGNED.to_owned();
        flipped.replace_range(63.., if SIGNED.ends_with('0') { "1" } else { "0" });
        let sign = |value| ("x-instance-id-signature", value);
        let cases: &[(&[(&'static str, &str)], Refused)] = &[
            (&[], Refused::Direct),
            (&[("x-forwarded-for", "10.0.0.9")], Refused::Direct),
            (&[signed, project], Refused::Missing(INSTANCE)),
            (&[project], Refused::Missing(INSTANCE)),
            (&[id, project], Refused::Missing(SIGNATURE)),
            (&[id, signed], Refused::Missing(PROJECT)),
            (&[id, id, signed, project], Refused::Twice(INSTANCE)),
            (&[id, signed, signed, project], Refused::Twice(SIGNATURE)),
            (&[id, signed, project, project], Refused::Twice(PROJECT)),
            (&[id, sign(""), project], Refused::Signature),
            (&[id, sign(&SIGNED[..63]), project], Refused::Signature),
            (&[id, sign(&flipped), project], Refused::Signature),
            (&[id, sign(&upper), project], Refused::Signature),
            (&[("x-instance-id", "0a1b2c3d-0000-4000-8000-000000000002"), signed, project], Refused::Signature),
            (&[id, signed, project, ("x-metadata-provider", "lb")], Refused::Balancer),
        ];
        for (pairs, refused) in cases {
            assert_eq!(asker(&headers(pairs), &Secret::new("open-sesame")).as_ref(), Err(refused), "{pairs:?}");
        }
        let right = headers(&[id, signed, project]);
        assert_eq!(asker(&right, &Secret::new("open-sesam")), Err(Refused::Signature));
        assert!(asker(&right, &Secret::new("open-sesame")).is_ok());
    }

    #[test]
    fn an_unset_secret_signs_nothing() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"");
        let by_nobody: String = hmac::sign(&key, ID.as_bytes()).as_ref().iter().map(|b| format!("{b:02x}")).collect();
        let pairs = [("x-instance-id", ID), ("x-instance-id-signature", &*by_nobody), ("x-tenant-id", "p")];
        assert_eq!(asker(&headers(&pairs), &Secret::default()), Err(Refused::Signature));
    }

    #[test]
    fn the_guests_address_is_the_first_one_said() {
        for (said, address) in [
            ("10.0.0.9", Some("10.0.0.9")),
            ("10.0.0.9, 10.0.0.1", Some("10.0.0.9")),
            ("fd00::9", Some("fd00::9")),
            ("<script>", None),
        ] {
            let pairs = [
                ("x-instance-id", ID),
                ("x-instance-id-signature", SIGNED),
                ("x-tenant-id", "p"),
                ("x-forwarded-for", said),
            ];
            let asker = asker(&headers(&pairs), &Secret::new("open-sesame")).unwrap();
            assert_eq!(asker.address.map(|a| a.to_string()).as_deref(), address, "{said}");
            assert_eq!((&*asker.instance, &*asker.project), (ID, "p"));
        }
    }
}
