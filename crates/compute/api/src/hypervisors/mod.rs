//! `/os-hypervisors`: what the compute hosts have and what their servers use of it.

mod read;
mod view;

use crate::ComputeApi;
use platform_http::Route;

pub(crate) fn routes() -> Vec<Route<ComputeApi>> {
    use read::{DETAIL, LIST, SEARCH, SERVERS, SHOW, STATISTICS, UPTIME};
    vec![
        Route::get("/os-hypervisors", read::index).policy(&[LIST]).schema("hypervisors.index"),
        Route::get("/os-hypervisors/detail", read::detail).policy(&[DETAIL]).schema("hypervisors.detail"),
        Route::get("/os-hypervisors/statistics", read::statistics).policy(&[STATISTICS]).until(2, 87),
        Route::get("/os-hypervisors/{id}", read::show).policy(&[SHOW]).schema("hypervisors.show"),
        Route::get("/os-hypervisors/{id}/search", read::search).policy(&[SEARCH]).until(2, 52),
        Route::get("/os-hypervisors/{id}/servers", read::servers).policy(&[SERVERS]).until(2, 52),
        Route::get("/os-hypervisors/{id}/uptime", read::uptime).policy(&[UPTIME]).until(2, 87),
    ]
}
