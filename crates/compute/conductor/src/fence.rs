//! Making sure that a silent host is off, by the operator's own command: only then may its servers run elsewhere.

use crate::Conductor;
use base::OperationId;
use std::collections::HashMap;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// `Err`: why the host may still be on.
pub(crate) type Fenced = Result<(), String>;

/// Commands under way in this process, one an operation: what one operation has learnt is not true for the next. A step
/// may not wait as long as a power strip may take.
#[derive(Default)]
pub(crate) struct Fences(Mutex<HashMap<OperationId, UnderWay>>);

struct UnderWay {
    told: watch::Receiver<Option<Fenced>>,
    task: AbortHandle,
}

/// As much of what a failed command said is kept.
const SAID_BYTES: u64 = 2048;

impl Conductor {
    /// Runs the command, or waits for the one that runs already, for `patience` at most. `None`: it still runs; ask again.
    pub(crate) async fn fence(&self, operation: OperationId, host: &str, patience: Duration) -> Option<Fenced> {
        let mut told = {
            let mut fences = self.fences.0.lock().unwrap_or_else(PoisonError::into_inner);
            fences.entry(operation).or_insert_with(|| self.start_fence(host)).told.clone()
        };
        let ended = tokio::time::timeout(patience, told.wait_for(Option::is_some)).await.ok()?;
        let fenced = match ended {
            Ok(fenced) => fenced.clone().unwrap_or_else(|| Err("the command has no end".to_owned())),
            Err(_) => Err("the task that ran the command failed".to_owned()),
        };
        self.fences.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&operation);
        Some(fenced)
    }

    /// Ends the operation's command, if it still runs.
    pub(crate) fn stop_fence(&self, operation: OperationId) {
        let under_way = self.fences.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&operation);
        if let Some(under_way) = under_way {
            under_way.task.abort();
        }
    }

    fn start_fence(&self, host: &str) -> UnderWay {
        let (tell, told) = watch::channel(None);
        let (command, limit) = (self.settings.recovery.fence_command.clone(), self.settings.recovery.fence_timeout);
        let host = host.to_owned();
        let task = tokio::spawn(async move {
            let fenced = tokio::time::timeout(limit, run(&command, &host)).await;
            tell.send_replace(Some(fenced.unwrap_or_else(|_| Err(format!("it took longer than {limit:?}")))));
        });
        UnderWay { told, task: task.abort_handle() }
    }
}

/// Exit 0 means that the host is off. Ended when it is dropped.
async fn run(command: &[String], host: &str) -> Fenced {
    let Some((program, arguments)) = command.split_first() else { return Err("no fence_command is set".to_owned()) };
    // a host says its own name: it must not become an option of the command
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if host.is_empty() || host.starts_with('-') || !host.chars().all(plain) {
        return Err(format!("{host:?} is no name that a command can be given"));
    }
    let mut child = Command::new(program)
        .args(arguments.iter().map(|a| a.replace("{host}", host)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| format!("{program}: {e}"))?;
    let mut said = Vec::new();
    if let Some(mut stderr) = child.stderr.take() {
        let read = (&mut stderr).take(SAID_BYTES).read_to_end(&mut said).await;
        let rest = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
        if let Err(error) = read.and(rest.map(|_| 0)) {
            tracing::debug!(%error, "what the fence command says cannot be read");
        }
    }
    let status = child.wait().await.map_err(|e| format!("{program}: {e}"))?;
    if status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&said);
    Err(format!("{program}: {status}: {}", said.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(words: &[&str]) -> Vec<String> {
        words.iter().map(|w| (*w).to_owned()).collect()
    }

    #[tokio::test]
    async fn only_a_clean_end_is_a_fence() {
        assert_eq!(run(&command(&["test", "{host}.x", "=", "h-1.x"]), "h-1").await, Ok(()));
        let why = run(&command(&["ls", "/nowhere/{host}"]), "h1").await.unwrap_err();
        assert!(why.contains("/nowhere/h1") && why.contains("exit status"), "{why}");
        assert!(run(&command(&["/no/such/program"]), "h1").await.unwrap_err().starts_with("/no/such/program: "));
        assert_eq!(run(&[], "h1").await.unwrap_err(), "no fence_command is set");
        for name in ["", "--all", "a b", "a;b", "{host}"] {
            assert!(run(&command(&["true", "{host}"]), name).await.unwrap_err().contains("no name"), "{name}");
        }
    }
}
