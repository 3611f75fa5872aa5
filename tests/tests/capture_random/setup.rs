//! The databases that histories begin with, and the tables of one history.

use anyhow::Result;
use tokio_postgres::Client;

use crate::change;
use crate::definitions;
use crate::dice::Dice;
use crate::kinds::{KINDS, ident, kind_of, literal};
use crate::step::{Form, NESTED, NULL_KEY, QUEUE, Setup, WITHOUT_KEY};
use crate::world::{Column, Role, Session, Table, World};

/// Names of columns that are keywords, variables of trigger functions, or have to be escaped.
const COLUMN_NAMES: &[&str] = &[
    "id",
    "k 1",
    "user",
    "select",
    "a&b=c",
    "x=1",
    "100%",
    "Ünï",
    "quo\"te",
    "new",
    "old",
    "_data",
    "tg_op",
    "by",
    "to",
    "v",
    "V",
    "plus+",
    "semi;",
    "sl/ash",
    "'",
    "_state",
    "back\\slash",
    "dot.dot",
    "from",
    "%s",
    "$1",
    "_key_changed",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "null",
    "pg_catalog",
    "query",
];

/// Names of tables likewise.
pub const TABLE_NAMES: &[&str] = &[
    "Order % by",
    "t",
    "T",
    "user",
    "tab le",
    "select",
    "ta\"ble",
    "50%s",
    "Ω",
    "a&b",
    "_londiste",
    "x'y",
    "back\\slash",
    "a.b",
];

/// Schemas; no event can be read that names one with a dot.
pub const SCHEMAS: &[&str] = &["public", "S 2%", "user"];

/// Types and schemas that both databases have.
const BOTH: &str = r#"
    create extension citext;
    create schema "S 2%"; create schema "user"; create schema evil; create schema operators;
    create type public.mood as enum ('ok', 'a&b=c', E'x\x01y', 'é');
    create domain public.short as varchar(10);
    create collation public.blind (provider = icu, locale = 'und-u-ks-level1', deterministic = false);
    create domain public.icu as text collate "en-x-icu"; create domain public.faint as text collate public.blind;
    create domain public.amount as numeric check (value > -1000);
    create domain public.moment as timestamptz;
    create type public.pair as (a int, b text);
    create type public.dated as (d date, f float8, i interval);
    create table public.far (id int); create table evil.far (id int);
    create function evil.lower(text) returns text language plpgsql as $$ begin raise exception 'evil was called' using errcode = 'XX001'; end $$;
"#;

