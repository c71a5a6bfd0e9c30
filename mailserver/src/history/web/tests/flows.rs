//! What people do.

use super::*;

#[tokio::test]
async fn somebody_signs_in_looks_verifies_and_signs_out() {
    let desk = Desk::start().await;
    desk.register(&record(Event::Submission, "one@a.test", TARO, HANAKO)).await;
    let index = desk.register(&record(Event::Retrieval, "one@a.test", TARO, HANAKO)).await;
    let waiting = desk.register(&record(Event::Submission, "two@a.test", TARO, HANAKO)).await;

    let away = desk.get("/transmissions/0?x=1", "").await;
    assert_eq!((away.status, away.field("location")), (303, Some("/sign-in?next=%2Ftransmissions%2F0%3Fx%3D1")));
    assert_eq!(desk.get("/", "").await.field("location"), Some("/sign-in"));

    let taro = desk.sign_in(TARO).await;
    let page = desk.get("/", &taro).await;
    assert_eq!(page.status, 200);
    let order = [">waiting (1)<", ">Newest<", "badge delivered"].map(|words| page.body.find(words));
    assert!(order.is_sorted() && order.iter().all(Option::is_some), "{order:?}");
    assert!(page.body.contains("href=\"/transmissions/0\"") && page.body.contains(HANAKO));
    assert!(page.body.contains("2026-11-28"), "{}", page.body);

    let one = desk.get("/transmissions/0", &taro).await;
    assert!(one.body.contains("Printed for its recipient") && one.body.contains("Submitted"));
    assert!(one.body.contains(&format!("/evidence/{index}")));
    let pending = desk.get(&format!("/transmissions/{waiting}"), &taro).await;
    assert!(pending.body.contains("Not yet"));

    let proof = desk.get("/transmissions/0/proof", &taro).await;
    assert!(proof.body.contains("Every record is proven"));
    assert!(proof.body.contains("--receipt receipt-0.json receipt-1.json"));
    assert!(!proof.body.contains("does not hold"));
    assert!(proof.body.contains(&desk.server.key().to_string()));

    let evidence = desk.get(&format!("/evidence/{index}"), &taro).await;
    assert_eq!(evidence.field("content-type"), Some("message/rfc822"));
    assert_eq!(evidence.field("content-disposition"), Some("attachment; filename=\"evidence-1.eml\""));
    assert!(evidence.body.starts_with("Content-Type: multipart/signed"));
    assert!(evidence.field("content-security-policy").unwrap().starts_with("sandbox"));
    // The receipt that the page leads to is given out on the session as well.
    let receipt = desk.get(&format!("/records/{index}/receipt"), &taro).await;
    let receipt: sealfax_client::history::Receipt = serde_json::from_str(&receipt.body).unwrap();
    receipt.verify(desk.server.key()).unwrap();

    let csv = desk.get("/export.csv", &taro).await;
    assert_eq!(csv.field("content-disposition"), Some("attachment; filename=\"transmissions.csv\""));
    assert_eq!(csv.body.lines().count(), 4, "{}", csv.body);

    for line in [
        "T2,V5 taro@a.test signed in from 127.0.0.1",
        "T2,V5 taro@a.test looked at transmissions: what waits and the newest",
        "T2,V5 taro@a.test looked at transmission 0",
        "T2,V5 taro@a.test looked at the proof of transmission 0, which holds",
        "T2,V5 taro@a.test looked at the evidence of record 1",
        "T2,V5 taro@a.test looked at an export of transmissions",
    ] {
        assert!(desk.told(line), "{line}");
    }
    let gone = desk.post("/sign-out", &taro, &format!("token={}", page.token())).await;
    assert_eq!(gone.status, 303);
    assert!(gone.field("set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!(desk.get("/", &taro).await.status, 303);
}

#[tokio::test]
async fn everybody_sees_their_own_and_auditors_all() {
    let desk = Desk::start().await;
    desk.register(&record(Event::Submission, "one@a.test", TARO, HANAKO)).await;
    let foreign = desk.register(&record(Event::Retrieval, "two@a.test", "jiro@a.test", "saburo@c.test")).await;
    let hanako = desk.sign_in(HANAKO).await;
    assert!(!desk.get("/", &hanako).await.body.contains("jiro"));
    // What is another's is not there, exactly as what is not there at all.
    for path in ["/transmissions/{}", "/transmissions/{}/proof", "/evidence/{}"] {
        let theirs = desk.get(&path.replace("{}", &foreign.to_string()), &hanako).await;
        let none = desk.get(&path.replace("{}", "999"), &hanako).await;
        assert_eq!(theirs.status, 404);
        let same = |answer: &Answer, number: &str| answer.body.replace(number, "N");
        assert_eq!(same(&theirs, &format!("%2F{foreign}")), same(&none, "%2F999"), "{path}");
    }
    assert!(!desk.get("/?party=jiro%40a.test", &hanako).await.body.contains("saburo"));
    assert!(!desk.get("/export.csv?party=@c.test", &hanako).await.body.contains("saburo"));
    let auditor = desk.sign_in(AUDITOR).await;
    let all = desk.get("/", &auditor).await;
    assert!(all.body.contains("jiro") && all.body.contains(TARO));
    assert_eq!(desk.get(&format!("/transmissions/{foreign}"), &auditor).await.status, 200);
    // By date, person, office, state and mail.
    for (query, one, other) in [
        ("party=%40c.test", false, true),
        ("party=hanako%40b.test", true, false),
        ("state=waiting", true, false),
        ("message_id=two%40a.test", false, true),
        ("from=2026-11-28&until=2026-11-28", true, true),
        ("until=2026-11-27", false, false),
    ] {
        let found = desk.get(&format!("/?{query}"), &auditor).await.body;
        let has = |number: u64| found.contains(&format!("href=\"/transmissions/{number}\""));
        assert_eq!((has(0), has(foreign)), (one, other), "{query}");
    }
    let wrong = desk.get("/?from=yesterday&party=taro&state=x", &auditor).await;
    assert_eq!(wrong.status, 400);
    assert_eq!(wrong.body.matches("aria-invalid").count(), 3);
}

#[tokio::test]
async fn pages_follow_each_other_without_gap() {
    let desk = Desk::with(|config| config.everybody_reads = true).await;
    for number in 0..120 {
        let record = record(Event::Retrieval, &format!("{number}@a.test"), TARO, HANAKO);
        desk.server.history().register(record, None).await.unwrap();
    }
    let (mut path, mut seen) = ("/".to_owned(), Vec::new());
    loop {
        let page = desk.get(&path, "").await.body;
        let numbers = page.match_indices("href=\"/transmissions/").map(|(at, text)| {
            let rest = page.get(at + text.len()..).unwrap();
            rest.split_once('"').unwrap().0.parse::<u64>().unwrap()
        });
        seen.extend(numbers);
        let Some((before, _)) = page.split_once("\">Older ones") else { break };
        path = before.rsplit_once('"').unwrap().1.to_owned();
    }
    assert_eq!(seen, (0..120).rev().collect::<Vec<u64>>());
}

#[tokio::test]
async fn both_languages() {
    let desk = Desk::with(|config| config.everybody_reads = true).await;
    desk.register(&record(Event::Overdue, "one@a.test", TARO, HANAKO)).await;
    let first = desk.ask("GET /", &[], "").await;
    assert!(first.body.contains("<html lang=\"ja\">") && first.body.contains("未確認(期限超過)"));
    assert!(desk.get("/", "").await.body.contains("<html lang=\"en\">"));
    let chosen = desk.get("/language?set=ja&back=%2Ftransmissions%2F0", "").await;
    assert_eq!((chosen.status, chosen.field("location")), (303, Some("/transmissions/0")));
    let cookie = chosen.cookie().unwrap();
    assert_eq!(cookie, "sealfax-language=ja");
    assert!(desk.get("/", &cookie).await.body.contains("<html lang=\"ja\">"));
    let away = desk.get("/language?set=xx&back=//evil.example", "").await;
    assert_eq!((away.field("location"), away.cookie()), (Some("/"), None));
}

#[tokio::test]
async fn a_record_that_was_changed_is_not_called_proven() {
    use crate::history::web::proof::Shown;
    let desk = Desk::start().await;
    for number in 0..5 {
        desk.register(&record(Event::Retrieval, &format!("{number}@a.test"), TARO, HANAKO)).await;
    }
    let key = desk.server.key();
    let receipt = desk.server.history().receipt(3).unwrap();
    assert!(Shown::of(receipt.clone(), key).holds());
    let mut wrong = Vec::new();
    let mut changed = |change: &dyn Fn(&mut sealfax_client::history::Receipt)| {
        let mut other = receipt.clone();
        change(&mut other);
        wrong.push(other);
    };
    changed(&|receipt| receipt.leaf = receipt.leaf.replace("retrieval", "refusal"));
    changed(&|receipt| receipt.personal = receipt.personal.take().map(|text| text.replace("taro", "jiro")));
    changed(&|receipt| receipt.proof.index = 2);
    changed(&|receipt| receipt.proof.path.truncate(1));
    changed(&|receipt| receipt.proof.path.swap(0, 1));
    changed(&|receipt| receipt.proof.checkpoint = receipt.proof.checkpoint.replacen('5', "6", 1));
    for (number, receipt) in wrong.into_iter().enumerate() {
        assert!(!Shown::of(receipt, key).holds(), "change {number}");
    }
}

#[tokio::test]
async fn what_is_searched_for_together_is_what_all_of_it_selects() {
    use crate::history::{Query, State};
    let desk = Desk::start().await;
    let history = desk.server.history();
    let events = [Event::Submission, Event::Retrieval, Event::Overdue, Event::Refusal, Event::NonDelivery];
    for number in 0..300usize {
        let (sender, recipient) = (format!("p{}@x.test", number % 7), format!("q{}@y{}.test", number % 5, number % 3));
        let event = events[number % 11 % events.len()];
        let record = record(event, &format!("{number}@x.test"), &sender, &recipient);
        history.register(record, None).await.unwrap();
    }
    let all = history.find(&Query::default(), usize::MAX).unwrap();
    assert_eq!(all.len(), 300);
    let parties =
        || [None, Some("p3@x.test"), Some("q2@y1.test"), Some("@x.test"), Some("@Y2.test"), Some("nobody@z.test")];
    let mut found = 0;
    for (own, party) in parties().into_iter().flat_map(|own| parties().map(|party| (own, party))) {
        for state in State::ALL.into_iter().map(Some).chain([None]) {
            for before in [None, Some(0), Some(150)] {
                let text = |party: Option<&str>| party.map(str::to_owned);
                let query = Query { own: text(own), party: text(party), state, before, ..Query::default() };
                let wanted: Vec<_> = all.iter().filter(|one| query.selects(one)).take(20).cloned().collect();
                assert_eq!(history.find(&query, 20).unwrap(), wanted, "{query:?}");
                found += wanted.len();
            }
        }
    }
    assert!(found > 1000);
}
