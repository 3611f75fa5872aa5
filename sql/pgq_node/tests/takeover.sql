-- demote_root and promote_branch: order of steps, last tick, flags, repetition.
\ir expect.psql
select pgq_node.register_location(q, x, 'dbname=' || x, false) from unnest('{n1,n2}'::text[]) x, unnest('{q,l}'::text[]) q;
select pgq_node.create_node('q', 'root', 'n1', 'w1', null, null, null);
select pg_temp.fails($$ select pgq_node.demote_root('q', 2, 'n2') $$, null, 'steps in wrong order');
select pg_temp.fails($$ select pgq_node.demote_root('q', 4, 'n2') $$, null, 'steps in wrong order');
select pg_temp.fails($$ select pgq_node.demote_root('q', 0, 'n2') $$, null, 'incorrect step number');
select pg_temp.eq(f::text, '(301,"Node not branch")') from pgq_node.promote_branch('q') f;
select pg_temp.eq(f::text, '(404,"Node not initialized for queue: zz")') from pgq_node.promote_branch('zz') f;
select pg_temp.eq(f::text, '(404,"Node not initialized for queue: zz",)') from pgq_node.demote_root('zz', 1, 'n2') f;

select pgq.insert_event('q', 't', 'before');
select pg_temp.eq(f::text, '(200,"Step 1: Writing disabled for: q",)') from pgq_node.demote_root('q', 1, 'n2') f;
select pg_temp.eq(f::text, '(200,"Step 1: Writing disabled for: q",)') from pgq_node.demote_root('q', 1, 'n2') f;
select pg_temp.rows('select queue_disable_insert, queue_external_ticker from pgq.queue', '(t,t)');
select pg_temp.fails($$ select pgq.insert_event('q', 't', 'refused') $$, null, '%disallow%');
select pg_temp.fails($$ select pgq_node.demote_root('q', 4, 'n2') $$, null, 'incorrect step number');
select pg_temp.eq(f.ret_code || f.ret_note || f.last_tick, '200Step 2: Inserted last tick: q2') from pgq_node.demote_root('q', 2, 'n2') f;
select pg_temp.eq(f.last_tick::text, '3') from pgq_node.demote_root('q', 2, 'n2') f;
select pg_temp.eq(current_setting('session_replication_role'), 'origin');

begin isolation level repeatable read;
select pg_temp.fails($$ select pgq_node.demote_root('q', 2, 'n2') $$, '25000', 'demote_root step 2 needs isolation level read committed%');
rollback;
-- the lock keeps writers out until the tick is committed
begin;
select pgq_node.demote_root('q', 2, 'n2');
select pg_temp.rows('select count(distinct c.relname) from pg_locks l join pg_class c on c.oid = l.relation
    where l.mode = ''ExclusiveLock'' and c.relname ~ ''^event_[0-9]+(_[0-9]+)?$'' and l.granted', '(4)');
rollback;

select pg_temp.fails($$ select pgq_node.demote_root('q', 3, null) $$, '23503', 'location of node%');
select pg_temp.fails($$ select pgq_node.demote_root('q', 3, 'nx') $$, '23503', 'location of node "nx"%');
select pgq_node.set_consumer_uptodate('q', 'w1', true);
select pg_temp.eq(f.ret_code || f.ret_note || f.last_tick, '200Step 3: Demoted root to branch: q3') from pgq_node.demote_root('q', 3, 'n2') f;
select pg_temp.eq(f::text, '(301,"Node not root",)') from pgq_node.demote_root('q', 3, 'n2') f;
select pg_temp.rows('select node_type, provider_node, worker_last_tick, worker_uptodate from pgq_node.get_node_info(''q'')', '(branch,n2,3,f)');

-- the new root's ticks, copied, then back again
select pgq.ticker('q', 40, now(), 50);
select pg_temp.eq(f::text, '(200,"Branch node promoted to root")') from pgq_node.promote_branch('q') f;
select pg_temp.rows('select node_type, provider_node, worker_last_tick, worker_uptodate from pgq_node.get_node_info(''q'')', '(root,n1,40,f)');
select pg_temp.rows('select queue_disable_insert, queue_external_ticker from pgq.queue', '(f,f)');
select pgq.insert_event('q', 't', 'after');
select pgq.force_tick('q');
select pg_temp.eq((pgq.ticker('q') > 40)::text, 'true');

select pgq_node.create_node('l', 'leaf', 'n2', 'lw', 'n1', 3, null);
select pg_temp.eq(f::text, '(301,"Node not root",)') from pgq_node.demote_root('l', 1, 'n2') f;
select pg_temp.eq(f::text, '(301,"Node not branch")') from pgq_node.promote_branch('l') f;
