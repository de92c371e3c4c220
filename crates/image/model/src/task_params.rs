//! The query string of `GET /tasks`.

use crate::{DEFAULT_LIMIT, Refusal, TaskId, TaskKind, TaskQuery, TaskSort, page_limit};
use base::ImageId;

/// Reads the query's pairs. What it does not know is ignored, as in Glance.
pub fn task_query(pairs: &[(String, String)]) -> Result<TaskQuery, Refusal> {
    let mut query = TaskQuery {
        limit: DEFAULT_LIMIT,
        marker: None,
        sort: TaskSort::CreatedAt,
        descending: true,
        status: None,
        kind: None,
        image: None,
        owner: None,
    };
    for (key, value) in pairs {
        match key.as_str() {
            "limit" => query.limit = page_limit(value.trim())?,
            "marker" => {
                let is_uuid = value.parse::<ImageId>().is_ok();
                query.marker = Some(value).filter(|_| is_uuid).map(|v| TaskId(v.to_lowercase()));
                if !is_uuid {
                    return Err(Refusal::invalid("Invalid marker format"));
                }
            }
            "sort_key" => {
                query.sort = value.parse().map_err(|_| Refusal::Invalid(format!("Invalid sort key: {value}")))?
            }
            "sort_dir" => {
                query.descending = match value.as_str() {
                    "asc" => false,
                    "desc" => true,
                    _ => return Err(Refusal::Invalid(format!("Invalid sort direction: {value}"))),
                }
            }
            "status" if !value.is_empty() => {
                let status = value.parse().map_err(|_| Refusal::Invalid(format!("Invalid status value: {value}")))?;
                query.status = Some(status);
            }
            // Glance knows only this one to filter by
            "type" if !value.is_empty() => {
                let kind = value.parse().ok().filter(|k| *k == TaskKind::Import);
                query.kind = Some(kind.ok_or_else(|| Refusal::Invalid(format!("Invalid type value: {value}")))?);
            }
            _ => {}
        }
    }
    Ok(query)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TaskStatus;

    fn read(pairs: &[(&str, &str)]) -> Result<TaskQuery, Refusal> {
        task_query(&pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<Vec<_>>())
    }

    #[test]
    fn what_is_asked_for() {
        let query = read(&[]).unwrap();
        assert_eq!((query.limit, query.sort, query.descending), (25, TaskSort::CreatedAt, true));
        let query = read(&[("status", "failure"), ("type", "import"), ("sort_dir", "asc"), ("limit", "3")]).unwrap();
        assert_eq!((query.status, query.kind), (Some(TaskStatus::Failure), Some(TaskKind::Import)));
        assert_eq!((query.limit, query.descending), (3, false));
        for (key, value, words) in [
            ("limit", "x", "limit param must be an integer"),
            ("limit", "-1", "limit param must be positive"),
            ("marker", "x", "Invalid marker format"),
            ("sort_key", "message", "Invalid sort key: message"),
            ("sort_dir", "up", "Invalid sort direction: up"),
            ("status", "done", "Invalid status value: done"),
            ("type", "export", "Invalid type value: export"),
        ] {
            assert_eq!(read(&[(key, value)]), Err(Refusal::invalid(words)), "{key}={value}");
        }
    }
}
