//! VMDK: a descriptor in text may name other files of the host as extents.

use crate::bytes::{le32, le64};
use crate::format::{Detected, Finding, Format};
use crate::window::{Tail, Window};

const MAGIC: &[u8] = b"KDMV";
const SECTOR: u64 = 512;
/// Where QEMU, too, insists on finding the descriptor.
const DESCRIPTOR_OFFSET: u64 = 512;
const DESCRIPTOR_MAX: u64 = (1 << 20) - 1;
/// The grain directory's place is in a footer, as with every streamOptimized file.
const AT_END: u64 = u64::MAX;
/// Footer marker, footer, end-of-stream marker.
const FOOTER_LEN: usize = 3 * 512;
const FOOTER_MARKER: u32 = 3;
const ALLOWED_TYPES: [&str; 2] = ["monolithicsparse", "streamoptimized"];
/// In lower case.
const CREATE_TYPE: &str = "createtype=\"";
/// A longer value counts as none.
const CREATE_TYPE_MAX: usize = 63;
/// Sparse extents of ESX: never with a descriptor of their own.
const ESX_MAGIC: &[u8] = b"COWD";
const EXTENT_ACCESS: [&str; 3] = ["rw", "rdonly", "noaccess"];

/// What QEMU takes from the header, and again from the footer.
#[derive(PartialEq, Eq)]
struct Header {
    version: u32,
    capacity: u64,
    descriptor_offset: u64,
    descriptor_size: u64,
    grain_directory: u64,
}

impl Header {
    fn parse(sector: &[u8]) -> Option<Self> {
        if !sector.starts_with(MAGIC) {
            return None;
        }
        Some(Self {
            version: le32(sector, 4)?,
            capacity: le64(sector, 12)?,
            descriptor_offset: le64(sector, 28)?,
            descriptor_size: le64(sector, 36)?,
            grain_directory: le64(sector, 56)?,
        })
    }
}

pub(crate) struct Vmdk {
    head: Window,
    descriptor: Option<Window>,
    tail: Tail,
}

impl Default for Vmdk {
    fn default() -> Self {
        Self { head: Window::head(), descriptor: None, tail: Tail::new(FOOTER_LEN) }
    }
}

impl Format for Vmdk {
    fn detects(&self) -> Detected {
        Detected::Vmdk
    }
    fn feed(&mut self, at: u64, chunk: &[u8]) {
        self.head.feed(at, chunk);
        if self.descriptor.is_none()
            && let Some(header) = Header::parse(self.head.bytes())
        {
            let len = header.descriptor_size.saturating_mul(SECTOR).min(DESCRIPTOR_MAX);
            self.descriptor = usize::try_from(len).ok().map(|len| Window::new(DESCRIPTOR_OFFSET, len));
        }
        let head = self.head.bytes();
        if self.descriptor.is_none() && self.head.is_complete() && !head.starts_with(MAGIC) && may_be_text(head) {
            self.descriptor = Some(Window::new(DESCRIPTOR_OFFSET, DESCRIPTOR_MAX as usize));
        }
        if let Some(window) = &mut self.descriptor {
            window.feed(at, chunk);
            self.tail.feed(chunk);
        }
    }
    fn conclude(&self, _size: u64) -> Option<Finding> {
        if !self.head.bytes().starts_with(MAGIC) {
            // A descriptor alone: its extents are other files, so there is nothing in it to accept.
            let more = self.descriptor.as_ref().map_or(&[][..], Window::bytes);
            let text = [self.head.bytes(), more].concat();
            return (self.head.bytes().starts_with(ESX_MAGIC) || is_bare_descriptor(self.head.bytes(), &text))
                .then(|| Finding::safe(None).with("descriptor", Some("The disk's data is in other files".into())));
        }
        let Some(header) = Header::parse(self.head.bytes()) else {
            return Some(Finding::safe(None).with("header", Some("The header is cut off".into())));
        };
        Some(
            Finding::safe(header.capacity.checked_mul(SECTOR))
                .with("header", fault_in_header(&header))
                .with(
                    "footer",
                    (header.grain_directory == AT_END).then(|| fault_in_footer(&header, &self.tail)).flatten(),
                )
                .with("descriptor", self.fault_in_descriptor()),
        )
    }
}

