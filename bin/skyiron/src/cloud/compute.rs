//! Compute's assembly: API, conductor with its engine, and the agent with its drivers.

use super::ready::Readiness;
use super::{Ground, Role, Roles, with_policy};
use crate::config::{Accelerator, Compute};
use anyhow::{Context, Result};
use axum::Router;
use base::HostName;
use compute_agent::{Agent, AgentConfig};
use compute_api::{ComputeApi, Parts};
use compute_conductor::{Conductor, ConductorSettings, Recovery};
use compute_driver_fake::{Fake, FakeConfig};
use compute_driver_qemu::{Accel, Qemu, QemuConfig, RunAs};
use compute_model::driver::Driver;
use compute_store::Store;
use image_model::ImageProxy;
use placement::Placement;
use platform_bus::Subscription;
use platform_engine::{Engine, EngineSettings};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// How long a worker may be silent before another takes its operation.
const LEASE: Duration = Duration::from_secs(30);
/// How often to look for due work when no hint comes.
const INTERVAL: Duration = Duration::from_secs(1);
/// Operations driven at once. Each is SQL only, so this bounds memory, not processors.
const OPERATIONS: usize = 64;

#[expect(clippy::too_many_arguments, reason = "the one place where the parts of a process meet")]
pub(crate) async fn start(
    g: &Ground,
    roles: Roles,
    images: Option<Arc<dyn ImageProxy>>,
    placement: Placement,
    readiness: &Readiness,
    router: &mut Router,
    tasks: &mut JoinSet<()>,
    subscriptions: &mut Vec<Subscription>,
) -> Result<()> {
    let (true, Some(images)) = (roles.has(Role::ComputeApi), images) else { return Ok(()) };
    let config = &g.config.compute;
    let store = Store::new(g.db.clone(), g.clock.clone());
    let host = host_name(config)?;

    let mut tx = g.db.begin().await?;
    compute_store::flavors::ensure_defaults(&mut tx, g.clock.now()).await?;
    tx.commit().await?;

    let enforcer = with_policy(compute_api::default_policy().context("nova's policy")?, &config.policy_file)?;
    let api = ComputeApi::new(Parts {
        store: store.clone(),
        images: images.clone(),
        enforcer,
        bus: g.bus.clone(),
        config: compute_api::Config {
            default_availability_zone: config.default_availability_zone.clone(),
            service_down_secs: config.service_down_secs,
            ..compute_api::Config::default()
        },
    });
    let service = compute_api::service(api, g.auth.clone(), g.identity_url());
    *router = service.mount(std::mem::take(router), "/compute");

    let conductor = Conductor::new(store, placement, g.bus.clone(), g.clock.clone(), conductor_settings(config, &host));
    subscriptions.extend(conductor.serve());
    let settings = EngineSettings {
        owner: format!("{host}/{}/{}", std::process::id(), g.clock.now().0),
        lease: LEASE,
        interval: INTERVAL,
        concurrency: OPERATIONS,
    };
    let engine = Engine::new(g.db.clone(), g.bus.clone(), g.clock.clone(), settings, conductor.flows());
    tasks.spawn(engine.run(g.stop.clone()));
    tasks.spawn(conductor.clone().run(g.stop.clone()));

    let instances = g.data.sub("instances");
    let hosts = drivers(config, &host, &instances).await?;
    let agent = Agent::new(
        AgentConfig::new(hosts, instances, g.data.sub("image-cache")),
        g.bus.clone(),
        images,
        g.clock.clone(),
    );
    const REGISTERED: &str = "compute-agent to register its hosts";
    readiness.wait_for(REGISTERED);
    let ready = readiness.clone();
    let mut registered = conductor.registered();
    tasks.spawn(async move {
        if registered.wait_for(|r| *r).await.is_ok() {
            ready.has(REGISTERED);
        }
    });
    tasks.spawn(agent.run(g.stop.clone()));
    Ok(())
}

fn conductor_settings(config: &Compute, host: &str) -> ConductorSettings {
    let scheduler = compute_scheduler::Config {
        default_availability_zone: config.default_availability_zone.clone(),
        ..compute_scheduler::Config::default()
    };
    ConductorSettings {
        service_down_time: Duration::from_secs(config.service_down_secs),
        build_timeout: Duration::from_secs(config.build_timeout_secs),
        action_timeout: Duration::from_secs(config.action_timeout_secs),
        max_attempts: config.max_attempts as usize,
        cpu_allocation_ratio: config.cpu_allocation_ratio,
        ram_allocation_ratio: config.ram_allocation_ratio,
        disk_allocation_ratio: config.disk_allocation_ratio,
        reserved_host_memory: config.reserved_host_memory_mib,
        scheduler,
        recovery: Recovery {
            after: Some(config.recover_after_secs).filter(|n| *n > 0).map(Duration::from_secs),
            fence_command: config.fence_command.clone(),
            fence_timeout: Duration::from_secs(config.fence_timeout_secs),
            most_hosts: config.recover_most_hosts as usize,
        },
        host: host.to_owned(),
        ..ConductorSettings::default()
    }
}

fn host_name(config: &Compute) -> Result<String> {
    if !config.host.is_empty() {
        return Ok(config.host.clone());
    }
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").context("this host's name")?;
    Ok(name.trim().to_owned())
}

/// The simulated hosts, or this one.
async fn drivers(config: &Compute, host: &str, instances: &Path) -> Result<Vec<(HostName, Arc<dyn Driver>)>> {
    if config.fake_hosts > 0 {
        let delay = Duration::from_millis(config.fake_delay_ms);
        return Ok((1..=config.fake_hosts)
            .map(|n| {
                let name = format!("fake-{n:05}");
                let fake = Fake::new(FakeConfig { delay, ..FakeConfig::new(&name) });
                (HostName(name), Arc::new(fake) as Arc<dyn Driver>)
            })
            .collect());
    }
    let mut settings = QemuConfig::new(host, instances);
    settings.accel = match config.accelerator {
        Accelerator::Auto => Accel::Auto,
        Accelerator::Kvm => Accel::Kvm,
        Accelerator::Tcg => Accel::Tcg,
    };
    if !config.guest_user.is_empty() {
        settings.run_as = RunAs::User(config.guest_user.clone());
    }
    let qemu = Qemu::new(settings).context("the qemu driver")?;
    Ok(vec![(HostName(host.to_owned()), Arc::new(qemu) as Arc<dyn Driver>)])
}
