//! Against nginx.

use crate::servers::{self, Server, Silent, free_port};
use crate::suite::{download_takes_little, pattern, read};
use image_backends::HttpBackend;
use image_backends::http::check_prefix;
use image_model::{Backend, BackendError};

struct Nginx {
    server: Server,
    _dir: tempfile::TempDir,
}

const SITE: &str = "server {
    listen 127.0.0.1:PORT;
    root DIR/www;
    location /pub/moved { return 302 /private/secret; }
    location /pub/whole/ { max_ranges 0; alias DIR/www/pub/; }
    location /pub/denied { return 403; }
    location /pub/broken { return 500; }
  }";

/// `None`, and a line that says so: nginx is not there.
fn nginx(image: &[u8]) -> Option<Nginx> {
    let dir = tempfile::tempdir().unwrap();
    for (path, bytes) in [("pub/image", image), ("private/secret", b"secret")] {
        let path = dir.path().join("www").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let port = free_port();
    let server = servers::nginx(dir.path(), &SITE.replace("PORT", &port.to_string()), port)?;
    Some(Nginx { server, _dir: dir })
}

fn backend(port: u16) -> HttpBackend {
    let below = check_prefix(&format!("http://127.0.0.1:{port}/pub/")).unwrap();
    let http = platform_http::client().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    HttpBackend::new(vec![below], http)
}

#[tokio::test]
async fn what_is_there_is_read() {
    let image = pattern(3_000_000);
    let Some(nginx) = nginx(&image) else { return };
    let http = backend(nginx.server.port);
    // the second one knows no ranges
    for path in ["image", "whole/image"] {
        let location = http.location(path);
        assert_eq!(http.size(&location).await.unwrap(), 3_000_000);
        assert!(read(&http, &location, None).await.unwrap() == image);
        for range in [0..1, 0..3_000_000, 1_000_000..2_000_001, 2_999_999..3_000_000, 7..7] {
            let part = read(&http, &location, Some(range.clone())).await.unwrap();
            assert!(part == image[range.start as usize..range.end as usize], "{path} {range:?}");
        }
        assert!(read(&http, &location, Some(2_999_999..3_000_001)).await.is_err());
    }
}

#[tokio::test]
async fn a_large_download_takes_little_memory() {
    let Some(nginx) = nginx(&vec![7; 192 << 20]) else { return };
    let http = backend(nginx.server.port);
    download_takes_little(&http, &http.location("image"), 192, 32).await;
}

#[tokio::test]
async fn a_server_that_hangs_is_not_waited_for() {
    let silent = Silent::start();
    let below = check_prefix(&format!("http://127.0.0.1:{}/pub/", silent.port())).unwrap();
    silent.is_not_waited_for(&HttpBackend::new(vec![below], silent.clients().asking)).await;
}

#[tokio::test]
async fn nothing_is_written_deleted_or_listed() {
    let Some(nginx) = nginx(b"image") else { return };
    let http = backend(nginx.server.port);
    assert!(http.is_read_only());
    assert!(matches!(http.create("x", None).await, Err(BackendError::ReadOnly)));
    let location = http.location("image");
    http.delete(&location).await.unwrap();
    assert_eq!(read(&http, &location, None).await.unwrap(), b"image");
    assert!(http.list().await.unwrap().is_empty());
    assert_eq!(http.sweep().await.unwrap(), 0);
}

#[tokio::test]
async fn what_leads_elsewhere_is_not_followed() {
    let Some(nginx) = nginx(b"image") else { return };
    let http = backend(nginx.server.port);
    let port = nginx.server.port;
    for bad in ["private/secret", "pub/../private/secret", "pub/%2e%2e/private/secret", "pub/..%2fprivate/secret"] {
        let location = format!("http://127.0.0.1:{port}/{bad}");
        assert!(matches!(http.open(&location, None).await, Err(BackendError::BadLocation(_))), "{bad}");
    }
    let moved = http.location("moved");
    for error in [read(&http, &moved, None).await.unwrap_err(), http.size(&moved).await.unwrap_err()] {
        assert!(matches!(error, BackendError::Io { .. }), "{error}");
    }
}

#[tokio::test]
async fn what_the_server_refuses() {
    let Some(nginx) = nginx(b"image") else { return };
    let http = backend(nginx.server.port);
    let refused = async |path: &str| http.open(&http.location(path), None).await.err().unwrap();
    assert!(matches!(refused("none").await, BackendError::NotFound(_)));
    assert!(matches!(refused("denied").await, BackendError::Denied(_)));
    assert!(matches!(refused("broken").await, BackendError::Unavailable(_)));
    let away = backend(free_port());
    assert!(matches!(away.size(&away.location("x")).await, Err(BackendError::Unavailable(_))));
}
