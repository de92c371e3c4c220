//! S47: whatever is made with what, in whatever order, has no more rights and no longer life than what it was made with.
//!
//! Chains of derivations are drawn: a token for a token, a trust, a trust handed on, an application credential, an EC2
//! key; each with wishes that are often too large. What is refused is refused; what is made is held against its maker.

use crate::signed::{exchange, signed_ec2};
use crate::world::{World, by_token, on_each, password, project};
use base::{Scope, Timestamp, TokenFacts};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

const ROLES: [&str; 4] = ["admin", "manager", "member", "reader"];
const USERS: [&str; 3] = ["ann", "bob", "cid"];

/// What somebody wishes for.
#[derive(Clone, Debug)]
struct Wish {
    by: By,
    roles: Vec<usize>,
    project: usize,
    to: usize,
    /// Minutes from now. `None`: no end.
    ends: Option<u64>,
    flag: bool,
    /// Access rules: none, narrow, wide.
    rules: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Token,
    Trust,
    AppCred,
    Ec2,
}

fn wishes() -> impl Strategy<Value = Vec<Wish>> {
    let by = prop_oneof![Just(By::Token), Just(By::Trust), Just(By::Trust), Just(By::AppCred), Just(By::Ec2)];
    let roles = prop::collection::vec(0..ROLES.len(), 0..3);
    let ends = prop::option::of(1..90u64);
    let one = (by, roles, 0..3usize, 0..USERS.len(), ends, any::<bool>(), 0..3usize)
        .prop_map(|(by, roles, project, to, ends, flag, rules)| Wish { by, roles, project, to, ends, flag, rules });
    prop::collection::vec(one, 2..8)
}

/// A token, and what whatever is made with it must stay within.
#[derive(Clone, Debug)]
struct Held {
    token: String,
    facts: Arc<TokenFacts>,
    /// `None`: of a login by password; its user's rights are the bound.
    bound: Option<Bound>,
    /// Who logs in for a trust with it.
    who: &'static str,
}

#[derive(Clone, Debug)]
struct Bound {
    project: Option<String>,
    roles: BTreeSet<String>,
    ends: Option<Timestamp>,
    has_rules: bool,
}

fn roles_of(facts: &TokenFacts) -> BTreeSet<String> {
    facts.roles.iter().cloned().collect()
}

fn project_of(facts: &TokenFacts) -> Option<String> {
    facts.project_id().map(ToString::to_string)
}

struct Site {
    w: World,
    projects: Vec<String>,
    ids: Vec<String>,
    service: String,
}

impl Site {
    async fn new(w: World) -> Self {
        let admin = w.admin().await;
        let projects =
            vec![w.project(&admin, "p0").await, w.project(&admin, "p1").await, w.project(&admin, "p2").await];
        let mut ids = Vec::new();
        for (user, role, on) in [("ann", "manager", 0), ("bob", "member", 1), ("cid", "reader", 2)] {
            ids.push(w.user(&admin, user, Some((role, &projects[on]))).await);
        }
        // Ann has less on a second project
        let reader = w.role(&admin, "reader").await;
        let grant = format!("/v3/projects/{}/users/{}/roles/{reader}", projects[1], ids[0]);
        w.expect(204, "PUT", &grant, &admin, Value::Null).await;
        w.user(&admin, "gateway", Some(("service", &projects[0]))).await;
        let service = w.token(password("gateway", "gateway"), project(&projects[0])).await;
        Self { w, projects, ids, service }
    }

    fn id_of(&self, user: &str) -> &str {
        &self.ids[USERS.iter().position(|u| *u == user).unwrap()]
    }

    /// A token's meaning as compute sees it. With access rules it has one for what they permit.
    async fn facts(&self, token: &str) -> Option<(Arc<TokenFacts>, bool)> {
        use platform_http::{Asked, Authenticate, Method};
        if let Ok(facts) = self.w.identity.authenticate(token).await {
            return Some((facts, false));
        }
        let asked = Asked { service: "identity", method: &Method::GET, path: "/v3/narrow" };
        let ruled = self.w.identity.authenticate_for(token, asked).await.ok()?;
        Some((ruled, true))
    }

    async fn held(&self, token: String, bound: Option<Bound>, who: &'static str) -> Option<Held> {
        let (facts, _) = self.facts(&token).await?;
        Some(Held { token, facts, bound, who })
    }

