//! Our services in somebody else's catalog.

use super::session::{KeystoneError, Session};
use crate::CatalogEntry;
use reqwest::Method;
use serde_json::{Value, json};

/// What [`Registration::run`] has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Registered {
    pub services_made: usize,
    pub endpoints_made: usize,
    pub endpoints_changed: usize,
    pub endpoints_right: usize,
}

/// Makes a region's catalog say where our services are. What is right already is left alone, and so is every other
/// service; run again, it changes nothing.
pub struct Registration<'a> {
    pub session: &'a Session,
    pub region: &'a str,
    pub services: &'a [CatalogEntry],
}

impl Registration<'_> {
    pub async fn run(&self) -> Result<Registered, KeystoneError> {
        let mut done = Registered::default();
        self.region().await?;
        for entry in self.services {
            let service = self.service(entry, &mut done).await?;
            for (interface, url) in entry.endpoints() {
                self.endpoint(&service, interface, url, &mut done).await?;
            }
        }
        Ok(done)
    }

    async fn region(&self) -> Result<(), KeystoneError> {
        let regions = self.session.json(Method::GET, "/regions", None).await?;
        if list(&regions, "regions").any(|r| r["id"] == self.region) {
            return Ok(());
        }
        let region = json!({"region": {"id": self.region}});
        self.session.json(Method::POST, "/regions", Some(&region)).await.map(drop)
    }

    async fn service(&self, entry: &CatalogEntry, done: &mut Registered) -> Result<String, KeystoneError> {
        let path = format!("/services?type={}", entry.service_type);
        let found = self.session.json(Method::GET, &path, None).await?;
        let id = |s: &Value| s["id"].as_str().map(str::to_owned);
        if let Some(id) = list(&found, "services").find(|s| s["name"] == entry.name.as_str()).and_then(id) {
            return Ok(id);
        }
        let service = json!({"service": {"type": entry.service_type, "name": entry.name, "enabled": true}});
        let made = self.session.json(Method::POST, "/services", Some(&service)).await?;
        done.services_made += 1;
        id(&made["service"]).ok_or_else(|| KeystoneError::Answer { path: "/services".into() })
    }

    async fn endpoint(
        &self,
        service: &str,
        interface: &str,
        url: &str,
        done: &mut Registered,
    ) -> Result<(), KeystoneError> {
        let path = format!("/endpoints?service_id={service}&interface={interface}&region_id={}", self.region);
        let found = self.session.json(Method::GET, &path, None).await?;
        let Some(endpoint) = list(&found, "endpoints").next() else {
            let endpoint = json!({"endpoint": {"service_id": service, "interface": interface, "url": url,
                                               "region_id": self.region, "enabled": true}});
            self.session.json(Method::POST, "/endpoints", Some(&endpoint)).await?;
            done.endpoints_made += 1;
            return Ok(());
        };
        if endpoint["url"] == url && endpoint["enabled"] == true {
            done.endpoints_right += 1;
            return Ok(());
        }
        let path = format!("/endpoints/{}", endpoint["id"].as_str().unwrap_or_default());
        let change = json!({"endpoint": {"url": url, "enabled": true}});
        self.session.json(Method::PATCH, &path, Some(&change)).await?;
        done.endpoints_changed += 1;
        Ok(())
    }
}

pub(super) fn list<'a>(answer: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    answer[name].as_array().into_iter().flatten()
}
