//! What is said to PostgreSQL.

use sqlx::types::Json;
use sqlx::{Error, PgConnection, PgExecutor, PgPool};

use super::{BELIEVED, CHANNEL, signed, unsigned};
use crate::accounts::Account;
use crate::store::{Delivery, NoticeState, QueueItem, StoredMail, Usage, return_path};

/// A new node.
pub(super) async fn join(pool: &PgPool, node: i64) -> Result<(), Error> {
    let text = "INSERT INTO nodes VALUES ($1, now() + $2::interval)";
    sqlx::query(text).bind(node).bind(BELIEVED).execute(pool).await?;
    Ok(())
}

/// This node lives, unless it was declared dead; nodes that were not heard of for a day are forgotten.
pub(super) async fn beat(pool: &PgPool, node: i64) -> Result<(), Error> {
    let text = "UPDATE nodes SET alive_until = now() + $2::interval WHERE id = $1";
    sqlx::query(text).bind(node).bind(BELIEVED).execute(pool).await?;
    sqlx::query("DELETE FROM nodes WHERE alive_until < now() - interval '1 day'").execute(pool).await?;
    Ok(())
}

/// This node ends, or has ended: what it had at hand is everybody's.
pub(super) async fn leave(pool: &PgPool, node: i64) -> Result<(), Error> {
    sqlx::query("DELETE FROM nodes WHERE id = $1").bind(node).execute(pool).await?;
    sqlx::query("DELETE FROM locks WHERE owner = $1").bind(node).execute(pool).await?;
    sqlx::query("UPDATE queue SET owner = NULL WHERE owner = $1").bind(node).execute(pool).await?;
    sqlx::query("UPDATE notices SET owner = NULL WHERE owner = $1").bind(node).execute(pool).await?;
    Ok(())
}

/// One statement, and so one round trip and one commit.
pub(super) async fn deliver(to: impl PgExecutor<'_>, delivery: &Delivery) -> Result<(), Error> {
    if delivery.mailboxes.is_empty() && delivery.queue.is_empty() {
        return Ok(());
    }
    let text = "WITH body AS (INSERT INTO bodies (body) VALUES ($1) RETURNING id),
        kept AS (INSERT INTO mails (account, body, size, sealed, received, reverse_path)
            SELECT account, body.id, $2, $3, $4, $5 FROM body, unnest($6::text[]) WITH ORDINALITY a (account, place)
            ORDER BY place),
        told AS (INSERT INTO notices (account, attempts, next, expires)
            SELECT DISTINCT account, 0, $4, $7 FROM unnest($6::text[]) a (account) WHERE $3
            ON CONFLICT (account) DO UPDATE SET expires = excluded.expires),
        queued AS (INSERT INTO queue (body, next, item)
            SELECT body.id, $4, item FROM body, unnest($8::jsonb[]) WITH ORDINALITY q (item, place) ORDER BY place)
        SELECT pg_notify($9, 'work') FROM body WHERE $3 OR cardinality($8::jsonb[]) > 0";
    let reverse_path = delivery.reverse_path.as_deref();
    let body = [delivery.head.as_slice(), &delivery.mail].concat();
    let size = body.len() + return_path(reverse_path).len();
    let items: Vec<Json<QueueItem>> = delivery.queue.iter().map(|new| Json(QueueItem::new(new, delivery))).collect();
    sqlx::query(text)
        .bind(body)
        .bind(i64::try_from(size).unwrap_or(i64::MAX))
        .bind(delivery.sealed)
        .bind(signed(delivery.now))
        .bind(reverse_path)
        .bind(&delivery.mailboxes)
        .bind(signed(delivery.notice_expires))
        .bind(items)
        .bind(CHANNEL)
        .execute(to)
        .await?;
    Ok(())
}

pub(super) async fn list(pool: &PgPool, account: &str, token: i64) -> Result<Vec<StoredMail>, Error> {
    let text = "SELECT id, size, sealed, received FROM mails WHERE account = $1 ORDER BY id";
    let rows: Vec<(i64, i64, bool, i64)> = sqlx::query_as(text).bind(account).fetch_all(pool).await?;
    let mail = |(id, size, sealed, received)| StoredMail {
        id: unsigned(id),
        uid: format!("{token:016x}-{id:x}").into(),
        size: unsigned(size),
        sealed,
        received: unsigned(received),
    };
    Ok(rows.into_iter().map(mail).collect())
}

