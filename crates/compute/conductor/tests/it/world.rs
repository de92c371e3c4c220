//! A cloud of one database, a bus, and any number of conductors.

use crate::host::Host;
use base::{Clock, InstanceId, ProjectId, RequestId, SystemClock, Timestamp, UserId};
use compute_conductor::{Conductor, ConductorSettings};
use compute_model::assignment::Want;
use compute_model::quota::Amounts;
use compute_model::work;
use compute_store::Store;
use compute_store::evacuations::{NewEvacuation, evacuation_begin};
use compute_store::instance_actions::{InstanceActionEvent, NewAction, action_begin};
use compute_store::instance_changes::{instance_begin, instance_begin_delete};
use compute_store::instances::{Instance, instances_insert};
use compute_store::migration_list::MigrationQuery;
use compute_store::migrations::Migration;
use compute_store::quotas::usage_claim;
use compute_store::server_groups::{NewServerGroup, group_add};
use placement::Placement;
use platform_bus::{Bus, LocalBus, Subscription};
use platform_db::{Db, Dialect, Tx, args};
use platform_engine::{Engine, EngineSettings, NewOperation, WAKE};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

pub(crate) const PROJECT: &str = "p";
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct World {
    pub(crate) db: Db,
    pub(crate) store: Store,
    pub(crate) bus: LocalBus,
    stop: watch::Sender<bool>,
    _subscriptions: Vec<Subscription>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

/// No timeout of these passes in a test that does not want it.
pub(crate) fn settings() -> ConductorSettings {
    ConductorSettings { cpu_allocation_ratio: 1.0, ..ConductorSettings::default() }
}

/// A server of one processor and 512 MiB.
#[derive(Clone, Default)]
pub(crate) struct Server {
    pub(crate) group: Option<String>,
    pub(crate) zone: Option<String>,
    pub(crate) host: Option<String>,
    /// The host is forced.
    pub(crate) force: bool,
    /// `None`: any.
    pub(crate) id: Option<InstanceId>,
    /// Scheduler hints; null: none.
    pub(crate) hints: Value,
    /// What its images must be signed by.
    pub(crate) certificates: &'static [&'static str],
}

/// How a server is to be evacuated.
#[derive(Clone, Copy, Default)]
pub(crate) struct Evacuation {
    pub(crate) target: Option<&'static str>,
    pub(crate) force: bool,
    pub(crate) stop: bool,
}

impl World {
    pub(crate) fn new(db: &Db) -> Self {
        Self::with(db, settings())
    }

    pub(crate) fn with(db: &Db, settings: ConductorSettings) -> Self {
        let mut world = Self {
            db: db.clone(),
            store: Store::new(db.clone(), Arc::new(SystemClock)),
            bus: LocalBus::default(),
            stop: watch::Sender::new(false),
            _subscriptions: Vec::new(),
        };
        world.add_conductor(settings);
        world
    }

    /// A conductor with its own engine and its own view of the hosts.
    pub(crate) fn add_conductor(&mut self, settings: ConductorSettings) {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let bus: Arc<dyn Bus> = Arc::new(self.bus.clone());
        let placement = Placement::new(self.db.clone());
        let conductor = Conductor::new(self.store.clone(), placement, bus.clone(), clock.clone(), settings);
        self._subscriptions.extend(conductor.serve());
        tokio::spawn(conductor.clone().run(self.stop.subscribe()));
        let engine = EngineSettings {
            owner: InstanceId::random().to_string(),
            lease: Duration::from_secs(10),
            interval: Duration::from_millis(20),
            concurrency: 16,
        };
        let engine = Engine::new(self.db.clone(), bus, clock, engine, conductor.flows());
        tokio::spawn(engine.run(self.stop.subscribe()));
    }

    pub(crate) async fn host(&self, name: &str) -> Host {
        Host::register(&self.bus, name, 16).await
    }

    /// Takes a request for one server, as the API does.
    pub(crate) async fn create(&self, server: Server) -> InstanceId {
        let id = self.create_quietly(server).await;
        self.bus.hint(WAKE);
        id
    }

    pub(crate) async fn create_quietly(&self, server: Server) -> InstanceId {
        self.create_all_quietly([server]).await[0]
    }

