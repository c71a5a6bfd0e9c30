//! The servers: whether each answers as its kind does, what time it has, and whether what it presents is believed.

use std::net::SocketAddr;
use std::time::Duration;

use sealfax_client::dns::Resolver;
use sealfax_client::http::{self, HttpError, Limits, Server};
use sealfax_client::ldap::{self, LdapError};
use sealfax_client::ocsp::asn1::ResponseStatus;
use sealfax_client::ocsp::{ClockAtFault, OcspError};
use sealfax_client::seam::{Network, Seams};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::super::facts::{
    Distrust, NameAnswer, NameFacts, NamesFacts, Reached, ServerFacts, ServersFacts, StatusFacts,
};
use super::card::{CardCertificate, seconds, slot_name};
use crate::config::Config;
use crate::trust::{StatusServer, fault, read_pem, with_sources};

/// How long a server may take for its first words.
const PATIENCE: Duration = Duration::from_secs(6);
/// The longest first line that is read.
const FIRST_LINE: usize = 512;
/// Nobody has this address (RFC 2606, 2): a directory that says so has been reached.
const NOBODY: &str = "diagnose@sealfax.invalid";

pub(super) async fn names(config: &Config) -> NamesFacts {
    let named = config.network.ocsp.as_ref().filter(|location| location.address().is_none());
    let Some(location) = named else { return NamesFacts::default() };
    let questions = config.network.dns_servers.iter().map(|server| async move {
        let answer = match Resolver::new(vec![*server]) {
            Err(error) => NameAnswer::None(error.to_string()),
            Ok(resolver) => match tokio::time::timeout(PATIENCE, resolver.addresses(&location.host)).await {
                Ok(Ok(addresses)) => NameAnswer::Addresses(addresses.len()),
                Ok(Err(error)) if error.is_not_found() => NameAnswer::NotFound,
                Ok(Err(error)) => NameAnswer::None(error.to_string()),
                Err(_) => NameAnswer::None("no answer in time".to_owned()),
            },
        };
        NameFacts { server: *server, name: location.host.clone(), answer }
    });
    NamesFacts { asked: futures_util::future::join_all(questions).await }
}

pub(super) async fn servers(config: &Config, seams: &Seams, card: &[CardCertificate]) -> ServersFacts {
    let network = &config.network;
    let smtp = greeting(config, seams, "smtp", network.smtp, "220");
    let pop3 = greeting(config, seams, "pop3", network.pop3, "+OK");
    let at = Server::at(network.directory);
    let directory = web(seams, "directory", seams.network.as_ref(), &at);
    let history = history(config, seams);
    let (smtp, pop3, directory, history) = tokio::join!(smtp, pop3, directory, history);
    let ((ocsp, card), ldap) = tokio::join!(ocsp(config, seams, card), directory_of_the_site(config, seams));
    let mut servers = vec![smtp, pop3, directory];
    // A responder at the certificate server's own address that is down is told once.
    let down = |server: &ServerFacts| matches!(server.reached, Reached::No(_));
    let told = |ocsp: &ServerFacts| down(ocsp) && servers.iter().any(|one| one.address == ocsp.address && down(one));
    let ocsp = ocsp.filter(|ocsp| !told(ocsp));
    servers.extend(ocsp);
    servers.extend(ldap);
    servers.push(history);
    ServersFacts { servers, card }
}

