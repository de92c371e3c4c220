//! The disks' layout.
//!
//! The whole disk: a boot record with one partition at 1 MiB, a FAT file system that holds SYSLINUX, the kernel, the
//! initramfs and the command line. The root disk that goes with separate kernel and initramfs is such a file system
//! alone. The guest keeps its own file in either, found by the label.

use std::io::{Cursor, Write as _};

use anyhow::{Context as _, Result};
use fatfs::{Date, DateTime, FileSystem, FormatVolumeOptions, FsOptions, Time, TimeProvider, format_volume};

pub(crate) const LABEL: &[u8; 11] = b"SKYIRON    ";
pub(crate) const SECTOR: usize = 512;
const MIB: usize = 1 << 20;

/// Where the partition begins: 1 MiB, as every partitioning tool has it.
pub(crate) const PARTITION_START: usize = MIB;

/// Free room in the file system: SYSLINUX's own files, and what the guest and its user data write.
const SLACK: usize = 8 * MIB;

/// The root disk image's size. The file system does not grow when the disk does.
const ROOT_DISK: usize = 16 * MIB;

/// A file system with `files`, as large as they need.
pub(crate) fn boot_volume(files: &[(&str, &[u8])]) -> Result<Vec<u8>> {
    let size: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
    volume(files, (size + SLACK).next_multiple_of(MIB), PARTITION_START)
}

/// An empty file system that is a disk of its own.
pub(crate) fn root_volume() -> Result<Vec<u8>> {
    volume(&[], ROOT_DISK, 0)
}

/// What SYSLINUX is to do: boot at once, ask nobody.
pub(crate) fn syslinux_config(command_line: &str) -> String {
    format!(
        "DEFAULT guest\nPROMPT 0\nNOESCAPE 1\nLABEL guest\n  LINUX vmlinuz\n  INITRD initrd\n  APPEND {command_line}\n"
    )
}

/// A whole disk: `boot_code` (at most 440 bytes) in the first sector, `volume` as its only, active partition.
pub(crate) fn whole_disk(boot_code: &[u8], volume: &[u8]) -> Result<Vec<u8>> {
    const FAT16_LBA: u8 = 0x0e;
    const ACTIVE: u8 = 0x80;
    // Cylinders, heads and sectors cannot say where it is; readers take the sector numbers behind them.
    const BEYOND_CHS: [u8; 3] = [0xfe, 0xff, 0xff];

    let mut disk = vec![0; PARTITION_START];
    disk.get_mut(..boot_code.len().max(440)).filter(|_| boot_code.len() <= 440).context("the boot code is too long")?
        [..boot_code.len()]
        .copy_from_slice(boot_code);
    let mut entry = vec![ACTIVE];
    entry.extend(BEYOND_CHS);
    entry.push(FAT16_LBA);
    entry.extend(BEYOND_CHS);
    entry.extend(u32::try_from(PARTITION_START / SECTOR)?.to_le_bytes());
    entry.extend(u32::try_from(volume.len() / SECTOR)?.to_le_bytes());
    disk[446..462].copy_from_slice(&entry);
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    disk.extend_from_slice(volume);
    Ok(disk)
}

/// `start` is the byte on the disk where the file system begins; the BIOS's boot code wants to know.
fn volume(files: &[(&str, &[u8])], size: usize, start: usize) -> Result<Vec<u8>> {
    // A fixed number, so that the same files give the same image.
    const VOLUME_ID: u32 = 0x534b_5949;
    const HIDDEN_SECTORS: usize = 28;

    let mut bytes = vec![0; size];
    let options = FormatVolumeOptions::new()
        .volume_label(*LABEL)
        .volume_id(VOLUME_ID)
        .drive_num(0x80)
        .sectors_per_track(63)
        .heads(255)
        .total_sectors(u32::try_from(size / SECTOR)?);
    format_volume(Cursor::new(&mut bytes), options)?;
    bytes[HIDDEN_SECTORS..HIDDEN_SECTORS + 4].copy_from_slice(&u32::try_from(start / SECTOR)?.to_le_bytes());

    let system = FileSystem::new(Cursor::new(&mut bytes), FsOptions::new().time_provider(&NO_TIME))?;
    for (name, contents) in files {
        let mut file = system.root_dir().create_file(name)?;
        file.write_all(contents).with_context(|| format!("cannot put {name} into the image"))?;
        file.flush()?;
    }
    system.unmount()?;
    Ok(bytes)
}

/// Files carry FAT's first moment, for the same reason as the fixed volume id.
#[derive(Debug)]
struct NoTime;
static NO_TIME: NoTime = NoTime;

impl TimeProvider for NoTime {
    fn get_current_date(&self) -> Date {
        Date { year: 1980, month: 1, day: 1 }
    }

    fn get_current_date_time(&self) -> DateTime {
        DateTime { date: self.get_current_date(), time: Time { hour: 0, min: 0, sec: 0, millis: 0 } }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn read(volume: &[u8], name: &str) -> Vec<u8> {
        let mut bytes = volume.to_vec();
        let system = FileSystem::new(Cursor::new(&mut bytes), FsOptions::new()).unwrap();
        let mut found = Vec::new();
        system.root_dir().open_file(name).unwrap().read_to_end(&mut found).unwrap();
        found
    }

    #[test]
    fn the_boot_volume_holds_its_files_and_knows_its_place() {
        let kernel: Vec<u8> = (0..300_000_u32).map(|n| n as u8).collect();
        let volume = boot_volume(&[("vmlinuz", &kernel), ("syslinux.cfg", b"DEFAULT x")]).unwrap();
        assert_eq!(read(&volume, "vmlinuz"), kernel);
        assert_eq!(read(&volume, "syslinux.cfg"), b"DEFAULT x");
        assert_eq!(volume[28..32], 2048_u32.to_le_bytes());
        assert_eq!(&volume[43..54], LABEL);
        assert_eq!(&volume[54..59], b"FAT16");
        assert_eq!(volume.len() % MIB, 0);
    }

    #[test]
    fn the_whole_disk_has_one_active_partition_up_to_its_end() {
        let volume = boot_volume(&[]).unwrap();
        let disk = whole_disk(&[0xeb; 440], &volume).unwrap();
        assert_eq!(disk[..440], [0xeb; 440]);
        assert_eq!(disk[510..512], [0x55, 0xaa]);
        assert_eq!((disk[446], disk[450]), (0x80, 0x0e));
        let number = |at: usize| u32::from_le_bytes(disk[at..at + 4].try_into().unwrap()) as usize * SECTOR;
        assert_eq!(number(454), PARTITION_START);
        assert_eq!(number(454) + number(458), disk.len());
        assert_eq!(disk[462..510], [0; 48]);
        assert_eq!(disk[PARTITION_START..], volume);
    }

    #[test]
    fn boot_code_that_would_overwrite_the_partition_table_is_refused() {
        assert!(whole_disk(&[0; 441], &[]).is_err());
    }

    #[test]
    fn the_root_volume_is_labelled_and_empty() {
        let volume = root_volume().unwrap();
        assert_eq!(&volume[43..54], LABEL);
        assert_eq!(volume[28..32], [0; 4]);
        assert_eq!(volume.len(), ROOT_DISK);
    }

    #[test]
    fn images_are_reproducible() {
        let make = || boot_volume(&[("initrd", b"abc")]).unwrap();
        assert_eq!(make(), make());
    }
}
