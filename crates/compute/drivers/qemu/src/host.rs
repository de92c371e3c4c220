//! What this host's QEMU can do, asked of QEMU itself: a process without a machine answers and goes away.

use crate::config::{Accel, QemuConfig};
use compute_model::driver::DriverError;
use rustix::fs::MemfdFlags;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::File;
use std::io::{Seek, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncReadExt;

/// Longest wait for QEMU to describe itself; it takes a tenth of a second.
const PROBE_LIMIT: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accelerator {
    Kvm,
    Tcg,
}

/// What command lines and facts are made from. All of it is the truth about the QEMU installed, as the user it runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostAbilities {
    pub version: (u64, u64, u64),
    pub accel: Accelerator,
    pub cpu_model: String,
    /// Name → most CPUs, e.g. `pc-i440fx-7.2` → 255.
    pub machines: BTreeMap<String, u32>,
    /// `pc` → `pc-i440fx-7.2`.
    pub machine_aliases: BTreeMap<String, String>,
    /// Features that guests get with `cpu_model`, in QEMU's spelling.
    pub cpu_features: BTreeSet<String>,
    /// Device types that can be plugged.
    pub devices: BTreeSet<String>,
}

/// Whom guests run as: uid, gid, and a name for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) name: String,
}

/// Asks QEMU, with KVM first if the configuration and the processor allow it.
pub(crate) async fn probe(
    config: &QemuConfig,
    binary: &Path,
    user: Option<&User>,
) -> Result<HostAbilities, DriverError> {
    let kvm = match config.accel {
        Accel::Tcg => Err("not wanted".to_owned()),
        _ => processor_has_virtualisation().and_then(|()| kvm_device_usable(user)),
    };
    match (kvm, config.accel) {
        (Ok(gid), accel) => match ask(config, binary, user, Accelerator::Kvm, gid).await {
            Err(e) if accel == Accel::Auto => {
                tracing::warn!("KVM does not work here, guests will be emulated: {e}");
                ask(config, binary, user, Accelerator::Tcg, None).await
            }
            answer => answer,
        },
        (Err(why), Accel::Kvm) => Err(DriverError::CannotRun(format!("KVM is configured, but {why}"))),
        (Err(why), _) => {
            tracing::info!("guests are emulated (TCG): KVM is {why}");
            ask(config, binary, user, Accelerator::Tcg, None).await
        }
    }
}

fn processor_has_virtualisation() -> Result<(), String> {
    let flags = std::fs::read_to_string("/proc/cpuinfo").map_err(|e| format!("/proc/cpuinfo: {e}"))?;
    let has = flags
        .lines()
        .filter(|l| l.starts_with("flags"))
        .any(|l| l.split_ascii_whitespace().any(|f| f == "vmx" || f == "svm"));
    if has { Ok(()) } else { Err("not offered by this processor (neither vmx nor svm)".to_owned()) }
}

/// `Some(gid)`: the group through which `user` may open the device.
fn kvm_device_usable(user: Option<&User>) -> Result<Option<u32>, String> {
    let path = Path::new("/dev/kvm");
    std::fs::OpenOptions::new().read(true).write(true).open(path).map_err(|e| format!("not usable (/dev/kvm: {e})"))?;
    let Some(user) = user else { return Ok(None) };
    let meta = path.metadata().map_err(|e| format!("not usable (/dev/kvm: {e})"))?;
    let mode = meta.permissions().mode();
    if mode & 0o006 == 0o006 || meta.uid() == user.uid {
        Ok(None)
    } else if mode & 0o060 == 0o060 && meta.gid() != 0 {
        Ok(Some(meta.gid()))
    } else {
        Err(format!("not usable by user {} (/dev/kvm has mode {:o})", user.name, mode & 0o777))
    }
}

/// The group that makes KVM usable for guests, if one must be taken.
pub(crate) fn kvm_group(user: Option<&User>) -> Option<u32> {
    kvm_device_usable(user).ok().flatten()
}

