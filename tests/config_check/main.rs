//! What `check` and start say about configuration files.

mod files;
mod fuzz;
mod good;
mod importing;
mod keeping;
mod rendered;
mod shaping;
mod world;
