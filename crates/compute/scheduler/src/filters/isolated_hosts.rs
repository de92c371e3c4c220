//! IsolatedHostsFilter: isolated images go to isolated hosts only, and (if restricted) nothing else goes there.

use crate::{Config, HostState, Request};

pub(super) fn passes(h: &HostState, request: &Request<'_>, config: &Config) -> bool {
    let restricted = config.restrict_isolated_hosts_to_isolated_images;
    let host_isolated = config.isolated_hosts.contains(&h.host.host);
    let image_isolated = request.image.is_some_and(|i| config.isolated_images.contains(&i.id));
    if restricted { image_isolated == host_isolated } else { !image_isolated || host_isolated }
}