    /// As one request for many.
    pub(crate) async fn create_all_quietly(&self, servers: impl IntoIterator<Item = Server>) -> Vec<InstanceId> {
        let mut ids = Vec::new();
        // of all, so that who looks for work finds all or none
        let now = SystemClock.now();
        let mut tx = self.db.begin().await.unwrap();
        for server in servers {
            let id = server.id.unwrap_or_else(InstanceId::random);
            let force = server.force;
            let row = self.row(id, server);
            let any = Amounts { instances: -1, cores: -1, ram: -1 };
            usage_claim(&mut tx, PROJECT, Amounts::of_server(1, 512), any).await.unwrap();
            instances_insert(&mut tx, vec![row]).await.unwrap();
            let action_id = action(&mut tx, id, "create").await;
            let data = json!(work::Build { action_id, force, ..work::Build::default() });
            self.enqueue(&mut tx, now, id, work::BUILD, work::first::BUILD, data).await;
            ids.push(id);
        }
        tx.commit().await.unwrap();
        ids
    }

    pub(crate) async fn delete(&self, id: InstanceId) {
        let now = SystemClock.now();
        let mut tx = self.db.begin().await.unwrap();
        platform_engine::supersede(&mut tx, now, &id.to_string()).await.unwrap();
        assert!(instance_begin_delete(&mut tx, id, now).await.unwrap());
        let action_id = action(&mut tx, id, "delete").await;
        self.enqueue(&mut tx, now, id, work::DELETE, work::first::DELETE, json!(work::Delete { action_id })).await;
        tx.commit().await.unwrap();
        self.bus.hint(WAKE);
    }

    /// Stops the server.
    pub(crate) async fn stop(&self, id: InstanceId) {
        self.power(id, "stop", "powering-off", Want::Stop { grace_secs: 0 }, "stopped").await;
    }

    pub(crate) async fn reboot(&self, id: InstanceId) {
        self.power(id, "reboot", "rebooting", Want::Reboot { hard: false, grace_secs: 0 }, "active").await;
    }

    async fn power(&self, id: InstanceId, what: &str, task: &str, want: Want, done: &str) {
        let server = self.server(id).await;
        let mut tx = self.db.begin().await.unwrap();
        assert!(instance_begin(&mut tx, &server, task, SystemClock.now()).await.unwrap());
        let data = work::Power {
            action_id: action(&mut tx, id, what).await,
            event: format!("compute_{what}_instance"),
            want,
            done: done.into(),
            failed: server.vm_state.clone(),
        };
        self.enqueue(&mut tx, SystemClock.now(), id, work::POWER, work::first::POWER, json!(data)).await;
        tx.commit().await.unwrap();
        self.bus.hint(WAKE);
    }

    /// Begins the evacuation of a server from its host, as the API does.
    pub(crate) async fn evacuate(&self, id: InstanceId, how: Evacuation) {
        let server = self.server(id).await;
        let evacuation = NewEvacuation {
            server: &server,
            target: how.target,
            force: how.force,
            stop: how.stop,
            admin_pass: Some("new"),
            request_id: &RequestId::fresh(),
            project_id: &ProjectId("admins".into()),
            user_id: &UserId("root".into()),
            asked_by: "by a test",
        };
        let mut tx = self.db.begin().await.unwrap();
        assert!(evacuation_begin(&mut tx, SystemClock.now(), evacuation).await.unwrap());
        tx.commit().await.unwrap();
        self.bus.hint(WAKE);
    }

    /// The moves of a server, oldest first.
    pub(crate) async fn moves(&self, id: InstanceId) -> Vec<Migration> {
        let query = MigrationQuery { instance: Some(id.to_string()), ..MigrationQuery::default() };
        let mut moves = self.store.migration_list(&query).await.unwrap().unwrap();
        moves.reverse();
        moves
    }

