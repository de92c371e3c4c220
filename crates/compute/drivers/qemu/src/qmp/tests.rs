//! Against a scripted monitor.

use super::*;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, unix::OwnedWriteHalf};

const GREETING: &str =
    r#"{"QMP": {"version": {"qemu": {"micro": 0, "minor": 2, "major": 7}}, "capabilities": ["oob"]}}"#;
const SHORT: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(20);

/// Serves one client: greets, negotiates, then answers each call with the lines `answer` gives for it.
async fn monitor<F>(answer: F) -> (tempfile::TempDir, std::path::PathBuf)
where
    F: Fn(&str, u64) -> Vec<String> + Send + 'static,
{
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("qmp.sock");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (read, mut write) = stream.into_split();
            say(&mut write, GREETING).await;
            let mut lines = BufReader::new(read).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let call: Value = serde_json::from_str(&line).unwrap();
                let (name, id) = (call["execute"].as_str().unwrap(), call["id"].as_u64().unwrap());
                let answers = if name == "qmp_capabilities" { vec![ok(id, json!({}))] } else { answer(name, id) };
                for line in answers {
                    if line == "HANG UP" {
                        return;
                    }
                    say(&mut write, &line).await;
                }
            }
        }
    });
    (dir, path)
}

async fn say(write: &mut OwnedWriteHalf, line: &str) {
    // the client may have hung up
    let _ = write.write_all(format!("{line}\r\n").as_bytes()).await;
}

fn ok(id: u64, value: Value) -> String {
    json!({"return": value, "id": id}).to_string()
}

fn events() -> (broadcast::Sender<Event>, broadcast::Receiver<Event>) {
    broadcast::channel(16)
}

#[tokio::test]
async fn answers_find_their_calls_with_events_in_between() {
    let (_dir, path) = monitor(|name, id| match name {
        "query-status" => vec![
            json!({"event": "RESET", "data": {"guest": true}, "timestamp": {"seconds": 1, "microseconds": 0}})
                .to_string(),
            ok(id + 1000, json!("of somebody else")),
            ok(id, json!({"status": "running"})),
        ],
        _ => {
            vec![json!({"id": id, "error": {"class": "CommandNotFound", "desc": "The command is unknown"}}).to_string()]
        }
    })
    .await;
    let (sender, mut heard) = events();
    let qmp = Qmp::connect(&path, LONG, sender).await.unwrap();
    let status = qmp.call("query-status", json!({})).await.unwrap();
    assert_eq!(status["status"], "running");
    assert_eq!(heard.recv().await.unwrap(), Event { name: "RESET".into(), data: json!({"guest": true}) });
    let e = qmp.call("no-such-thing", json!({})).await.unwrap_err();
    assert!(matches!(&e, QmpError::Refused { class, .. } if class == "CommandNotFound"), "{e:?}");
    assert_eq!(e.to_string(), "The command is unknown");
}

#[tokio::test]
async fn many_calls_at_once_each_get_their_own_answer() {
    let (_dir, path) = monitor(|_, id| vec![ok(id, json!(id))]).await;
    let qmp = Qmp::connect(&path, LONG, events().0).await.unwrap();
    let calls = (0..50).map(|_| async {
        let before = qmp.next_id.load(Ordering::Relaxed);
        let answer = qmp.call("echo", json!({})).await.unwrap().as_u64().unwrap();
        assert!(answer >= before);
        answer
    });
    let mut answers = futures_util::future::join_all(calls).await;
    answers.sort_unstable();
    answers.dedup();
    assert_eq!(answers.len(), 50);
}

#[tokio::test]
async fn silence_ends_at_the_limit_and_the_connection_lives_on() {
    let (_dir, path) = monitor(|name, id| if name == "stop" { vec![] } else { vec![ok(id, json!(1))] }).await;
    let qmp = Qmp::connect(&path, LONG, events().0).await.unwrap();
    let e = qmp.call_within(SHORT, "stop", json!({}), None).await.unwrap_err();
    assert!(matches!(e, QmpError::Silent(SHORT)), "{e:?}");
    assert!(matches!(e.during("pause"), DriverError::Silent { operation: "pause", .. }));
    assert_eq!(qmp.call("cont", json!({})).await.unwrap(), json!(1));
}

#[tokio::test]
async fn garbage_ends_the_connection_and_says_what_came() {
    for garbage in ["not json at all", "[1, 2]", r#"{"neither": "nor"}"#, &"[".repeat(5000)] {
        let line = garbage.to_owned();
        let (_dir, path) = monitor(move |_, _| vec![line.clone()]).await;
        let qmp = Qmp::connect(&path, LONG, events().0).await.unwrap();
        let e = qmp.call("query-status", json!({})).await.unwrap_err();
        assert!(matches!(&e, QmpError::Garbage(_)), "{garbage:.20}: {e:?}");
        assert!(qmp.is_closed());
        assert!(matches!(qmp.call("query-status", json!({})).await, Err(QmpError::Closed)));
    }
}

#[tokio::test]
async fn a_line_without_end_is_not_kept_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let listener = UnixListener::bind(&path).unwrap();
    let endless = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut sent = 0;
        while stream.write_all(&[b'x'; 1 << 16]).await.is_ok() {
            sent += 1 << 16;
        }
        sent
    };
    let (sent, met) = tokio::join!(endless, Qmp::connect(&path, LONG, events().0));
    assert!(met.unwrap_err().to_string().contains("a line of more than"));
    assert!((wire::LONGEST_LINE..3 * wire::LONGEST_LINE).contains(&sent), "{sent}");
}

#[tokio::test]
async fn whoever_waits_is_told_when_the_other_side_goes() {
    let (_dir, path) = monitor(|_, _| vec!["HANG UP".to_owned()]).await;
    let qmp = Qmp::connect(&path, LONG, events().0).await.unwrap();
    assert!(matches!(qmp.call("quit", json!({})).await, Err(QmpError::Closed)));
}

#[tokio::test]
async fn who_does_not_greet_is_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let _listener = UnixListener::bind(&path).unwrap();
    let e = Qmp::connect(&path, SHORT, events().0).await.unwrap_err();
    assert!(matches!(e, QmpError::Silent(SHORT)), "{e:?}");
    let e = Qmp::connect(&dir.path().join("absent"), SHORT, events().0).await.unwrap_err();
    assert!(matches!(e, QmpError::Io(_)), "{e:?}");
}

#[tokio::test]
async fn the_connection_ends_with_the_last_handle_and_can_be_made_again() {
    let (_dir, path) = monitor(|_, id| vec![ok(id, json!("here"))]).await;
    for _ in 0..3 {
        // the monitor serves one client at a time: this hangs if the previous connection stayed
        let qmp = Qmp::connect(&path, LONG, events().0).await.unwrap();
        assert_eq!(qmp.clone().call("x", json!({})).await.unwrap(), json!("here"));
    }
}
