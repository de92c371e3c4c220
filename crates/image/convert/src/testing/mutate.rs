//! Changes files as a fuzzer would, but the same way every time.

/// A row of changes, told by its seed.
pub struct Mutator(u64);

/// Numbers at which programs break.
const EDGES: [u64; 10] =
    [0, 1, 0x7f, 0xff, 0xffff, 0x7fff_ffff, 0xffff_ffff, 0x7fff_ffff_ffff_ffff, 0xffff_ffff_ffff_fffe, u64::MAX];
/// Where formats have their headers and tables, mostly.
const HEADERS: usize = 4096;

impl Mutator {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Below `end`; 0 if that is 0.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % (end as u64).max(1)) as usize
    }

    /// Up to eight changes. `tables`: further places that matter.
    pub fn change(&mut self, bytes: &mut Vec<u8>, tables: &[usize]) {
        for _ in 0..=self.below(8) {
            self.change_once(bytes, tables);
        }
    }

    fn place(&mut self, len: usize, tables: &[usize]) -> usize {
        let within = match self.below(8) {
            0 => self.below(len),
            1..=4 => self.below(128),
            5 => self.below(HEADERS),
            _ => tables.get(self.below(tables.len())).map_or(0, |t| t + self.below(128)),
        };
        within.min(len.saturating_sub(1))
    }

    fn change_once(&mut self, bytes: &mut Vec<u8>, tables: &[usize]) {
        if bytes.is_empty() {
            return;
        }
        let at = self.place(bytes.len(), tables);
        match self.below(10) {
            0 | 1 => bytes[at] ^= 1 << self.below(8),
            2 => bytes[at] = self.below(256) as u8,
            3..=6 => {
                let width = 1 << self.below(4);
                let number = if self.below(3) == 0 { bytes.len() as u64 } else { EDGES[self.below(EDGES.len())] };
                let (be, le) = (number.to_be_bytes(), number.to_le_bytes());
                // numbers stand at multiples of their width
                let at = at / width * width;
                let with = if self.below(2) == 0 { &be[8 - width..] } else { &le[..width] };
                if let Some(place) = bytes.get_mut(at..at + width) {
                    place.copy_from_slice(with);
                }
            }
            7 | 8 => {
                let from = self.place(bytes.len(), tables);
                let len = (1 + self.below(64)).min(bytes.len() - from).min(bytes.len() - at);
                bytes.copy_within(from..from + len, at);
            }
            _ if self.below(4) == 0 => bytes.truncate(at),
            _ => bytes[at] = bytes[at].wrapping_add(1),
        }
    }
}
