//! Live updates.

use super::*;

/// Reads until `words` have come.
async fn until(stream: &mut TcpStream, words: &str) -> String {
    let mut said = String::new();
    let mut octets = [0; 4096];
    while !said.contains(words) {
        let count = stream.read(&mut octets).await.unwrap();
        assert!(count > 0, "it ended after {said}");
        said.push_str(&String::from_utf8_lossy(octets.get(..count).unwrap()));
    }
    said
}

#[tokio::test]
async fn a_page_hears_what_concerns_its_person_alone() {
    let desk = Desk::start().await;
    let (taro, hanako) = (desk.sign_in(TARO).await, desk.sign_in(HANAKO).await);
    let listen = |cookie: &str| format!("GET /events HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n");
    let mut taros = desk.open(&listen(&taro)).await;
    let mut hanakos = desk.open(&listen(&hanako)).await;
    let head = until(&mut taros, "retry: 3000").await;
    assert!(head.contains("content-type: text/event-stream"), "{head}");
    until(&mut hanakos, "retry: 3000").await;

    desk.register(&record(Event::Submission, "one@a.test", TARO, "jiro@c.test")).await;
    let said = until(&mut taros, "event: news\ndata: new\n").await;
    assert!(!said.contains("jiro"), "it says only that there is something: {said}");
    // Hanako hears of the second one first.
    desk.register(&record(Event::Submission, "two@a.test", "saburo@a.test", HANAKO)).await;
    let said = until(&mut hanakos, "event: news").await;
    assert_eq!(said.matches("event: news").count(), 1);

    // What came before a page listened, and after it was made, is news to it; what concerns others is not.
    let late = |seen: &str, more: &str| {
        format!("GET /events?seen={seen} HTTP/1.1\r\nHost: x\r\nCookie: {hanako}\r\n{more}\r\n")
    };
    let said = until(&mut desk.open(&late("0", "")).await, "id: 2").await;
    assert!(said.contains("event: news"), "{said}");
    let said = until(&mut desk.open(&late("2", "")).await, "id: 2").await;
    assert!(!said.contains("event: news"), "{said}");
    // When it comes again, its browser says what it heard last.
    desk.register(&record(Event::Submission, "three@a.test", TARO, "jiro@c.test")).await;
    let said = until(&mut desk.open(&late("0", "Last-Event-ID: 2\r\n")).await, "id: 3").await;
    assert!(!said.contains("event: news"), "{said}");

    // Whoever is not signed in hears nothing, and is not to come again.
    assert_eq!(desk.get("/events", "").await.status, 204);
}
