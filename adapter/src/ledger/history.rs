//! What is believed of the history server: its key, and the last head of its log.

use sealfax_client::history::{Checkpoint, LogKey};

use super::*;

const KEY: &str = "key";
const SEEN: &str = "seen";

/// A head of the log, and under which key it was believed.
#[derive(Serialize, Deserialize)]
struct Believed {
    key: String,
    head: Checkpoint,
}

impl Ledger {
    /// The key that the server told when it was asked first.
    pub fn pinned_history_key(&self) -> Result<Option<String>, LedgerError> {
        self.get(HISTORY, KEY)
    }

    /// From now on the history has this key.
    pub fn pin_history_key(&self, key: &LogKey) -> Result<(), LedgerError> {
        self.put(HISTORY, KEY, &key.to_string())
    }

    /// The last head of the log that was believed under this key: what another history showed is no measure of it.
    pub fn history_seen(&self, key: &LogKey) -> Result<Option<Checkpoint>, LedgerError> {
        let believed = self.get::<Believed>(HISTORY, SEEN)?;
        Ok(believed.filter(|believed| believed.key == key.to_string()).map(|believed| believed.head))
    }

    /// This head is believed, and the record of it is no longer owed, in one commit.
    pub fn registered(&self, id: &str, key: &LogKey, head: Checkpoint) -> Result<(), LedgerError> {
        let believed = serde_json::to_vec(&Believed { key: key.to_string(), head }).map_err(failed("written"))?;
        self.change(|write| {
            write
                .open_table(HISTORY)
                .map_err(failed("written"))?
                .insert(SEEN, believed.as_slice())
                .map_err(failed("written"))?;
            write.open_table(OUTBOX).map_err(failed("written"))?.remove(id).map_err(failed("written"))?;
            Ok(())
        })
    }
}
