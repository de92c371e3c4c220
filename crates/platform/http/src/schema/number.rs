//! Numbers as Python reads and prints them.

use serde_json::{Number, Value};
use std::cmp::Ordering;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum PyNumber {
    Int(i128),
    Float(f64),
}

impl PyNumber {
    /// Nova's `_number_from_str`: Python's `int()`, else `float()`, of whatever the body holds. `int` cuts fractions off.
    pub(super) fn read(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(b) => Some(Self::Int(i128::from(*b))),
            Value::Number(n) => Some(match Self::of(n) {
                #[expect(clippy::cast_possible_truncation, reason = "below 2^100, checked beside it")]
                Self::Float(f) if f.abs() < 1e30 => Self::Int(f as i128),
                number => number,
            }),
            Value::String(s) => Self::parse(s),
            _ => None,
        }
    }

    pub(super) fn of(n: &Number) -> Self {
        if let Some(i) = n.as_i64() {
            Self::Int(i.into())
        } else if let Some(u) = n.as_u64() {
            Self::Int(u.into())
        } else {
            Self::Float(n.as_f64().unwrap_or(f64::NAN))
        }
    }

    /// Text as `int()` and `float()` take it: blanks around, underscores between digits.
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let digit_at = |i: Option<usize>| i.and_then(|i| text.as_bytes().get(i)).is_some_and(u8::is_ascii_digit);
        let lonely = |(i, _): (usize, &str)| !(digit_at(i.checked_sub(1)) && digit_at(Some(i + 1)));
        if text.match_indices('_').any(lonely) {
            return None;
        }
        let plain = text.replace('_', "");
        plain.parse().map(Self::Int).or_else(|_| plain.parse().map(Self::Float)).ok()
    }

    fn as_f64(self) -> f64 {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "only compared with a float, as Python does")]
            Self::Int(i) => i as f64,
            Self::Float(f) => f,
        }
    }

    /// `None` if one of them is not a number ("nan").
    pub(super) fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(&b)),
            (a, b) => a.as_f64().partial_cmp(&b.as_f64()),
        }
    }

    pub(super) fn repr(self) -> String {
        match self {
            Self::Int(i) => i.to_string(),
            Self::Float(f) => float_repr(f),
        }
    }
}

/// Shortest digits that read back the same; an exponent from 1e16 up and below 1e-4.
fn float_repr(f: f64) -> String {
    if f.is_nan() {
        return "nan".into();
    }
    if f.is_infinite() {
        return if f > 0.0 { "inf".into() } else { "-inf".into() };
    }
    if f == 0.0 || (1e-4..1e16).contains(&f.abs()) {
        return format!("{f:?}");
    }
    let text = format!("{f:e}");
    match text.split_once('e') {
        Some((digits, exponent)) => {
            let (sign, size) = exponent.strip_prefix('-').map_or(('+', exponent), |size| ('-', size));
            format!("{digits}e{sign}{size:0>2}")
        }
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_python_reads() {
        use PyNumber::{Float, Int};
        for (value, want) in [
            (json!("10"), Some(Int(10))),
            (json!(" -1 "), Some(Int(-1))),
            (json!("+5"), Some(Int(5))),
            (json!("1_000"), Some(Int(1000))),
            (json!("1__0"), None),
            (json!("_1"), None),
            (json!("1.5"), Some(Float(1.5))),
            (json!("1e3"), Some(Float(1000.0))),
            (json!(1.9), Some(Int(1))),
            (json!(true), Some(Int(1))),
            (json!(""), None),
            (json!("0x10"), None),
            (json!(null), None),
            (json!([1]), None),
        ] {
            assert_eq!(PyNumber::read(&value), want, "{value}");
        }
        assert_eq!(PyNumber::parse("nan").and_then(|n| n.compare(Int(0))), None);
    }

    #[test]
    fn how_python_prints() {
        for (f, want) in [
            (1.0, "1.0"),
            (0.1, "0.1"),
            (-2.5, "-2.5"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.5e300, "1.5e+300"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(PyNumber::Float(f).repr(), want);
        }
    }
}
