//! Microversion negotiation, the same for every service that has them.

use crate::Fault;
use base::Microversion;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

/// What a service says about its versions.
#[derive(Clone, Copy, Debug)]
pub struct Microversions {
    /// The name in `OpenStack-API-Version: <service> <version>`: `compute`, `placement`, `baremetal`.
    pub service: &'static str,
    pub min: Microversion,
    pub max: Microversion,
    /// An older header of its own: `X-OpenStack-Nova-API-Version`. If both are there the common one wins.
    pub legacy_header: Option<&'static str>,
    /// Paths below it are of the API before microversions: Nova's `/v2`. There nobody asks for one and none is told, the
    /// oldest holds, and a body may have what nobody knows.
    pub legacy_path: Option<&'static str>,
}

const COMMON: &str = "openstack-api-version";

impl Microversions {
    /// Whether that path is of the API before microversions.
    pub(crate) fn is_legacy(&self, path: &str) -> bool {
        let below = self.legacy_path.and_then(|legacy| path.strip_prefix(legacy));
        below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The version this request runs at. No header: the minimum. `latest`: the maximum.
    pub fn negotiate(&self, headers: &HeaderMap) -> Result<Microversion, Fault> {
        let Some(text) = self.wanted(headers) else { return Ok(self.min) };
        if text.eq_ignore_ascii_case("latest") {
            return Ok(self.max);
        }
        let version: Microversion = text.parse().map_err(|_| {
            Fault::bad_request(format!(
                "API Version String {text} is of invalid format. Must be of format MajorNum.MinorNum."
            ))
        })?;
        if version < self.min || version > self.max {
            return Err(Fault::new(
                StatusCode::NOT_ACCEPTABLE,
                format!(
                    "Version {version} is not supported by the API. Minimum is {} and maximum is {}.",
                    self.min, self.max
                ),
            ));
        }
        Ok(version)
    }

    fn wanted(&self, headers: &HeaderMap) -> Option<String> {
        let common = headers
            .get_all(COMMON)
            .iter()
            .filter_map(|v| v.to_str().ok())
            .flat_map(|v| v.split(','))
            .filter_map(|item| item.trim().split_once(char::is_whitespace))
            .find(|(service, _)| service.eq_ignore_ascii_case(self.service))
            .map(|(_, version)| version.trim().to_owned());
        common.or_else(|| headers.get(self.legacy_header?)?.to_str().ok().map(|v| v.trim().to_owned()))
    }

    /// Says on the answer which version was used, so that caches and clients know.
    pub fn echo(&self, headers: &mut HeaderMap, version: Microversion) {
        if let Ok(v) = HeaderValue::from_str(&format!("{} {version}", self.service)) {
            headers.insert(HeaderName::from_static(COMMON), v);
        }
        headers.append(header::VARY, HeaderValue::from_static("OpenStack-API-Version"));
        if let Some(legacy) = self.legacy_header
            && let (Ok(name), Ok(value)) = (HeaderName::try_from(legacy), HeaderValue::from_str(&version.to_string()))
        {
            headers.insert(name, value);
            if let Ok(vary) = HeaderValue::from_str(legacy) {
                headers.append(header::VARY, vary);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOVA: Microversions = Microversions {
        service: "compute",
        min: Microversion::new(2, 1),
        max: Microversion::new(2, 104),
        legacy_header: Some("x-openstack-nova-api-version"),
        legacy_path: Some("/v2"),
    };

    fn ask(pairs: &[(&'static str, &str)]) -> Result<String, u16> {
        let mut h = HeaderMap::new();
        for (k, v) in pairs {
            h.append(*k, HeaderValue::from_str(v).unwrap());
        }
        NOVA.negotiate(&h).map(|v| v.to_string()).map_err(|f| f.status.as_u16())
    }

    #[test]
    fn paths_before_microversions() {
        for (path, legacy) in
            [("/v2", true), ("/v2/", true), ("/v2/servers", true), ("/v2.1/servers", false), ("/", false)]
        {
            assert_eq!(NOVA.is_legacy(path), legacy, "{path}");
        }
    }

    #[test]
    fn the_rules_of_negotiation() {
        assert_eq!(ask(&[]), Ok("2.1".into()));
        assert_eq!(ask(&[("openstack-api-version", "compute 2.53")]), Ok("2.53".into()));
        assert_eq!(ask(&[("openstack-api-version", "volume 3.1, compute latest")]), Ok("2.104".into()));
        assert_eq!(ask(&[("x-openstack-nova-api-version", "2.9")]), Ok("2.9".into()));
        let both = [("x-openstack-nova-api-version", "2.9"), ("openstack-api-version", "compute 2.10")];
        assert_eq!(ask(&both), Ok("2.10".into()));
        assert_eq!(ask(&[("openstack-api-version", "volume 3.1")]), Ok("2.1".into()));
        for (bad, status) in [("2.01", 400), ("abc", 400), ("2.", 400), ("2.105", 406), ("1.1", 406), ("3.0", 406)] {
            assert_eq!(ask(&[("openstack-api-version", &format!("compute {bad}"))]), Err(status), "{bad}");
        }
    }
}