pub(super) async fn usage(pool: &PgPool, account: &str) -> Result<Usage, Error> {
    let text = "SELECT count(*), coalesce(sum(size), 0)::bigint, count(*) FILTER (WHERE sealed)
        FROM mails WHERE account = $1";
    let (mails, octets, sealed): (i64, i64, i64) = sqlx::query_as(text).bind(account).fetch_one(pool).await?;
    Ok(Usage { mails: unsigned(mails), octets: unsigned(octets), sealed: unsigned(sealed) })
}

pub(super) async fn read(pool: &PgPool, account: &str, id: i64) -> Result<Option<Vec<u8>>, Error> {
    let text = "SELECT b.body, m.reverse_path FROM mails m JOIN bodies b ON b.id = m.body
        WHERE m.account = $1 AND m.id = $2";
    let row: Option<(Vec<u8>, Option<String>)> =
        sqlx::query_as(text).bind(account).bind(id).fetch_optional(pool).await?;
    Ok(row.map(|(body, path)| [return_path(path.as_deref()).as_bytes(), &body].concat()))
}

/// Takes these bodies away if nobody wants them any more. They are locked first: of two who let go of the last references at
/// the same time, the second sees what the first did.
async fn drop_bodies(step: &mut PgConnection, mut bodies: Vec<i64>) -> Result<(), Error> {
    bodies.sort_unstable();
    bodies.dedup();
    let lock = "SELECT id FROM bodies WHERE id = ANY($1) ORDER BY id FOR UPDATE";
    sqlx::query(lock).bind(&bodies).execute(&mut *step).await?;
    let text = "DELETE FROM bodies b WHERE b.id = ANY($1) AND NOT EXISTS (SELECT FROM mails WHERE body = b.id)
        AND NOT EXISTS (SELECT FROM queue WHERE body = b.id)";
    sqlx::query(text).bind(&bodies).execute(&mut *step).await?;
    Ok(())
}

pub(super) async fn delete(step: &mut PgConnection, account: &str, ids: &[i64], now: i64) -> Result<(), Error> {
    // Whoever delivers to this mailbox meanwhile waits for the notice, or has us see its mail.
    let notice = "SELECT last_sent FROM notices WHERE account = $1 FOR UPDATE";
    let notice: Option<Option<i64>> = sqlx::query_scalar(notice).bind(account).fetch_optional(&mut *step).await?;
    let text = "DELETE FROM mails WHERE account = $1 AND id = ANY($2) RETURNING body";
    let bodies: Vec<i64> = sqlx::query_scalar(text).bind(account).bind(ids).fetch_all(&mut *step).await?;
    drop_bodies(step, bodies).await?;
    let Some(last_sent) = notice else { return Ok(()) };
    let newest = "SELECT max(received) FROM mails WHERE account = $1 AND sealed";
    let newest: Option<i64> = sqlx::query_scalar(newest).bind(account).fetch_one(&mut *step).await?;
    match newest {
        None => {
            sqlx::query("DELETE FROM notices WHERE account = $1").bind(account).execute(&mut *step).await?;
        }
        Some(received) if last_sent.is_some_and(|last| received > last) => {
            let text = "UPDATE notices SET next = $2, owner = NULL WHERE account = $1";
            sqlx::query(text).bind(account).bind(now).execute(&mut *step).await?;
            notify(step, "work").await?;
        }
        Some(_) => {}
    }
    Ok(())
}

async fn notify(to: impl PgExecutor<'_>, what: &str) -> Result<(), Error> {
    sqlx::query("SELECT pg_notify($1, $2)").bind(CHANNEL).bind(what).execute(to).await?;
    Ok(())
}

/// Whether the mailbox is this node's now: nobody has it, or who has it is no longer heard of.
pub(super) async fn lock(pool: &PgPool, node: i64, account: &str) -> Result<bool, Error> {
    let text = "INSERT INTO locks VALUES ($1, $2) ON CONFLICT (account) DO UPDATE SET owner = excluded.owner
        WHERE NOT EXISTS (SELECT FROM nodes WHERE id = locks.owner AND alive_until > now()) RETURNING owner";
    Ok(sqlx::query(text).bind(account).bind(node).fetch_optional(pool).await?.is_some())
}

