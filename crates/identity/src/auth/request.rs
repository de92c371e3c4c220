//! `POST /v3/auth/tokens` as data.

use crate::Error;
use crate::schema;
use base::Secret;
use serde_json::Value;

#[derive(Debug)]
pub(super) struct AuthRequest {
    /// In the order given, without repeats. Never empty.
    pub(super) proofs: Vec<Proof>,
    pub(super) scope: Asked,
}

#[derive(Debug)]
pub(super) enum Proof {
    Password { user: Who, password: Secret },
    Token(Secret),
    ApplicationCredential(AppCredProof),
    Totp { user: Who, passcode: Secret },
}

/// The credential by id, or by name and its user.
#[derive(Debug)]
pub(super) struct AppCredProof {
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) user: Option<Who>,
    pub(super) secret: Secret,
}

/// A thing by id, or by name within a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Id(String),
    Named { name: String, domain: DomainRef },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DomainRef {
    Id(String),
    Name(String),
}

/// The scope asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Nothing said: the user's default project, if that works.
    Default,
    Unscoped,
    Project(Who),
    Domain(DomainRef),
    System,
    Trust(String),
}

const SCOPES: [&str; 5] = ["project", "domain", "unscoped", "system", "OS-TRUST:trust"];

impl AuthRequest {
    pub(super) fn parse(body: &Value) -> Result<Self, Error> {
        if body.get("auth").is_none_or(Value::is_null) {
            return Err(Error::missing("auth", "request body"));
        }
        schema::check("auth.tokens", body)?;
        let auth = &body["auth"];
        let identity = &auth["identity"];
        let mut methods: Vec<&str> = Vec::new();
        for m in identity["methods"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !methods.contains(&m) {
                methods.push(m);
            }
        }
        if let Some(m) = methods.iter().find(|m| identity.get(**m).is_none()) {
            return Err(Error::missing(m, "identity"));
        }
        let proofs: Result<Vec<Proof>, Error> = methods.iter().map(|m| Proof::parse(m, &identity[*m])).collect();
        let proofs = proofs?;
        if proofs.is_empty() {
            return Err(Error::Unauthorized);
        }
        Ok(Self { proofs, scope: Asked::parse(auth.get("scope"))? })
    }
}

impl Proof {
    fn parse(method: &str, data: &Value) -> Result<Self, Error> {
        match method {
            "password" => {
                let user = &data["user"];
                if !user.is_object() {
                    return Err(Error::missing("user", "password"));
                }
                let password = text(user, "password").ok_or_else(|| Error::missing("password", "user"))?;
                Ok(Self::Password {
                    user: Who::parse(user, "identity/password/user", "user")?,
                    password: Secret::new(password),
                })
            }
            "token" => Ok(Self::Token(Secret::new(text(data, "id").ok_or_else(|| Error::missing("id", "token"))?))),
            "application_credential" => {
                let id = text(data, "id");
                let name = text(data, "name");
                if id.is_none() && name.is_none() {
                    return Err(Error::missing("name or ID", "application credential"));
                }
                let user = match data.get("user").filter(|u| u.is_object()) {
                    Some(user) => Some(Who::parse(user, "identity/application_credential/user", "user")?),
                    None if id.is_none() => return Err(Error::missing("user", "application credential")),
                    None => None,
                };
                let secret = text(data, "secret").ok_or_else(|| Error::missing("secret", "application credential"))?;
                Ok(Self::ApplicationCredential(AppCredProof { id, name, user, secret: Secret::new(secret) }))
            }
            "totp" => {
                let user = &data["user"];
                if !user.is_object() {
                    return Err(Error::missing("user", "totp"));
                }
                let passcode = text(user, "passcode").ok_or_else(|| Error::missing("passcode", "user"))?;
                Ok(Self::Totp {
                    user: Who::parse(user, "identity/totp/user", "user")?,
                    passcode: Secret::new(passcode),
                })
            }
            _ => Err(Error::unauthorized_because("Attempted to authenticate with an unsupported method.")),
        }
    }
}

impl Who {
    fn parse(value: &Value, path: &str, what: &str) -> Result<Self, Error> {
        if let Some(id) = text(value, "id") {
            return Ok(Self::Id(id));
        }
        let name = text(value, "name").ok_or_else(|| id_or_name(path))?;
        let domain = value.get("domain").ok_or_else(|| Error::missing("domain", what))?;
        Ok(Self::Named { name, domain: DomainRef::parse(domain, &format!("{path}/domain"))? })
    }
}

