//! Stories: histories told to the end, which between them pass every fault point there is. A story makes its requests one
//! after the other and waits for each, so that it ends in the same way whatever dies or is done twice meanwhile.

use crate::host::Ailment;
use crate::tale::Tale;
use anyhow::Result;
use compute_conductor::Recovery;
use serde_json::json;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Story {
    /// A server is made, everything is done with it, it is deleted.
    Life,
    /// No host can build a server.
    BuildFails,
    /// No host answers when it is to build, or to act.
    HostsHang,
    /// No host answers when it is to remove a guest, until everyone has given up.
    RemovalHangs,
    /// Conductors are away for longer than anything may take.
    NobodyWorks,
    /// A host dies, and its servers are evacuated: one that ran, one that was stopped.
    Evacuation,
    /// What is asked of the new hosts fails, or is never answered.
    EvacuationFails,
    /// Conductors are away while servers are to be evacuated.
    EvacuationTooLate,
    /// A host dies and is recovered without anybody's asking.
    Recovery,
    /// No servers can be built elsewhere while a host is recovered, and then nobody works.
    RecoveryTooLate,
}

impl Story {
    pub const ALL: &[Self] = &[
        Self::Life,
        Self::BuildFails,
        Self::HostsHang,
        Self::RemovalHangs,
        Self::NobodyWorks,
        Self::Evacuation,
        Self::EvacuationFails,
        Self::EvacuationTooLate,
        Self::Recovery,
        Self::RecoveryTooLate,
    ];

    pub(crate) fn recovery(self) -> Recovery {
        match self {
            Self::Recovery | Self::RecoveryTooLate => Recovery {
                after: Some(Duration::from_secs(90)),
                fence_command: vec!["true".to_owned()],
                // a real command takes its time by another clock than the simulated one
                fence_timeout: Duration::from_secs(24 * 3600),
                ..Recovery::default()
            },
            _ => Recovery::default(),
        }
    }

    pub(crate) async fn tell(self, tale: &mut Tale) -> Result<()> {
        match self {
            Self::Life => life(tale).await,
            Self::BuildFails => build_fails(tale).await,
            Self::HostsHang => hosts_hang(tale).await,
            Self::RemovalHangs => removal_hangs(tale).await,
            Self::NobodyWorks => nobody_works(tale).await,
            Self::Evacuation => evacuation(tale).await,
            Self::EvacuationFails => evacuation_fails(tale).await,
            Self::EvacuationTooLate => evacuation_too_late(tale).await,
            Self::Recovery => recovery(tale).await,
            Self::RecoveryTooLate => recovery_too_late(tale).await,
        }
    }
}

/// Longer than any operation on a server may take.
const TOO_LONG: Duration = Duration::from_secs(31 * 60);

fn fails(only: &'static str) -> Ailment {
    Ailment { fails: 1000, only: Some(only), ..Ailment::default() }
}

fn hangs(only: &'static str) -> Ailment {
    Ailment { hangs: 1000, only: Some(only), ..Ailment::default() }
}

async fn life(tale: &mut Tale) -> Result<()> {
    let server = tale.create("a", false).await?;
    tale.settle().await?;
    for action in [
        json!({"os-stop": null}),
        json!({"os-start": null}),
        json!({"reboot": {"type": "SOFT"}}),
        json!({"reboot": {"type": "HARD"}}),
        json!({"pause": null}),
        json!({"unpause": null}),
        json!({"suspend": null}),
        json!({"resume": null}),
    ] {
        tale.act(&server, action).await;
        tale.settle().await?;
    }
    tale.delete(&server).await;
    tale.settle().await
}

async fn build_fails(tale: &mut Tale) -> Result<()> {
    tale.ail(fails("spawn"));
    tale.create("a", false).await?;
    tale.settle().await?;
    tale.heal();
    tale.create("b", false).await?;
    tale.settle().await
}

