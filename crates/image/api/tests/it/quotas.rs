//! Unified limits: what a project may have, asked for before it has it.

use crate::cloud::{ADMIN, ALICE, BOB, UNSCOPED};
use crate::imports::{Site, settings};
use crate::web::Web;
use async_trait::async_trait;
use base::ProjectId;
use platform_http::{Allowed, LimitsUnavailable, ProjectLimits};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// Alice's project's limits; all others may have what they like. `None`: identity is away.
#[derive(Default)]
struct Told(Mutex<Option<Allowed>>);

const NAMES: [&str; 4] = ["image_size_total", "image_stage_total", "image_count_total", "image_count_uploading"];

impl Told {
    /// In the order of [`NAMES`].
    fn tell(&self, limits: [i64; 4]) {
        let limits = NAMES.iter().zip(limits).map(|(name, limit)| ((*name).to_owned(), limit));
        *self.0.lock().unwrap() = Some(Allowed(limits.collect()));
    }
}

#[async_trait]
impl ProjectLimits for Told {
    async fn allowed(&self, service_type: &str, project: &ProjectId) -> Result<Arc<Allowed>, LimitsUnavailable> {
        assert_eq!(service_type, "image");
        if project.as_str() != "p1" {
            return Ok(Arc::new(Allowed(NAMES.iter().map(|name| ((*name).to_owned(), -1)).collect())));
        }
        let told = self.0.lock().unwrap().clone();
        told.map(Arc::new).ok_or_else(|| LimitsUnavailable("it is away".into()))
    }
}

async fn site() -> (Site, Arc<Told>) {
    let told = Arc::new(Told::default());
    (Site::limited(told.clone(), settings()).await, told)
}

const MIB: usize = 1 << 20;

fn over(resource: &str, limit: i64, usage: u64, delta: u64) -> String {
    format!(
        "Project p1 is over a limit for [Resource {resource} is over limit of {limit} due to current usage {usage} and \
         delta {delta}]"
    )
}

#[tokio::test]
async fn so_many_images() {
    let (site, told) = site().await;
    let wanted = json!({"name": "x"});
    site.cloud.post(ALICE, "/v2/images", wanted.clone()).await.refuses(503, "limits cannot be asked");
    told.tell([-1, -1, 1, -1]);
    let first = site.cloud.create(ALICE, wanted.clone()).await;
    let refused = site.cloud.post(ALICE, "/v2/images", wanted.clone()).await;
    refused.refuses(413, &over("image_count_total", 1, 1, 1));
    site.cloud.create(BOB, wanted.clone()).await;
    site.cloud.delete(ALICE, &first).await.expect(204);
    site.cloud.create(ALICE, wanted.clone()).await;
    *told.0.lock().unwrap() = Some(Allowed::default());
    // what is not registered is not allowed
    site.cloud.post(ALICE, "/v2/images", wanted).await.refuses(413, &over("image_count_total", 0, 1, 1));
}

#[tokio::test]
async fn uploads() {
    let (site, told) = site().await;
    told.tell([2, -1, -1, -1]);
    let image = site.cloud.bare(ALICE).await;
    let refused = site.cloud.upload(ALICE, &image, vec![0; 3 * MIB]).await;
    assert_eq!(refused.status, 204, "of a length that was not told, as Glance: {}", refused.text());
    let next = site.cloud.bare(ALICE).await;
    site.cloud.upload(ALICE, &next, vec![0; 10]).await.refuses(413, &over("image_size_total", 2, 3, 0));
    assert_eq!(site.cloud.status(&next).await, "queued");
    told.tell([4, -1, -1, 0]);
    site.cloud.upload(ALICE, &next, vec![0; 10]).await.refuses(413, &over("image_count_uploading", 0, 1, 0));
    assert_eq!(site.cloud.status(&next).await, "queued");
    assert_eq!(site.cloud.files().len(), 1);
    told.tell([4, -1, -1, 1]);
    site.cloud.upload(ALICE, &next, vec![0; 10]).await.expect(204);
}

#[tokio::test]
async fn staged_and_imported() {
    let (site, told) = site().await;
    told.tell([1, 1, -1, 1]);
    let (first, second) = (site.cloud.bare(ALICE).await, site.cloud.bare(ALICE).await);
    site.stage(ALICE, &first, vec![0; 2 * MIB]).await.expect(204);
    site.stage(ALICE, &second, vec![0; 10]).await.refuses(413, &over("image_stage_total", 1, 2, 0));
    told.tell([1, 3, -1, 1]);
    site.stage(ALICE, &second, vec![0; 10]).await.refuses(413, &over("image_count_uploading", 1, 2, 0));
    site.is_queued(&second).await;

    // it does not fit where it would be stored
    let direct = json!({"method": {"name": "glance-direct"}});
    site.import(ALICE, &first, direct.clone()).await.expect(202);
    let task = site.ended(&first).await;
    assert_eq!(task["status"], "failure", "{task}");
    assert!(task["message"].as_str().unwrap().ends_with(&over("image_size_total", 1, 0, 2)), "{task}");
    site.is_queued(&first).await;

    told.tell([2, 3, -1, 1]);
    site.stage(ALICE, &first, vec![0; 2 * MIB]).await.expect(204);
    site.import(ALICE, &first, direct.clone()).await.expect(202);
    assert_eq!(site.ended(&first).await["status"], "success");
    site.stage(ALICE, &second, vec![0; 10]).await.expect(204);
    told.tell([1, 3, -1, 1]);
    site.import(ALICE, &second, direct).await.refuses(413, &over("image_size_total", 1, 2, 0));
    assert_eq!(site.cloud.status(&second).await, "uploading");
}

#[tokio::test]
async fn what_the_web_has_counts_as_staged() {
    let (site, told) = site().await;
    let web = Web::start("127.0.0.1").await;
    told.tell([-1, 1, -1, 0]);
    let why = site.download(&web.url("/image")).await.unwrap_err();
    assert!(why.ends_with(&over("image_count_uploading", 0, 1, 0)), "{why}");
    told.tell([-1, 1, -1, 1]);
    site.download(&web.url("/image")).await.unwrap();
}

#[tokio::test]
async fn usage_is_shown() {
    let (site, told) = site().await;
    told.tell([5, 4, 3, -1]);
    let (first, second) = (site.cloud.bare(ALICE).await, site.cloud.bare(ALICE).await);
    site.cloud.upload(ALICE, &first, vec![0; MIB + 1]).await.expect(204);
    site.stage(ALICE, &second, vec![0; 3 * MIB - 1]).await.expect(204);
    let shown = site.cloud.get(ALICE, "/v2/info/usage").await.expect(200).json();
    let one = |usage: u64, limit: i64| json!({"usage": usage, "limit": limit});
    let expected = json!({"usage": {"image_size_total": one(1, 5), "image_stage_total": one(2, 4),
                                    "image_count_total": one(2, 3), "image_count_uploading": one(1, -1)}});
    assert_eq!(shown, expected);
    let others = site.cloud.get(ADMIN, "/v2/info/usage").await.expect(200).json();
    assert_eq!(others["usage"]["image_count_total"], one(0, -1));
    let nobodys: Value = site.cloud.get(UNSCOPED, "/v2/info/usage").await.expect(200).json();
    assert_eq!(nobodys, json!({"usage": {}}));
}
