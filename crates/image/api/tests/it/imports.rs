//! Imports by each method, and what is left when they fail: nothing.

use crate::cloud::{ADMIN, ALICE, ALICES_READER, BOB, Cloud, id_of};
use crate::web::{DATA, Web};
use axum::body::Body;
use http::Request;
use image_api::{FetchSettings, ImportSettings, Pace, Staging, UrlFilter, tend, work};
use image_backends::FileBackend;
use image_model::{Limits, MethodName, Registry, Staged};
use platform_http::ProjectLimits;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

const PATIENCE: Duration = Duration::from_secs(20);

/// A cloud with everything on, whose fetches are in a hurry.
pub(crate) struct Site {
    pub(crate) cloud: Cloud,
    _stop: watch::Sender<bool>,
}

pub(crate) fn settings() -> ImportSettings {
    ImportSettings { methods: MethodName::ALL.to_vec(), fetch: fetch(), ..ImportSettings::default() }
}

pub(crate) fn fetch() -> FetchSettings {
    FetchSettings {
        filter: UrlFilter { allowed_ports: Vec::new(), ..UrlFilter::default() },
        allowed_networks: vec!["127.0.0.1".parse().unwrap()],
        pace: Pace {
            connect: Duration::from_millis(500),
            idle: Duration::from_millis(500),
            window_bytes: 4096,
            window: Duration::from_millis(300),
            resumes: 3,
            before_resume: Duration::from_millis(1),
        },
        ..FetchSettings::default()
    }
}

impl Site {
    pub(crate) async fn start() -> Self {
        Self::with(Limits::default(), settings(), None).await
    }

    /// `staging_most`: bytes that may be staged.
    pub(crate) async fn with(limits: Limits, settings: ImportSettings, staging_most: Option<u64>) -> Self {
        Self::open(limits, None, settings, staging_most).await
    }

    /// `unified` says what projects may have.
    pub(crate) async fn limited(unified: Arc<dyn ProjectLimits>, settings: ImportSettings) -> Self {
        Self::open(Limits::default(), Some(unified), settings, None).await
    }

    async fn open(
        limits: Limits,
        unified: Option<Arc<dyn ProjectLimits>>,
        mut settings: ImportSettings,
        staging_most: Option<u64>,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let backend = FileBackend::open(dir.path().join("staging"), 0).unwrap();
        settings.staging = Some(Staging::open(Arc::new(backend), "here", staging_most).await.unwrap());
        let cloud = Cloud::on_a_bus(dir, limits, unified, settings).await;
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(work(cloud.glance.clone(), true, stopped));
        Self { cloud, _stop: stop }
    }

