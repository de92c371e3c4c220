//! From the request to the guest's first kernel line, against the same QEMU command started by hand.

use super::cloud::Cloud;
use super::{Setting, figure};
use anyhow::{Context, Result, bail};
use serde_json::json;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const ROUNDS: usize = 7;
const FIRST_LINE: &[u8] = b"Linux version ";

pub(crate) fn run(s: &Setting) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("skyiron-bench-").tempdir()?;
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711))?;
    let guest = folder.path().join("guest.qcow2");
    let built = Command::new(&s.binary).args(["guest", "build", "--output"]).arg(&guest).status()?;
    if !built.success() {
        bail!("the guest image does not build");
    }
    let cloud = Cloud::start(&s.binary, &folder.path().join("cloud"), &[], None)?;
    let record = json!({"name": "guest", "disk_format": "qcow2", "container_format": "bare"});
    let image = cloud.post("/image/v2/images", &record)?["id"].as_str().context("an id")?.to_owned();
    cloud.upload(&image, std::fs::File::open(&guest)?)?;
    let body = json!({"server": {"name": "b", "imageRef": image, "flavorRef": cloud.flavor("m1.tiny")?}});

    let (mut ours, mut by_hand) = (Vec::new(), Vec::new());
    // the first one fills the image cache and is not counted
    for round in 0..=ROUNDS {
        let started = Instant::now();
        let made = cloud.post("/compute/v2.1/servers", &body)?;
        let id = made["server"]["id"].as_str().context("an id")?;
        let instance = cloud.data.join("instances").join(id);
        let took = until_first_line(&instance.join("console.log"), started)?;
        let arguments = command_line(id)?;
        cloud.delete(&format!("/compute/v2.1/servers/{id}"))?;
        super::cloud::until(Duration::from_secs(30), "gone", || Ok(command_line(id).is_err()))?;
        let hand = hand_started(&arguments, &folder.path().join("by-hand"), &guest)?;
        if round > 0 {
            ours.push(took);
            by_hand.push(hand);
        }
    }
    ours.sort();
    by_hand.sort();
    let (a, b) = (ours[ROUNDS / 2], by_hand[ROUNDS / 2]);
    let more = a.saturating_sub(b);
    figure(
        "create to the guest's first kernel line, more than the same QEMU command by hand",
        &format!("{more:.0?} (median {a:.0?} against {b:.0?}, {ROUNDS} in turn)"),
        "at most 300 ms",
        more <= Duration::from_millis(300),
    );
    cloud.stop()
}

fn until_first_line(console: &Path, started: Instant) -> Result<Duration> {
    while started.elapsed() < Duration::from_secs(60) {
        let said = std::fs::read(console).unwrap_or_default();
        if said.windows(FIRST_LINE.len()).any(|w| w == FIRST_LINE) {
            return Ok(started.elapsed());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    bail!("no kernel line in {}", console.display())
}

/// What the guest's QEMU was started with.
fn command_line(id: &str) -> Result<Vec<String>> {
    for entry in std::fs::read_dir("/proc")? {
        let Ok(line) = std::fs::read(entry?.path().join("cmdline")) else { continue };
        let words: Vec<String> = line
            .split(|b| *b == 0)
            .map(|w| String::from_utf8_lossy(w).into_owned())
            .filter(|w| !w.is_empty())
            .collect();
        if words.first().is_some_and(|p| p.contains("qemu-system")) && words.iter().any(|w| w.contains(id)) {
            return Ok(words);
        }
    }
    bail!("no QEMU runs {id}")
}

/// What the driver hands over by number, in its order: the console's log, the cached image, the overlay.
const FILES: [&str; 3] = ["console.log", "base", "disk"];

/// The same command with the files opened by QEMU itself in a folder of our own, and without a monitor.
fn hand_started(arguments: &[String], own: &Path, guest: &Path) -> Result<Duration> {
    if own.exists() {
        std::fs::remove_dir_all(own)?;
    }
    std::fs::create_dir_all(own)?;
    std::fs::copy(guest, own.join("base"))?;
    let made = Command::new("qemu-img")
        .args(["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b"])
        .arg(guest)
        .arg(own.join("disk"))
        .arg("1G")
        .status()?;
    if !made.success() {
        bail!("qemu-img");
    }
    let mut words: Vec<String> = Vec::new();
    let mut left = arguments.iter();
    while let Some(word) = left.next() {
        let value_of_monitor = |v: &String| v.contains("id=monitor") || v.contains("chardev=monitor");
        match word.as_str() {
            "-add-fd" => drop(left.next()),
            "-chardev" | "-mon" => {
                let value = left.next().context("a value")?;
                if !value_of_monitor(value) {
                    words.extend([word.clone(), value.clone()]);
                }
            }
            _ => words.push(word.clone()),
        }
    }
    for word in &mut words {
        for (n, name) in FILES.iter().enumerate() {
            *word = word.replace(&format!("/dev/fdset/{}", n + 1), &own.join(name).display().to_string());
        }
    }
    let started = Instant::now();
    let mut qemu = Command::new(&words[0]).args(&words[1..]).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let took = until_first_line(&own.join(FILES[0]), started);
    qemu.kill()?;
    qemu.wait()?;
    took
}
