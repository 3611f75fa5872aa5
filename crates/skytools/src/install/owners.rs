//! Everything of a module belongs to one role. Its functions run with the rights of their owners, and use each other, the tables and the
//! sequences: what belongs to somebody else stops writes and ticks, whoever makes them.
//!
//! So an installation works as the owner of what is there. The connection's own role does what takes its rights: it creates roles, releases
//! extensions, drops old functions, and gives to the owner what belongs to others.

use tokio_postgres::{GenericClient, Transaction};

use super::verify::{Difference, DifferenceKind, Manifest};
use super::{Module, bundle::SqlFile};
use crate::quote::ident;
use crate::{Error, ErrorKind, Result};

/// The aspect of a [`Difference`] of an object that belongs to another role.
pub(super) const ASPECT: &str = "owner";

/// Roles of one installation.
#[derive(Debug, Clone)]
pub(super) struct Roles {
    /// That of the connection.
    pub session: String,
    /// That everything of the module belongs to.
    pub owner: String,
}

impl Roles {
    /// Who does the work: `module` with its objects where it is installed, else who owns the module that it is built on, if the connection
    /// may work as that role, else the connection's role.
    ///
    /// # Errors
    /// [`ErrorKind::Permission`] when the module is there and belongs to a role that this one may not act as.
    pub(super) async fn of(transaction: &Transaction<'_>, module: Module) -> Result<Self> {
        let session: String = transaction.query_one("select current_user::text", &[]).await?.try_get(0)?;
        if let Some(owner) = owner_of(transaction, module).await? {
            if !may_become(transaction, &owner).await? {
                return Err(foreign(transaction, module, &owner, &session).await?);
            }
            return Ok(Roles { session, owner });
        }
        if let Some(base) = module.needs().first()
            && let Some(owner) = owner_of(transaction, *base).await?
            && may_become(transaction, &owner).await?
        {
            return Ok(Roles { session, owner });
        }
        Ok(Roles { owner: session.clone(), session })
    }

    /// From here on, until the end of the transaction, the connection acts as the owner.
    pub(super) async fn act_as_owner(&self, transaction: &Transaction<'_>) -> Result<()> {
        self.act_as(transaction, &self.owner).await
    }

    /// The connection acts as itself again.
    pub(super) async fn act_as_session(&self, transaction: &Transaction<'_>) -> Result<()> {
        self.act_as(transaction, &self.session).await
    }

    async fn act_as(&self, transaction: &Transaction<'_>, role: &str) -> Result<()> {
        if self.owner == self.session {
            return Ok(());
        }
        transaction
            .batch_execute(&format!("set local role {}", ident(role)))
            .await
            .map_err(|e| Error::from(e).context(format!("cannot act as role \"{role}\"")))
    }
}

/// Whether a file takes the rights of the connection's role: it creates roles, releases an extension of a superuser's, or drops functions,
/// whoever made them.
pub(super) fn is_for_session(file: &SqlFile) -> bool {
    ["structure/adopt.sql", "release_extension.sql", "structure/roles.sql", "structure/obsolete.sql"]
        .iter()
        .any(|name| file.path.ends_with(name))
}

/// The role that a module belongs to; `None` when it is not installed.
pub(super) async fn owner_of<C: GenericClient>(client: &C, module: Module) -> Result<Option<String>> {
    let row = client.query_opt(OWNER, &[&module.name(), &main_table(module)]).await?;
    row.map(|row| Ok(row.try_get(0)?)).transpose()
}

/// A table that exists in every version of the module.
const fn main_table(module: Module) -> &'static str {
    match module {
        Module::Pgq => "pgq.queue",
        Module::PgqExt => "pgq_ext.completed_tick",
        Module::PgqNode => "pgq_node.node_info",
        Module::Londiste => "londiste.table_info",
        // Has functions only.
        Module::PgqCoop => "pgq_coop.none",
    }
}

