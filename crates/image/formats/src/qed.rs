//! QED: nobody supports it any more and it can have a backing file, so it is found and never allowed.

use crate::format::{Detected, Finding, Format};
use crate::window::Window;

pub(crate) struct Qed(Window);

impl Default for Qed {
    fn default() -> Self {
        Self(Window::head())
    }
}

impl Format for Qed {
    fn detects(&self) -> Detected {
        Detected::Qed
    }
    fn feed(&mut self, at: u64, chunk: &[u8]) {
        self.0.feed(at, chunk);
    }
    fn conclude(&self, _size: u64) -> Option<Finding> {
        self.0
            .bytes()
            .starts_with(b"QED\0")
            .then(|| Finding::safe(None).with("banned", Some("This file format is not allowed".into())))
    }
}
