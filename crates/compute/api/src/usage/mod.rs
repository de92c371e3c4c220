//! What servers have used: `/os-simple-tenant-usage` by project, `/os-instance_usage_audit_log` by host.

mod audit;
mod tenant;

use crate::ComputeApi;
use platform_http::Route;

pub(crate) fn routes() -> Vec<Route<ComputeApi>> {
    vec![
        Route::get("/os-simple-tenant-usage", tenant::index)
            .policy(&[tenant::LIST])
            .schema("simple_tenant_usage.index"),
        Route::get("/os-simple-tenant-usage/{id}", tenant::show)
            .policy(&[tenant::SHOW])
            .schema("simple_tenant_usage.show"),
        Route::get("/os-instance_usage_audit_log", audit::index)
            .policy(&[audit::LIST])
            .schema("instance_usage_audit_log.index"),
        Route::get("/os-instance_usage_audit_log/{id}", audit::show)
            .policy(&[audit::SHOW])
            .schema("instance_usage_audit_log.show"),
    ]
}
