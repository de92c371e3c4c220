//! How to reach the servers, and the parts of it that can be judged without them.

use base::Secret;
use std::path::PathBuf;
use url::Url;

/// Text that is empty means "none".
#[derive(Clone, Debug)]
pub struct Settings {
    /// `nats://HOST:PORT`, `tls://HOST:PORT`, several separated by commas: the servers of one cluster. With a user and a
    /// password, or a token alone, before the `@`. Empty: the bus in one process.
    pub url: Secret,
    /// First word of every subject, so that clouds may share servers.
    pub prefix: String,
    /// What the servers' monitoring calls this connection.
    pub name: String,
    pub token: Secret,
    /// A `.creds` file: a user's JWT and its key.
    pub credentials_file: String,
    /// A file with the seed of a user's nkey.
    pub nkey_file: String,
    /// PEM file of the authorities that may vouch for the servers, in place of the system's. Set: TLS always.
    pub ssl_root_cert: String,
    /// This client's certificate and key, PEM.
    pub ssl_cert: String,
    pub ssl_key: String,
}

impl Default for Settings {
    fn default() -> Self {
        let none = String::new;
        Self {
            url: Secret::default(),
            prefix: "skyiron".into(),
            name: "skyiron".into(),
            token: Secret::default(),
            credentials_file: none(),
            nkey_file: none(),
            ssl_root_cert: none(),
            ssl_cert: none(),
            ssl_key: none(),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the bus's URL: {0}")]
    Url(String),
    #[error("the bus's settings: {0}")]
    Settings(&'static str),
    #[error("the bus's file {}: {what}", path.display())]
    File { path: PathBuf, what: &'static str, source: std::io::Error },
    #[error("the bus's client did not start")]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Who we are to the servers.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Login {
    #[default]
    Nobody,
    Password(String, Secret),
    Token(Secret),
    Credentials(PathBuf),
    Nkey(PathBuf),
}

#[derive(Debug)]
pub(super) struct Plan {
    /// Without users and passwords, so that no log can show them.
    pub servers: Vec<Url>,
    pub login: Login,
    pub tls: bool,
    pub root_cert: Option<PathBuf>,
    pub client_cert: Option<(PathBuf, PathBuf)>,
}

impl Settings {
    /// Finds what can be found without reading files or asking servers.
    pub fn check(&self) -> Result<(), OpenError> {
        if self.url.expose().is_empty() { Ok(()) } else { self.plan().map(|_| ()) }
    }

    pub(super) fn plan(&self) -> Result<Plan, OpenError> {
        let path = |text: &str| (!text.is_empty()).then(|| PathBuf::from(text));
        let mut logins = Vec::new();
        let mut servers = Vec::new();
        for text in self.url.expose().split(',').map(str::trim) {
            let (server, login) = server(text)?;
            if let Some(login) = login.filter(|login| !logins.contains(login)) {
                logins.push(login);
            }
            servers.push(server);
        }
        if !self.token.expose().is_empty() {
            logins.push(Login::Token(self.token.clone()));
        }
        logins.extend(path(&self.credentials_file).map(Login::Credentials));
        logins.extend(path(&self.nkey_file).map(Login::Nkey));
        if logins.len() > 1 {
            return Err(OpenError::Settings("several ways to log in: give one, the same for every server"));
        }
        if self.prefix.is_empty() || !self.prefix.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)) {
            return Err(OpenError::Settings("the prefix is one word of letters, digits, - and _"));
        }
        let client_cert = match (path(&self.ssl_cert), path(&self.ssl_key)) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, None) => None,
            _ => return Err(OpenError::Settings("ssl_cert and ssl_key come together")),
        };
        let root_cert = path(&self.ssl_root_cert);
        let tls = root_cert.is_some() || client_cert.is_some() || servers.iter().any(|s| s.scheme() == "tls");
        Ok(Plan { servers, login: logins.pop().unwrap_or_default(), tls, root_cert, client_cert })
    }
}

/// One server's URL, and the login that stood in it. Errors do not repeat the text: there may be a password in it.
fn server(text: &str) -> Result<(Url, Option<Login>), OpenError> {
    let wrong = |why: &str| OpenError::Url(why.to_owned());
    let mut url: Url = text.parse().map_err(|e| OpenError::Url(format!("{e}; it looks like nats://HOST:4222")))?;
    if !["nats", "tls"].contains(&url.scheme()) {
        return Err(wrong("it begins with nats:// or tls://"));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(wrong("it names no host"));
    }
    let plain = |encoded: &str| {
        let decoded = percent_encoding::percent_decode_str(encoded).decode_utf8();
        decoded.map(std::borrow::Cow::into_owned).map_err(|_| wrong("its user or password is not UTF-8"))
    };
    let login = match (url.username(), url.password()) {
        ("", None) => None,
        (token, None) => Some(Login::Token(Secret::new(plain(token)?))),
        (user, Some(password)) => Some(Login::Password(plain(user)?, Secret::new(plain(password)?))),
    };
    // both only fail for URLs without a host
    url.set_username("").and_then(|()| url.set_password(None)).map_err(|()| wrong("it names no host"))?;
    Ok((url, login))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str) -> Settings {
        Settings { url: Secret::new(url), ..Settings::default() }
    }

    fn refusal(settings: &Settings) -> String {
        settings.plan().unwrap_err().to_string()
    }

    #[test]
    fn urls_and_logins() {
        let plan = settings("nats://a:4222, nats://b").plan().unwrap();
        assert_eq!((plan.servers.len(), plan.login, plan.tls), (2, Login::Nobody, false));
        let plan = settings("tls://sky:p%40ss@a,tls://sky:p%40ss@b").plan().unwrap();
        assert_eq!(plan.login, Login::Password("sky".into(), Secret::new("p@ss")));
        assert!(plan.tls);
        assert_eq!(plan.servers[1].as_str(), "tls://b");
        assert_eq!(settings("nats://t0ken@a").plan().unwrap().login, Login::Token(Secret::new("t0ken")));
        let root = Settings { ssl_root_cert: "/ca.pem".into(), ..settings("nats://a") };
        assert!(root.plan().unwrap().tls, "a root certificate means TLS");
    }

    #[test]
    fn refusals_show_no_password() {
        for url in ["http://sky:secret@a", "nats://sky:secret@", "sky:secret@a:99999"] {
            let text = refusal(&settings(url));
            assert!(!text.contains("secret"), "{text}");
        }
        assert!(refusal(&settings("nats://a:b@h,nats://c:d@h")).contains("several ways"));
        let two = Settings { token: Secret::new("t"), ..settings("nats://a:b@h") };
        assert!(refusal(&two).contains("several ways"));
        let half = Settings { ssl_cert: "/c.pem".into(), ..settings("nats://h") };
        assert!(refusal(&half).contains("together"));
        let star = Settings { prefix: "*".into(), ..settings("nats://h") };
        assert!(refusal(&star).contains("prefix"));
        assert!(!format!("{:?}", settings("nats://a:secret@h")).contains("secret"));
    }
}
