//! `policy.yaml`: a flat mapping `"name": "check"`, and nothing else of YAML. JSON with the same content is accepted.

use super::PolicyError;
use std::collections::HashMap;

/// One line of an operator's file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) check: String,
    /// `None` in a JSON file.
    pub(super) line: Option<usize>,
}

pub(super) fn entries(text: &str) -> Result<Vec<Entry>, PolicyError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_start().starts_with('{') { json(text) } else { yaml(text) }
}

fn json(text: &str) -> Result<Vec<Entry>, PolicyError> {
    let rules: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(text).map_err(|e| PolicyError::Line { line: e.line(), why: e.to_string() })?;
    rules
        .into_iter()
        .map(|(name, check)| match check {
            serde_json::Value::String(check) => Ok(Entry { name, check, line: None }),
            _ => Err(PolicyError::Check { rule: name, why: "its check must be text".into() }),
        })
        .collect()
}

fn yaml(text: &str) -> Result<Vec<Entry>, PolicyError> {
    let mut seen = HashMap::new();
    let mut entries = Vec::new();
    for (line, content) in (1..).zip(text.lines()) {
        let Some((name, check)) = entry(content).map_err(|why| PolicyError::Line { line, why })? else { continue };
        if let Some(first) = seen.insert(name.clone(), line) {
            return Err(PolicyError::Line { line, why: format!("rule {name:?} was already given on line {first}") });
        }
        entries.push(Entry { name, check, line: Some(line) });
    }
    Ok(entries)
}

/// `None` on lines that say nothing.
fn entry(line: &str) -> Result<Option<(String, String)>, String> {
    let content = line.trim_end();
    if content.trim_start().is_empty() || content.trim_start().starts_with('#') {
        return Ok(None);
    }
    if matches!(content, "---" | "..." | "{}") {
        return Ok(None);
    }
    if content.starts_with([' ', '\t']) {
        return Err("indented: a rule and its check must stand on one line, from its first column".into());
    }
    let (name, rest) = if content.starts_with(['"', '\'']) { quoted(content)? } else { plain_key(content)? };
    let rest = rest.trim_start().strip_prefix(':').ok_or("expected \"name\": \"check\"")?;
    if !rest.starts_with([' ', '\t']) && !rest.is_empty() {
        return Err("expected a blank after the colon".into());
    }
    Ok(Some((name, value(rest.trim_start())?)))
}

/// Names like `os_compute_api:servers:create` hold colons: the key ends at the colon a blank follows.
fn plain_key(text: &str) -> Result<(String, &str), String> {
    let end = text.find(": ").or_else(|| text.find(":\t")).or_else(|| text.ends_with(':').then(|| text.len() - 1));
    let end = end.ok_or("expected \"name\": \"check\"")?;
    Ok((text[..end].trim_end().to_owned(), &text[end..]))
}

fn value(text: &str) -> Result<String, String> {
    match text.chars().next() {
        None | Some('#') => Err("the check is missing; write \"\" to allow everyone".into()),
        Some('"' | '\'') => {
            let (value, rest) = quoted(text)?;
            let rest = rest.trim_start();
            if rest.is_empty() || rest.starts_with('#') {
                Ok(value)
            } else {
                Err(format!("unexpected {rest:?} after the check"))
            }
        }
        Some('[' | '{' | '|' | '>' | '-') => Err("the check must be text on one line".into()),
        Some(c @ ('!' | '@' | '&' | '*' | '%' | '`')) => Err(format!("a check that begins with {c} must be quoted")),
        Some(_) => {
            let end = text.find(" #").unwrap_or(text.len());
            let plain = text[..end].trim_end();
            if plain.contains(": ") {
                return Err("a check with \": \" in it must be quoted".into());
            }
            Ok(plain.to_owned())
        }
    }
}

/// A quoted text and what follows it.
fn quoted(text: &str) -> Result<(String, &str), String> {
    let quote = text.as_bytes()[0] as char;
    let mut out = String::new();
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\'' if quote == '\'' && chars.peek().is_some_and(|(_, n)| *n == '\'') => {
                chars.next();
                out.push('\'');
            }
            c if c == quote => return Ok((out, &text[at + 1..])),
            '\\' if quote == '"' => match chars.next() {
                Some((_, c @ ('"' | '\\' | '/' | ' '))) => out.push(c),
                Some((_, 'n')) => out.push('\n'),
                Some((_, 't')) => out.push('\t'),
                Some((_, c)) => return Err(format!("unknown escape \\{c}")),
                None => break,
            },
            c => out.push(c),
        }
    }
    Err(format!("the quote {quote} does not end on this line"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        entries(text).unwrap().into_iter().map(|e| (e.name, e.check)).collect()
    }

    #[test]
    fn what_the_sample_generator_and_people_write() {
        let text = "---\n# a comment\n#\"off\": \"!\"\n\n\"os_compute_api:servers:create\": \"role:a\"  # why\n\
                    'single': 'it''s:%(x)s'\nplain:name: role:b or rule:c # note\n\"esc\": \"\\\"q\\\":%(a)s\"\nempty: \"\"\n";
        let want = [
            ("os_compute_api:servers:create", "role:a"),
            ("single", "it's:%(x)s"),
            ("plain:name", "role:b or rule:c"),
            ("esc", "\"q\":%(a)s"),
            ("empty", ""),
        ];
        assert_eq!(pairs(text), want.map(|(a, b)| (a.to_owned(), b.to_owned())));
        assert_eq!(pairs("{\"a\": \"!\"}"), [("a".to_owned(), "!".to_owned())]);
        assert_eq!(pairs("\u{feff}a: role:x\r\n"), [("a".to_owned(), "role:x".to_owned())]);
    }

    #[test]
    fn errors_name_the_line() {
        for (text, line, part) in [
            ("a: \"x:y\"\n  b: \"z\"", 2, "indented"),
            ("\n\na: \"x:y", 3, "does not end"),
            ("a:", 1, "missing"),
            ("a: # nothing", 1, "missing"),
            ("just words", 1, "expected"),
            ("\"a\":\"b:c\"", 1, "blank"),
            ("a: [[\"role:x\"]]", 1, "one line"),
            ("a: !", 1, "must be quoted"),
            ("a: '!' and more", 1, "unexpected"),
            ("a: '!'\nb: '@'\na: '@'", 3, "already given on line 1"),
            ("{\"a\": }", 1, "expected value"),
        ] {
            match entries(text) {
                Err(PolicyError::Line { line: l, why }) => {
                    assert_eq!(l, line, "{text:?}");
                    assert!(why.contains(part), "{text:?}: {why}");
                }
                other => panic!("{text:?}: {other:?}"),
            }
        }
    }
}
