//! What is built once is not built again.

use std::fs;
use std::time::{Duration, Instant};

use guest::{Options, STEPS, Step, build};

use crate::vm::{BUILD_TOOLS, have};

#[test]
fn the_second_build_only_looks_up_the_first() {
    if !have(BUILD_TOOLS) {
        return;
    }
    let cache = tempfile::tempdir().unwrap();
    let options = Options { cache: cache.path().to_owned(), ..Options::default() };
    let mut steps = Vec::new();
    let first = build(&options, &mut |step| steps.push(step)).unwrap();
    assert_eq!(steps, STEPS);
    for image in [&first.raw, &first.qcow2, &first.kernel, &first.initramfs, &first.root_disk] {
        let size = fs::metadata(image).unwrap().len();
        assert!((1..128 << 20).contains(&size), "{} has {size} bytes", image.display());
    }
    // Whatever was cut short is swept up by the next build.
    assert!(
        fs::read_dir(cache.path()).unwrap().all(|e| !e.unwrap().file_name().to_string_lossy().starts_with("build-"))
    );

    steps.clear();
    let started = Instant::now();
    let second = build(&options, &mut |step| steps.push(step)).unwrap();
    assert!(started.elapsed() < Duration::from_secs(1), "took {:?}", started.elapsed());
    assert_eq!(second, first);
    assert_eq!(steps, [Step::Resolve]);
}
