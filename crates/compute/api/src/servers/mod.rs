//! `/servers`: servers, what is done to them, and what hangs on them.

mod action_log;
mod ask_host;
mod attachments;
mod console_output;
mod create;
mod delete;
mod diagnostics;
mod evacuate;
mod find;
mod ips;
mod list;
mod list_filters;
mod lock;
mod metadata;
mod not_yet;
mod password;
mod power;
mod reset_state;
mod show;
mod tags;
mod topology;
mod update;
mod view;

use crate::ComputeApi;
use platform_http::Route;
use std::time::Duration;

/// How long a build may take, all hosts tried and images fetched, before the server is declared broken.
const BUILD_DEADLINE: Duration = Duration::from_secs(30 * 60);
/// How long a host may take to remove a guest before the operation is decided without it.
const DELETE_DEADLINE: Duration = Duration::from_secs(10 * 60);
/// How long a power action may take beyond the grace its guest is given.
const POWER_DEADLINE: Duration = Duration::from_secs(5 * 60);

pub(crate) fn routes() -> Vec<Route<ComputeApi>> {
    let mut routes = collection("/servers", "/servers/detail", "/servers/{id}");
    routes.extend(
        [
            metadata::routes(),
            tags::routes(),
            ips::routes(),
            power::routes(),
            delete::routes(),
            evacuate::routes(),
            lock::routes(),
            reset_state::routes(),
            console_output::routes(),
            diagnostics::routes(),
            action_log::routes(),
            attachments::routes(),
            password::routes(),
            topology::routes(),
            not_yet::routes(),
        ]
        .into_iter()
        .flatten(),
    );
    // an alias that nobody documented, for as long as it lasted
    let alias = collection("/os-volumes_boot", "/os-volumes_boot/detail", "/os-volumes_boot/{id}");
    routes.extend(alias.into_iter().map(|r| r.until(2, 102)));
    routes
}

fn collection(all: &'static str, detail: &'static str, one: &'static str) -> Vec<Route<ComputeApi>> {
    vec![
        Route::get(all, list::index).policy(list::INDEX_POLICIES).schema("servers.index"),
        Route::post(all, create::create).policy(create::POLICIES).schema("servers.create"),
        Route::get(detail, list::detail).policy(list::DETAIL_POLICIES).schema("servers.detail"),
        Route::get(one, show::show).policy(show::POLICIES).schema("servers.show"),
        Route::put(one, update::update).policy(&[update::POLICY]).schema("servers.update"),
        Route::delete(one, delete::delete).policy(&[delete::POLICY]),
    ]
}
