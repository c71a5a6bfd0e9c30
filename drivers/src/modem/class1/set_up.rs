//! Gets a modem ready (ITU-T V.250, T.31 clause 8.2): what it is, how it is treated, that it has Class 1, what it can do.

use super::Class1;
use crate::modem::Diagnosis;
use crate::modem::at::{Answer, codes, has_class_1};
use crate::modem::error::EndReason;
use crate::modem::identity::Identity;
use crate::modem::quirks::Quirks;
use crate::modem::t31::rates;

impl Class1 {
    /// Has the modem ready for commands, asked once what it is.
    pub(super) async fn ready(&mut self) -> Result<(), EndReason> {
        if self.astray {
            self.operator.resynchronise().await?;
            self.operator.ask("H0").await?;
            self.astray = false;
        }
        if self.diagnosis.is_none() {
            self.set_up().await?;
        }
        Ok(())
    }

    /// Silent settings do no harm where a modem does not know them; Class 1 it must have.
    async fn set_up(&mut self) -> Result<(), EndReason> {
        let operator = &mut self.operator;
        operator.ask("E0V1Q0").await?;
        let mut identification: Vec<String> = Vec::new();
        for question in ["+FMI?", "+FMM?", "I", "I3"] {
            let (_, texts) = operator.ask(question).await?;
            for text in texts {
                if !identification.contains(&text) {
                    identification.push(text);
                }
            }
        }
        operator.quirks = Quirks::of(&identification.join(" "));
        for setting in operator.quirks.init {
            operator.ask(setting).await?;
        }
        let classes = operator.ask("+FCLASS=?").await?.1.join(" ");
        if !has_class_1(&classes) {
            return Err(EndReason::NoClass1 { classes });
        }
        self.class_1().await?;
        let operator = &mut self.operator;
        let send = codes(&operator.ask("+FTM=?").await?.1.join(","));
        let receive = codes(&operator.ask("+FRM=?").await?.1.join(","));
        if let Some(adaptive) = operator.quirks.adaptive {
            operator.ask(adaptive).await?;
        }
        let mut shows_caller = false;
        for setting in operator.quirks.caller_id {
            if operator.ask(setting).await?.0 == Answer::Ok {
                shows_caller = true;
                break;
            }
        }
        let rates = rates(&send, &receive);
        let treated_as = operator.quirks.name;
        self.diagnosis =
            Some(Diagnosis { identification, classes, has_class_1: true, rates, treated_as, shows_caller });
        Ok(())
    }

    pub(super) async fn class_1(&mut self) -> Result<(), EndReason> {
        match self.operator.ask("+FCLASS=1").await?.0 {
            Answer::Ok => Ok(()),
            other => Err(EndReason::ModemRefuses { command: "AT+FCLASS=1".to_owned(), answer: format!("{other:?}") }),
        }
    }

    /// What we are, cut down to what the modem can do.
    pub(super) fn able(&self, me: &Identity) -> Identity {
        let mut me = me.clone();
        if let Some(diagnosis) = &self.diagnosis
            && !diagnosis.rates.is_empty()
        {
            me.capabilities.rates.retain(|rate| diagnosis.rates.contains(rate));
        }
        me
    }
}
