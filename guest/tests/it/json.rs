//! `json.awk` under the guest's own busybox, beside what it must make of each document.

use std::io::Write as _;
use std::process::{Command, Stdio};

use guest::{Kernel, Options};

use crate::vm::{BUILD_TOOLS, guest, have};

const GOOD: &[(&str, &str)] = &[
    ("{}", ""),
    (r#"{"a": 1, "b": -2.5e3, "c": true, "d": null}"#, "a=1\nb=-2.5e3\nc=true\nd=null\n"),
    (r#"{"a":{"b":[1,{"c":"x"},[]]},"d":{}}"#, "a/b/0=1\na/b/1/c=x\n"),
    (" [ \"x\" ,\n\t\"\" ] ", "0=x\n1=\n"),
    (r#"{"quoted \"name\"": "a\"b\/c"}"#, "quoted \"name\"=a\"b/c\n"),
    (r#"{"a": "1\\2\n3\t4\u00055\u005c6"}"#, "a=1\\\\2\\n3\\t4\\u00055\\\\6\n"),
    (r#"{"a": "\u0041\u00fc\u20ac\ud83d\ude00"}"#, "a=Aü€😀\n"),
    ("{\"a\": \"ü€😀\"}", "a=ü€😀\n"),
    (r#"{"a": "}{][,:"}"#, "a=}{][,:\n"),
];

const BAD: &[&str] =
    &["", "{", "}", "{\"a\"}", "{\"a\": }", "{\"a\": 1,}", "[1 2]", "[1,]", "{a: 1}", "\"open", "{} x", r#""\u12g4""#];

#[test]
fn documents_become_lines() {
    if !have(BUILD_TOOLS) {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let guest = guest(Kernel::Cloud);
    let busybox = guest.packages.iter().find(|file| file.starts_with("busybox-static_")).unwrap();
    let deb = Options::default().cache.join("packages").join(busybox);
    assert!(Command::new("dpkg-deb").arg("-x").arg(&deb).arg(root.path()).status().unwrap().success());

    let flatten = |document: &str| {
        let mut awk = Command::new(root.path().join("bin/busybox"))
            .args(["awk", "-f", concat!(env!("CARGO_MANIFEST_DIR"), "/image/json.awk")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        awk.stdin.take().unwrap().write_all(document.as_bytes()).unwrap();
        let output = awk.wait_with_output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    for (document, expected) in GOOD {
        assert_eq!(flatten(document), (true, (*expected).to_owned()), "{document}");
    }
    let long = "x".repeat(100_000);
    assert_eq!(flatten(&format!("{{\"a\": \"{long}\", \"b\": 2}}")), (true, format!("a={long}\nb=2\n")));
    for document in BAD {
        assert!(!flatten(document).0, "{document}");
    }
}
