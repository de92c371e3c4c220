//! I10: nothing secret in what is kept for people to read. History, faults and operations are shown, logged and backed up.

use crate::finding::mend;
use crate::{Check, DoctorError, Finding, Look, MOST, Remedy};
use async_trait::async_trait;
use futures_util::TryStreamExt;
use platform_db::{FromRow, args, built};
use regex::Regex;
use std::sync::LazyLock;

pub(super) struct NoSecrets;

/// A column of text that people read.
struct Text {
    table: &'static str,
    key: &'static str,
    column: &'static str,
    /// The server it may be about.
    server: &'static str,
    /// Rows of which somebody still needs every letter.
    in_use: &'static str,
}

const TEXTS: &[Text] = &[
    Text { table: "events", key: "id", column: "detail", server: "t.subject", in_use: "FALSE" },
    Text { table: "operations", key: "id", column: "data", server: "t.subject", in_use: "t.state = 'running'" },
    Text { table: "operations", key: "id", column: "waiting_for", server: "t.subject", in_use: "FALSE" },
    Text { table: "instances", key: "uuid", column: "fault", server: "t.uuid", in_use: "FALSE" },
    Text { table: "assignments", key: "instance", column: "want", server: "t.instance", in_use: "TRUE" },
    Text { table: "instance_actions", key: "id", column: "message", server: "t.instance", in_use: "FALSE" },
    Text {
        table: "instance_action_events",
        key: "id",
        column: "details",
        server: "(SELECT a.instance FROM instance_actions a WHERE a.id = t.action_id)",
        in_use: "FALSE",
    },
];

/// What secrets look like, and what they are called.
static PATTERNS: LazyLock<Vec<(&str, Regex)>> = LazyLock::new(|| {
    [
        ("a private key", r"-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*(-----END [A-Z ]*PRIVATE KEY-----)?"),
        ("a token", r"gAAAAA[A-Za-z0-9_-]{50,}={0,2}"),
        ("a password", r#"(?i)\b(admin_?pass(word)?|password|passwd)\\?"?\s*[:=]\s*\\?"[^"*\\]+"#),
        ("a password", r"(?i)\b(admin_?pass(word)?|password|passwd)=[^\s*,;&]+"),
        ("an address with a password", r"[a-z][a-z0-9+.-]*://[^/\s:@]+:[^/\s@*]+@"),
    ]
    .into_iter()
    .filter_map(|(name, pattern)| Some((name, Regex::new(pattern).ok()?)))
    .collect()
});

/// Letters that every one of them has: other rows stay in the database.
const HINTS: &[&str] = &["private key", "gaaaaa", "pass", "://"];

/// A server's password shorter than this is found in innocent words.
const LEAST: i64 = 8;

#[derive(FromRow)]
struct Row {
    id: String,
    text: String,
    /// The password of the server it is about, if the text has it.
    own: Option<String>,
    in_use: bool,
}

const HIDDEN: &str = "***";

#[async_trait]
impl Check for NoSecrets {
    fn name(&self) -> &'static str {
        "no_secrets"
    }
    fn holds(&self) -> &'static str {
        "no password, key or token stands in history, faults or operations: people read them"
    }

    async fn find(&self, look: &Look) -> Result<Vec<Finding>, DoctorError> {
        let mut snapshot = look.snapshot().await?;
        let mut findings = Vec::new();
        for text in TEXTS {
            let mut rows = snapshot.stream::<Row>(built(text.sql()), args![LEAST]);
            while let Some(row) = rows.try_next().await? {
                findings.extend(text.judge(row));
                if findings.len() >= MOST {
                    return Ok(findings);
                }
            }
        }
        Ok(findings)
    }
}

impl Text {
    fn sql(&self) -> String {
        let Self { table, key, column, server, in_use } = self;
        let hints: Vec<String> = HINTS.iter().map(|h| format!("lower(t.{column}) LIKE '%{h}%'")).collect();
        // REPLACE, because LIKE would take a % in the password for anything
        let own = format!(
            "(SELECT i.admin_pass FROM instances i WHERE i.uuid = {server} AND length(i.admin_pass) >= $1
              AND replace(t.{column}, i.admin_pass, '') <> t.{column})"
        );
        format!(
            "SELECT CAST(t.{key} AS TEXT) AS id, t.{column} AS text, {own} AS own, {in_use} AS in_use FROM {table} t
             WHERE t.{column} IS NOT NULL AND ({} OR {own} IS NOT NULL)",
            hints.join(" OR ")
        )
    }

    /// The proof says where and what kind, never the secret itself.
    fn judge(&'static self, row: Row) -> Option<Finding> {
        let pattern = PATTERNS.iter().find(|(_, p)| p.is_match(&row.text)).map(|(name, _)| *name);
        let kind = row.own.as_ref().map(|_| "the server's password").or(pattern)?;
        let Self { table, key, column, .. } = self;
        let proof = format!("{table}.{column} of {} holds {kind}", row.id);
        if row.in_use {
            let what = "wait until it has ended, and look again; then change the secret";
            return Some(Finding::new(row.id, proof, Remedy::Person(what)).key(format!("{table}.{column}")));
        }
        let (id, hidden) = (row.id.clone(), hide(&row.text, row.own.as_deref()));
        let remedy = mend(move |tx, _| {
            Box::pin(async move {
                let sql = format!("UPDATE {table} SET {column} = $2 WHERE CAST({key} AS TEXT) = $1 AND {column} = $3");
                Ok(tx.execute(built(sql), args![&row.id, hidden, row.text]).await? == 1)
            })
        });
        let what = "blotted out; the secret itself must be changed: it may be in backups and logs";
        Some(Finding::new(id, proof, Remedy::Safe(what, remedy)).key(format!("{table}.{column}")))
    }
}

fn hide(text: &str, own: Option<&str>) -> String {
    let mut text = match own {
        Some(own) => text.replace(own, HIDDEN),
        None => text.to_owned(),
    };
    for (_, pattern) in PATTERNS.iter() {
        text = pattern.replace_all(&text, HIDDEN).into_owned();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> Option<&'static str> {
        PATTERNS.iter().find(|(_, p)| p.is_match(text)).map(|(name, _)| *name)
    }

    #[test]
    fn every_pattern_is_one_and_what_it_finds_is_hidden() {
        assert_eq!(PATTERNS.len(), 5);
        for secret in [
            "-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----",
            &format!("gAAAAA{}", "x".repeat(60)),
            r#"{"adminPass": "opensesame"}"#,
            r#"{\"password\": \"opensesame\"}"#,
            "login with password=opensesame failed",
            "postgresql://skyiron:opensesame@db/cloud",
        ] {
            let found = kind(secret);
            assert!(found.is_some(), "{secret}");
            let hidden = hide(secret, None);
            assert!(!hidden.contains("opensesame") && kind(&hidden).is_none(), "{hidden}");
            assert!(HINTS.iter().any(|h| secret.to_lowercase().contains(h)), "{secret}");
        }
    }

    #[test]
    fn plain_words_are_none() {
        for plain in [
            "asked for by user 5f2 in req-1",
            "The password is too short",
            "http://127.0.0.1:8700/image/v2",
            r#"{"action_id": 3, "event": "compute_stop_instance"}"#,
            r#"{"adminPass": "***"}"#,
        ] {
            assert_eq!(kind(plain), None, "{plain}");
        }
    }
}