    /// What is claimed is what servers that have a host take, and what evacuations have not given back.
    pub(crate) async fn sums_are_right(&self) {
        for sql in [
            "SELECT COUNT(*) FROM inventories WHERE used > capacity",
            "SELECT COUNT(*) FROM inventories i
             WHERE used <> COALESCE((SELECT CAST(SUM(a.used) AS BIGINT) FROM allocations a
                 WHERE a.provider_id = i.provider_id AND a.resource_class = i.resource_class), 0)",
            "SELECT COUNT(*) FROM consumers c WHERE NOT EXISTS (SELECT 1 FROM allocations a WHERE a.consumer_id = c.id)",
            // a server's claim is on its own host and nowhere else
            "SELECT COUNT(*) FROM instances s WHERE deleted_at IS NULL AND host IS NOT NULL AND 2 <>
                (SELECT COUNT(*) FROM allocations a JOIN hypervisors h ON h.uuid = a.provider_id
                 WHERE a.consumer_id = s.uuid AND h.host = s.host)",
            // an old place is claimed as long as the server lives and its old host may have it
            "SELECT COUNT(*) FROM compute_migrations m JOIN instances s ON s.uuid = m.instance
             WHERE CASE WHEN m.source_open AND s.deleted_at IS NULL THEN 2 ELSE 0 END <>
                (SELECT COUNT(*) FROM allocations a JOIN hypervisors h ON h.uuid = a.provider_id
                 WHERE a.consumer_id = m.uuid AND h.host = m.source_compute)",
        ] {
            assert_eq!(self.count(sql).await, 0, "{sql}");
        }
        let claims = self.count("SELECT COUNT(*) FROM allocations").await;
        let servers = self.count("SELECT COUNT(*) FROM instances WHERE deleted_at IS NULL AND host IS NOT NULL").await;
        let open = self
            .count(
                "SELECT COUNT(*) FROM compute_migrations m JOIN instances s ON s.uuid = m.instance
                 WHERE m.source_open AND s.deleted_at IS NULL",
            )
            .await;
        assert_eq!(claims, 2 * (servers + open), "VCPU and MEMORY_MB of each");
    }

    async fn enqueue(
        &self,
        tx: &mut Tx,
        now: Timestamp,
        id: InstanceId,
        kind: &'static str,
        step: &'static str,
        data: Value,
    ) {
        let operation = NewOperation {
            kind,
            subject: id.to_string(),
            project_id: Some(ProjectId(PROJECT.into())),
            request_id: None,
            step,
            data,
            deadline: now.plus(Duration::from_secs(300)),
        };
        platform_engine::enqueue(tx, now, operation).await.unwrap();
    }

    pub(crate) async fn group(&self, policy: &str, rules: &BTreeMap<String, i64>) -> String {
        let (project, user) = (ProjectId(PROJECT.into()), UserId("u".into()));
        let group = NewServerGroup { project_id: &project, user_id: &user, name: "g", policy, rules };
        let mut tx = self.db.begin().await.unwrap();
        let group = group_add(&mut tx, SystemClock.now(), &group, -1).await.unwrap().unwrap();
        tx.commit().await.unwrap();
        group.uuid
    }

    pub(crate) async fn server(&self, id: InstanceId) -> Instance {
        self.store.instance_fetch(id).await.unwrap().unwrap()
    }

    /// Waits until the server is nobody's business any more and stands at `vm_state`.
    pub(crate) async fn settled(&self, id: InstanceId, vm_state: &str) -> Instance {
        self.until(&format!("{id} to be {vm_state}"), async || {
            let s = self.server(id).await;
            (s.vm_state == vm_state && s.task_state.is_none()).then_some(s)
        })
        .await
    }

