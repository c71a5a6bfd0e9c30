#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
//! The mail server over real sockets on loopback, with a real DNS server beside it.

use std::net::Ipv4Addr;
use std::sync::Mutex;

use async_trait::async_trait;
use hickory_proto::op::{Message, MessageType, ResponseCode as Rcode};
use hickory_proto::rr::rdata::{A, MX, SRV};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use sealfax_client::pop3::{Client, Pop3Error};
use sealfax_client::pop3_server::Password;
use sealfax_client::seam::{Journal, Network, Record as Line, RecordKind, TcpNetwork};
use sealfax_client::smtp::{Connection, Outgoing, SendError};
use sealfax_client::smtp_server::{Dsn, Envelope, Peer, Receiver, RecipientDsn, Reply, ReversePath};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::*;

mod escalating;
mod following;

const SEALED: &str = "From: taro@a.test\r\nTo: hanako@b.test\r\nSubject: [...]\r\nMIME-Version: 1.0\r\n\
Content-Type: application/pkcs7-mime; smime-type=authEnveloped-data\r\n\r\n.\r\nsecret page\r\n";
const PLAIN: &str = "From: taro@a.test\r\nSubject: hello\r\n\r\nplain\r\n";
const CONFIRMATION: &str = "From: taro@a.test\r\nContent-Type: multipart/report; \
report-type=disposition-notification; boundary=x\r\n\r\n--x\r\n\r\nread\r\n--x--\r\n";

/// Keeps every line, and tells who waits for one.
#[derive(Default)]
struct Lines(Mutex<Vec<Line>>, Notify);

impl Journal for Lines {
    fn record(&self, record: Line) {
        self.0.lock().unwrap().push(record);
        self.1.notify_waiters();
    }
}

impl Lines {
    /// The identifiers of steps so far.
    fn steps(&self) -> Vec<&'static str> {
        let lines = self.0.lock().unwrap();
        lines.iter().filter(|line| line.kind == RecordKind::Step).flat_map(|line| line.ids.clone()).collect()
    }

    async fn wait_for(&self, id: &str) {
        let seen = async {
            loop {
                let waiting = self.1.notified();
                if self.0.lock().unwrap().iter().any(|line| line.ids.contains(&id)) {
                    return;
                }
                waiting.await;
            }
        };
        let all =
            || self.0.lock().unwrap().iter().map(|line| format!("{:?} {}\n", line.ids, line.text)).collect::<String>();
        tokio::time::timeout(Duration::from_secs(20), seen).await.unwrap_or_else(|_| panic!("no {id} in\n{}", all()));
    }
}

/// A receiver that passes every mail on to the test; refuses recipients whose address begins with "no".
struct Sink(mpsc::UnboundedSender<(Envelope, String)>);

#[async_trait]
impl Receiver for Sink {
    async fn mail_from(&self, _: &Peer, _: &ReversePath) -> Result<(), Reply> {
        Ok(())
    }
    async fn rcpt_to(&self, _: &Peer, _: &Envelope, forward_path: &str) -> Result<(), Reply> {
        if forward_path.starts_with("no") { Err(Reply::new(550, "5.1.1", "Not here")) } else { Ok(()) }
    }
    async fn message(&self, _: &Peer, envelope: Envelope, data: Vec<u8>) -> Reply {
        self.0.send((envelope, String::from_utf8(data).unwrap())).unwrap();
        Reply::new(250, "2.0.0", "Taken")
    }
}

type Mails = mpsc::UnboundedReceiver<(Envelope, String)>;

/// A peer's SMTP server: its port, what it gets, and what keeps it alive.
async fn sink() -> (u16, Mails, (JoinSet<()>, watch::Sender<bool>)) {
    let listener = TcpNetwork.bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (send, mails) = mpsc::unbounded_channel();
    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    let journal: Arc<dyn Journal> = Arc::new(Lines::default());
    tasks.spawn(smtp_server::serve(
        listener,
        Security::Clear,
        Arc::new(Sink(send)),
        smtp_server::Limits::default(),
        "peer.test".to_owned(),
        journal,
        stopped,
    ));
    (port, mails, (tasks, stop))
}

/// Answers: SRV for adapter.test at the given port, MX for remote.test, 127.0.0.1 for their hosts, nothing else.
async fn dns(adapter_port: u16) -> (SocketAddr, JoinSet<()>) {
    dns_of(vec![("adapter.test", adapter_port)]).await
}

