create or replace function pgq._type_equality(i_type oid)
returns text as $$
-- Names the equality operator of a type: that of its default operator class for btree, else for hash.
--
-- Returns:
--      schema.operator for OPERATOR(); null for types without one and for arrays, which are compared by their text
declare
    _type oid := i_type;
    _t record;
    _op text;
begin
    loop
        select t.typtype, t.typbasetype, t.typrelid, t.typcategory, t.typelem, t.typlen
          into _t
          from pg_catalog.pg_type t
         where t.oid = _type;
        exit when _t.typtype <> 'd';
        _type := _t.typbasetype;
    end loop;

    if _t.typelem <> 0 and _t.typlen = -1 then
        return null;
    elsif _t.typtype in ('e', 'r', 'm') then
        return 'pg_catalog.=';
    elsif _t.typtype = 'c' then
        if exists (select 1 from pg_catalog.pg_attribute a
                    where a.attrelid = _t.typrelid and a.attnum > 0 and not a.attisdropped
                      and pgq._type_equality(a.atttypid) is null
                      and not exists (select 1 from pg_catalog.pg_type e
                                       where e.oid = a.atttypid and e.typelem <> 0 and e.typlen = -1)) then
            return null;
        end if;
        return 'pg_catalog.=';
    end if;

    select pg_catalog.quote_ident(n.nspname) || '.' || o.oprname into _op
      from (select _type as input, 0 as distance
            union all
            select c.casttarget, 1 from pg_catalog.pg_cast c
             where c.castsource = _type and c.castmethod = 'b' and c.castcontext = 'i') i
           join pg_catalog.pg_opclass k on k.opcintype = i.input and k.opcdefault
           join pg_catalog.pg_am m on m.oid = k.opcmethod and m.amname in ('btree', 'hash')
           join pg_catalog.pg_amop a on a.amopfamily = k.opcfamily
                and a.amoplefttype = k.opcintype and a.amoprighttype = k.opcintype
                and a.amopstrategy = case m.amname when 'btree' then 3 else 1 end
           join pg_catalog.pg_operator o on o.oid = a.amopopr
           join pg_catalog.pg_namespace n on n.oid = o.oprnamespace
     order by i.distance, m.amname
     limit 1;
    return _op;
end;
$$ language plpgsql stable;

create or replace function pgq._column_equal(i_type oid, i_left text, i_right text)
returns text as $$
-- Writes the SQL that compares two values of a type; "null" when their text has to decide.
declare
    _op text := pgq._type_equality(i_type);
    _base oid := i_type;
    _next oid;
    _cast text := '';
begin
    loop
        select t.typbasetype into _next from pg_catalog.pg_type t where t.oid = _base and t.typtype = 'd';
        exit when not found;
        -- operators over anyenum and the like do not take a domain; the cast only changes the label
        _base := _next;
        _cast := '::' || pg_catalog.format_type(_base, -1);
    end loop;
    return coalesce('(' || i_left || ')' || _cast || ' operator(' || _op || ') (' || i_right || ')' || _cast, 'null');
end;
$$ language plpgsql stable;

create or replace function pgq._column_text(i_type oid, i_value text)
returns text as $$
-- Writes the SQL that turns a value into text by the output function of its type, null staying null.
--
-- Never a cast: casts to text differ from the output function for some types, and users can define their own.
--
-- Parameters:
--      i_type      - type of the value
--      i_value     - SQL of the value
declare
    _out record;
    _base oid := i_type;
begin
    loop
        select t.typtype, t.typbasetype, p.proname, p.pronamespace, a.oid as takes, a.typtype as takes_type into _out
          from pg_catalog.pg_type t
               join pg_catalog.pg_proc p on p.oid = t.typoutput
               join pg_catalog.pg_type a on a.oid = p.proargtypes[0]
         where t.oid = _base;
        exit when _out.typtype <> 'd';
        _base := _out.typbasetype;
    end loop;
    if _base in ('text'::pg_catalog.regtype, 'varchar'::pg_catalog.regtype) then
        return i_value || case when i_type = 'text'::pg_catalog.regtype then '' else '::pg_catalog.text' end;
    elsif _out.pronamespace = 'pg_catalog'::pg_catalog.regnamespace and _base < 16384
          and (_out.takes = _base or _out.takes_type = 'p') then
        return 'pg_catalog.textin(pg_catalog.' || _out.proname || '(' || i_value || '))';
    end if;
    return 'case when ' || i_value || ' is distinct from null then pg_catalog.format(''%s'', ' || i_value || ') end';
end;
$$ language plpgsql stable;
