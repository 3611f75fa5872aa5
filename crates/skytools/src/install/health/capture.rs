//! What belongs to captured tables: triggers, and the functions generated for them.

use tokio_postgres::Transaction;

use super::{By, Finding, Repair, findings};
use crate::install::Module;
use crate::{Error, Result};

/// Everything about capture.
pub(super) async fn check(transaction: &Transaction<'_>) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    for sql in [TRIGGERS, GENERIC_KEYS, FOLLOWERS, TRUNCATE, UNREGISTERED] {
        found.extend(findings(transaction, By::Session, &filled(sql)).await?);
    }
    found.extend(code(transaction).await?);
    Ok(found)
}

/// A row of `pgq.capture`, its table and the trigger that runs its function.
const REGISTERED: &str = "
    select c.*, c.form = 'statement' as by_statement, q.queue_id, f.oid as function,
           coalesce(t.tgrelid, to_regclass(format('%I.%I', c.rel_schema, c.rel_name))) as rel,
           t.oid as trigger, pgq._capture_swappable(t.tgrelid, pgq._capture_key(t.tgrelid, c.queue_name || c.options)) as deferrable, t.tgenabled, t.tgname, coalesce(t.tgname = c.trigger_name and t.tgtype & 24 <> 0, false) as one_for_all
      from pgq.capture c
      left join pgq.queue q on q.queue_name = c.queue_name
      left join pg_proc f on f.oid = to_regprocedure(format('pgq.%I()', c.function_name))
      left join lateral (select * from pg_trigger t
                          where t.tgfoid = f.oid and not t.tgisinternal and t.tgparentid = 0
                          order by t.tgname <> c.trigger_name, t.tgrelid <> coalesce(to_regclass(format('%I.%I', c.rel_schema, c.rel_name)), 0::oid), t.oid
                          limit 1) t on true";

/// Arguments of `pgq.capture_table` that make what is registered.
const OPTIONS: &str = "(select string_agg(quote_literal(a), ', ' order by nr)
                     from unnest(array[r.queue_name, r.rel_schema || '.' || r.rel_name, 'trigger=' || r.trigger_name, 'capture_failure=' || r.failure]
                                 || case when r.by_statement then array['form=statement'] else array['tgflags=' || r.operations] end || r.options) with ordinality a (a, nr))";

