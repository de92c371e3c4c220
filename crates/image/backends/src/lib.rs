//! Where image data is kept: one folder or file a backend, each implementing [`image_model::Backend`].

pub mod file;
pub mod memory;

pub use file::FileBackend;
pub use memory::MemoryBackend;
