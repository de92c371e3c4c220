//! The identity service as other parts of the process see it.

use crate::audit::Audit;
use crate::auth::{CatalogCache, Resolved, Throttle};
use crate::config::IdentityConfig;
use crate::password::HashPool;
use crate::policy::Policy;
use crate::revision::Revision;
use crate::sealed::credential_keys;
use crate::token::keys::{FERNET_KEYS, KeyRepository};
use crate::token::{TokenCache, Turns};
use crate::{Error, bootstrap, store};
use async_trait::async_trait;
use base::{Clock, Timestamp, TokenFacts};
use platform_db::{Db, DbError, Tx};
use platform_http::{Asked, AuthError, Authenticate};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Tokens kept in memory: up to twice this many, some 2 KiB each, and 3 more if another service asks about them.
const CACHED_TOKENS: usize = 4096;
/// How often other processes' changes are asked for, in the database and in the folders of keys.
const LOOK: Duration = Duration::from_secs(1);

/// Cheap to clone.
#[derive(Clone)]
pub struct Identity(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) db: Db,
    pub(crate) config: IdentityConfig,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) keys: KeyRepository,
    pub(crate) credential_keys: KeyRepository,
    pub(crate) passwords: HashPool,
    pub(crate) throttle: Throttle,
    /// Logins came through what may be a balancer that is not in `trusted_proxies`, and that was told.
    pub(crate) unnamed_proxy: AtomicBool,
    pub(crate) audit: Audit,
    pub(crate) policy: Policy,
    pub(crate) revision: Revision,
    pub(crate) tokens: TokenCache<Arc<Resolved>>,
    pub(crate) turns: Turns,
    pub(crate) catalog: CatalogCache,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity")
    }
}

impl Identity {
    /// Opens identity over a migrated database: reads or makes the keys, and brings the first domain, project, user,
    /// roles and this cloud's catalog to what they must be.
    ///
    /// `true`: the user `admin` was made now, with the password of `config`; otherwise it has whatever password it had.
    pub async fn open(db: Db, config: IdentityConfig, clock: Arc<dyn Clock>) -> Result<(Self, bool), Error> {
        let inner = Inner {
            keys: KeyRepository::open(&config.key_dir.join(FERNET_KEYS))?,
            credential_keys: credential_keys(&config.key_dir, config.credential_key_file.as_deref())?,
            passwords: HashPool::start(config.scheme, config.hash_threads)?,
            throttle: Throttle::new(config.login),
            unnamed_proxy: AtomicBool::new(false),
            audit: Audit::to(config.audit_file.clone()),
            policy: Policy::load(config.policy.as_deref())?,
            revision: Revision::default(),
            tokens: TokenCache::new(CACHED_TOKENS),
            turns: Turns::default(),
            catalog: CatalogCache::default(),
            db,
            config,
            clock,
        };
        let identity = Self(Arc::new(inner));
        let made_admin = bootstrap::run(&identity).await?;
        identity.seal_what_is_clear().await?;
        identity.look_for_changes().await?;
        tokio::spawn(watch(Arc::downgrade(&identity.0)));
        tokio::spawn(watch_keys(Arc::downgrade(&identity.0)));
        Ok((identity, made_admin))
    }

    /// What a token means, if it is valid now. About a microsecond for a token seen before.
    ///
    /// A token of an application credential with access rules is refused: ask [`Authenticate::authenticate_for`], which
    /// holds the request against them.
    pub async fn authenticate(&self, token: &str) -> Result<Arc<TokenFacts>, AuthError> {
        let resolved = self.valid(token).await?;
        if resolved.access_rules.is_empty() { Ok(resolved.facts.clone()) } else { Err(AuthError::Invalid) }
    }

    async fn valid(&self, token: &str) -> Result<Arc<Resolved>, AuthError> {
        match self.cached(token) {
            Some(known) => Ok(known),
            None => self.resolve_token(token, Duration::ZERO).await.map_err(|e| match e {
                Error::Db(e) => AuthError::Unavailable(e.to_string()),
                _ => AuthError::Invalid,
            }),
        }
    }

    /// What a token shown with that request means; and whether that says nothing about other requests, because the token
    /// has access rules.
    pub(crate) async fn validated(&self, token: &str, asked: Asked<'_>) -> Result<(Arc<TokenFacts>, bool), AuthError> {
        let resolved = self.valid(token).await?;
        let rules = &resolved.access_rules;
        let good = rules.is_empty() || rules.iter().any(|r| r.permits(&asked));
        if good { Ok((resolved.facts.clone(), !rules.is_empty())) } else { Err(AuthError::Invalid) }
    }

    /// Changes after each change that may alter what a token means, made here or noticed elsewhere.
    pub(crate) fn changes(&self) -> tokio::sync::watch::Receiver<u64> {
        self.0.revision.changes()
    }

    pub(crate) fn db(&self) -> &Db {
        &self.0.db
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Commits a change after which tokens may mean something else, and makes this process forget what it knew.
    pub(crate) async fn commit_change(&self, mut tx: Tx) -> Result<(), DbError> {
        let number = store::revision::raise(&mut tx).await?;
        tx.commit().await?;
        self.0.revision.seen(number);
        Ok(())
    }

    async fn look_for_changes(&self) -> Result<(), DbError> {
        self.0.revision.seen(store::revision::current(self.db()).await?);
        Ok(())
    }
}

/// Ends when the last [`Identity`] is gone.
async fn watch(identity: Weak<Inner>) {
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(inner) = identity.upgrade() else { return };
        if let Err(error) = Identity(inner).look_for_changes().await {
            tracing::warn!(%error, "cannot ask for changes made elsewhere");
        }
    }
}

/// Takes up rotations within a second, long before a token is made with a key that was only staged until then.
async fn watch_keys(identity: Weak<Inner>) {
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(inner) = identity.upgrade() else { return };
        // a folder on a share may hang
        let read = tokio::task::spawn_blocking(move || {
            inner.keys.refresh();
            inner.credential_keys.refresh();
        });
        if let Err(error) = read.await {
            tracing::error!(%error, "keys could not be read again");
        }
    }
}

#[async_trait]
impl Authenticate for Identity {
    async fn authenticate(&self, token: &str) -> Result<Arc<TokenFacts>, AuthError> {
        Self::authenticate(self, token).await
    }

    async fn authenticate_for(&self, token: &str, asked: Asked<'_>) -> Result<Arc<TokenFacts>, AuthError> {
        self.validated(token, asked).await.map(|(facts, _)| facts)
    }
}
