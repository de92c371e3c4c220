//! The query string of `GET /images`.

use crate::list::{Direction, Filter, ListQuery, NumberColumn, SortKey, TextColumn, TimeColumn, TimeOp, Wanted};
use crate::{MemberStatus, Refusal, Visibility};
use base::Timestamp;

/// Glance's `limit_param_default` and `api_limit_max`.
pub const DEFAULT_LIMIT: usize = 25;
pub const MAX_LIMIT: usize = 1000;

/// Reads the query's pairs, in order, decoded. A key that names nothing known is a property that must be equal.
pub fn list_query(pairs: &[(String, String)]) -> Result<ListQuery, Refusal> {
    let mut query = ListQuery::newest(DEFAULT_LIMIT);
    query.filters.clear();
    let mut hidden = false;
    for (key, value) in pairs {
        match key.as_str() {
            "limit" => query.limit = page_limit(value.trim())?,
            "marker" => query.marker = Some(value.parse().map_err(|_| no_marker(value))?),
            "member_status" => query.member_status = member_status(value)?,
            "visibility" => query.visibility = Some(visibility(value)?),
            "sort" | "sort_key" | "sort_dir" => {}
            "os_hidden" => hidden = boolean(key, value)?,
            "changes-since" => {
                return Err(Refusal::invalid("The \"changes-since\" filter is no longer available on v2."));
            }
            _ => query.filters.extend(filter(key, value)?),
        }
    }
    query.filters.push(Filter::Hidden(hidden));
    query.sort = sorting(pairs)?;
    Ok(query)
}

/// The marker is gone, or not for this caller.
pub(crate) fn no_marker(id: &str) -> Refusal {
    Refusal::Invalid(format!("No image found with ID {id}"))
}

/// A query's `limit`, at most [`MAX_LIMIT`].
pub fn page_limit(text: &str) -> Result<usize, Refusal> {
    let n: i64 = text.parse().map_err(|_| Refusal::invalid("limit param must be an integer"))?;
    usize::try_from(n).map(|n| n.min(MAX_LIMIT)).map_err(|_| Refusal::invalid("limit param must be positive"))
}

fn member_status(text: &str) -> Result<Option<MemberStatus>, Refusal> {
    match text {
        "all" => Ok(None),
        _ => text.parse().map(Some).map_err(|_| Refusal::Invalid(format!("Invalid status: {text}"))),
    }
}

fn visibility(text: &str) -> Result<Wanted, Refusal> {
    match text {
        "all" => Ok(Wanted::All),
        _ => text
            .parse::<Visibility>()
            .map(Wanted::Only)
            .map_err(|_| Refusal::Invalid(format!("Invalid visibility value: {text}"))),
    }
}

fn boolean(key: &str, text: &str) -> Result<bool, Refusal> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        other => Err(Refusal::Invalid(format!(
            "Invalid value '{other}' for '{key}' filter. Valid values are 'true' or 'false'."
        ))),
    }
}

/// `None`: an empty `tag`, which asks for nothing.
fn filter(key: &str, value: &str) -> Result<Option<Filter>, Refusal> {
    if value.contains('\0') || key.contains('\0') {
        return Err(Refusal::invalid("A filter may not contain a NUL character."));
    }
    let range = key.strip_suffix("_min").or_else(|| key.strip_suffix("_max"));
    let number = |text: &str| {
        text.trim()
            .parse::<i64>()
            .map_err(|_| Refusal::invalid("Unable to filter on a range with a non-numeric value."))
    };
    Ok(Some(if let Some(column) = range.and_then(|c| c.parse::<NumberColumn>().ok()) {
        let n = number(value)?;
        if key.ends_with("_min") { Filter::AtLeast(column, n) } else { Filter::AtMost(column, n) }
    } else if let Ok(column) = key.parse::<NumberColumn>() {
        Filter::Number(column, number(value)?)
    } else if let Ok(column) = key.parse::<TimeColumn>() {
        time(column, value)?
    } else if let Ok(column) = key.parse::<TextColumn>() {
        Filter::Text(column, text_values(column, value)?)
    } else {
        match key {
            "protected" => Filter::Protected(boolean(key, value)?),
            "tag" => Filter::Tag(value.trim().to_owned()),
            _ => Filter::Property(key.to_owned(), value.to_owned()),
        }
    }))
}

/// `in:a,b` and `eq:a` for the columns that have operators, else just the value.
fn text_values(column: TextColumn, value: &str) -> Result<Vec<String>, Refusal> {
    use TextColumn::*;
    if !matches!(column, Id | Name | Status | DiskFormat | ContainerFormat) {
        return Ok(vec![value.to_owned()]);
    }
    // a name may well be a time, which has colons
    match value.split_once(':') {
        Some(_) if Timestamp::parse_iso(value).is_some() => Ok(vec![value.to_owned()]),
        Some(("in", list)) => split_quoted(list),
        Some(("eq", value)) => Ok(vec![value.to_owned()]),
        Some((op, _)) => Err(Refusal::Invalid(format!("Unable to filter by unknown operator '{op}'."))),
        None => Ok(vec![value.to_owned()]),
    }
}

