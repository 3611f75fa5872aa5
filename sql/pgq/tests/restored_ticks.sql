-- A tick from beyond this server's transaction ids, as a restored dump brings it: no tick may follow, whether
-- all of its snapshot lies ahead or only the end, and the refusal says what to do.
select pgq.create_queue('restored "q'), pgq.create_queue('sound');

create procedure check_refused(i_xmin int8, i_xmax int8) language plpgsql as $$
declare
    _id int8;
    _said text;
    _remedy text = 'select pgq.rebase_transactions(''restored "q'')';
begin
    select tick_id into _id from pgq.tick join pgq.queue on queue_id = tick_queue where queue_name = 'restored "q';
    update pgq.tick set tick_snapshot = format('%s:%s:', i_xmin, i_xmax)::txid_snapshot, tick_time = now() - interval '1 hour'
     where tick_id = _id and tick_queue = (select queue_id from pgq.queue where queue_name = 'restored "q');
    perform pgq.insert_event('restored "q', 't', 'd');
    begin
        perform pgq.ticker('restored "q');
    exception
        when raise_exception then
            _said := sqlerrm;
    end;
    assert _said like format('Invalid PgQ state: old xmin=%s, old xmax=%s, cur txid=%%', i_xmin, i_xmax), coalesce(_said, 'a tick was made');
    assert strpos(_said, 'queue "restored "q"') > 0 and strpos(_said, 'skytools verify --repair') > 0 and strpos(_said, _remedy) > 0, _said;
    -- the others tick
    update pgq.tick set tick_time = now() - interval '1 hour'
     where tick_queue = (select queue_id from pgq.queue where queue_name = 'sound');
    assert pgq.ticker() = 1;
    assert (select count(*) from pgq.tick join pgq.queue on queue_id = tick_queue where queue_name = 'restored "q') = 1;
end;
$$;
-- far beyond whatever else runs on this server
call check_refused(txid_current() + 1000000000, txid_current() + 1000000001);
call check_refused(txid_current() - 1, txid_current() + 1000000000);

-- what it names helps, also where event tables are published, which have no key
create publication everything for all tables;
do $$
declare
    _before text[] := (select array_agg(concat(relname, relreplident) order by oid) from pg_class where relnamespace = 'pgq'::regnamespace);
begin
    perform pgq.rebase_transactions('restored "q');
    assert (select array_agg(concat(relname, relreplident) order by oid) = _before from pg_class where relnamespace = 'pgq'::regnamespace);
end;
$$;
drop publication everything;
do $$
begin
    assert pgq.ticker('restored "q') is not null;
end;
$$;
