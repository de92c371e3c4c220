//! Certificates by their UUID, wherever the site keeps them.

use async_trait::async_trait;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use tokio::io::AsyncReadExt;
use uuid::Uuid;

/// Bytes of a file that may be a certificate. With a chain behind it one has a few KiB.
const MOST: u64 = 1 << 20;

/// What has the certificates that images are signed with: Glance asks a key manager.
#[async_trait]
pub trait Certificates: Send + Sync {
    /// An X.509 certificate in PEM or DER form; in PEM form others may follow.
    async fn certificate(&self, id: Uuid) -> Result<Vec<u8>, CertificateError>;
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("there is none of that UUID")]
    NotFound,
    #[error("this site keeps no certificates: image.certificates_dir is not set")]
    NoneKept,
    #[error("{} cannot be read", .path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// Nothing has any.
pub struct NoCertificates;

#[async_trait]
impl Certificates for NoCertificates {
    async fn certificate(&self, _: Uuid) -> Result<Vec<u8>, CertificateError> {
        Err(CertificateError::NoneKept)
    }
}

/// A folder with files called `UUID.pem`, the UUID in small letters and with its hyphens. They are read whenever they are
/// needed: one that is put there or taken away counts at once.
pub struct CertificateFolder(PathBuf);

impl CertificateFolder {
    /// Fails if there is no such folder.
    pub fn open(dir: &Path) -> io::Result<Self> {
        std::fs::read_dir(dir)?;
        Ok(Self(dir.to_owned()))
    }
}

#[async_trait]
impl Certificates for CertificateFolder {
    async fn certificate(&self, id: Uuid) -> Result<Vec<u8>, CertificateError> {
        let path = self.0.join(format!("{}.pem", id.hyphenated()));
        match read(&path).await {
            Ok(bytes) => Ok(bytes),
            Err(e) if e.kind() == ErrorKind::NotFound => Err(CertificateError::NotFound),
            Err(source) => Err(CertificateError::Io { path, source }),
        }
    }
}

async fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    tokio::fs::File::open(path).await?.take(MOST + 1).read_to_end(&mut bytes).await?;
    if bytes.len() as u64 > MOST {
        return Err(io::Error::new(ErrorKind::FileTooLarge, "it is larger than 1 MiB"));
    }
    Ok(bytes)
}
