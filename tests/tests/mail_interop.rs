//! The mail server among programs that nobody here wrote: Postfix sends to it and is sent to, fetchmail fetches, swaks speaks
//! every extension.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use sealfax_client::pop3_server::Password;
use sealfax_client::seam::{Seams, TcpNetwork};
use sealfax_client::smtp::{self, Connection, Outgoing, Upgrade};
use sealfax_client::smtp_server::{Dsn, Notify, RecipientDsn};
use sealfax_client::tls::ClientTls;
use sealfax_mailserver::mail::{MailConfig, MailServer};
use sealfax_rig::events::EventLog;
use sealfax_rig::peer::postfix::{self, Postfix, PostfixOptions};
use sealfax_rig::peer::process::free_port;
use sealfax_rig::world::dns::{DnsRecord, DnsServer};
use sealfax_tests::at_hand;
use sealfax_tests::openssl::openssl;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const PASSWORD: &str = "correct-horse";

fn has_postfix() -> bool {
    let strict = std::env::var_os("SEALFAX_STRICT").is_some_and(|value| value == "1");
    match postfix::present() {
        Err(missing) if !strict => {
            eprintln!("unsupported: {missing}");
            false
        }
        _ => true,
    }
}

async fn server(folder: &Path, relay_port: u16, dns: SocketAddr) -> MailServer {
    let mut config = MailConfig::new("mail.b.test", &["b.test"], folder.join("data"), vec![dns]);
    config.relay_port = relay_port;
    config.relay_from = vec!["127.0.0.1".parse().unwrap()];
    let server = MailServer::start(config, Seams::system()).await.unwrap();
    let password = Password::new(PASSWORD.as_bytes().to_vec());
    server.accounts().clone().cheap().add("hanako@b.test", "Hanako", &password, &[]).unwrap();
    server
}

