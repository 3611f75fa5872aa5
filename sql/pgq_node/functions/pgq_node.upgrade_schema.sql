-- ----------------------------------------------------------------------
-- pgq_node.upgrade_schema(): bring tables of an older installation up to date.
--
-- Returns:  number of changes made.
-- ----------------------------------------------------------------------
create or replace function pgq_node.upgrade_schema()
returns int4
as $$
declare
    cnt int4 = 0;
begin
    perform 1 from pg_catalog.pg_attribute
      where attrelid = 'pgq_node.node_info'::regclass
        and attname = 'node_attrs' and not attisdropped;
    if not found then
        alter table pgq_node.node_info add column node_attrs text;
        cnt := cnt + 1;
    end if;
    return cnt;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;
