//! What belongs to a queue: event tables, sequences, the state outside of snapshots, the code that inserts events.

use tokio_postgres::GenericClient;

use super::{By, Finding, findings};
use crate::Result;

/// Everything about queues.
pub(super) async fn check<C: GenericClient>(client: &C) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    for sql in [PARTS, EVENT_TABLES, RIGHTS, UNLOGGED, SEQUENCES, KEYS, CODE, LEFT_OVER, MEMBERS] {
        found.extend(findings(client, By::Owner, sql).await?);
    }
    // A rotation between the snapshot of the query and the look at the sequence is no finding: it does not stay.
    let first = findings(client, By::Owner, STATE).await?;
    let second = if first.is_empty() { Vec::new() } else { findings(client, By::Owner, STATE).await? };
    found.extend(first.into_iter().filter(|f| second.contains(f)));
    Ok(found)
}

/// Parts that are gone.
const PARTS: &str = "
select format('%s %s of queue %I', p.kind, p.name, q.queue_name),
       'does not exist' || case when p.kind = 'event table' then '; the events in it are lost' else '' end,
       case p.part when 'state' then 'create it from the row of the queue'
                   when 'sequence' then format('create sequence %s; then run this again to have it set', p.name)
                   else 'restore it, or drop the queue and create it again' end,
       case p.part when 'state' then
           format('create sequence %1$s minvalue 0; select pg_catalog.setval(%1$L, 2 * queue_cur_table + queue_disable_insert::int4)'
                  ' from pgq.queue where queue_id = %2$s; select pgq.grant_perms(%3$L); select pgq.refresh_queue_code(%3$L)',
                  p.name, q.queue_id, q.queue_name) end
  from pgq.queue q,
       lateral (select 'event table', q.queue_data_pfx, 'parent'
                union all
                select 'event table', q.queue_data_pfx || '_' || n, 'table' from generate_series(0, q.queue_ntables - 1) n
                union all
                values ('sequence', q.queue_event_seq, 'sequence'), ('sequence', q.queue_tick_seq, 'sequence'),
                       ('sequence', q.queue_data_pfx || '_state_seq', 'state')) p (kind, name, part)
 where to_regclass(p.name) is null
 order by q.queue_id, p.name";

/// Event tables that are not as `pgq.create_queue` makes them.
const EVENT_TABLES: &str = "
with t as (
    select q.queue_id, q.queue_name, q.queue_event_seq, q.queue_data_pfx, q.queue_data_pfx || '_' || n as name,
           to_regclass(q.queue_data_pfx || '_' || n) as rel
      from pgq.queue q, generate_series(0, q.queue_ntables - 1) n)
select format('event table %s of queue %I', t.name, t.queue_name), f.problem, f.remedy, f.repair
  from t, lateral (
    select format('lacks the column %I', e.attname),
           format('alter table %s add column %I %s', t.name, e.attname, format_type(e.atttypid, e.atttypmod)), null
      from pg_attribute e
     where e.attrelid = 'pgq.event_template'::regclass and e.attnum > 0 and not e.attisdropped
       and not exists (select 1 from pg_attribute a where a.attrelid = t.rel and a.attname = e.attname and a.atttypid = e.atttypid)
    union all
    select format('column %s has no default: no event can be written', d.name), 'set the default',
           format('alter table %s alter column %I set default %s', t.name, d.name, d.value)
      from (values ('ev_id', format('pg_catalog.nextval(%L)', t.queue_event_seq), true),
                   ('ev_txid', 'pg_catalog.txid_current()', true)) d (name, value)
      join pg_attribute a on a.attrelid = t.rel and a.attname = d.name and not a.atthasdef
     where to_regclass(t.queue_event_seq) is not null
    union all
    select 'has no index on ev_txid: every batch reads the whole table',
           format('create index concurrently on %s (ev_txid)', t.name), null
     where not exists (select 1 from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
                        where i.indrelid = t.rel and i.indisvalid and i.indpred is null and a.attname = 'ev_txid')
    union all
    -- the events of a foreign reader, or all, would be gone without an error
    select 'has row security enabled: who is not its owner reads nothing',
           format('alter table %s disable row level security, no force row level security', t.name), null
      from pg_class c where c.oid = t.rel and c.relrowsecurity
    union all
    select format('has the rule %I: events may be lost', r.rulename), format('drop rule %I on %s', r.rulename, t.name), null
      from pg_rewrite r where r.ev_class = t.rel
    union all
    select format('has the trigger %I, which may change or lose events', g.tgname), format('drop trigger %I on %s', g.tgname, t.name), null
      from pg_trigger g where g.tgrelid = t.rel and not g.tgisinternal
    union all
    select 'is unlogged: a crash of the server empties it', format('alter table %s set logged', t.name), null
      from pg_class c where c.oid = t.rel and c.relpersistence <> 'p'
    union all
    select format('is no child of %s', t.queue_data_pfx), format('alter table %s inherit %s', t.name, t.queue_data_pfx), null
     where to_regclass(t.queue_data_pfx) is not null
       and not exists (select 1 from pg_inherits i where i.inhrelid = t.rel and i.inhparent = to_regclass(t.queue_data_pfx))
  ) f (problem, remedy, repair)
 where t.rel is not null
 order by t.queue_id, t.name";