/// The owner of schema and main table. Where these are two, one of them was changed by mistake: the one that owns more of the rest.
const OWNER: &str = "
select pg_catalog.pg_get_userbyid(k.owner)::text
  from (select n.nspowner as owner, n.oid as schema, 1 as nr from pg_catalog.pg_namespace n where n.nspname = $1
        union all
        select c.relowner, c.relnamespace, 0 from pg_catalog.pg_class c where c.oid = pg_catalog.to_regclass($2::text)) k
 order by (select pg_catalog.count(*) from pg_catalog.pg_proc p where p.pronamespace = k.schema and p.proowner = k.owner)
          + (select pg_catalog.count(*) from pg_catalog.pg_class c where c.relnamespace = k.schema and c.relowner = k.owner) desc,
          k.nr
 limit 1";

/// Whether the connection's role may `set role` to another.
pub(super) async fn may_become<C: GenericClient>(client: &C, role: &str) -> Result<bool> {
    let row = client
        .query_one(
            "select case when pg_catalog.current_setting('server_version_num')::int4 >= 160000
                         then pg_catalog.pg_has_role($1::text::name, 'SET') else pg_catalog.pg_has_role($1::text::name, 'MEMBER') end",
            &[&role],
        )
        .await?;
    Ok(row.try_get(0)?)
}

async fn foreign<C: GenericClient>(client: &C, module: Module, owner: &str, session: &str) -> Result<Error> {
    let database: String = client.query_one("select current_database()::text", &[]).await?.try_get(0)?;
    Ok(Error::new(
        ErrorKind::Permission,
        format!(
            "cannot upgrade module {module} in database \"{database}\": schema {module} belongs to role \"{owner}\", and \"{session}\" may not act as it"
        ),
    )
    .hint(format!(
        "Connect as \"{owner}\" (user={owner} in the connect string), or let an administrator run: grant {} to {};",
        ident(owner),
        ident(session)
    )))
}

/// An object that belongs to another role than the rest.
#[derive(Debug)]
pub(super) struct Stray {
    /// As in the [`Inventory`](super::Inventory).
    pub object: String,
    /// Whom it belongs to.
    pub owner: String,
    /// What gives it to the owner of the module.
    pub statement: String,
}

/// Objects of a fresh installation that belong to others than the module does. The transaction has `search_path` set to `pg_catalog`.
///
/// What users have put into the schema is theirs; a sequence that belongs to a column goes with its table.
pub(super) async fn strays<C: GenericClient>(
    client: &C,
    module: Module,
    fresh: &Manifest,
) -> Result<Vec<Stray>> {
    let Some(owner) = owner_of(client, module).await? else { return Ok(Vec::new()) };
    let found = read(client, OBJECTS, &[&module.name(), &owner], &owner).await?;
    Ok(found.into_iter().filter(|s| fresh.objects.contains_key(&s.object)).collect())
}

/// Event tables and sequences of queues, and the functions that insert into them, that belong to others than pgq does.
///
/// Of functions only those that `pgq.refresh_queue_code()` writes anew: nobody else's code may come to run with the owner's rights.
pub(super) async fn generated_strays<C: GenericClient>(client: &C) -> Result<Vec<Stray>> {
    let Some(owner) = owner_of(client, Module::Pgq).await? else { return Ok(Vec::new()) };
    let there: bool = client
        .query_one(
            "select pg_catalog.to_regclass('pgq.queue') is not null
                    and (select pg_catalog.count(*) from pg_catalog.pg_attribute
                          where attrelid = pg_catalog.to_regclass('pgq.queue') and not attisdropped
                            and attname in ('queue_data_pfx', 'queue_ntables', 'queue_event_seq', 'queue_tick_seq')) = 4",
            &[],
        )
        .await?
        .try_get(0)?;
    if !there {
        return Ok(Vec::new());
    }
    read(client, GENERATED, &[&owner], &owner).await
}

