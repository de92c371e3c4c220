//! Databases that move: from an older schema to this one, and from one engine to the other.
//!
//! `0006.sql` is what a real cloud had written under the migrations up to 0006, each table with rows. It was made by
//! `cargo nextest run -p skyiron-tests --run-ignored only write_a_fixture`, which writes `NNNN.sql` for the newest
//! schema: run it when a release is made, and never edit what it wrote.

mod populate;

use anyhow::{Context, Result, ensure};
use platform_db::testing::{load, on_each_empty};
use platform_db::{Content, Contracts, Db, DbError, Migration, contents, migrations};
use serde_json::Value;
use skyiron_tests::{SOON, Setup, World, binary, until};
use std::collections::BTreeSet;
use std::process::Command;

const OLD: &str = include_str!("0006.sql");
const OLD_NEWEST: &str = "0006_image_metadefs";
const SINCE: &str = include_str!("since.sql");

fn known_then() -> Vec<Migration> {
    migrations().into_iter().filter(|m| m.name <= OLD_NEWEST).collect()
}

/// The fixture in a new database, under the schema of its time.
async fn old(db: &Db) {
    db.migrate_to(&known_then(), Contracts::Apply).await.unwrap();
    load(db, OLD).await.unwrap();
}

fn tables_created(migrations: &[Migration]) -> BTreeSet<String> {
    let lines = migrations.iter().flat_map(|m| m.sql.lines());
    lines.filter_map(|l| Some(l.strip_prefix("CREATE TABLE ")?.split([' ', '(']).next()?.to_owned())).collect()
}

fn names(of: &[(String, Content)]) -> BTreeSet<String> {
    of.iter().map(|(name, _)| name.clone()).collect()
}

#[tokio::test]
async fn every_table_is_found_and_the_fixture_has_rows_of_each() {
    on_each_empty(async |db, _| {
        old(&db).await;
        let all = contents(&db).await.unwrap();
        assert_eq!(names(&all), tables_created(&known_then()));
        for (name, content) in all {
            assert!(content.rows > 0, "{name} has no row in the fixture");
        }
        db.migrate().await.unwrap();
        let mut all = tables_created(&migrations());
        assert!(all.remove("database_timelines"), "which servers a database was on is not its content");
        assert_eq!(names(&contents(&db).await.unwrap()), all, "found from the schema");
    })
    .await;
}

/// `uuid` or `id` of all that a list shows.
async fn listed(w: &World, path: &str, collection: &str) -> Result<BTreeSet<String>> {
    let all = w.get(path).await?;
    let items = all[collection].as_array().context("a list")?;
    Ok(items.iter().filter_map(|i| i["id"].as_str()).map(str::to_owned).collect())
}