    /// Waits until `look` sees something.
    pub(crate) async fn until<T>(&self, what: &str, look: impl AsyncFn() -> Option<T>) -> T {
        let looking = async {
            loop {
                if let Some(seen) = look().await {
                    return seen;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        match tokio::time::timeout(PATIENCE, looking).await {
            Ok(seen) => seen,
            Err(_) => panic!("waited in vain for {what}; operations: {:#?}", self.operations().await),
        }
    }

    /// Kind, step, what it waits for, and when; the end of its lease, its fence, and what time it is.
    async fn operations(&self) -> Vec<(String, String, Option<String>, i64, i64, i64, i64)> {
        let sql = "SELECT kind, step, waiting_for, wake_at, lease_until, fence, CAST($1 AS BIGINT) FROM operations
                   WHERE state = 'running' LIMIT 10";
        self.db.fetch_all(sql, args![SystemClock.now()]).await.unwrap()
    }

    /// States of all operations about a server, oldest first.
    pub(crate) async fn operation_states(&self, id: InstanceId) -> Vec<String> {
        let sql = "SELECT state FROM operations WHERE subject = $1 ORDER BY created_at";
        let rows: Vec<(String,)> = self.db.fetch_all(sql, args![id]).await.unwrap();
        rows.into_iter().map(|(s,)| s).collect()
    }

    /// The newest action: is it finished, its message, and its events with the oldest first.
    pub(crate) async fn newest_action(&self, id: InstanceId) -> (bool, Option<String>, Vec<InstanceActionEvent>) {
        let action = self.store.actions_list(id).await.unwrap().remove(0);
        let mut events = self.store.action_events(action.id).await.unwrap();
        events.sort_by_key(|e| e.id);
        (action.finished_at.is_some(), action.message, events)
    }

    /// Processors claimed on each host that has some claimed.
    pub(crate) async fn claimed(&self) -> BTreeMap<String, i64> {
        let sql = "SELECT h.host, i.used FROM inventories i JOIN hypervisors h ON h.uuid = i.provider_id
                   WHERE i.resource_class = 'VCPU' AND i.used > 0";
        let rows: Vec<(String, i64)> = self.db.fetch_all(sql, args![]).await.unwrap();
        rows.into_iter().collect()
    }

    pub(crate) async fn quota(&self) -> Amounts {
        self.store.quota_usage(PROJECT).await.unwrap()
    }

    pub(crate) async fn failed_builds(&self, host: &str) -> i64 {
        self.store.host_find(host).await.unwrap().unwrap().failed_builds
    }

    pub(crate) async fn count(&self, sql: &str) -> i64 {
        let (n,): (i64,) = self.db.fetch_one(platform_db::built(sql.to_owned()), args![]).await.unwrap();
        n
    }

    /// PostgreSQL ends one of two transactions that wait for each other; each such end costs a second.
    pub(crate) async fn no_deadlocks(&self) {
        if self.db.dialect() == Dialect::Postgres {
            let sql = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
            assert_eq!(self.count(sql).await, 0, "transactions took rows in different orders");
        }
    }

    pub(crate) async fn force_down(&self, host: &str, down: bool) {
        self.change("UPDATE compute_services SET forced_down = $2 WHERE host = $1", host, down).await;
    }

    pub(crate) async fn disable(&self, host: &str) {
        let sql = "UPDATE compute_services SET disabled = $2, disabled_reason = 'new disks' WHERE host = $1";
        self.change(sql, host, true).await;
    }

    async fn change(&self, sql: &'static str, host: &str, value: bool) {
        let mut tx = self.db.begin().await.unwrap();
        assert_eq!(tx.execute(sql, args![host, value]).await.unwrap(), 1);
        tx.commit().await.unwrap();
    }

    fn row(&self, id: InstanceId, server: Server) -> Instance {
        let flavor = json!({"flavor_id": "f", "name": "m1.f", "vcpus": 1, "ram": 512, "root_disk": 0,
                            "ephemeral_disk": 0, "swap": 0});
        let now = SystemClock.now();
        Instance {
            uuid: id.to_string(),
            project_id: PROJECT.into(),
            user_id: "u".into(),
            name: "s".into(),
            description: None,
            hostname: "s".into(),
            host: None,
            node: None,
            vm_state: "building".into(),
            task_state: Some("scheduling".into()),
            power_state: 0,
            progress: 0,
            vcpus: 1,
            ram_mib: 512,
            disk_gib: 0,
            flavor_id: "f".into(),
            flavor: flavor.to_string(),
            image: None,
            image_id: None,
            key_name: None,
            keypair: None,
            user_data: None,
            metadata: "{}".into(),
            system_metadata: "{}".into(),
            tags: "[]".into(),
            files: "[]".into(),
            config_drive: false,
            admin_pass: Some("as made".into()),
            availability_zone: None,
            pinned_availability_zone: server.zone,
            requested_host: server.host,
            requested_node: None,
            scheduler_hints: if server.hints.is_null() { "{}".into() } else { server.hints.to_string() },
            server_group: server.group,
            launch_index: 0,
            reservation_id: "r-1".into(),
            root_device_name: None,
            access_ip_v4: None,
            access_ip_v6: None,
            disk_config: "MANUAL".into(),
            trusted_certificates: (!server.certificates.is_empty()).then(|| json!(server.certificates).to_string()),
            locked_by: None,
            locked_reason: None,
            fault: None,
            created_at: now.0,
            updated_at: now.0,
            launched_at: None,
            terminated_at: None,
            deleted_at: None,
        }
    }
}

async fn action(tx: &mut Tx, id: InstanceId, action: &str) -> i64 {
    let (project_id, user_id, request_id) = (ProjectId(PROJECT.into()), UserId("u".into()), RequestId::fresh());
    let new = NewAction { instance: id, action, request_id: &request_id, project_id: &project_id, user_id: &user_id };
    action_begin(tx, SystemClock.now(), new).await.unwrap()
}

/// A server's fault.
pub(crate) fn fault(server: &Instance) -> (String, String) {
    let fault: Value = serde_json::from_str(server.fault.as_deref().expect("a fault")).unwrap();
    let text = |key: &str| fault[key].as_str().unwrap().to_owned();
    (text("message"), text("details"))
}