async fn read<C: GenericClient>(
    client: &C,
    sql: &str,
    parameters: &[&(dyn tokio_postgres::types::ToSql + Sync)],
    owner: &str,
) -> Result<Vec<Stray>> {
    let mut strays = Vec::new();
    for row in client.query(sql, parameters).await? {
        let named: String = row.try_get(1)?;
        strays.push(Stray {
            object: row.try_get(0)?,
            statement: format!("alter {named} owner to {}", ident(owner)),
            owner: row.try_get(2)?,
        });
    }
    Ok(strays)
}

/// `$1` schema, `$2` owner: object as in the inventory, as in ALTER, its owner. The schema first: the owner needs rights on it.
const OBJECTS: &str = "
select o.object, o.named, pg_get_userbyid(o.owner)::text
  from (select 0 as nr, format('schema %I', n.nspname) as object, format('schema %I', n.nspname) as named, n.nspowner as owner
          from pg_namespace n where n.nspname = $1
        union all
        select 1, format('%s %I.%I', k.kind, n.nspname, c.relname), format('%s %I.%I', k.kind, n.nspname, c.relname), c.relowner
          from pg_class c
          join pg_namespace n on n.oid = c.relnamespace,
               lateral (select case c.relkind when 'r' then 'table' when 'v' then 'view' when 'S' then 'sequence' else 'type' end as kind) k
         where n.nspname = $1 and c.relkind in ('r', 'v', 'S', 'c')
           and not exists (select 1 from pg_depend d
                            where c.relkind = 'S' and d.classid = 'pg_class'::regclass and d.objid = c.oid
                              and d.refclassid = 'pg_class'::regclass and d.refobjsubid > 0 and d.deptype in ('a', 'i'))
        union all
        select 2, format('%s %I.%I(%s)', k.kind, n.nspname, p.proname, oidvectortypes(p.proargtypes)), format('%s %s', k.kind, p.oid::regprocedure), p.proowner
          from pg_proc p
          join pg_namespace n on n.oid = p.pronamespace,
               lateral (select case p.prokind when 'p' then 'procedure' when 'a' then 'aggregate' else 'function' end as kind) k
         where n.nspname = $1
        union all
        select 3, format('type %I.%I', n.nspname, t.typname), format('type %I.%I', n.nspname, t.typname), t.typowner
          from pg_type t
          join pg_namespace n on n.oid = t.typnamespace
         where n.nspname = $1 and t.typtype in ('e', 'd', 'r')) o
 where pg_get_userbyid(o.owner) <> $2::text::name
 order by o.nr, o.object";

/// `$1` owner: the same of what was made for queues.
const GENERATED: &str = "
with leaves as (
    select count(*) as n from pg_proc where pronamespace = 'pgq'::regnamespace and proname ~ '^_insert_leaf_[0-9]+$')
select o.named, o.named, pg_get_userbyid(o.owner)::text
  from (select 0 as nr, format('%s %s', case c.relkind when 'S' then 'sequence' else 'table' end, c.oid::regclass) as named, c.relowner as owner
          from pgq.queue q,
               lateral (select q.queue_data_pfx
                        union all select q.queue_data_pfx || '_' || n from generate_series(0, q.queue_ntables - 1) n
                        union all values (q.queue_event_seq), (q.queue_tick_seq), (q.queue_data_pfx || '_state_seq')) p (name)
          join pg_class c on c.oid = to_regclass(p.name) and c.relnamespace = 'pgq'::regnamespace and c.relkind in ('r', 'S')
        union all
        select 1, format('function %s', p.oid::regprocedure), p.proowner
          from pg_proc p, leaves l
         where p.pronamespace = 'pgq'::regnamespace
           and oidvectortypes(p.proargtypes) = 'text, timestamp with time zone, text, text, text, text, text, text, bigint'
           and (p.proname ~ '^_insert_leaf_[0-9]+$'
                or p.proname ~ '^_insert_tree_[0-9]{1,5}$' and substr(p.proname, 14)::int4 <= l.n / 16)) o
 where pg_get_userbyid(o.owner) <> $1::text::name
 order by o.nr, o.named";

