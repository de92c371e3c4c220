//! The beginning of every HTTP client of the cloud.

/// TLS by ring, trusting what the system trusts; nothing goes through a proxy that the environment names.
pub fn client() -> reqwest::ClientBuilder {
    // whoever was first in this process has installed the same one
    let _installed_before = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy()
}
