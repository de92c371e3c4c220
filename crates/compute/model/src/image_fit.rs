//! Whether a flavor can hold an image.

use crate::spec::FlavorSpec;
use base::{Gib, Mib};

/// What of an image matters to a flavor.
#[derive(Clone, Copy, Debug, Default)]
pub struct ImageNeeds {
    /// Of the stored data.
    pub size_bytes: u64,
    /// Of the disk inside, where it is known: an overlay can grow a disk, not shrink it.
    pub virtual_size_bytes: Option<u64>,
    pub min_disk: Gib,
    pub min_ram: Mib,
}

/// Why not, in Nova's words. A 400 each, but [`Misfit::ZeroDisk`], which is a 403.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    #[error("Flavor's memory is too small for requested image.")]
    Memory,
    #[error("Only volume-backed servers are allowed for flavors with zero disk.")]
    ZeroDisk,
    #[error("Flavor's disk is too small for requested image. Flavor disk is {disk} bytes, image is {image} bytes.")]
    Size { disk: u64, image: u64 },
    #[error(
        "Flavor's disk is smaller than the minimum size specified in image metadata. Flavor disk is {disk} bytes, \
         minimum size is {min} bytes."
    )]
    MinDisk { disk: u64, min: u64 },
}

/// `zero_disk_allowed`: the caller may use flavors whose root disk is 0 GiB, which means "as large as the image".
pub fn check(flavor: &FlavorSpec, image: ImageNeeds, zero_disk_allowed: bool) -> Result<(), Misfit> {
    if flavor.ram < image.min_ram {
        return Err(Misfit::Memory);
    }
    let disk = flavor.root_disk.bytes();
    if disk == 0 {
        return if zero_disk_allowed { Ok(()) } else { Err(Misfit::ZeroDisk) };
    }
    let size = image.size_bytes.max(image.virtual_size_bytes.unwrap_or(0));
    if size > disk {
        return Err(Misfit::Size { disk, image: size });
    }
    let min = image.min_disk.bytes();
    if min > disk {
        return Err(Misfit::MinDisk { disk, min });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flavor(ram: u64, disk: u64) -> FlavorSpec {
        FlavorSpec {
            flavor_id: "1".into(),
            name: "m1.tiny".into(),
            vcpus: 1,
            ram: Mib(ram),
            root_disk: Gib(disk),
            ephemeral_disk: Gib(0),
            swap: Mib(0),
            extra_specs: Default::default(),
        }
    }

    #[test]
    fn the_edges() {
        let gib = Gib(1).bytes();
        let image = ImageNeeds { size_bytes: gib, virtual_size_bytes: Some(gib), min_disk: Gib(1), min_ram: Mib(64) };
        assert_eq!(check(&flavor(64, 1), image, false), Ok(()));
        assert_eq!(check(&flavor(63, 1), image, false), Err(Misfit::Memory));
        let larger = ImageNeeds { size_bytes: gib + 1, ..image };
        assert_eq!(check(&flavor(64, 1), larger, false), Err(Misfit::Size { disk: gib, image: gib + 1 }));
        let sparse = ImageNeeds { size_bytes: 10, virtual_size_bytes: Some(gib + 1), ..image };
        assert_eq!(check(&flavor(64, 1), sparse, false), Err(Misfit::Size { disk: gib, image: gib + 1 }));
        let wants_two = ImageNeeds { min_disk: Gib(2), ..image };
        assert_eq!(check(&flavor(64, 1), wants_two, false), Err(Misfit::MinDisk { disk: gib, min: 2 * gib }));
    }

    #[test]
    fn zero_disk_is_for_the_privileged() {
        let image = ImageNeeds { size_bytes: Gib(5).bytes(), ..ImageNeeds::default() };
        assert_eq!(check(&flavor(64, 0), image, false), Err(Misfit::ZeroDisk));
        assert_eq!(check(&flavor(64, 0), image, true), Ok(()));
    }
}
