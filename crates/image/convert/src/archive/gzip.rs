//! RFC 1952: any number of members, one after the other, and zeros up to a tape's block.

use super::{Archive, Counted, Meter, UnpackError};
use flate2::bufread::GzDecoder;
use std::io::BufRead;

const GZIP: Archive = Archive::Gzip;

pub(super) fn unpack<R: BufRead>(mut input: Counted<R>, mut meter: Meter<'_>) -> Result<u64, UnpackError> {
    loop {
        let mut member = GzDecoder::new(input);
        meter.pass(&mut member, |m| m.get_ref().read, |_| ())?;
        input = member.into_inner();
        if skip_zeros(&mut input)? {
            return Ok(meter.written);
        }
    }
}

/// Whether nothing else follows.
fn skip_zeros<R: BufRead>(input: &mut Counted<R>) -> Result<bool, UnpackError> {
    loop {
        let buffer = input.fill_buf().map_err(|e| GZIP.unread(e))?;
        let (zeros, length) = (buffer.iter().take_while(|b| **b == 0).count(), buffer.len());
        input.consume(zeros);
        if length == 0 || zeros < length {
            return Ok(length == 0);
        }
    }
}
