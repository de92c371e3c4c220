//! ComputeFilter: the host's service is enabled and up.

use crate::{Cause, Config, HostState, Request, ServiceState};

pub(super) fn refuses(h: &HostState, _: &Request<'_>, _: &Config) -> Option<Cause> {
    match &h.host.service {
        ServiceState::Up => None,
        ServiceState::Disabled(reason) => Some(Cause::Disabled { reason: reason.clone() }),
        ServiceState::Down => Some(Cause::Down),
    }
}
