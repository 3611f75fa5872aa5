-- ----------------------------------------------------------------------
-- Positions are found newest version first: docs/design/newest-first.md has the reasons.
--
-- The position is part of the index: it moves forward, so the newest version lies at
-- the end.  After a move backwards a look-up is slower as long as old versions cannot
-- be removed, never wrong.  What the primary keys guaranteed, position_key does.
-- completed_event keeps its key: its rows come and go with their batch and are never updated.
-- ----------------------------------------------------------------------
create table if not exists pgq_ext.position_key (
    table_name      text    not null,
    consumer_id     text    not null,
    subconsumer_id  text    not null,

    primary key (table_name, consumer_id, subconsumer_id)
);

-- One row of position_key for each row of the three tables, whoever writes it.
create or replace function pgq_ext._position_key_changed()
returns trigger
as $$
begin
    if tg_op = 'UPDATE' and (new.consumer_id, new.subconsumer_id) = (old.consumer_id, old.subconsumer_id) then
        return new;     -- logical replication names all columns in every update
    end if;
    if tg_op in ('DELETE', 'UPDATE') then
        delete from pgq_ext.position_key
         where table_name = tg_table_name
           and consumer_id = old.consumer_id
           and subconsumer_id = old.subconsumer_id;
    end if;
    if tg_op in ('INSERT', 'UPDATE') then
        if current_setting('session_replication_role') = 'replica' then
            -- logical replication brings the rows of the key, too
            insert into pgq_ext.position_key (table_name, consumer_id, subconsumer_id)
            values (tg_table_name, new.consumer_id, new.subconsumer_id)
                on conflict do nothing;
        else
            insert into pgq_ext.position_key (table_name, consumer_id, subconsumer_id)
            values (tg_table_name, new.consumer_id, new.subconsumer_id);
        end if;
        return new;
    end if;
    if tg_op = 'TRUNCATE' then
        delete from pgq_ext.position_key where table_name = tg_table_name;
    end if;
    return old;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;

-- A row of the key that logical replication brings, or pg_restore in replica role, may be there already: it came with
-- the row that it belongs to.  Whichever is first stays, the other is left out; written in this way a row that another
-- worker has not committed yet is waited for.
create or replace function pgq_ext._position_key_arrived()
returns trigger
as $$
begin
    if pg_trigger_depth() > 1 then
        -- written below, or by _position_key_changed()
        return new;
    end if;
    insert into pgq_ext.position_key (table_name, consumer_id, subconsumer_id)
    values (new.table_name, new.consumer_id, new.subconsumer_id)
        on conflict do nothing;
    return null;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;

do $newest$
declare
    l_table record;
    l_pkey name;
begin
    perform 1 from pg_catalog.pg_trigger
      where tgrelid = 'pgq_ext.position_key'::regclass and tgname = 'position_key_arrived_trigger';
    if not found then
        create trigger position_key_arrived_trigger
            before insert on pgq_ext.position_key
            for each row execute function pgq_ext._position_key_arrived();
        alter table pgq_ext.position_key enable replica trigger position_key_arrived_trigger;
    end if;

    for l_table in
        select v.name, v.version, format('pgq_ext.%I', v.name)::regclass as rel
          from (values ('completed_tick', 'last_tick_id'),
                       ('completed_batch', 'last_batch_id'),
                       ('partial_batch', 'cur_batch_id')) v (name, version)
    loop
        -- the trigger first: creating it waits for every open change
        perform 1 from pg_catalog.pg_trigger where tgrelid = l_table.rel and tgname = 'position_key_trigger';
        if not found then
            execute format('create trigger position_key_trigger '
                           'before insert or delete or update of consumer_id, subconsumer_id on %s '
                           'for each row execute function pgq_ext._position_key_changed()', l_table.rel);
            execute format('create trigger position_key_truncate_trigger before truncate on %s '
                           'for each statement execute function pgq_ext._position_key_changed()', l_table.rel);
            execute format('alter table %s enable always trigger position_key_trigger', l_table.rel);
            execute format('alter table %s enable always trigger position_key_truncate_trigger', l_table.rel);
            delete from pgq_ext.position_key where table_name = l_table.name;
            execute format('insert into pgq_ext.position_key select %L, consumer_id, subconsumer_id from %s',
                           l_table.name, l_table.rel);
        end if;

        select k.conname into l_pkey from pg_catalog.pg_constraint k where k.conrelid = l_table.rel and k.contype = 'p';
        if found then
            execute format('alter table %s drop constraint %I', l_table.rel, l_pkey);
        end if;
        -- the primary key went, what it implied stays
        execute format('alter table %s alter column consumer_id set not null, alter column subconsumer_id set not null', l_table.rel);
        execute format('create index if not exists %I on %s (consumer_id, subconsumer_id, %I)',
                       l_table.name || '_newest_idx', l_table.rel, l_table.version);
        -- a publication FOR ALL TABLES refuses updates of a table without
        perform 1 from pg_catalog.pg_class where oid = l_table.rel and relreplident <> 'f';
        if found then
            execute format('alter table %s replica identity full', l_table.rel);
        end if;
    end loop;
end
$newest$;