/// A server that speaks first: SMTP (RFC 5321, 3.1), POP3 (RFC 1939, 4).
async fn greeting(config: &Config, seams: &Seams, role: &str, at: SocketAddr, well: &str) -> ServerFacts {
    let mut facts = ServerFacts { role: role.to_owned(), address: at.to_string(), ..ServerFacts::default() };
    let tls = config.network.tls.as_ref().map(|tls| tls.client(&seams.clock)).transpose();
    let distrust = |why: String| {
        let of_time = ["Expired", "NotValidYet"].iter().any(|word| why.contains(word));
        Some(Distrust { code: "TLS".to_owned(), why, of_time })
    };
    let tls = match tls {
        Ok(tls) => tls,
        Err(error) => return ServerFacts { distrust: distrust(error.to_string()), ..facts },
    };
    let converse = async {
        let mut stream = seams.network.connect(at).await?;
        if let Some((client, name)) = &tls {
            match client.connect(stream, name).await {
                Ok(secured) => stream = secured,
                Err(error) => return Ok(Err(error.to_string())),
            }
        }
        let mut line = Vec::new();
        let mut octet = [0u8; 1];
        while line.len() < FIRST_LINE && stream.read(&mut octet).await? == 1 && octet != *b"\n" {
            line.extend_from_slice(&octet);
        }
        // Goodbye is a courtesy.
        let _ = stream.write_all(b"QUIT\r\n").await;
        Ok::<_, std::io::Error>(Ok(line))
    };
    match tokio::time::timeout(PATIENCE, converse).await {
        Err(_) => facts.reached = Reached::No("no answer in time".to_owned()),
        Ok(Err(error)) => facts.reached = Reached::No(error.to_string()),
        Ok(Ok(Err(why))) => facts.distrust = distrust(why),
        Ok(Ok(Ok(line))) => {
            facts.said = printable(&line);
            if !facts.said.starts_with(well) {
                facts.reached = Reached::Strange(format!("it says {:?}", facts.said));
            }
        }
    }
    facts
}

/// What came from a stranger, fit to be shown.
fn printable(octets: &[u8]) -> String {
    let text = String::from_utf8_lossy(octets);
    text.trim().chars().map(|c| if c.is_control() { '?' } else { c }).take(100).collect()
}

/// The history server, the way that records go there. Over TLS, who does not prove its name cannot be told from who is not
/// there.
async fn history(config: &Config, seams: &Seams) -> ServerFacts {
    let address = config.network.history.to_string();
    match config.network.to_history(&seams.network, &seams.clock) {
        Ok((network, server)) => web(seams, "history", network.as_ref(), &server).await,
        Err(error) => {
            let distrust = Some(Distrust { code: "TLS".to_owned(), why: error.to_string(), of_time: false });
            ServerFacts { role: "history".to_owned(), address, distrust, ..ServerFacts::default() }
        }
    }
}

async fn web(seams: &Seams, role: &str, network: &dyn Network, server: &Server) -> ServerFacts {
    let mut facts = ServerFacts { role: role.to_owned(), address: server.addr.to_string(), ..ServerFacts::default() };
    let limits = Limits { time: PATIENCE, ..Limits::default() };
    match http::get(network, server, "/", "*/*", limits).await {
        // Whatever it has at that path: it is there, and speaks HTTP.
        Ok(response) => {
            facts.said = format!("HTTP status {}", response.status);
            facts.ahead = response.date.map(|date| seconds(date) - seconds(seams.clock.now()));
        }
        Err(error) => facts.reached = unreached(&error),
    }
    facts
}

fn unreached(error: &HttpError) -> Reached {
    let why = with_sources(error);
    match error {
        HttpError::Unreachable { .. } | HttpError::Timeout { .. } => Reached::No(why),
        _ => Reached::Strange(why),
    }
}

