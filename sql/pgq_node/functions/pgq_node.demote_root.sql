-- ----------------------------------------------------------------------
-- pgq_node.demote_root(queue, step, new_provider)
--
--   Planned takeover, seen from the old root.  Each step in its own transaction.
--     1  refuse new events, stop the ticker
--     2  wait until running writers have finished, then insert the last tick:
--        every event that will ever be in this queue lies before it
--     3  (after the new root has been promoted) become a branch below it
--   Steps 1 and 2 may be repeated.
--
-- Returns:
--   200  step done; last_tick is that of step 2, or the newest tick in step 3
--   301  node is not root
--   404  node not initialized
-- Raises:  `steps in wrong order`, `incorrect step number`;
--          invalid_transaction_state when step 2 runs under a snapshot that is
--          older than the lock it takes
-- Writes:  pgq.queue by UPDATE (its triggers publish the flags to writers of
--          every isolation level), pgq.tick, pgq_node.node_info, local_state
-- ----------------------------------------------------------------------
create or replace function pgq_node.demote_root(
    in i_queue_name text,
    in i_step int4,
    in i_new_provider text,
    out ret_code int4,
    out ret_note text,
    out last_tick int8)
returns record
as $$
declare
    l_node record;
begin
    select n.node_type, n.worker_name, q.queue_id, q.queue_disable_insert, q.queue_data_pfx,
           q.queue_event_seq, q.queue_tick_seq
      into l_node
      from pgq_node.node_info n
      left join pgq.queue q on q.queue_name = n.queue_name
     where n.queue_name = i_queue_name
       for no key update of n;
    if not found then
        ret_code := 404;
        ret_note := 'Node not initialized for queue: ' || coalesce(i_queue_name, 'NULL');
        return;
    end if;
    if l_node.node_type <> 'root' then
        ret_code := 301;
        ret_note := 'Node not root';
        return;
    end if;
    if i_step > 1 and not l_node.queue_disable_insert then
        raise exception 'steps in wrong order';
    end if;

    case
    when i_step = 1 then
        update pgq.queue
           set queue_disable_insert = true,
               queue_external_ticker = true
         where queue_name = i_queue_name;
        ret_note := format('Step 1: Writing disabled for: %s', i_queue_name);

    when i_step = 2 then
        -- The tick must get a snapshot taken after the lock.
        if current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
            raise exception 'demote_root step 2 needs isolation level read committed, not %',
                    current_setting('transaction_isolation')
                using errcode = 'invalid_transaction_state',
                      hint = 'Run it in its own transaction: begin isolation level read committed.';
        end if;
        -- Takes the children too; conflicts with every writer.
        execute format('lock table %s in exclusive mode', pgq.quote_fqname(l_node.queue_data_pfx));
        select pgq.ticker(i_queue_name,
                          nextval(pgq.quote_fqname(l_node.queue_tick_seq)::regclass),
                          now(),
                          nextval(pgq.quote_fqname(l_node.queue_event_seq)::regclass))
          into last_tick;
        ret_note := format('Step 2: Inserted last tick: %s', i_queue_name);

    when i_step = 3 then
        perform 1 from pgq_node.node_location
          where queue_name = i_queue_name and node_name = i_new_provider;
        if not found then
            raise exception 'location of node "%" is not known for queue "%"',
                    i_new_provider, i_queue_name
                using errcode = 'foreign_key_violation',
                      hint = 'Register it with pgq_node.register_location() first.';
        end if;
        -- from the end of the index: while a snapshot is held the ticks pile up
        select t.tick_id into last_tick
          from pgq.tick t
         where t.tick_queue = l_node.queue_id
         order by t.tick_id desc
         limit 1;
        update pgq_node.node_info
           set node_type = 'branch'
         where queue_name = i_queue_name;
        perform pgq_node._set_local_state(i_queue_name, l_node.worker_name, '{provider_node,last_tick_id,uptodate}',
                                          i_provider_node => i_new_provider, i_last_tick_id => last_tick, i_uptodate => false);
        ret_note := format('Step 3: Demoted root to branch: %s', i_queue_name);

    else
        raise exception 'incorrect step number';
    end case;
    ret_code := 200;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_sort = off;
