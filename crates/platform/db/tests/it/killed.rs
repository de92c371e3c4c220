//! What a process had committed when it was killed is there afterwards, relaxed or not.

use super::INSERT;
use futures_util::future::join_all;
use platform_db::{Db, args};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// In the child: where its database is.
const PATH: &str = "SKYIRON_TEST_KILLED_DB";
const COMMITTED: &str = "committed ";

/// Commits until it is killed, and says what.
async fn commit_on(path: &str) {
    let db = Db::open(&format!("sqlite:{path}")).await.unwrap();
    db.migrate().await.unwrap();
    for n in 0_i64.. {
        join_all((0..4_i64).map(|k| {
            let db = db.clone();
            async move {
                // durable ones between, so that one kind of commit follows the other
                let mut tx = if n % 5 == 4 { db.begin().await } else { db.begin_relaxed().await }.unwrap();
                tx.execute(INSERT, args![format!("s{n}.{k}"), 1_i64]).await.unwrap();
                tx.commit().await.unwrap();
                println!("{COMMITTED}s{n}.{k}");
            }
        }))
        .await;
    }
}

#[tokio::test]
async fn a_killed_process_has_what_it_committed() {
    if let Ok(path) = std::env::var(PATH) {
        return commit_on(&path).await;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("killed.db");
    for round in 1..4 {
        let path = path.with_extension(format!("{round}.db"));
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["killed::a_killed_process_has_what_it_committed", "--exact", "--nocapture"])
            .env(PATH, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut told: Vec<String> = Vec::new();
        let name = |line: String| line.split_once(COMMITTED).map(|(_, name)| name.to_owned());
        while told.len() < 37 * round {
            told.extend(name(lines.next().expect("the child goes on")));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // what it still said before it died counts, too; its last line may be cut
        let rest: Vec<String> = lines.filter_map(name).collect();
        told.extend(rest.into_iter().rev().skip(1));
        let db = Db::open(&format!("sqlite:{}", path.display())).await.unwrap();
        let kept: Vec<(String,)> = db.fetch_all("SELECT name FROM sequences", args![]).await.unwrap();
        for name in &told {
            assert!(kept.iter().any(|(k,)| k == name), "{name} was committed and is lost");
        }
        db.close().await;
    }
}
