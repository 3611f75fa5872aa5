-- ----------------------------------------------------------------------
-- londiste.copy_range: an initial copy by parts, and how far it has come.
--
-- One row per range of blocks of the source's table.  A range counts as loaded
-- when its snapshot is set; that commits together with its rows.  The rows go
-- when the table is consistent again: docs/design/resumable-copy.md.
-- ----------------------------------------------------------------------
create table if not exists londiste.copy_range (
    queue_name      text        not null,
    table_name      text        not null,
    range_nr        int4        not null,
    first_block     int8        not null,
    end_block       int8,                   -- exclusive; NULL: to the end of the table
    attempt         int4        not null,   -- that loaded it, or may load it
    snapshot        text,                   -- with which it was read; NULL: still to do
    copied_rows     int8,
    copied_bytes    int8,
    source_node     text        not null,
    layout          text        not null,   -- files and columns of both tables; another one voids the copy
    target_oid      oid         not null,

    primary key (queue_name, table_name, range_nr),
    foreign key (queue_name, table_name) references londiste.table_info on update cascade on delete cascade
);

do $grants$
declare
    r text;
begin
    foreach r in array '{pgq_admin,londiste_reader,public}'::text[] loop
        if r = 'public' or exists (select 1 from pg_catalog.pg_roles where rolname = r) then
            execute format('grant %s on table londiste.copy_range to %s',
                           case r when 'pgq_admin' then 'select, insert, update, delete' else 'select' end, r);
        end if;
    end loop;
end
$grants$;