/// A schema that offers a worse version of what captured code may call, and functions of the tests themselves.
const SOURCE: &str = r#"
    do $do$
    declare _r record;
    begin
        for _r in
            select p.proname, pg_get_function_identity_arguments(p.oid) as args, format_type(p.prorettype, null) as result
              from pg_proc p
             where p.pronamespace = 'pg_catalog'::regnamespace and p.prokind = 'f' and not p.proretset and p.provariadic = 0
               and p.proname in ('now', 'txid_current', 'left', 'right', 'replace', 'rtrim', 'btrim', 'strpos', 'substr', 'substring', 'format', 'upper',
                                 'current_setting', 'set_config', 'octet_length', 'length', 'pg_sequence_last_value', 'nextval', 'currval', 'to_regclass',
                                 'hashtext', 'quote_literal', 'quote_ident', 'pg_get_indexdef', 'has_column_privilege', 'pg_get_replica_identity_index',
                                 'starts_with', 'regexp_replace', 'convert_to', 'encode', 'ascii', 'chr', 'repeat', 'pg_typeof', 'to_regrole')
               and not exists (select from unnest(p.proargtypes || p.prorettype) a join pg_type t on t.oid = a where t.typtype = 'p')
        loop
            execute format('create function evil.%I(%s) returns %s language plpgsql as $f$ begin raise exception ''evil was called'' using errcode = ''XX001''; end $f$',
                           _r.proname, _r.args, _r.result);
        end loop;
        for _r in
            select o.oprname, format_type(o.oprleft, null) as l, format_type(o.oprright, null) as r, format_type(o.oprresult, null) as result, o.oid
              from pg_operator o
             where o.oprnamespace = 'pg_catalog'::regnamespace and o.oprname in ('=', '<>', '||', '~', '!~', '~~', '>', '<', '>=', '<=', '+', '-', '*')
               and o.oprleft = any ('{text,name,int8,int4,int2,oid,bool,uuid,numeric,timestamptz,date,bpchar}'::regtype[])
               and o.oprright = any ('{text,name,int8,int4,int2,oid,bool,uuid,numeric,timestamptz,date,bpchar}'::regtype[])
        loop
            execute format('create function evil.op%s(%s, %s) returns %s language plpgsql as $f$ begin raise exception ''evil was called'' using errcode = ''XX001''; end $f$',
                           _r.oid, _r.l, _r.r, _r.result);
            execute format('create operator operators.%s (function = evil.op%s, leftarg = %s, rightarg = %s)', _r.oprname, _r.oid, _r.l, _r.r);
        end loop;
    end $do$;
    create function evil.format(text, text) returns text language plpgsql as $$ begin raise exception 'evil was called' using errcode = 'XX001'; end $$;
    create function evil.concat(text, text) returns text language plpgsql as $$ begin raise exception 'evil was called' using errcode = 'XX001'; end $$;

    create schema h;
    -- tables on which capture was put
    create table h.captured (id oid not null);
    -- a change of definitions, and the event that has the mirror repeat it
    create function h.ddl(_source text[], _mirror text[]) returns void language plpgsql security definer set search_path = pg_catalog as $$
    declare _sql text;
    begin
        foreach _sql in array _source loop execute _sql; end loop;
        if _mirror <> '{}' then perform pgq.insert_event('q', 'ddl', array_to_string(_mirror, E';\n')); end if;
    end $$;
    -- triggers of the user's
    create function h.change() returns trigger language plpgsql set search_path = pg_catalog as $$
    begin
        if tg_op = 'DELETE' then return old; end if;
        new.note := left(coalesce(new.note, '') || '*', 30);
        return new;
    end $$;
    create function h.skip() returns trigger language plpgsql set search_path = pg_catalog as $$
    begin
        if tg_op = 'DELETE' then return case when old.note like '%=%' then null else old end; end if;
        return case when new.note like '%b%' then null else new end;
    end $$;
    create function h.note() returns trigger language plpgsql set search_path = pg_catalog as $$
    begin
        insert into public."Log" (what) values (tg_op || ' ' || tg_table_name);
        return null;
    end $$;
    -- another change of the row just captured
    create function h.again() returns trigger language plpgsql set search_path = pg_catalog as $$
    begin
        if pg_trigger_depth() = 1 then
            execute format('update only %I.%I set note = ''again'' where format(''%%s'', %3$I) = format(''%%s'', ($1).%3$I)', tg_table_schema, tg_table_name, tg_argv[0]) using new;
        end if;
        return null;
    end $$;
    -- changes of other rows, of the same statement too
    create function h.others() returns trigger language plpgsql set search_path = pg_catalog as $$
    begin
        if pg_trigger_depth() = 1 then
            execute format('update only %I.%I set note = left(note || ''!'', 30) where note is distinct from ($1).note', tg_table_schema, tg_table_name) using new;
        end if;
        return new;
    end $$;
    -- the row goes, or goes elsewhere
    create function h.gone() returns trigger language plpgsql set search_path = pg_catalog as $$
    begin
        if pg_trigger_depth() = 1 and new.note like '%a%' then
            execute format('delete from only %I.%I where format(''%%s'', %3$I) = format(''%%s'', ($1).%3$I)', tg_table_schema, tg_table_name, tg_argv[0]) using new;
        end if;
        return null;
    end $$;
    -- a row that does not go, by its key or as it was, and one that comes back in place of another
    create function h.back() returns trigger language plpgsql set search_path = pg_catalog as $$
    begin
        -- once: a cascade would delete a row that refers to itself again and again
        if pg_trigger_depth() = 1 and old.note <> 'back' then
            old.note := 'back';
            execute format('insert into %I.%I select ($1).*', tg_table_schema, tg_table_name) using old;
        end if;
        return null;
    exception when unique_violation or foreign_key_violation or check_violation or not_null_violation or generated_always then
        return null;
    end $$;
    -- another row takes the value that this one had
    create function h.take() returns trigger language plpgsql set search_path = pg_catalog as $$
    begin
        if pg_trigger_depth() = 1 then
            execute format('update only %1$I.%2$I set %3$I = ($1).%3$I where ctid = (select ctid from only %1$I.%2$I t where format(''%%s'', t) <> format(''%%s'', $2) order by format(''%%s'', t) limit 1)',
                           tg_table_schema, tg_table_name, tg_argv[0]) using old, case when tg_op = 'UPDATE' then new end;
        end if;
        return null;
    exception when unique_violation or foreign_key_violation or check_violation or not_null_violation or generated_always or undefined_column then
        return null;
    end $$;
    -- whatever was set is gone
    create function h.reset() returns trigger language plpgsql set search_path = pg_catalog as $$
    begin
        if new.note like '%a%' then execute 'reset all'; end if;
        return null;
    end $$;
    -- called by a statement for the rows that it deletes
    create function h.put_back(_table text, _row text) returns text language plpgsql set search_path = pg_catalog as $$
    begin
        execute format('insert into %1$s select (%2$L::%1$s).*', _table, _row);
        return _table;
    exception when unique_violation or foreign_key_violation or check_violation or not_null_violation or generated_always then
        return null;
    end $$;
    alter default privileges grant all on tables to writer;
    alter default privileges grant all on sequences to writer;
    grant usage on schema public, "S 2%", "user", evil, operators, h to writer;
    grant pgq_writer to writer;
