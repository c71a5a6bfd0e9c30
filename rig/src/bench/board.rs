//! What an adapter on a board has whichever board it is, emulated or real: its configuration, the ways between it and the
//! region's servers, and how what is seen of it comes into the log.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sealfax_adapter::config::{ChangeRule, NonceRule, TrustConfig};
use sealfax_adapter::service::{JournalLine, LineKind};
use sealfax_client::seam::Network;
use sealfax_drivers::display::{Frame, Language, Marker};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::site::{POP3, SMTP, SitePlan};
use crate::events::{EventKind, EventLog, Lane};
use crate::instrument::screen::ScreenNumbers;
use crate::twin::screen::Phrasebook;
use crate::virtual_card::ApduObserver;

/// Where a board stands in its networks, and where its files are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// Its address on the servers' side.
    pub(super) network: IpAddr,
    /// Its address on the fax machine's side.
    pub(super) terminal: IpAddr,
    /// The rig as the board sees it on the servers' side.
    pub(super) rig: IpAddr,
    /// The rig's ports there: submission, POP3, certificate and history server.
    pub(super) servers: &'a [u16],
    /// The folder of trust anchors.
    pub(super) folder: &'a str,
    /// The folder of the adapter's memory.
    pub(super) state: &'a str,
}

/// The files that the configuration names: each one's name in the board's folder, and where it is here.
pub(super) fn files(plan: &SitePlan) -> Vec<(&'static str, &Path)> {
    let mut files = vec![("anchors.pem", plan.anchors.as_path()), ("intermediates.pem", plan.intermediates.as_path())];
    files.extend(plan.trust.ocsp_responders.as_deref().map(|responders| ("responders.pem", responders)));
    files
}

/// The same adapter as in process; its devices are the board's affair.
pub(super) fn configuration(plan: &SitePlan, name: &str, place: &Place<'_>) -> Value {
    let at = |address: IpAddr, port: u16| SocketAddr::new(address, port).to_string();
    let server = |number: usize| at(place.rig, place.servers.get(number).copied().unwrap_or_default());
    let file = |name: &str| format!("{}/{name}", place.folder);
    let mut whole = json!({
        "host_name": name,
        "office": plan.title,
        "language": match plan.language { Language::Japanese => "japanese", Language::English => "english" },
        "utc_offset_minutes": 540,
        "data": place.state,
        "terminal": {
            "smtp": at(place.terminal, SMTP),
            "pop3": at(place.terminal, POP3),
            "machine_addresses": [format!("fax@{}.example", plan.letter)],
        },
        "network": {
            "notices": at(place.network, SMTP),
            "notices_from": [place.rig],
            "smtp": server(0),
            "pop3": server(1),
            "directory": server(2),
            "history": server(3),
            "anchors": file("anchors.pem"),
            "intermediates": file("intermediates.pem"),
        },
        "trust": trust(&plan.trust, &file("responders.pem")),
        "correspondents": {
            "send_encrypted_only": plan.correspondents.send_encrypted_only.as_slice(),
            "accept_encrypted_only": plan.correspondents.accept_encrypted_only.as_slice(),
            "send_aes_cbc": plan.correspondents.send_aes_cbc.as_slice(),
            "send_triple_des": plan.correspondents.send_triple_des.as_slice(),
            "send_signed_only": plan.correspondents.send_signed_only.as_slice(),
            "accept_signed_only": plan.correspondents.accept_signed_only.as_slice(),
            "accept_unbound": plan.correspondents.accept_unbound.as_slice(),
        },
        "sending": { "hold_seconds": plan.hold.as_secs() },
        "confirmations": { "batch": plan.batch, "retry_seconds": 1 },
        "service": { "log": "json" },
    });
    if let Some(name) = &plan.mail_tls {
        merge(&mut whole, json!({ "network": { "tls": { "name": name, "anchors": file("anchors.pem") } } }));
    }
    whole
}

/// Puts the tables of `more` into `whole`, key by key.
pub(super) fn merge(whole: &mut Value, more: Value) {
    match (whole, more) {
        (Value::Object(whole), Value::Object(more)) => {
            for (key, value) in more {
                merge(whole.entry(key).or_insert(Value::Null), value);
            }
        }
        (whole, more) => *whole = more,
    }
}