/// The same with these adapters.
async fn dns_of(adapters: Vec<(&'static str, u16)>) -> (SocketAddr, JoinSet<()>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let at = socket.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut buffer = [0u8; 1500];
        loop {
            let Ok((count, peer)) = socket.recv_from(&mut buffer).await else { continue };
            let query = Message::from_vec(&buffer[..count]).unwrap();
            let question = query.queries[0].clone();
            let name = question.name().clone();
            let asked = name.to_ascii().to_ascii_lowercase();
            let adapter = adapters.iter().find(|(host, _)| asked == format!("_sealfax._tcp.{host}."));
            let answer = match (asked.as_str(), question.query_type()) {
                (_, RecordType::SRV) => {
                    adapter.map(|(_, port)| RData::SRV(SRV::new(0, 0, *port, Name::from_ascii("host.test.").unwrap())))
                }
                ("remote.test.", RecordType::MX) => {
                    Some(RData::MX(MX::new(10, Name::from_ascii("host.test.").unwrap())))
                }
                ("host.test.", RecordType::A) => Some(RData::A(A(Ipv4Addr::LOCALHOST))),
                _ => None,
            };
            let mut response = query.clone();
            response.metadata.message_type = MessageType::Response;
            response.metadata.response_code = if answer.is_some() { Rcode::NoError } else { Rcode::NXDomain };
            response.answers.extend(answer.map(|data| Record::from_rdata(name, 60, data)));
            let _ = socket.send_to(&response.to_vec().unwrap(), peer).await;
        }
    });
    (at, tasks)
}

struct Rig {
    server: MailServer,
    config: MailConfig,
    seams: Seams,
    lines: Arc<Lines>,
    mails: Mails,
    _folder: tempfile::TempDir,
    _alive: (JoinSet<()>, (JoinSet<()>, watch::Sender<bool>)),
}

async fn rig() -> Rig {
    let (port, mails, sink) = sink().await;
    let (dns, dns_task) = dns(port).await;
    let folder = tempfile::tempdir().unwrap();
    let mut config = MailConfig::new("mail.b.test", &["b.test"], folder.path(), vec![dns]);
    config.relay_port = port;
    config.relay_from = vec!["127.0.0.0/8".parse().unwrap()];
    config.limits.login_failure_delay = Duration::from_millis(1);
    let lines = Arc::new(Lines::default());
    let seams = Seams { journal: lines.clone(), ..Seams::system() };
    let server = MailServer::start(config.clone(), seams.clone()).await.unwrap();
    let password = Password::new(b"correct horse".to_vec());
    let accounts = server.accounts().clone();
    accounts.add("hanako@B.test", "佐藤 花子", &password, &["adapter.test".to_owned()]).unwrap();
    accounts.add("plain@b.test", "No Adapter", &password, &[]).unwrap();
    Rig { server, config, seams, lines, mails, _folder: folder, _alive: (dns_task, sink) }
}

impl Rig {
    async fn send(&self, from: Option<&str>, to: &[&str], mail: &str) -> Result<Vec<Result<(), u16>>, smtp_code::Code> {
        let recipients: Vec<String> = to.iter().map(ToString::to_string).collect();
        let at = self.server.smtp_addr();
        match sealfax_client::smtp::send(&TcpNetwork, at, "client.test", from, &recipients, mail.as_bytes()).await {
            Ok(results) => {
                Ok(results.into_iter().map(|result| result.outcome.map_err(|refused| refused.code)).collect())
            }
            Err(error) => Err(error.code()),
        }
    }

    async fn open(&self, user: &str, password: &str) -> Result<Client, Pop3Error> {
        let mut client = Client::connect(&TcpNetwork, self.server.pop3_addr()).await?;
        client.login(user, &Password::new(password.as_bytes().to_vec())).await?;
        Ok(client)
    }

    async fn next_mail(&mut self) -> (Envelope, String) {
        tokio::time::timeout(Duration::from_secs(20), self.mails.recv()).await.unwrap().unwrap()
    }
}

mod smtp_code {
    pub type Code = Option<u16>;
}

