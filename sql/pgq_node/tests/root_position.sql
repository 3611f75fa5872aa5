-- A root's worker_last_tick is the newest tick, whether or not its worker has published a watermark:
-- wait-root on other nodes waits for it.
do $$
declare
    l_before bigint;
    l_after bigint;
begin
    perform pgq_node.register_location('q', 'n1', 'dbname=x', false);
    perform pgq_node.create_node('q', 'root', 'n1', 'w', null, null, null);
    select worker_last_tick into l_before from pgq_node.get_node_info('q');
    update pgq.queue set queue_ticker_max_lag = '0', queue_ticker_max_count = 1;
    for i in 1..3 loop
        perform pgq.insert_event('q', 'a', i::text);
    end loop;
    if pgq.ticker('q') is null then
        raise exception 'no tick';
    end if;
    select worker_last_tick into l_after from pgq_node.get_node_info('q');
    if l_after is distinct from (select max(tick_id) from pgq.tick) or l_after <= l_before then
        raise exception 'root is at %, was at %', l_after, l_before;
    end if;
    if (select last_tick_id from pgq_node.get_consumer_info('q')) is distinct from l_before then
        raise exception 'the published position moved by itself';
    end if;
end $$;