/// Rights that `pgq.grant_perms` gives.
const RIGHTS: &str = "
select format('queue %I', q.queue_name), 'roles lack rights on ' || string_agg(distinct r.name, ', '), 'grant them (pgq.grant_perms)',
       format('select pgq.grant_perms(%L)', q.queue_name)
  from pgq.queue q,
       lateral (select s from unnest(array[q.queue_event_seq, q.queue_tick_seq, q.queue_data_pfx || '_state_seq']) s
                 where to_regclass(s) is not null and not has_sequence_privilege('public', to_regclass(s), 'select')
                union all
                select t.name
                  from (select q.queue_data_pfx || '_' || n from generate_series(0, q.queue_ntables - 1) n
                        union all select q.queue_data_pfx) t (name)
                  join pg_class c on c.oid = to_regclass(t.name)
                 where exists (select 1 from pg_class e, aclexplode(e.relacl) a
                                where e.oid = 'pgq.event_template'::regclass and a.grantee not in (e.relowner, 0)
                                  and a.privilege_type <> 'MAINTAIN'
                                  and not has_table_privilege(a.grantee, c.oid, a.privilege_type))) r (name)
 group by q.queue_id, q.queue_name
 order by q.queue_id";

/// Sequences that a crash of the server would set back.
const UNLOGGED: &str = "
select format('sequence %s of queue %I', p.name, q.queue_name), 'is unlogged: a crash of the server sets it back', 'have it logged',
       format('alter sequence %s set logged', p.name)
  from pgq.queue q,
       lateral (values (q.queue_event_seq), (q.queue_tick_seq), (q.queue_data_pfx || '_state_seq')) p (name)
  join pg_class c on c.oid = to_regclass(p.name)
 where c.relpersistence <> 'p'
 order by q.queue_id, p.name";

/// Sequences that would give a number again. Only ever set forward.
///
/// Events may have numbers beyond the last tick. Those in a queue with an external ticker come from elsewhere, and its ticks bring the sequence
/// along.
const SEQUENCES: &str = "
select format('sequence %s', s.name), format('is at %s, but %s is in use: numbers would come twice', v.at, s.used), 'set it forward',
       format('select pg_catalog.setval(%1$L, greatest(%2$s, pg_catalog.pg_sequence_last_value(%1$L)))', s.name, s.used)
  from (select name, max(used) as used from (
        select 'pgq.queue_queue_id_seq', max(queue_id)::int8 from pgq.queue
        union all select 'pgq.consumer_co_id_seq', max(co_id) from pgq.consumer
        union all select 'pgq.subscription_sub_id_seq', max(sub_id) from pgq.subscription
        union all select 'pgq.batch_id_seq', max(sub_batch) from pgq.subscription
        union all select 'pgq.capture_capture_id_seq', max(capture_id) from pgq.capture
        union all select q.queue_tick_seq, max(t.tick_id) from pgq.queue q join pgq.tick t on t.tick_queue = q.queue_id group by 1
        -- a sequence that was never used is at 1 for the ticker
        union all select q.queue_event_seq, nullif(max(t.tick_event_seq), 1) from pgq.queue q join pgq.tick t on t.tick_queue = q.queue_id group by 1
        union all select q.queue_event_seq, pgq._newest_event(q) from pgq.queue q where not q.queue_external_ticker
        union all select q.queue_event_seq, max(r.ev_id) from pgq.queue q join pgq.retry_queue r on r.ev_queue = q.queue_id where not q.queue_external_ticker group by 1
       ) u (name, used) group by name) s,
       lateral (select coalesce(pg_sequence_last_value(to_regclass(s.name)), 0) as at) v
 where to_regclass(s.name) is not null and v.at < s.used
 order by 1";

/// One key per subscription: rotation waits only for those that have one.
const KEYS: &str = "
select format('subscription of consumer %s to queue %s', coalesce(s.sub_consumer, k.sub_consumer), coalesce(s.sub_queue, k.sub_queue)),
       case when k.sub_id is null then 'has no key: rotation would not wait for it' else 'is gone, its key is not' end,
       'write the key anew',
       'lock table pgq.subscription in share row exclusive mode; delete from pgq.subscription_key;'
       ' insert into pgq.subscription_key (sub_queue, sub_consumer, sub_id) select sub_queue, sub_consumer, sub_id from pgq.subscription'
  from pgq.subscription s
  full join pgq.subscription_key k using (sub_queue, sub_consumer)
 where s.sub_id is distinct from k.sub_id
 order by 1";