async fn ask(
    config: &QemuConfig,
    binary: &Path,
    user: Option<&User>,
    accel: Accelerator,
    gid: Option<u32>,
) -> Result<HostAbilities, DriverError> {
    let (name, default_model) = match accel {
        Accelerator::Kvm => ("kvm", "host"),
        Accelerator::Tcg => ("tcg", "max"),
    };
    let cpu_model = config.cpu_model.clone().unwrap_or_else(|| default_model.to_owned());
    // `-cpu` takes `model,+feature`; the question takes the model alone
    let bare_model = cpu_model.split(',').next().unwrap_or_default();
    let questions = [
        json!({"execute": "qmp_capabilities"}),
        json!({"execute": "query-version", "id": "version"}),
        json!({"execute": "query-machines", "id": "machines"}),
        json!({"execute": "query-cpu-model-expansion", "id": "cpu",
               "arguments": {"type": "full", "model": {"name": bare_model}}}),
        json!({"execute": "qom-list-types", "id": "devices", "arguments": {"implements": "device", "abstract": false}}),
        json!({"execute": "quit"}),
    ];
    let io = |source| DriverError::Io { operation: "run", path: binary.to_owned(), source };
    let mut command = tokio::process::Command::new(binary);
    let fixed = ["-nodefaults", "-no-user-config", "-display", "none", "-machine", "none", "-S", "-qmp", "stdio"];
    command.args(fixed).args(["-accel", name]).env_clear().current_dir("/").kill_on_drop(true);
    command.stdin(script(&questions).map_err(io)?).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(user) = user {
        command.uid(user.uid).gid(gid.unwrap_or(user.gid));
    }
    let mut child = command.spawn().map_err(io)?;
    let conversation = async {
        let (mut out, mut err) = (Vec::new(), String::new());
        if let (Some(stdout), Some(stderr)) = (child.stdout.as_mut(), child.stderr.as_mut()) {
            tokio::try_join!(stdout.read_to_end(&mut out), stderr.read_to_string(&mut err))?;
        }
        Ok::<_, std::io::Error>((out, err))
    };
    let (out, err) = tokio::time::timeout(PROBE_LIMIT, conversation)
        .await
        .map_err(|_| DriverError::Silent { operation: "asking QEMU what it can do", limit: PROBE_LIMIT })?
        .map_err(io)?;
    let answers = answers_by_id(&out);
    parse(&answers, accel, cpu_model).ok_or_else(|| DriverError::Hypervisor {
        operation: format!("{} -accel {name}", binary.display()),
        message: if err.trim().is_empty() { refusal(&out) } else { err.trim().to_owned() },
    })
}

/// All questions and the `quit` after them, written before QEMU is started: so it ends even if we are killed meanwhile.
fn script(questions: &[Value]) -> std::io::Result<File> {
    let mut file = File::from(rustix::fs::memfd_create("qmp-script", MemfdFlags::CLOEXEC)?);
    for question in questions {
        writeln!(file, "{question}")?;
    }
    file.rewind()?;
    Ok(file)
}

fn answers_by_id(out: &[u8]) -> BTreeMap<String, Value> {
    out.split(|b| *b == b'\n')
        .filter_map(|line| serde_json::from_slice::<Value>(line).ok())
        .filter_map(|mut v| Some((v.get("id")?.as_str()?.to_owned(), v.get_mut("return")?.take())))
        .collect()
}

fn refusal(out: &[u8]) -> String {
    out.split(|b| *b == b'\n')
        .filter_map(|line| serde_json::from_slice::<Value>(line).ok())
        .find_map(|v| v.pointer("/error/desc")?.as_str().map(str::to_owned))
        .unwrap_or_else(|| "it did not describe itself".to_owned())
}

