//! Bad input: every service refuses it in its own words and goes on.

use anyhow::Result;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use skyiron_tests::{Setup, World};

async fn raw(w: &World, path: &str, content_type: &str, body: Vec<u8>) -> Result<(StatusCode, Value)> {
    let password = std::fs::read_to_string(w.data().join("admin-password"))?;
    let token = w.login("admin", &password, "admin").await?;
    let answer = platform_http::client()
        .build()?
        .post(format!("{}{path}", w.url))
        .header("x-auth-token", token)
        .header("content-type", content_type)
        .body(body)
        .send()
        .await?;
    let status = answer.status();
    let text = answer.text().await?;
    Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
}

#[tokio::test]
async fn hostile_bodies_are_refused_and_nothing_falls_over() -> Result<()> {
    let w = World::start(Setup { fake_hosts: 1, ..Setup::default() }).await?;
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000)).into_bytes();
    let long = vec![b'x'; 100 << 20];
    for path in ["/compute/v2.1/servers", "/identity/v3/projects", "/placement/resource_providers", "/image/v2/images"]
    {
        let (status, _) = raw(&w, path, "application/json", deep.clone()).await?;
        assert_eq!(status, StatusCode::BAD_REQUEST, "deep JSON to {path}");
        let (status, _) = raw(&w, path, "application/json", b"{\"a\": ".to_vec()).await?;
        assert_eq!(status, StatusCode::BAD_REQUEST, "half JSON to {path}");
        let (status, _) = raw(&w, path, "application/json", long.clone()).await?;
        assert!(status.is_client_error(), "a long body to {path}: {status}");
    }
    let (status, _) = raw(&w, "/compute/v2.1/servers", "text/plain", b"{}".to_vec()).await?;
    assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let (status, body) = raw(&w, "/compute/v2.1/servers", "application/json", b"{\"server\": {}}".to_vec()).await?;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(
        body["badRequest"]["message"].as_str().unwrap_or_default().starts_with("Invalid input for field"),
        "{body}"
    );
    assert!(w.get("/compute/v2.1/servers").await?["servers"].is_array());
    Ok(())
}

#[tokio::test]
async fn fields_are_refused_in_novas_words() -> Result<()> {
    let w = World::start(Setup { fake_hosts: 1, ..Setup::default() }).await?;
    let image = w.image("blank", "raw", "bare", vec![0; 65536]).await?;
    let flavor = w.flavor("m1.tiny").await?;
    for (change, part) in [
        (json!({"name": "a\u{7}b"}), "name"),
        (json!({"name": ""}), "name"),
        (json!({"name": "x".repeat(256)}), "is too long"),
        (json!({"min_count": -1}), "min_count"),
        (json!({"max_count": 0}), "max_count"),
        (json!({"flavorRef": "no-such-flavor"}), "Flavor no-such-flavor could not be found."),
        (json!({"imageRef": "00000000-0000-4000-8000-000000000000"}), "Can not find requested image"),
        (json!({"user_data": "not base64!"}), "user_data"),
        (json!({"surprise": true}), "surprise"),
        (json!({"networks": [{"uuid": "00000000-0000-4000-8000-000000000000"}]}), ""),
    ] {
        let mut server = json!({"name": "x", "imageRef": image, "flavorRef": flavor});
        for (k, v) in change.as_object().unwrap() {
            server[k] = v.clone();
        }
        let answer = w.call(Method::POST, "/compute/v2.1/servers", Some(&json!({"server": server}))).await?;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{change}: {}", answer.body);
        let words = answer.body["badRequest"]["message"].as_str().unwrap_or_default();
        assert!(words.contains(part) && !words.is_empty(), "{change}: {words}");
    }
    Ok(())
}

#[tokio::test]
async fn versions_and_tokens() -> Result<()> {
    let w = World::start(Setup { fake_hosts: 1, ..Setup::default() }).await?;
    for (version, status) in [("2.1", 200), ("2.104", 200), ("latest", 200), ("2.105", 406), ("2.01", 400), ("x", 400)]
    {
        let password = std::fs::read_to_string(w.data().join("admin-password"))?;
        let token = w.login("admin", &password, "admin").await?;
        let header = format!("compute {version}");
        let headers = [("openstack-api-version", header.as_str())];
        let answer = w.call_as(&token, Method::GET, "/compute/v2.1/servers", None, &headers).await?;
        assert_eq!(answer.status.as_u16(), status, "{version}");
    }
    for path in ["/compute/v2.1/servers", "/image/v2/images", "/placement/resource_providers", "/identity/v3/users"] {
        let answer = w.call_as("forged", Method::GET, path, None, &[]).await?;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    for path in
        ["/identity/v3", "/compute/", "/compute/v2.1/", "/image/versions", "/placement/", "/healthz", "/metrics"]
    {
        let answer = w.call_as("", Method::GET, path, None, &[]).await?;
        assert!(answer.status.is_success(), "{path} needs no token: {}", answer.status);
    }
    Ok(())
}
