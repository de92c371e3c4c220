//! Guessing is slow: 429 after too many failures, before anything is hashed, whoever it is about.

use crate::world::{PASSWORD, Reply, World, on_each, password, with_config};
use identity::{LoginLimits, Scheme, SecurityCompliance};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const LIMITS: LoginLimits = LoginLimits { failures_per_user: 4, failures_per_address: 10 };

async fn log_in(w: &World, peer: &str, headers: &[(&str, &str)], user: &str, pw: &str) -> Reply {
    let body = json!({"auth": {"identity": password(user, pw)}});
    w.call_from(Some(peer), "POST", "/v3/auth/tokens", headers, &body).await
}

#[tokio::test]
async fn s50_unknown_locked_disabled_and_wrong_are_limited_alike() {
    let lockout = SecurityCompliance { lockout_failure_attempts: Some(2), ..SecurityCompliance::default() };
    let limits = LoginLimits { failures_per_address: 0, ..LIMITS };
    with_config(
        |c| (c.login, c.security) = (limits, lockout.clone()),
        |w| async move {
            let admin = w.admin().await;
            let off = w.user(&admin, "off", None).await;
            w.expect(200, "PATCH", &format!("/v3/users/{off}"), &admin, json!({"user": {"enabled": false}})).await;
            w.user(&admin, "ann", None).await;
            let mut seen = Vec::new();
            // wrong until locked; nobody; the right password of somebody who is switched off
            for (user, pw) in [("ann", "bad"), ("nobody", "bad"), ("off", "off")] {
                let mut statuses = Vec::new();
                for _ in 0..6 {
                    let reply = log_in(&w, "192.0.2.1", &[], user, pw).await;
                    statuses.push((reply.status, reply.text("retry-after"), reply.body.to_string()));
                }
                seen.push(statuses);
            }
            let statuses: Vec<u16> = seen[0].iter().map(|s| s.0).collect();
            assert_eq!(statuses, [401, 401, 401, 401, 429, 429]);
            assert_eq!(seen[0][4].1, "16", "four a minute");
            assert!(seen.iter().all(|s| *s == seen[0]), "{seen:?}");
            // by id it is the same user
            let by_id = json!({"methods": ["password"], "password": {"user": {"id": off, "password": "off"}}});
            assert_eq!(w.log_in(by_id, Value::Null).await.status, 429);
            let change = json!({"user": {"original_password": "off", "password": "x"}});
            assert_eq!(w.call("POST", &format!("/v3/users/{off}/password"), &[], &change).await.status, 429);
            assert_eq!(log_in(&w, "192.0.2.1", &[], "admin", PASSWORD).await.status, 201, "nobody else minds");
            w.clock.advance(Duration::from_secs(16));
            assert_eq!(log_in(&w, "192.0.2.1", &[], "nobody", "bad").await.status, 401);
        },
    )
    .await;
}

#[tokio::test]
async fn s50_unknown_locked_disabled_and_wrong_take_the_time_of_one_hash() {
    let lockout = SecurityCompliance { lockout_failure_attempts: Some(1), ..SecurityCompliance::default() };
    with_config(
        |c| {
            c.login = LoginLimits { failures_per_user: 0, failures_per_address: 0 };
            (c.security, c.scheme) = (lockout.clone(), Scheme::Scrypt { log_n: 13, r: 8, p: 1 });
        },
        |w| async move {
            let admin = w.admin().await;
            let off = w.user(&admin, "off", None).await;
            w.expect(200, "PATCH", &format!("/v3/users/{off}"), &admin, json!({"user": {"enabled": false}})).await;
            w.user(&admin, "locked", None).await;
            log_in(&w, "192.0.2.1", &[], "locked", "bad").await;
            let ann = w.user(&admin, "ann", None).await;
            let exempt = json!({"user": {"options": {"ignore_lockout_failure_attempts": true}}});
            w.expect(200, "PATCH", &format!("/v3/users/{ann}"), &admin, exempt).await;
            let guesses = [("ann", "bad"), ("nobody", "bad"), ("locked", "locked"), ("off", "off")];
            let mut fastest = guesses.map(|(user, _)| (user, Duration::MAX));
            // by turns: whatever else the machine does then, it does to all
            for _ in 0..10 {
                for ((_, least), (user, pw)) in fastest.iter_mut().zip(guesses) {
                    let started = Instant::now();
                    assert_eq!(log_in(&w, "192.0.2.1", &[], user, pw).await.status, 401);
                    *least = (*least).min(started.elapsed());
                }
            }
            // and the same statements, for a write of one's own is slower than none
            let mut statements = [u64::MAX; 3];
            for _ in 0..4 {
                for (least, (user, pw)) in statements.iter_mut().zip(guesses) {
                    let before = w.db.statements();
                    log_in(&w, "192.0.2.1", &[], user, pw).await;
                    // the look for other processes' changes may come in between
                    *least = (*least).min(w.db.statements() - before);
                }
            }
            assert_eq!(statements, [statements[0]; 3]);
            let least = fastest.iter().map(|f| f.1).min().unwrap();
            assert!(fastest.iter().all(|f| f.1 < least * 2), "{fastest:?}");
        },
    )
    .await;
}

