-- pgq.subscription is found newest version first: docs/design/newest-first.md has the reasons.
--
-- Its rows are updated by every batch.  While some transaction holds an old snapshot no old version goes away, and a primary
-- key would lead to all of them, the oldest first.  Here sub_active, which never falls, is part of the index:
-- the newest version lies at its end.  What a primary key would guarantee, pgq.subscription_key does, whose
-- rows come and go with subscriptions and never change otherwise.

create table if not exists pgq.subscription_key (
    sub_queue       int4        not null,
    sub_consumer    int4        not null,
    sub_id          int4        not null,

    constraint subscription_key_pkey primary key (sub_queue, sub_consumer)
);
create index if not exists subscription_key_id_idx on pgq.subscription_key (sub_id);

create or replace function pgq._subscription_key_changed()
returns trigger as $$
-- Row trigger on pgq.subscription: one row of pgq.subscription_key for each row there, whoever writes it.
--
-- Errors:
--      unique_violation for a second subscription of a consumer to a queue, in every isolation level, but not in replica role
begin
    if tg_op = 'UPDATE' and (new.sub_queue, new.sub_consumer, new.sub_id) = (old.sub_queue, old.sub_consumer, old.sub_id) then
        return new;     -- logical replication names all columns in every update
    end if;
    if tg_op in ('DELETE', 'UPDATE') then
        delete from pgq.subscription_key where sub_queue = old.sub_queue and sub_consumer = old.sub_consumer;
    end if;
    if tg_op in ('INSERT', 'UPDATE') then
        if current_setting('session_replication_role') = 'replica' then
            -- logical replication brings the rows of the key, too, before those that they belong to
            insert into pgq.subscription_key (sub_queue, sub_consumer, sub_id)
                values (new.sub_queue, new.sub_consumer, new.sub_id)
                on conflict do nothing;
        else
            insert into pgq.subscription_key (sub_queue, sub_consumer, sub_id)
                values (new.sub_queue, new.sub_consumer, new.sub_id);
        end if;
        return new;
    end if;
    if tg_op = 'TRUNCATE' then
        truncate pgq.subscription_key;
    end if;
    return old;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp;

-- A row of the key that logical replication brings, or pg_restore in replica role, may be there already: it came with
-- the row that it belongs to.  Whichever is first stays, the other is left out; written in this way a row that another
-- worker has not committed yet is waited for.
create or replace function pgq._subscription_key_arrived()
returns trigger as $$
begin
    if pg_trigger_depth() > 1 then
        -- written below, or by _subscription_key_changed()
        return new;
    end if;
    insert into pgq.subscription_key (sub_queue, sub_consumer, sub_id)
    values (new.sub_queue, new.sub_consumer, new.sub_id)
        on conflict do nothing;
    return null;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp;

do $newest$
begin
    -- the trigger first: creating it waits for every open change
    if not exists (select 1 from pg_catalog.pg_trigger
                    where tgrelid = 'pgq.subscription'::pg_catalog.regclass
                      and tgname = 'subscription_key_trigger') then
        create trigger subscription_key_trigger
            before insert or delete or update of sub_queue, sub_consumer, sub_id on pgq.subscription
            for each row execute function pgq._subscription_key_changed();
        alter table pgq.subscription enable always trigger subscription_key_trigger;

        delete from pgq.subscription_key;
        insert into pgq.subscription_key (sub_queue, sub_consumer, sub_id)
            select s.sub_queue, s.sub_consumer, s.sub_id from pgq.subscription s;
    end if;

    if not exists (select 1 from pg_catalog.pg_trigger
                    where tgrelid = 'pgq.subscription'::pg_catalog.regclass
                      and tgname = 'subscription_key_truncate_trigger') then
        create trigger subscription_key_truncate_trigger
            before truncate on pgq.subscription
            for each statement execute function pgq._subscription_key_changed();
        alter table pgq.subscription enable always trigger subscription_key_truncate_trigger;
    end if;

    perform 1 from pg_catalog.pg_trigger
      where tgrelid = 'pgq.subscription_key'::pg_catalog.regclass and tgname = 'subscription_key_arrived_trigger';
    if not found then
        create trigger subscription_key_arrived_trigger
            before insert on pgq.subscription_key
            for each row execute function pgq._subscription_key_arrived();
        alter table pgq.subscription_key enable replica trigger subscription_key_arrived_trigger;
    end if;

    alter table pgq.subscription drop constraint if exists subscription_pkey;
    alter table pgq.subscription drop constraint if exists subscription_batch_idx;
    -- a publication FOR ALL TABLES refuses updates of a table without
    if (select c.relreplident <> 'f' from pg_catalog.pg_class c where c.oid = 'pgq.subscription'::pg_catalog.regclass) then
        alter table pgq.subscription replica identity full;
    end if;
end;
$newest$;
-- the primary key went, what it implied stays
alter table pgq.subscription alter column sub_queue set not null, alter column sub_consumer set not null;
create index if not exists subscription_newest_idx on pgq.subscription (sub_queue, sub_consumer, sub_active);
create index if not exists subscription_batch_idx on pgq.subscription (sub_batch) where sub_batch is not null;
