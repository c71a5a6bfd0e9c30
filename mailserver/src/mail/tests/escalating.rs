//! Notices that nobody answers, with two adapters of the recipient and one of a deputy, on a clock that the test sets.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use sealfax_client::seam::Clock;

use super::*;
use crate::store::system_time;

/// Minutes since its beginning.
#[derive(Default)]
struct Minutes(AtomicU64);

impl Clock for Minutes {
    fn now(&self) -> SystemTime {
        system_time(1_700_000_000_000 + self.0.load(Ordering::SeqCst) * 60_000)
    }
}

struct Office {
    server: MailServer,
    config: MailConfig,
    seams: Seams,
    clock: Arc<Minutes>,
    lines: Arc<Lines>,
    /// First, second, and the deputy's.
    adapters: Vec<Mails>,
    _folder: tempfile::TempDir,
    _dns: JoinSet<()>,
    _sinks: Vec<(JoinSet<()>, watch::Sender<bool>)>,
}

async fn office() -> Office {
    let (mut ports, mut adapters, mut sinks) = (Vec::new(), Vec::new(), Vec::new());
    for host in ["first.test", "second.test", "deputy.test"] {
        let (port, mails, sink) = sink().await;
        ports.push((host, port));
        adapters.push(mails);
        sinks.push(sink);
    }
    let (dns, _dns) = dns_of(ports).await;
    let folder = tempfile::tempdir().unwrap();
    let mut config = MailConfig::new("mail.b.test", &["b.test"], folder.path(), vec![dns]);
    config.escalation = Some(Escalation { first_adapter_only: true, ..Escalation::default() });
    let (clock, lines) = (Arc::new(Minutes::default()), Arc::new(Lines::default()));
    let seams = Seams { journal: lines.clone(), clock: clock.clone(), ..Seams::system() };
    let server = MailServer::start(config.clone(), seams.clone()).await.unwrap();
    let accounts = server.accounts().clone().cheap();
    let password = Password::new(b"correct horse".to_vec());
    let both = ["first.test".to_owned(), "second.test".to_owned()];
    accounts.add("hanako@b.test", "佐藤 花子", &password, &both).unwrap();
    accounts.add("jiro@b.test", "Jiro", &password, &["deputy.test".to_owned()]).unwrap();
    let order = Order::Deputy { address: "hanako@b.test".to_owned(), deputy: Some("jiro@b.test".to_owned()) };
    assert!(matches!(ask(&config.data, &order).await.unwrap(), Told::Done(_)));
    Office { server, config, seams, clock, lines, adapters, _folder: folder, _dns, _sinks: sinks }
}

impl Office {
    /// The next notice at an adapter: for whom the envelope says it is, and the notice.
    async fn notice(&mut self, adapter: usize) -> (Vec<String>, String) {
        let next = tokio::time::timeout(Duration::from_secs(20), self.adapters[adapter].recv()).await;
        let (envelope, mail) = next.unwrap().unwrap();
        (envelope.forward_paths, mail)
    }

    /// Until what was sent is settled: the state that is kept.
    async fn settled(&self, escalates: Option<u64>) {
        let late = u64::MAX / 2;
        let store = &self.server.store;
        let at = escalates.map(|minute| 1_700_000_000_000 + minute * 60_000);
        while !store.notices_due(late).unwrap().0.iter().any(|state| state.last_sent.is_some() && state.escalates == at)
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Sets the clock, and has the server look at it.
    fn at(&self, minute: u64) {
        self.clock.0.store(minute, Ordering::SeqCst);
        self.server.core.wake.notify_one();
    }

    async fn send(&self) {
        let to = ["hanako@b.test".to_owned()];
        let at = self.server.smtp_addr();
        let sent = sealfax_client::smtp::send(&TcpNetwork, at, "c.test", None, &to, SEALED.as_bytes()).await.unwrap();
        assert!(sent.iter().all(|result| result.outcome.is_ok()));
    }
}

#[tokio::test]
async fn a_notice_that_nobody_answers_goes_to_all_adapters_and_the_deputys() {
    let mut office = office().await;
    office.send().await;
    let (_, usual) = office.notice(0).await;
    assert!(!usual.contains("escalated"));
    office.settled(Some(30)).await;
    // The time survives a restart.
    let Office { server, config, seams, .. } = office;
    server.shutdown().await;
    let server = MailServer::start(config.clone(), seams.clone()).await.unwrap();
    office = Office { server, config, seams, ..office };
    office.at(29);
    assert!(!office.notice(0).await.1.contains("escalated"), "a usual notice");
    office.settled(Some(30)).await;
    assert!(office.adapters[1].try_recv().is_err() && office.adapters[2].try_recv().is_err(), "before its time");
    office.at(30);
    for adapter in 0..3 {
        let (paths, notice) = office.notice(adapter).await;
        // What the adapter wants of a notice: the field, no trace of others, and `To` in the envelope.
        assert_eq!(paths, ["hanako@b.test"]);
        assert!(notice.contains("\r\nSealfax-Notice: arrival; count=1; ") && notice.contains("; escalated\r\n"));
        assert!(notice.contains("<hanako@b.test>\r\n") && !notice.contains("jiro") && !notice.contains("Received:"));
    }
    office.settled(Some(150)).await;
    let told: Vec<String> = {
        let lines = office.lines.0.lock().unwrap();
        let told = lines.iter().filter(|line| line.ids.contains(&"ST811") && line.text.starts_with("NOTICE-ESCALATED"));
        told.map(|line| line.text.clone()).collect()
    };
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[2].contains("deputy.test") && told[2].contains("jiro@b.test"), "{told:?}");
    // And again.
    office.at(150);
    for adapter in 0..3 {
        assert!(office.notice(adapter).await.1.contains("; escalated\r\n"));
    }
    office.settled(Some(270)).await;
    // Fetched, and left in the mailbox: the usual notices go on, and nothing escalates.
    let mut client = Client::connect(&TcpNetwork, office.server.pop3_addr()).await.unwrap();
    client.login("hanako@b.test", &Password::new(b"correct horse".to_vec())).await.unwrap();
    client.retr(1).await.unwrap();
    client.quit().await.unwrap();
    office.at(270);
    assert!(!office.notice(0).await.1.contains("escalated"));
    office.settled(None).await;
    assert!(office.adapters[1].try_recv().is_err() && office.adapters[2].try_recv().is_err(), "after the answer");
    // A mail that comes after that has a time of its own.
    office.send().await;
    office.at(275);
    office.notice(0).await;
    office.settled(Some(305)).await;
    office.at(305);
    for adapter in 0..3 {
        assert!(office.notice(adapter).await.1.contains("; escalated\r\n"));
    }
}

#[tokio::test]
async fn where_the_first_adapter_takes_no_notice_the_next_gets_it_at_once() {
    let mut office = office().await;
    let adapters = ["nowhere.test".to_owned(), "second.test".to_owned()];
    office.server.accounts().set_adapters("hanako@b.test", &adapters).unwrap();
    office.send().await;
    assert!(!office.notice(1).await.1.contains("escalated"));
    // A host that is not there is not waited for when it escalates.
    office.settled(Some(30)).await;
    office.at(30);
    for adapter in 1..3 {
        assert!(office.notice(adapter).await.1.contains("; escalated\r\n"));
    }
    office.settled(Some(150)).await;
    office.lines.wait_for("NOTICE-UNSENT").await;
}
