//! Who writes first on SQLite, where one writes at a time.

use platform_db::testing::on_each_engine;
use platform_db::{Db, Dialect, args};
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Turns = Arc<Mutex<Vec<&'static str>>>;

async fn writes(db: Db, turns: Turns, who: &'static str) {
    let mut tx = if who == "under way" { db.begin_ahead().await } else { db.begin().await }.unwrap();
    turns.lock().unwrap().push(who);
    tx.execute("UPDATE sequences SET value = value + 1 WHERE name = 'turns'", args![]).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn what_is_under_way_goes_first_and_what_begins_is_not_kept_out() {
    on_each_engine(|db| async move {
        if db.dialect() != Dialect::Sqlite {
            return;
        }
        let turns = Turns::default();
        let held = db.begin().await.unwrap();
        let mut waiting = Vec::new();
        for who in std::iter::repeat_n("begins", 4).chain(std::iter::repeat_n("under way", 12)) {
            waiting.push(tokio::spawn(writes(db.clone(), turns.clone(), who)));
        }
        // each has asked for its turn
        tokio::time::sleep(Duration::from_millis(200)).await;
        drop(held);
        for w in waiting {
            w.await.unwrap();
        }
        let turns = turns.lock().unwrap();
        let begins: Vec<usize> = (0..turns.len()).filter(|n| turns[*n] == "begins").collect();
        assert_eq!(turns.len(), 16);
        assert_eq!(turns[0], "under way", "{turns:?}");
        assert_eq!(begins, [4, 9, 14, 15], "one of five, and the rest when nobody else waits: {turns:?}");
    })
    .await;
}
