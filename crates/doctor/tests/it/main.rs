//! Each check on each engine: nothing in a clean cloud, a planted break with its proof, and what mends it.

mod breaks;
mod cloud;
mod images;
