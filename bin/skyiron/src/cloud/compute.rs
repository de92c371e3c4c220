//! Compute's assembly: API, metadata, conductor with its engine, and the agent with its drivers.

use super::identity::Identities;
use super::image::certificates;
use super::{Assembly, Ground, Role, with_policy};
use crate::config::{Accelerator, Compute, Config, QuotaDriver, Strategy};
use anyhow::{Context, Result};
use base::HostName;
use compute_agent::{Agent, AgentConfig, Demands};
use compute_api::{ComputeApi, Parts, UnifiedLimits, Unregistered};
use compute_conductor::{Conductor, ConductorSettings, Recovery};
use compute_driver_fake::{Fake, FakeConfig};
use compute_driver_qemu::{Accel, Qemu, QemuConfig, RunAs};
use compute_metadata::ComputeMetadata;
use compute_model::driver::Driver;
use compute_selection::{BusScheduler, HostView, Scheduler, Select};
use compute_store::Store;
use image_model::ImageProxy;
use platform_engine::{Engine, EngineSettings};
use platform_http::ProjectLimits;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How often to look for due work when no hint comes.
const INTERVAL: Duration = Duration::from_secs(1);
/// Operations driven at once. Each is SQL only, so this bounds memory, not processors.
const OPERATIONS: usize = 64;

/// Starts what this process is to run of it.
pub(crate) async fn start(g: &Ground, asked: Identities, images: Arc<dyn ImageProxy>, a: &mut Assembly) -> Result<()> {
    let host = host_name(&g.config.compute)?;
    if g.roles.has(Role::ComputeApi) {
        api(g, asked, images.clone(), a).await?;
    }
    if g.roles.has(Role::ComputeMetadata) {
        metadata(g, a)?;
    }
    if g.roles.has(Role::ComputeScheduler) || g.roles.has(Role::ComputeConductor) {
        conductor_and_scheduler(g, &host, a)?;
    }
    if g.roles.has(Role::ComputeAgent) {
        agent(g, &host, images, a).await?;
    }
    Ok(())
}

fn store(g: &Ground) -> Result<Store> {
    Ok(Store::new(g.db()?.clone(), g.clock.clone()))
}

async fn api(g: &Ground, asked: Identities, images: Arc<dyn ImageProxy>, a: &mut Assembly) -> Result<()> {
    let config = &g.config.compute;
    let mut tx = g.db()?.begin().await?;
    compute_store::flavors::ensure_defaults(&mut tx, g.clock.now()).await?;
    tx.commit().await?;
    let api = ComputeApi::new(Parts {
        store: store(g)?,
        images,
        enforcer: with_policy(compute_api::default_policy().context("nova's policy")?, &config.policy_file)?,
        bus: g.bus.clone(),
        unified_limits: unified_limits(config, asked.limits),
        config: compute_api::Config {
            default_availability_zone: config.default_availability_zone.clone(),
            service_down_secs: config.service_down_secs,
            default_trusted_certificates: config.default_trusted_certificate_ids.clone(),
            ..compute_api::Config::default()
        },
    });
    let service = compute_api::service(api, asked.auth, g.urls.identity_v3());
    a.router = service.limited(&g.tenants).mount(std::mem::take(&mut a.router), "/compute");
    Ok(())
}

fn unified_limits(config: &Compute, source: Arc<dyn ProjectLimits>) -> Option<UnifiedLimits> {
    let listed = config.unified_limits_resource_list.clone();
    let unregistered = match config.unified_limits_resource_strategy {
        Strategy::Require => Unregistered::Require(listed),
        Strategy::Ignore => Unregistered::Ignore(listed),
    };
    (config.quota_driver == QuotaDriver::Unified).then_some(UnifiedLimits { source, unregistered })
}

/// At the root of a listener of its own, because the network's proxies know no prefix. Beside other services it is below
/// one, for whoever puts a balancer in between; there it asks for no token, so without a secret, with which it could
/// only refuse, it is left out.
fn metadata(g: &Ground, a: &mut Assembly) -> Result<()> {
    let secret = g.config.compute.metadata_proxy_shared_secret.clone();
    let alone = g.roles.is_only(Role::ComputeMetadata);
    if !alone && secret.expose().is_empty() {
        return Ok(());
    }
    let metadata = ComputeMetadata::new(store(g)?, compute_metadata::Config::new(secret));
    let service = compute_metadata::service(metadata);
    let router = std::mem::take(&mut a.router);
    a.router = match alone {
        true => compute_metadata::mount_alone(&service, router),
        false => service.mount(router, "/metadata"),
    };
    Ok(())
}

