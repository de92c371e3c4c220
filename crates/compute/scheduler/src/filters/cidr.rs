//! SimpleCIDRAffinityFilter: hint `build_near_host_ip`, with `cidr` (`/24` if not given).

use crate::{Config, HostState, Request};
use std::net::IpAddr;

pub(super) fn passes(h: &HostState, request: &Request<'_>, _: &Config) -> bool {
    let Some(near) = &request.hints.build_near_host_ip else { return true };
    let bits = request.hints.cidr.as_deref().unwrap_or("/24");
    is_in(&h.host.host_ip, near, bits).unwrap_or(false)
}

/// `None`: one of them cannot be read.
fn is_in(address: &str, network: &str, bits: &str) -> Option<bool> {
    let bits: u32 = bits.trim_start_matches('/').parse().ok()?;
    let (a, n) = match (address.parse().ok()?, network.parse().ok()?) {
        (IpAddr::V4(a), IpAddr::V4(n)) if bits <= 32 => (u128::from(a.to_bits()) << 96, u128::from(n.to_bits()) << 96),
        (IpAddr::V6(a), IpAddr::V6(n)) if bits <= 128 => (a.to_bits(), n.to_bits()),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return Some(false),
        _ => return None,
    };
    let mask = if bits == 0 { 0 } else { u128::MAX << (128 - bits) };
    Some(a & mask == n & mask)
}

#[cfg(test)]
mod tests {
    use super::is_in;

    #[test]
    fn networks_of_both_families() {
        assert_eq!(is_in("192.0.2.77", "192.0.2.1", "/24"), Some(true));
        assert_eq!(is_in("192.0.3.77", "192.0.2.1", "/24"), Some(false));
        assert_eq!(is_in("192.0.3.77", "192.0.2.1", "23"), Some(true));
        assert_eq!(is_in("192.0.3.77", "10.0.0.1", "/0"), Some(true));
        assert_eq!(is_in("2001:db8::7", "2001:db8::1", "/64"), Some(true));
        assert_eq!(is_in("192.0.2.1", "2001:db8::1", "/64"), Some(false));
        assert_eq!(is_in("192.0.2.1", "192.0.2.1", "/33"), None);
        assert_eq!(is_in("host", "192.0.2.1", "/24"), None);
    }
}
