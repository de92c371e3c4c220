//! Values as Nova's clients send them: numbers as text, truth in many words, numbers in the path. Schemas have passed
//! them before; what is refused here is what schemas cannot say.

use crate::ComputeApi;
use platform_http::{Call, Fault, Page, Query};
use serde_json::Value;

/// An integer, or the text of one.
pub(crate) fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(n) => n.as_i64().or_else(|| n.as_f64().filter(|f| f.fract() == 0.0).map(|f| f as i64)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A number or text as Python's `str()` prints it.
pub(crate) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(n) => Some(n.to_string()),
        _ => None,
    }
}

/// oslo's strict `bool_from_string`.
pub(crate) fn truth(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "1" | "t" | "true" | "on" | "y" | "yes" => Some(true),
        "0" | "f" | "false" | "off" | "n" | "no" => Some(false),
        _ => None,
    }
}

/// [`truth`] of a JSON boolean or text.
pub(crate) fn json_truth(value: &Value) -> Option<bool> {
    value.as_bool().or_else(|| truth(value.as_str()?))
}

/// The number in the path that names a resource of Nova's older kind.
pub(crate) fn id_in_path(call: &Call) -> Result<i64, Fault> {
    call.param("id").parse().map_err(|_| Fault::bad_request("Invalid input received: id must be an integer"))
}

/// `limit` and `marker`.
pub(crate) fn page(api: &ComputeApi, query: &Query) -> Result<Page, Fault> {
    Page::parse(query, api.config.max_limit, |text| {
        Fault::bad_request(if text.starts_with('-') {
            "limit must be non-negative"
        } else {
            "limit must be an integer"
        })
    })
}

/// `limit` and `offset`, for the few lists that have no markers: (limit, offset).
pub(crate) fn slice(api: &ComputeApi, query: &Query) -> Result<(usize, usize), Fault> {
    let number = |name: &'static str| -> Result<Option<usize>, Fault> {
        let Some(text) = query.first(name) else { return Ok(None) };
        let wanted: i64 = text.parse().map_err(|_| Fault::bad_request(format!("{name} param must be an integer")))?;
        usize::try_from(wanted).map(Some).map_err(|_| Fault::bad_request(format!("{name} param must be positive")))
    };
    let max = api.config.max_limit;
    let limit = number("limit")?.filter(|n| *n > 0).map_or(max, |n| n.min(max));
    Ok((limit, number("offset")?.unwrap_or(0)))
}

/// Nova's check of ids that must be UUIDs.
pub(crate) fn uuid(text: &str) -> Result<String, Fault> {
    let parsed = uuid::Uuid::parse_str(text).map_err(|_| Fault::bad_request(format!("Invalid uuid {text}")))?;
    Ok(parsed.hyphenated().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_and_truth_in_all_their_forms() {
        for (value, wanted) in [
            (json!(5), Some(5)),
            (json!("5"), Some(5)),
            (json!(5.0), Some(5)),
            (json!(5.5), None),
            (json!("x"), None),
            (json!(null), None),
        ] {
            assert_eq!(integer(&value), wanted, "{value}");
        }
        assert_eq!(text(&json!(12)), Some("12".into()));
        assert_eq!((truth("YES"), truth("off"), truth("maybe")), (Some(true), Some(false), None));
        assert_eq!((json_truth(&json!(true)), json_truth(&json!("False"))), (Some(true), Some(false)));
    }
}
