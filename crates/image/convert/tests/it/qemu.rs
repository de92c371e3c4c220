//! What qemu-img makes is read as qemu-img reads it, and what is made here satisfies qemu-img.

use super::{MIB, disk, limits, run};
use image_convert::{Compression, Format, Target};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const SIZE: u64 = 20 * MIB + 1536;

/// `None`, with the reason on stderr, where there is no qemu-img.
fn workshop() -> Option<Workshop> {
    if Command::new("qemu-img").arg("--version").output().is_err() {
        eprintln!("skipped: there is no qemu-img");
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("disk.raw"), disk(SIZE)).unwrap();
    Some(Workshop(dir))
}

struct Workshop(tempfile::TempDir);

impl Workshop {
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn qemu(&self, program: &str, args: &[&str]) -> Output {
        Command::new(program).args(args).current_dir(self.0.path()).output().unwrap()
    }

    #[track_caller]
    fn qemu_img(&self, args: &[&str]) {
        let out = self.qemu("qemu-img", args);
        assert!(out.status.success(), "qemu-img {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    }

    /// Converts `name` to every target, and each must hold the disk that qemu-img finds in `name`.
    #[track_caller]
    fn agree(&self, name: &str, qemu_format: &str, from: Format) {
        self.qemu_img(&["convert", "-f", qemu_format, "-O", "raw", name, "theirs.raw"]);
        let theirs = std::fs::read(self.path("theirs.raw")).unwrap();
        for (to, ours, qemu_target) in TARGETS {
            let target =
                File::options().create(true).read(true).write(true).truncate(true).open(self.path(ours)).unwrap();
            let source = File::open(self.path(name)).unwrap();
            let made = run(&source, from, &target, to, &limits()).unwrap_or_else(|e| panic!("{name} to {ours}: {e}"));
            assert_eq!(made.bytes, target.metadata().unwrap().len(), "{name} to {ours}");
            assert_eq!(made.virtual_size, theirs.len() as u64, "{name} to {ours}");
            if to == Target::Raw {
                assert!(std::fs::read(self.path(ours)).unwrap() == theirs, "{name}: the disk differs");
                continue;
            }
            self.qemu_img(&["compare", "-f", "raw", "-F", qemu_target, "theirs.raw", ours]);
            if to != Target::Vhd {
                self.clean(ours, qemu_target);
            }
            // and read again by ourselves
            let again = super::to_raw(&target, to.format()).unwrap();
            assert!(again == theirs, "{name} to {ours} and back: the disk differs");
        }
    }

    #[track_caller]
    fn clean(&self, name: &str, format: &str) {
        let out = self.qemu("qemu-img", &["check", "-f", format, name]);
        let said = String::from_utf8_lossy(&out.stdout);
        assert!(out.status.success() && said.contains("No errors"), "{name}: {said}{out:?}");
    }
}

const TARGETS: [(Target, &str, &str); 7] = [
    (Target::Raw, "ours.raw", "raw"),
    (Target::Qcow2(None), "ours.qcow2", "qcow2"),
    (Target::Qcow2(Some(Compression::Zlib)), "ours-zlib.qcow2", "qcow2"),
    (Target::Qcow2(Some(Compression::Zstd)), "ours-zstd.qcow2", "qcow2"),
    (Target::Vhd, "ours.vhd", "vpc"),
    (Target::Vdi, "ours.vdi", "vdi"),
    (Target::Vmdk, "ours.vmdk", "vmdk"),
];

/// qemu-img convert with each set of options.
#[track_caller]
fn each(qemu_format: &str, from: Format, options: &[&[&str]]) {
    let Some(shop) = workshop() else { return };
    for extra in options {
        let mut args = vec!["convert", "-f", "raw", "-O", qemu_format];
        args.extend_from_slice(extra);
        args.extend(["disk.raw", "image"]);
        shop.qemu_img(&args);
        shop.agree("image", qemu_format, from);
    }
}

#[test]
fn raw() {
    let Some(shop) = workshop() else { return };
    shop.agree("disk.raw", "raw", Format::Raw);
}

#[test]
fn qcow2_plain() {
    each(
        "qcow2",
        Format::Qcow2,
        &[
            &[],
            &["-o", "compat=0.10"],
            &["-o", "cluster_size=512"],
            &["-o", "cluster_size=4k,refcount_bits=1"],
            &["-o", "cluster_size=2M,refcount_bits=64"],
            &["-o", "preallocation=metadata"],
            &["-o", "preallocation=falloc,lazy_refcounts=on"],
            &["-o", "extended_l2=on"],
            &["-o", "extended_l2=on,cluster_size=16k"],
            &["-o", "extended_l2=on,cluster_size=2M"],
        ],
    );
}

#[test]
fn qcow2_packed() {
    each(
        "qcow2",
        Format::Qcow2,
        &[
            &["-c"],
            &["-c", "-o", "compat=0.10"],
            &["-c", "-o", "cluster_size=4k"],
            &["-c", "-o", "cluster_size=2M"],
            &["-c", "-o", "compression_type=zstd"],
            &["-c", "-o", "compression_type=zstd,cluster_size=2M"],
            &["-c", "-o", "extended_l2=on"],
        ],
    );
}

#[test]
fn vmdk() {
    each(
        "vmdk",
        Format::Vmdk,
        &[&[], &["-o", "subformat=streamOptimized"], &["-o", "zeroed_grain=on"], &["-o", "compat6"]],
    );
}

#[test]
fn vhd() {
    each(
        "vpc",
        Format::Vhd,
        &[&[], &["-o", "force_size=on"], &["-o", "subformat=fixed"], &["-o", "subformat=fixed,force_size=on"]],
    );
}

#[test]
fn vhdx() {
    each(
        "vhdx",
        Format::Vhdx,
        &[&[], &["-o", "subformat=fixed"], &["-o", "block_size=1M"], &["-o", "block_size=256M"]],
    );
}

#[test]
fn vdi() {
    each("vdi", Format::Vdi, &[&[], &["-o", "static=on"]]);
}

#[test]
fn ploop() {
    each("parallels", Format::Ploop, &[&[], &["-o", "cluster_size=64k"]]);
}

/// Written by a guest: overwritten, given back, zeroed, with a snapshot that must not be seen.
#[test]
fn qcow2_that_was_used() {
    let Some(shop) = workshop() else { return };
    for options in ["compat=1.1", "extended_l2=on", "compat=0.10"] {
        shop.qemu_img(&["convert", "-c", "-f", "raw", "-O", "qcow2", "-o", options, "disk.raw", "used"]);
        let write = |script: &[&str]| {
            let mut args = vec!["-f", "qcow2", "-d", "unmap"];
            script.iter().for_each(|s| args.extend(["-c", s]));
            args.push("used");
            let out = shop.qemu("qemu-io", &args);
            assert!(out.status.success(), "{out:?}");
        };
        write(&["write -P 7 100k 3k", "write -P 8 6M 70k", "write -z 5200k 600k"]);
        shop.qemu_img(&["snapshot", "-c", "before", "used"]);
        write(&[
            "write -P 9 5300k 10k",
            "discard 1M 200k",
            "write -z 512 512",
            "write -c -P 3 9M 64k",
            "write -P 1 20M 1k",
        ]);
        shop.agree("used", "qcow2", Format::Qcow2);
    }
}

/// More than one L2 table, more than one refcount block.
#[test]
fn a_large_disk() {
    let Some(shop) = workshop() else { return };
    let source = File::options().read(true).write(true).create(true).truncate(true).open(shop.path("large")).unwrap();
    source.set_len(3 << 30).unwrap();
    use std::os::unix::fs::FileExt;
    for at in [0, 511 * MIB, 512 * MIB, 1500 * MIB, (3 << 30) - 4096] {
        source.write_all_at(&disk(12 * MIB)[..4096], at).unwrap();
    }
    for (to, name, format) in [TARGETS[1], TARGETS[2], TARGETS[6]] {
        let target = File::create(shop.path(name)).unwrap();
        let made = run(&source, Format::Raw, &target, to, &limits()).unwrap();
        assert!(made.bytes < 3 * MIB, "{made:?}");
        shop.qemu_img(&["compare", "-f", "raw", "-F", format, "large", name]);
        shop.clean(name, format);
    }
}

#[test]
fn holes_stay_holes() {
    use std::os::unix::fs::MetadataExt;
    let Some(shop) = workshop() else { return };
    shop.qemu_img(&["create", "-f", "qcow2", "empty", "200G"]);
    let target = File::create(shop.path("ours")).unwrap();
    let source = File::open(shop.path("empty")).unwrap();
    let made = run(&source, Format::Qcow2, &target, Target::Raw, &limits()).unwrap();
    assert_eq!((made.bytes, target.metadata().unwrap().blocks()), (200 << 30, 0));
    shop.agree_on_size("disk.raw", Path::new("theirs"));
}

impl Workshop {
    /// Ours takes no more room on the disk than qemu-img's.
    fn agree_on_size(&self, name: &str, theirs: &Path) {
        use std::os::unix::fs::MetadataExt;
        let theirs = self.path(&theirs.to_string_lossy());
        self.qemu_img(&["convert", "-f", "raw", "-O", "raw", name, &theirs.to_string_lossy()]);
        let target = File::create(self.path("sparse")).unwrap();
        run(&File::open(self.path(name)).unwrap(), Format::Raw, &target, Target::Raw, &limits()).unwrap();
        target.sync_all().unwrap();
        let theirs = File::open(theirs).unwrap();
        theirs.sync_all().unwrap();
        let (ours, theirs) = (target.metadata().unwrap().blocks(), theirs.metadata().unwrap().blocks());
        assert!(ours <= theirs, "{ours} blocks, {theirs} by qemu-img");
    }
}
