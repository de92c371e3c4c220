//! What a call costs over `NatsBus`, beside NATS' own request and reply through the bare client, on the same private
//! server in the same run; and what compressing a large reply would cost beside sending it. For `cargo xtask bench bus`.

use async_nats::Client;
use bytes::Bytes;
use flate2::{Compression, read::DeflateDecoder, write::DeflateEncoder};
use futures_util::StreamExt;
use platform_bus::testing::NatsServer;
use platform_bus::{Bus, NatsBus};
use std::error::Error;
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Taken in turns, so that whatever else the machine does meets both.
const TURNS: usize = 40;
const CALLS_A_TURN: usize = 250;
const PATIENCE: Duration = Duration::from_secs(10);
const LARGE_TURNS: usize = 100;

type Outcome<T> = Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    let Some(server) = NatsServer::start() else { return Ok(()) };
    let (client, replier) = (async_nats::connect(server.url()).await?, async_nats::connect(server.url()).await?);
    let echoing = tokio::spawn(echo(replier.clone(), replier.queue_subscribe("bare", "group".into()).await?));
    let (caller, callee) = (NatsBus::open(&server.settings()).await?, NatsBus::open(&server.settings()).await?);
    let serving = callee.serve_bytes("bus", Arc::new(|request| Box::pin(async { Ok(request) })));
    callee.connected().await;
    caller.connected().await;
    callee.settled().await;
    replier.flush().await?;

    let request = Bytes::from(assignments(1));
    let (mut bare, mut bus) = (Vec::new(), Vec::new());
    for turn in 0..=TURNS {
        for _ in 0..CALLS_A_TURN {
            bare.push(timed(async { Ok(client.request("bare", request.clone()).await?.payload) }).await?);
        }
        for _ in 0..CALLS_A_TURN {
            bus.push(timed(async { Ok(caller.call_bytes("bus", request.clone(), PATIENCE).await?) }).await?);
        }
        if turn == 0 {
            // the first turn only warms up
            bare.clear();
            bus.clear();
        }
    }
    report("bare", bare);
    report("bus", bus);

    let large = Bytes::from(assignments(600));
    let (mut sent, mut packed) = (Vec::new(), Vec::new());
    let mut small = 0;
    for _ in 0..LARGE_TURNS {
        // there and back: twice what a large reply costs
        sent.push(timed(async { Ok(caller.call_bytes("bus", large.clone(), PATIENCE).await?) }).await?);
        packed.push(timed(async { pack_and_unpack(&large, &mut small) }).await?);
    }
    report("large-there-and-back", sent);
    report("large-packed-and-unpacked", packed);
    println!("large-bytes {} {small}", large.len());
    drop(serving);
    echoing.abort();
    Ok(())
}

async fn echo(client: Client, mut requests: async_nats::Subscriber) {
    while let Some(request) = requests.next().await {
        let Some(to) = request.reply else { continue };
        if client.publish(to, request.payload).await.is_err() {
            return;
        }
    }
}

async fn timed(call: impl Future<Output = Outcome<Bytes>>) -> Outcome<Duration> {
    let started = Instant::now();
    let reply = call.await?;
    assert!(!reply.is_empty());
    Ok(started.elapsed())
}

fn pack_and_unpack(bytes: &Bytes, small: &mut usize) -> Outcome<Bytes> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes)?;
    let packed = encoder.finish()?;
    *small = packed.len();
    let mut unpacked = Vec::with_capacity(bytes.len());
    DeflateDecoder::new(&packed[..]).read_to_end(&mut unpacked)?;
    assert_eq!(unpacked, bytes[..]);
    Ok(unpacked.into())
}

/// What a host is told to do, as JSON; some 400 bytes each.
fn assignments(count: u32) -> Vec<u8> {
    let one = |n: u32| {
        // ids are what such messages have most of that cannot be packed
        let id = |salt: u32| {
            format!("{:08x}-5ca1-4ab1-8000-{:012x}", n.wrapping_mul(salt), u64::from(n ^ salt) * 2_654_435_761)
        };
        serde_json::json!({
            "instance": id(2_246_822_519), "generation": n, "wanted": "running", "name": format!("server-{n}"),
            "project": id(3_266_489_917), "flavor": {"vcpus": 2, "ram_mib": 4096, "disk_gib": 20},
            "image": {"id": id(668_265_263), "sha512": format!("{}{}", id(374_761_393), id(99_194_853))},
        })
    };
    serde_json::Value::from((0..count).map(one).collect::<Vec<_>>()).to_string().into_bytes()
}

/// `NAME P50 P99`, in microseconds.
fn report(name: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)].as_micros();
    println!("{name} {} {}", at(50), at(99));
}
