//! The zone asked for is the one that the host's aggregates name. Nova asks placement for it
//! (`map_az_to_placement_aggregate`); zones are compute's own data here, so it is asked of the host.

use crate::{Cause, Config, HostState, Request};

pub(super) fn refuses(h: &HostState, request: &Request<'_>, config: &Config) -> Option<Cause> {
    let wanted = request.availability_zone?;
    let zone = h.host.availability_zone().unwrap_or(&config.default_availability_zone);
    (zone != wanted).then(|| Cause::OutsideZone { zone: wanted.to_owned() })
}