#[tokio::test]
async fn an_address_is_limited_and_only_a_trusted_proxy_speaks_for_others() {
    with_config(
        |c| {
            c.login = LIMITS;
            c.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
        },
        |w| async move {
            w.admin().await;
            let forged = [("x-forwarded-for", "203.0.113.9")];
            for n in 0..10 {
                assert_eq!(log_in(&w, "192.0.2.1", &forged, &format!("u{n}"), "x").await.status, 401);
            }
            assert_eq!(log_in(&w, "192.0.2.1", &[], "admin", PASSWORD).await.status, 429);
            assert_eq!(
                log_in(&w, "10.0.0.1", &[("x-forwarded-for", "192.0.2.1")], "admin", PASSWORD).await.status,
                429
            );
            assert_eq!(log_in(&w, "10.0.0.1", &forged, "admin", PASSWORD).await.status, 201, "who it forwards for");
            assert_eq!(log_in(&w, "192.0.2.2", &[], "admin", PASSWORD).await.status, 201);
        },
    )
    .await;
}

#[tokio::test]
async fn who_is_right_is_not_limited() {
    with_config(
        |c| c.login = LIMITS,
        |w| async move {
            for _ in 0..20 {
                assert_eq!(log_in(&w, "192.0.2.1", &[], "admin", PASSWORD).await.status, 201);
            }
        },
    )
    .await;
}

/// Processor time of this process's threads that hash, whatever else the machine does meanwhile.
fn spent_on_hashes() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
    let hashing = tasks.filter(|task| std::fs::read_to_string(task.join("comm")).unwrap().starts_with("password-"));
    let nanoseconds = hashing.map(|task| {
        let stat = std::fs::read_to_string(task.join("schedstat")).unwrap();
        stat.split(' ').next().unwrap().parse::<u64>().unwrap()
    });
    Duration::from_nanos(nanoseconds.sum())
}

#[tokio::test]
async fn nothing_is_hashed_for_who_is_limited() {
    with_config(
        |c| {
            c.login = LIMITS;
            c.scheme = Scheme::Scrypt { log_n: 12, r: 8, p: 1 };
        },
        |w| async move {
            let before = spent_on_hashes();
            for _ in 0..4 {
                assert_eq!(log_in(&w, "192.0.2.1", &[], "nobody", "x").await.status, 401);
            }
            let hashed = spent_on_hashes() - before;
            for _ in 0..4 {
                assert_eq!(log_in(&w, "192.0.2.1", &[], "nobody", "x").await.status, 429);
            }
            let limited = spent_on_hashes() - before - hashed;
            assert!(hashed > Duration::from_millis(4), "{hashed:?} for four hashes");
            assert!(limited * 20 < hashed, "{limited:?} for four, {hashed:?} for four hashes");
        },
    )
    .await;
}

#[tokio::test]
async fn guesses_of_an_application_credential_s_secret_are_limited() {
    on_each(|w| async move {
        let guess =
            json!({"methods": ["application_credential"], "application_credential": {"id": "x", "secret": "y"}});
        let mut limited = 0;
        for _ in 0..35 {
            limited += usize::from(w.log_in(guess.clone(), Value::Null).await.status == 429);
        }
        assert_eq!(limited, 5, "thirty a minute by default");
    })
    .await;
}
