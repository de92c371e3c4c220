#![no_main]

use image_convert::testing::fuzz;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzz::unpack(bytes);
});