#[tokio::test]
async fn a_sealed_mail_is_stored_notified_and_handed_out() {
    let mut rig = rig().await;
    let sent = rig.send(Some("taro@a.test"), &["hanako@b.test"], SEALED).await.unwrap();
    assert_eq!(sent, [Ok(())]);
    let (envelope, notice) = rig.next_mail().await;
    assert!(envelope.reverse_path.is_null());
    assert_eq!(envelope.forward_paths, ["hanako@b.test"]);
    for secret in ["secret", "taro", "[...]"] {
        assert!(!notice.contains(secret), "{secret} leaks in a notice");
    }
    rig.lines.wait_for("ST811").await;
    let steps = rig.lines.steps();
    for id in ["ST801", "ST802", "ST803", "ST805", "ST807", "ST808", "ST809", "ST810", "ST811", "C14"] {
        assert!(steps.contains(&id), "{id} missing in {steps:?}");
    }
    let mut client = rig.open("hanako@b.TEST", "correct horse").await.unwrap();
    assert_eq!(client.stat().await.unwrap().0, 1);
    let mail = String::from_utf8(client.retr(1).await.unwrap()).unwrap();
    assert_eq!(client.list().await.unwrap(), [(1, mail.len() as u64)]);
    assert!(mail.starts_with("Return-Path: <taro@a.test>\r\nReceived: from client.test ([127.0.0.1])\r\n"));
    assert!(mail.ends_with(SEALED));
    let uid = client.uidl().await.unwrap();
    client.dele(1).await.unwrap();
    drop(client);
    let mut again = loop {
        // The server lets go of the lock when it sees the connection end.
        match rig.open("hanako@b.test", "correct horse").await {
            Err(Pop3Error::Refused { code: Some(code), .. }) if code == "IN-USE" => tokio::task::yield_now().await,
            other => break other.unwrap(),
        }
    };
    assert_eq!(again.uidl().await.unwrap(), uid, "a session that broke off deleted something");
    again.dele(1).await.unwrap();
    again.quit().await.unwrap();
    let mut empty = rig.open("hanako@b.test", "correct horse").await.unwrap();
    assert_eq!(empty.stat().await.unwrap(), (0, 0));
    let redacted = redact(&notice);
    insta::assert_snapshot!(redacted);
}

/// Volatile parts of a mail out, so that the rest can be compared.
fn redact(mail: &str) -> String {
    let mut text = String::new();
    for line in mail.lines() {
        let line = match line.split_once(": ") {
            Some(("Date", _)) => "Date: [date]".to_owned(),
            Some(("Message-ID", _)) => "Message-ID: [id]".to_owned(),
            Some(("Sealfax-Notice", value)) => {
                format!("Sealfax-Notice: {}expires=[date]", value.split("expires=").next().unwrap_or(""))
            }
            _ => line.to_owned(),
        };
        text.push_str(&line);
        text.push('\n');
    }
    text
}

#[tokio::test]
async fn plain_mails_are_not_notified_and_unknown_recipients_refused() {
    let mut rig = rig().await;
    let sent =
        rig.send(Some("taro@a.test"), &["hanako@b.test", "nobody@b.test", "Hanako@b.test"], PLAIN).await.unwrap();
    assert_eq!(sent, [Ok(()), Err(550), Err(550)]);
    let steps = rig.lines.steps();
    assert!(steps.contains(&"M2") && steps.contains(&"ST804"));
    let mut client = rig.open("hanako@b.test", "correct horse").await.unwrap();
    assert_eq!(client.stat().await.unwrap().0, 1);
    client.quit().await.unwrap();
    // Whatever comes next at the adapter, it is not a notice of the plain mail.
    rig.send(None, &["hanako@b.test"], CONFIRMATION).await.unwrap();
    let (_, first) = rig.next_mail().await;
    assert!(first.contains("disposition-notification"));
}

#[tokio::test]
async fn confirmations_go_to_the_adapter_or_else_to_the_mailbox() {
    let mut rig = rig().await;
    rig.send(None, &["hanako@b.test", "plain@b.test"], CONFIRMATION).await.unwrap();
    let (envelope, mail) = rig.next_mail().await;
    assert!(envelope.reverse_path.is_null());
    assert!(mail.ends_with(CONFIRMATION));
    rig.lines.wait_for("ST813").await;
    let mut client = rig.open("hanako@b.test", "correct horse").await.unwrap();
    assert_eq!(client.stat().await.unwrap().0, 0);
    let mut client = rig.open("plain@b.test", "correct horse").await.unwrap();
    assert_eq!(client.stat().await.unwrap().0, 1);
}

