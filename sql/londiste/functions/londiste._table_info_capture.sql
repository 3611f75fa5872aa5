-- londiste._table_info_capture(): notes what captures a table when it has been added
-- or changed, forgets it when the table is not local any more.
create or replace function londiste._table_info_capture()
returns trigger
as $$
declare
    l_queue text = case when TG_OP = 'DELETE' then OLD.queue_name else NEW.queue_name end;
    l_name text = case when TG_OP = 'DELETE' then OLD.table_name else NEW.table_name end;
begin
    -- Mostly deferred: the row may have been changed again since.
    perform 1 from londiste.table_info t
      where t.queue_name = l_queue and t.table_name = l_name and t.local;
    if found then
        -- Other attributes are no reason to believe that a trigger that is gone should be.
        perform londiste._remember_capture(l_queue, l_name,
                    case TG_OP when 'UPDATE' then NEW.local and not OLD.local else TG_OP = 'INSERT' and NEW.local end);
    else
        -- Whoever may write table_info alone need not be stopped where there is nothing to forget.
        perform 1 from londiste.table_capture c
          where c.queue_name = l_queue and c.table_name = l_name;
        if found then
            delete from londiste.table_capture c where c.queue_name = l_queue and c.table_name = l_name;
        end if;
    end if;
    return null;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