async fn ids(db: &Db, sql: &'static str) -> Result<BTreeSet<String>> {
    let rows: Vec<(String,)> = db.fetch_all(sql, vec![]).await?;
    ensure!(!rows.is_empty(), "{sql} finds nothing");
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

#[tokio::test]
async fn an_older_database_is_brought_up_and_served() {
    on_each_empty(async |db, url| brought_up(&db, &url).await.unwrap()).await;
}

async fn brought_up(db: &Db, url: &str) -> Result<()> {
    old(db).await;
    let before = contents(db).await?;
    db.migrate().await?;
    let after = contents(db).await?;
    for (name, content) in &before {
        let now = after.iter().find(|(n, _)| n == name).with_context(|| format!("{name} is gone"))?;
        ensure!(now.1.rows == content.rows, "{name} had {} rows, has {}", content.rows, now.1.rows);
    }
    let servers = ids(db, "SELECT uuid FROM instances WHERE deleted_at IS NULL").await?;
    let images = ids(db, "SELECT id FROM images WHERE deleted_at IS NULL").await?;
    let users = ids(db, "SELECT id FROM identity_users").await?;
    let projects = ids(db, "SELECT id FROM identity_projects WHERE NOT is_domain").await?;

    let password = OLD.lines().next().and_then(|l| l.rsplit(' ').next()).context("the fixture's password")?;
    let mut w = World::start(Setup {
        fake_hosts: 3,
        config: format!("[database]\nurl = \"{url}\"\n"),
        files: vec![("admin-password".into(), password.into())],
        ..Setup::default()
    })
    .await?;
    ensure!(listed(&w, "/compute/v2.1/servers?all_tenants=1", "servers").await? == servers, "servers");
    ensure!(listed(&w, "/image/v2/images?visibility=all", "images").await? == images, "images");
    ensure!(listed(&w, "/identity/v3/users", "users").await? == users, "users");
    ensure!(listed(&w, "/identity/v3/projects", "projects").await? == projects, "projects");
    // and it goes on from there
    let image = images.first().context("an image")?;
    let more = w.server("after", image, serde_json::json!({})).await?;
    w.until_status(&more, "ACTIVE").await?;
    w.terminate().await?;
    Ok(())
}

fn run(arguments: &[&str]) -> Result<std::process::Output> {
    Ok(Command::new(binary()).args(arguments).output()?)
}

#[tokio::test]
async fn a_copy_there_and_back_is_the_same() {
    on_each_empty(async |db, url| there_and_back(db, &url).await.unwrap()).await;
}

async fn there_and_back(middle: Db, over: &str) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let at = |name: &str| {
        let folder = dir.path().join(name);
        std::fs::create_dir_all(&folder).map(|()| format!("sqlite:{}", folder.join("skyiron.db").display()))
    };
    let (first, last, older) = (at("first")?, at("last")?, at("older")?);
    let source = Db::open(&first).await?;
    old(&source).await;
    source.migrate().await?;
    load(&source, SINCE).await?;
    let want = contents(&source).await?;
    let empty: Vec<&str> = want.iter().filter(|(_, c)| c.rows == 0).map(|(name, _)| name.as_str()).collect();
    ensure!(empty.is_empty(), "copied without a row: {empty:?}; since.sql has one of each table since {OLD_NEWEST}");
    source.close().await;
    middle.close().await;

    for (from, to) in [(first.as_str(), over), (over, last.as_str())] {
        let done = run(&["db", "copy", "--from", from, "--to", to])?;
        ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        ensure!(String::from_utf8_lossy(&done.stdout).contains("both sides hold the same"));
        let copy = Db::open(to).await?;
        ensure!(contents(&copy).await? == want, "{to}");
        // the schema holds there, too: references of a table to itself are looked at again
        let orphan =
            "INSERT INTO identity_regions (id, description, parent_region_id, extra) VALUES ('x', '', 'y', '{}')";
        let mut tx = copy.begin().await?;
        let refused = tx.execute(orphan, vec![]).await;
        ensure!(matches!(refused, Err(DbError::ForeignKey(_))), "{refused:?}");
        drop(tx);
        copy.close().await;
    }
    let unmigrated = Db::open(&older).await?;
    unmigrated.migrate_to(&migrations()[..1], Contracts::Apply).await?;
    unmigrated.close().await;
    for (from, to, why) in [
        (&first, &last, "not empty"),
        (&older, &at("more")?, "not at this skyiron's schema"),
        (&at("none")?, &at("more")?, "there is no database"),
        (&first, &first, "the same database"),
    ] {
        let refused = run(&["db", "copy", "--from", from, "--to", to])?;
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        ensure!(!refused.status.success() && said.contains(why), "{from} {to}: {said}");
    }
    Ok(())
}

/// PostgreSQL only: a file is migrated by who holds it alone.
#[tokio::test]
async fn a_migration_killed_half_way_is_done_by_the_next() {
    on_each_empty(async |db, url| {
        if url.starts_with("postgresql:") {
            killed_half_way(&db, &url).await.unwrap();
        }
    })
    .await;
}

async fn killed_half_way(db: &Db, url: &str) -> Result<()> {
    old(db).await;
    let before = contents(db).await?;
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("skyiron.toml");
    std::fs::write(&file, format!("[database]\nurl = \"{url}\"\n"))?;
    let file = file.display().to_string();
    // held by somebody, so that the migration which changes this table waits for it
    let mut held = db.begin().await?;
    held.execute("LOCK TABLE image_locations IN ACCESS EXCLUSIVE MODE", vec![]).await?;
    let mut first = Command::new(binary()).args(["db", "migrate", "--config", &file]).spawn()?;
    let waits = "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()
                 AND query LIKE '%ALTER TABLE image_locations%'";
    until(SOON, async || Ok(db.fetch_one::<(i64,)>(waits, vec![]).await?.0 == 1)).await.context("it does not wait")?;
    first.kill()?;
    ensure!(first.wait()?.code().is_none(), "it was killed");
    held.undo().await?;

    let half = db.schema().await?;
    ensure!(!half.pending.is_empty(), "{:?}", half.applied);
    let second = run(&["db", "migrate", "--config", &file])?;
    let said = String::from_utf8_lossy(&second.stdout).into_owned();
    ensure!(second.status.success() && said.contains("applied 0008_image_locations"), "{said}");
    ensure!(db.schema().await?.pending.is_empty());
    let after = contents(db).await?;
    for (name, content) in &before {
        let now = after.iter().find(|(n, _)| n == name).map(|(_, c)| c.rows);
        ensure!(now == Some(content.rows), "{name} had {} rows, has {now:?}", content.rows);
    }
    ensure!(run(&["upgrade", "check", "--config", &file])?.status.success());
    nothing_too_old_is_connected(db, url, &file).await
}

