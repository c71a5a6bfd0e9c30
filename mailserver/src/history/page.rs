//! The history as a page for people: plain HTML, Japanese and English, every value escaped.

use std::fmt::Write as _;

use sealfax_client::history::{Entry, Outcome, time_text};

/// The page that lists `entries`, newest first.
pub(super) fn page(entries: &[Entry]) -> String {
    let mut html = String::from(
        "<!DOCTYPE html>\n<html lang=\"ja\"><head><meta charset=\"utf-8\"><title>送信履歴 / Transmissions</title>\n\
         <style>body{font-family:sans-serif;margin:2em}table{border-collapse:collapse}\
         th,td{border:1px solid #999;padding:.3em .6em;text-align:left}</style></head>\n\
         <body><h1>送信履歴 / Transmissions</h1>\n<table><thead><tr><th>#</th><th>差出人 / From</th>\
         <th>宛先 / To</th><th>送信 / Sent</th><th>配達 / Delivered</th><th>結果 / Outcome</th>\
         <th>Message-ID</th></tr></thead><tbody>\n",
    );
    for entry in entries.iter().rev() {
        let transmission = &entry.transmission;
        // Writing into a String cannot fail.
        let _ = writeln!(
            html,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            entry.index,
            escape(&transmission.sender),
            escape(&transmission.recipient),
            time_text(transmission.sent),
            time_text(transmission.delivered),
            outcome(transmission.outcome),
            escape(&transmission.message_id),
        );
    }
    html.push_str("</tbody></table></body></html>\n");
    html
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Delivered => "配達済み / delivered",
        Outcome::Failed => "不達 / failed",
        Outcome::Refused => "受取拒否 / refused",
    }
}

fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}
