//! Binaries of different releases on one bus.

use crate::PATIENCE;
use platform_bus::testing::NatsServer;
use platform_bus::{Bus, BusError, NatsBus, Versions, call, serve};

async fn speaking(server: &NatsServer, oldest: u32, newest: u32) -> NatsBus {
    let bus = NatsBus::open_speaking(&server.settings(), Versions { newest, oldest }).await.unwrap();
    tokio::time::timeout(PATIENCE, bus.connected()).await.unwrap();
    bus
}

#[tokio::test]
async fn one_apart_work_side_by_side_and_two_apart_say_why_not() {
    let Some(server) = NatsServer::start() else { return };
    let releases = [speaking(&server, 1, 1).await, speaking(&server, 1, 2).await, speaking(&server, 2, 3).await];
    for (n, callee) in releases.iter().enumerate() {
        let served = serve(callee, &format!("release{n}"), |n: u32| async move { Ok::<_, String>(n) });
        callee.settled().await;
        for (m, caller) in releases.iter().enumerate() {
            let answer = call::<_, u32>(caller, &format!("release{n}"), &7, PATIENCE).await;
            if n.abs_diff(m) <= 1 {
                assert_eq!(answer.unwrap(), 7);
                continue;
            }
            let Err(BusError::Version { message, .. }) = answer else { panic!("{answer:?}") };
            assert!(message.contains("protocol version 1") || message.contains("protocol version 2 to 3"), "{message}");
        }
        drop(served);
    }
}