/// The code that `pgq.insert_event` runs for each queue, and the tree above it.
const CODE: &str = "
with leaves as (select count(*) as n from pg_proc where pronamespace = 'pgq'::regnamespace and proname ~ '^_insert_leaf_[0-9]+$'),
     place as materialized (
    select q.*, pgq._queue_code(q) as code,
           case when l.n = 0 then '_insert_tree_0' else '_insert_leaf_' || (hashtext(q.queue_name) & (l.n - 1)::int4) end as function
      from pgq.queue q, leaves l)
select format('queue %I', p.queue_name),
       case when f.oid is null then format('function pgq.%s, which inserts its events, does not exist', p.function)
            else format('function pgq.%s, which inserts its events, was generated for other objects', p.function) end
       || ': events go in, slower',
       'generate the code (pgq.refresh_queue_code)', 'select pgq.refresh_queue_code()'
  from place p
  left join pg_proc f on f.pronamespace = 'pgq'::regnamespace and f.proname = p.function
 where p.code is not null and (f.oid is null or strpos(f.prosrc, p.code) = 0)
union all
select 'functions pgq._insert_tree_*', 'do not lead to the code of all queues, or are open to everybody', 'generate them (pgq.refresh_queue_code)',
       'select pgq.refresh_queue_code()'
  from leaves l
 where not exists (select 1 from pg_proc where pronamespace = 'pgq'::regnamespace and proname = '_insert_tree_0')
    or l.n & (l.n - 1) <> 0
    or exists (select 1 from pg_proc where pronamespace = 'pgq'::regnamespace and proname ~ '^_insert_(leaf|tree)_[0-9]+$'
                and has_function_privilege('public', oid, 'execute'))
    or exists (select 1 from generate_series(0, case when l.n > 256 then l.n / 64 when l.n > 16 then l.n / 16 else 0 end) t
                where l.n > 0
                  and not exists (select 1 from pg_proc where pronamespace = 'pgq'::regnamespace and proname = '_insert_tree_' || t
                                     and strpos(prosrc, format('hashtext($1) & %s;', l.n - 1)) > 0))
 order by 1";

/// Relations of queues that are gone.
const LEFT_OVER: &str = "
select format('%s pgq.%I', case c.relkind when 'S' then 'sequence' else 'table' end, c.relname), 'belongs to no queue',
       format('when nobody needs it: drop %s pgq.%I%s', case c.relkind when 'S' then 'sequence' else 'table' end, c.relname,
              case when c.relkind <> 'S' then ' cascade' else '' end), null
  from pg_class c
 where c.relnamespace = 'pgq'::regnamespace and c.relkind in ('r', 'S') and c.relname ~ '^event_[0-9]+(_[0-9]+|_(id|tick|state)_seq)?$'
   and not exists (select 1 from pgq.queue q where q.queue_data_pfx = 'pgq.event_' || substring(c.relname from '^event_([0-9]+)'))
 order by 1";

/// Generated functions that an extension would replace or keep out of dumps.
const MEMBERS: &str = "
select format('function %s', p.oid::regprocedure), format('is a member of extension %I: a dump leaves it out', e.extname),
       format('alter extension %I drop function %s', e.extname, p.oid::regprocedure), null
  from pg_depend d
  join pg_proc p on p.oid = d.objid and d.classid = 'pg_proc'::regclass
  join pg_extension e on e.oid = d.refobjid and d.refclassid = 'pg_extension'::regclass
 where d.deptype = 'e' and p.pronamespace = 'pgq'::regnamespace and p.proname ~ '^_(insert_(leaf|tree)|capture)_[0-9]+$'
 order by 1";

/// The state outside of snapshots against the row; a mark is a change under way, or waits for the ticker.
const STATE: &str = "
select format('queue %I', q.queue_name),
       format('its sequence %s_state_seq says %s, its row %s: writers could take another event table than readers',
              q.queue_data_pfx, s.state, 2 * q.queue_cur_table + q.queue_disable_insert::int4),
       'settle it (pgq._settle_queue_state, as the ticker does)', format('select pgq._settle_queue_state(%s)', q.queue_id)
  from pgq.queue q, lateral (select pg_sequence_last_value(to_regclass(q.queue_data_pfx || '_state_seq')) as state) s
 where s.state <> 2 * q.queue_cur_table + q.queue_disable_insert::int4
   and (s.state < 2305843009213693952
        or s.state - 2305843009213693952 >= txid_snapshot_xmax(txid_current_snapshot())
        or txid_visible_in_snapshot(s.state - 2305843009213693952, txid_current_snapshot()) and q.queue_switch_step2 is not null)
 order by q.queue_id";
