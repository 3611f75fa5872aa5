-- ----------------------------------------------------------------------
-- pgq_node.local_state is found newest version first, as pgq.subscription is:
-- docs/design/newest-first.md has the reasons.
--
-- last_tick_id is part of the index: positions move forward, so the newest version
-- lies at its end.  After a move backwards a look-up is slower as long as old
-- versions cannot be removed, never wrong.  What the primary key guaranteed,
-- local_state_key does.
-- ----------------------------------------------------------------------
create table if not exists pgq_node.local_state_key (
    queue_name      text        not null,
    consumer_name   text        not null,

    primary key (queue_name, consumer_name)
);

-- One row of local_state_key for each row of local_state, whoever writes it.
create or replace function pgq_node._local_state_key_changed()
returns trigger
as $$
begin
    if tg_op = 'UPDATE' and (new.queue_name, new.consumer_name) = (old.queue_name, old.consumer_name) then
        return new;     -- logical replication names all columns in every update
    end if;
    if tg_op in ('DELETE', 'UPDATE') then
        delete from pgq_node.local_state_key
         where queue_name = old.queue_name and consumer_name = old.consumer_name;
    end if;
    if tg_op in ('INSERT', 'UPDATE') then
        if current_setting('session_replication_role') = 'replica' then
            -- logical replication brings the rows of the key, too
            insert into pgq_node.local_state_key (queue_name, consumer_name)
            values (new.queue_name, new.consumer_name)
                on conflict do nothing;
        else
            insert into pgq_node.local_state_key (queue_name, consumer_name)
            values (new.queue_name, new.consumer_name);
        end if;
        return new;
    end if;
    if tg_op = 'TRUNCATE' then
        truncate pgq_node.local_state_key;
    end if;
    return old;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;

-- A row of the key that logical replication brings, or pg_restore in replica role, may be there already: it came with
-- the row that it belongs to.  Whichever is first stays, the other is left out; written in this way a row that another
-- worker has not committed yet is waited for.
create or replace function pgq_node._local_state_key_arrived()
returns trigger
as $$
begin
    if pg_trigger_depth() > 1 then
        -- written below, or by _local_state_key_changed()
        return new;
    end if;
    insert into pgq_node.local_state_key (queue_name, consumer_name)
    values (new.queue_name, new.consumer_name)
        on conflict do nothing;
    return null;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;

do $newest$
declare
    l_pkey name;
begin
    -- the trigger first: creating it waits for every open change
    perform 1 from pg_catalog.pg_trigger
      where tgrelid = 'pgq_node.local_state'::regclass and tgname = 'local_state_key_trigger';
    if not found then
        create trigger local_state_key_trigger
            before insert or delete or update of queue_name, consumer_name on pgq_node.local_state
            for each row execute function pgq_node._local_state_key_changed();
        create trigger local_state_key_truncate_trigger
            before truncate on pgq_node.local_state
            for each statement execute function pgq_node._local_state_key_changed();
        alter table pgq_node.local_state enable always trigger local_state_key_trigger;
        alter table pgq_node.local_state enable always trigger local_state_key_truncate_trigger;

        delete from pgq_node.local_state_key;
        insert into pgq_node.local_state_key (queue_name, consumer_name)
        select s.queue_name, s.consumer_name from pgq_node.local_state s;
    end if;

    perform 1 from pg_catalog.pg_trigger
      where tgrelid = 'pgq_node.local_state_key'::regclass and tgname = 'local_state_key_arrived_trigger';
    if not found then
        create trigger local_state_key_arrived_trigger
            before insert on pgq_node.local_state_key
            for each row execute function pgq_node._local_state_key_arrived();
        alter table pgq_node.local_state_key enable replica trigger local_state_key_arrived_trigger;
    end if;

    select k.conname into l_pkey
      from pg_catalog.pg_constraint k
     where k.conrelid = 'pgq_node.local_state'::regclass and k.contype = 'p';
    if found then
        execute format('alter table pgq_node.local_state drop constraint %I', l_pkey);
    end if;
    -- a publication FOR ALL TABLES refuses updates of a table without
    perform 1 from pg_catalog.pg_class
      where oid = 'pgq_node.local_state'::regclass and relreplident <> 'f';
    if found then
        alter table pgq_node.local_state replica identity full;
    end if;
end
$newest$;
-- the primary key went, what it implied stays
alter table pgq_node.local_state alter column queue_name set not null, alter column consumer_name set not null;
create index if not exists local_state_newest_idx on pgq_node.local_state (queue_name, consumer_name, last_tick_id);