/// Who looks at hosts looks once: the two share their views where they share a process.
fn conductor_and_scheduler(g: &Ground, host: &str, a: &mut Assembly) -> Result<()> {
    let settings = conductor_settings(&g.config, host);
    let (store, placement) = (store(g)?, g.placement()?);
    let view = Arc::new(HostView::new(store.clone(), g.clock.clone(), settings.service_down_time));
    let scheduler: Arc<dyn Select> = match g.roles.has(Role::ComputeScheduler) {
        true => {
            let config = settings.scheduler.clone();
            let here = Arc::new(Scheduler::new(store.clone(), placement.clone(), view.clone(), config));
            if g.is_one_of_many() {
                a.subscriptions.extend(compute_selection::serve(&*g.bus, here.clone()));
            }
            a.tasks.spawn(here.clone().run(host.to_owned(), g.clock.clone(), g.stop.clone()));
            here
        }
        false => Arc::new(BusScheduler::on(g.bus.clone())),
    };
    if !g.roles.has(Role::ComputeConductor) {
        return Ok(());
    }
    let conductor = Conductor::asking(scheduler, view, store, placement, g.bus.clone(), g.clock.clone(), settings);
    a.subscriptions.extend(conductor.serve());
    let settings = EngineSettings {
        owner: format!("{host}/{}/{}", std::process::id(), g.clock.now().0),
        lease: Duration::from_secs(g.config.compute.lease_secs),
        interval: INTERVAL,
        concurrency: OPERATIONS,
    };
    let engine = Engine::new(g.db()?.clone(), g.bus.clone(), g.clock.clone(), settings, conductor.flows());
    a.tasks.spawn(engine.run(g.stop.clone()));
    a.tasks.spawn(conductor.run(g.stop.clone()));
    Ok(())
}

async fn agent(g: &Ground, host: &str, images: Arc<dyn ImageProxy>, a: &mut Assembly) -> Result<()> {
    let instances = g.data.sub("instances");
    let hosts = drivers(&g.config.compute, host, &instances).await?;
    if g.config.compute.fake_agents {
        for host in hosts {
            let config = AgentConfig::new(vec![host], &instances, g.data.sub("image-cache"));
            let agent = Agent::new(config, g.bus.clone(), images.clone(), g.clock.clone());
            a.tasks.spawn(agent.run(g.stop.clone()));
        }
        return Ok(());
    }
    let mut config = AgentConfig::new(hosts, instances, g.data.sub("image-cache"));
    config.resume_guests = g.config.compute.resume_guests_on_boot;
    config.demands = Demands {
        verify_signatures: g.config.compute.verify_image_signatures,
        validate_certificates: g.config.compute.enable_certificate_validation,
        default_trusted: g.config.compute.default_trusted_certificate_ids.clone(),
        certificates: certificates(&g.config.image.certificates_dir)?,
    };
    let agent = Agent::new(config, g.bus.clone(), images, g.clock.clone());
    const REGISTERED: &str = "compute-conductor to register this process' hosts";
    a.readiness.wait_for(REGISTERED);
    let (ready, mut registered) = (a.readiness.clone(), agent.registered());
    a.tasks.spawn(async move {
        if registered.wait_for(|r| *r).await.is_ok() {
            ready.has(REGISTERED);
        }
    });
    a.tasks.spawn(agent.run(g.stop.clone()));
    Ok(())
}

fn conductor_settings(config: &Config, host: &str) -> ConductorSettings {
    let scheduler = compute_scheduler::Config {
        default_availability_zone: config.compute.default_availability_zone.clone(),
        ..config.scheduler.clone()
    };
    let config = &config.compute;
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
        deleted_kept: Some(config.deleted_servers_kept_days)
            .filter(|n| *n > 0)
            .map(|days| Duration::from_secs(u64::from(days) * 24 * 3600)),
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
                let name = format!("{}{n:05}", config.fake_host_prefix);
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
