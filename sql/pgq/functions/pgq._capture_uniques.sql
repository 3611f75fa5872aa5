-- Unique indexes and exclusion constraints of a captured table, and how generated capture finds the rows that a row would collide with.

create or replace function pgq._capture_equal(i_type oid, i_class oid, i_exclusion oid, i_left text, i_right text, out same text, out indexed boolean, out certain boolean)
as $$
-- SQL that is true where two values collide in an index.
--
-- It will run as the owner of PgQ, so no code of the owners of types may be reached by it.  An operator class of a btree is a superuser's
-- work.  What chooses among operators of one name could be a cast, though: where types of users are compared by an operator of
-- pg_catalog's (enumerations, composites, arrays, ranges), a type with implicit casts is not compared so.  (PostgreSQL would not choose, but fail.)
--
-- Parameters:
--      i_class     - operator class of the column in the index
--      i_exclusion - operator of the exclusion constraint; else null
-- Returns:
--      same        - null if there is no such SQL
--      indexed     - an index finds it; else the two are compared by their text, which may take equal ones for different
--      certain     - no cast that is made later could make the operator ambiguous, and it goes nowhere
declare
    _type oid := i_type;
    _t record;
    _o record;
begin
    loop
        select t.typtype, t.typbasetype, t.typnamespace = 'pg_catalog'::regnamespace as own into _t from pg_type t where t.oid = _type;
        exit when _t.typtype <> 'd';
        _type := _t.typbasetype;
    end loop;
    select o.oprleft, o.oprleft = o.oprright as even, o.oprnamespace = 'pg_catalog'::regnamespace as own, o.oprname as name, n.nspname as schema,
           l.lanname in ('internal', 'c') and (r.rolsuper or p.proowner = f.proowner) and has_schema_privilege(f.proowner, n.oid, 'usage') as trusted
      into _o
      from pg_operator o
           join pg_namespace n on n.oid = o.oprnamespace
           join pg_proc p on p.oid = o.oprcode
           join pg_language l on l.oid = p.prolang
           join pg_roles r on r.oid = p.proowner
           join pg_proc f on f.oid = 'pgq._apply_allowed(text)'::regprocedure
     where o.oid = coalesce(i_exclusion, pgq._capture_equality(i_class));
    indexed := found and _o.even and case
        when _t.own then _o.own and _t.typtype <> 'c'
        when _o.own then _o.oprleft in ('anyenum'::regtype, 'anyarray'::regtype, 'anyrange'::regtype, 'anymultirange'::regtype, 'record'::regtype)
                         and not exists (select 1 from pg_cast c where c.castsource = _type and c.castcontext = 'i')
        else _o.oprleft = _type and _o.trusted end;
    certain := not indexed or _t.own;
    same := case
        when indexed then format('%s operator(%I.%s) %s', i_left, _o.schema, _o.name, i_right)
        when i_exclusion is null
        then format('(pg_catalog.format(''%%s'', %1$s) collate pg_catalog."C" operator(pg_catalog.=) pg_catalog.format(''%%s'', %2$s)'
                    ' and %1$s is distinct from null and %2$s is distinct from null)', i_left, i_right) end;
end;
$$ language plpgsql stable set search_path = pg_catalog, pgq, pg_temp set standard_conforming_strings = on;

create or replace function pgq._capture_equality(i_class oid)
returns oid as $$
-- The operator by which a btree's operator class has two values for equal.
    select a.amopopr
      from pg_opclass c join pg_amop a on a.amopfamily = c.opcfamily and a.amoplefttype = c.opcintype and a.amoprighttype = c.opcintype
     where c.oid = i_class and c.opcmethod = (select m.oid from pg_am m where m.amname = 'btree') and a.amopstrategy = 3 and a.amoppurpose = 's';
$$ language sql stable set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_unique_indexes(i_table oid)
returns oid[] as $$
-- The unique indexes of a table, the primary key's among them, and those of exclusion constraints.
    select array(select x.indexrelid from pg_index x
                  where x.indrelid = i_table and (x.indisunique or x.indisexclusion) and x.indislive
                  order by 1);
$$ language sql stable set search_path = pg_catalog, pgq, pg_temp;