/// The strays among the objects of a module, as differences from a fresh installation.
pub(super) async fn differences<C: GenericClient>(
    client: &C,
    module: Module,
    fresh: &Manifest,
) -> Result<Vec<Difference>> {
    let strays = strays(client, module, fresh).await?;
    let Some(owner) = (if strays.is_empty() { None } else { owner_of(client, module).await? }) else {
        return Ok(Vec::new());
    };
    let difference = |stray: Stray| Difference {
        object: stray.object,
        kind: DifferenceKind::Different,
        aspect: Some(ASPECT.to_owned()),
        expected: Some(owner.clone()),
        found: Some(stray.owner),
        ..Difference::default()
    };
    Ok(strays.into_iter().map(difference).collect())
}

/// Before the files of a module run as its owner: gives the owner what others have, and the rights on its own schema.
///
/// The functions among it are replaced by the files, in the same transaction.
///
/// # Errors
/// [`ErrorKind::Permission`] naming the statement that this role may not run.
pub(super) async fn settle(transaction: &Transaction<'_>, module: Module, roles: &Roles) -> Result<()> {
    let mut strays = match Manifest::embedded(module) {
        Ok(fresh) => strays(transaction, module, &fresh).await?,
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    if module == Module::Pgq {
        strays.extend(generated_strays(transaction).await?);
    }
    for stray in strays {
        let Stray { object, owner, statement } = stray;
        run(transaction, &statement, || {
            format!("{object} belongs to role \"{owner}\", the rest of {module} to \"{}\"", roles.owner)
        })
        .await?;
    }
    let bare: bool = transaction
        .query_one(
            "select coalesce((select not (pg_catalog.has_schema_privilege($2::text::name, n.oid, 'create')
                                          and pg_catalog.has_schema_privilege($2::text::name, n.oid, 'usage'))
                                from pg_catalog.pg_namespace n where n.nspname = $1), false)",
            &[&module.name(), &roles.owner],
        )
        .await?
        .try_get(0)?;
    if bare {
        let statement = format!("grant all on schema {module} to {}", ident(&roles.owner));
        run(transaction, &statement, || {
            format!("role \"{}\" has no rights on its schema {module}", roles.owner)
        })
        .await?;
    }
    Ok(())
}

/// Runs a statement that may be beyond this role's rights.
async fn run(transaction: &Transaction<'_>, statement: &str, why: impl Fn() -> String) -> Result<()> {
    transaction.batch_execute(statement).await.map_err(|error| {
        let refused = error.code().is_some_and(|c| c.code() == "42501");
        let error = Error::from(error).context(why());
        if refused {
            error.hint(format!("Install as a superuser, or let one run: {statement};"))
        } else {
            error
        }
    })
}

/// `CREATE SCHEMA IF NOT EXISTS` asks for CREATE on the database, whether or not the schema is there. An owner that has lost it gets it for
/// as long as the files of a module run, if this role may give it.
///
/// # Returns
/// The statement that takes it back.
///
/// # Errors
/// [`ErrorKind::Permission`] with the statement for the owner of the database.
pub(super) async fn lend_create(
    transaction: &Transaction<'_>,
    module: Module,
    roles: &Roles,
) -> Result<Option<String>> {
    let row = transaction
        .query_one(
            "select current_database()::text, pg_catalog.has_database_privilege($1::text::name, current_database(), 'create'),
                    pg_catalog.has_database_privilege(current_database(), 'create with grant option')",
            &[&roles.owner],
        )
        .await?;
    let (database, has, may_give): (String, bool, bool) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    if has {
        return Ok(None);
    }
    let (database_name, owner) = (ident(&database), ident(&roles.owner));
    let grant = format!("grant create on database {database_name} to {owner}");
    if !may_give {
        return Err(Error::new(
            ErrorKind::Permission,
            format!(
                "cannot install module {module}: role \"{}\" may not create schemas in database \"{database}\"",
                roles.owner
            ),
        )
        .hint(format!("Let the database's owner run: {grant};")));
    }
    transaction.batch_execute(&grant).await?;
    Ok(Some(format!("revoke create on database {database_name} from {owner}")))
}