#[tokio::test]
async fn relay_and_bounce() {
    let mut rig = rig().await;
    let to = ["someone@remote.test", "nobody@remote.test", "lost@unknown.test"];
    rig.send(Some("plain@b.test"), &to, PLAIN).await.unwrap();
    let (envelope, mail) = rig.next_mail().await;
    assert_eq!(envelope.forward_paths, ["someone@remote.test"]);
    assert_eq!(envelope.reverse_path.address(), Some("plain@b.test"));
    assert!(mail.ends_with(PLAIN));
    rig.lines.wait_for("ST806").await;
    let bounces = async {
        loop {
            let mut client = rig.open("plain@b.test", "correct horse").await.unwrap();
            if client.stat().await.unwrap().0 == 2 {
                let first = client.retr(1).await.unwrap();
                let second = client.retr(2).await.unwrap();
                client.quit().await.unwrap();
                return [first, second].map(|mail| String::from_utf8(mail).unwrap());
            }
            client.quit().await.unwrap();
        }
    };
    let bounces = tokio::time::timeout(Duration::from_secs(20), bounces).await.unwrap();
    assert!(bounces.iter().all(|bounce| bounce.starts_with("Return-Path: <>\r\n") && !bounce.contains("hello")));
    assert!(
        bounces.iter().any(|bounce| bounce.contains("Final-Recipient: rfc822; nobody@remote.test")
            && bounce.contains("Status: 5.1.1\r\n"))
    );
    assert!(bounces.iter().any(|bounce| bounce.contains("Final-Recipient: rfc822; lost@unknown.test")));
    rig.send(None, &["nobody@remote.test"], PLAIN).await.unwrap();
    rig.lines.wait_for("BOUNCE-NULL").await;
}

/// ST813: who has an adapter hears of a bounce there; the adapter closes the transmission.
#[tokio::test]
async fn a_bounce_goes_to_the_senders_adapter() {
    let mut rig = rig().await;
    rig.send(Some("hanako@b.test"), &["lost@unknown.test"], PLAIN).await.unwrap();
    let (envelope, mail) = rig.next_mail().await;
    assert_eq!((envelope.reverse_path.address(), envelope.forward_paths), (None, vec!["hanako@b.test".to_owned()]));
    assert!(mail.contains("Final-Recipient: rfc822; lost@unknown.test"));
    rig.lines.wait_for("ST813").await;
    let mut client = rig.open("hanako@b.test", "correct horse").await.unwrap();
    assert_eq!(client.stat().await.unwrap().0, 0);
}

#[tokio::test]
async fn relaying_only_for_our_clients() {
    let mut rig = rig().await;
    rig.config.relay_from.clear();
    let Rig { server, config, seams, .. } = &mut rig;
    drop(std::mem::replace(server, MailServer::start(other_folder(config), seams.clone()).await.unwrap()));
    assert_eq!(rig.send(Some("a@b.test"), &["x@remote.test"], PLAIN).await.unwrap(), [Err(550)]);
}

/// The same configuration over an empty store.
fn other_folder(config: &MailConfig) -> MailConfig {
    MailConfig { data: config.data.join("other"), ..config.clone() }
}

#[tokio::test]
async fn what_was_answered_250_survives_a_kill() {
    let mut rig = rig().await;
    for number in 0..5 {
        let mail = format!("{PLAIN}{number}\r\n");
        rig.send(Some("taro@a.test"), &["hanako@b.test", "plain@b.test"], &mail).await.unwrap();
    }
    let config = rig.config.clone();
    let Rig { server, seams, .. } = rig;
    drop(server);
    let server = MailServer::start(config.clone(), seams.clone()).await.unwrap();
    rig = Rig { server, ..self::rig().await };
    for user in ["hanako@b.test", "plain@b.test"] {
        let mut client = rig.open(user, "correct horse").await.unwrap();
        assert_eq!(client.stat().await.unwrap().0, 5);
        for number in 0..5 {
            let mail = client.retr(number + 1).await.unwrap();
            assert!(mail.ends_with(format!("plain\r\n{number}\r\n").as_bytes()));
        }
    }
    rig.server.shutdown().await;
}

