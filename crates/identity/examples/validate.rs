//! How many tokens one core validates in a second, in process: one token again and again, and a thousand in turn.
//! `cargo xtask bench identity` runs it.

use base::{Secret, SystemClock};
use http::Request;
use identity::{Identity, IdentityConfig, Scheme};
use platform_db::Db;
use platform_http::Body;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

const TOKENS: usize = 1000;
const TIME: Duration = Duration::from_secs(3);

type Failure = Box<dyn std::error::Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let db = Db::open(&format!("sqlite:{}", folder.path().join("db").display())).await?;
    db.migrate().await?;
    let mut config = IdentityConfig::new(folder.path().join("keys"), Secret::new("password"));
    // what is measured is not the hash
    config.scheme = Scheme::Scrypt { log_n: 4, r: 8, p: 1 };
    let (identity, _) = Identity::open(db, config, Arc::new(SystemClock)).await?;
    let mut tokens = Vec::new();
    for _ in 0..TOKENS {
        tokens.push(log_in(&identity).await?);
    }
    println!("one {:.0}", rate(&identity, &tokens[..1]).await?);
    println!("thousand {:.0}", rate(&identity, &tokens).await?);
    Ok(())
}

async fn log_in(identity: &Identity) -> Result<String, Failure> {
    let user = json!({"name": "admin", "domain": {"id": "default"}, "password": "password"});
    let body = json!({"auth": {"identity": {"methods": ["password"], "password": {"user": user}},
                               "scope": {"project": {"name": "admin", "domain": {"id": "default"}}}}});
    let request = Request::post("/v3/auth/tokens").header("content-type", "application/json");
    let service = identity::service(identity, "http://localhost/identity");
    let answer = service.handle("", request.body(Body::from(body.to_string()))?).await;
    let token = answer.headers().get("x-subject-token").ok_or("no token")?;
    Ok(token.to_str()?.to_owned())
}

async fn rate(identity: &Identity, tokens: &[String]) -> Result<f64, Failure> {
    let started = Instant::now();
    let mut done = 0_u32;
    while started.elapsed() < TIME {
        for token in tokens {
            identity.authenticate(token).await?;
            done += 1;
        }
    }
    Ok(f64::from(done) / started.elapsed().as_secs_f64())
}
