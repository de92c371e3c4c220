//! `hw:cpu_policy`: processors of the guest's own (PCPU), shared ones (VCPU), or some of each.

use super::{Demand, PCPU, VCPU, either};
use compute_model::spec::{FlavorSpec, ImageSpec};
use std::collections::BTreeSet;

pub(super) fn translate(demand: &mut Demand, flavor: &FlavorSpec, image: Option<&ImageSpec>) {
    let spec = |key: &str| flavor.extra_specs.get(key).map(String::as_str);
    let vcpus = u64::from(flavor.vcpus);
    let pcpus = match either(flavor, image, "hw:cpu_policy") {
        Some("dedicated") => Some(vcpus),
        Some("mixed") => {
            let mask = spec("hw:cpu_dedicated_mask").or_else(|| either(flavor, image, "hw:cpu_realtime_mask"));
            let dedicated = mask.map_or(0, |m| masked(m, vcpus).len() as u64).min(vcpus);
            demand.unnamed.resources.insert(VCPU.to_owned(), vcpus - dedicated);
            Some(dedicated)
        }
        _ => None,
    };
    if let Some(pcpus) = pcpus {
        let own_thread = u64::from(spec("hw:emulator_threads_policy") == Some("isolate"));
        demand.unnamed.resources.insert(PCPU.to_owned(), pcpus + own_thread);
    }
    const HYPERTHREADING: &str = "HW_CPU_HYPERTHREADING";
    match either(flavor, image, "hw:cpu_thread_policy") {
        Some("isolate") => demand.unnamed.forbidden.insert(HYPERTHREADING.to_owned()),
        Some("require") => demand.unnamed.required.insert(HYPERTHREADING.to_owned()),
        _ => false,
    };
}

/// `0-3,^1`: 0, 2 and 3. Only exclusions: all but those.
fn masked(mask: &str, vcpus: u64) -> BTreeSet<u64> {
    let range = |text: &str| -> Vec<u64> {
        let (from, to) = text.split_once('-').unwrap_or((text, text));
        match (from.trim().parse::<u64>(), to.trim().parse::<u64>()) {
            (Ok(from), Ok(to)) => (from..=to.min(vcpus.saturating_sub(1))).collect(),
            _ => Vec::new(),
        }
    };
    let items: Vec<&str> = mask.split(',').map(str::trim).filter(|i| !i.is_empty()).collect();
    let excluded: BTreeSet<u64> = items.iter().filter_map(|i| i.strip_prefix('^')).flat_map(range).collect();
    let included: BTreeSet<u64> = items.iter().filter(|i| !i.starts_with('^')).flat_map(|i| range(i)).collect();
    let included = if included.is_empty() { (0..vcpus).collect() } else { included };
    included.difference(&excluded).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn masks() {
        for (mask, expected) in [
            ("0-3,^1", vec![0, 2, 3]),
            ("^0-1", vec![2, 3]),
            ("3", vec![3]),
            ("0-9", vec![0, 1, 2, 3]),
            ("x", vec![0, 1, 2, 3]),
        ] {
            let found: Vec<u64> = masked(mask, 4).into_iter().collect();
            assert_eq!(found, expected, "{mask}");
        }
    }
}
