//! Mail in (ST801-ST810): who may send what to whom, and where each accepted mail goes.

use std::sync::Arc;

use async_trait::async_trait;
use sealfax_client::sasl;
use sealfax_client::seam::TransmissionId;
use sealfax_client::smtp_server::{Envelope, Peer, Receiver, Reply, ReversePath};

use super::credentials::Unknown;
use super::{Core, outbound};
use crate::accounts::{Account, Accounts, domain_of, normalise};
use crate::bounce::Outcome;
use crate::header;
use crate::kind::{Judgement, Kind, judge};
use crate::store::{Delivery, NewItem, Route, millis, millis_of};

pub(super) struct MailReceiver {
    core: Arc<Core>,
}

impl MailReceiver {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// `Received` (RFC 5321, 4.4). The client's own words in it are what it said in EHLO, which has a strict grammar.
    fn received(&self, peer: &Peer, envelope: &Envelope, id: &str) -> String {
        received_field(
            peer,
            envelope.utf8,
            self.core.host(),
            id,
            match envelope.forward_paths.as_slice() {
                [only] => Some(only.as_str()),
                // Several would tell each who else got it.
                _ => None,
            },
            &header::date(self.core.seams.clock.now()),
        )
    }
}

fn received_field(peer: &Peer, utf8: bool, host: &str, id: &str, only: Option<&str>, date: &str) -> String {
    // RFC 3848.
    let protocol = match (peer.extended, peer.secured, peer.identity.is_some(), utf8) {
        (false, ..) => "SMTP",
        (true, false, _, false) => "ESMTP",
        (true, true, false, false) => "ESMTPS",
        (true, true, true, false) => "ESMTPSA",
        // RFC 6531, 4.3.
        (true, false, _, true) => "UTF8SMTP",
        (true, true, false, true) => "UTF8SMTPS",
        (true, true, true, true) => "UTF8SMTPSA",
    };
    let hello = if peer.hello.is_empty() { "unknown" } else { &peer.hello };
    let address = peer.address.ip();
    let literal = if address.is_ipv6() { format!("IPv6:{address}") } else { address.to_string() };
    let whom = only.map(|only| format!("\r\n\tfor <{only}>")).unwrap_or_default();
    format!("Received: from {hello} ([{literal}])\r\n\tby {host} with {protocol} id {id}{whom};\r\n\t{date}\r\n")
}

/// Who may send to whom, given who they are; an `Err` is the reply.
fn may_send_as(peer: &Peer, reverse_path: &ReversePath, accounts: &Accounts) -> Result<(), Reply> {
    let owner = |address: &str| accounts.find(address).map(|account| account.address);
    match (&peer.identity, reverse_path.address()) {
        (Some(identity), Some(sender)) if owner(sender).as_ref() != Some(identity) => {
            Err(Reply::new(553, "5.7.1", "Not your address; send from the one that you have logged in as"))
        }
        _ => Ok(()),
    }
}

#[async_trait]
impl Receiver for MailReceiver {
    fn authenticates(&self) -> bool {
        true
    }

    async fn authenticate(&self, session: &Peer, credentials: sasl::Credentials) -> Result<String, Reply> {
        let core = &self.core;
        let known = match &credentials {
            sasl::Credentials::Password { user, password } => {
                let (from, now) = (session.address.ip(), core.seams.clock.now());
                core.credentials.by_password(user, password, from, now).await
            }
            sasl::Credentials::Certificate { user } => {
                let shown = session.certificate.as_deref().unwrap_or_default();
                core.credentials.by_certificate(shown, user.as_deref())
            }
        };
        match known {
            Ok(account) => {
                core.contacts.logged_in(&account.address, session.address.ip(), core.seams.clock.now());
                core.seams.journal.note(core.host(), format!("{} is {}", session.address, account.address));
                Ok(account.address)
            }
            Err(Unknown::Wrong) => {
                tokio::time::sleep(core.config().limits.login_failure_delay).await;
                Err(Reply::new(535, "5.7.8", "Wrong login or password"))
            }
            Err(Unknown::TooMany) => Err(Reply::new(454, "4.7.0", "Too many attempts, try again in ten minutes")),
            Err(Unknown::Trouble) => Err(Reply::new(454, "4.7.0", "Could not be checked now, try again later")),
        }
    }

    async fn mail_from(&self, session: &Peer, reverse_path: &ReversePath) -> Result<(), Reply> {
        self.core.step(&["ST801"], format!("connection from {}, mail from {reverse_path}", session.address));
        may_send_as(session, reverse_path, &self.core.accounts)
    }

    async fn rcpt_to(&self, session: &Peer, _: &Envelope, forward_path: &str) -> Result<(), Reply> {
        let core = &self.core;
        if core.is_ours(&domain_of(forward_path)) {
            if let Some(account) = core.accounts.find(forward_path) {
                return self.has_room(account).await;
            }
            core.step(&["ST803", "ST804", "M2"], format!("{forward_path} is not known here: refused"));
            return Err(Reply::new(550, "5.1.1", "No such mailbox here"));
        }
        // Whoever is known may send on: by address, by password, or by a certificate of the anchors for clients.
        let known = session.identity.is_some() || session.certificate.is_some();
        if known || core.config().may_relay(session.address.ip()) {
            return Ok(());
        }
        core.step(&["ST803", "ST804"], format!("{} may not relay to {forward_path}: refused", session.address));
        Err(Reply::new(550, "5.7.1", "Relaying denied"))
    }

