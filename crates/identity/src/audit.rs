//! Who did what to whom: one event for each login, refused or not, and for each change, in CADF's shape as Keystone's
//! notifications have it. To the log (target `audit`), and to a file if one is named: a line of JSON each.
//!
//! Nothing of a request's body gets in here, so no secret does either; nor the name of a user there is not, which may be
//! a password typed into the wrong field.

mod changes;

pub(crate) use changes::{Change, change};

use base::{RequestContext, Scope, Timestamp};
use serde_json::{Value, json};
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use uuid::Uuid;

/// More of a `User-Agent` says nothing.
const AGENT: usize = 256;

/// Where events go.
#[derive(Debug)]
pub(crate) struct Audit {
    file: Option<PathBuf>,
    /// This process, as CADF's observer.
    observer: String,
}

/// Who asks, from where.
#[derive(Clone, Debug, Default)]
pub(crate) struct Initiator {
    pub(crate) user_id: Option<String>,
    pub(crate) project_id: Option<String>,
    pub(crate) domain_id: Option<String>,
    pub(crate) request_id: String,
    pub(crate) address: Option<IpAddr>,
    pub(crate) agent: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Event<'a> {
    /// `authenticate`, `created.user` …
    pub(crate) action: String,
    pub(crate) initiator: &'a Initiator,
    /// CADF's name for the kind of thing, and its id.
    pub(crate) target: (&'static str, Option<String>),
    /// Ids beside the target's: of whom a role was granted to, and where.
    pub(crate) about: &'a [(String, String)],
    /// Status and reason of a refusal.
    pub(crate) refused: Option<(u16, &'a str)>,
}

impl Initiator {
    pub(crate) fn of(cx: &RequestContext, address: Option<IpAddr>, agent: Option<&str>) -> Self {
        let domain_id = match cx.token.as_ref().map(|t| &t.scope) {
            Some(Scope::Domain { id, .. }) => Some(id.0.clone()),
            _ => None,
        };
        Self {
            user_id: cx.user_id().map(ToString::to_string),
            project_id: cx.project_id().map(ToString::to_string),
            domain_id,
            request_id: cx.request_id.to_string(),
            address,
            agent: agent.map(|a| a.chars().take(AGENT).collect()),
        }
    }

    fn render(&self) -> Value {
        let mut value = json!({
            "typeURI": "service/security/account/user",
            "id": self.user_id.as_deref().unwrap_or("unknown"),
            "request_id": self.request_id,
            "host": {},
        });
        for (key, text) in [("project_id", &self.project_id), ("domain_id", &self.domain_id)] {
            if let Some(text) = text {
                value[key] = json!(text);
            }
        }
        if let Some(address) = self.address {
            value["host"]["address"] = json!(address.to_string());
        }
        if let Some(agent) = &self.agent {
            value["host"]["agent"] = json!(agent);
        }
        value
    }
}

impl Audit {
    pub(crate) fn to(file: Option<PathBuf>) -> Self {
        Self { file, observer: Uuid::new_v4().simple().to_string() }
    }

    /// Tells of an event. A file that cannot be written is an error in the log, where the event is all the same; nobody
    /// is refused for it.
    pub(crate) fn tell(&self, event: &Event<'_>, now: Timestamp) {
        let line = self.render(event, now).to_string();
        let outcome = if event.refused.is_none() { "success" } else { "failure" };
        tracing::info!(target: "audit", event = line, "{} {outcome}", event.action);
        if let Some(Err(error)) = self.file.as_ref().map(|_| self.append(&line)) {
            tracing::error!(target: "audit", %error, "the audit file cannot be written: {error}");
        }
    }

    /// Opened each time: whoever rotates it need not tell us.
    fn append(&self, line: &str) -> std::io::Result<()> {
        let Some(path) = &self.file else { return Ok(()) };
        let mut file = std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        // in one piece: other processes may append to the same file
        file.write_all(format!("{line}\n").as_bytes())
    }

    fn render(&self, event: &Event<'_>, now: Timestamp) -> Value {
        let (kind, id) = &event.target;
        let mut value = json!({
            "typeURI": "http://schemas.dmtf.org/cloud/audit/1.0/event",
            "id": Uuid::new_v4().to_string(),
            "eventTime": format!("{}+0000", now.micros_naive()),
            "eventType": "activity",
            "action": event.action,
            "outcome": if event.refused.is_none() { "success" } else { "failure" },
            "initiator": event.initiator.render(),
            "target": {"typeURI": kind, "id": id.as_deref().unwrap_or("unknown")},
            "observer": {"typeURI": "service/security", "id": self.observer},
        });
        if let Some((status, why)) = event.refused {
            value["reason"] = json!({"reasonCode": status.to_string(), "reasonType": why});
        }
        if !event.about.is_empty() {
            let one = |(name, id): &(String, String)| json!({"name": name, "typeURI": "xs:string", "content": id});
            value["attachments"] = event.about.iter().map(one).collect();
        }
        value
    }
}