pub(super) async fn unlock(pool: &PgPool, node: i64, account: &str) -> Result<(), Error> {
    let text = "DELETE FROM locks WHERE account = $1 AND owner = $2";
    sqlx::query(text).bind(account).bind(node).execute(pool).await?;
    Ok(())
}

fn item((id, body, next, Json(item)): (i64, i64, i64, Json<QueueItem>)) -> QueueItem {
    QueueItem { id: unsigned(id), body: unsigned(body), next: unsigned(next), ..item }
}

/// Takes what is due and nobody else's, as this node's.
pub(super) async fn due(
    pool: &PgPool,
    node: i64,
    now: i64,
    but: &[String],
) -> Result<(Vec<QueueItem>, Option<u64>), Error> {
    let text = "UPDATE queue SET owner = $1 WHERE id IN (
            SELECT id FROM queue WHERE next <= $2 AND (owner IS NULL OR owner = $1
                OR NOT EXISTS (SELECT FROM nodes WHERE nodes.id = owner AND alive_until > now()))
                AND (item #>> '{route,domain}' = ANY ($3)) IS NOT TRUE
            ORDER BY next LIMIT 256 FOR UPDATE SKIP LOCKED)
        RETURNING id, body, next, item";
    let rows: Vec<(i64, i64, i64, Json<QueueItem>)> =
        sqlx::query_as(text).bind(node).bind(now).bind(but).fetch_all(pool).await?;
    let next = "SELECT min(next) FROM queue WHERE next > $1";
    let next: Option<i64> = sqlx::query_scalar(next).bind(now).fetch_one(pool).await?;
    let mut items: Vec<QueueItem> = rows.into_iter().map(item).collect();
    items.sort_by_key(|item| (item.next, item.id));
    Ok((items, next.map(unsigned)))
}

pub(super) async fn queue(pool: &PgPool) -> Result<Vec<QueueItem>, Error> {
    let text = "SELECT id, body, next, item FROM queue ORDER BY id";
    let rows: Vec<(i64, i64, i64, Json<QueueItem>)> = sqlx::query_as(text).fetch_all(pool).await?;
    Ok(rows.into_iter().map(item).collect())
}

pub(super) async fn settle(
    step: &mut PgConnection,
    node: i64,
    id: i64,
    item: Option<&QueueItem>,
) -> Result<bool, Error> {
    let known = "SELECT body FROM queue WHERE id = $1 FOR UPDATE";
    let Some(body): Option<i64> = sqlx::query_scalar(known).bind(id).fetch_optional(&mut *step).await? else {
        return Ok(false);
    };
    match item {
        Some(item) => {
            // What another node is trying stays its own.
            let text = "UPDATE queue SET next = $3, item = $4, owner = nullif(owner, $2) WHERE id = $1";
            let query = sqlx::query(text).bind(id).bind(node).bind(signed(item.next)).bind(Json(item));
            query.execute(&mut *step).await?;
            notify(step, "work").await?;
        }
        None => {
            sqlx::query("DELETE FROM queue WHERE id = $1").bind(id).execute(&mut *step).await?;
            drop_bodies(step, vec![body]).await?;
        }
    }
    Ok(true)
}

/// Account, last sent, attempts, next, expiry, when it escalates, up to which mail it is answered.
type NoticeRow = (String, Option<i64>, i64, i64, i64, Option<i64>, Option<i64>);

pub(super) async fn notices_due(pool: &PgPool, node: i64, now: i64) -> Result<(Vec<NoticeState>, Option<u64>), Error> {
    let text = "UPDATE notices SET owner = $1 WHERE account IN (
            SELECT account FROM notices WHERE next <= $2 AND (owner IS NULL OR owner = $1
                OR NOT EXISTS (SELECT FROM nodes WHERE nodes.id = owner AND alive_until > now()))
            ORDER BY next LIMIT 64 FOR UPDATE SKIP LOCKED)
        RETURNING account, last_sent, attempts, next, expires, escalates, answered";
    let rows: Vec<NoticeRow> = sqlx::query_as(text).bind(node).bind(now).fetch_all(pool).await?;
    let next = "SELECT min(next) FROM notices WHERE next > $1";
    let next: Option<i64> = sqlx::query_scalar(next).bind(now).fetch_one(pool).await?;
    Ok((rows.into_iter().map(notice).collect(), next.map(unsigned)))
}

