//! Which tables are captured: what the history itself has noted, never what PgQ says of itself.

use anyhow::{Result, ensure};
use tokio_postgres::Client;

use crate::stage::{Wrong, finding};

/// The tables on which the history has put capture, as they are called now.
///
/// They are noted by the transaction that puts capture on (`setup::capture`), so that a rollback forgets it, and by OID, so that they are
/// found after a rename. No history takes capture off for good.
pub async fn tables(source: &Client) -> Result<Vec<String>> {
    let rows = source
        .query(
            "select distinct format('%I.%I', n.nspname, c.relname)
               from h.captured h join pg_class c on c.oid = h.id join pg_namespace n on n.oid = c.relnamespace
              order by 1",
            &[],
        )
        .await?;
    Ok(rows.iter().map(|r| r.get(0)).collect())
}

/// Fails where one of them has no trigger of PgQ any more for one of the operations.
pub async fn still(source: &Client) -> Result<()> {
    let rows = source
        .query(
            "select distinct c.oid::regclass::text
               from h.captured h join pg_class c on c.oid = h.id
              where (select coalesce(bit_or(t.tgtype), 0) & 60
                       from pg_trigger t join pg_proc p on p.oid = t.tgfoid
                      where t.tgrelid = c.oid and t.tgenabled = 'O' and p.pronamespace = 'pgq'::regnamespace
                        -- those that write: after the change, and not the one that never fires
                        and t.tgtype & 2 = 0 and t.tgname !~ '_pin$') <> 60
              order by 1",
            &[],
        )
        .await?;
    let bare: Vec<String> = rows.iter().map(|r| r.get(0)).collect();
    let whole = (|| {
        ensure!(bare.is_empty(), "capture has vanished, wholly or for an operation, from {bare:?}");
        Ok(())
    })();
    whole.map_err(|e| finding(Wrong::Count, &e))
}