fn trust(trust: &TrustConfig, responders: &str) -> Value {
    let mut value = json!({
        "ocsp_nonce": match trust.ocsp_nonce { NonceRule::Required => "required", NonceRule::Optional => "optional" },
        "ocsp_max_age_seconds": trust.ocsp_max_age_seconds,
        "clock_tolerance_seconds": trust.clock_tolerance_seconds,
        "certificate_change": match trust.certificate_change { ChangeRule::Warn => "warn", ChangeRule::Refuse => "refuse" },
    });
    if trust.ocsp_responders.is_some() {
        merge(&mut value, json!({ "ocsp_responders": responders }));
    }
    value
}

/// The lamp's line changed.
pub(super) fn lamp(log: &EventLog, name: &str, lit: bool) {
    log.write(Lane::Lamp, name, EventKind::Level { lit }, if lit { "lit" } else { "dark" });
}

/// The buzzer's line changed; of which pitch it sounds the line says nothing.
pub(super) fn buzzer(log: &EventLog, name: &str, sounds: bool) {
    let text = if sounds { "sounds" } else { "silent" };
    log.write(Lane::Buzzer, name, EventKind::Tone { hertz: sounds.then_some(0) }, text);
}

/// The card's commands and answers.
pub(super) fn card(log: &EventLog, name: &str) -> ApduObserver {
    let (log, host) = (log.clone(), name.to_owned());
    Arc::new(move |apdu| {
        let kind = EventKind::Apdu { command: apdu.command.clone(), status: apdu.status.unwrap_or(0) };
        log.write(Lane::Card, &host, kind, format!("{} -> {}", apdu.command, apdu.response));
    })
}

/// A board's screen, read by its marker.
pub(super) struct Glass {
    pub(super) log: EventLog,
    pub(super) name: String,
    pub(super) screens: ScreenNumbers,
    pub(super) phrasebook: Arc<Phrasebook>,
    /// Where pictures go.
    pub(super) folder: Option<PathBuf>,
}

impl Glass {
    /// Another marker has come up; `take` takes the picture, if one is wanted.
    pub(super) fn shows(&self, marker: Marker, take: &dyn Fn() -> Option<Frame>) {
        // A picture that shows something else already belongs to the next event.
        let frame = self.folder.as_ref().and_then(|_| take());
        let frame = frame.filter(|frame| sealfax_drivers::display::marker::read(frame) == Some(marker));
        let kept = self.folder.as_ref().zip(frame);
        let png = kept.map(|(folder, frame)| self.screens.keep(folder, &self.name, marker.kind, &frame));
        let words = self.phrasebook.words(marker);
        let line = words.join(" / ");
        let kind = EventKind::Screen { screen: marker.kind, words, png: png.and_then(Result::ok) };
        self.log.write(Lane::Screen, &self.name, kind, line);
    }
}

/// A line of the console: the adapter's journal into the log as it is, what kernel and pcscd say as a note.
pub(super) fn tell(log: &EventLog, name: &str, line: &str) {
    let line = line.trim();
    if line.is_empty() {
        return;
    }
    let Ok(JournalLine { host, kind, ids, code, text, .. }) = serde_json::from_str(line) else {
        return log.write(Lane::Adapter, name, EventKind::Note, format!("console: {line}"));
    };
    let code = known(code.as_deref().or(ids.first().map(String::as_str)).unwrap_or("?"));
    let kind = match kind {
        LineKind::Step => EventKind::Step { ids: ids.iter().map(|id| known(id)).collect() },
        LineKind::Security => EventKind::Security { code },
        LineKind::Failure => EventKind::Failure { code },
        // Glass and line themselves say what these announce.
        LineKind::Screen | LineKind::Lamp => return,
        _ => EventKind::Note,
    };
    log.write(Lane::Adapter, host.as_deref().unwrap_or(name), kind, text);
}

/// Most different codes and identifiers that are kept; there are a few hundred.
const MOST_KNOWN: usize = 4096;

/// The one copy of a code that lives as long as the program, as codes do that are in it.
fn known(code: &str) -> &'static str {
    static KNOWN: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut all = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = all.get(code) {
        return known;
    }
    if all.len() >= MOST_KNOWN {
        return "?";
    }
    let code: &'static str = Box::leak(code.to_owned().into_boxed_str());
    all.insert(code);
    code
}