    async fn derive(&self, from: &Held, wish: &Wish) -> Option<Held> {
        let made = match wish.by {
            By::Token => self.by_token(from, wish).await,
            By::Trust => self.by_trust(from, wish).await,
            By::AppCred => self.by_app_cred(from, wish).await,
            By::Ec2 => self.by_ec2(from, wish).await,
        }?;
        self.compare(from, &made, wish);
        Some(made)
    }

    async fn by_token(&self, from: &Held, wish: &Wish) -> Option<Held> {
        let scope = match wish.rules {
            0 => Value::Null,
            1 => json!("unscoped"),
            _ => project(&self.projects[wish.project]),
        };
        let reply = self.w.log_in(by_token(&from.token), scope).await;
        let token = (reply.status == 201).then(|| reply.text("x-subject-token"))?;
        let made = self.held(token, from.bound.clone(), from.who).await?;
        assert!(made.facts.expires_at <= from.facts.expires_at, "{from:?} {wish:?}");
        Some(made)
    }

    async fn by_trust(&self, from: &Held, wish: &Wish) -> Option<Held> {
        let to = USERS[wish.to];
        let mut trust = json!({
            "trustor_user_id": from.facts.user_id.to_string(), "trustee_user_id": self.id_of(to),
            "project_id": self.projects[wish.project], "impersonation": wish.flag,
            "roles": self.named(wish), "allow_redelegation": true,
        });
        self.set_end(&mut trust, wish);
        let made = self.post("/v3/OS-TRUST/trusts", &from.token, json!({"trust": trust})).await?["trust"].clone();
        let reply = self.w.log_in(password(to, to), json!({"OS-TRUST:trust": {"id": made["id"]}})).await;
        let token = (reply.status == 201).then(|| reply.text("x-subject-token"))?;
        self.bounded(token, &made, to).await
    }

    async fn by_app_cred(&self, from: &Held, wish: &Wish) -> Option<Held> {
        let mut body = json!({"name": uuid(), "unrestricted": wish.flag});
        if !wish.roles.is_empty() {
            body["roles"] = self.named(wish);
        }
        match wish.rules {
            0 => {}
            1 => {
                body["access_rules"] = json!([
                {"service": "identity", "method": "GET", "path": "/v3/narrow"},
                {"service": "identity", "method": "POST", "path": "/v3/users/*/application_credentials"}])
            }
            _ => {
                body["access_rules"] = json!([
                {"service": "identity", "method": "GET", "path": "/v3/**"},
                {"service": "identity", "method": "POST", "path": "/v3/**"}])
            }
        }
        self.set_end(&mut body, wish);
        let path = format!("/v3/users/{}/application_credentials", from.facts.user_id);
        let made = self.post(&path, &from.token, json!({"application_credential": body})).await?;
        let made = made["application_credential"].clone();
        let login = json!({"methods": ["application_credential"],
                           "application_credential": {"id": made["id"], "secret": made["secret"]}});
        let reply = self.w.log_in(login, Value::Null).await;
        let token = (reply.status == 201).then(|| reply.text("x-subject-token"))?;
        self.bounded(token, &made, from.who).await
    }

    async fn by_ec2(&self, from: &Held, wish: &Wish) -> Option<Held> {
        let path = format!("/v3/users/{}/credentials/OS-EC2", from.facts.user_id);
        let tenant = project_of(&from.facts).filter(|_| wish.flag).unwrap_or(self.projects[wish.project].clone());
        let key = self.post(&path, &from.token, json!({"tenant_id": tenant})).await?["credential"].clone();
        let at = base::Clock::now(&*self.w.clock).seconds_z();
        let reply = exchange(&self.w, &self.service, &signed_ec2(&key, &at)).await;
        let token = (reply.status == 200).then(|| reply.text("x-subject-token"))?;
        // the key has no end of its own: that of what it is bound to
        let ends = from.bound.as_ref().and_then(|b| b.ends);
        let end = ends.map_or(Value::Null, |t| json!(t.micros_z()));
        self.bounded(token, &json!({"expires_at": end}), from.who).await
    }

    async fn bounded(&self, token: String, made: &Value, who: &'static str) -> Option<Held> {
        let (facts, has_rules) = self.facts(&token).await?;
        let ends = made["expires_at"].as_str().and_then(Timestamp::parse_iso);
        let bound = Bound { project: project_of(&facts), roles: roles_of(&facts), ends, has_rules };
        Some(Held { token, facts, bound: Some(bound), who })
    }

