//! What users do, through the whole binary.

mod api;
mod backup;
mod doctor;
mod failover;
mod full_disk;
mod guests;
mod images;
mod imports;
mod lifecycle;
mod noisy;
mod operator;
mod postgres;
mod power_cut;
mod swift;
mod uploads;