/// Ways out to all servers of the region; gives their ports in the order of [`Place::servers`].
pub(super) async fn ways_out(
    tasks: &mut JoinSet<()>,
    at: IpAddr,
    network: &Arc<dyn Network>,
    plan: &SitePlan,
) -> std::io::Result<Vec<u16>> {
    let [mail_smtp, mail_pop3] = plan.mail_doors();
    let mut ports = Vec::new();
    for server in [mail_smtp, mail_pop3, plan.directory, plan.history] {
        ports.push(relay(tasks, at, network.clone(), server).await?);
    }
    Ok(ports)
}

/// A way out of the board: what connects to the gateway at the port that is given back is connected to `to` from the
/// adapter's own address in the world, where every octet is recorded and cables can be pulled.
pub(super) async fn relay(
    tasks: &mut JoinSet<()>,
    at: IpAddr,
    network: Arc<dyn Network>,
    to: SocketAddr,
) -> std::io::Result<u16> {
    let listener = TcpListener::bind((at, 0)).await?;
    let port = listener.local_addr()?.port();
    forward(tasks, listener, network, to);
    Ok(port)
}

fn forward(tasks: &mut JoinSet<()>, listener: TcpListener, network: Arc<dyn Network>, to: SocketAddr) {
    tasks.spawn(async move {
        let mut open = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let Ok((inside, _)) = accepted else { return };
                    open.spawn(pass(inside, network.clone(), to));
                }
                Some(_) = open.join_next() => {}
            }
        }
    });
}

async fn pass(mut inside: TcpStream, network: Arc<dyn Network>, to: SocketAddr) {
    let _ = inside.set_nodelay(true);
    // What breaks off outside breaks off inside: with a reset, not with an orderly end.
    let linger = |inside: &TcpStream, seconds| {
        let _ = rustix::net::sockopt::set_socket_linger(inside, seconds);
    };
    linger(&inside, Some(Duration::ZERO));
    let Ok(mut outside) = network.connect(to).await else { return };
    if tokio::io::copy_bidirectional(&mut inside, &mut outside).await.is_ok() {
        linger(&inside, None);
    }
}

/// A way in to the board: what connects to `at`, an address of the region, is connected to the board at `to`.
pub(super) async fn door(tasks: &mut JoinSet<()>, at: SocketAddr, to: SocketAddr) -> std::io::Result<()> {
    let listener = TcpListener::bind(at).await?;
    forward(tasks, listener, Arc::new(sealfax_client::seam::TcpNetwork), to);
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn the_journal_on_the_console_is_the_journal_in_the_log() {
        let log = EventLog::new();
        for line in [
            r#"{"time":"2026-11-22T05:00:00.1Z","host":"adapter-b","kind":"step","ids":["T3","H1"],"text":"ready"}"#,
            r#"{"time":"","host":"adapter-b","kind":"security","code":"PIN-001","transmission":"1f","text":"a wrong PIN"}"#,
            r#"{"time":"","kind":"failure","code":"LAMP-001","text":"no lamp"}"#,
            r#"{"time":"","host":"adapter-b","kind":"screen","text":"idle"}"#,
            "twin: up 4.20",
            "",
        ] {
            tell(&log, "adapter-b", line);
        }
        let events = log.events();
        let kinds: Vec<_> = events.iter().map(|event| event.kind.clone()).collect();
        let step = EventKind::Step { ids: vec!["T3", "H1"] };
        let (security, failure) = (EventKind::Security { code: "PIN-001" }, EventKind::Failure { code: "LAMP-001" });
        assert_eq!(kinds, [step, security, failure, EventKind::Note]);
        assert!(events.iter().all(|event| event.host == "adapter-b" && event.lane == Lane::Adapter));
        assert_eq!(events[3].text, "console: twin: up 4.20");
    }

    #[tokio::test]
    async fn a_way_out_breaks_off_with_what_it_leads_to() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let to = server.local_addr().unwrap();
        let mut relays = JoinSet::new();
        let port = relay(&mut relays, IpAddr::V4(Ipv4Addr::LOCALHOST), Arc::new(sealfax_client::seam::TcpNetwork), to)
            .await
            .unwrap();
        let mut inside = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        let (mut outside, _) = server.accept().await.unwrap();
        outside.write_all(b"220").await.unwrap();
        let mut greeting = [0; 3];
        inside.read_exact(&mut greeting).await.unwrap();
        assert_eq!(&greeting, b"220");
        drop(outside);
        assert_eq!(inside.read(&mut greeting).await.unwrap(), 0);
        drop(server);
        let mut refused = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        assert!(matches!(refused.read(&mut greeting).await, Ok(0) | Err(_)));
    }
}
