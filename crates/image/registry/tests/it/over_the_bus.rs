//! The registry somewhere else: the same answers, refusals included.

use crate::{bare, created, project, request, store};
use async_trait::async_trait;
use image_model::{
    BUS_SUBJECT, Carrier, ListQuery, Registry, RegistryCall, RegistryError, RegistryReply, Remote, Viewer,
};
use platform_bus::LocalBus;
use platform_db::testing::on_each_engine;
use std::time::Duration;

struct OverTheBus(LocalBus);

#[async_trait]
impl Carrier for OverTheBus {
    async fn carry(&self, call: RegistryCall) -> Result<RegistryReply, RegistryError> {
        let reply: Result<Result<RegistryReply, RegistryError>, _> =
            platform_bus::call(&self.0, BUS_SUBJECT, &call, Duration::from_secs(30)).await;
        reply.unwrap_or_else(|e| Err(RegistryError::Unavailable(e.to_string())))
    }
}

#[tokio::test]
async fn it_answers_there_as_here() {
    on_each_engine(|db| async move {
        let here = store(db);
        let bus = LocalBus::default();
        let there = Remote(OverTheBus(bus.clone()));
        let unserved = there.image_show(base::ImageId::random(), Viewer::cloud()).await;
        assert!(matches!(unserved, Err(RegistryError::Unavailable(_))), "{unserved:?}");
        let _served = image_registry::serve(&bus, here.clone());

        let image = created(&here, "p1", bare(), 0).await;
        assert_eq!(there.image_show(image.id, project("p1")).await, Ok(Some(image.clone())));
        assert_eq!(there.image_show(image.id, project("p2")).await, Ok(None));
        assert_eq!(there.image_create(image.clone(), request()).await, Err(RegistryError::Duplicate));
        assert_eq!(there.image_list(ListQuery::newest(5), project("p1")).await, Ok(vec![image.clone()]));
        assert!(there.image_delete(image.id, request()).await.unwrap().is_empty());
        assert_eq!(there.image_delete(image.id, request()).await, Err(RegistryError::NotFound(image.id)));
    })
    .await;
}
