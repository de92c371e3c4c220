//! What users do, through the whole binary.

mod api;
mod full_disk;
mod guests;
mod lifecycle;
mod operator;
mod postgres;
mod uploads;
