//! Disposition notifications and bounces.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealfax_ifax::{dsn, mdn};

fuzz_target!(|entity: &[u8]| {
    if let Ok(notification) = mdn::parse(entity)
        && let Ok(written) = mdn::compose(&notification)
    {
        // What can be written says the same when it is read again.
        let read = mdn::parse(&written).map(|read| (read.final_recipient, read.original_message_id, read.disposition));
        assert_eq!(
            read.ok(),
            Some((notification.final_recipient, notification.original_message_id, notification.disposition))
        );
    }
    let _ = dsn::parse(entity);
});