/// Splits at commas; a value in double quotes may hold commas.
fn split_quoted(list: &str) -> Result<Vec<String>, Refusal> {
    let bad = |why: &str| Refusal::Invalid(format!("Invalid filter value {list}. {why}"));
    let mut values = Vec::new();
    let mut rest = list;
    loop {
        let value = if let Some(quoted) = rest.strip_prefix('"') {
            let end = closing_quote(quoted).ok_or_else(|| bad("The quote is not closed."))?;
            rest = &quoted[end + 1..];
            if !rest.is_empty() && !rest.starts_with(',') {
                return Err(bad("There is no comma after closing quotation mark."));
            }
            quoted[..end].to_owned()
        } else {
            let (value, _) = rest.split_once(',').unwrap_or((rest, ""));
            if value.contains('"') {
                return Err(bad("There is no comma before opening quotation mark."));
            }
            rest = &rest[value.len()..];
            value.to_owned()
        };
        values.push(value);
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None => return Ok(values),
        }
    }
}

fn closing_quote(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    (0..bytes.len()).find(|&i| bytes[i] == b'"' && (i == 0 || bytes[i - 1] != b'\\'))
}

fn time(column: TimeColumn, value: &str) -> Result<Filter, Refusal> {
    let bad = || {
        Refusal::Invalid(format!("Bad \"{}\" query filter format. Use ISO 8601 DateTime notation.", column.as_str()))
    };
    if let Some(at) = Timestamp::parse_iso(value) {
        return Ok(Filter::Time(column, TimeOp::Eq, at));
    }
    let (op, text) = value.split_once(':').ok_or_else(bad)?;
    let at = Timestamp::parse_iso(text).ok_or_else(bad)?;
    let op = op.parse().map_err(|_| Refusal::invalid("Unable to filter on a unknown operator."))?;
    Ok(Filter::Time(column, op, at))
}

fn sorting(pairs: &[(String, String)]) -> Result<Vec<(SortKey, Direction)>, Refusal> {
    let values = |wanted: &'static str| pairs.iter().filter(move |(k, _)| k == wanted).map(|(_, v)| v.trim());
    let mut keys = Vec::new();
    let mut directions = Vec::new();
    if let Some(sort) = values("sort").next_back() {
        if values("sort_key").chain(values("sort_dir")).next().is_some() {
            return Err(Refusal::invalid("Old and new sorting syntax cannot be combined"));
        }
        for item in sort.split(',') {
            let (key, direction) = item.split_once(':').unwrap_or((item, "desc"));
            keys.push(sort_key(key.trim())?);
            directions.push(direction_word(if direction.is_empty() { "desc" } else { direction.trim() })?);
        }
    } else {
        keys = values("sort_key").map(sort_key).collect::<Result<_, _>>()?;
        directions = values("sort_dir").map(direction_word).collect::<Result<_, _>>()?;
        if directions.len() > 1 && directions.len() != keys.len() {
            return Err(Refusal::invalid("Number of sort dirs does not match the number of sort keys"));
        }
    }
    if keys.is_empty() {
        keys.push(SortKey::CreatedAt);
    }
    // one direction is for all keys, also for those added here
    let common = if directions.len() == 1 { directions[0] } else { Direction::Desc };
    for last in [SortKey::CreatedAt, SortKey::Id] {
        if !keys.contains(&last) {
            keys.push(last);
        }
    }
    let mut sort: Vec<(SortKey, Direction)> = Vec::new();
    for (i, key) in keys.into_iter().enumerate() {
        let direction =
            if directions.len() > 1 { directions.get(i).copied().unwrap_or(Direction::Desc) } else { common };
        if !sort.iter().any(|(k, _)| *k == key) {
            sort.push((key, direction));
        }
    }
    Ok(sort)
}

fn sort_key(text: &str) -> Result<SortKey, Refusal> {
    text.parse().map_err(|_| {
        let available: Vec<&str> = SortKey::ALL.iter().map(|k| k.as_str()).collect();
        Refusal::Invalid(format!(
            "Invalid sort key: {text}. It must be one of the following: {}.",
            available.join(", ")
        ))
    })
}

