//! Certificates for tests.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A certificate authority, in a folder that its drop removes.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    #[expect(clippy::new_without_default, reason = "it makes keys and files")]
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("it signs itself");
        let folder = tempfile::tempdir().expect("a temporary folder");
        write(folder.path(), "ca.pem", &issuer.pem());
        Self { issuer, folder }
    }

    pub fn root(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A certificate and its key for `name` (a DNS name or an address), as files.
    pub fn issue(&self, name: &str) -> (PathBuf, PathBuf) {
        self.issue_for(name, &[])
    }

    /// As [`Self::issue`], good for other names, too.
    pub fn issue_for(&self, name: &str, others: &[&str]) -> (PathBuf, PathBuf) {
        let names = std::iter::once(&name).chain(others).map(|&n| n.to_owned()).collect::<Vec<_>>();
        let params = CertificateParams::new(names).expect("names");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("it is signed");
        let path = |suffix: &str| format!("{name}.{suffix}");
        (
            write(self.folder.path(), &path("pem"), &certificate.pem()),
            write(self.folder.path(), &path("key"), &key.serialize_pem()),
        )
    }
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("the file is written");
    path
}
