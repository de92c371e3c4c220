//! A look at raw JSON before anything recursive reads it.

/// Whether arrays and objects nest at most `limit` deep. Reads each byte once and needs no stack; text that is not
/// JSON gets some answer, and its error from the parser afterwards.
pub fn json_depth_within(bytes: &[u8], limit: usize) -> bool {
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut escaped = false;
    for byte in bytes {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'[' | b'{' => {
                depth += 1;
                if depth > limit {
                    return false;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s38_counts_only_what_nests() {
        for (text, limit, want) in [
            ("1", 0, true),
            ("[]", 0, false),
            ("[]", 1, true),
            ("[[],[],{}]", 2, true),
            ("[[[]]]", 2, false),
            (r#"{"a": "[[[[[["}"#, 1, true),
            (r#"{"a\"[[[": "\\"}"#, 1, true),
            (r#"["\\", [[]]]"#, 2, false),
        ] {
            assert_eq!(json_depth_within(text.as_bytes(), limit), want, "{text}");
        }
        assert!(!json_depth_within("[".repeat(10_000_000).as_bytes(), 100));
    }
}