#[tokio::test]
async fn mailboxes_are_exclusive_and_guessing_is_limited() {
    let rig = rig().await;
    let _first = rig.open("hanako@b.test", "correct horse").await.unwrap();
    let second = rig.open("hanako@b.test", "correct horse").await.unwrap_err();
    assert!(matches!(second, Pop3Error::Refused { code: Some(code), .. } if code == "IN-USE"));
    for user in ["plain@b.test", "nobody@b.test"] {
        assert!(rig.open(user, "wrong password").await.unwrap_err().is_auth(), "{user}");
    }
    for _ in 0..rig.config.limits.login_failures {
        let _ = rig.open("plain@b.test", "wrong password").await;
    }
    let late = rig.open("plain@b.test", "correct horse").await.unwrap_err();
    assert!(matches!(late, Pop3Error::Refused { code: Some(code), .. } if code == "LOGIN-DELAY"));
}

#[tokio::test]
async fn looping_mails_are_refused() {
    let rig = rig().await;
    let mail = format!("{}{PLAIN}", "Received: from a by b; now\r\n".repeat(60));
    assert_eq!(rig.send(Some("a@a.test"), &["hanako@b.test"], &mail).await.unwrap_err(), Some(554));
}

#[tokio::test]
async fn a_full_mailbox_is_refused_for_the_time_being() {
    let rig = rig().await;
    rig.server.accounts().set_quota("plain@b.test", Some(100)).unwrap();
    let to = ["plain@b.test", "hanako@b.test"];
    assert_eq!(rig.send(Some("a@a.test"), &to, PLAIN).await.unwrap(), [Ok(()), Ok(())]);
    assert_eq!(rig.send(Some("a@a.test"), &to, PLAIN).await.unwrap(), [Err(452), Ok(())]);
    rig.server.accounts().set_quota("plain@b.test", None).unwrap();
    assert_eq!(rig.send(Some("a@a.test"), &to, PLAIN).await.unwrap(), [Ok(()), Ok(())]);
}

#[tokio::test]
async fn a_running_server_takes_orders() {
    let rig = rig().await;
    let order = async |order| ask(&rig.config.data, &order).await.unwrap();
    let password = Secret(Password::new(b"another horse".to_vec()));
    let (address, adapters) = ("jiro@b.test".to_owned(), vec![]);
    let add = Order::Add { address: address.clone(), name: "Jiro".to_owned(), password, adapters };
    assert!(matches!(order(add).await, Told::Done(_)));
    rig.open("jiro@b.test", "another horse").await.unwrap().quit().await.unwrap();
    rig.send(None, &["jiro@b.test"], PLAIN).await.unwrap();
    let moved = Order::Move { from: address, to: "j.ito@b.test".to_owned() };
    assert!(matches!(order(moved).await, Told::Done(_)));
    assert_eq!(rig.send(None, &["jiro@b.test"], PLAIN).await.unwrap(), [Err(550)]);
    let mut client = rig.open("j.ito@b.test", "another horse").await.unwrap();
    assert_eq!(client.stat().await.unwrap().0, 1);
    let Told::Accounts(rows) = order(Order::Accounts).await else { panic!("no list") };
    let row = rows.iter().find(|row| row.address == "j.ito@b.test").unwrap();
    assert!(rows.len() == 3 && row.mails == 1 && row.display_name == "Jiro");
    let unknown = order(Order::Retry { ids: vec![4711] }).await;
    assert!(matches!(unknown, Told::Refused(why) if why.contains("4711")));
}

#[tokio::test]
async fn what_is_in_the_queue_is_listed_tried_and_given_up() {
    let mut rig = rig().await;
    // Nobody listens there.
    rig.config.relay_port = 1;
    let Rig { server, config, seams, .. } = &mut rig;
    drop(std::mem::replace(server, MailServer::start(other_folder(config), seams.clone()).await.unwrap()));
    rig.config = other_folder(&rig.config);
    rig.send(None, &["someone@remote.test"], PLAIN).await.unwrap();
    rig.lines.wait_for("RELAY-FAILED").await;
    let order = async |order| ask(&rig.config.data, &order).await.unwrap();
    let queue = async || match order(Order::Queue).await {
        Told::Queue(rows) => rows,
        other => panic!("{other:?}"),
    };
    let row = loop {
        // The attempt is settled a moment after its failure is told.
        let row = queue().await.remove(0);
        if row.attempts > 0 {
            break row;
        }
        tokio::task::yield_now().await;
    };
    assert!(row.to == "remote.test" && row.next > row.queued && !row.last_error.is_empty(), "{row:?}");
    assert!(matches!(order(Order::Retry { ids: vec![] }).await, Told::Done(text) if text.starts_with("1 ")));
    while queue().await.remove(0).attempts < 2 {
        tokio::task::yield_now().await;
    }
    assert!(matches!(order(Order::Drop { ids: vec![row.id] }).await, Told::Done(_)));
    assert_eq!(queue().await, []);
}

