//! Archives as others make them, and as nobody should.

use super::hostile::{MOST_MEMORY_KIB, growth};
use super::{MIB, disk};
use image_convert::archive::{Archive, UnpackError};
use image_convert::testing::{Mutator, Zip, archives, gzip};
use std::io::{BufReader, Write};
use std::process::{Command, Stdio};

fn unpack(archive: &[u8], max_ratio: Option<u64>) -> Result<Vec<u8>, UnpackError> {
    let kind = Archive::of(archive).expect("an archive");
    let mut file = Vec::new();
    // in pieces, as it comes over the wire
    let length = kind.unpack(BufReader::with_capacity(1000, archive), &mut file, max_ratio)?;
    assert_eq!(length, file.len() as u64);
    Ok(file)
}

#[track_caller]
fn refused(archive: &[u8], words: &str) {
    let why = unpack(archive, None).map(|f| f.len()).expect_err("it should be refused").to_string();
    assert!(why.contains(words), "{why}");
}

#[test]
fn whole_archives_are_unpacked() {
    let file = disk(3 * MIB);
    for archive in archives(&file) {
        assert!(unpack(&archive, Some(1)).unwrap() == file);
    }
    assert_eq!(unpack(&gzip(&[]), None).unwrap(), [0; 0]);
    for head in [&b""[..], b"PK", b"QFI\xfb\0", b"\x1f\x8b\x07\0\0", b"PK\x05\x06\0"] {
        assert_eq!(Archive::of(head), None);
    }
}

/// Of the programs that people use; those that are not there are left out.
#[test]
fn what_other_programs_pack() {
    let dir = tempfile::tempdir().unwrap();
    let file = disk(3 * MIB);
    std::fs::write(dir.path().join("disk.raw"), &file).unwrap();
    let python = "import zipfile, sys\n\
                  with zipfile.ZipFile(sys.stdout.buffer, 'w', zipfile.ZIP_DEFLATED) as z:\n  \
                  with z.open('disk', 'w', force_zip64=True) as f: f.write(open('disk.raw', 'rb').read())";
    let mut tried = 0;
    for (program, args) in [
        ("gzip", &["-c", "disk.raw"][..]),
        // to a pipe: what it does not know before, it says after
        ("zip", &["-q", "-", "disk.raw"]),
        ("zip", &["-q", "-0", "out.zip", "disk.raw"]),
        ("zip", &["-q", "-fz", "-", "disk.raw"]),
        ("python3", &["-c", python]),
        ("python3", &["-m", "zipfile", "-c", "out2.zip", "disk.raw"]),
    ] {
        let started = Command::new(program).args(args).current_dir(dir.path()).stderr(Stdio::inherit()).output();
        let Ok(made) = started else {
            eprintln!("left out: there is no {program}");
            continue;
        };
        assert!(made.status.success(), "{program} {args:?}");
        let to_file = args.iter().find(|a| a.starts_with("out"));
        let archive = to_file.map_or(made.stdout, |name| std::fs::read(dir.path().join(name)).unwrap());
        let unpacked = unpack(&archive, None).unwrap_or_else(|e| panic!("{program} {args:?}: {e}"));
        assert!(unpacked == file, "{program} {args:?}");
        tried += 1;
    }
    eprintln!("{tried} archives");
}

#[test]
fn s08_bombs_are_defused() {
    let zeros = vec![0; 80 << 20];
    let bomb = gzip(&zeros);
    assert!(bomb.len() < zeros.len() / 200, "{}", bomb.len());
    for archive in [&bomb, &Zip::deflated(&zeros).bytes()] {
        let mut most = 0;
        let grown = growth(|| {
            let mut out = Sink(&mut most);
            let ended = Archive::of(archive).unwrap().unpack(&archive[..], &mut out, Some(100));
            assert!(matches!(ended, Err(UnpackError::Bomb { limit: 100, .. })), "{ended:?}");
        });
        assert!(most <= 64 << 20, "{most} bytes came");
        assert!(grown < MOST_MEMORY_KIB / 8, "{grown} KiB");
    }
    // a little of it harms nobody, and who allows more gets more
    assert_eq!(unpack(&gzip(&zeros[..MIB as usize]), Some(100)).unwrap().len() as u64, MIB);
    assert!(unpack(&bomb, Some(2000)).unwrap() == zeros);
}

struct Sink<'a>(&'a mut u64);

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        *self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn lies_are_refused() {
    let file = disk(MIB);
    let (packed, zip) = (gzip(&file), Zip::deflated(&file));
    refused(&packed[..packed.len() - 9], "gzip archive is damaged: it ends early");
    let mut wrong = packed.clone();
    *wrong.last_mut().unwrap() ^= 1;
    refused(&wrong, "gzip archive is damaged");
    refused(&[&packed[..], b"more"].concat(), "gzip archive is damaged");
    refused(b"  -lh5-", "LHA is not unpacked here");

    let whole = zip.bytes();
    for cut in [10, 40, 5000, whole.len() - 90, whole.len() - 1] {
        refused(&whole[..cut], "ends early");
    }
    refused(&[&whole[..], b"!"].concat(), "something follows its end");
    for (lie, words) in [
        (Zip { name: "folder/", ..zip.clone() }, "there is a folder in it"),
        (Zip { flags: 1, ..zip.clone() }, "it is encrypted"),
        (Zip { method: 93, ..zip.clone() }, "its method of packing, 93, is neither"),
        (Zip { flags: 8, ..Zip::stored(&file) }, "where it ends is not said before it"),
        (Zip { crc: 7, ..zip.clone() }, "is not what its header says"),
        (Zip { size: 7, ..zip.clone() }, "is not what its header says"),
        (Zip { files: 2, ..zip.clone() }, "more than one file"),
        (Zip { size: u32::MAX, ..zip.clone() }, "a length is missing"),
    ] {
        refused(&lie.bytes(), words);
    }
    let other = Zip { name: "other.raw", ..Zip::deflated(b"another file") };
    // a second file, seen from the front, and seen by the directory only
    refused(&[zip.local(), other.local(), zip.directory(), other.directory(), other.end()].concat(), "more than one");
    refused(&[zip.local(), zip.directory(), other.directory(), zip.end()].concat(), "more than one");
    // who believes the directory would see another file than who reads from the front
    refused(&[zip.local(), other.directory(), zip.end()].concat(), "its directory is not of the file");
    refused(&[zip.local(), zip.end()].concat(), "its directory does not follow");
}

/// Any change is survived, and what is unpacked all the same is the file.
#[test]
fn changed_archives_are_survived() {
    let file = disk(64 << 10);
    let seeds = archives(&file);
    let (mut yes, mut no) = (0, 0);
    for round in 0..4000 {
        let mut mutator = Mutator::new(round);
        let whole = &seeds[mutator.below(seeds.len())];
        let mut bytes = whole.clone();
        mutator.change(&mut bytes, &[whole.len().saturating_sub(100)]);
        let Some(kind) = Archive::of(&bytes) else { continue };
        let mut out = Vec::new();
        match kind.unpack(&bytes[..], &mut out, Some(100)) {
            Ok(_) => {
                assert!(out == file, "round {round}: another file");
                yes += 1;
            }
            Err(UnpackError::Refused { .. } | UnpackError::Damaged { .. }) => no += 1,
            Err(e) => panic!("round {round}: {e}"),
        }
    }
    assert!(yes > 20 && no > 500, "{yes} unpacked, {no} refused");
}
