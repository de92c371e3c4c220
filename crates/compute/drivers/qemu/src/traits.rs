//! Standard traits: what placement is told this host's guests can have.

use crate::args;
use crate::host::HostAbilities;

/// CPU feature in QEMU's spelling → traits, as Nova's libvirt driver maps them. The old and the vendor's name both, where
/// there are two.
const CPU: &[(&str, &[&str])] = &[
    ("3dnow", &["HW_CPU_X86_3DNOW"]),
    ("abm", &["HW_CPU_X86_ABM"]),
    ("aes", &["HW_CPU_X86_AESNI"]),
    ("amx-bf16", &["HW_CPU_X86_AMXBF16"]),
    ("amx-int8", &["HW_CPU_X86_AMXINT8"]),
    ("amx-tile", &["HW_CPU_X86_AMXTILE"]),
    ("avx", &["HW_CPU_X86_AVX"]),
    ("avx2", &["HW_CPU_X86_AVX2"]),
    ("avx512bw", &["HW_CPU_X86_AVX512BW"]),
    ("avx512cd", &["HW_CPU_X86_AVX512CD"]),
    ("avx512dq", &["HW_CPU_X86_AVX512DQ"]),
    ("avx512er", &["HW_CPU_X86_AVX512ER"]),
    ("avx512f", &["HW_CPU_X86_AVX512F"]),
    ("avx512pf", &["HW_CPU_X86_AVX512PF"]),
    ("avx512vl", &["HW_CPU_X86_AVX512VL"]),
    ("avx512vnni", &["HW_CPU_X86_AVX512VNNI"]),
    ("avx512vbmi", &["HW_CPU_X86_AVX512VBMI"]),
    ("avx512ifma", &["HW_CPU_X86_AVX512IFMA"]),
    ("avx512vbmi2", &["HW_CPU_X86_AVX512VBMI2"]),
    ("avx512bitalg", &["HW_CPU_X86_AVX512BITALG"]),
    ("vaes", &["HW_CPU_X86_AVX512VAES"]),
    ("gfni", &["HW_CPU_X86_AVX512GFNI"]),
    ("vpclmulqdq", &["HW_CPU_X86_AVX512VPCLMULQDQ"]),
    ("avx512-vpopcntdq", &["HW_CPU_X86_AVX512VPOPCNTDQ"]),
    ("bmi1", &["HW_CPU_X86_BMI"]),
    ("bmi2", &["HW_CPU_X86_BMI2"]),
    ("pclmulqdq", &["HW_CPU_X86_CLMUL"]),
    ("f16c", &["HW_CPU_X86_F16C"]),
    ("fma", &["HW_CPU_X86_FMA3"]),
    ("fma4", &["HW_CPU_X86_FMA4"]),
    ("mmx", &["HW_CPU_X86_MMX"]),
    ("mpx", &["HW_CPU_X86_MPX"]),
    ("sha-ni", &["HW_CPU_X86_SHA"]),
    ("sse", &["HW_CPU_X86_SSE"]),
    ("sse2", &["HW_CPU_X86_SSE2"]),
    ("pni", &["HW_CPU_X86_SSE3"]),
    ("sse4.1", &["HW_CPU_X86_SSE41"]),
    ("sse4.2", &["HW_CPU_X86_SSE42"]),
    ("sse4a", &["HW_CPU_X86_SSE4A"]),
    ("ssse3", &["HW_CPU_X86_SSSE3"]),
    ("svm", &["HW_CPU_X86_SVM", "HW_CPU_X86_AMD_SVM"]),
    ("tbm", &["HW_CPU_X86_TBM"]),
    ("vmx", &["HW_CPU_X86_VMX", "HW_CPU_X86_INTEL_VMX"]),
    ("xop", &["HW_CPU_X86_XOP"]),
];

/// True of every host with this driver.
const ALWAYS: &[&str] = &[
    "COMPUTE_ARCH_X86_64",
    "COMPUTE_FIRMWARE_BIOS",
    "COMPUTE_IMAGE_TYPE_AKI",
    "COMPUTE_IMAGE_TYPE_AMI",
    "COMPUTE_IMAGE_TYPE_ARI",
    "COMPUTE_IMAGE_TYPE_QCOW2",
    "COMPUTE_IMAGE_TYPE_RAW",
    "COMPUTE_NODE",
    "HW_ARCH_X86_64",
];

/// Sorted. CPU traits are those of the CPU that guests see, which under emulation is not the host's.
pub(crate) fn traits(host: &HostAbilities, hyperthreading: bool) -> Vec<String> {
    let mut all: Vec<String> = ALWAYS.iter().map(|t| (*t).to_owned()).collect();
    let cpu = CPU.iter().filter(|(feature, _)| host.cpu_features.contains(*feature));
    all.extend(cpu.flat_map(|(_, traits)| traits.iter().map(|t| (*t).to_owned())));
    all.extend(args::buses(host).map(|bus| format!("COMPUTE_STORAGE_BUS_{}", bus.to_uppercase())));
    all.extend(args::video_models(host).map(|model| format!("COMPUTE_GRAPHICS_MODEL_{}", model.to_uppercase())));
    if hyperthreading {
        all.push("HW_CPU_HYPERTHREADING".to_owned());
    }
    all.sort();
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Accelerator;
    use std::collections::BTreeSet;

    fn host(features: &[&str], devices: &[&str]) -> HostAbilities {
        HostAbilities {
            version: (7, 2, 0),
            accel: Accelerator::Tcg,
            cpu_model: "max".into(),
            machines: Default::default(),
            machine_aliases: Default::default(),
            cpu_features: features.iter().map(|f| (*f).to_owned()).collect(),
            devices: devices.iter().map(|d| (*d).to_owned()).collect(),
        }
    }

    /// Placement refuses names it does not know.
    #[test]
    fn every_trait_is_a_standard_one() {
        let standard: BTreeSet<String> =
            serde_json::from_str(include_str!("../tests/data/standard-traits.json")).unwrap();
        let features: Vec<&str> = CPU.iter().map(|(f, _)| *f).collect();
        let devices =
            "VGA cirrus-vga virtio-vga bochs-display virtio-blk-pci virtio-scsi-pci ich9-ahci ide-hd qemu-xhci";
        let all = traits(&host(&features, &devices.split(' ').collect::<Vec<_>>()), true);
        assert!(all.len() > 60, "{}", all.len());
        for name in &all {
            assert!(standard.contains(name), "{name}");
        }
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "twice the same");
    }

    #[test]
    fn only_what_is_there() {
        let all = traits(&host(&["aes", "vmx"], &["virtio-blk-pci"]), false);
        let has = |t: &str| all.iter().any(|x| x == t);
        assert!(has("HW_CPU_X86_AESNI") && has("HW_CPU_X86_VMX") && has("HW_CPU_X86_INTEL_VMX"));
        assert!(has("COMPUTE_STORAGE_BUS_VIRTIO") && has("COMPUTE_GRAPHICS_MODEL_NONE"));
        assert!(!has("HW_CPU_X86_AVX") && !has("COMPUTE_STORAGE_BUS_USB") && !has("HW_CPU_HYPERTHREADING"));
    }
}