fn direction_word(text: &str) -> Result<Direction, Refusal> {
    text.parse().map_err(|_| Refusal::Invalid(format!("Invalid sort direction: {text}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &[(&str, &str)]) -> Result<ListQuery, Refusal> {
        list_query(&query.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<Vec<_>>())
    }

    fn filters(query: &[(&str, &str)]) -> Vec<Filter> {
        let mut all = read(query).unwrap().filters;
        assert_eq!(all.pop(), Some(Filter::Hidden(false)));
        all
    }

    #[test]
    fn nothing_asked() {
        assert_eq!(read(&[]).unwrap(), ListQuery::newest(25));
    }

    #[test]
    fn limits() {
        assert_eq!(read(&[("limit", "0")]).unwrap().limit, 0);
        assert_eq!(read(&[("limit", "5000")]).unwrap().limit, 1000);
    }

    #[test]
    fn filters_of_each_kind() {
        let texts = |values: &[&str]| values.iter().map(|v| (*v).to_owned()).collect::<Vec<_>>();
        let noon = Timestamp::parse_iso("2026-01-02T12:00:00Z").unwrap();
        for (key, value, want) in [
            ("name", "cirros", Filter::Text(TextColumn::Name, texts(&["cirros"]))),
            ("name", "in:a,\"b,c\",d", Filter::Text(TextColumn::Name, texts(&["a", "b,c", "d"]))),
            ("status", "in:active,queued", Filter::Text(TextColumn::Status, texts(&["active", "queued"]))),
            ("disk_format", "eq:raw", Filter::Text(TextColumn::DiskFormat, texts(&["raw"]))),
            ("owner", "in:x", Filter::Text(TextColumn::Owner, texts(&["in:x"]))),
            ("size_min", "10", Filter::AtLeast(NumberColumn::Size, 10)),
            ("size_max", "20", Filter::AtMost(NumberColumn::Size, 20)),
            ("min_ram", "512", Filter::Number(NumberColumn::MinRam, 512)),
            ("created_at", "gte:2026-01-02T12:00:00Z", Filter::Time(TimeColumn::CreatedAt, TimeOp::Gte, noon)),
            ("updated_at", "2026-01-02T12:00:00", Filter::Time(TimeColumn::UpdatedAt, TimeOp::Eq, noon)),
            ("protected", "True", Filter::Protected(true)),
            ("tag", " x ", Filter::Tag("x".into())),
            ("os_distro", "debian", Filter::Property("os_distro".into(), "debian".into())),
        ] {
            assert_eq!(filters(&[(key, value)]), [want], "{key}={value}");
        }
        assert_eq!(filters(&[("tag", "a"), ("tag", "b")]).len(), 2);
        assert_eq!(read(&[("os_hidden", "true")]).unwrap().filters, [Filter::Hidden(true)]);
        assert_eq!(read(&[("visibility", "all")]).unwrap().visibility, Some(Wanted::All));
        assert_eq!(read(&[("member_status", "all")]).unwrap().member_status, None);
    }

    #[test]
    fn both_ways_to_sort() {
        use Direction::*;
        use SortKey::*;
        let sort = |query: &[(&str, &str)]| read(query).unwrap().sort;
        assert_eq!(sort(&[("sort", "name:asc,size")]), [(Name, Asc), (Size, Desc), (CreatedAt, Desc), (Id, Desc)]);
        assert_eq!(sort(&[("sort_key", "name"), ("sort_dir", "asc")]), [(Name, Asc), (CreatedAt, Asc), (Id, Asc)]);
        assert_eq!(
            sort(&[("sort_key", "name"), ("sort_dir", "asc"), ("sort_key", "id"), ("sort_dir", "desc")]),
            [(Name, Asc), (Id, Desc), (CreatedAt, Desc)]
        );
    }

    #[test]
    fn what_is_refused_and_how() {
        for (query, words) in [
            (&[("limit", "x")][..], "limit param must be an integer"),
            (&[("limit", "-1")], "limit param must be positive"),
            (&[("marker", "x")], "No image found with ID x"),
            (&[("visibility", "x")], "Invalid visibility value: x"),
            (&[("member_status", "x")], "Invalid status: x"),
            (&[("os_hidden", "maybe")], "Invalid value 'maybe' for 'os_hidden' filter."),
            (&[("changes-since", "2026")], "no longer available on v2"),
            (&[("size_min", "x")], "Unable to filter on a range"),
            (&[("name", "like:x")], "Unable to filter by unknown operator 'like'."),
            (&[("name", "in:\"a")], "The quote is not closed."),
            (&[("name", "in:a\"b\"")], "There is no comma before opening"),
            (&[("name", "in:\"a\"b")], "There is no comma after closing"),
            (&[("created_at", "gt:yesterday")], "Bad \"created_at\" query filter format."),
            (&[("created_at", "about:2026-01-02T12:00:00Z")], "unknown operator"),
            (&[("sort", "name"), ("sort_key", "id")], "cannot be combined"),
            (&[("sort_key", "owner")], "Invalid sort key: owner. It must be one of the following: name, status, "),
            (&[("sort_dir", "up")], "Invalid sort direction: up"),
            (&[("sort_key", "id"), ("sort_dir", "asc"), ("sort_dir", "asc")], "Number of sort dirs"),
        ] {
            let refusal = read(query).expect_err(words);
            assert!(matches!(&refusal, Refusal::Invalid(m) if m.contains(words)), "{refusal} for {query:?}");
        }
    }
}