async fn hosts_hang(tale: &mut Tale) -> Result<()> {
    let acted_on = tale.create("a", false).await?;
    tale.settle().await?;
    tale.ail(hangs("spawn"));
    tale.create("b", false).await?;
    tale.settle().await?;
    tale.ail(hangs("pause"));
    tale.act(&acted_on, json!({"pause": null})).await;
    tale.settle().await
}

async fn removal_hangs(tale: &mut Tale) -> Result<()> {
    let server = tale.create("a", false).await?;
    tale.settle().await?;
    tale.ail(hangs("destroy"));
    tale.delete(&server).await;
    tale.settle().await
}

async fn nobody_works(tale: &mut Tale) -> Result<()> {
    let server = tale.create("a", false).await?;
    tale.settle().await?;
    tale.conductors(false).await;
    tale.act(&server, json!({"os-stop": null})).await;
    tale.create("b", false).await?;
    tale.pass(TOO_LONG).await;
    tale.conductors(true).await;
    tale.settle().await?;
    tale.conductors(false).await;
    tale.delete(&server).await;
    tale.pass(TOO_LONG).await;
    tale.conductors(true).await;
    tale.settle().await
}

/// One server runs and one is stopped, on a host that is dead now and is declared so.
async fn two_left(tale: &mut Tale) -> Result<[String; 2]> {
    let runs = tale.create("runs", true).await?;
    let stopped = tale.create("stopped", true).await?;
    tale.settle().await?;
    tale.act(&stopped, json!({"os-stop": null})).await;
    tale.settle().await?;
    tale.machine_dies(0)?;
    tale.declare_first_down(true).await?;
    Ok([runs, stopped])
}

async fn evacuate(tale: &mut Tale, servers: &[String]) {
    for server in servers {
        tale.act(server, json!({"evacuate": {}})).await;
    }
}

async fn evacuation(tale: &mut Tale) -> Result<()> {
    let servers = two_left(tale).await?;
    evacuate(tale, &servers).await;
    tale.settle().await?;
    tale.machine_returns(0).await
}

async fn evacuation_fails(tale: &mut Tale) -> Result<()> {
    let servers = two_left(tale).await?;
    tale.ail(hangs("stop"));
    evacuate(tale, &servers[1..]).await;
    tale.settle().await?;
    for ailment in [fails("spawn"), hangs("spawn")] {
        tale.ail(ailment);
        evacuate(tale, &servers[..1]).await;
        tale.settle().await?;
    }
    tale.machine_returns(0).await
}

async fn evacuation_too_late(tale: &mut Tale) -> Result<()> {
    let servers = two_left(tale).await?;
    tale.conductors(false).await;
    evacuate(tale, &servers).await;
    tale.pass(TOO_LONG).await;
    tale.conductors(true).await;
    tale.settle().await?;
    tale.machine_returns(0).await
}

const RECOVERIES: &str = "SELECT COUNT(*) FROM operations WHERE kind = 'compute.recover_host'";

async fn recovery(tale: &mut Tale) -> Result<()> {
    tale.create("a", true).await?;
    tale.create("b", true).await?;
    tale.settle().await?;
    tale.machine_dies(0)?;
    tale.until("recovered", RECOVERIES, 1).await?;
    tale.settle().await?;
    tale.machine_returns(0).await
}

/// Evacuations that wait for a new host; or a recovery that has ended at once, because the server was never built. A host is
/// fenced by a real command, which takes no time that the simulation knows: how far a recovery has come after a while differs,
/// but here it stands still.
const ASKED: &str = "SELECT COUNT(*) FROM operations WHERE kind = 'compute.evacuate' AND step = 'await_host'
                     OR kind = 'compute.recover_host' AND state <> 'running'";

async fn recovery_too_late(tale: &mut Tale) -> Result<()> {
    tale.create("a", true).await?;
    tale.settle().await?;
    tale.machine_dies(0)?;
    tale.ail(hangs("spawn"));
    tale.until("asked of a new host", ASKED, 1).await?;
    tale.conductors(false).await;
    tale.pass(Duration::from_secs(7 * 3600)).await;
    tale.conductors(true).await;
    tale.settle().await?;
    tale.machine_returns(0).await
}
