use crate::cloud::{ALICE, Cloud};
use axum::body::Body;
use http::Request;

#[tokio::test]
async fn in_the_form_the_client_accepts() {
    let cloud = Cloud::start().await;
    let ask = async |accept: Option<&str>| {
        let mut request = Request::get("/image/v2/images/nosuch").header("x-auth-token", ALICE);
        if let Some(accept) = accept {
            request = request.header("accept", accept);
        }
        cloud.ask(request.body(Body::empty()).unwrap()).await.expect(404)
    };
    let html = ask(Some("*/*")).await;
    assert_eq!(html.header("content-type"), "text/html; charset=UTF-8");
    assert!(html.text().contains("<title>404 Not Found</title>"), "{}", html.text());
    assert!(html.text().contains("No image found with ID nosuch"));
    let json = ask(Some("application/json")).await.json();
    assert_eq!((&json["code"], &json["title"]), (&"404 Not Found".into(), &"Not Found".into()));
    assert!(json["message"].as_str().unwrap().starts_with("No image found with ID nosuch"));
    for accept in [Some("text/plain"), None] {
        let plain = ask(accept).await;
        assert_eq!(plain.header("content-type"), "text/plain; charset=UTF-8");
        assert!(plain.text().starts_with("404 Not Found\n\nNo image found with ID nosuch"));
    }
}

#[tokio::test]
async fn nothing_of_the_request_becomes_markup() {
    let cloud = Cloud::start().await;
    let request = Request::get("/image/v2/images/%3Cscript%3Ealert(1)%3C%2Fscript%3E").header("accept", "text/html");
    let request = request.header("x-auth-token", ALICE).body(Body::empty()).unwrap();
    let page = cloud.ask(request).await.expect(404).text();
    assert!(!page.contains("<script>") && page.contains("&lt;script&gt;"), "{page}");
}