impl DomainRef {
    fn parse(value: &Value, path: &str) -> Result<Self, Error> {
        match (text(value, "name"), text(value, "id")) {
            (Some(name), _) => Ok(Self::Name(name)),
            (None, Some(id)) => Ok(Self::Id(id)),
            (None, None) => Err(id_or_name(path)),
        }
    }
}

impl Asked {
    fn parse(scope: Option<&Value>) -> Result<Self, Error> {
        let scope = match scope {
            None => return Ok(Self::Default),
            Some(Value::String(s)) if s == "unscoped" => return Ok(Self::Unscoped),
            Some(scope) => scope,
        };
        let given: Vec<&str> = SCOPES.into_iter().filter(|s| scope.get(s).is_some()).collect();
        let [only] = given[..] else {
            return Err(Error::missing("system, project, domain, OS-TRUST:trust or unscoped", "scope"));
        };
        let value = &scope[only];
        match only {
            "unscoped" => Ok(Self::Unscoped),
            "system" => Ok(Self::System),
            "project" => Ok(Self::Project(Who::parse(value, "scope/project", "project")?)),
            "domain" => Ok(Self::Domain(DomainRef::parse(value, "scope/domain")?)),
            _ => Ok(Self::Trust(text(value, "id").ok_or_else(|| Error::missing("trust_id", "trust"))?)),
        }
    }
}

fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key)?.as_str().map(str::to_owned)
}

fn id_or_name(path: &str) -> Error {
    Error::bad_request(format!("Invalid input for field {path}: id or name must be present."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refusal(body: &Value) -> (u16, String) {
        match AuthRequest::parse(body) {
            Err(Error::Refused { status, message }) => (status.as_u16(), message),
            Err(Error::Unauthorized) => (401, String::new()),
            other => panic!("{other:?}"),
        }
    }

    fn with(identity: &Value, scope: &Value) -> Value {
        json!({"auth": {"identity": identity, "scope": scope}})
    }

    #[test]
    fn scopes() {
        let identity = json!({"methods": ["token"], "token": {"id": "t"}});
        let ask = |scope: Value| AuthRequest::parse(&with(&identity, &scope)).map(|r| r.scope);
        assert_eq!(ask(json!("unscoped")).unwrap(), Asked::Unscoped);
        assert_eq!(ask(json!({"unscoped": {}})).unwrap(), Asked::Unscoped);
        assert_eq!(ask(json!({"system": {"all": true}})).unwrap(), Asked::System);
        assert_eq!(ask(json!({"project": {"id": "p"}})).unwrap(), Asked::Project(Who::Id("p".into())));
        let named = Who::Named { name: "p".into(), domain: DomainRef::Name("d".into()) };
        assert_eq!(ask(json!({"project": {"name": "p", "domain": {"name": "d"}}})).unwrap(), Asked::Project(named));
        assert_eq!(ask(json!({"domain": {"id": "d"}})).unwrap(), Asked::Domain(DomainRef::Id("d".into())));
        for bad in [json!({}), json!({"project": {"id": "p"}, "domain": {"id": "d"}}), json!("scoped")] {
            assert_eq!(refusal(&with(&identity, &bad)).0, 400, "{bad}");
        }
        assert_eq!(refusal(&with(&identity, &json!({"project": {"name": "p"}}))).0, 400);
    }

    #[test]
    fn bad_requests_and_unknown_methods() {
        assert_eq!(refusal(&json!({})).0, 400);
        assert_eq!(refusal(&json!({"auth": {}})).0, 400);
        assert_eq!(refusal(&json!({"auth": {"identity": {"methods": []}}})).0, 401);
        assert_eq!(refusal(&json!({"auth": {"identity": {"methods": ["password"]}}})).0, 400);
        let (status, message) = refusal(&json!({"auth": {"identity": {"methods": ["magic"], "magic": {}}}}));
        assert_eq!((status, message.as_str()), (401, "Attempted to authenticate with an unsupported method."));
        let nameless = json!({"methods": ["password"], "password": {"user": {"password": "x"}}});
        assert_eq!(refusal(&json!({"auth": {"identity": nameless}})).0, 400);
    }
}