/// Sends with wishes for reports (RFC 3461).
async fn send_with(rig: &Rig, from: &str, to: &str, dsn: &Dsn) -> Result<(), SendError> {
    let tls = ClientTls::unproven(&rig.seams.clock).unwrap();
    let at = rig.server.smtp_addr();
    // A server that is asked for TLS is asked what else it knows.
    let mut connection = Connection::open(&TcpNetwork, at, "client.test", &Upgrade::IfOffered(tls)).await.unwrap();
    assert!(connection.knows_dsn() && !connection.is_secured());
    let recipients = [to.to_owned()];
    let mail = PLAIN.as_bytes();
    let outgoing = Outgoing {
        reverse_path: Some(from),
        recipients: &recipients,
        mail,
        all_or_nothing: false,
        utf8: false,
        dsn: Some(dsn),
    };
    connection.transact(outgoing).await.map(drop)
}

fn wishes(to: &str, success: bool, failure: bool, delay: bool) -> Dsn {
    let notify = Some(smtp_server::Notify { success, failure, delay });
    let wishes = RecipientDsn { notify, orcpt: Some("first@elsewhere.test".to_owned()) };
    Dsn { envid: Some("QQ 314".to_owned()), recipients: [(to.to_owned(), wishes)].into(), ..Dsn::default() }
}

async fn only_mail(rig: &Rig, user: &str) -> String {
    let fetched = async {
        loop {
            if let Ok(mut client) = rig.open(user, "correct horse").await {
                if client.stat().await.unwrap().0 == 1 {
                    return String::from_utf8(client.retr(1).await.unwrap()).unwrap();
                }
                client.quit().await.unwrap();
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), fetched).await.unwrap()
}

#[tokio::test]
async fn a_sender_hears_what_it_wants_to_hear() {
    let mut rig = rig().await;
    // Into a mailbox here: delivered. The adapter of the sender gets failures alone.
    send_with(&rig, "hanako@b.test", "plain@b.test", &wishes("plain@b.test", true, true, true)).await.unwrap();
    let report = only_mail(&rig, "hanako@b.test").await;
    for part in ["Action: delivered\r\n", "Status: 2.0.0\r\n", "Original-Envelope-Id: QQ 314\r\n"] {
        assert!(report.contains(part), "{part} in {report}");
    }
    assert!(
        report
            .contains("Original-Recipient: rfc822; first@elsewhere.test\r\nFinal-Recipient: rfc822; plain@b.test\r\n")
    );
    // To a server that reports: it is told what is wanted.
    let wanted = wishes("someone@remote.test", true, false, false);
    send_with(&rig, "plain@b.test", "someone@remote.test", &wanted).await.unwrap();
    assert_eq!(rig.next_mail().await.0.dsn, wanted);
    // And who wants to hear nothing hears nothing.
    send_with(&rig, "plain@b.test", "x@unknown.test", &wishes("x@unknown.test", false, false, false)).await.unwrap();
    rig.lines.wait_for("RELAY-FAILED").await;
    while !rig.server.queue().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    let mut client = rig.open("plain@b.test", "correct horse").await.unwrap();
    assert_eq!(client.stat().await.unwrap().0, 1, "there is more than the first mail");
}

#[tokio::test]
async fn a_sender_is_told_once_that_it_takes_long() {
    let mut rig = rig().await;
    rig.config = other_folder(&rig.config);
    rig.config.relay_port = 1;
    rig.config.delay_warning = Duration::ZERO;
    rig.config.retry_schedule = vec![Duration::from_millis(1)];
    rig.server = MailServer::start(rig.config.clone(), rig.seams.clone()).await.unwrap();
    rig.server.accounts().add("plain@b.test", "", &Password::new(b"correct horse".to_vec()), &[]).unwrap();
    rig.send(Some("plain@b.test"), &["someone@remote.test"], PLAIN).await.unwrap();
    let report = only_mail(&rig, "plain@b.test").await;
    assert!(report.contains("Action: delayed\r\nStatus: 4.4.7\r\n"), "{report}");
    while rig.server.queue().unwrap()[0].attempts < 5 {
        tokio::task::yield_now().await;
    }
    assert_eq!(rig.server.mailbox("plain@b.test").unwrap().len(), 1);
}
