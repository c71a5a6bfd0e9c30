//! What people do who mean no good.

use super::*;

const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

#[tokio::test]
async fn every_answer_says_what_a_browser_may_do_with_it() {
    let desk = Desk::start().await;
    desk.register(&record(Event::Retrieval, "one@a.test", TARO, HANAKO)).await;
    let taro = desk.sign_in(TARO).await;
    let paths =
        ["/", "/sign-in", "/transmissions/0", "/transmissions/0/proof", "/transmissions/9", "/nothing", "/?from=x"];
    for path in paths {
        let answer = desk.get(path, &taro).await;
        assert_eq!(answer.field("content-security-policy"), Some(POLICY), "{path}");
        assert_eq!(answer.field("cache-control"), Some("no-store"), "{path}");
        assert_eq!(answer.field("referrer-policy"), Some("no-referrer"), "{path}");
        assert_eq!(answer.field("cross-origin-opener-policy"), Some("same-origin"), "{path}");
        // Nothing inline.
        for inline in ["<style", " style=", " onclick", "javascript:", "<script>"] {
            assert!(!answer.body.contains(inline), "{path}: {inline}");
        }
    }
    for path in ["/", "/evidence/0", "/export.csv", "/records/0/receipt", "/style.css", "/script.js", "/events"] {
        let answer = match path {
            // It does not end.
            "/events" => desk.get(path, "").await,
            path => desk.get(path, &taro).await,
        };
        assert_eq!(answer.field("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.field("cross-origin-resource-policy"), Some("same-origin"), "{path}");
        // In clear a browser would not believe it.
        assert_eq!(answer.field("strict-transport-security"), None, "{path}");
    }
}

#[tokio::test]
async fn what_strangers_write_stays_text() {
    let desk = Desk::with(|config| config.everybody_reads = true).await;
    let hostile = [
        "\"><script>alert(1)</script>@a.test",
        "' onmouseover='alert(1)@a.test",
        "<img src=x onerror=alert(1)>@a.test",
        "&lt;b&gt;&amp;@a.test",
        "\u{202e}moc.live@a.test",
        "=cmd|' /C calc'!A0@a.test",
    ];
    for (number, address) in hostile.iter().enumerate() {
        desk.register(&record(Event::Retrieval, &format!("{number}</code><script>@a.test"), address, HANAKO)).await;
    }
    let mut pages = vec![desk.get("/", "").await.body];
    for number in 0..hostile.len() {
        pages.push(desk.get(&format!("/transmissions/{number}"), "").await.body);
        pages.push(desk.get(&format!("/transmissions/{number}/proof"), "").await.body);
    }
    let typed = "%22%3E%3Cscript%3Ealert(1)%3C/script%3E";
    pages.push(
        desk.get(&format!("/?party={typed}&from={typed}&state={typed}&message_id={typed}&before={typed}"), "")
            .await
            .body,
    );
    pages.push(desk.get(&format!("/sign-in?next={typed}"), "").await.body);
    pages.push(desk.get(&format!("/{typed}"), "").await.body);
    for page in &pages {
        let tags = page.matches("<script").count();
        assert_eq!((tags, page.matches("<script src=\"/script.js").count()), (1, 1), "{page}");
        assert!(!page.contains("<img") && !page.contains("onmouseover='alert(1)@a.test\""), "{page}");
    }
    let list = &pages[0];
    assert!(list.contains("&lt;script&gt;alert(1)&lt;/script&gt;@a.test"));
    assert!(list.contains("&amp;lt;b&amp;gt;&amp;amp;@a.test"));
    // What turns the direction of writing turns nothing outside its own piece.
    assert!(list.contains("<bdi>\u{202e}moc.live@a.test</bdi>"));
    // And no spreadsheet takes it for a formula.
    assert!(desk.get("/export.csv", "").await.body.contains("'=cmd|"));
}

#[tokio::test]
async fn a_form_from_elsewhere_is_refused() {
    let desk = Desk::start().await;
    let asked = desk.get("/sign-in", "").await;
    let (cookie, token) = (asked.cookie().unwrap(), asked.token());
    let good = typed(TARO, PASSWORD, &token);
    // Without the cookie, with another token, and with another browser's.
    let other = desk.get("/sign-in", "").await;
    for (cookie, form) in [
        (String::new(), good.clone()),
        (cookie.clone(), typed(TARO, PASSWORD, "")),
        (cookie.clone(), typed(TARO, PASSWORD, &other.token())),
        (other.cookie().unwrap(), good.clone()),
    ] {
        let answer = desk.post("/sign-in", &cookie, &form).await;
        assert_eq!((answer.status, answer.field("set-cookie")), (403, None));
    }
    assert!(desk.told("HISTORY-111"));
    let kind = ("Content-Type", "application/x-www-form-urlencoded");
    let from = |name, value| [("Cookie", cookie.as_str()), kind, (name, value)];
    for (name, value) in [
        ("Origin", "http://evil.example"),
        ("Origin", "null"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
    ] {
        assert_eq!(desk.ask("POST /sign-in", &from(name, value), &good).await.status, 403, "{name}: {value}");
    }
    // A page elsewhere cannot have a browser register anything with the certificate that it shows, either.
    let body = serde_json::to_string(&record(Event::Retrieval, "x@a.test", TARO, HANAKO)).unwrap();
    let plain = [("Origin", "http://evil.example"), ("Content-Type", "text/plain")];
    assert_eq!(desk.ask("POST /records", &plain, &body).await.status, 403);
    let origin = format!("http://{}", desk.server.addr());
    assert_eq!(desk.ask("POST /sign-in", &from("Origin", &origin), &good).await.status, 303);
    // Nobody is signed out from elsewhere.
    let taro = desk.sign_in(TARO).await;
    assert_eq!(desk.post("/sign-out", &taro, "token=x").await.status, 403);
    assert_eq!(desk.ask("GET /sign-out", &[("Cookie", &taro)], "").await.status, 405);
    assert_eq!(desk.get("/", &taro).await.status, 200);
}

#[tokio::test]
async fn a_session_is_new_hidden_and_short() {
    let desk = Desk::start().await;
    let asked = desk.get("/sign-in", "").await;
    let set = asked.field("set-cookie").unwrap();
    assert!(set.ends_with("; Path=/; HttpOnly; SameSite=Strict"), "{set}");
    let planted = asked.cookie().unwrap();
    let signed = desk.post("/sign-in", &planted, &typed(TARO, PASSWORD, &asked.token())).await;
    let session = signed.cookie().unwrap();
    assert_ne!(session, planted);
    assert!(signed.field("set-cookie").unwrap().ends_with("; Path=/; HttpOnly; SameSite=Strict"));
    // Whoever planted the first has nothing.
    assert_eq!(desk.get("/", &planted).await.status, 303);
    assert_eq!(desk.get("/", &session).await.status, 200);
    // Two of that name: one is not from here.
    assert_eq!(desk.get("/", &format!("{session}; {planted}")).await.status, 303);

    desk.passes(Duration::from_secs(14 * 60));
    assert_eq!(desk.get("/", &session).await.status, 200);
    // The page looks for news by itself, which keeps nothing alive.
    desk.passes(Duration::from_secs(14 * 60));
    assert_eq!(desk.ask("GET /", &[("Cookie", &session), ("Sealfax-Refresh", "1")], "").await.status, 200);
    assert!(desk.told("the page of taro@a.test looked again"));
    desk.passes(Duration::from_secs(60));
    assert_eq!(desk.get("/", &session).await.status, 303);

    // With the password, or with the account, go its sessions.
    let session = desk.sign_in(TARO).await;
    desk.accounts.set_password(TARO, &Password::new(b"another horse".to_vec())).unwrap();
    assert_eq!(desk.get("/", &session).await.status, 303);
    let session = desk.sign_in(HANAKO).await;
    desk.accounts.suspend(HANAKO, true).unwrap();
    assert_eq!(desk.get("/", &session).await.status, 303);
}

#[tokio::test]
async fn guesses_are_counted_and_told_nothing() {
    let desk = Desk::start().await;
    let asked = desk.get("/sign-in", "").await;
    let (cookie, token) = (asked.cookie().unwrap(), asked.token());
    let mut said = Vec::new();
    for user in [TARO, "nobody@a.test"] {
        let answer = desk.post("/sign-in", &cookie, &typed(user, "wrong guess", &token)).await;
        said.push((answer.status, answer.body.replace(user, "")));
    }
    assert_eq!(said[0], said[1]);
    assert_eq!(said[0].0, 401);
    let mut statuses = Vec::new();
    for _ in 0..10 {
        statuses.push(desk.post("/sign-in", &cookie, &typed(TARO, "wrong guess", &token)).await.status);
    }
    assert_eq!(statuses.last(), Some(&429));
    assert_eq!(desk.post("/sign-in", &cookie, &typed(TARO, PASSWORD, &token)).await.status, 429);
    assert!(desk.told("HISTORY-108 127.0.0.1 gave a wrong name or password to the pages"));
    let long = typed(TARO, &"x".repeat(10_000), &token);
    assert_eq!(desk.post("/sign-in", &cookie, &long).await.status, 413);
}

#[tokio::test]
async fn paths_lead_nowhere_else() {
    let desk = Desk::with(|config| config.everybody_reads = true).await;
    desk.register(&record(Event::Retrieval, "one@a.test", TARO, HANAKO)).await;
    for path in [
        "/../../etc/passwd",
        "/..%2f..%2fetc%2fpasswd",
        "/style.css/../../log.key",
        "/transmissions/..%2f0",
        "/transmissions/0%00",
        "/transmissions/-1",
        "/transmissions/+0",
        "/transmissions/99999999999999999999",
        "/transmissions/0/../0",
        "/evidence/0%0d%0aSet-Cookie:%20a=b",
        "/evidence/..%2f..%2flog.key",
        "/tile/../../log.key",
        "/tile/0/..%2f..%2flog.key",
        "//evil.example/",
    ] {
        let answer = desk.get(path, "").await;
        assert_eq!(answer.status, 404, "{path}: {}", answer.body);
        assert_eq!(answer.field("set-cookie"), None);
        assert!(!answer.body.contains("PRIVATE+KEY"));
    }
    // What is typed where a page leads back to never becomes a field of its own.
    for back in ["%0d%0aSet-Cookie:%20a=b", "/%0d%0aX:%20y", "/\\evil.example", "%2f%2fevil.example"] {
        let answer = desk.get(&format!("/language?set=en&back={back}"), "").await;
        assert_eq!(answer.field("location"), Some("/"), "{back}");
        assert_eq!(answer.cookie().as_deref(), Some("sealfax-language=en"));
    }
}
