//! The one page: how accounts, adapters, queue and notices stand.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::{Query as Parameters, State as Given};
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};

use super::Desk;
use crate::mail::{AccountRow, MailConfig, QueueRow};
use crate::pages::{Language, Visit, Zone, field, query_text, see_other};
use crate::store::{NoticeState, StoreError, system_time};

/// Rows of one table.
const ROWS: usize = 200;

/// The query of the page.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    /// Only accounts and adapters whose name holds this.
    find: String,
}

/// What is shown.
struct Standing {
    accounts: Vec<AccountRow>,
    all_accounts: usize,
    queue: Vec<QueueRow>,
    all_queued: usize,
    notices: Vec<NoticeState>,
    all_notices: usize,
}

pub(super) async fn show(
    Given(desk): Given<Arc<Desk>>,
    visit: Visit,
    Parameters(wanted): Parameters<Wanted>,
) -> Response {
    let Some(who) = desk.administrator(&visit) else {
        let next = query_text(&[("next", if visit.here == "/" { "" } else { &visit.here })]);
        return see_other(format!("/sign-in?{next}").trim_end_matches('?'));
    };
    let language = visit.language;
    let find = wanted.find.trim().to_owned();
    let asked = desk.clone();
    let standing = tokio::task::spawn_blocking(move || asked.standing(&find)).await;
    let standing = match standing {
        Ok(Ok(standing)) => standing,
        failed => {
            let why = failed.map_or_else(
                |error| error.to_string(),
                |inner| inner.err().map_or_else(String::new, |error| error.to_string()),
            );
            desk.core.seams.journal.failure(desk.core.host(), "STORE-PAGE", why);
            return desk.told(
                &visit,
                StatusCode::SERVICE_UNAVAILABLE,
                language.say("ストアを読めません", "The store does not answer"),
                language.say("しばらくしてからもう一度お試しください。", "Please try again later."),
            );
        }
    };
    desk.core.seams.journal.note(desk.core.host(), format!("{who} looked at the administrator's page"));
    let title = language.say("メールサーバーの状態", "How the mail server stands");
    desk.dressed(&visit, title, Some(&who), |token| desk.overview(&visit, &wanted, &standing, token))
}

impl Desk {
    /// Off the network's threads. Whose name holds `find`, and of all of them no more than can be read.
    fn standing(&self, find: &str) -> Result<Standing, StoreError> {
        let store = &self.administration.store;
        let mut accounts = self.administration.accounts.list();
        let all_accounts = accounts.len();
        let named = |text: &String| text.contains(find);
        accounts.retain(|account| {
            named(&account.address) || named(&account.display_name) || account.adapters.iter().any(named)
        });
        accounts.truncate(ROWS);
        let row = |account| self.administration.row(account);
        let accounts = accounts.into_iter().map(row).collect::<Result<Vec<AccountRow>, StoreError>>()?;
        let (queue, notices) = (store.queue()?, store.notices()?);
        let (all_queued, all_notices) = (queue.len(), notices.len());
        Ok(Standing {
            accounts,
            all_accounts,
            queue: queue.into_iter().take(ROWS).map(QueueRow::from).collect(),
            all_queued,
            notices: notices.into_iter().take(ROWS).collect(),
            all_notices,
        })
    }

    fn overview(&self, visit: &Visit, wanted: &Wanted, standing: &Standing, token: &str) -> Markup {
        let language = visit.language;
        let config = self.core.config();
        let look = Look { language, zone: config.utc_offset, token };
        html! {
            p.acts { a href=(visit.here) { (language.say("更新", "Refresh")) } }
            p.hint {
                (language.say("最後の連絡は、サーバー起動時からのものです: ", "Contacts are those since the server was started: "))
                (look.zone.moment(self.core.contacts.since))
            }
            section {
                h2 { (language.say("配送待ち", "Queue")) " (" (standing.all_queued) ")" }
                (look.queue(&standing.queue))
            }
            section {
                h2 { (language.say("未受信の通知", "Notices outstanding")) " (" (standing.all_notices) ")" }
                (look.notices(&standing.notices))
            }
            section {
                h2 { (language.say("アダプター", "Adapters")) }
                (look.adapters(self, &standing.accounts))
            }
            section {
                h2 { (language.say("アカウント", "Accounts")) " (" (standing.all_accounts) ")" }
                search {
                    form.search method="get" action="/" {
                        (field("find", "text", &wanted.find, language.say("アドレス、氏名、アダプター", "Address, name or adapter"), None, None))
                        div.acts { button { (language.say("絞り込む", "Find")) } }
                    }
                }
                (look.accounts(self, &config, &standing.accounts))
            }
        }
    }
}

