//! Stores and rows in few words.

use base::time::ManualClock;
use base::{HostName, Mib, Timestamp};
use compute_model::driver::HostFacts;
use compute_store::Store;
use platform_db::{Db, args};
use std::sync::Arc;

/// 2026-01-02T03:04:05Z.
pub(crate) const NOW: Timestamp = Timestamp(1_767_323_045_000_000);
pub(crate) const HOUR: i64 = 3_600_000_000;

pub(crate) fn store(db: &Db) -> (Store, Arc<ManualClock>) {
    let clock = ManualClock::starting_at(NOW);
    (Store::new(db.clone(), clock.clone()), clock)
}

pub(crate) async fn add_host(db: &Db, host: &str) {
    let facts = HostFacts {
        hypervisor_hostname: format!("{host}.example"),
        hypervisor_type: "fake".into(),
        hypervisor_version: 1000,
        host_ip: "127.0.0.1".into(),
        vcpus: 8,
        ram: Mib(16384),
        disk_gib: 100,
        cpu_info: serde_json::json!({}),
        traits: Vec::new(),
        booted_at: None,
    };
    let mut tx = db.begin().await.unwrap();
    compute_store::hosts::hosts_register(&mut tx, NOW, &[(HostName::from(host), facts)]).await.unwrap();
    tx.commit().await.unwrap();
}

/// A server with one vCPU, 512 MiB and 3 GiB.
#[derive(Clone, Default)]
pub(crate) struct Server {
    pub(crate) project: &'static str,
    pub(crate) user: &'static str,
    pub(crate) host: Option<&'static str>,
    pub(crate) group: Option<String>,
    pub(crate) task: Option<&'static str>,
    pub(crate) launched_at: Option<i64>,
    pub(crate) terminated_at: Option<i64>,
    pub(crate) deleted: bool,
}

impl Server {
    /// Stores it; its uuid.
    pub(crate) async fn add(self, db: &Db) -> String {
        let uuid = base::InstanceId::random().to_string();
        let mut tx = db.begin().await.unwrap();
        tx.execute(
            "INSERT INTO instances (uuid, project_id, user_id, name, hostname, host, vm_state, task_state, power_state,
                progress, vcpus, ram_mib, disk_gib, flavor_id, flavor, metadata, system_metadata, tags, files,
                config_drive, scheduler_hints, server_group, launch_index, reservation_id, disk_config, created_at,
                updated_at, launched_at, terminated_at, deleted_at)
             VALUES ($1, $2, $3, 's', 's', $4, 'active', $5, 1, 0, 1, 512, 3, 'f', $6, '{}', '{}', '[]', '[]', $7, '{}',
                $8, 0, 'r-1', 'MANUAL', $9, $9, $10, $11, $12)",
            args![
                &uuid,
                self.project,
                self.user,
                self.host,
                self.task,
                r#"{"flavor_id":"f","name":"m1.f","vcpus":1,"ram":512,"root_disk":3,"ephemeral_disk":0,"swap":0}"#,
                false,
                self.group,
                NOW,
                self.launched_at,
                self.terminated_at,
                self.deleted.then_some(NOW.0)
            ],
        )
        .await
        .unwrap();
        tx.commit().await.unwrap();
        uuid
    }
}
