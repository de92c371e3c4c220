//! Over a real socket, below a prefix, as the whole cloud serves it.

use crate::world::{PASSWORD, World, admin_project, on_each, password};
use platform_http::{Listening, serve};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

/// One request on a connection of its own: the head and the body of the answer.
async fn exchange(address: &str, method: &str, path: &str, headers: &str, body: &str) -> (String, Value) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n{headers}\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_lowercase(), serde_json::from_str(body).unwrap_or(Value::Null))
}

async fn start(w: &World) -> (String, watch::Sender<bool>, tokio::task::JoinHandle<()>) {
    let listening = Listening::bind("127.0.0.1:0").await.unwrap();
    let address = listening.address.to_string();
    let (stop, stopped) = watch::channel(false);
    let router = w.service.mount(axum::Router::new(), "/identity");
    (address, stop, tokio::spawn(serve(listening, router, stopped)))
}

#[tokio::test]
async fn a_client_finds_its_way_from_the_root_to_a_token() {
    on_each(|w| async move {
        let (address, stop, server) = start(&w).await;
        let (head, root) = exchange(&address, "GET", "/identity/", "", "").await;
        assert!(head.starts_with("http/1.1 300"), "{head}");
        let v3 = root["versions"]["values"][0]["links"][0]["href"].as_str().unwrap().to_owned();
        assert_eq!(v3, format!("http://{address}/identity/v3/"));
        let auth = json!({"auth": {"identity": password("admin", PASSWORD), "scope": admin_project()}}).to_string();
        let (head, token) = exchange(&address, "POST", "/identity/v3/auth/tokens", "", &auth).await;
        assert!(head.starts_with("http/1.1 201") && head.contains("x-openstack-request-id: req-"), "{head}");
        assert_eq!(token["token"]["user"]["name"], "admin");
        let (head, _) = exchange(&address, "GET", "/identity/v3/users", "x-auth-token: nonsense\r\n", "").await;
        assert!(head.starts_with("http/1.1 401") && head.contains("www-authenticate: keystone uri="), "{head}");
        stop.send(true).unwrap();
        server.await.unwrap();
    })
    .await;
}