/// A session that calls itself as a skyiron of unknown age does.
async fn nothing_too_old_is_connected(db: &Db, url: &str, file: &str) -> Result<()> {
    let named = format!("{url}?application_name=skyiron/old");
    let mut older = Command::new("psql").args([&named, "-qAtc", "SELECT pg_sleep(60)"]).spawn().context("psql")?;
    let there = "SELECT COUNT(*) FROM pg_stat_activity WHERE application_name = 'skyiron/old'";
    until(SOON, async || Ok(db.fetch_one::<(i64,)>(there, vec![]).await?.0 == 1)).await?;
    let refused = run(&["upgrade", "check", "--config", file])?;
    older.kill()?;
    older.wait()?;
    let (said, why) = (String::from_utf8_lossy(&refused.stdout), String::from_utf8_lossy(&refused.stderr));
    ensure!(refused.status.code() == Some(1) && why.contains("skyiron old is still connected"), "{why}");
    ensure!(said.contains(&format!("connected    {}, old", env!("CARGO_PKG_VERSION"))), "{said}");
    Ok(())
}

#[tokio::test]
async fn the_operator_is_told_what_is_to_come() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let data = dir.path().display().to_string();
    let url = format!("sqlite:{data}/skyiron.db");
    let first = Migration { name: "0001_platform", ..migrations()[0] };
    let db = Db::open(&url).await?;
    db.migrate_to(&[first], Contracts::Apply).await?;
    db.close().await;

    let check = run(&["upgrade", "check", "--json", "--data", &data])?;
    ensure!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
    let said: Value = serde_json::from_slice(&check.stdout)?;
    ensure!(said["applied"] == serde_json::json!(["0001_platform"]), "{said}");
    ensure!(said["pending"].as_array().map(Vec::len) == Some(migrations().len() - 1) && said["connected"].is_null());
    let migrated = run(&["db", "migrate", "--data", &data])?;
    let lines = String::from_utf8(migrated.stdout)?.lines().filter(|l| l.starts_with("applied ")).count();
    ensure!(lines == migrations().len() - 1, "{lines}");
    let again = run(&["db", "migrate", "--data", &data])?;
    ensure!(again.stdout == b"nothing to apply\n");

    // a newer skyiron has been here, and has taken something away
    let newer = Migration { name: "9001_newer", sql: "-- contract\nDROP TABLE events;" };
    let db = Db::open(&url).await?;
    db.migrate_to(&[migrations(), vec![newer]].concat(), Contracts::Apply).await?;
    db.close().await;
    for arguments in [["upgrade", "check"], ["db", "status"], ["db", "migrate"]] {
        let refused = run(&[arguments[0], arguments[1], "--data", &data])?;
        let why = String::from_utf8_lossy(&refused.stderr).into_owned();
        ensure!(refused.status.code() == Some(1) && why.contains("9001_newer"), "{arguments:?}: {why}");
    }
    let up = run(&["up", "--data", &data, "--listen", "127.0.0.1:0", "--fake-hosts", "1"])?;
    ensure!(String::from_utf8_lossy(&up.stderr).contains("run that version here"));
    Ok(())
}

#[tokio::test]
async fn nothing_is_migrated_or_copied_under_a_running_cloud() -> Result<()> {
    let w = World::start(Setup { fake_hosts: 1, ..Setup::default() }).await?;
    let data = w.data().display().to_string();
    let url = format!("sqlite:{data}/skyiron.db");
    let to = format!("sqlite:{}", w.data().with_file_name("copy.db").display());
    for arguments in [&["db", "migrate", "--data", &data][..], &["db", "copy", "--from", &url, "--to", &to]] {
        let refused = run(arguments)?;
        let why = String::from_utf8_lossy(&refused.stderr).into_owned();
        ensure!(!refused.status.success() && why.contains("another skyiron runs"), "{arguments:?}: {why}");
    }
    ensure!(run(&["db", "status", "--data", &data])?.status.success(), "to look is allowed");
    Ok(())
}

#[tokio::test]
#[ignore = "writes a file of the repository"]
async fn write_a_fixture() -> Result<()> {
    populate::write(concat!(env!("CARGO_MANIFEST_DIR"), "/upgrade")).await
}
