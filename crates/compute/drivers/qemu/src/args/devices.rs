//! CPUs and the screen.

use super::CannotRun;
use crate::host::HostAbilities;
use compute_model::driver::GuestSpec;

/// `hw_video_model` → QEMU's device. Nothing said: a plain VGA card, which every system can show its boot loader on.
const VIDEO: &[(&str, Option<&str>)] = &[
    ("vga", Some("VGA")),
    ("cirrus", Some("cirrus-vga")),
    ("virtio", Some("virtio-vga")),
    ("bochs", Some("bochs-display")),
    ("none", None),
];

pub(super) fn video(guest: &GuestSpec, host: &HostAbilities) -> Result<Option<&'static str>, CannotRun> {
    let asked = guest.properties.get("hw_video_model").map_or("vga", String::as_str);
    let Some((_, device)) = VIDEO.iter().find(|(model, _)| *model == asked) else {
        let known: Vec<&str> = VIDEO.iter().map(|(model, _)| *model).collect();
        return Err(CannotRun(format!("hw_video_model={asked}: offered are {}", known.join(", "))));
    };
    match device {
        Some(d) if !host.devices.contains(*d) => Err(CannotRun(format!("this host's QEMU has no device {d}"))),
        other => Ok(*other),
    }
}

/// The `hw_video_model`s that this host's QEMU has.
pub(crate) fn video_models(host: &HostAbilities) -> impl Iterator<Item = &'static str> + use<'_> {
    VIDEO.iter().filter(|(_, device)| device.is_none_or(|d| host.devices.contains(d))).map(|(model, _)| *model)
}

/// One socket per vCPU, as Nova does, unless the image asks for cores or threads and the numbers divide.
pub(super) fn smp(guest: &GuestSpec) -> String {
    let hint = |name: &str| guest.properties.get(name).and_then(|v| v.parse::<u32>().ok()).filter(|n| *n > 0);
    let (sockets, cores, threads) = (hint("hw_cpu_sockets"), hint("hw_cpu_cores"), hint("hw_cpu_threads"));
    let n = guest.vcpus;
    let threads = threads.unwrap_or(1);
    let cores = cores.or_else(|| Some(n / sockets?.checked_mul(threads)?)).unwrap_or(1);
    let per_socket = cores.saturating_mul(threads);
    if per_socket > 0 && n.is_multiple_of(per_socket) {
        format!("cpus={n},sockets={},cores={cores},threads={threads}", n / per_socket)
    } else {
        format!("cpus={n},sockets={n},cores=1,threads=1")
    }
}
