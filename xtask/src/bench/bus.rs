//! A call over the bus between processes, beside what the broker itself takes for request and reply.

use super::{Setting, figure};
use anyhow::{Context, Result, bail};
use std::process::Command;

/// The calls are made by an example of the bus' crate: nobody else may name the broker's client.
pub(crate) fn run(_: &Setting) -> Result<()> {
    let arguments = ["run", "--quiet", "--release", "--package", "platform-bus", "--example", "round_trip"];
    let done = Command::new("cargo").args(arguments).output()?;
    let (output, errors) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    if !done.status.success() {
        bail!("the round trips failed: {errors}");
    }
    if output.is_empty() {
        println!("{}", errors.trim());
        return Ok(());
    }
    let numbers = |name: &str| numbers(&output, name);
    let ((bare50, bare99), (bus50, bus99)) = (numbers("bare")?, numbers("bus")?);
    let ratio = bus99 / bare99;
    figure(
        "call over NATS, p99 of 10000",
        &format!("{bus99:.0} us, bare request and reply {bare99:.0} us, ratio {ratio:.2}"),
        "at most 2",
        ratio <= 2.0,
    );
    let ratio = bus50 / bare50;
    figure(
        "call over NATS, p50 of 10000",
        &format!("{bus50:.0} us, bare request and reply {bare50:.0} us, ratio {ratio:.2}"),
        "at most 2",
        ratio <= 2.0,
    );
    let (large, small) = numbers("large-bytes")?;
    let (sent, packed) = (numbers("large-there-and-back")?.0, numbers("large-packed-and-unpacked")?.0);
    println!(
        "       {:.0} KiB of JSON there and back: {sent:.0} us; to compress it once, to {:.0} KiB, and expand it: {packed:.0} us",
        large / 1024.0,
        small / 1024.0
    );
    Ok(())
}

fn numbers(output: &str, name: &str) -> Result<(f64, f64)> {
    let line = output.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(' '));
    let (first, second) = line.and_then(|l| l.split_once(' ')).with_context(|| format!("no figure of {name}"))?;
    Ok((first.parse()?, second.parse()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_by_name() {
        let output = "bare 1 2\nbare-else 3 4\nbus 5 6\n";
        assert_eq!(numbers(output, "bare").unwrap(), (1.0, 2.0));
        assert_eq!(numbers(output, "bus").unwrap(), (5.0, 6.0));
        assert!(numbers(output, "none").is_err());
    }
}
