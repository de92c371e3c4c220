//! CRC-32C (Castagnoli), which VHDX's headers and log carry.

const POLYNOMIAL: u32 = 0x82f6_3b78;

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut n = 0;
    while n < 256 {
        let mut crc = n as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        table[n] = crc;
        n += 1;
    }
    table
};

/// Of `bytes`, with the four at `hole`, where the sum itself stands, taken as zeros.
pub(crate) fn with_hole(bytes: &[u8], hole: usize) -> u32 {
    let step = |crc: u32, byte: u8| (crc >> 8) ^ TABLE[usize::from(crc as u8 ^ byte)];
    let in_hole = |at: usize| (hole..hole + 4).contains(&at);
    !bytes.iter().enumerate().fold(!0, |crc, (at, &byte)| step(crc, if in_hole(at) { 0 } else { byte }))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_check_value_of_the_standard() {
        assert_eq!(super::with_hole(b"123456789", 9), 0xe306_9283);
    }
}
