//! Fixed-width numbers at an offset; `None` where the bytes end before.

fn array<const N: usize>(from: &[u8], at: usize) -> Option<[u8; N]> {
    from.get(at..at.checked_add(N)?)?.try_into().ok()
}

pub(crate) fn le16(from: &[u8], at: usize) -> Option<u16> {
    array(from, at).map(u16::from_le_bytes)
}
pub(crate) fn le32(from: &[u8], at: usize) -> Option<u32> {
    array(from, at).map(u32::from_le_bytes)
}
pub(crate) fn le64(from: &[u8], at: usize) -> Option<u64> {
    array(from, at).map(u64::from_le_bytes)
}
pub(crate) fn be16(from: &[u8], at: usize) -> Option<u16> {
    array(from, at).map(u16::from_be_bytes)
}
pub(crate) fn be32(from: &[u8], at: usize) -> Option<u32> {
    array(from, at).map(u32::from_be_bytes)
}
pub(crate) fn be64(from: &[u8], at: usize) -> Option<u64> {
    array(from, at).map(u64::from_be_bytes)
}
