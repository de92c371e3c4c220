//! Who is at the other end of a connection, and behind the proxies in front of it.

use crate::{Call, HeaderMap, Network};
use std::net::{IpAddr, SocketAddr};

/// The other end of a request's connection: an extension of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

impl Call {
    /// The client's address. A peer in one of `proxies` is believed about whom it forwards for (`X-Forwarded-For`, from its
    /// end: what comes before the last proxy that is ours may be made up); anybody else is the client. `None`: the request
    /// did not come over a network.
    pub fn client(&self, proxies: &[Network]) -> Option<IpAddr> {
        self.peer.map(|peer| client(peer, &self.headers, proxies))
    }
}

fn client(peer: IpAddr, headers: &HeaderMap, proxies: &[Network]) -> IpAddr {
    let is_proxy = |address: IpAddr| proxies.iter().any(|n| n.contains(address));
    let mut nearest = peer.to_canonical();
    let lines: Vec<&str> = headers.get_all("x-forwarded-for").iter().filter_map(|v| v.to_str().ok()).collect();
    for said in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
        if !is_proxy(nearest) {
            break;
        }
        let said = said.trim();
        let Ok(address) = said.parse().or_else(|_| said.parse::<SocketAddr>().map(|s| s.ip())) else { break };
        nearest = address.to_canonical();
    }
    nearest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_behind_whom() {
        let proxies: Vec<Network> = ["10.0.0.0/8", "fd00::/8"].map(|n| n.parse().unwrap()).into();
        for (peer, lines, want) in [
            ("192.0.2.1", &[][..], "192.0.2.1"),
            // a client's own words
            ("192.0.2.1", &["198.51.100.7"], "192.0.2.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["192.0.2.1"], "192.0.2.1"),
            ("::ffff:10.0.0.1", &["192.0.2.1"], "192.0.2.1"),
            ("10.0.0.1", &["198.51.100.7, 192.0.2.1, 10.0.0.2"], "192.0.2.1"),
            ("10.0.0.1", &["198.51.100.7", "192.0.2.1"], "192.0.2.1"),
            ("10.0.0.1", &["192.0.2.1:4711"], "192.0.2.1"),
            ("fd00::1", &["[2001:db8::1]:80"], "2001:db8::1"),
            ("10.0.0.1", &["unknown"], "10.0.0.1"),
            ("10.0.0.1", &["192.0.2.1, unknown"], "10.0.0.1"),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("x-forwarded-for", line.parse().unwrap());
            }
            let found = client(peer.parse().unwrap(), &headers, &proxies);
            assert_eq!(found, want.parse::<IpAddr>().unwrap(), "{peer} {lines:?}");
        }
    }
}