/// What has become of tables, triggers and queues; what was not captured meanwhile nobody can tell.
const TRIGGERS: &str = "
with r as ($REGISTERED)
select format('table %I.%I, queue %I', r.rel_schema, r.rel_name, r.queue_name), f.problem, f.remedy, f.repair
  from r, lateral (
    select case when r.rel is null then 'the table is gone' else 'the queue is gone' end
               || ', its capture is still registered',
           'forget it, with its function',
           format('select pgq._capture_forget(%L, %L, %L, %L)', r.queue_name, r.rel_schema, r.rel_name, r.trigger_name)
     where r.trigger is null and (r.rel is null or r.queue_id is null)
    union all
    select 'the queue is gone: writes to the table fail', format('select pgq.uncapture_table(%L, %L)', r.queue_name, r.rel_schema || '.' || r.rel_name), null
     where r.trigger is not null and r.queue_id is null
    union all
    select format('trigger %I was dropped: nothing is captured', r.trigger_name),
           format('select pgq.capture_table(%s); what was changed meanwhile is missing elsewhere: copy the table there again (londiste resync).'
                  ' If it is to stay so: select pgq.uncapture_table(%L, %L)',
                  $OPTIONS,
                  r.queue_name, r.rel_schema || '.' || r.rel_name), null
     where r.trigger is null and r.rel is not null and r.queue_id is not null
    union all
    select format('trigger %I is %s: changes are not captured', t.tgname,
                  case t.tgenabled when 'D' then 'disabled' else 'enabled for replicas only' end),
           format('alter table %s enable trigger %I; what was changed meanwhile is missing elsewhere: copy the table there again'
                  ' (londiste resync)', t.tgrelid::regclass, t.tgname), null
      from pg_trigger t
      join pg_proc p on p.oid = t.tgfoid
     where t.tgrelid = r.rel and t.tgenabled in ('D', 'R')
       and (t.tgfoid = r.function or t.tgname = r.trigger_name || '_open' and p.pronamespace = 'pgq'::regnamespace)
    union all
    select format('trigger %I was dropped: changes are not captured', w.name),
           format('select pgq.capture_table(%s); what was changed meanwhile is missing elsewhere: copy the table there again (londiste resync)', $OPTIONS), null
      from pgq._capture_wanted(r.form, r.trigger_name, r.operations, false, r.deferrable) w
     where r.trigger is not null and not r.one_for_all
       and not exists (select 1 from pg_trigger t where t.tgrelid = r.rel and t.tgname = w.name)
       -- an older installation did not make it
       and (w.condition is distinct from 'kept' or r.operations ~ 'U')
       and w.function is distinct from '_capture_one_key'
    union all
    select case when r.by_statement then 'the key is deferrable: updates and deletes fail'
                else 'the key is deferrable, and no trigger has it checked when a statement has ended: inserts fail' end,
           case when r.by_statement then 'make it NOT DEFERRABLE, or capture the table by row' else 'make it NOT DEFERRABLE, or put the trigger on the table' end,
           case when not r.by_statement then format('select pgq.capture_table(%s)', $OPTIONS) end
     where r.trigger is not null and r.deferrable and (r.by_statement or r.operations ~ 'I' and not pgq._capture_key_checked(r.rel, r.function_name))
    union all
    select 'some of its triggers are ENABLE ALWAYS, others are not: changes of sessions with session_replication_role = replica are captured in part',
           'have all of them so', format('select pgq.capture_table(%s)', $OPTIONS)
     where r.trigger is not null and not r.one_for_all
       and (select bool_or(t.tgenabled = 'A') and bool_or(t.tgenabled = 'O')
              from pgq._capture_wanted(r.form, r.trigger_name, r.operations, false, r.deferrable) w
              join pg_trigger t on t.tgrelid = r.rel and t.tgname = w.name)
    union all
    select 'the triggers are those of an older installation: what triggers and functions do inside of a statement may be logged wrongly',
           'put the present ones on the table', format('select pgq.capture_table(%s)', $OPTIONS)
     where r.trigger is not null
       and (r.one_for_all
            or exists (select 1 from pgq._capture_wanted(r.form, r.trigger_name, r.operations, false, false) w
                         left join pg_trigger t on t.tgrelid = r.rel and t.tgname = w.name
                        where t.tgtype <> w.type or t.oid is null and w.condition = 'kept' and r.operations !~ 'U'))
    union all
    select format('changes were not captured since %s: %s', r.lost_since, r.lost_reason),
           format('remove the cause, copy the table again where it is replicated (londiste resync), then select pgq.capture_table(%s)',
                  $OPTIONS), null
     where r.lost_since is not null
  ) f (problem, remedy, repair)
 order by r.capture_id";

/// Generic triggers whose table has a key now by which they cannot tell rows; those that were made by hand, without the second one, log it all the same.
const GENERIC_KEYS: &str = "
with r as ($ROW_TRIGGERS)
select format('table %I.%I, queue %I', r.nspname, r.relname, r.args[1]), 'the key is deferrable, and the trigger is generic: changes fail',
       'make it NOT DEFERRABLE, or have the trigger generated (londiste refresh-trigger, pgq.capture_table)', null
  from r
 where r.proname in ('logutriga', 'sqltriga', 'jsontriga') and 'deny' <> all (r.args)
   and exists (select 1 from pg_trigger o
                where o.tgrelid = r.tgrelid and o.tgfoid = r.function and o.tgname = '!' || r.tgname and o.tgqual is not null)
   and pgq._capture_swappable(r.tgrelid, pgq._capture_key(r.tgrelid, r.args))
 order by r.nspname, r.relname, r.tgname";

/// Triggers of the user's that fire, or are asked, where they could spoil what capture logs.
const FOLLOWERS: &str = "
select format('table %I.%I', n.nspname, c.relname),
       case when t.tgtype & 2 <> 0 then format('trigger %I fires behind that of capture: updates and deletes fail', t.tgname)
            else format('the WHEN clause of trigger %I is asked before that of capture, and could change what it has not logged yet', t.tgname) end,
       pgq._capture_rename(w.tgrelid, t.tgname), null
  from (select distinct o.tgrelid, p.proname
          from pg_trigger o join pg_proc p on p.oid = o.tgfoid
         where p.pronamespace = 'pgq'::regnamespace and o.tgtype & 1 = 1
           and (p.proname ~ '^_capture_[0-9]+$' or p.proname in ('logutriga', 'sqltriga', 'jsontriga') and starts_with(o.tgname, '!'))) w
  join pg_class c on c.oid = w.tgrelid
  join pg_namespace n on n.oid = c.relnamespace
  join pg_trigger t on t.tgrelid = w.tgrelid and t.tgname = pgq._capture_follower(w.tgrelid, w.proname)
 order by 1, 2";

