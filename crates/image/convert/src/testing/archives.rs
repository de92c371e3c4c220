//! Archives as they should be, and as nobody should write them.

use flate2::write::{DeflateEncoder, GzEncoder};
use flate2::{Compression, Crc};
use std::io::Write;

/// One member.
pub fn gzip(file: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(file).and_then(|()| packed.finish()).expect("written to memory")
}

/// A ZIP with one file, as its writer wants it: each field may lie.
#[derive(Clone)]
pub struct Zip {
    pub name: &'static str,
    pub flags: u16,
    pub method: u16,
    /// The file in it as it is packed.
    pub data: Vec<u8>,
    pub crc: u32,
    pub size: u32,
    /// How many files there are, as the end has it.
    pub files: u16,
}

impl Zip {
    pub fn stored(file: &[u8]) -> Self {
        let mut crc = Crc::new();
        crc.update(file);
        Self {
            name: "disk.raw",
            flags: 0,
            method: 0,
            data: file.to_vec(),
            crc: crc.sum(),
            size: file.len() as u32,
            files: 1,
        }
    }

    pub fn deflated(file: &[u8]) -> Self {
        let mut packed = DeflateEncoder::new(Vec::new(), Compression::best());
        let data = packed.write_all(file).and_then(|()| packed.finish()).expect("written to memory");
        Self { method: 8, data, ..Self::stored(file) }
    }

    fn fields(&self) -> Vec<u8> {
        let mut fields = Vec::new();
        fields.extend([20u16, self.flags, self.method, 0, 0].iter().flat_map(|n| n.to_le_bytes()));
        fields.extend([self.crc, self.data.len() as u32, self.size].iter().flat_map(|n| n.to_le_bytes()));
        fields.extend([self.name.len() as u16, 0].iter().flat_map(|n| n.to_le_bytes()));
        fields
    }

    /// The file and what stands before it.
    pub fn local(&self) -> Vec<u8> {
        [b"PK\x03\x04", &*self.fields(), self.name.as_bytes(), &self.data].concat()
    }

    pub fn directory(&self) -> Vec<u8> {
        [b"PK\x01\x02\x14\0", &*self.fields(), &[0; 14], self.name.as_bytes()].concat()
    }

    pub fn end(&self) -> Vec<u8> {
        let files = self.files.to_le_bytes();
        [b"PK\x05\x06\0\0\0\0", &files[..], &files, &[0; 8], b"\x04\0note"].concat()
    }

    pub fn bytes(&self) -> Vec<u8> {
        [self.local(), self.directory(), self.end()].concat()
    }

    /// Its sizes and checksum behind the file instead of before it, as a program writes that writes to a pipe.
    pub fn described_later(&self) -> Vec<u8> {
        let blank = Self { flags: self.flags | 1 << 3, crc: 0, size: 0, ..self.clone() };
        let mut local = blank.local();
        local[18..22].fill(0);
        let sums = [self.crc, self.data.len() as u32, self.size].map(u32::to_le_bytes).concat();
        let listed = Self { flags: blank.flags, ..self.clone() };
        [local, b"PK\x07\x08".to_vec(), sums, listed.directory(), self.end()].concat()
    }
}

/// Whole archives with the same file.
pub fn archives(file: &[u8]) -> Vec<Vec<u8>> {
    let half = file.len() / 2;
    vec![
        gzip(file),
        [gzip(&file[..half]), gzip(&[]), gzip(&file[half..]), vec![0; 3000]].concat(),
        Zip::stored(file).bytes(),
        Zip::deflated(file).bytes(),
        Zip::deflated(file).described_later(),
    ]
}
