//! The same uploads and downloads, by the same client and in turn, against this cloud's image service and another one.

use super::cloud::{Cloud, token};
use super::figure;
use super::glance::ImageService;
use anyhow::{Context, Result};
use clap::Args;
use std::time::{Duration, Instant};

const ROUNDS: usize = 3;

/// Another image service, to be measured in the same run: it stays as it was, but for images made and deleted.
#[derive(Args, Clone)]
pub(crate) struct Other {
    /// Another image service to race against, as in http://127.0.0.1:9292. Of `images` only.
    #[arg(long, value_name = "URL")]
    glance: Option<String>,
    /// A token that it takes; or else --auth-url, --username and --password.
    #[arg(long, requires = "glance")]
    token: Option<String>,
    /// Its identity service, as in http://127.0.0.1:5000/v3.
    #[arg(long, value_name = "URL", requires = "glance")]
    auth_url: Option<String>,
    #[arg(long, default_value = "admin")]
    username: String,
    #[arg(long, requires = "auth_url")]
    password: Option<String>,
    #[arg(long, default_value = "admin")]
    project: String,
    /// Its processes, whose processor time is counted with that of their children.
    #[arg(long, value_delimiter = ',', requires = "glance")]
    pids: Vec<u32>,
}

impl Other {
    /// `None`: nobody asked for a race.
    fn service(&self) -> Result<Option<ImageService>> {
        let Some(url) = &self.glance else { return Ok(None) };
        let http = reqwest::blocking::Client::builder().no_proxy().timeout(Duration::from_secs(600)).build()?;
        let token = match &self.token {
            Some(token) => token.clone(),
            None => {
                let auth_url = self.auth_url.as_deref().context("a token or an --auth-url")?;
                let password = self.password.as_deref().context("a --password")?;
                token(&http, auth_url, &self.username, password, &self.project)?
            }
        };
        ImageService::at(url, token, self.pids.clone(), http).map(Some)
    }
}

/// What one service took for all rounds of one way.
#[derive(Default)]
struct Taken {
    walls: Vec<Duration>,
    /// `None`: its processes are not known.
    processor: Option<f64>,
}

impl Taken {
    fn add(&mut self, service: &ImageService, work: impl FnOnce() -> Result<()>) -> Result<()> {
        let before = service.processor_seconds()?;
        let started = Instant::now();
        work()?;
        self.walls.push(started.elapsed());
        if let Some((before, after)) = before.zip(service.processor_seconds()?) {
            *self.processor.get_or_insert_default() += after - before;
        }
        Ok(())
    }

    fn median(&mut self) -> Duration {
        self.walls.sort();
        self.walls[self.walls.len() / 2]
    }

    #[expect(clippy::cast_precision_loss, reason = "a figure")]
    fn shown(&mut self, size: u64) -> String {
        let gib = size as f64 * ROUNDS as f64 / f64::from(1 << 30);
        let processor =
            self.processor.map(|p| format!(", {:.2} s of a processor per GiB", p / gib)).unwrap_or_default();
        format!("{:.2?}{processor}", self.median())
    }
}

/// Does nothing unless there is another one.
pub(super) fn run(cloud: &Cloud, other: &Other, piece: &[u8], size: u64) -> Result<()> {
    let Some(theirs) = other.service()? else { return Ok(()) };
    let services = [ImageService::of(cloud), theirs];
    let mut up = [Taken::default(), Taken::default()];
    let mut down = [Taken::default(), Taken::default()];
    for _ in 0..ROUNDS {
        for (n, service) in services.iter().enumerate() {
            let image = service.create()?;
            up[n].add(service, || service.upload(&image, piece, size))?;
            down[n].add(service, || service.download(&image, size))?;
            service.delete(&image)?;
        }
    }
    for (way, [ours, theirs]) in [("upload", &mut up), ("download", &mut down)] {
        let ratio = theirs.median().as_secs_f64() / ours.median().as_secs_f64();
        let mut shown = format!("{ratio:.2} x as fast ({}; the other: {}", ours.shown(size), theirs.shown(size));
        if let Some((ours, theirs)) = ours.processor.zip(theirs.processor) {
            shown += &format!("; {:.2} x its processor time", ours / theirs);
        }
        let what = format!("{way} of {} MiB against the other image service, median of {ROUNDS}", size >> 20);
        figure(&what, &format!("{shown})"), "faster", ratio > 1.0);
    }
    Ok(())
}
