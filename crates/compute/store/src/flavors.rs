//! `flavors`