fn parse(answers: &BTreeMap<String, Value>, accel: Accelerator, cpu_model: String) -> Option<HostAbilities> {
    let qemu = answers.get("version")?.get("qemu")?;
    let number = |key| qemu.get(key).and_then(Value::as_u64);
    let (mut machines, mut machine_aliases) = (BTreeMap::new(), BTreeMap::new());
    for machine in answers.get("machines")?.as_array()? {
        let name = machine.get("name")?.as_str()?.to_owned();
        if let Some(alias) = machine.get("alias").and_then(Value::as_str) {
            machine_aliases.insert(alias.to_owned(), name.clone());
        }
        let most = machine.get("cpu-max").and_then(Value::as_u64).unwrap_or(1);
        machines.insert(name, u32::try_from(most).unwrap_or(u32::MAX));
    }
    let props = answers.get("cpu")?.pointer("/model/props")?.as_object()?;
    let devices = answers.get("devices")?.as_array()?;
    Some(HostAbilities {
        version: (number("major")?, number("minor")?, number("micro")?),
        accel,
        cpu_model,
        machines,
        machine_aliases,
        cpu_features: props.iter().filter(|(_, v)| **v == Value::Bool(true)).map(|(k, _)| k.clone()).collect(),
        devices: devices.iter().filter_map(|d| d.get("name")?.as_str().map(str::to_owned)).collect(),
    })
}

/// The binary's full path: configured, or the first in `PATH`.
pub(crate) fn find_binary(configured: Option<&Path>, search: Option<OsString>) -> Result<PathBuf, DriverError> {
    const NAME: &str = "qemu-system-x86_64";
    let runnable = |p: &Path| p.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0);
    if let Some(path) = configured {
        return if runnable(path) {
            Ok(path.to_owned())
        } else {
            Err(DriverError::CannotRun(format!("the configured QEMU {} is not a program", path.display())))
        };
    }
    let search = search.unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    std::env::split_paths(&search)
        .map(|dir| dir.join(NAME))
        .find(|p| runnable(p))
        .ok_or_else(|| DriverError::CannotRun(format!("{NAME} is not in PATH; install the package qemu-system-x86")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_binary_is_said_with_its_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let e = find_binary(None, Some(dir.path().as_os_str().to_owned())).unwrap_err();
        assert!(e.to_string().contains("install the package qemu-system-x86"), "{e}");
        let e = find_binary(Some(dir.path()), None).unwrap_err();
        assert!(e.to_string().contains("is not a program"), "{e}");
    }

    #[test]
    fn answers_are_read_among_events_and_noise() {
        let out = br#"{"QMP": {"version": {}}}
{"return": {}}
not json
{"event": "JOB_STATUS_CHANGE"}
{"return": {"qemu": {"micro": 22, "minor": 2, "major": 7}}, "id": "version"}
{"return": [{"name": "pc-i440fx-7.2", "alias": "pc", "cpu-max": 255}, {"name": "microvm"}], "id": "machines"}
{"return": {"model": {"name": "max", "props": {"aes": true, "avx512f": false, "phys-bits": 0}}}, "id": "cpu"}
{"return": [{"name": "VGA", "parent": "pci-vga"}], "id": "devices"}
"#;
        let host = parse(&answers_by_id(out), Accelerator::Tcg, "max".into()).unwrap();
        assert_eq!(host.version, (7, 2, 22));
        assert_eq!(host.machine_aliases["pc"], "pc-i440fx-7.2");
        assert_eq!(host.machines["pc-i440fx-7.2"], 255);
        assert_eq!(host.cpu_features.iter().collect::<Vec<_>>(), ["aes"]);
        assert!(host.devices.contains("VGA"));
        assert!(parse(&answers_by_id(b"{}"), Accelerator::Tcg, String::new()).is_none());
        assert_eq!(refusal(br#"{"error": {"class": "GenericError", "desc": "no such model"}}"#), "no such model");
    }
}