pub(super) async fn notices(pool: &PgPool) -> Result<Vec<NoticeState>, Error> {
    let text = "SELECT account, last_sent, attempts, next, expires, escalates, answered FROM notices ORDER BY account";
    let rows: Vec<NoticeRow> = sqlx::query_as(text).fetch_all(pool).await?;
    Ok(rows.into_iter().map(notice).collect())
}

fn notice((account, last_sent, attempts, next, expires, escalates, answered): NoticeRow) -> NoticeState {
    NoticeState {
        account,
        last_sent: last_sent.map(unsigned),
        attempts: u32::try_from(attempts).unwrap_or_default(),
        next: unsigned(next),
        expires: unsigned(expires),
        escalates: escalates.map(unsigned),
        answered: answered.map(unsigned),
    }
}

pub(super) async fn settle_notice(pool: &PgPool, was: &NoticeState, state: Option<&NoticeState>) -> Result<(), Error> {
    let known = (was.account.as_str(), signed(was.next), was.last_sent.map(signed));
    match state {
        Some(state) => {
            let text = "UPDATE notices SET last_sent = $4, attempts = $5, next = $6, expires = greatest(expires, $7),
                escalates = $8, answered = greatest(answered, $9), owner = NULL WHERE account = $1 AND next = $2 AND last_sent IS NOT DISTINCT FROM $3";
            let query = sqlx::query(text).bind(known.0).bind(known.1).bind(known.2);
            let query = query.bind(state.last_sent.map(signed)).bind(i64::from(state.attempts));
            let query = query.bind(signed(state.next)).bind(signed(state.expires));
            query.bind(state.escalates.map(signed)).bind(state.answered.map(signed)).execute(pool).await?;
        }
        None => {
            let text = "DELETE FROM notices WHERE account = $1 AND next = $2 AND last_sent IS NOT DISTINCT FROM $3";
            sqlx::query(text).bind(known.0).bind(known.1).bind(known.2).execute(pool).await?;
        }
    }
    Ok(())
}

pub(super) async fn answer_notice(pool: &PgPool, account: &str, id: i64) -> Result<(), Error> {
    let text = "UPDATE notices SET answered = greatest(answered, $2) WHERE account = $1";
    sqlx::query(text).bind(account).bind(id).execute(pool).await?;
    Ok(())
}

pub(super) async fn put_account(pool: &PgPool, account: &Account) -> Result<(), Error> {
    let text = "WITH put AS (INSERT INTO accounts VALUES ($1, $2)
            ON CONFLICT (address) DO UPDATE SET account = excluded.account)
        SELECT pg_notify($3, 'accounts')";
    sqlx::query(text).bind(&account.address).bind(Json(account)).bind(CHANNEL).execute(pool).await?;
    Ok(())
}

pub(super) async fn remove_account(step: &mut PgConnection, address: &str) -> Result<bool, Error> {
    let removed = sqlx::query("DELETE FROM accounts WHERE address = $1").bind(address).execute(&mut *step).await?;
    let text = "DELETE FROM mails WHERE account = $1 RETURNING body";
    let bodies: Vec<i64> = sqlx::query_scalar(text).bind(address).fetch_all(&mut *step).await?;
    drop_bodies(step, bodies).await?;
    sqlx::query("DELETE FROM notices WHERE account = $1").bind(address).execute(&mut *step).await?;
    notify(step, "accounts").await?;
    Ok(removed.rows_affected() > 0)
}

pub(super) async fn rename_account(step: &mut PgConnection, from: &str, to: &str) -> Result<bool, Error> {
    let text = "SELECT account FROM accounts WHERE address = $1 FOR UPDATE";
    let known: Option<Json<Account>> = sqlx::query_scalar(text).bind(from).fetch_optional(&mut *step).await?;
    let Some(Json(account)) = known else { return Ok(false) };
    let text = "UPDATE accounts SET address = $2, account = $3 WHERE address = $1";
    sqlx::query(text).bind(from).bind(to).bind(Json(account.renamed(to))).execute(&mut *step).await?;
    for text in
        ["UPDATE mails SET account = $2 WHERE account = $1", "UPDATE notices SET account = $2 WHERE account = $1"]
    {
        sqlx::query(text).bind(from).bind(to).execute(&mut *step).await?;
    }
    notify(step, "accounts").await?;
    Ok(true)
}
