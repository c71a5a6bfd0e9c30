//! What a fax machine on a telephone line was told has arrived, and has not been sent yet. The document itself is in memory
//! alone; what is written down is the notice that the machine prints if it is lost with the power.

use super::{Ledger, LedgerError, REPORTS, TAKEN, failed};

impl Ledger {
    /// From now on, if nothing else is said of it, `notice` is printed after the next start.
    pub fn taken(&self, id: &str, notice: &str) -> Result<(), LedgerError> {
        let write = self.database.begin_write().map_err(failed("written"))?;
        write.open_table(TAKEN).map_err(failed("written"))?.insert(id, notice.as_bytes()).map_err(failed("written"))?;
        write.commit().map_err(failed("written"))
    }

    /// It was sent.
    pub fn settled(&self, id: &str) -> Result<(), LedgerError> {
        self.remove(TAKEN, id)
    }

    /// It was not sent: `notice` says why, and waits for the machine; in one commit.
    pub fn taken_in_vain(&self, id: &str, notice: &str) -> Result<(), LedgerError> {
        let write = self.database.begin_write().map_err(failed("written"))?;
        {
            write.open_table(TAKEN).map_err(failed("written"))?.remove(id).map_err(failed("written"))?;
            let mut reports = write.open_table(REPORTS).map_err(failed("written"))?;
            reports.insert(id, notice.as_bytes()).map_err(failed("written"))?;
        }
        write.commit().map_err(failed("written"))
    }

    /// At a start: what is still unsettled was lost. Its notices become reports, in one commit; how many there are.
    pub fn lost(&self) -> Result<u64, LedgerError> {
        let write = self.database.begin_write().map_err(failed("written"))?;
        let mut count = 0;
        {
            let mut taken = write.open_table(TAKEN).map_err(failed("written"))?;
            let mut reports = write.open_table(REPORTS).map_err(failed("written"))?;
            while let Some((id, notice)) = taken.pop_first().map_err(failed("written"))? {
                reports.insert(id.value(), notice.value()).map_err(failed("written"))?;
                count += 1;
            }
        }
        write.commit().map_err(failed("written"))?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn what_was_lost_with_the_power_is_told_once() {
        let directory = tempfile::tempdir().unwrap();
        {
            let ledger = Ledger::open(directory.path()).unwrap();
            for id in ["1", "2", "3"] {
                ledger.taken(id, "lost").unwrap();
            }
            ledger.settled("1").unwrap();
            ledger.taken_in_vain("2", "no card came").unwrap();
        }
        let ledger = Ledger::open(directory.path()).unwrap();
        assert_eq!(ledger.lost().unwrap(), 1);
        assert_eq!(ledger.lost().unwrap(), 0);
        let reports = ledger.reports().unwrap();
        let told: Vec<_> = reports.iter().map(|(id, notice)| (id.as_str(), notice.as_slice())).collect();
        assert_eq!(told, [("2", &b"no card came"[..]), ("3", b"lost")]);
    }
}