"#;

/// Fills the databases that those of each history are copied from.
pub async fn templates(source: &Client, mirror: &Client) -> Result<()> {
    // COPY reads its rows from files: session.rs
    source.batch_execute("create role writer in role pg_read_server_files").await?;
    source.batch_execute(BOTH).await?;
    mirror.batch_execute(BOTH).await?;
    source.batch_execute(SOURCE).await?;
    Ok(())
}

/// A name that the list does not use yet.
pub fn fresh_name(dice: &mut Dice, pool: &[&str], used: &[&str]) -> String {
    let free: Vec<&&str> = pool.iter().filter(|n| !used.contains(*n)).collect();
    if free.is_empty() { format!("n{}", dice.roll(1_000_000)) } else { (**dice.pick(&free)).to_owned() }
}

/// A name for one more column. Half of the tables have only such names as need no escape: a row of others is never written in the quick ways.
pub fn column_name(dice: &mut Dice, used: &[&str]) -> String {
    let plain = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    let only_plain =
        if used.is_empty() { dice.one_in(2) } else { used.iter().all(|n| plain(n)) && !dice.one_in(8) };
    let pool: Vec<&str> = COLUMN_NAMES.iter().copied().filter(|n| !only_plain || plain(n)).collect();
    fresh_name(dice, &pool, used)
}

/// A kind of columns that may be part of a key.
pub fn key_kind(dice: &mut Dice) -> usize {
    let kinds: Vec<usize> = (0..KINDS.len()).filter(|k| KINDS[*k].key).collect();
    *dice.pick(&kinds)
}

fn column(name: &str, kind: usize) -> Column {
    Column { name: name.to_owned(), kind, generated: false, fixed: false, present: false }
}

