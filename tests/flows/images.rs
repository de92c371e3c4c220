//! `skyiron image`, as an operator uses it.

use anyhow::Result;
use serde_json::{Value, json};
use skyiron_tests::binary;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

fn image(folder: &Path, arguments: &[&str]) -> Result<Output> {
    Ok(Command::new(binary()).arg("image").args(arguments).current_dir(folder).output()?)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

/// Everything in the folder, hidden files too.
fn names(folder: &Path) -> Result<Vec<String>> {
    let names = std::fs::read_dir(folder)?.map(|e| Ok(e?.file_name().to_string_lossy().into_owned()));
    let mut names = names.collect::<Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

fn disk(folder: &Path, name: &str) -> Result<Vec<u8>> {
    let mut disk: Vec<u8> = (0..3u32 << 18).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    disk.resize(8 << 20, 0);
    std::fs::write(folder.join(name), &disk)?;
    Ok(disk)
}

#[test]
fn formats_are_listed() -> Result<()> {
    let list = image(Path::new("."), &["formats"])?;
    for name in ["raw", "qcow2", "vmdk", "vhd", "vhdx", "vdi", "ploop", "iso", "ami", "aki", "ari"] {
        assert!(said(&list).lines().any(|l| l.starts_with(&format!("{name} "))), "{name}: {}", said(&list));
    }
    Ok(())
}

#[test]
fn there_and_back_again() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let disk = disk(folder.path(), "disk.raw")?;
    for (name, options) in [
        ("plain", &["--to", "qcow2"][..]),
        ("zlib", &["--to", "qcow2", "--compress"]),
        ("zstd", &["--to", "qcow2", "--compress=zstd"]),
        ("vhd", &["--to", "vhd"]),
        ("vdi", &["--to", "vdi"]),
        ("vmdk", &["--to", "vmdk"]),
    ] {
        let made = image(folder.path(), &[&["convert", "disk.raw", name][..], options].concat())?;
        assert!(made.status.success(), "{name}: {}", said(&made));
        let looked = image(folder.path(), &["inspect", name, "--json", "--format", options[1]])?;
        let looked: Value = serde_json::from_slice(&looked.stdout)?;
        assert_eq!(looked["detected"], options[1]);
        assert_eq!((&looked["virtual_size"], &looked["accepted"]), (&json!(8 << 20), &json!(true)), "{looked}");
        let back = image(folder.path(), &["convert", name, "back", "--to", "raw", "--force"])?;
        assert!(back.status.success(), "{name}: {}", said(&back));
        assert!(std::fs::read(folder.path().join("back"))? == disk, "{name}: the disk differs");
    }
    assert_eq!(names(folder.path())?, ["back", "disk.raw", "plain", "vdi", "vhd", "vmdk", "zlib", "zstd"]);
    Ok(())
}

#[test]
fn what_would_be_refused_says_why_and_leaves_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let disk = disk(folder.path(), "disk.raw")?;
    image(folder.path(), &["convert", "disk.raw", "good.qcow2", "--to", "qcow2"])?;
    let mut bytes = std::fs::read(folder.path().join("good.qcow2"))?;
    bytes[15] = 112;
    std::fs::write(folder.path().join("backed.qcow2"), &bytes)?;
    bytes[15] = 0;
    bytes.truncate(1 << 20);
    std::fs::write(folder.path().join("cut.qcow2"), &bytes)?;
    let before = names(folder.path())?;

    let looked = image(folder.path(), &["inspect", "backed.qcow2"])?;
    assert_eq!(looked.status.code(), Some(1));
    assert!(said(&looked).contains("Image has a backing file"), "{}", said(&looked));
    let as_raw = image(folder.path(), &["inspect", "good.qcow2", "--format", "raw"])?;
    assert!(said(&as_raw).contains("does not match stream data qcow2"), "{}", said(&as_raw));

    for (arguments, why) in [
        (&["convert", "backed.qcow2", "out", "--to", "raw"][..], "Image has a backing file"),
        (&["convert", "backed.qcow2", "out", "--to", "raw", "--from", "qcow2"], "it has a backing file"),
        (&["convert", "cut.qcow2", "out", "--to", "raw"], "cut off"),
        (&["convert", "disk.raw", "good.qcow2", "--to", "qcow2"], "--force replaces it"),
        (&["convert", "disk.raw", "out", "--to", "vhdx"], "cannot be written"),
        (&["convert", "disk.raw", "out", "--to", "raw", "--compress"], "has no compression"),
        (&["convert", "disk.raw", "out", "--to", "raw", "--from", "luks"], "cannot be read"),
        (&["convert", "nowhere", "out", "--to", "raw"], "nowhere"),
        (&["convert", "disk.raw", "no/where", "--to", "raw"], "no"),
        (&["convert", "/dev/zero", "out", "--to", "raw"], "not a regular file"),
    ] {
        let refused = image(folder.path(), arguments)?;
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}: {}", said(&refused));
        assert!(said(&refused).contains(why), "{arguments:?}: {}", said(&refused));
        assert_eq!(names(folder.path())?, before, "{arguments:?}");
    }

    // raw bytes are raw bytes, if one says so
    let as_raw = image(folder.path(), &["convert", "good.qcow2", "inside.qcow2", "--to", "qcow2", "--from", "raw"])?;
    assert!(as_raw.status.success(), "{}", said(&as_raw));
    image(folder.path(), &["convert", "inside.qcow2", "again.qcow2", "--to", "raw"])?;
    image(folder.path(), &["convert", "again.qcow2", "back", "--to", "raw"])?;
    assert!(std::fs::read(folder.path().join("back"))? == disk);
    Ok(())
}

#[test]
fn told_to_stop_it_leaves_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    disk(folder.path(), "disk.raw")?;
    // much to do, little to hold: the same bytes again and again
    let file = std::fs::File::options().append(true).open(folder.path().join("disk.raw"))?;
    while file.metadata()?.len() < 600 << 20 {
        std::io::copy(&mut std::fs::File::open(binary())?, &mut &file)?;
    }
    let mut child = Command::new(binary())
        .args(["image", "convert", "disk.raw", "out", "--to", "qcow2", "--compress"])
        .current_dir(folder.path())
        .spawn()?;
    let deadline = Instant::now() + Duration::from_secs(20);
    while names(folder.path())?.len() < 2 {
        assert!(Instant::now() < deadline && child.try_wait()?.is_none(), "it never began");
        std::thread::sleep(Duration::from_millis(5));
    }
    let told = Command::new("kill").args(["-TERM", &child.id().to_string()]).status()?;
    assert!(told.success());
    let ended = child.wait()?;
    assert_eq!(ended.code(), Some(2));
    assert_eq!(names(folder.path())?, ["disk.raw"]);
    Ok(())
}
