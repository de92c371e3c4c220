//! From flavor and image to what is asked of placement.

mod cpus;
mod traits;

use crate::Config;
use compute_model::driver::TRUSTED_CERTS;
use compute_model::spec::{FlavorSpec, ImageSpec};
use std::collections::{BTreeMap, BTreeSet};

pub const VCPU: &str = "VCPU";
pub const PCPU: &str = "PCPU";
pub const MEMORY_MB: &str = "MEMORY_MB";
pub const DISK_GB: &str = "DISK_GB";
/// A compute node whose service is disabled has it.
pub const DISABLED: &str = "COMPUTE_STATUS_DISABLED";

/// Amounts by class, and traits. In `BTree`s so that equal flavors ask in equal words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Above 0.
    pub resources: BTreeMap<String, u64>,
    pub required: BTreeSet<String>,
    pub forbidden: BTreeSet<String>,
}

/// An allocation candidates query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// The unsuffixed group.
    pub unnamed: Group,
    /// `resources<S>:…` and `trait<S>:…`, each from one provider.
    pub groups: BTreeMap<String, Group>,
    /// `group_policy=isolate`.
    pub isolate: bool,
    pub root_required: BTreeSet<String>,
    pub root_forbidden: BTreeSet<String>,
}

impl Demand {
    /// `from_volume`: the root disk is a volume and takes nothing of the host's disk.
    pub fn of(flavor: &FlavorSpec, image: Option<&ImageSpec>, from_volume: bool, config: &Config) -> Self {
        let mut new = Self::default();
        new.extra_specs(flavor);
        if let Some(image) = image {
            new.image_traits(image);
        }
        cpus::translate(&mut new, flavor, image);
        new.flavor_amounts(flavor, from_volume);
        traits::translate(&mut new, flavor, image);
        traits::prefilter(&mut new, image.filter(|_| !from_volume), config);
        new.root_forbidden.insert(DISABLED.to_owned());
        new.strip_zeros();
        new
    }

    /// Of a server that names certificates: only hosts that verify its image by them.
    pub fn trusting(mut self, certificates: &[String]) -> Self {
        if !certificates.is_empty() {
            self.root_required.insert(TRUSTED_CERTS.to_owned());
        }
        self
    }

    /// (class, amount) over all groups: what the server is counted with.
    pub fn totals(&self) -> BTreeMap<&str, u64> {
        let mut sums = BTreeMap::new();
        for (class, n) in self.every_group().flat_map(|g| &g.resources) {
            *sums.entry(class.as_str()).or_default() += n;
        }
        sums
    }

    fn every_group(&self) -> impl Iterator<Item = &Group> {
        std::iter::once(&self.unnamed).chain(self.groups.values())
    }

    fn group(&mut self, suffix: &str) -> &mut Group {
        if suffix.is_empty() { &mut self.unnamed } else { self.groups.entry(suffix.to_owned()).or_default() }
    }

    fn require(&mut self, name: impl Into<String>) {
        self.unnamed.required.insert(name.into());
    }

    /// What cannot be read was refused when the flavor was made, or means nothing: Nova leaves it out, too.
    fn extra_specs(&mut self, flavor: &FlavorSpec) {
        for (key, value) in &flavor.extra_specs {
            if key == "group_policy" {
                self.isolate = value == "isolate";
            } else if let Some((suffix, class)) = parts(key, "resources") {
                if let Ok(n) = value.trim().parse() {
                    self.group(suffix).resources.insert(class.to_owned(), n);
                }
            } else if let Some((suffix, name)) = parts(key, "trait") {
                let group = self.group(suffix);
                match value.as_str() {
                    "required" => group.required.insert(name.to_owned()),
                    "forbidden" => group.forbidden.insert(name.to_owned()),
                    _ => false,
                };
            }
        }
    }

    /// An image may only require, and only of the unsuffixed group.
    fn image_traits(&mut self, image: &ImageSpec) {
        let wanted = image.properties.iter().filter(|(_, v)| *v == "required");
        for name in wanted.filter_map(|(key, _)| key.strip_prefix("trait:")) {
            self.require(name);
        }
    }

    /// The flavor's own fields, where no extra spec has named the class.
    fn flavor_amounts(&mut self, flavor: &FlavorSpec, from_volume: bool) {
        let named: BTreeSet<String> = self.every_group().flat_map(|g| g.resources.keys().cloned()).collect();
        let root = if from_volume { 0 } else { flavor.root_disk.0 };
        let disk = root.saturating_add(flavor.ephemeral_disk.0).saturating_add(flavor.swap.to_gib_ceil().0);
        let own = &mut self.unnamed.resources;
        if !named.contains(VCPU) && !named.contains(PCPU) {
            own.insert(VCPU.to_owned(), u64::from(flavor.vcpus));
        }
        if !named.contains(MEMORY_MB) {
            own.insert(MEMORY_MB.to_owned(), flavor.ram.0);
        }
        if !named.contains(DISK_GB) {
            own.insert(DISK_GB.to_owned(), disk);
        }
    }

    fn strip_zeros(&mut self) {
        self.unnamed.resources.retain(|_, n| *n > 0);
        for g in self.groups.values_mut() {
            g.resources.retain(|_, n| *n > 0);
        }
    }
}

/// `resources_X:VCPU` → (`_X`, `VCPU`).
fn parts<'a>(key: &'a str, prefix: &str) -> Option<(&'a str, &'a str)> {
    let (suffix, name) = key.strip_prefix(prefix)?.split_once(':')?;
    let plain = suffix.len() <= 64 && suffix.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    (plain && !name.is_empty()).then_some((suffix, name))
}

/// An extra spec `hw:some_thing`, or the image property `hw_some_thing`. Where both are set they agree: create refuses
/// a contradiction.
fn either<'a>(flavor: &'a FlavorSpec, image: Option<&'a ImageSpec>, key: &str) -> Option<&'a str> {
    let property = key.replacen(':', "_", 1);
    let of_image = || image.and_then(|i| i.properties.get(&property));
    flavor.extra_specs.get(key).or_else(of_image).map(String::as_str)
}