/// A table of random columns. Column `note` is always there: triggers write to it.
pub fn random_table(dice: &mut Dice, world: &World, nr: usize) -> Table {
    let used: Vec<&str> = world.tables.iter().map(|t| t.name.as_str()).collect();
    let name = fresh_name(dice, TABLE_NAMES, &used);
    let mut columns: Vec<Column> = Vec::new();
    let keys = 1 + usize::from(dice.one_in(3));
    for at in 0..keys + 1 + dice.roll(7) {
        let used: Vec<&str> = columns.iter().map(|c| c.name.as_str()).collect();
        let column_name = column_name(dice, &used);
        let kind = if at < keys { key_kind(dice) } else { dice.roll(KINDS.len()) };
        columns.push(Column { present: at >= keys && dice.one_in(4), ..column(&column_name, kind) });
    }
    let key = columns[..keys].iter().map(|c| c.name.clone()).collect();
    columns.insert(dice.roll(columns.len() + 1), Column { fixed: true, ..column("note", kind_of("text")) });
    if dice.one_in(4) {
        columns.push(Column {
            name: "computed".to_owned(),
            kind: kind_of("int4"),
            generated: true,
            fixed: true,
            present: false,
        });
    }
    let fit: Vec<&Column> =
        columns.iter().filter(|c| KINDS[c.kind].key && !c.generated && !c.fixed).skip(keys).collect();
    let unique = (!fit.is_empty() && dice.one_in(2)).then(|| dice.pick(&fit).name.clone());
    Table {
        schema: dice.word(SCHEMAS).to_owned(),
        name,
        columns,
        key,
        unique,
        role: Role::Plain,
        exists: true,
        deferrable: false,
        given: false,
        policies: false,
        constraint: format!("key_{nr}"),
    }
}

/// Kinds of keys that are equal though their texts differ, by themselves or by the session's time zone.
const EQUAL_KINDS: &[&str] = &["numeric", "public.citext", "timestamptz", "char(6)", "int4"];

/// A table whose key becomes DEFERRABLE.
fn postponed_table(dice: &mut Dice) -> Table {
    let mut table = simple_table("postponed", &["id"], Role::Plain);
    table.columns[0] = column("id", kind_of(dice.word(EQUAL_KINDS)));
    table.columns.push(column("v", kind_of("int4")));
    table
}

/// A table whose key is given, and may be null.
fn given_table(dice: &mut Dice) -> Table {
    let mut table = Table { given: true, ..simple_table("given", &["id"], Role::Plain) };
    table.columns[0].kind = key_kind(dice);
    table.columns[0].present = dice.one_in(2);
    for nr in 0..2 + dice.roll(3) {
        let (kind, present) = (dice.roll(KINDS.len()), dice.one_in(3));
        table.columns.push(Column { present, ..column(&format!("c{nr}"), kind) });
    }
    table
}

fn simple_table(name: &str, columns: &[&str], role: Role) -> Table {
    let mut all: Vec<Column> =
        columns.iter().map(|c| Column { fixed: true, ..column(c, kind_of("int4")) }).collect();
    all.push(Column { fixed: true, ..column("note", kind_of("text")) });
    Table {
        schema: "public".to_owned(),
        name: name.to_owned(),
        columns: all,
        key: vec![columns[0].to_owned()],
        unique: None,
        role,
        exists: true,
        deferrable: false,
        given: false,
        policies: false,
        constraint: format!("{name}_key"),
    }
}

/// The statements that put capture on a table, and note it.
pub fn capture(form: Form, table: &Table) -> String {
    // statements on a parent do not fire the triggers of statements on its children
    let form = if form == Form::Statement && table.role == Role::Leaf { Form::Row } else { form };
    let key = if table.given { format!(", 'pkey={}'", table.key[0]) } else { String::new() };
    capture_named(form, &table.schema, &table.name, &key)
}

fn capture_named(form: Form, schema: &str, name: &str, options: &str) -> String {
    format!(
        "select pgq.capture_table('{QUEUE}', {}, 'form={form}'{options}); insert into h.captured values ({}::pg_catalog.regclass)",
        literal(&format!("{schema}.{name}")),
        literal(&format!("{}.{}", ident(schema), ident(name)))
    )
}