    pub(crate) fn staged(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.staging_dir()).unwrap();
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).filter(|n| n != ".lock").collect()
    }
    fn staging_dir(&self) -> PathBuf {
        self.cloud.dir.path().join("staging")
    }

    pub(crate) async fn stage(&self, token: &str, image: &str, body: impl Into<Body>) -> crate::cloud::Answer {
        let request = Request::put(format!("/image{image}/stage"))
            .header("x-auth-token", token)
            .header("content-type", "application/octet-stream")
            .body(body.into())
            .unwrap();
        self.cloud.ask(request).await
    }

    pub(crate) async fn import(&self, token: &str, image: &str, body: Value) -> crate::cloud::Answer {
        self.cloud.post(token, &format!("{image}/import"), body).await
    }

    /// The image's newest task, once it has ended.
    pub(crate) async fn ended(&self, image: &str) -> Value {
        let started = Instant::now();
        loop {
            let tasks = self.cloud.get(ADMIN, &format!("{image}/tasks")).await.expect(200).json();
            let task = tasks["tasks"].as_array().unwrap().last().cloned().unwrap_or_default();
            if task["status"] == "success" || task["status"] == "failure" {
                return task;
            }
            assert!(started.elapsed() < PATIENCE, "{task}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn until(&self, what: &str, mut holds: impl AsyncFnMut(&Self) -> bool) {
        let started = Instant::now();
        while !holds(self).await {
            assert!(started.elapsed() < PATIENCE, "never: {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// A `web-download` that succeeds or fails; the message.
    pub(crate) async fn download(&self, url: &str) -> Result<String, String> {
        let image = self.cloud.bare(ALICE).await;
        let asked = self.import(ALICE, &image, json!({"method": {"name": "web-download", "uri": url}})).await;
        if asked.status != 202 {
            assert_eq!(asked.status, 400, "{url}: {}", asked.text());
            return Err(asked.text());
        }
        let task = self.ended(&image).await;
        let message = task["message"].as_str().unwrap().to_owned();
        if task["status"] == "success" {
            return Ok(image);
        }
        self.is_as_before(&image).await;
        Err(message)
    }

    pub(crate) async fn is_queued(&self, image: &str) {
        self.until("the image is queued", async |s| s.cloud.status(image).await == "queued").await;
        self.until("nothing of it is staged", async |s| {
            let id = id_of(image).to_string();
            !s.staged().iter().any(|name| name.contains(&id))
        })
        .await;
    }

    /// Nothing is left of a failed import.
    pub(crate) async fn is_as_before(&self, image: &str) {
        let shown = self.cloud.get(ADMIN, image).await.expect(200).json();
        assert_eq!((&shown["status"], &shown["size"]), (&json!("queued"), &json!(null)), "{shown}");
        assert_eq!(shown["os_glance_importing_to_stores"], "");
        assert_eq!(shown.get("os_glance_import_task"), None);
        assert!(self.staged().is_empty(), "{:?}", self.staged());
        let id = id_of(image).to_string();
        self.until("nothing stored", async |s| !s.cloud.files().iter().any(|f| f.contains(&id))).await;
    }
}

#[tokio::test]
async fn from_the_staging_area() {
    let site = Site::start().await;
    let image = site.cloud.bare(ALICE).await;
    let created = site.cloud.post(ALICE, "/v2/images", json!({})).await.expect(201);
    assert_eq!(
        created.header("openstack-image-import-methods"),
        "glance-direct,web-download,copy-image,glance-download"
    );
    let info = site.cloud.get(ALICE, "/v2/info/import").await.expect(200).json();
    assert_eq!(
        info["import-methods"]["value"],
        json!(["glance-direct", "web-download", "copy-image", "glance-download"])
    );

    site.import(ALICE, &image, json!({"method": {"name": "glance-direct"}})).await.refuses(409, "needs to be staged");
    site.stage(ALICE, &image, DATA).await.expect(204);
    let shown = site.cloud.get(ALICE, &image).await.expect(200).json();
    assert_eq!((&shown["status"], &shown["size"]), (&json!("uploading"), &json!(DATA.len())));
    assert_eq!(site.staged().len(), 1);
    site.stage(ALICE, &image, DATA).await.refuses(409, "transition from uploading to uploading is not allowed");
    site.cloud.upload(ALICE, &image, DATA).await.expect(409);
    site.import(ALICE, &image, json!({"method": {"name": "web-download", "uri": "http://x/"}})).await.expect(409);
    let asked = site.import(ALICE, &image, json!({"method": {"name": "glance-direct"}})).await.expect(202);
    let task = site.ended(&image).await;
    assert_eq!(task["status"], "success", "{task}");
    assert_eq!(task["request_id"], asked.header("x-openstack-request-id"));
    assert_eq!(task["input"]["import_req"]["method"]["name"], "glance-direct");
    assert_eq!(task["input"]["backend"], json!(["main"]));
    let shown = site.cloud.get(ALICE, &image).await.expect(200).json();
    assert_eq!((&shown["status"], &shown["size"]), (&json!("active"), &json!(DATA.len())));
    assert_eq!((&shown["os_glance_importing_to_stores"], &shown["os_glance_failed_import"]), (&json!(""), &json!("")));
    assert_eq!(site.cloud.get(ALICE, &format!("{image}/file")).await.expect(200).bytes.unwrap(), DATA);
    site.until("nothing is staged", async |s| s.staged().is_empty()).await;
    site.import(ALICE, &image, json!({"method": {"name": "glance-direct"}})).await.refuses(409, "with status active");
}

#[tokio::test]
async fn from_the_web_to_several_stores_in_one_pass() {
    let site = Site::start().await;
    let web = Web::start("127.0.0.1").await;
    let image = site.cloud.bare(ALICE).await;
    let method = json!({"name": "web-download", "uri": web.url("/image")});
    let body = json!({"method": method, "stores": ["spare", "main"]});
    site.import(ALICE, &image, body).await.expect(202);
    assert_eq!(site.ended(&image).await["status"], "success");
    let shown = site.cloud.get(ALICE, &image).await.expect(200).json();
    assert_eq!((&shown["status"], &shown["stores"]), (&json!("active"), &json!("spare,main")));
    assert_eq!(web.heads().len(), 1, "read once");
    assert_eq!((site.cloud.files().len(), site.cloud.spare.keys().len()), (1, 1));
    let through = site.download(&web.url("/to//image")).await.unwrap();
    assert_eq!(site.cloud.get(ALICE, &format!("{through}/file")).await.expect(200).bytes.unwrap(), DATA);
    site.download(&web.url("/until-closed")).await.unwrap();
}

/// The store `web` takes nothing.
#[tokio::test]
async fn a_store_that_fails() {
    let site = Site::start().await;
    let web = Web::start("127.0.0.1").await;
    let method = json!({"name": "web-download", "uri": web.url("/image")});
    let image = site.cloud.bare(ALICE).await;
    let body = json!({"method": method, "stores": ["main", "web"]});
    site.import(ALICE, &image, body.clone()).await.expect(202);
    let task = site.ended(&image).await;
    assert_eq!(task["status"], "failure", "{task}");
    site.is_as_before(&image).await;
    assert_eq!(site.cloud.get(ALICE, &image).await.json()["os_glance_failed_import"], "web");

    let mut body = body;
    body["all_stores_must_succeed"] = json!(false);
    site.import(ALICE, &image, body).await.expect(202);
    assert_eq!(site.ended(&image).await["status"], "success");
    let shown = site.cloud.get(ALICE, &image).await.expect(200).json();
    assert_eq!((&shown["status"], &shown["stores"]), (&json!("active"), &json!("main")));
    assert_eq!(
        (&shown["os_glance_failed_import"], &shown["os_glance_importing_to_stores"]),
        (&json!("web"), &json!(""))
    );
}

#[tokio::test]
async fn copies() {
    let site = Site::start().await;
    let image = site.cloud.bare(ALICE).await;
    let copy = |body: Value| {
        let mut body = body;
        body["method"] = json!({"name": "copy-image"});
        body
    };
    site.import(ADMIN, &image, copy(json!({"stores": ["spare"]}))).await.refuses(409, "Only images with status active");
    site.cloud.upload(ALICE, &image, DATA).await.expect(204);
    site.import(ALICE, &image, copy(json!({"stores": ["spare"]}))).await.refuses(403, "copy_image");
    site.import(ADMIN, &image, copy(json!({"stores": ["main"]}))).await.refuses(400, "already present at store");
    site.import(ADMIN, &image, copy(json!({"stores": ["no"]}))).await.refuses(409, "identifier no not found");
    site.import(ADMIN, &image, copy(json!({"all_stores": true}))).await.expect(202);
    assert_eq!(site.ended(&image).await["status"], "success");
    let shown = site.cloud.get(ALICE, &image).await.expect(200).json();
    assert_eq!((&shown["status"], &shown["stores"]), (&json!("active"), &json!("main,spare")));
    site.import(ADMIN, &image, copy(json!({"all_stores": true}))).await.expect(202);
    let tasks = site.cloud.get(ALICE, &format!("{image}/tasks")).await.expect(200).json();
    assert_eq!(tasks["tasks"].as_array().unwrap().len(), 0, "an admin's task is not shown to others");

    // a copy of damaged data is none
    let damaged = site.cloud.bare(ALICE).await;
    site.cloud.upload(ALICE, &damaged, DATA).await.expect(204);
    let file = site.cloud.files().into_iter().find(|f| f.contains(&id_of(&damaged).to_string())).unwrap();
    std::fs::write(site.cloud.image_dir().join(file), vec![b'x'; DATA.len()]).unwrap();
    site.import(ADMIN, &damaged, copy(json!({"stores": ["spare"]}))).await.expect(202);
    let task = site.ended(&damaged).await;
    assert_eq!(task["message"], "The data is not what its hash says.");
    let shown = site.cloud.get(ALICE, &damaged).await.expect(200).json();
    assert_eq!((&shown["status"], &shown["os_glance_failed_import"]), (&json!("active"), &json!("spare")));
    assert_eq!(site.cloud.spare.keys().len(), 1);
}

#[tokio::test]
async fn the_staging_area_is_bounded() {
    let limits = Limits { image_size_cap: 1000, ..Limits::default() };
    let site = Site::with(limits, settings(), Some(100)).await;
    let image = site.cloud.bare(ALICE).await;
    site.stage(ALICE, &image, vec![0; 1001]).await.refuses(413, "too large");
    site.is_as_before_staging(&image).await;
    site.stage(ALICE, &image, vec![0; 101]).await.refuses(413, "not enough space left in the staging area");
    site.is_as_before_staging(&image).await;
    // of a length that nobody knows
    let endless = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(bytes::Bytes::from_static(&[0; 30])));
    site.stage(ALICE, &image, Body::from_stream(endless)).await.refuses(413, "staging area");
    site.is_as_before_staging(&image).await;
    // a client that goes away
    let broken = futures_util::stream::iter([Ok(bytes::Bytes::from_static(b"x")), Err(std::io::Error::other("gone"))]);
    site.stage(ALICE, &image, Body::from_stream(broken)).await.refuses(400, "ended early");
    site.is_as_before_staging(&image).await;

    site.stage(ALICE, &image, vec![0; 60]).await.expect(204);
    let other = site.cloud.bare(ALICE).await;
    site.stage(ALICE, &other, vec![0; 60]).await.refuses(413, "staging area");
    site.cloud.delete(ALICE, &image).await.expect(204);
    let (_stop, stopped) = watch::channel(false);
    tokio::spawn(tend(site.cloud.glance.clone(), stopped));
    site.until("swept", async |s| s.staged().is_empty()).await;
    site.stage(ALICE, &other, vec![0; 60]).await.expect(204);
}

impl Site {
    async fn is_as_before_staging(&self, image: &str) {
        assert_eq!(self.cloud.status(image).await, "queued");
        assert!(self.staged().is_empty(), "{:?}", self.staged());
    }
}

#[tokio::test]
async fn who_may_and_what_is_asked() {
    let site = Site::start().await;
    let image = site.cloud.bare(ALICE).await;
    let web = json!({"method": {"name": "web-download", "uri": "http://example.org/x"}});
    site.stage(BOB, &image, DATA).await.expect(404);
    site.stage(ALICES_READER, &image, DATA).await.refuses(403, "modify_image");
    site.import(BOB, &image, web.clone()).await.expect(404);
    site.import(ALICES_READER, &image, web.clone()).await.refuses(403, "modify_image");
    site.import(ALICE, &image, json!({})).await.refuses(400, "Import request requires a ");
    site.import(ALICE, &image, json!({"method": {"name": "x"}})).await.refuses(400, "Unknown import method name ");
    let bad = json!({"method": {"name": "web-download", "uri": "file:///etc/passwd"}});
    site.import(ALICE, &image, bad).await.refuses(400, "does not pass filtering: file:///etc/passwd");
    let formless = site.cloud.create(ALICE, json!({})).await;
    site.import(ALICE, &formless, web).await.refuses(409, " needs to be set before import");
    let plain = Cloud::start().await;
    let image = plain.bare(ALICE).await;
    let put = plain.put(ALICE, &format!("{image}/stage"), json!({})).await;
    put.refuses(404, " method is not available at this site.");
}

/// What a process that was killed had begun, the next one finishes, or fails with the reason.
#[tokio::test]
async fn imports_of_dead_processes() {
    let dir = tempfile::tempdir().unwrap();
    let backend = Arc::new(FileBackend::open(dir.path().join("staging"), 0).unwrap());
    let mut settings = settings();
    settings.staging = Some(Staging::open(backend.clone(), "here", None).await.unwrap());
    let cloud = Cloud::importing(dir, Limits::default(), settings).await;
    let (stop, stopped) = watch::channel(false);
    let site = Site { cloud, _stop: stop };
    let (good, lost) = (site.cloud.bare(ALICE).await, site.cloud.bare(ALICE).await);
    for image in [&good, &lost] {
        site.stage(ALICE, image, DATA).await.expect(204);
        site.import(ALICE, image, json!({"method": {"name": "glance-direct"}})).await.expect(202);
        // somebody takes it up, and dies before he has done anything
        let claimed = site
            .cloud
            .registry
            .task_claim("here".into(), "dead".into(), base::Timestamp(i64::MAX - 1), base::Timestamp(i64::MAX))
            .await
            .unwrap();
        assert!(claimed.is_some());
        assert_eq!(site.cloud.status(image).await, "importing");
    }
    let file = site.staged().into_iter().find(|f| f.contains(&id_of(&lost).to_string())).unwrap();
    std::fs::remove_file(site.staging_dir().join(file)).unwrap();
    for image in [&good, &lost] {
        // its lease ends
        let id = site.cloud.get(ADMIN, image).await.json()["os_glance_import_task"].as_str().unwrap().to_owned();
        let task = image_model::TaskId(id);
        let past = base::Timestamp(0);
        assert!(site.cloud.registry.task_renew(task, "dead".into(), past, String::new()).await.unwrap());
    }
    tokio::spawn(work(site.cloud.glance.clone(), false, stopped));
    assert_eq!(site.ended(&good).await["status"], "success");
    assert_eq!(site.cloud.status(&good).await, "active");
    let task = site.ended(&lost).await;
    assert_eq!((&task["status"], &task["message"]), (&json!("failure"), &json!("The staged data is gone.")));
    site.until("nothing is staged", async |s| s.staged().is_empty()).await;
    site.is_as_before(&lost).await;
}

/// Another node's staged data is left to that node.
#[tokio::test]
async fn data_that_is_staged_elsewhere() {
    let site = Site::start().await;
    let image = site.cloud.bare(ALICE).await;
    let until = base::Timestamp(i64::MAX);
    let there = Staged { node: "there".into(), upload: "s1".into() };
    site.cloud.registry.stage_begin(id_of(&image), there, until, "req-1".into()).await.unwrap();
    site.cloud.registry.stage_finish(id_of(&image), "s1".into(), 4, until).await.unwrap().unwrap();
    site.import(ALICE, &image, json!({"method": {"name": "glance-direct"}})).await.expect(202);
    let web = Web::start("127.0.0.1").await;
    site.download(&web.url("/image")).await.unwrap();
    assert_eq!(site.cloud.status(&image).await, "importing", "it is not for this one to do");
    let tidied = site.cloud.registry.tasks_tidy("here".into(), until).await.unwrap();
    assert_eq!(tidied.failed, 1);
    let task = site.ended(&image).await;
    assert_eq!(task["message"], "The host that has the staged data is gone.");
    site.is_as_before(&image).await;
    let shown = site.cloud.get(ALICE, &format!("{image}/tasks")).await.text();
    assert!(!shown.contains("there\""), "no node is named to users: {shown}");
}

#[tokio::test]
async fn properties_of_the_operator() {
    let inject = [("os_note".to_owned(), "imported".to_owned()), ("os_glance_x".to_owned(), "no".to_owned())];
    let site = Site::with(Limits::default(), ImportSettings { inject: inject.into(), ..settings() }, None).await;
    let web = Web::start("127.0.0.1").await;
    for (token, want) in [(ALICE, json!("imported")), (ADMIN, json!(null))] {
        let image = site.cloud.bare(token).await;
        let body = json!({"method": {"name": "web-download", "uri": web.url("/image")}});
        site.import(token, &image, body).await.expect(202);
        assert_eq!(site.ended(&image).await["status"], "success");
        let shown = site.cloud.get(token, &image).await.json();
        assert_eq!((&shown["os_note"], &shown["os_glance_x"]), (&want, &json!(null)));
    }
}

#[tokio::test]
async fn the_tasks_api() {
    let site = Site::start().await;
    let web = Web::start("127.0.0.1").await;
    let tasks = "/v2/tasks";
    site.cloud.get(ALICE, tasks).await.refuses(403, "tasks_api_access");
    site.cloud.post(ALICE, tasks, json!({})).await.refuses(403, "tasks_api_access");
    let id = "36d4b546-64a2-4bb9-bdd0-ba676aa48f2c";
    site.cloud.get(ADMIN, &format!("{tasks}/{id}")).await.refuses(404, "was not found");
    site.cloud.delete(ADMIN, &format!("{tasks}/{id}")).await.refuses(405, "currently not permitted");
    let properties =
        json!({"name": "old way", "disk_format": "raw", "container_format": "bare", "os_distro": "debian"});
    let input = |from: &str| json!({"import_from": from, "import_from_format": "raw", "image_properties": properties});
    for (body, words) in [
        (json!({"input": {}}), "type' is required"),
        (json!({"type": "import"}), "input' is required"),
        (json!({"type": "export", "input": {}}), "is not one of"),
        (json!({"type": "import", "input": []}), "is not of type "),
        (json!({"type": "import", "input": {}}), "Input does not contain "),
        (json!({"type": "import", "input": input("file:///etc/passwd")}), "File based imports are not allowed"),
        (json!({"type": "import", "input": input("ftp://x/y")}), "The given uri is not valid"),
        (json!({"type": "import", "input": input("http://2130706433/y")}), "does not pass filtering"),
    ] {
        site.cloud.post(ADMIN, tasks, body).await.refuses(400, words);
    }
    let mut made = Vec::new();
    for path in ["/image", "/missing"] {
        let body = json!({"type": "import", "input": input(&web.url(path))});
        let created = site.cloud.post(ADMIN, tasks, body).await.expect(201);
        let task = created.json();
        assert_eq!(created.header("location"), format!("{tasks}/{}", task["id"].as_str().unwrap()));
        assert_eq!((&task["status"], &task["type"]), (&json!("pending"), &json!("import")));
        made.push(task["id"].as_str().unwrap().to_owned());
    }
    let mut ended = Vec::new();
    for id in &made {
        let path = format!("{tasks}/{id}");
        site.until("ended", async |s| s.cloud.get(ADMIN, &path).await.json()["expires_at"].is_string()).await;
        ended.push(site.cloud.get(ADMIN, &path).await.json());
    }
    assert_eq!((&ended[0]["status"], &ended[1]["status"]), (&json!("success"), &json!("failure")));
    let image = format!("/v2/images/{}", ended[0]["result"]["image_id"].as_str().unwrap());
    let shown = site.cloud.get(ADMIN, &image).await.expect(200).json();
    assert_eq!((&shown["status"], &shown["os_distro"]), (&json!("active"), &json!("debian")));
    assert!(ended[1]["message"].as_str().unwrap().contains("404"), "{}", ended[1]);
    let gone = ended[1]["image_id"].as_str().unwrap();
    site.cloud.get(ADMIN, &format!("/v2/images/{gone}")).await.expect(404);
    let list = site.cloud.get(ADMIN, "/v2/tasks?status=failure&limit=1").await.expect(200).json();
    assert_eq!(list["tasks"][0]["id"], json!(made[1]));
    assert_eq!((list["tasks"][0].get("input"), &list["first"]), (None, &json!("/v2/tasks?status=failure&limit=1")));
    let next = list["next"].as_str().unwrap();
    assert_eq!(site.cloud.get(ADMIN, next).await.expect(200).json()["tasks"], json!([]));
}

/// What the operator wants stored in one format is converted on the way in, however it comes.
#[tokio::test]
async fn disks_are_converted() {
    let convert_to = Some(image_model::DiskFormat::Qcow2);
    let site = Site::with(Limits::default(), ImportSettings { convert_to, ..settings() }, None).await;
    let web = Web::start("127.0.0.1").await;
    let staged = site.cloud.bare(ALICE).await;
    site.stage(ALICE, &staged, vec![7; 3 << 20]).await.expect(204);
    site.import(ALICE, &staged, json!({"method": {"name": "glance-direct"}})).await.expect(202);
    assert_eq!(site.ended(&staged).await["message"], "");
    let fetched = site.download(&web.url("/image")).await.unwrap();
    for (image, size) in [(&staged, 3 << 20), (&fetched, 512)] {
        let shown = site.cloud.get(ALICE, image).await.expect(200).json();
        assert_eq!((&shown["status"], &shown["disk_format"]), (&json!("active"), &json!("qcow2")), "{shown}");
        assert_eq!(shown["virtual_size"], json!(size));
        let stored = site.cloud.get(ALICE, &format!("{image}/file")).await.expect(200).bytes.unwrap();
        assert_eq!((&stored[..4], &shown["size"]), (&b"QFI\xfb"[..], &json!(stored.len())));
    }
    site.until("nothing is staged", async |s| s.staged().is_empty()).await;
    // what is not what it says is not converted
    let why = site.download(&web.url("/qcow2")).await.unwrap_err();
    assert!(why.contains("does not match"), "{why}");
    // and a kernel stays one
    let kernel = site.cloud.create(ALICE, json!({"disk_format": "aki", "container_format": "aki"})).await;
    let body = json!({"method": {"name": "web-download", "uri": web.url("/image")}});
    site.import(ALICE, &kernel, body).await.expect(202);
    assert_eq!(site.ended(&kernel).await["status"], "success");
    assert_eq!(site.cloud.get(ALICE, &kernel).await.json()["disk_format"], "aki");
}
