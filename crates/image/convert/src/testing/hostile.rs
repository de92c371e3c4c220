//! Files made to deceive: each begins as a whole one of its format, and then something in it lies.

use super::build::{self, VHDX_METADATA, VHDX_TABLE, in_file, put, seal_vhdx, seed};
use crate::Format;

/// What must become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// With a reason that holds these words.
    Refused(&'static str),
    /// It may be read or refused, but nothing else.
    Survived,
}

pub struct Hostile {
    pub what: String,
    pub format: Format,
    pub bytes: Vec<u8>,
    pub fate: Fate,
}

/// One change of a whole file: its words, where, what to write there, its fate.
type Lie<'a> = (&'a str, usize, &'a [u8], Fate);

use Fate::{Refused, Survived};

const MAX: [u8; 8] = [0xff; 8];

/// All of them.
pub fn corpus() -> Vec<Hostile> {
    let mut all = Vec::new();
    for (name, format, bytes) in build::seeds() {
        truncated(&mut all, name, format, &bytes);
    }
    qcow2(&mut all);
    packed_qcow2(&mut all);
    vmdk(&mut all);
    vhd(&mut all);
    vhdx(&mut all);
    vdi(&mut all);
    ploop(&mut all);
    all
}

fn lies(all: &mut Vec<Hostile>, name: &str, format: Format, lies: &[Lie<'_>]) {
    let whole = seed(name);
    for (what, at, with, fate) in lies {
        let mut bytes = whole.clone();
        put(&mut bytes, *at, with);
        if format == Format::Vhdx {
            seal_vhdx(&mut bytes);
        }
        all.push(Hostile { what: format!("{name}: {what}"), format, bytes, fate: *fate });
    }
}

fn truncated(all: &mut Vec<Hostile>, name: &str, format: Format, whole: &[u8]) {
    for len in [0, 1, 63, 64, 100, 511, 512, 4096, 65_537, whole.len() / 2] {
        let bytes = whole[..len.min(whole.len())].to_vec();
        // less than a header can be nothing
        let fate = if len < 64 { Refused("") } else { Survived };
        all.push(Hostile { what: format!("{name}: cut off after {len}"), format, bytes, fate });
    }
}

/// Header, refcount block, refcount table, L1 at 3, then data, then L2.
fn qcow2(all: &mut Vec<Hostile>) {
    const CLUSTER: usize = 64 << 10;
    let whole = seed("qcow2");
    let l1 = 3 * CLUSTER;
    let l2 = u64::from_be_bytes(whole[l1..l1 + 8].try_into().unwrap_or_default()) as usize & !(1 << 63);
    let be = |n: u64| n.to_be_bytes();
    let (itself, header, l1_itself) = (be(l2 as u64), be(1 << 63), be(l1 as u64));
    let past_end = be(whole.len() as u64);
    let far = be(0x00ff_ffff_ffff_0000);
    let packed_past_end = be(1 << 62 | 0xff << 54 | whole.len() as u64);
    let packed_noise = be(1 << 62 | 0xff << 54 | (4 * CLUSTER as u64));
    lies(
        all,
        "qcow2",
        Format::Qcow2,
        &[
            ("another magic number", 0, b"QFJ\xfb", Refused("magic")),
            ("version 1", 4, &[0, 0, 0, 1], Refused("version is 1")),
            ("version 4", 4, &[0, 0, 0, 4], Refused("version is 4")),
            ("a backing file", 8, &be(112), Refused("backing file")),
            ("a backing file beyond the end", 8, &MAX, Refused("backing file")),
            ("AES", 32, &[0, 0, 0, 1], Refused("encrypted")),
            ("LUKS", 32, &[0, 0, 0, 2], Refused("encrypted")),
            ("clusters of 1", 20, &[0, 0, 0, 0], Refused("clusters of")),
            ("clusters of 256", 20, &[0, 0, 0, 8], Refused("clusters of")),
            ("clusters of 4 MiB", 20, &[0, 0, 0, 22], Refused("clusters of")),
            ("clusters of 2^(2^32)", 20, &MAX[..4], Refused("clusters of")),
            ("the largest disk", 24, &MAX, Refused("L1 table")),
            ("a disk longer than the L1 table", 24, &be(1 << 30), Refused("shorter than the disk")),
            ("the longest L1 table", 36, &MAX[..4], Refused("L1 table")),
            ("no L1 table", 36, &[0; 4], Refused("shorter than the disk")),
            ("an L1 table beyond all ends", 40, &MAX, Refused("not in the file")),
            ("an L1 table at the end", 40, &past_end, Refused("not in the file")),
            ("an L1 table askew", 40, &be(l1 as u64 + 8), Refused("not in the file")),
            ("the L1 table in the header", 40, &be(0), Survived),
            ("refcounts beyond the end", 48, &MAX, Survived),
            ("refcounts of nothing", CLUSTER, &[0; 4096], Survived),
            ("snapshots without end", 60, &MAX, Survived),
            ("a data file", 72, &be(1 << 2), Refused("another file")),
            ("marked as corrupt", 72, &be(1 << 1), Refused("corrupt")),
            ("feature 5", 72, &be(1 << 5), Refused("nobody here knows")),
            ("feature 63", 72, &be(1 << 63), Refused("nobody here knows")),
            ("another packing that is not named", 72, &be(1 << 3), Refused("unknown way")),
            ("a packing named but not announced", 104, &[1], Refused("unknown way")),
            ("subclusters that are none", 72, &be(1 << 4), Survived),
            ("a header without end", 100, &MAX[..4], Survived),
            ("an L2 table at the end", l1, &past_end, Refused("cut off")),
            ("an L2 table far away", l1, &far, Refused("cut off")),
            ("an L2 table askew", l1, &be(l2 as u64 + 512), Refused("no multiple")),
            ("the L1 table as L2 table", l1, &l1_itself, Survived),
            ("a cluster at the end", l2, &past_end, Refused("cut off")),
            ("a cluster far away", l2, &far, Refused("cut off")),
            ("a cluster askew", l2, &be(4 * CLUSTER as u64 + 512), Refused("no multiple")),
            ("the L2 table as data", l2, &itself, Survived),
            ("the header as data", l2, &header, Survived),
            ("packed data at the end", l2, &packed_past_end, Refused("cut off")),
            ("packed data that is noise", l2, &packed_noise, Refused("cannot be unpacked")),
        ],
    );
    let mut overlapping = whole.clone();
    let first: [u8; 8] = whole[l2..l2 + 8].try_into().unwrap_or_default();
    (0..8).for_each(|n| put(&mut overlapping, l2 + n * 8, &first));
    all.push(Hostile {
        what: "qcow2: one cluster for all of the disk".into(),
        format: Format::Qcow2,
        bytes: overlapping,
        fate: Survived,
    });
    let mut old = whole;
    put(&mut old, 4, &[0, 0, 0, 2]);
    put(&mut old, l2, &be(1));
    all.push(Hostile {
        what: "qcow2: version 2 with a cluster of zeros".into(),
        format: Format::Qcow2,
        bytes: old,
        fate: Refused("version 2"),
    });
    let entry = 2 * (16 << 10);
    lies(
        all,
        "qcow2 with subclusters",
        Format::Qcow2,
        &[
            ("there and zero", entry + 8, &MAX, Refused("both there and zero")),
            ("there, of a cluster that is not", entry, &[0; 8], Refused("that is not")),
            ("a zero flag, too", entry, &be((3 * (16 << 10)) | 1), Refused("zero flag")),
            ("clusters too small", 20, &[0, 0, 0, 13], Refused("too small")),
        ],
    );
}

/// Packed clusters from cluster 4 on.
fn packed_qcow2(all: &mut Vec<Hostile>) {
    const DATA: usize = 4 * (64 << 10);
    let zstd = seed("qcow2 packed with zstd");
    // the first is noise and stands as it is, the second is packed
    let frame = zstd[DATA..].windows(4).position(|w| w == 0xfd2f_b528_u32.to_le_bytes()).unwrap_or_default() + DATA;
    let huge_window = [0, 0xff];
    let huge_content = [0xe0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    lies(
        all,
        "qcow2 packed with zstd",
        Format::Qcow2,
        &[
            ("a window of terabytes", frame + 4, &huge_window, Refused("cannot be unpacked")),
            ("a window of exabytes", frame + 4, &huge_content, Refused("cannot be unpacked")),
            ("no frame", frame, &[0; 4], Refused("cannot be unpacked")),
            ("said to be zlib", 72, &[0; 8], Refused("unknown way")),
        ],
    );
    lies(
        all,
        "qcow2 packed with zlib",
        Format::Qcow2,
        &[("noise instead of packed data", DATA + (64 << 10), &[0xff; 64], Refused("cannot be unpacked"))],
    );
}

fn vmdk(all: &mut Vec<Hostile>) {
    let le = |n: u64| n.to_le_bytes();
    let descriptor = |text: &str| {
        let mut bytes = text.as_bytes().to_vec();
        bytes.resize(400, 0);
        bytes
    };
    let flat = descriptor("version=1\ncreateType=\"monolithicFlat\"\nRW 1024 FLAT \"/etc/passwd\" 0\n");
    let named = descriptor("version=1\ncreateType=\"monolithicSparse\"\nRW 1024 SPARSE \"/etc/passwd\"\n");
    let itself = descriptor("version=1\ncreateType=\"custom\"\nRW 1024 SPARSE \"a.vmdk\"\n");
    let no_extent = descriptor("version=1\ncreateType=\"monolithicSparse\"\n");
    let (directory, table) = (21 * 512, 22 * 512);
    lies(
        all,
        "monolithicSparse VMDK",
        Format::Vmdk,
        &[
            ("another magic number", 0, b"KDMW", Refused("no sparse header")),
            ("only text", 0, &flat, Refused("no sparse header")),
            ("version 4", 4, &[4, 0, 0, 0], Refused("version is 4")),
            ("the largest disk", 12, &MAX, Refused("too many")),
            ("a disk of exabytes", 12, &le(1 << 50), Refused("directory")),
            ("a disk longer than the directory", 12, &le(1 << 30), Refused("")),
            ("grains of nothing", 20, &[0; 8], Refused("grains of 0")),
            ("grains of three sectors", 20, &le(3), Refused("grains of")),
            ("the largest grains", 20, &MAX, Refused("too many")),
            ("no descriptor", 28, &[0; 16], Refused("no descriptor")),
            ("a descriptor beyond the end", 28, &MAX, Refused("descriptor is not in the file")),
            ("a descriptor at the end", 28, &le(1 << 40), Refused("descriptor is not in the file")),
            ("the longest descriptor", 36, &MAX, Refused("")),
            ("flat, with another's file", 512, &flat, Refused("filenames")),
            ("another's file as extent", 512, &named, Refused("filenames")),
            ("itself as extent", 512, &itself, Refused("createType")),
            ("no extent", 512, &no_extent, Refused("No extents")),
            ("tables of nothing", 44, &[0; 4], Refused("tables of 0")),
            ("the longest tables", 44, &MAX[..4], Refused("grain tables of")),
            ("a directory beyond the end", 56, &le(1 << 54), Refused("directory is not")),
            ("a directory in a footer that is none", 56, &MAX, Refused("no sparse header")),
            ("a table beyond the end", directory, &MAX[..4], Refused("cut off")),
            ("the directory as table", directory, &[21, 0, 0, 0], Survived),
            ("a grain beyond the end", table, &MAX[..4], Refused("cut off")),
            ("the header as grain", table, &[1, 0, 0, 0], Survived),
            ("packed, which it is not", 8, &[1, 0, 3, 0], Refused("unknown way")),
            ("packed without markers", 8, &[1, 0, 1, 0], Refused("unknown way")),
        ],
    );
    let grain = 128 * 512;
    let whole = seed("streamOptimized VMDK");
    let footer = whole.len() - 1024;
    lies(
        all,
        "streamOptimized VMDK",
        Format::Vmdk,
        &[
            ("the longest grain", grain + 8, &MAX[..4], Refused("cannot be unpacked")),
            ("an empty grain", grain + 8, &[0; 4], Refused("cannot be unpacked")),
            ("noise as grain", grain + 12, &[0xff; 100], Refused("cannot be unpacked")),
            ("a footer that names a footer", footer + 56, &MAX, Refused("too many")),
            ("no footer", footer, &[0; 512], Refused("no sparse header")),
            ("packed with something else", footer + 77, &[2, 0], Refused("unknown way")),
            ("grains larger than one unpacks", footer + 20, &le(1 << 14), Refused("unknown way")),
        ],
    );
}

fn vhd(all: &mut Vec<Hostile>) {
    let table = 1536;
    lies(
        all,
        "dynamic VHD",
        Format::Vhd,
        &[
            ("a parent", 60, &[0, 0, 0, 4], Refused("parent")),
            ("type 9", 60, &[0, 0, 0, 9], Refused("type is 9")),
            ("fixed, which it is not", 60, &[0, 0, 0, 2, 0, 0, 0, 0], Survived),
            ("the largest disk", 48, &MAX, Refused("shorter than the disk")),
            ("a disk longer than the table", 48, &(1u64 << 40).to_be_bytes(), Refused("shorter than the disk")),
            ("a header beyond the end", 16, &MAX, Refused("header is missing")),
            ("itself as header", 16, &[0; 8], Refused("header is missing")),
            ("a table beyond the end", 512 + 16, &MAX, Refused("shorter than the disk")),
            ("a table of nothing", 512 + 28, &[0; 4], Refused("shorter than the disk")),
            ("blocks of nothing", 512 + 32, &[0; 4], Refused("blocks of 0")),
            ("blocks of three", 512 + 32, &[0, 0, 0, 3], Refused("blocks of 3")),
            ("the largest blocks", 512 + 32, &[0x80, 0, 0, 0], Survived),
            ("a block beyond the end", table, &[0xff, 0xff, 0xff, 0xfe], Refused("cut off")),
            ("the footer as block", table, &[0; 4], Survived),
        ],
    );
    let footer = build::DISK;
    lies(
        all,
        "fixed VHD",
        Format::Vhd,
        &[
            ("the largest disk", footer + 48, &MAX, Refused("shorter than its disk")),
            ("a disk longer than the file", footer + 48, &(1u64 << 30).to_be_bytes(), Refused("shorter than its disk")),
            ("dynamic, which it is not", footer + 60, &[0, 0, 0, 3], Refused("header is missing")),
            ("no footer", footer, b"disconec", Refused("neither its first")),
        ],
    );
}

fn vhdx(all: &mut Vec<Hostile>) {
    let (regions, metadata, table) = (192 << 10, VHDX_METADATA, VHDX_TABLE);
    let item = |n: usize| metadata + 4096 + n * 8;
    let le = |n: u64| n.to_le_bytes();
    let parent = in_file("A8D35F2DB30B454DABF7D3D84834AB0C");
    let unknown = [&[7; 16][..], &le(1 << 20), &[0, 0, 1, 0], &[1, 0, 0, 0]].concat();
    lies(
        all,
        "dynamic VHDX",
        Format::Vhdx,
        &[
            ("another signature", 0, b"vhdyfile", Refused("signature")),
            ("changes in its log", (128 << 10) + 48, &[1; 16], Refused("not closed")),
            ("version 2", (128 << 10) + 66, &[2, 0], Refused("version is not 1")),
            ("a region nobody knows", regions + 16, &unknown, Refused("region that nobody")),
            ("a table beyond the end", regions + 16 + 16, &MAX, Refused("region of it is missing")),
            ("the longest table", regions + 16 + 24, &MAX[..4], Refused("region of it is missing")),
            ("a table of nothing", regions + 16 + 24, &[0; 4], Refused("shorter than the disk")),
            ("metadata beyond the end", regions + 48 + 16, &MAX, Refused("region of it is missing")),
            ("metadata in the header", regions + 48 + 16, &[0; 8], Refused("metadata table is missing")),
            ("more metadata than there can be", metadata + 10, &MAX[..2], Refused("too long")),
            ("no metadata", metadata + 10, &[0; 2], Refused("incomplete")),
            ("a size beyond the end", metadata + 64 + 16, &MAX[..4], Refused("incomplete")),
            ("a parent by its flag", item(0) + 4, &[2, 0, 0, 0], Refused("parent")),
            ("a parent by its name", metadata + 32 + 64, &parent, Refused("parent")),
            ("blocks of nothing", item(0), &[0; 4], Refused("blocks of 0")),
            ("blocks of three MiB", item(0), &[0, 0, 0x30, 0], Refused("blocks of")),
            ("the largest blocks", item(0), &[0, 0, 0, 0x80], Refused("blocks of")),
            ("the largest disk", item(1), &MAX, Refused("a disk of")),
            ("64 TiB", item(1), &le(64 << 40), Refused("shorter than the disk")),
            ("sectors of nothing", item(2), &[0; 4], Refused("sectors of 0")),
            ("a block beyond the end", table, &le(!0 << 20 | 6), Refused("cut off")),
            ("a block of its parent's", table, &le(1 << 20 | 7), Refused("in a parent")),
            ("a block of a state that is none", table, &le(1 << 20 | 4), Refused("state 4")),
            ("the headers as block", table, &le(6), Survived),
        ],
    );
    let mut unsealed = seed("dynamic VHDX");
    for at in [64 << 10, 128 << 10] {
        unsealed[at + 4] ^= 1;
    }
    all.push(Hostile {
        what: "dynamic VHDX: wrong checksums".into(),
        format: Format::Vhdx,
        bytes: unsealed,
        fate: Refused("neither of its headers"),
    });
}

fn vdi(all: &mut Vec<Hostile>) {
    let table = 512;
    lies(
        all,
        "dynamic VDI",
        Format::Vdi,
        &[
            ("another signature", 64, &[0; 4], Refused("signature")),
            ("version 2", 68, &[0, 0, 2, 0], Refused("version is 2.0")),
            ("a differencing disk", 76, &[4, 0, 0, 0], Refused("stand alone")),
            ("a link", 424, &[1; 16], Refused("stand alone")),
            ("a parent", 440, &[1; 16], Refused("stand alone")),
            ("a table beyond the end", 340, &MAX[..4], Refused("shorter than the disk")),
            ("data beyond the end", 344, &MAX[..4], Refused("cut off")),
            ("sectors of 4096", 360, &[0, 16, 0, 0], Refused("sectors")),
            ("the largest disk", 368, &MAX, Refused("shorter than the disk")),
            ("blocks of nothing", 376, &[0; 4], Refused("blocks of 0")),
            ("blocks of three", 376, &[3, 0, 0, 0], Refused("blocks of 3")),
            ("blocks that carry more", 380, &[1, 0, 0, 0], Refused("more than their data")),
            ("the most blocks", 384, &MAX[..4], Refused("shorter than the disk")),
            ("a block of a number that is none", table, &[9, 0, 0, 0], Refused("block 9 of")),
        ],
    );
}

fn ploop(all: &mut Vec<Hostile>) {
    lies(
        all,
        "ploop",
        Format::Ploop,
        &[
            ("another signature", 0, b"WithFreeSpaceXXX", Refused("signature")),
            ("version 3", 16, &[3, 0, 0, 0], Refused("version is 3")),
            ("clusters of nothing", 28, &[0; 4], Refused("clusters of 0")),
            ("the largest clusters", 28, &MAX[..4], Refused("clusters of")),
            ("no table", 32, &[0; 4], Refused("shorter than the disk")),
            ("the largest disk", 36, &MAX, Refused("sectors")),
            ("a disk longer than the table", 36, &[0, 0, 0, 1], Refused("shorter than the disk")),
            ("a cluster beyond the end", 64, &MAX[..4], Refused("cut off")),
            ("one cluster for two", 64, &[2, 0, 0, 0], Survived),
            ("counted in sectors", 0, b"WithoutFreeSpace", Survived),
        ],
    );
}
