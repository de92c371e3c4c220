//! `Range` of a download: one range of bytes, as Glance reads it.

use platform_http::{Call, Fault, StatusCode};
use std::ops::Range;

/// The range asked for, within `size`. `None`: everything.
pub(super) fn asked(call: &Call, size: u64) -> Result<Option<Range<u64>>, Fault> {
    if let Some(text) = call.header("range") {
        return range(text, size).map(Some);
    }
    // what it should never have been, but clients use it
    call.header("content-range").map(|text| content_range(text, size)).transpose()
}

fn not_satisfiable(message: String) -> Fault {
    Fault::new(StatusCode::RANGE_NOT_SATISFIABLE, message)
}

fn bad_start(header: &str, size: u64) -> Fault {
    not_satisfiable(format!(
        "Invalid start position in {header} header. Start position MUST be in the inclusive range [0, {}].",
        i128::from(size) - 1
    ))
}

/// What the header's `text` asks for, within `size`.
pub(crate) fn range(text: &str, size: u64) -> Result<Range<u64>, Fault> {
    if text.contains(',') {
        return Err(Fault::bad_request(
            "Requests with multiple ranges are not supported in Glance. You may make multiple single-range requests \
             instead.",
        ));
    }
    let invalid = || not_satisfiable("Invalid Range header.".into());
    let (first, last) = text.trim().strip_prefix("bytes=").and_then(|r| r.split_once('-')).ok_or_else(invalid)?;
    let number = |text: &str| text.trim().parse::<u64>().map_err(|_| invalid());
    if first.trim().is_empty() {
        let from_end = number(last)?;
        return if from_end == 0 { Err(invalid()) } else { Ok(size.saturating_sub(from_end)..size) };
    }
    let start = number(first)?;
    let end = if last.trim().is_empty() { size } else { number(last)?.saturating_add(1).min(size) };
    if start >= size {
        return Err(bad_start("Range", size));
    }
    if end <= start { Err(invalid()) } else { Ok(start..end) }
}

/// `bytes 0-99/*`
fn content_range(text: &str, size: u64) -> Result<Range<u64>, Fault> {
    let parsed = || -> Option<(u64, u64)> {
        let (positions, _length) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = positions.split_once('-')?;
        Some((first.trim().parse().ok()?, last.trim().parse().ok()?))
    };
    let invalid = || not_satisfiable("Invalid Content-Range header.".into());
    let (start, last) = parsed().filter(|(start, last)| start <= last).ok_or_else(invalid)?;
    if start >= size {
        return Err(bad_start("Content-Range", size));
    }
    if last >= size {
        return Err(not_satisfiable(format!(
            "Invalid stop position in Content-Range header. The stop position MUST be in the inclusive range [0, {}].",
            size - 1
        )));
    }
    Ok(start..last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        for (text, want) in [
            ("bytes=0-4", Ok(0..5)),
            ("bytes=9-9", Ok(9..10)),
            ("bytes=4-", Ok(4..10)),
            ("bytes=-2", Ok(8..10)),
            ("bytes=-50", Ok(0..10)),
            ("bytes=5-500", Ok(5..10)),
            ("bytes=10-", Err(416)),
            ("bytes=5-4", Err(416)),
            ("bytes=-0", Err(416)),
            ("bytes=a-b", Err(416)),
            ("lines=1-2", Err(416)),
            ("bytes=0-1,3-4", Err(400)),
            ("bytes=99999999999999999999-", Err(416)),
        ] {
            assert_eq!(range(text, 10).map_err(|f| f.status.as_u16()), want, "{text}");
        }
        assert!(range("bytes=0-", 0).is_err());
    }

    #[test]
    fn content_ranges() {
        for (text, want) in [
            ("bytes 0-4/*", Ok(0..5)),
            ("bytes 0-9/10", Ok(0..10)),
            ("bytes 0-10/*", Err(416)),
            ("bytes 10-11/*", Err(416)),
            ("bytes 4-0/*", Err(416)),
            ("nonsense", Err(416)),
        ] {
            assert_eq!(content_range(text, 10).map_err(|f| f.status.as_u16()), want, "{text}");
        }
    }
}
