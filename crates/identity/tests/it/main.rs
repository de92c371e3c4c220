//! Identity as its clients see it: the real service, the real database, on both engines.

mod login;
mod world;
