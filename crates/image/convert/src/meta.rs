//! Headers and tables of a file, read through a few pages: however large a table claims to be, no more is held.

use crate::{Error, Format, Source};
use std::io;

const PAGE: u64 = 64 << 10;
const PAGES: usize = 4;

struct Page {
    number: u64,
    used: u64,
    bytes: Vec<u8>,
}

pub(crate) struct Meta<'a> {
    pub source: &'a dyn Source,
    pub format: Format,
    /// Of the file.
    pub size: u64,
    pages: Vec<Page>,
    clock: u64,
}

impl<'a> Meta<'a> {
    pub(crate) fn new(source: &'a dyn Source, format: Format) -> Result<Self, Error> {
        let size = source.len().map_err(|source| Error::Read { at: 0, len: 0, source })?;
        Ok(Self { source, format, size, pages: Vec::new(), clock: 0 })
    }

    pub(crate) fn damaged(&self, reason: impl Into<std::borrow::Cow<'static, str>>) -> Error {
        Error::damaged(self.format, reason)
    }
    pub(crate) fn refused(&self, reason: impl Into<std::borrow::Cow<'static, str>>) -> Error {
        Error::refused(self.format, reason)
    }

    /// Whether the file holds `len` bytes from `at` on.
    pub(crate) fn holds(&self, at: u64, len: u64) -> bool {
        at.checked_add(len).is_some_and(|end| end <= self.size)
    }

    /// `len` is a size of the format's, never one of the file's.
    pub(crate) fn bytes(&self, at: u64, len: usize) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; len];
        self.read(&mut bytes, at)?;
        Ok(bytes)
    }

    fn read(&self, buffer: &mut [u8], at: u64) -> Result<(), Error> {
        let len = buffer.len() as u64;
        self.source.read_exact_at(buffer, at).map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => self.damaged(format!("it is cut off: {len} bytes at {at} are missing")),
            _ => Error::Read { at, len, source },
        })
    }

    fn array<const N: usize>(&mut self, at: u64) -> Result<[u8; N], Error> {
        let within = (at % PAGE) as usize;
        let page = self.page(at / PAGE)?;
        if let Some(found) = page.get(within..within + N).and_then(|b| b.try_into().ok()) {
            return Ok(found);
        }
        let mut straddling = [0; N];
        self.read(&mut straddling, at)?;
        Ok(straddling)
    }

    fn page(&mut self, number: u64) -> Result<&[u8], Error> {
        self.clock += 1;
        let clock = self.clock;
        let held = self.pages.iter().position(|p| p.number == number);
        let slot = match held {
            Some(slot) => slot,
            None => self.load(number)?,
        };
        let page = &mut self.pages[slot];
        page.used = clock;
        Ok(&page.bytes)
    }

    fn load(&mut self, number: u64) -> Result<usize, Error> {
        let start = number.saturating_mul(PAGE);
        let len = self.size.saturating_sub(start).min(PAGE) as usize;
        let oldest = (0..self.pages.len()).min_by_key(|&p| self.pages[p].used);
        let (slot, mut bytes) = match oldest {
            Some(slot) if self.pages.len() == PAGES => (slot, std::mem::take(&mut self.pages[slot].bytes)),
            _ => (self.pages.len(), Vec::new()),
        };
        bytes.resize(len, 0);
        self.read(&mut bytes, start)?;
        let page = Page { number, used: 0, bytes };
        if slot == self.pages.len() {
            self.pages.push(page)
        } else {
            self.pages[slot] = page
        }
        Ok(slot)
    }

    pub(crate) fn be32(&mut self, at: u64) -> Result<u32, Error> {
        self.array(at).map(u32::from_be_bytes)
    }
    pub(crate) fn be64(&mut self, at: u64) -> Result<u64, Error> {
        self.array(at).map(u64::from_be_bytes)
    }
    pub(crate) fn le16(&mut self, at: u64) -> Result<u16, Error> {
        self.array(at).map(u16::from_le_bytes)
    }
    pub(crate) fn le32(&mut self, at: u64) -> Result<u32, Error> {
        self.array(at).map(u32::from_le_bytes)
    }
    pub(crate) fn le64(&mut self, at: u64) -> Result<u64, Error> {
        self.array(at).map(u64::from_le_bytes)
    }
    pub(crate) fn guid(&mut self, at: u64) -> Result<[u8; 16], Error> {
        self.array(at)
    }

    /// Entry `index` of the table at `table`, whose entries are `width` bytes.
    pub(crate) fn entry(&self, table: u64, index: u64, width: u64) -> Result<u64, Error> {
        index
            .checked_mul(width)
            .and_then(|o| table.checked_add(o))
            .ok_or_else(|| self.damaged("a table lies outside of the file"))
    }
}