/// How tables are drawn.
struct Look<'a> {
    language: Language,
    zone: Zone,
    token: &'a str,
}

impl Look<'_> {
    fn say(&self, japanese: &'static str, english: &'static str) -> &'static str {
        self.language.say(japanese, english)
    }

    fn at(&self, milliseconds: u64) -> Markup {
        self.zone.moment(system_time(milliseconds))
    }

    /// A time that there may be none of.
    fn when(&self, time: Option<SystemTime>) -> Markup {
        html! { @match time { Some(time) => (self.zone.moment(time)), None => (self.say("なし", "never")) } }
    }

    /// A table; the first cell of each row is its head.
    fn table(&self, caption: &str, heads: &[&str], rows: &[Vec<Markup>]) -> Markup {
        if rows.is_empty() {
            return html! { p { (self.say("ありません。", "None.")) } };
        }
        html! {
            table role="table" {
                caption { (caption) }
                thead role="rowgroup" { tr role="row" { @for head in heads { th scope="col" role="columnheader" { (head) } } } }
                tbody role="rowgroup" {
                    @for row in rows {
                        tr role="row" {
                            @for (at, (cell, head)) in row.iter().zip(heads).enumerate() {
                                @if at == 0 { th scope="row" role="rowheader" { (cell) } }
                                @else { td role="cell" data-label=(head) { (cell) } }
                            }
                        }
                    }
                }
            }
        }
    }

    fn queue(&self, rows: &[QueueRow]) -> Markup {
        let heads = [
            self.say("番号", "Number"),
            self.say("宛先", "To"),
            self.say("受信者", "Recipients"),
            self.say("試行", "Attempts"),
            self.say("次の試行", "Next try"),
            self.say("最後のエラー", "What failed last"),
            self.say("操作", "Act"),
        ];
        let cells = rows.iter().map(|row| {
            let recipients = row.recipients.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
            let more = row.recipients.len().saturating_sub(5);
            vec![
                html! { (row.id) },
                html! { bdi { (row.to) } },
                html! { bdi { (recipients) } @if more > 0 { " +" (more) } },
                html! { (row.attempts) },
                self.at(row.next),
                html! { bdi { (row.last_error) } },
                html! {
                    form method="post" action="/retry" {
                        input type="hidden" name="token" value=(self.token);
                        input type="hidden" name="id" value=(row.id);
                        button { (self.say("今すぐ再試行", "Retry now")) span.unseen { " " (row.id) } }
                    }
                },
            ]
        });
        let cells: Vec<Vec<Markup>> = cells.collect();
        html! {
            (self.table(self.say("到着順、200 件まで", "In order of arrival, at most 200"), &heads, &cells))
            @if !rows.is_empty() {
                form method="post" action="/retry" {
                    input type="hidden" name="token" value=(self.token);
                    button { (self.say("すべて今すぐ再試行", "Retry all now")) }
                }
            }
        }
    }

    fn notices(&self, rows: &[NoticeState]) -> Markup {
        let heads = [
            self.say("宛先", "For"),
            self.say("最後に届いた通知", "Last taken"),
            self.say("失敗", "Failures since"),
            self.say("次の通知", "Next one"),
            self.say("期限", "Given up"),
        ];
        let cells = rows.iter().map(|row| {
            vec![
                html! { bdi { (row.account) } },
                self.when(row.last_sent.map(system_time)),
                html! { (row.attempts) },
                self.at(row.next),
                self.at(row.expires),
            ]
        });
        self.table(self.say("200 件まで", "At most 200"), &heads, &cells.collect::<Vec<_>>())
    }

    fn adapters(&self, desk: &Desk, accounts: &[AccountRow]) -> Markup {
        let heads = [
            self.say("アダプター", "Adapter"),
            self.say("利用者数", "People"),
            self.say("最後に受け取った通知・確認", "Last took a notice or confirmation"),
            self.say("それ以後の失敗", "Failure since"),
            self.say("利用者の最後のログイン", "Last log-in of its people"),
        ];
        let mut people: BTreeMap<&str, Vec<&AccountRow>> = BTreeMap::new();
        for account in accounts {
            for adapter in &account.adapters {
                people.entry(adapter).or_default().push(account);
            }
        }
        let contacts = &desk.core.contacts;
        let cells = people.iter().take(ROWS).map(|(host, people)| {
            let known = contacts.adapter(host);
            let last = people.iter().filter_map(|account| contacts.log_in(&account.address)).max();
            vec![
                html! { bdi { (host) } },
                html! { (people.len()) },
                self.when(known.took),
                html! {
                    @match &known.failed {
                        Some((at, why)) => { strong { span aria-hidden="true" { "⚠ " } (self.zone.moment(*at)) } br; bdi { (why) } },
                        None => (self.say("なし", "none")),
                    }
                },
                html! { (self.when(last.map(|(at, _)| at))) @if let Some((_, from)) = last { br; (from) } },
            ]
        });
        self.table(
            self.say("表示中のアカウントのもの", "Those of the accounts shown"),
            &heads,
            &cells.collect::<Vec<_>>(),
        )
    }

    fn accounts(&self, desk: &Desk, config: &MailConfig, rows: &[AccountRow]) -> Markup {
        let heads = [
            self.say("アドレス", "Address"),
            self.say("氏名", "Name"),
            self.say("アダプター", "Adapters"),
            self.say("受信箱", "Mailbox"),
            self.say("最後のログイン", "Last log-in"),
            self.say("状態", "State"),
            self.say("操作", "Act"),
        ];
        let cells = rows.iter().map(|row| {
            let last = desk.core.contacts.log_in(&row.address);
            vec![
                html! { bdi { (row.address) } @for alias in &row.aliases { br; bdi { (alias) } } },
                html! { bdi { (row.display_name) } },
                html! { bdi { (row.adapters.join(", ")) } },
                fill(row, config.limits.mailbox_octets),
                html! { (self.when(last.map(|(at, _)| at))) @if let Some((_, from)) = last { br; (from) } },
                html! {
                    @if row.suspended { span class="badge refused" { span aria-hidden="true" { "⊘ " } (self.say("停止中", "suspended")) } }
                    @else { span class="badge delivered" { span aria-hidden="true" { "✓ " } (self.say("有効", "open")) } }
                },
                html! {
                    form method="post" action="/suspend" {
                        input type="hidden" name="token" value=(self.token);
                        input type="hidden" name="address" value=(row.address);
                        input type="hidden" name="suspended" value=(!row.suspended);
                        button {
                            (if row.suspended { self.say("再開", "Resume") } else { self.say("停止", "Suspend") })
                            span.unseen { " " (row.address) }
                        }
                    }
                },
            ]
        });
        self.table(self.say("アドレス順、200 件まで", "By address, at most 200"), &heads, &cells.collect::<Vec<_>>())
    }
}

/// Mails and octets of a mailbox, and how much of it may be filled.
fn fill(row: &AccountRow, bound: u64) -> Markup {
    let kib = |octets: u64| octets.div_ceil(1024);
    let quota = row.quota.unwrap_or(bound);
    html! {
        (row.mails) " · " (kib(row.octets)) " KiB"
        @if quota > 0 { " / " (kib(quota)) " KiB (" (row.octets.saturating_mul(100) / quota) " %)" }
    }
}
