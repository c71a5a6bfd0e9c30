//! The administrator's page over a real socket.

use std::net::SocketAddr;

use sealfax_client::pop3_server::Password;
use sealfax_client::seam::Seams;

use crate::mail::{MailConfig, MailServer, StartError};
use crate::pages::testing::{Answer, ask, typed};
use crate::store::{Delivery, NewItem, Route};

const BOSS: &str = "boss@b.test";
const HANAKO: &str = "hanako@b.test";
const PASSWORD: &str = "correct horse";

fn config(folder: &std::path::Path) -> MailConfig {
    let mut config = MailConfig::new("mail.b.test", &["b.test"], folder, vec![SocketAddr::from(([127, 0, 0, 1], 9))]);
    config.administration_http = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    config.administrators = vec![BOSS.to_owned()];
    config
}

async fn server(folder: &std::path::Path) -> (MailServer, SocketAddr) {
    let server = MailServer::start(config(folder), Seams::system()).await.unwrap();
    let at = server.administration_addr().unwrap();
    let accounts = server.accounts().clone().cheap();
    for address in [BOSS, HANAKO] {
        let password = Password::new(PASSWORD.as_bytes().to_vec());
        accounts.add(address, "<b>Name</b>", &password, &["adapter.b.test".to_owned()]).unwrap();
    }
    (server, at)
}

async fn get(at: SocketAddr, path: &str, cookie: &str) -> Answer {
    ask(at, &format!("GET {path}"), &[("Cookie", cookie), ("Accept-Language", "en")], "").await
}

async fn post(at: SocketAddr, path: &str, cookie: &str, form: &str) -> Answer {
    let kind = "application/x-www-form-urlencoded";
    let fields = [("Cookie", cookie), ("Content-Type", kind), ("Accept-Language", "en")];
    ask(at, &format!("POST {path}"), &fields, form).await
}

async fn sign_in(at: SocketAddr, who: &str) -> Answer {
    let asked = get(at, "/sign-in", "").await;
    post(at, "/sign-in", &asked.cookie().unwrap(), &typed(who, PASSWORD, &asked.token())).await
}

#[tokio::test]
async fn it_is_for_administrators_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (server, at) = server(folder.path()).await;
    assert_eq!(get(at, "/", "").await.field("location"), Some("/sign-in"));
    // A right password of somebody else's is told what a wrong one is.
    let (hanako, nobody) = (sign_in(at, HANAKO).await, sign_in(at, "nobody@b.test").await);
    assert_eq!((hanako.status, nobody.status), (401, 401));
    let signed = sign_in(at, BOSS).await;
    assert_eq!(signed.status, 303);
    let boss = signed.cookie().unwrap();
    let page = get(at, "/", &boss).await;
    assert_eq!((page.status, page.field("cache-control")), (200, Some("no-store")));
    assert!(page.body.contains(HANAKO) && page.body.contains("adapter.b.test"));
    assert!(page.body.contains("&lt;b&gt;Name&lt;/b&gt;") && !page.body.contains("<b>Name"));
    let found = get(at, "/?find=hanako", &boss).await.body;
    assert!(found.contains("value=\"hanako@b.test\"") && !found.contains("value=\"boss@b.test\""));
    // No more so when the configuration says so.
    let mut other = config(folder.path());
    other.administrators = vec![HANAKO.to_owned()];
    server.reload(other).unwrap();
    assert_eq!(get(at, "/", &boss).await.status, 303);
    server.shutdown().await;
}

#[tokio::test]
async fn its_buttons_do_what_they_say_and_only_for_whom_they_were_made() {
    let folder = tempfile::tempdir().unwrap();
    let (server, at) = server(folder.path()).await;
    let item = NewItem {
        route: Route::Domain("remote.test".to_owned()),
        recipients: vec!["<script>@remote.test".to_owned()],
        expires: u64::MAX / 4,
    };
    let now = crate::store::millis(std::time::SystemTime::now());
    let delivery = Delivery {
        mail: b"x\r\n".to_vec(),
        queue: vec![item],
        mailboxes: vec![HANAKO.to_owned()],
        sealed: true,
        now,
        notice_expires: now + 1_000_000,
        ..Delivery::default()
    };
    server.store.deliver(delivery).unwrap();
    let boss = sign_in(at, BOSS).await.cookie().unwrap();
    let page = get(at, "/", &boss).await;
    assert!(page.body.contains("Queue (1)") && page.body.contains("Notices outstanding (1)"));
    assert_eq!(page.body.matches("<script").count(), 1);
    let id = server.queue().unwrap()[0].id;
    let token = page.token();
    for (path, form) in [("/retry", format!("id={id}")), ("/suspend", format!("address={HANAKO}&suspended=true"))] {
        assert_eq!(post(at, path, "", &format!("{form}&token={token}")).await.field("location"), Some("/sign-in"));
        assert_eq!(post(at, path, &boss, &format!("{form}&token=x")).await.status, 403, "{path}");
        let origin = [
            ("Cookie", boss.as_str()),
            ("Origin", "http://evil.example"),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ];
        let good = format!("{form}&token={token}");
        assert_eq!(ask(at, &format!("POST {path}"), &origin, &good).await.status, 403, "{path}");
        assert_eq!(post(at, path, &boss, &good).await.status, 303, "{path}");
    }
    assert!(server.accounts().find(HANAKO).unwrap().suspended);
    assert_eq!(post(at, "/retry", &boss, &format!("id=99999&token={token}")).await.status, 409);
    assert_eq!(post(at, "/retry", &boss, &format!("id=x&token={token}")).await.status, 404);
    assert!(get(at, "/", &boss).await.body.contains("suspended"));
    server.shutdown().await;
}

#[tokio::test]
async fn it_is_not_shown_to_the_network_in_clear() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.administration_http = Some(SocketAddr::from(([0, 0, 0, 0], 0)));
    let error = MailServer::start(config.clone(), Seams::system()).await.unwrap_err();
    assert!(matches!(error, StartError::Config(_)) && error.to_string().contains("loopback"), "{error}");
    config.administration_http = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    config.administrators.clear();
    let error = MailServer::start(config, Seams::system()).await.unwrap_err();
    assert!(error.to_string().contains("administrators"), "{error}");
}
