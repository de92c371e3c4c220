//! What guests print.

use base::HostName;
use compute_model::assignment::{ConsoleReply, ConsoleRequest, subject};
use compute_model::driver::Driver;
use platform_bus::{Bus, Subscription};
use std::sync::Arc;

/// The most that is handed out: `MAX_CONSOLE_BYTES` of Nova's libvirt driver.
const LIMIT_BYTES: u64 = 100 * 1024;

pub(crate) fn serve(bus: &dyn Bus, host: &HostName, driver: Arc<dyn Driver>) -> Subscription {
    platform_bus::serve(bus, &subject::console(host.as_str()), move |q: ConsoleRequest| {
        let driver = driver.clone();
        async move {
            let bytes = driver.console(q.instance, LIMIT_BYTES).await.map_err(|e| e.to_string())?;
            Ok::<_, String>(ConsoleReply { output: bytes.map(|b| tail(&readable(&b), q.lines)) })
        }
    })
}

/// Without the control characters that Nova's API leaves out: all but tab and line feed.
fn readable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().filter(|c| !matches!(c, '\0'..'\t' | '\x0b'..' ')).collect()
}

/// The last lines as Nova counts them: what follows the last line feed is a line too, even if empty.
fn tail(text: &str, lines: Option<u64>) -> String {
    let Some(lines) = lines else { return text.to_owned() };
    let lines = usize::try_from(lines).unwrap_or(usize::MAX);
    let Some(before) = lines.checked_sub(1) else { return String::new() };
    match text.rmatch_indices('\n').nth(before) {
        Some((at, _)) => text[at + 1..].to_owned(),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_from_the_end() {
        let cases = [
            ("a\nb\nc\n", None, "a\nb\nc\n"),
            ("a\nb\nc\n", Some(0), ""),
            ("a\nb\nc\n", Some(1), ""),
            ("a\nb\nc\n", Some(2), "c\n"),
            ("a\nb\nc", Some(2), "b\nc"),
            ("a\nb\nc", Some(3), "a\nb\nc"),
            ("a\nb\nc", Some(u64::MAX), "a\nb\nc"),
            ("", Some(5), ""),
        ];
        for (text, lines, expected) in cases {
            assert_eq!(tail(text, lines), expected, "{text:?} {lines:?}");
        }
    }

    #[test]
    fn control_characters_and_broken_utf8() {
        assert_eq!(
            readable(b"\x1b[0;32mOK\x1b[0m\r\n\ttab\x00\x07\x0b\x7f \xff\xc3\xa4"),
            "[0;32mOK[0m\n\ttab\x7f \u{fffd}ä"
        );
    }
}
