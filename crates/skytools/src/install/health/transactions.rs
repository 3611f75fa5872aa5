//! Transaction ids that this server has not reached, or had not when events were written: a restored dump.

use tokio_postgres::GenericClient;

use super::{By, Finding, findings};
use crate::Result;

/// Queues whose ticks or events mention them.
pub(super) async fn check<C: GenericClient>(client: &C) -> Result<Vec<Finding>> {
    findings(client, By::Owner, AHEAD).await
}

/// How many more ids must have been used before such a queue can have numbers below all of them.
pub(super) const MISSING_ROOM: &str = "
select coalesce(max(t.ticks) + 8 - pg_catalog.txid_snapshot_xmin(pg_catalog.txid_current_snapshot()), 0)
  from (select (select count(*) from pgq.tick where tick_queue = q.queue_id) as ticks
          from pgq.queue q
         where pgq._newest_transaction(q) >= pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot())
            or pgq._written_behind(q.queue_id)) t";

const AHEAD: &str = "
select format('queue %I', q.queue_name),
       case when n.newest >= txid_snapshot_xmax(txid_current_snapshot())
            then format('was written by a server that had used more transaction ids (%s) than this one (%s): no ticks, and events written now '
                        'would count as seen', n.newest, txid_snapshot_xmax(txid_current_snapshot()))
            else 'was written by a server that had used more transaction ids than this one when events were written here: no ticks, for these '
                 'would count as seen' end,
       'number its ticks and events anew (pgq.rebase_transactions); a table that another node is just copying from here must be '
       'copied again there: londiste resync',
       format('select pgq.rebase_transactions(%L)', q.queue_name)
  from pgq.queue q, lateral (select pgq._newest_transaction(q) as newest) n
 where n.newest >= txid_snapshot_xmax(txid_current_snapshot())
    or pgq._written_behind(q.queue_id)
 order by q.queue_id";
