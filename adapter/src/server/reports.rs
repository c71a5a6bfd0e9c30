//! C10, C11: delivery reports, one page for each confirmation or one for a batch of them.

use std::time::{Duration, SystemTime};

use sealfax_drivers::display::Language;
use sealfax_ifax::address::{Address, Mailbox};
use sealfax_ifax::{Page, report};

use crate::flow::Protection;
use crate::flow::confirming::{Batch, Due, Remark};
use crate::flow::desk::Event;
use crate::ledger::{Delivered, LedgerError};
use crate::office::Office;
use crate::outer;

/// Makes a report when the preset number is there or the first has waited long enough. Good news may be collected; what
/// failed has to be known at once. When the next is due by time alone.
pub(super) fn report_if_due(office: &Office) -> Result<Option<SystemTime>, LedgerError> {
    let confirmations = &office.config.confirmations;
    loop {
        let waiting = office.ledger.unreported()?;
        let batch = Batch {
            waiting: waiting.len(),
            urgent: waiting.iter().any(|(_, delivered)| delivered.failure.is_some()),
            oldest: waiting.iter().filter_map(|(_, delivered)| delivered.taken).min(),
        };
        let limit = Duration::from_secs(confirmations.batch_seconds);
        match batch.due(confirmations.batch, limit, office.seams.clock.now()) {
            Due::Never => return Ok(None),
            Due::At(then) => return Ok(Some(then)),
            Due::Now => {}
        }
        let listed = waiting.get(..report::MAX_DELIVERIES).unwrap_or(&waiting);
        if !report_these(office, listed)? {
            return Ok(None);
        }
    }
}

/// `true`: what is left may be due as well.
fn report_these(office: &Office, listed: &[(String, Delivered)]) -> Result<bool, LedgerError> {
    let ids: Vec<String> = listed.iter().map(|(id, _)| id.clone()).collect();
    match mail(office, listed) {
        Ok(mail) => {
            if !office.ledger.report(&office.ledger_key(), &mail, &ids)? {
                // Somebody else was faster: what is left is looked at anew.
                return Ok(true);
            }
            let text = format!("a delivery report with {} entries waits for the terminal", listed.len());
            office.did(&["C10", "C11"], text);
            let good = listed.iter().filter(|(_, delivered)| delivered.failure.is_none()).count();
            office.tell(Event::Delivered(u32::try_from(good).unwrap_or(u32::MAX)));
            Ok(true)
        }
        Err(why) => {
            office.failed("REPORT-001", why);
            Ok(false)
        }
    }
}

fn mail(office: &Office, listed: &[(String, Delivered)]) -> Result<String, String> {
    let words = |error: &dyn std::fmt::Display| error.to_string();
    let deliveries: Vec<report::Delivery> = listed.iter().map(|(_, delivered)| entry(office, delivered)).collect();
    let language = match office.config.language {
        Language::Japanese => report::Language::Japanese,
        Language::English => report::Language::English,
    };
    let resolution = office.config.confirmations.report_resolution.page();
    let pages = report::delivery_report(&deliveries, language, &office.config.office);
    let pages: Vec<Page> = pages.iter().map(|page| page.at(resolution)).collect();
    let address = Address::parse(&format!("sealfax@{}", office.host())).map_err(|e| words(&e))?;
    let own = Mailbox { name: Some("Sealfax".into()), address };
    let octets = outer::fax_mail(office, own.clone(), vec![own], "Delivery report", &pages)?;
    String::from_utf8(octets).map_err(|e| words(&e))
}

fn entry(office: &Office, delivered: &Delivered) -> report::Delivery {
    let transmission = &delivered.transmission;
    report::Delivery {
        recipient: transmission.recipient.clone(),
        recipient_name: delivered.recipient_name.clone(),
        sent: office.local(transmission.sent),
        delivered: if delivered.failure.is_none() { office.local(delivered.at) } else { String::new() },
        message_id: transmission.message_id.clone(),
        pages: transmission.pages,
        weakness: match transmission.protection {
            Protection::Signed | Protection::Unbound => None,
            Protection::SignedOnly => Some(report::Weakness::Readable),
            Protection::Legacy => Some(report::Weakness::OldCipher),
            Protection::EncryptedOnly => Some(report::Weakness::Unsigned),
        },
        remark: delivered.remark.map(|remark| match remark {
            Remark::Late => report::Remark::Late,
            Remark::AfterAll => report::Remark::AfterAll,
        }),
        outcome: match delivered.failure.clone() {
            None => report::Outcome::Delivered,
            Some(why) if delivered.refused => report::Outcome::Refused(why),
            Some(why) => report::Outcome::Failed(why),
        },
    }
}