/// Waits until there is something.
async fn until<T>(mut there: impl FnMut() -> Option<T>, what: &str) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = there() {
            return found;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "no {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Mail goes to Postfix under TLS, comes into its Maildir octet for octet, and its report of that comes back.
#[tokio::test(flavor = "multi_thread")]
async fn postfix_at_the_other_end() {
    if !has_postfix() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let line = "req -x509 -newkey rsa:2048 -nodes -subj /CN=mail.c.test -days 2 -keyout key.pem -out cert.pem";
    openssl(folder.path(), &line.split(' ').collect::<Vec<_>>()).unwrap();
    // Whoever starts first has to know where the other will be.
    let ours_at = free_port(HERE).unwrap();
    let lines = PostfixOptions {
        domain: "c.test".to_owned(),
        boxes: vec!["jiro".to_owned(), "次郎".to_owned()],
        lmtp: None,
        main: format!(
            "smtpd_tls_cert_file = {place}/cert.pem\nsmtpd_tls_key_file = {place}/key.pem\n\
             smtpd_tls_security_level = may\nsmtpd_tls_received_header = yes\n\
             relayhost = [127.0.0.1]:{port}\ndisable_dns_lookups = yes\n",
            place = folder.path().display(),
            port = ours_at.port(),
        ),
    };
    let peer = Postfix::start(HERE, &lines).unwrap();
    let records = [
        DnsRecord::Mx { domain: "c.test".to_owned(), preference: 10, exchange: "mail.c.test".to_owned() },
        DnsRecord::A { name: "mail.c.test".to_owned(), address: Ipv4Addr::LOCALHOST },
    ];
    let dns = DnsServer::start(HERE, &records, EventLog::new()).await.unwrap();
    let mut config = MailConfig::new("mail.b.test", &["b.test"], folder.path().join("data"), vec![dns.address()]);
    (config.smtp, config.relay_port) = (ours_at, peer.addr().port());
    config.relay_from = vec!["127.0.0.1".parse().unwrap()];
    let server = MailServer::start(config, Seams::system()).await.unwrap();
    let password = Password::new(PASSWORD.as_bytes().to_vec());
    server.accounts().clone().cheap().add("hanako@b.test", "Hanako", &password, &[]).unwrap();

    // With a date and an identifier: Postfix would add its own.
    let mail = b"From: hanako@b.test\r\nTo: jiro@c.test\r\nSubject: x\r\nMessage-ID: <1@b.test>\r\n\
        Date: Sat, 28 Nov 2026 04:00:00 +0000\r\n\r\n.dots\r\n..\r\nFrom here\r\n";
    let wishes = RecipientDsn { notify: Some(Notify { success: true, failure: true, delay: false }), orcpt: None };
    let dsn = Dsn { recipients: [("jiro@c.test".to_owned(), wishes)].into(), ..Dsn::default() };
    let recipients = ["jiro@c.test".to_owned()];
    let tls = ClientTls::unproven(&Seams::system().clock).unwrap();
    let mut connection = Connection::open(&TcpNetwork, ours_at, "c.test", &Upgrade::IfOffered(tls)).await.unwrap();
    let from = Some("hanako@b.test");
    let outgoing = Outgoing {
        reverse_path: from,
        recipients: &recipients,
        mail,
        all_or_nothing: false,
        utf8: false,
        dsn: Some(&dsn),
    };
    connection.transact(outgoing).await.unwrap();

    let new = peer.maildirs().join("jiro/new");
    let kept = until(|| std::fs::read_dir(&new).ok()?.next(), "mail in the Maildir").await.unwrap();
    let kept = std::fs::read_to_string(kept.path()).unwrap().replace('\n', "\r\n");
    assert!(kept.ends_with(std::str::from_utf8(mail).unwrap()), "{kept}");
    assert!(kept.contains("(using TLSv1.3 with cipher"), "it did not come under TLS: {kept}");
    // Postfix's own report, through our server into the sender's mailbox.
    let report = until(|| server.mailbox("hanako@b.test").unwrap().pop(), "report of the delivery").await;
    let report = String::from_utf8(report).unwrap();
    assert!(report.contains("Action: delivered") && report.contains("Reporting-MTA: dns; mail.c.test"), "{report}");
    // Addresses of other scripts, to and fro.
    server.accounts().clone().cheap().add("花子@b.test", "花子", &password, &[]).unwrap();
    let text = "From: 花子@b.test\r\nTo: 次郎@c.test\r\nSubject: 挨拶\r\nMessage-ID: <2@b.test>\r\n\
        Date: Sat, 28 Nov 2026 04:00:00 +0000\r\n\r\n今日は\r\n";
    let to = ["次郎@c.test".to_owned()];
    smtp::send(&TcpNetwork, ours_at, "c.test", Some("花子@b.test"), &to, text.as_bytes()).await.unwrap();
    let new = peer.maildirs().join("次郎/new");
    let kept = until(|| std::fs::read_dir(&new).ok()?.next(), "mail in the other Maildir").await.unwrap();
    let kept = std::fs::read_to_string(kept.path()).unwrap().replace('\n', "\r\n");
    assert!(kept.ends_with(text) && kept.contains("Return-Path: <花子@b.test>"), "{kept}");
    let to = ["花子@b.test".to_owned()];
    smtp::send(&TcpNetwork, peer.addr(), "c.test", Some("次郎@c.test"), &to, text.as_bytes()).await.unwrap();
    let arrived = until(|| server.mailbox("花子@b.test").unwrap().pop(), "mail from Postfix").await;
    assert!(String::from_utf8(arrived).unwrap().starts_with("Return-Path: <次郎@c.test>\r\n"));
    // And a mail of Postfix's own clients.
    let (to, text) = (["hanako@b.test".to_owned()], b"From: jiro@c.test\r\nSubject: y\r\n\r\nfrom Postfix\r\n");
    let sent = smtp::send(&TcpNetwork, peer.addr(), "c.test", Some("jiro@c.test"), &to, text).await.unwrap();
    assert!(sent.iter().all(|result| result.outcome.is_ok()));
    let there = || server.mailbox("hanako@b.test").unwrap().into_iter().nth(1);
    let arrived = String::from_utf8(until(there, "mail from Postfix").await).unwrap();
    assert!(
        arrived.starts_with("Return-Path: <jiro@c.test>\r\n") && arrived.ends_with("from Postfix\r\n"),
        "{arrived}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn fetchmail_fetches_and_deletes() {
    if !at_hand("fetchmail") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path(), 9, SocketAddr::new(HERE, 9)).await;
    for number in 0..3 {
        let mail = format!("From: a@a.test\r\nSubject: {number}\r\n\r\n.line {number}\r\n");
        let to = ["hanako@b.test".to_owned()];
        smtp::send(&TcpNetwork, server.smtp_addr(), "c.test", Some("a@a.test"), &to, mail.as_bytes()).await.unwrap();
    }
    let (file, into) = (folder.path().join("fetchmailrc"), folder.path().join("fetched"));
    let text = format!(
        "poll 127.0.0.1 service {} protocol POP3 uidl user \"hanako@b.test\" password \"{PASSWORD}\" fetchall no keep \
         sslproto \"\" mda \"cat >> {}\"\n",
        server.pop3_addr().port(),
        into.display()
    );
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let mut command = Command::new("fetchmail");
    command.args(["--nodetach", "--nosyslog", "-f"]).arg(&file).env("HOME", folder.path());
    let output = tokio::task::block_in_place(|| command.env("FETCHMAILHOME", folder.path()).output().unwrap());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let fetched = std::fs::read_to_string(into).unwrap();
    assert!((0..3).all(|number| fetched.contains(&format!("\n.line {number}\n"))), "{fetched}");
    assert!(server.mailbox("hanako@b.test").unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn swaks_speaks_every_way() {
    if !at_hand("swaks") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path(), 9, SocketAddr::new(HERE, 9)).await;
    let at = server.smtp_addr().to_string();
    let swaks = |arguments: &[&str]| {
        let mut command = Command::new("swaks");
        command.args(["--server", &at, "--from", "a@a.test", "--helo", "c.test"]).args(arguments);
        let output = tokio::task::block_in_place(|| command.output().unwrap());
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let hanako = ["--to", "hanako@b.test"];
    assert_eq!(swaks(&hanako).0, Some(0));
    assert_eq!(swaks(&[&hanako[..], &["--protocol", "SMTP"]].concat()).0, Some(0));
    assert_eq!(swaks(&[&hanako[..], &["--pipeline"]].concat()).0, Some(0));
    assert_eq!(swaks(&[&hanako[..], &["--body", "..\n.\nend"]].concat()).0, Some(0));
    // Refused at RCPT: 24 says so.
    let (code, said) = swaks(&["--to", "nobody@b.test"]);
    assert!(code == Some(24) && said.contains("550 5.1.1"), "{code:?} {said}");
    // There is no TLS here: whoever insists goes away.
    assert_eq!(swaks(&[&hanako[..], &["--tls"]].concat()).0, Some(29));
    assert_eq!(server.mailbox("hanako@b.test").unwrap().len(), 4);
}