create or replace function pgq._capture_uniques(i_table oid, i_ignored text[], i_old text)
returns table (index_id oid, columns text[], known text, same text, indexed boolean, certain boolean, postponed boolean) as $$
-- How to find by the unique indexes of a table who has the values of a row.
--
-- Not by those with ignored columns, since subscribers do not have these; by those with expressions in pgq._capture_expressions().
--
-- Parameters:
--      i_old       - a row that had the values, as SQL
-- Returns:
--      columns     - their names
--      known       - SQL: i_old has values that another row cannot have
--      same        - SQL: row x of the table has the values of i_old
--      indexed     - the index serves for that
--      certain     - the operators will be found again
--      postponed   - two rows may have the values until the transaction ends
    select x.indexrelid, array_agg(a.attname::text order by k.nr),
           case when n.nulls then 'true' else string_agg(format('%s.%s is distinct from null', i_old, q.ident), ' and ' order by k.nr) end,
           string_agg(case when n.nulls then format('(%1$s or not (%2$s.%3$s is distinct from null or x.%3$s is distinct from null))', e.same, i_old, q.ident)
                           else e.same end, ' and ' order by k.nr),
           bool_and(e.indexed), bool_and(e.certain), not x.indimmediate
      from pg_index x
           cross join lateral (select coalesce(to_jsonb(x) ->> 'indnullsnotdistinct', 'false') = 'true') n (nulls)
           left join pg_constraint o on o.conindid = x.indexrelid and o.conrelid = x.indrelid and o.contype in ('p', 'u', 'x')
           cross join lateral unnest(x.indkey::int2[], x.indclass::oid[], x.indcollation::oid[], o.conexclop) with ordinality k (attnum, opclass, coll, exclusion, nr)
           join pg_attribute a on a.attrelid = x.indrelid and a.attnum = k.attnum
           cross join lateral (select '"' || replace(a.attname, '"', '""') || '"') q (ident)
           cross join lateral pgq._capture_equal(a.atttypid, k.opclass, k.exclusion,
               'x.' || q.ident || coalesce((select format(' collate %I.%I', s.nspname, c.collname)
                                              from pg_collation c join pg_namespace s on s.oid = c.collnamespace
                                             where c.oid = k.coll and c.oid <> a.attcollation), ''),
               i_old || '.' || q.ident) e
     where x.indexrelid = any (pgq._capture_unique_indexes(i_table)) and x.indexprs is null and k.nr <= x.indnkeyatts
     group by x.indexrelid, x.indimmediate, n.nulls
    having not array_agg(a.attname::text) && i_ignored and bool_and(e.same is not null)
     order by x.indexrelid;
$$ language sql stable set search_path = pg_catalog, pgq, pg_temp set standard_conforming_strings = on;

create or replace function pgq._capture_expressions(i_table oid, i_ignored text[])
returns table (index_id oid, columns text[], same text) as $$
-- Likewise for unique indexes and exclusion constraints that have expressions: lower(mail), for instance.
--
-- Only where all in them is PostgreSQL's own, and their columns are of its own types.
--
-- Returns:
--      columns     - those that the expressions look at
--      same        - SQL: a row of the table, whose columns stand there unqualified, has the values of $1; for a search_path that begins with pg_catalog
    select x.indexrelid, c.names,
           string_agg(format('(%1$s) operator(pg_catalog.%2$s) (select %1$s from (select ($1).*) y)', pg_get_indexdef(x.indexrelid, k.nr::int4, false), p.oprname), ' and ' order by k.nr)
      from pg_index x
           left join pg_constraint o on o.conindid = x.indexrelid and o.conrelid = x.indrelid and o.contype = 'x'
           cross join lateral unnest(x.indclass::oid[], o.conexclop) with ordinality k (opclass, exclusion, nr)
           cross join lateral (
               select array_agg(a.attname::text) as names, bool_and(t.typnamespace = 'pg_catalog'::regnamespace and t.typtype in ('b', 'r', 'm')) as own
                 from pg_depend d
                      join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
                      join pg_type t on t.oid = a.atttypid
                where d.classid = 'pg_class'::regclass and d.objid = x.indexrelid and d.refclassid = 'pg_class'::regclass and d.refobjid = i_table and d.refobjsubid > 0) c
           left join pg_operator p on p.oid = coalesce(k.exclusion, pgq._capture_equality(k.opclass)) and p.oprnamespace = 'pg_catalog'::regnamespace
     where x.indexrelid = any (pgq._capture_unique_indexes(i_table)) and x.indexprs is not null
       and c.own and not c.names && i_ignored
       -- what comes with PostgreSQL is not noted there
       and not exists (select 1 from pg_depend d
                        where d.classid = 'pg_class'::regclass and d.objid = x.indexrelid
                          and d.refclassid in ('pg_proc'::regclass, 'pg_operator'::regclass, 'pg_type'::regclass, 'pg_opclass'::regclass, 'pg_opfamily'::regclass))
     group by x.indexrelid, c.names
    having bool_and(p.oprname is not null)
     order by x.indexrelid;
$$ language sql stable set search_path = pg_catalog, pgq, pg_temp set standard_conforming_strings = on;
