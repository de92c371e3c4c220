//! The conductor with a real database, placement and engine; its hosts are scripted.

mod build;
mod crowd;
mod delete;
mod evacuate;
mod groups;
mod host;
mod power;
mod recover;
mod register;
mod reports;
mod returned;
mod together;
mod world;

/// The doctor takes an operation of any other kind for one that nobody will ever take up.
#[tokio::test]
async fn every_kind_of_work_has_a_flow() {
    platform_db::testing::on_each_engine(|db| async move {
        let clock = std::sync::Arc::new(base::SystemClock);
        let store = compute_store::Store::new(db.clone(), clock.clone());
        let conductor = compute_conductor::Conductor::new(
            store,
            placement::Placement::new(db),
            std::sync::Arc::new(platform_bus::LocalBus::default()),
            clock,
            compute_conductor::ConductorSettings::default(),
        );
        let mut kinds: Vec<&str> = conductor.flows().iter().map(|f| f.kind()).collect();
        let mut all = compute_model::work::ALL.to_vec();
        kinds.sort_unstable();
        all.sort_unstable();
        assert_eq!(kinds, all);
    })
    .await;
}