fn may_be_text(head: &[u8]) -> bool {
    head.iter().all(|b| b.is_ascii_graphic() || b.is_ascii_whitespace())
}

/// A descriptor alone, as QEMU or Glance would take it for one. `text`: what there is of it, up to 1 MiB.
fn is_bare_descriptor(head: &[u8], text: &[u8]) -> bool {
    let lower = |bytes: &[u8]| String::from_utf8_lossy(bytes).to_ascii_lowercase();
    let head = head.split(|&b| b == 0).next().unwrap_or_default();
    if head.is_empty() || !may_be_text(head) {
        return false;
    }
    let first = lower(head);
    let first_of_qemu = first.lines().map(str::trim).find(|l| !l.is_empty() && !l.starts_with('#')).unwrap_or_default();
    first.trim_start().starts_with("# disk descriptorfile")
        || ["version=1", "version=2", "version=3"].contains(&first_of_qemu)
        || lower(text.split(|&b| b == 0).next().unwrap_or_default()).contains(CREATE_TYPE)
}

fn fault_in_header(header: &Header) -> Option<String> {
    if !(1..=3).contains(&header.version) {
        return Some(format!("Unsupported format version {}", header.version));
    }
    (header.descriptor_offset != DESCRIPTOR_OFFSET / SECTOR).then(|| "Wrong descriptor location".into())
}

fn fault_in_footer(header: &Header, tail: &Tail) -> Option<String> {
    let bytes = tail.bytes();
    let well_formed = bytes.len() == FOOTER_LEN
        && le32(bytes, 8) == Some(0)
        && le32(bytes, 12) == Some(FOOTER_MARKER)
        && bytes[16..512].iter().all(|&b| b == 0)
        && bytes[1024..].iter().all(|&b| b == 0);
    let Some(footer) = Header::parse(bytes.get(512..1024).unwrap_or_default()).filter(|_| well_formed) else {
        return Some("The footer is missing or malformed".into());
    };
    let differs = footer.version != header.version
        || footer.descriptor_offset != header.descriptor_offset
        || footer.descriptor_size != header.descriptor_size
        || footer.grain_directory == AT_END;
    differs.then(|| "Header and footer do not agree".into())
}

impl Vmdk {
    fn fault_in_descriptor(&self) -> Option<String> {
        let window = self.descriptor.as_ref().filter(|w| w.is_complete() && !w.bytes().is_empty());
        let Some(window) = window else { return Some("No descriptor found".into()) };
        fault_in_vmdk_descriptor(window.bytes())
    }
}

/// Why a VMDK with this descriptor must not be used. The text ends with the first NUL.
pub fn fault_in_vmdk_descriptor(bytes: &[u8]) -> Option<String> {
    let text = bytes.split(|&b| b == 0).next().unwrap_or_default();
    match std::str::from_utf8(text) {
        Ok(text) if text.is_ascii() => fault_in_text(&text.to_ascii_lowercase()),
        _ => Some("Invalid VMDK descriptor data".into()),
    }
}

/// Every line must be one that is understood. `text` is in lower case.
fn fault_in_text(text: &str) -> Option<String> {
    let mut extents = 0;
    for line in text.split('\n').map(str::trim) {
        let word = line.split(' ').next().unwrap_or_default();
        if line.is_empty() || line.starts_with('#') || line.starts_with("ddb") {
            continue;
        }
        match line.split_once('=') {
            Some((name, _)) if !name.contains(' ') => {}
            _ if EXTENT_ACCESS.contains(&word) => {
                if line.contains('/') {
                    return Some("Invalid extent filenames found".into());
                }
                extents += 1;
            }
            _ => return Some("Invalid VMDK descriptor data".into()),
        }
    }
    if extents == 0 {
        return Some("No extents found".into());
    }
    // QEMU takes the first place where it says so, even in a comment: every one must be good
    let mut kinds = text.split(CREATE_TYPE).skip(1).map(|rest| rest.split('"').next().unwrap_or_default()).peekable();
    let allowed = |k: &str| k.len() <= CREATE_TYPE_MAX && ALLOWED_TYPES.contains(&k);
    (kinds.peek().is_none() || !kinds.all(allowed)).then(|| "Unsupported VMDK createType".into())
}