/// Triggers that run a function of pgq, with their arguments: one for each row trigger, where capture by row or statement made several under the name
/// that the others extend.
const ROW_TRIGGERS: &str = "
    select t.oid, t.tgrelid, ltrim(t.tgname, '~!') as tgname,
           (select coalesce(bit_or(o.tgtype) filter (where o.tgtype & 2 = 0), bit_or(o.tgtype)) | (coalesce(bit_or(o.tgtype) filter (where o.tgtype & 2 <> 0), 0) & 8)
              from pg_trigger o where o.tgrelid = t.tgrelid and o.tgfoid = t.tgfoid and o.tgname not like '!!%' and o.tgtype & 1 = t.tgtype & 1) as tgtype, n.nspname, c.relname, p.proname, p.oid as function,
           (select array_agg(convert_from(substr(t.tgargs, z.before + 1, z.at - z.before - 1), getdatabaseencoding()) order by z.at)
              from (select g + 1 as at, lag(g + 1, 1, 0) over (order by g) as before
                      from generate_series(0, length(t.tgargs) - 1) g where get_byte(t.tgargs, g) = 0) z) as args
      from pg_trigger t
      join pg_class c on c.oid = t.tgrelid
      join pg_namespace n on n.oid = c.relnamespace
      join pg_proc p on p.oid = t.tgfoid
     where p.pronamespace = 'pgq'::regnamespace and not t.tgisinternal and t.tgparentid = 0 and t.tgnargs > 0
       and (t.tgqual is null or starts_with(t.tgname, '!') and not starts_with(t.tgname, '!!'))
       and (t.tgtype & 1 = 1 or t.tgnewtable is not null and t.tgoldtable is null)
       -- others for updates and deletes
       and not exists (select 1 from pg_trigger o
                        where o.tgrelid = t.tgrelid and o.tgfoid = t.tgfoid and o.tgname < t.tgname and not starts_with(o.tgname, '!!') and ltrim(o.tgname, '~!') = ltrim(t.tgname, '~!'))";

/// A truncate trigger beside each row trigger that londiste or `pgq.capture_table` has made.
const TRUNCATE: &str = "
with r as ($ROW_TRIGGERS),
     wanted as (
    select r.*, regexp_replace(r.tgname, '^zzz_', '') || '_truncate' as name
      from r
     where r.proname ~ '^_capture_[0-9]+$' or r.proname in ('logutriga', 'sqltriga', 'jsontriga') and r.tgname ~ '^(zzz_)?_londiste_')
select format('table %I.%I, queue %I', w.nspname, w.relname, w.args[1]), f.problem, f.remedy, f.repair
  from wanted w, lateral (
    select 'has no truncate trigger: TRUNCATE is not captured', format('create the trigger %I', w.name),
           format('create trigger %I after truncate on %I.%I for each statement execute function pgq.sqltriga(%s)', w.name, w.nspname, w.relname,
                  (select string_agg(quote_literal(a), ', ' order by nr) from unnest(w.args) with ordinality u (a, nr)
                    where nr = 1 or starts_with(a, 'ev_extra1=') or a = 'deny'))
     where not exists (select 1 from pg_trigger t where t.tgrelid = w.tgrelid and t.tgname = w.name)
    union all
    select format('truncate trigger %I is disabled: TRUNCATE is not captured', t.tgname),
           format('alter table %I.%I enable trigger %I', w.nspname, w.relname, t.tgname), null
      from pg_trigger t where t.tgrelid = w.tgrelid and t.tgname = w.name and t.tgenabled in ('D', 'R')
  ) f (problem, remedy, repair)
 order by w.nspname, w.relname, w.tgname";

