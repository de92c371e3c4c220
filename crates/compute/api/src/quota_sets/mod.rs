use crate::ComputeApi;
use platform_http::Route;

pub(crate) fn routes() -> Vec<Route<ComputeApi>> {
    Vec::new()
}