    /// The heart of it.
    fn compare(&self, from: &Held, made: &Held, wish: &Wish) {
        let what = || format!("{wish:?}\n of {from:?}\n made {made:?}");
        let (roles, scope) = (roles_of(&made.facts), project_of(&made.facts));
        assert!(!matches!(made.facts.scope, Scope::System | Scope::Domain { .. }), "{}", what());
        // what the user whose rights they are has at all
        let most: [&[(usize, &str)]; 3] = [&[(0, "manager"), (1, "reader")], &[(1, "member")], &[(2, "reader")]];
        match &from.bound {
            None => {
                let of = self.ids.iter().position(|id| *id == from.facts.user_id.to_string()).unwrap();
                let granted = most[of].iter().find(|(p, _)| Some(&self.projects[*p]) == scope.as_ref());
                let allowed = granted.map_or(0, |(_, r)| ROLES.len() - ROLES.iter().position(|x| x == r).unwrap());
                let allowed: BTreeSet<String> = ROLES.iter().rev().take(allowed).map(|r| (*r).to_owned()).collect();
                assert!(roles.is_subset(&allowed), "{}", what());
            }
            Some(bound) => {
                assert!(scope.is_none() && roles.is_empty() || scope == bound.project, "{}", what());
                assert!(roles.is_subset(&bound.roles), "{}", what());
                if let Some(end) = bound.ends {
                    assert!(made.facts.expires_at <= end, "{}", what());
                    let own = made.bound.as_ref().and_then(|b| b.ends);
                    assert!(own.is_some_and(|own| own <= end), "{}", what());
                }
                if bound.has_rules {
                    assert!(made.bound.as_ref().is_some_and(|b| b.has_rules), "{}", what());
                }
            }
        }
    }

    fn named(&self, wish: &Wish) -> Value {
        wish.roles.iter().map(|r| json!({"name": ROLES[*r]})).collect()
    }

    fn set_end(&self, body: &mut Value, wish: &Wish) {
        if let Some(minutes) = wish.ends {
            let end = base::Clock::now(&*self.w.clock).plus(Duration::from_secs(60 * minutes));
            body["expires_at"] = json!(end.micros_z());
        }
    }

    async fn post(&self, path: &str, token: &str, body: Value) -> Option<Value> {
        let reply = self.w.call("POST", path, &[("x-auth-token", token)], &body).await;
        assert!(reply.status < 500, "{path} {body}: {}", reply.body);
        (reply.status == 201).then_some(reply.body)
    }
}

fn uuid() -> String {
    base::entropy::uuid().to_string()
}

#[tokio::test]
async fn s47_no_chain_of_derivations_widens_rights_or_life() {
    on_each(|w| async move {
        let site = Site::new(w).await;
        let seed = TestRng::from_seed(RngAlgorithm::ChaCha, &[47; 32]);
        let mut runner = TestRunner::new_with_rng(Config::default(), seed);
        let mut made = std::collections::BTreeMap::new();
        let strategy = (0..USERS.len(), wishes());
        for _ in 0..80 {
            let (user, wishes) = strategy.new_tree(&mut runner).unwrap().current();
            let own = [0, 1, 2][user];
            let token = site.w.token(password(USERS[user], USERS[user]), project(&site.projects[own])).await;
            let mut held = site.held(token, None, USERS[user]).await.unwrap();
            for (depth, mut wish) in wishes.into_iter().enumerate() {
                // most wishes are for the project one is in, or chains would end at once
                if wish.ends.is_none_or(|m| m % 4 != 0) {
                    let here = project_of(&held.facts).and_then(|p| site.projects.iter().position(|q| *q == p));
                    wish.project = here.unwrap_or(wish.project);
                }
                // and a trust is handed on with just the roles it was given with
                if wish.rules == 1 {
                    let roles = roles_of(&held.facts);
                    wish.roles = (0..ROLES.len()).filter(|r| roles.contains(ROLES[*r])).take(1).collect();
                }
                if let Some(next) = site.derive(&held, &wish).await {
                    *made.entry((format!("{:?}", wish.by), held.bound.is_some() && depth > 0)).or_insert(0) += 1;
                    held = next;
                }
            }
        }
        // the test tries something: every kind was made, and from something bounded what may be
        for key in
            [("Token", false), ("Trust", false), ("Trust", true), ("AppCred", false), ("AppCred", true), ("Ec2", true)]
        {
            let n = made.get(&(key.0.to_owned(), key.1)).copied().unwrap_or(0);
            assert!(n > 0, "{key:?} of {made:?}");
        }
    })
    .await;
}