/// Settings that no generated capture may care about; in each pair a second list that the generic triggers' text does not depend on.
fn settings(dice: &mut Dice, form: Form, superuser: bool, hostile_operators: bool, money: &[&str]) -> String {
    let mut sql = String::new();
    let mut set = |dice: &mut Dice, name: &str, values: &[&str]| {
        if dice.one_in(2) {
            sql.push_str(&format!("set {name} = {};", dice.pick(values)));
        }
    };
    if form.is_generated() {
        set(dice, "datestyle", &["'SQL, DMY'", "'German'", "'Postgres, MDY'", "'ISO, YMD'", "'SQL, MDY'"]);
        set(dice, "intervalstyle", &["sql_standard", "postgres_verbose", "iso_8601", "postgres"]);
        set(dice, "extra_float_digits", &["-15", "0", "3"]);
        set(dice, "quote_all_identifiers", &["on"]);
        set(dice, "lc_monetary", money);
    } else {
        set(dice, "extra_float_digits", &["1", "3"]);
    }
    set(dice, "bytea_output", &["escape", "hex"]);
    set(dice, "timezone", &["'Asia/Kolkata'", "'America/St_Johns'", "'Europe/Amsterdam'", "'UTC'"]);
    if form.is_generated() && hostile_operators {
        set(
            dice,
            "search_path",
            &["operators, evil, pg_catalog", "operators, public, evil, pg_catalog", "''"],
        );
    } else if form.is_generated() {
        set(dice, "search_path", &["evil, public, pg_catalog", "''", "evil, pg_catalog", "\"S 2%\", public"]);
    }
    set(dice, "standard_conforming_strings", &["off; set escape_string_warning = off"]);
    set(dice, "backslash_quote", &["off", "on"]);
    set(dice, "transform_null_equals", &["on"]);
    set(dice, "plan_cache_mode", &["force_generic_plan", "force_custom_plan"]);
    set(dice, "row_security", &["on"]);
    // what is planned without looks so dear that the server compiles all of it, a second for each statement
    set(dice, "enable_seqscan", &["off; set jit = off"]);
    set(dice, "xmloption", &["document"]);
    set(dice, "jit", &["off"]);
    set(dice, "constraint_exclusion", &["on"]);
    if superuser {
        set(dice, "plpgsql.variable_conflict", &["use_column", "use_variable", "error"]);
        set(dice, "plpgsql.check_asserts", &["off"]);
        set(dice, "lc_messages", &["'C'"]);
    }
    if !superuser {
        sql.push_str("set role writer;");
    }
    if !form.is_generated() {
        // names of reg* types stand qualified
        sql.push_str("set search_path = '';");
    }
    sql
}

