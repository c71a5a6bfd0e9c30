//! What follows a mail: its name in the log, and the notice that is prepared while it is written.

use super::*;

#[tokio::test]
async fn one_id_follows_a_mail_through_everything() {
    let mut rig = rig().await;
    rig.send(Some("taro@a.test"), &["hanako@b.test", "x@remote.test"], SEALED).await.unwrap();
    for _ in 0..2 {
        rig.mails.recv().await.unwrap();
    }
    rig.lines.wait_for("ST806").await;
    let mut client = rig.open("hanako@b.test", "correct horse").await.unwrap();
    client.retr(1).await.unwrap();
    client.dele(1).await.unwrap();
    client.quit().await.unwrap();
    let lines = rig.lines.0.lock().unwrap();
    let of = |id: &str| lines.iter().find(|line| line.ids.contains(&id)).and_then(|line| line.transmission.clone());
    let id = of("ST802").unwrap();
    for step in ["ST803", "ST805", "ST806", "ST809", "M4"] {
        assert_eq!(of(step).as_ref(), Some(&id), "{step}");
    }
    let deleted = lines.iter().find(|line| line.text.starts_with("deleted by hanako")).unwrap();
    assert_eq!(deleted.transmission.as_ref(), Some(&id));
}

/// Counts what an adapter hears of a session.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

#[async_trait]
impl Receiver for Heard {
    async fn mail_from(&self, peer: &Peer, _: &ReversePath) -> Result<(), Reply> {
        self.0.lock().unwrap().push(format!("MAIL at {}", peer.address));
        Ok(())
    }
    async fn rcpt_to(&self, _: &Peer, _: &Envelope, path: &str) -> Result<(), Reply> {
        self.0.lock().unwrap().push(format!("RCPT {path}"));
        Ok(())
    }
    async fn message(&self, _: &Peer, _: Envelope, _: Vec<u8>) -> Reply {
        self.0.lock().unwrap().push("mail".to_owned());
        Reply::new(250, "2.0.0", "Taken")
    }
}

#[tokio::test]
async fn a_notice_is_prepared_once_and_sent_on_the_connection_that_has_its_envelope() {
    let listener = TcpNetwork.bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let (dns, _dns_task) = dns(listener.local_addr().unwrap().port()).await;
    let heard = Arc::new(Heard::default());
    let (_stop, stopped) = watch::channel(false);
    let (receiver, limits): (Arc<dyn Receiver>, _) = (heard.clone(), smtp_server::Limits::default());
    let quiet: Arc<dyn Journal> = Arc::new(Lines::default());
    let (host, security) = ("adapter.test".to_owned(), Security::Clear);
    let _adapter = tokio::spawn(smtp_server::serve(listener, security, receiver, limits, host, quiet, stopped));
    let folder = tempfile::tempdir().unwrap();
    let config = MailConfig::new("mail.b.test", &["b.test"], folder.path(), vec![dns]);
    let lines = Arc::new(Lines::default());
    let seams = Seams { journal: lines.clone(), ..Seams::system() };
    let server = MailServer::start(config, seams).await.unwrap();
    let hanako = server.accounts().clone().cheap();
    let password = Password::new(b"correct horse".to_vec());
    hanako.add("hanako@b.test", "Hanako", &password, &["adapter.test".to_owned()]).unwrap();
    // Nothing of it is due: the envelope is there, and no mail.
    let account = hanako.find("hanako@b.test").unwrap();
    server.core.expected.send(account).await.unwrap();
    while heard.0.lock().unwrap().len() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let to = ["hanako@b.test".to_owned()];
    sealfax_client::smtp::send(&TcpNetwork, server.smtp_addr(), "c.test", None, &to, SEALED.as_bytes()).await.unwrap();
    lines.wait_for("ST811").await;
    {
        let heard = heard.0.lock().unwrap();
        let words: Vec<&str> = heard.iter().map(|line| line.split(' ').next().unwrap()).collect();
        assert_eq!(words, ["MAIL", "RCPT", "mail"], "{heard:?}");
    }
    // Within the interval there is none to prepare; after a look at the mailbox there is, on the same connection.
    assert!(!server.core.ahead.expects("hanako@b.test", crate::store::millis(server.core.seams.clock.now())));
    let mut client = Client::connect(&TcpNetwork, server.pop3_addr()).await.unwrap();
    client.login("hanako@b.test", &password).await.unwrap();
    client.dele(1).await.unwrap();
    client.quit().await.unwrap();
    sealfax_client::smtp::send(&TcpNetwork, server.smtp_addr(), "c.test", None, &to, SEALED.as_bytes()).await.unwrap();
    while heard.0.lock().unwrap().len() < 6 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let heard = heard.0.lock().unwrap();
    assert_eq!((heard.len(), &heard[0], &heard[5]), (6, &heard[3], &"mail".to_owned()), "{heard:?}");
}

#[tokio::test]
async fn addresses_of_all_scripts() {
    let mut rig = rig().await;
    let password = Password::new(b"correct horse".to_vec());
    let accounts = rig.server.accounts().clone().cheap();
    accounts.add("次郎@b.test", "次郎", &password, &[]).unwrap();
    let mail = "From: 太郎@a.test\r\nTo: 次郎@b.test\r\nSubject: 挨拶\r\n\r\n今日は\r\n";
    rig.send(Some("太郎@a.test"), &["次郎@B.test", "花子@remote.test"], mail).await.unwrap();
    let kept = String::from_utf8(rig.server.mailbox("次郎@b.test").unwrap().remove(0)).unwrap();
    assert!(
        kept.starts_with("Return-Path: <太郎@a.test>\r\nReceived: ") && kept.contains(" with UTF8SMTP id "),
        "{kept}"
    );
    let (envelope, relayed) = rig.mails.recv().await.unwrap();
    assert!(envelope.utf8 && envelope.forward_paths == ["花子@remote.test"] && relayed.ends_with(mail));
    // A sender hears of a failure at its own address.
    rig.send(Some("次郎@b.test"), &["no.花子@remote.test"], mail).await.unwrap();
    rig.lines.wait_for("M2").await;
    let report = loop {
        match rig.server.mailbox("次郎@b.test").unwrap().get(1) {
            Some(mail) => break String::from_utf8(mail.clone()).unwrap(),
            None => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };
    assert!(report.contains("\r\nTo: <次郎@b.test>\r\n"), "{report}");
    assert!(report.contains("\r\nFinal-Recipient: utf-8; no.\\x{82B1}\\x{5B50}@remote.test\r\n"), "{report}");
    // Whoever does not say SMTPUTF8 may not.
    let refused = raw(
        &rig,
        "EHLO c.test\r\nMAIL FROM:<太郎@a.test>\r\nMAIL FROM:<a@a.test>\r\nRCPT TO:<次郎@b.test>\r\nQUIT\r\n",
    )
    .await;
    assert_eq!(refused.matches("553 5.6.7 ").count(), 2, "{refused}");
}

/// Says all of it, and hears all that is said.
async fn raw(rig: &Rig, text: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(rig.server.smtp_addr()).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut heard = String::new();
    stream.read_to_string(&mut heard).await.unwrap();
    heard
}
