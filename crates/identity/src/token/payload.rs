//! What a token says, packed as Keystone packs it: `(version, user, methods, …)`.

use super::Methods;
use super::item::Item;
use base::Timestamp;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

/// A token's own words. What they mean now is another question: see `auth::resolve`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub user_id: String,
    pub methods: Methods,
    pub scope: TokenScope,
    pub trust_id: Option<String>,
    pub application_credential_id: Option<String>,
    /// Whole seconds.
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
    /// Its own id, and that of the first token of the chain it was made from.
    pub audit_ids: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenScope {
    Unscoped,
    Domain(String),
    Project(String),
    System,
}

/// Keystone's payload versions.
mod version {
    pub(super) const UNSCOPED: i64 = 0;
    pub(super) const DOMAIN: i64 = 1;
    pub(super) const PROJECT: i64 = 2;
    pub(super) const TRUST: i64 = 3;
    pub(super) const SYSTEM: i64 = 8;
    pub(super) const APPLICATION_CREDENTIAL: i64 = 9;
}

/// A new audit id: 16 random bytes in URL-safe base64.
pub fn new_audit_id() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>())
}

impl Token {
    /// Packs all but the time of issue, which Fernet carries.
    pub fn pack(&self) -> Vec<u8> {
        let mut items = vec![Item::Int(self.version()), flagged_id(&self.user_id), Item::Int(self.methods.bits())];
        match &self.scope {
            TokenScope::Unscoped => {}
            TokenScope::Domain(id) => items.push(plain_id(id)),
            TokenScope::Project(id) => items.push(flagged_id(id)),
            TokenScope::System => items.push(Item::Text("all".into())),
        }
        #[expect(clippy::cast_precision_loss, reason = "Keystone keeps seconds as a float")]
        items.push(Item::Float(self.expires_at.0 as f64 / 1e6));
        let audit = |id: &String| Item::Bytes(URL_SAFE_NO_PAD.decode(id).unwrap_or_default());
        items.push(Item::List(self.audit_ids.iter().map(audit).collect()));
        if let Some(id) = &self.trust_id {
            items.push(plain_id(id));
        } else if let Some(id) = &self.application_credential_id {
            items.push(flagged_id(id));
        }
        rmp_serde::to_vec(&Item::List(items)).unwrap_or_default()
    }

    fn version(&self) -> i64 {
        match (&self.scope, &self.trust_id, &self.application_credential_id) {
            (TokenScope::Project(_), Some(_), _) => version::TRUST,
            (TokenScope::Project(_), None, Some(_)) => version::APPLICATION_CREDENTIAL,
            (TokenScope::Project(_), None, None) => version::PROJECT,
            (TokenScope::Domain(_), ..) => version::DOMAIN,
            (TokenScope::System, ..) => version::SYSTEM,
            (TokenScope::Unscoped, ..) => version::UNSCOPED,
        }
    }

    /// `issued_at`: seconds. `None`: not a payload of a kind we make (federation, OAuth1).
    pub fn unpack(issued_at: u64, payload: &[u8]) -> Option<Self> {
        let item: Item = rmp_serde::from_slice(payload).ok()?;
        let (version, rest) = item.list()?.split_first()?;
        let version = version.int()?;
        let mut rest = rest.iter();
        let user_id = read_flagged(rest.next()?)?;
        let methods = Methods::from_bits(rest.next()?.int()?)?;
        let scope = match version {
            version::UNSCOPED => TokenScope::Unscoped,
            version::DOMAIN => TokenScope::Domain(read_plain(rest.next()?)?),
            version::PROJECT | version::TRUST | version::APPLICATION_CREDENTIAL => {
                TokenScope::Project(read_flagged(rest.next()?)?)
            }
            version::SYSTEM => {
                rest.next()?;
                TokenScope::System
            }
            _ => return None,
        };
        let expires_at = rest.next()?.float()?;
        let audit_ids: Option<Vec<String>> =
            rest.next()?.list()?.iter().map(|b| Some(URL_SAFE_NO_PAD.encode(b.bytes()?))).collect();
        let trust_id = if version == version::TRUST { Some(read_plain(rest.next()?)?) } else { None };
        let application_credential_id =
            if version == version::APPLICATION_CREDENTIAL { Some(read_flagged(rest.next()?)?) } else { None };
        #[expect(clippy::cast_possible_truncation, reason = "microseconds since 1970 fit; a cast saturates")]
        let expires_at = Timestamp((expires_at * 1e6).round() as i64);
        Some(Self {
            user_id,
            methods,
            scope,
            trust_id,
            application_credential_id,
            issued_at: Timestamp(i64::try_from(issued_at).ok()?.checked_mul(1_000_000)?),
            expires_at,
            audit_ids: audit_ids?,
        })
    }
}

/// 32 hex digits become 16 bytes; anything else stays text.
fn as_uuid(id: &str) -> Option<Vec<u8>> {
    let canonical = id.len() == 32 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if canonical { Uuid::parse_str(id).ok().map(|u| u.as_bytes().to_vec()) } else { None }
}

/// `(true, 16 bytes)` or `(false, text)`.
fn flagged_id(id: &str) -> Item {
    Item::List(match as_uuid(id) {
        Some(bytes) => vec![Item::Bool(true), Item::Bytes(bytes)],
        None => vec![Item::Bool(false), Item::Text(id.to_owned())],
    })
}

fn read_flagged(item: &Item) -> Option<String> {
    match item.list()? {
        [Item::Bool(true), id] => from_uuid(id.bytes()?),
        [Item::Bool(false), id] => id.text().map(str::to_owned),
        _ => None,
    }
}

/// 16 bytes or text, told apart by their type.
fn plain_id(id: &str) -> Item {
    as_uuid(id).map_or_else(|| Item::Text(id.to_owned()), Item::Bytes)
}

fn read_plain(item: &Item) -> Option<String> {
    match item {
        Item::Bytes(b) if b.len() == 16 => from_uuid(b),
        other => other.text().map(str::to_owned),
    }
}

fn from_uuid(bytes: &[u8]) -> Option<String> {
    Some(Uuid::from_slice(bytes).ok()?.simple().to_string())
}
