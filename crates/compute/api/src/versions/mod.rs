//! Version documents: what clients read first to learn which microversions there are.

use crate::{ComputeApi, MICROVERSIONS};
use http::Method;
use platform_http::{Call, Fault, Reply, Route};
use serde_json::{Value, json};

pub(crate) fn routes() -> Vec<Route<ComputeApi>> {
    let mut routes = vec![
        Route::get("/", list).open(),
        Route::get("/v2.1", current).open(),
        Route::get("/v2", legacy).open(),
        Route::get("/versions/{id}", by_id).schema("versionsV21.show"),
    ];
    for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE] {
        routes.push(Route::new(method, "/unversioned/{*path}", choices).open());
    }
    routes
}

/// One version of the API.
struct Version {
    id: &'static str,
    status: &'static str,
    updated: &'static str,
    /// Where it is, below the service's root.
    path: &'static str,
    media_type: &'static str,
    microversions: bool,
}

const LEGACY: Version = Version {
    id: "v2.0",
    status: "DEPRECATED",
    updated: "2025-07-04T12:00:00Z",
    path: "v2",
    media_type: "application/vnd.openstack.compute+json;version=2",
    microversions: false,
};
const CURRENT: Version = Version {
    id: "v2.1",
    status: "CURRENT",
    updated: "2013-07-23T11:33:21Z",
    path: "v2.1",
    media_type: "application/vnd.openstack.compute+json;version=2.1",
    microversions: true,
};
const VERSIONS: [Version; 2] = [LEGACY, CURRENT];

impl Version {
    fn self_link(&self, call: &Call, rest: &str) -> Value {
        json!({"rel": "self", "href": format!("{}/{}/{rest}", call.root_url, self.path)})
    }

    fn media_types(&self) -> Value {
        json!([{"base": "application/json", "type": self.media_type}])
    }

    fn brief(&self, call: &Call) -> Value {
        let shown = |v: base::Microversion| if self.microversions { v.to_string() } else { String::new() };
        json!({
            "id": self.id,
            "status": self.status,
            "version": shown(MICROVERSIONS.max),
            "min_version": shown(MICROVERSIONS.min),
            "updated": self.updated,
            "links": [self.self_link(call, "")],
        })
    }

    fn document(&self, call: &Call) -> Reply {
        let mut shown = self.brief(call);
        shown["links"] = json!([
            self.self_link(call, ""),
            {"rel": "describedby", "type": "text/html", "href": "http://docs.openstack.org/"},
        ]);
        shown["media-types"] = self.media_types();
        Reply::json(200, &json!({"version": shown}))
    }
}

async fn list(_: ComputeApi, call: Call) -> Result<Reply, Fault> {
    Ok(Reply::json(200, &json!({"versions": VERSIONS.each_ref().map(|v| v.brief(&call))})))
}

async fn current(_: ComputeApi, call: Call) -> Result<Reply, Fault> {
    Ok(CURRENT.document(&call))
}

async fn legacy(_: ComputeApi, call: Call) -> Result<Reply, Fault> {
    Ok(LEGACY.document(&call))
}

async fn by_id(_: ComputeApi, call: Call) -> Result<Reply, Fault> {
    VERSIONS
        .iter()
        .find(|v| v.id == call.param("id"))
        .map(|v| v.document(&call))
        .ok_or_else(|| Fault::not_found("The resource could not be found."))
}

/// A path without a version: where it could lead.
async fn choices(_: ComputeApi, call: Call) -> Result<Reply, Fault> {
    let rest = call.path.trim_start_matches("/unversioned").trim_start_matches('/');
    let choices = VERSIONS.each_ref().map(|v| {
        json!({"id": v.id, "status": v.status, "links": [v.self_link(&call, rest)], "media-types": v.media_types()})
    });
    Ok(Reply::json(300, &json!({"choices": choices})))
}