/// The tables and sessions of one history; `money` are values for `lc_monetary`.
pub fn setup(seed: u64, dice: &mut Dice, form: Form, money: &[&str]) -> (Setup, World) {
    let nested = dice.one_in(2);
    let mut world = World { nested, ..World::default() };
    let mut captured: Vec<usize> = Vec::new();
    let mut extra: Vec<String> = Vec::new();
    let mut add = |world: &mut World, table: Table| {
        captured.push(world.tables.len());
        world.tables.push(table);
    };

    for nr in 0..2 + dice.roll(2) {
        let table = random_table(dice, &world, nr);
        add(&mut world, table);
    }
    // a family: a referenced table, one that refers to it, and a tree
    let (on_delete, on_update) = (["cascade", "set null", "no action"], ["cascade", "set null", "no action"]);
    add(&mut world, simple_table("parent", &["id"], Role::Family));
    add(&mut world, simple_table("child", &["id", "up"], Role::Family));
    add(&mut world, simple_table("tree", &["id", "up"], Role::Family));
    for (table, target) in [("child", "parent"), ("tree", "tree")] {
        extra.push(format!(
            "alter table {table} add foreign key (up) references {target} on delete {} on update {} {}",
            dice.pick(&on_delete),
            dice.pick(&on_update),
            dice.word(&["", "deferrable initially deferred"])
        ));
    }
    if dice.one_in(2) {
        // partitions, written through their parent too
        add(&mut world, simple_table("low", &["id"], Role::Leaf));
        add(&mut world, simple_table("high", &["id"], Role::Leaf));
        world.tables.push(simple_table("Root %", &["id"], Role::Above));
        extra.push(
            "create table \"Root %\" (id int not null, note text, primary key (id)) partition by range (id)"
                .to_owned(),
        );
        extra.extend(["low", "high"].map(attach));
    } else {
        add(&mut world, simple_table("heir", &["id"], Role::Leaf));
        world.tables.push(simple_table("mother", &["id"], Role::Above));
        extra.push(
            "create table mother (id int not null, note text); alter table heir inherit mother".to_owned(),
        );
    }
    if dice.one_in(4) {
        let mut wide = simple_table("wide", &["id"], Role::Plain);
        for nr in 0..130 {
            wide.columns.push(column(
                &format!("c{nr}"),
                if nr % 3 == 0 { dice.roll(KINDS.len()) } else { dice.roll(5) },
            ));
        }
        add(&mut world, wide);
    }
    let postponed = dice.one_in(2).then_some(world.tables.len());
    if postponed.is_some() {
        let table = postponed_table(dice);
        add(&mut world, table);
    }
    // the generic triggers log changes of rows that nobody finds, and do not notice that such a key becomes deferrable
    let given = form.is_generated() && dice.one_in(2);
    if given {
        let table = given_table(dice);
        add(&mut world, table);
    }
    let without_key = dice.one_in(6);
    if without_key {
        let mut table = simple_table("keyless", &["id"], Role::Keyless);
        table.key.clear();
        add(&mut world, table);
    }

    let mut both: Vec<String> = captured.iter().map(|t| world.tables[*t].definition()).collect();
    both.push(
        "create table public.\"Log\" (nr bigint generated always as identity primary key, what text)"
            .to_owned(),
    );
    let mut source = vec![
        "select pgq.create_queue('q'); select pgq.register_consumer('q', 'reader');
         update pgq.queue set queue_rotation_period = '0', queue_ticker_max_lag = '0', queue_ticker_idle_period = '0'"
            .to_owned(),
    ];
    source.extend(captured.iter().filter_map(|t| world.tables[*t].not_null()));
    source.extend(captured.iter().map(|t| capture(form, &world.tables[*t])));
    source.push(capture_named(form, "public", "Log", ""));
    for table in captured.iter().chain(&captured).filter(|t| world.tables[**t].role != Role::Leaf) {
        // the generic triggers write names of reg* types as the session does
        source.push(format!(
            "set search_path = ''; {}; reset search_path",
            change::fill(dice, &world.tables[*table])
        ));
    }
    if dice.one_in(2) {
        source.push("select pgq.refresh_capture()".to_owned());
    }
    source.push("update public.child set up = null; update public.tree set up = null".to_owned());
    source.extend(extra);
    for table in captured.iter().map(|t| &world.tables[*t]).filter(|_| nested) {
        if dice.one_in(2) {
            let name = dice.word(&["A back", "back"]);
            source.push(format!(
                "create trigger {} after delete on {} for each row execute function h.back() {NESTED}",
                ident(name),
                table.full()
            ));
        }
        if let Some(unique) = table.unique.as_ref().filter(|_| dice.one_in(2)) {
            let name = dice.word(&["A take", "take"]);
            source.push(format!(
                "create trigger {} after update or delete on {} for each row execute function h.take({}) {NESTED}",
                ident(name),
                table.full(),
                literal(unique)
            ));
        }
    }
    if let Some(id) = postponed {
        // after it was filled: ON CONFLICT takes no such key
        let again = (form == Form::Row).then_some(form);
        let change = definitions::postpone(dice, again, id, &world.tables[id]);
        source.push(change.sql());
        world.tables[id].deferrable = true;
    }
    if given {
        source.push(format!("select 1 {NULL_KEY}"));
    }
    if without_key {
        source.push(format!("select 1 {WITHOUT_KEY}"));
    }
    let mut sessions = Vec::new();
    // the TRUNCATE trigger is generic: it takes operators from the search_path
    let hostile_operators = dice.one_in(3);
    world.truncates = true;
    for _ in 0..2 + dice.roll(3) {
        let superuser = dice.one_in(2);
        sessions.push(settings(dice, form, superuser, hostile_operators, money));
        world.sessions.push(Session::default());
    }
    (Setup { seed, form, both, source, sessions }, world)
}

/// Makes a table a partition.
pub fn attach(leaf: &str) -> String {
    let bounds = if leaf == "low" { "from (minvalue) to (5)" } else { "from (5) to (maxvalue)" };
    format!("alter table public.\"Root %\" attach partition public.{} for values {bounds}", ident(leaf))
}