/// Generated functions that `pgq.capture` does not know.
const UNREGISTERED: &str = "
with r as ($ROW_TRIGGERS)
select case when r.oid is null then format('function %s', p.oid::regprocedure)
            else format('table %I.%I, queue %I', r.nspname, r.relname, r.args[1]) end,
       case when r.oid is null then 'nothing uses it' else format('function %s, which captures it, is not registered', p.oid::regprocedure) end,
       case when r.oid is null then 'drop it' else 'capture the table by a new one (pgq.capture_table)' end,
       case when r.oid is not null then
           format('select pgq.capture_table(%s);',
                  (select string_agg(quote_literal(a), ', ' order by nr)
                     from unnest(array[r.args[1], r.nspname || '.' || r.relname, 'trigger=' || r.tgname,
                                       case when r.tgtype & 1 = 0 then 'form=statement'
                                            else 'tgflags=' || concat(case when r.tgtype & 4 <> 0 then 'I' end,
                                                                      case when r.tgtype & 16 <> 0 then 'U' end,
                                                                      case when r.tgtype & 8 <> 0 then 'D' end) end] || r.args[2:]) with ordinality u (a, nr)))
           else '' end || format('drop function if exists %s', p.oid::regprocedure)
  from pg_proc p
  left join r on r.function = p.oid
 where p.pronamespace = 'pgq'::regnamespace and p.proname ~ '^_capture_[0-9]+$'
   and not exists (select 1 from pgq.capture c where c.function_name = p.proname)
 order by p.oid";

/// Registered functions with their table and trigger, in running order.
const CODE: &str = "
with r as ($REGISTERED)
select r.capture_id, format('table %I.%I, queue %I', r.rel_schema, r.rel_name, r.queue_name), r.rel,
       format('select pgq.refresh_capture(%L, %L)', r.queue_name, r.rel_schema || '.' || r.rel_name),
       f.prosecdef, f.oid::regprocedure::text
  from r
  join pg_proc f on f.oid = r.function
 where r.trigger is not null and r.queue_id is not null
 order by r.capture_id";

/// Generated functions against what would be generated now.
async fn code(transaction: &Transaction<'_>) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    for row in transaction.query(&filled(CODE), &[]).await? {
        let (capture, object, table, repair): (i32, String, u32, String) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
        let (definer, function): (bool, String) = (row.try_get(4)?, row.try_get(5)?);
        let finding = |problem: String, remedy: String, repair: Option<String>| Finding {
            module: Module::Pgq.name().to_owned(),
            object: object.clone(),
            problem,
            remedy,
            repairable: repair.is_some(),
            repair: repair.map(|statements| Repair { statements, by: By::Session }),
        };
        match same_code(transaction, capture, table).await {
            Ok(true) if definer => {}
            Ok(_) => found.push(finding(
                format!("function {function} was generated for other objects: capture is slower until the next write"),
                "generate it (pgq.refresh_capture)".to_owned(),
                Some(repair),
            )),
            // The table cannot be captured as it is now: that is what is to be told.
            Err(error) if error.sqlstate().is_some() && !error.is_retryable() => found.push(finding(
                format!("its capture cannot be generated any more: {}", error.chain()),
                error.hint_text().map_or_else(|| "correct that".to_owned(), str::to_owned),
                None,
            )),
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Whether the function of a row of `pgq.capture` has the code that would be generated now.
async fn same_code(transaction: &Transaction<'_>, capture: i32, table: u32) -> Result<bool> {
    // An error of this question must not end the transaction.
    transaction.batch_execute("savepoint capture_code").await?;
    let answer = transaction
        .query_one(
            "select p.prosrc = pgq._capture_code(c, $2) from pgq.capture c
               join pg_proc p on p.oid = to_regprocedure(format('pgq.%I()', c.function_name)) where c.capture_id = $1",
            &[&capture, &table],
        )
        .await;
    match answer {
        Ok(row) => {
            transaction.batch_execute("release savepoint capture_code").await?;
            Ok(row.try_get(0)?)
        }
        Err(error) => {
            let error = Error::from(error);
            // On a broken connection this fails too, and the first error is the one to tell.
            transaction.batch_execute("rollback to savepoint capture_code").await.ok();
            Err(error)
        }
    }
}

fn filled(sql: &str) -> String {
    sql.replace("$REGISTERED", REGISTERED).replace("$ROW_TRIGGERS", ROW_TRIGGERS).replace("$OPTIONS", OPTIONS)
}
