//! What nodes say that they have cached.

use crate::{START, bare, created, request, store};
use base::{ImageId, Timestamp};
use image_model::Registry;
use platform_db::testing::on_each_engine;

#[tokio::test]
async fn each_node_tells_its_own_and_the_silent_are_forgotten() {
    on_each_engine(|db| async move {
        let store = store(db);
        let (a, b) = (created(&store, "p1", bare(), 0).await.id, created(&store, "p1", bare(), 1).await.id);
        let ever = Timestamp(0);
        let set = |node: &str, images: &[ImageId], silent_since: Timestamp| {
            store.cached_set(node.to_owned(), images.to_vec(), silent_since)
        };
        let nodes = |image: ImageId, since: Timestamp| store.cached_nodes(image, since);
        set("http://two", &[a], ever).await.unwrap();
        // what is no image, or twice there, is no reason to lose the others
        set("http://one", &[a, ImageId::random(), b, b], ever).await.unwrap();
        assert_eq!(nodes(a, ever).await.unwrap(), ["http://one", "http://two"]);
        assert_eq!(nodes(b, ever).await.unwrap(), ["http://one"]);
        // all that a node has is what it said last
        set("http://one", &[b], ever).await.unwrap();
        assert_eq!(nodes(a, ever).await.unwrap(), ["http://two"]);
        let many: Vec<ImageId> = (0..1200).map(|_| ImageId::random()).chain([a]).collect();
        set("http://one", &many, ever).await.unwrap();
        assert_eq!(nodes(a, ever).await.unwrap(), ["http://one", "http://two"]);
        // who has said nothing for long has nothing
        let later = Timestamp(START + 3_600_000_000);
        assert_eq!(nodes(a, later).await.unwrap(), [""; 0]);
        set("http://one", &[], later).await.unwrap();
        assert_eq!(nodes(a, ever).await.unwrap(), [""; 0], "the other one is forgotten");
        set("http://one", &[b], ever).await.unwrap();
        store.image_delete(b, request()).await.unwrap();
        set("http://one", &[b], ever).await.unwrap();
        assert_eq!(nodes(b, ever).await.unwrap(), [""; 0], "a deleted image is cached nowhere");
    })
    .await;
}
