-- Names with quotes, upper case, spaces and SQL in every argument.
\ir expect.psql
create table public.victim (id int);
create temp table odd (nr serial, name text);
insert into odd (name) values ('UPPER'), ('with space'), ('it''s'), ('a"b'), ('x''; drop table public.victim; --'),
    ('x"; drop table public.victim; --'), ('back\slash'), ('%s %I'), ('$1'), ('żółć'), ('a.b'), (repeat('long', 40));
do $$
declare
    n text;
    r record;
begin
    for n in select name from odd order by nr loop
        perform pgq_node.register_location(n, n, n, false);
        perform pgq_node.register_location(n, n || '2', n, false);
        select * into r from pgq_node.create_node(n, 'root', n, n, null, null, null);
        assert r.ret_code = 200, r.ret_note;
        assert r.ret_note = 'Node "' || n || '" initialized for queue "' || n || '" with type "root"', r.ret_note;
        assert (select worker_name from pgq_node.get_node_info(n)) = n;
        assert (select ret_code from pgq_node.register_subscriber(n, n || '2', n || '2', null)) = 200;
        assert (select worker_name from pgq_node.get_subscriber_info(n)) = n || '2';
        assert (select ret_code from pgq_node.set_subscriber_watermark(n, n || '2', 1)) = 100;
        assert (select ret_code from pgq_node.register_consumer(n, n || '3', n, 1)) = 200;
        assert (select ret_code from pgq_node.set_consumer_error(n, n || '3', n)) = 100;
        assert (select cur_error from pgq_node.get_consumer_state(n, n || '3')) = n;
        assert (select ret_code from pgq_node.set_node_attrs(n, n)) = 200;
        assert (select ret_code from pgq_node.set_global_watermark(n, null)) = 200;
        assert (select ret_code from pgq_node.demote_root(n, 1, n || '2')) = 200;
        assert (select ret_code from pgq_node.demote_root(n, 2, n || '2')) = 200;
        assert (select ret_code from pgq_node.demote_root(n, 3, n || '2')) = 200;
        assert (select ret_code from pgq_node.promote_branch(n)) = 200;
        assert (select ret_code from pgq_node.unregister_subscriber(n, n || '2')) = 200;
        assert (select ret_code from pgq_node.drop_node(n, n)) = 200;
    end loop;
    assert to_regclass('public.victim') is not null;
    assert not exists (select 1 from pgq.queue);
end $$;
