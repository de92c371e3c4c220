//! Identity as its clients see it: the real service, the real database, on both engines.

mod assignments;
mod audit;
mod catalog;
mod coverage;
mod delegation;
mod derivation;
mod http;
mod keystone;
mod limits;
mod login;
mod people;
mod projects;
mod remote;
mod revocation;
mod rotation;
mod secrets;
mod security;
mod signed;
mod throttle;
mod versions;
mod world;
