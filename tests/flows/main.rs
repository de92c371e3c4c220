//! What users do, through the whole binary.

mod api;
mod guests;
mod lifecycle;
mod operator;
mod uploads;
