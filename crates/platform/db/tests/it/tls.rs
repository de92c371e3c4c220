//! TLS to PostgreSQL: who is trusted, and that the name counts.

use platform_db::testing::Server;
use platform_db::{Db, DbError, Settings, args};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use std::error::Error;
use std::path::PathBuf;

/// A certificate for that name and its key, and the file of the authority that signed it.
struct Signed {
    certificate: String,
    key: String,
    root: PathBuf,
    _dir: tempfile::TempDir,
}

fn sign(name: &str) -> Signed {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "a site's own authority");
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root.pem");
    std::fs::write(&root, authority.pem()).unwrap();
    Signed { certificate: certificate.pem(), key: key.serialize_pem(), root, _dir: dir }
}

/// What a process on another machine would get: `host` is where the server is, as the certificate names it or not.
async fn open(server: &Server, host: &str, mode: &str, root: Option<&PathBuf>) -> Result<Db, DbError> {
    let mode = if mode.is_empty() { String::new() } else { format!("?sslmode={mode}") };
    let mut settings = Settings::new(&format!("postgresql://postgres@{host}:{}/postgres{mode}", server.port));
    settings.ssl_root_cert = root.cloned();
    Db::open_with(&settings).await
}

fn said(e: DbError) -> String {
    let cause = e.source().map(ToString::to_string).unwrap_or_default();
    format!("{e}: {cause}")
}

async fn is_encrypted(db: &Db) -> bool {
    let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    db.fetch_one::<(bool,)>(sql, args![]).await.unwrap().0
}

#[tokio::test]
async fn only_the_right_name_under_the_right_authority_is_taken() {
    let right = sign("localhost");
    let Some(server) = Server::with_tls(&right.certificate, &right.key) else { return };

    let db = open(&server, "localhost", "verify-full", Some(&right.root)).await.unwrap();
    assert!(is_encrypted(&db).await);
    db.close().await;

    // the certificate is for localhost, the server is asked for as 127.0.0.1
    let wrong_name = open(&server, "127.0.0.1", "verify-full", Some(&right.root)).await.map_err(said).unwrap_err();
    assert!(wrong_name.contains("not valid for name"), "{wrong_name}");
    // that much was right: the authority is known
    let db = open(&server, "127.0.0.1", "verify-ca", Some(&right.root)).await.unwrap();
    assert!(is_encrypted(&db).await);
    db.close().await;

    let stranger = sign("localhost");
    for root in [None, Some(&stranger.root)] {
        let unknown = open(&server, "localhost", "verify-full", root).await.map_err(said).unwrap_err();
        assert!(unknown.contains("certificate"), "{unknown}");
    }
    // on loopback nothing is asked for
    let db = open(&server, "localhost", "", None).await.unwrap();
    assert!(!is_encrypted(&db).await);
    db.close().await;
}

#[tokio::test]
async fn a_server_without_tls_is_refused() {
    let Some(server) = Server::start(&[]) else { return };
    for mode in ["require", "verify-full"] {
        let plain = open(&server, "localhost", mode, None).await.map_err(said).unwrap_err();
        assert!(plain.contains("server does not support TLS"), "{mode}: {plain}");
    }
}