/// Asks for the card's certificates, and without any whether the responder's word would count.
async fn ocsp(config: &Config, seams: &Seams, card: &[CardCertificate]) -> (Option<ServerFacts>, Vec<StatusFacts>) {
    let network = &config.network;
    let Ok(anchors) = read_pem(&network.anchors) else { return (None, Vec::new()) };
    let read =
        |path: &Option<std::path::PathBuf>| path.as_deref().map(read_pem).transpose().map(Option::unwrap_or_default);
    let (Ok(intermediates), Ok(pinned)) = (read(&network.intermediates), read(&config.trust.ocsp_responders)) else {
        return (None, Vec::new());
    };
    let address = network.ocsp.as_ref().map_or_else(|| network.directory.to_string(), |location| location.authority());
    let mut facts = ServerFacts { role: "ocsp".to_owned(), address, ..ServerFacts::default() };
    let server = match StatusServer::new(config, seams, pinned) {
        Ok(server) => server,
        Err(error) => {
            facts.reached = Reached::NoName(error.to_string());
            return (Some(facts), Vec::new());
        }
    };
    let mut states = Vec::new();
    let mut outcome = Err(OcspError::WrongIssuer);
    for CardCertificate { slot, der } in card {
        outcome = server.ask(der, intermediates.iter().chain(&anchors)).await.map(|status| {
            let code = fault::of_status(&status).map(|fault| fault.code().to_owned());
            states.push(StatusFacts { slot: slot_name(*slot), code });
        });
        if outcome.is_err() {
            break;
        }
    }
    // Without a card, or with one of another authority: whoever issues for us is asked of nobody in particular.
    if matches!(outcome, Err(OcspError::WrongIssuer | OcspError::CertificateUnreadable(_))) {
        let issuers = if intermediates.is_empty() { &anchors } else { &intermediates };
        for issuer in issuers {
            outcome = server.probe(issuer).await;
            if !matches!(outcome, Err(OcspError::Refused(_) | OcspError::OtherCertificate)) {
                break;
            }
        }
    }
    match outcome {
        Ok(()) => facts.said = "its answers are believed".to_owned(),
        // RFC 5019, 2.2.3: so a responder that answers from a list says that it has nothing on it.
        Err(OcspError::Refused(ResponseStatus::Unauthorized)) if card.is_empty() => {
            facts.said = "it answers; without a card its word cannot be tried".to_owned();
        }
        Err(error) => distrusted(&mut facts, &error),
    }
    (Some(facts), states)
}

fn distrusted(facts: &mut ServerFacts, error: &OcspError) {
    let why = with_sources(error);
    let distrust = |of_time| Some(Distrust { code: error.code().to_owned(), why: why.clone(), of_time });
    match error {
        OcspError::Http(error) => facts.reached = unreached(error),
        OcspError::Name(_) => facts.reached = Reached::NoName(why),
        OcspError::Refused(_) | OcspError::Malformed(_) | OcspError::UnknownKind(_) => {
            facts.reached = Reached::Strange(why);
        }
        OcspError::ClocksDiffer { by, at_fault } => {
            let by = i64::try_from(by.as_secs()).unwrap_or(i64::MAX);
            // Nothing was seen before: the clock that is behind is the one that is called wrong.
            facts.ahead = Some(if *at_fault == ClockAtFault::Ours { by } else { -by });
            "its answers are believed but for their time".clone_into(&mut facts.said);
        }
        OcspError::ResponderExpired | OcspError::Expired | OcspError::FutureDated => facts.distrust = distrust(true),
        _ => facts.distrust = distrust(false),
    }
}

async fn directory_of_the_site(config: &Config, seams: &Seams) -> Option<ServerFacts> {
    let ldap = config.network.ldap.as_ref()?;
    let mut facts = ServerFacts { role: "ldap".to_owned(), address: ldap.server.to_string(), ..ServerFacts::default() };
    match ldap::certificates(seams, ldap, NOBODY).await {
        Ok(_) => "a search is answered".clone_into(&mut facts.said),
        Err(error) => {
            let why = with_sources(&error);
            match &error {
                LdapError::Unreachable { .. } | LdapError::Timeout { .. } => facts.reached = Reached::No(why),
                // Not valid yet, or not any more, is what a wrong clock looks like.
                LdapError::Tls { .. } => {
                    let of_time = ["xpired", "NotValidYet"].iter().any(|word| why.contains(word));
                    facts.distrust = Some(Distrust { code: error.code().to_owned(), why, of_time });
                }
                _ => facts.reached = Reached::Strange(why),
            }
        }
    }
    Some(facts)
}