    async fn message(&self, session: &Peer, envelope: Envelope, data: Vec<u8>) -> Reply {
        let id = TransmissionId::draw_long(self.core.seams.entropy.as_ref());
        id.clone().follow(self.take(&id, session, envelope, data)).await
    }
}

impl MailReceiver {
    async fn take(&self, id: &TransmissionId, session: &Peer, envelope: Envelope, data: Vec<u8>) -> Reply {
        let core = &self.core;
        core.step(&["ST802"], format!("{id}: {} octets from {}", data.len(), session.address));
        if header::hops(&data) > core.config().limits.hops {
            core.step(&["ST803", "ST804"], format!("{id}: the mail is looping: refused"));
            return Reply::new(554, "5.4.6", "Too many hops, the mail is looping");
        }
        core.step(&["ST803"], format!("{id}: received without error"));
        let judgement = judge(&data, core.config().literal_sign_rule);
        if let Some(security) = judgement.security {
            let from = format!("{id} from {} ({})", session.address, envelope.reverse_path);
            core.seams.journal.security(core.host(), "MAIL-KIND", format!("{from}: {security}"));
        }
        let delivery = self.delivery(session, &envelope, data, &judgement, id.as_str());
        let stored = delivery.mailboxes.clone();
        let delivered = self.delivered(&envelope, &delivery);
        let (octets, began) = (delivery.mail.len(), tokio::time::Instant::now());
        let sealed = delivery.sealed;
        if sealed {
            self.expect_notices(&stored);
        }
        match core.deliver(delivery).await {
            Ok(()) => {
                core.metrics.taken(octets, began.elapsed());
                if let Some(delivered) = delivered
                    && let Err(error) = core.deliver(delivered).await
                {
                    // The mail is where it should be, and this client's copy may go.
                    core.seams.journal.failure(core.host(), "STORE-REPORT", format!("{id}: {error}"));
                }
                for account in &stored {
                    core.step(&["ST809", "M1", "C13"], format!("{id}: in the mailbox of {account}"));
                    let ids: &[&'static str] = if sealed { &["ST810", "M3", "C14"] } else { &["ST810", "M3"] };
                    let whether = if sealed { "sealed: to be notified" } else { "not sealed: no notice" };
                    core.step(ids, format!("{id}: {whether} ({})", judgement.reason));
                }
                core.wake.notify_one();
                Reply::new(250, "2.0.0", format!("Accepted as {id}"))
            }
            Err(error) => {
                core.metrics.refused.inc();
                core.seams.journal.failure(core.host(), "STORE-DELIVER", format!("{id}: {error}"));
                core.step(&["ST803", "ST804"], format!("{id}: could not be kept: refused for now"));
                Reply::new(452, "4.3.1", "Insufficient system storage, try again later")
            }
        }
    }

    /// Whether the mailbox may get one more.
    async fn has_room(&self, account: Account) -> Result<(), Reply> {
        let core = &self.core;
        let quota = account.quota.unwrap_or(core.config().limits.mailbox_octets);
        if quota == 0 {
            return Ok(());
        }
        let name = account.address.clone();
        match core.with_store(move |store| store.usage(&name)).await {
            Ok(usage) if usage.octets < quota => Ok(()),
            Ok(_) => {
                core.step(&["ST803", "ST804"], format!("the mailbox of {} is full: refused for now", account.address));
                Err(Reply::new(452, "4.2.2", "Mailbox full"))
            }
            Err(error) => {
                core.seams.journal.failure(core.host(), "STORE-USAGE", format!("{}: {error}", account.address));
                Err(Reply::new(451, "4.3.0", "Could not be checked now, try again later"))
            }
        }
    }

    /// Has the way to these accounts' adapters opened while their mail is written.
    fn expect_notices(&self, accounts: &[String]) {
        let now = millis(self.core.seams.clock.now());
        for account in accounts.iter().filter(|account| account.is_ascii() && self.core.ahead.expects(account, now)) {
            if let Some(account) = self.core.accounts.find(account) {
                // Where too many are expected already, notices go without.
                let _ = self.core.expected.try_send(account);
            }
        }
    }

    /// The report of a delivery to those recipients here of whom the sender wants to hear (RFC 3461, 5.2.6).
    fn delivered(&self, envelope: &Envelope, delivery: &Delivery) -> Option<Delivery> {
        let core = &self.core;
        let sender = envelope.reverse_path.address()?;
        let wanted = |path: &&String| core.is_ours(&domain_of(path)) && envelope.dsn.wants_success(path);
        let here = envelope.forward_paths.iter().filter(wanted);
        let recipients: Vec<(String, String)> =
            here.map(|path| (path.clone(), "250 2.1.5 in the mailbox".into())).collect();
        if recipients.is_empty() {
            return None;
        }
        let (now, dsn) = (delivery.now, &envelope.dsn);
        outbound::origin_report(core, Outcome::Delivered, sender, dsn, &recipients, &delivery.mail, (now, now))
    }

    fn delivery(&self, peer: &Peer, envelope: &Envelope, data: Vec<u8>, judgement: &Judgement, id: &str) -> Delivery {
        let core = &self.core;
        let now = millis(core.seams.clock.now());
        let expires = now.saturating_add(millis_of(core.config().queue_expiry));
        let mut mailboxes: Vec<String> = Vec::new();
        let mut queue: Vec<NewItem> = Vec::new();
        for recipient in &envelope.forward_paths {
            let domain = domain_of(recipient);
            if !core.is_ours(&domain) {
                core.step(&["ST805"], format!("{id}: {domain} is not ours: to be relayed"));
                let known = queue.iter_mut().find(|item| item.route == Route::Domain(domain.clone()));
                match known {
                    Some(item) => item.recipients.push(recipient.clone()),
                    None => queue.push(NewItem {
                        route: Route::Domain(domain),
                        recipients: vec![recipient.clone()],
                        expires,
                    }),
                }
                continue;
            }
            core.step(&["ST805"], format!("{id}: {domain} is ours"));
            core.step(
                &["ST807"],
                format!("{id}: {:?} by rule {}: {}", judgement.kind, judgement.rule, judgement.reason),
            );
            let confirmation = judgement.kind == Kind::Confirmation;
            let whether = if confirmation { "a delivery confirmation" } else { "no delivery confirmation" };
            core.step(&["ST808"], format!("{id}: {whether}"));
            // A mailbox has one name, whichever of its addresses was used.
            let account = core.accounts.find(recipient);
            let name = account.as_ref().map_or_else(|| normalise(recipient), |account| account.address.clone());
            let adapters = account.map(|account| account.adapters).unwrap_or_default();
            // A bounce that came over the network is anybody's word: it waits in the mailbox. Only those that this server
            // makes itself, of mails it could not deliver, go to the adapter and end a transmission there.
            if confirmation && !adapters.is_empty() {
                queue.push(NewItem { route: Route::Adapters(adapters), recipients: vec![name], expires });
            } else if !mailboxes.contains(&name) {
                mailboxes.push(name);
            }
        }
        Delivery {
            head: self.received(peer, envelope, id).into_bytes(),
            mail: data,
            reverse_path: envelope.reverse_path.address().map(str::to_owned),
            mailboxes,
            sealed: judgement.kind == Kind::Sealed,
            queue,
            dsn: envelope.dsn.clone(),
            utf8: envelope.utf8,
            now,
            notice_expires: now.saturating_add(millis_of(core.config().notice_expiry)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn the_received_field() {
        let hello = "adapter.test".to_owned();
        let peer = Peer { hello, extended: true, ..Peer::new(([127, 0, 0, 9], 4711).into()) };
        let one =
            received_field(&peer, false, "mail.test", "0123", Some("a@b.test"), "Thu, 01 Jan 1970 00:00:00 +0000");
        insta::assert_snapshot!(one.replace("\r\n", "\n"));
        for (secured, identity, with) in [(true, None, "ESMTPS id"), (true, Some("a@b".to_owned()), "ESMTPSA id")] {
            let peer = Peer { secured, identity, ..peer.clone() };
            assert!(received_field(&peer, false, "mail.test", "0", None, "").contains(with), "{with}");
            let with = with.replacen("ESMTP", "UTF8SMTP", 1);
            assert!(received_field(&peer, true, "mail.test", "0", None, "").contains(&with), "{with}");
        }
    }

    #[test]
    fn nobody_sends_in_another_name() {
        let peer = |identity: Option<&str>| Peer {
            identity: identity.map(str::to_owned),
            ..Peer::new(([127, 0, 0, 9], 4711).into())
        };
        let folder = tempfile::tempdir().unwrap();
        let entropy = sealfax_client::seam::Seams::system().entropy;
        let store = Arc::new(crate::store::EmbeddedStore::open(folder.path(), &entropy).unwrap());
        let accounts = Accounts::open(store, entropy).unwrap().cheap();
        let password = sealfax_client::pop3_server::Password::new(b"correct horse".to_vec());
        accounts.add("a@b.test", "", &password, &[]).unwrap();
        accounts.set_aliases("a@b.test", &["sales@b.test".to_owned()]).unwrap();
        let may = |identity, sender| may_send_as(&peer(identity), &ReversePath::new(sender), &accounts);
        for own in ["a@B.test", "sales@b.test", ""] {
            assert!(may(Some("a@b.test"), own).is_ok(), "{own}");
        }
        assert!(may(Some("c@b.test"), "a@b.test").is_err_and(|reply| reply.code == 553));
        assert!(may(Some("a@b.test"), "x@elsewhere.test").is_err());
        assert!(may(None, "a@b.test").is_ok());
    }
}
