//! User-defined types that columns need.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::GenericClient;

use crate::quote::{ident, literal};
use crate::{Error, Result};

/// A type that is not built in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeStruct {
    /// Schema.
    pub schema: String,
    /// Name.
    pub name: String,
    /// What it is made of.
    pub form: TypeForm,
}

/// What a type is made of. Types in it are SQL text with every name qualified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TypeForm {
    /// An enumeration with its labels in order.
    Enum(Vec<String>),
    /// A domain.
    Domain {
        /// The type below, with modifier.
        base: String,
        /// Collation, when it is not that of the base type.
        collation: Option<String>,
        /// Whether NULL is refused.
        not_null: bool,
        /// Default expression.
        default: Option<String>,
        /// Name and definition of each check.
        checks: Vec<(String, String)>,
    },
    /// A composite type: name, type and collation of each attribute.
    Composite(Vec<(String, String, Option<String>)>),
    /// A range.
    Range {
        /// Subtype.
        subtype: String,
        /// Operator class, when it is not the default one.
        opclass: Option<String>,
        /// Collation, when it is not that of the subtype.
        collation: Option<String>,
        /// Canonical function.
        canonical: Option<String>,
        /// Difference function.
        difference: Option<String>,
        /// Name of its multirange type.
        multirange: Option<String>,
    },
    /// The row type of a table, which has to exist.
    TableRow,
    /// A type that only its extension can make.
    Extension(String),
    /// A base type written in C, which has to exist.
    Base,
}

impl TypeStruct {
    /// `schema.name`, quoted.
    pub fn quoted_name(&self) -> String {
        format!("{}.{}", ident(&self.schema), ident(&self.name))
    }

    /// The statement that makes it.
    ///
    /// # Errors
    /// [`ErrorKind::State`](crate::ErrorKind::State) for a type that cannot be made here, with a hint how it comes.
    pub fn create_sql(&self) -> Result<String> {
        let name = self.quoted_name();
        let cannot = |why: String, hint: String| {
            Err(Error::state(format!("cannot create type {name}: {why}")).hint(hint))
        };
        match &self.form {
            TypeForm::Enum(labels) => {
                let labels: Vec<String> = labels.iter().map(|l| literal(l)).collect();
                Ok(format!("create type {name} as enum ({})", labels.join(", ")))
            }
            TypeForm::Domain { base, collation, not_null, default, checks } => {
                let mut sql = format!("create domain {name} as {base}");
                for (word, value) in [("collate", collation), ("default", default)] {
                    if let Some(value) = value {
                        sql.push_str(&format!(" {word} {value}"));
                    }
                }
                if *not_null {
                    sql.push_str(" not null");
                }
                for (check, definition) in checks {
                    sql.push_str(&format!(" constraint {} {definition}", ident(check)));
                }
                Ok(sql)
            }
            TypeForm::Composite(attributes) => {
                let attributes: Vec<String> = attributes
                    .iter()
                    .map(|(name, type_name, collation)| {
                        let collation = collation.as_ref().map_or(String::new(), |c| format!(" collate {c}"));
                        format!("{} {type_name}{collation}", ident(name))
                    })
                    .collect();
                Ok(format!("create type {name} as ({})", attributes.join(", ")))
            }
            TypeForm::Range { subtype, opclass, collation, canonical: None, difference, multirange } => {
                let mut words = vec![format!("subtype = {subtype}")];
                let optional = [
                    ("subtype_opclass", opclass),
                    ("collation", collation),
                    ("subtype_diff", difference),
                    ("multirange_type_name", multirange),
                ];
                words.extend(optional.iter().filter_map(|(w, v)| v.as_ref().map(|v| format!("{w} = {v}"))));
                Ok(format!("create type {name} as range ({})", words.join(", ")))
            }
            TypeForm::Range { .. } => cannot(
                "its canonical function is written for it".to_owned(),
                "Create the function and the type by hand, then try again.".to_owned(),
            ),
            TypeForm::TableRow => {
                cannot("it is the row type of a table".to_owned(), format!("Create table {name} first."))
            }
            TypeForm::Extension(extension) => cannot(
                format!("it belongs to extension {extension}"),
                format!("Run there: create extension {};", ident(extension)),
            ),
            TypeForm::Base => cannot(
                "it is written in C".to_owned(),
                "Install what it comes from, then try again.".to_owned(),
            ),
        }
    }
}

/// Types reachable from the roots, with what each needs directly; built-in ones are left out.
const REACHABLE: &str = "
with recursive need (oid) as (
    select unnest($1::oid[])
    union
    select x.oid
      from need
      join pg_catalog.pg_type t on t.oid = need.oid
      cross join lateral (
            select t.typelem where t.typcategory = 'A'
            union all select t.typbasetype where t.typtype = 'd'
            union all select a.atttypid from pg_catalog.pg_attribute a
                       where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
            union all select r.rngsubtype from pg_catalog.pg_range r where r.rngtypid = t.oid
            union all select r.rngtypid from pg_catalog.pg_range r where r.rngmultitypid = t.oid) x (oid)
     where t.typnamespace <> 'pg_catalog'::regnamespace
)
select t.oid, n.nspname::text, t.typname::text, t.typtype::text,
       t.typcategory = 'A' or t.typtype = 'm' as derived,
       array(select t.typelem where t.typcategory = 'A'
             union all select t.typbasetype where t.typtype = 'd'
             union all select a.atttypid from pg_catalog.pg_attribute a
                        where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
             union all select r.rngsubtype from pg_catalog.pg_range r where r.rngtypid = t.oid
             union all select r.rngtypid from pg_catalog.pg_range r where r.rngmultitypid = t.oid),
       (select e.extname::text from pg_catalog.pg_depend d
          join pg_catalog.pg_extension e on e.oid = d.refobjid
         where d.classid = 'pg_type'::regclass and d.objid = t.oid and d.refclassid = 'pg_extension'::regclass
           and d.deptype = 'e'),
       coalesce((select c.relkind <> 'c' from pg_catalog.pg_class c where c.oid = t.typrelid), false)
  from need
  join pg_catalog.pg_type t on t.oid = need.oid
  join pg_catalog.pg_namespace n on n.oid = t.typnamespace
 where n.nspname <> 'pg_catalog'";

struct Found {
    schema: String,
    name: String,
    kind: String,
    derived: bool,
    needs: Vec<u32>,
    extension: Option<String>,
    row_type: bool,
}

/// The user-defined types behind the given type oids, each after those that it needs.
pub(super) async fn load<C: GenericClient>(client: &C, roots: &[u32]) -> Result<Vec<TypeStruct>> {
    let mut found = BTreeMap::new();
    for row in client.query(REACHABLE, &[&roots]).await? {
        let entry = Found {
            schema: row.try_get(1)?,
            name: row.try_get(2)?,
            kind: row.try_get(3)?,
            derived: row.try_get(4)?,
            needs: row.try_get(5)?,
            extension: row.try_get(6)?,
            row_type: row.try_get(7)?,
        };
        found.insert(row.try_get::<_, u32>(0)?, entry);
    }
    let mut order = Vec::new();
    let mut seen = BTreeSet::new();
    for oid in roots {
        visit(*oid, &found, &mut seen, &mut order);
    }
    let mut types = Vec::with_capacity(order.len());
    for oid in order {
        let Some(entry) = found.get(&oid).filter(|e| !e.derived) else { continue };
        let form = match (&entry.extension, entry.kind.as_str()) {
            (Some(extension), _) => TypeForm::Extension(extension.clone()),
            (None, "e") => enumeration(client, oid).await?,
            (None, "d") => domain(client, oid).await?,
            (None, "c") if entry.row_type => TypeForm::TableRow,
            (None, "c") => composite(client, oid).await?,
            (None, "r") => range(client, oid).await?,
            _ => TypeForm::Base,
        };
        types.push(TypeStruct { schema: entry.schema.clone(), name: entry.name.clone(), form });
    }
    Ok(types)
}

/// Depth first, needed types before those that need them.
fn visit(oid: u32, found: &BTreeMap<u32, Found>, seen: &mut BTreeSet<u32>, order: &mut Vec<u32>) {
    let Some(entry) = found.get(&oid) else { return };
    if !seen.insert(oid) {
        return;
    }
    // Members of an extension come with it, whatever they are made of.
    if entry.extension.is_none() && !entry.row_type {
        for needed in &entry.needs {
            visit(*needed, found, seen, order);
        }
    }
    order.push(oid);
}

async fn enumeration<C: GenericClient>(client: &C, oid: u32) -> Result<TypeForm> {
    let rows = client
        .query(
            "select enumlabel::text from pg_catalog.pg_enum where enumtypid = $1 order by enumsortorder",
            &[&oid],
        )
        .await?;
    Ok(TypeForm::Enum(rows.iter().map(|r| r.try_get(0)).collect::<Result<_, _>>()?))
}

async fn domain<C: GenericClient>(client: &C, oid: u32) -> Result<TypeForm> {
    let row = client
        .query_one(
            "select pg_catalog.format_type(t.typbasetype, t.typtypmod), t.typnotnull, t.typdefault,
                    case when t.typcollation <> b.typcollation
                         then (select format('%I.%I', n.nspname, c.collname) from pg_catalog.pg_collation c
                                 join pg_catalog.pg_namespace n on n.oid = c.collnamespace where c.oid = t.typcollation) end,
                    pg_catalog.pg_get_expr(t.typdefaultbin, 0)
               from pg_catalog.pg_type t
               join pg_catalog.pg_type b on b.oid = t.typbasetype
              where t.oid = $1",
            &[&oid],
        )
        .await?;
    let checks = client
        .query(
            "select conname::text, pg_catalog.pg_get_constraintdef(oid) from pg_catalog.pg_constraint
              where contypid = $1 and contype = 'c' order by conname::text collate \"C\"",
            &[&oid],
        )
        .await?;
    Ok(TypeForm::Domain {
        base: row.try_get(0)?,
        not_null: row.try_get(1)?,
        default: row.try_get(4)?,
        collation: row.try_get(3)?,
        checks: checks.iter().map(|r| Ok((r.try_get(0)?, r.try_get(1)?))).collect::<Result<_>>()?,
    })
}

async fn composite<C: GenericClient>(client: &C, oid: u32) -> Result<TypeForm> {
    let rows = client
        .query(
            "select a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod),
                    case when a.attcollation <> b.typcollation
                         then (select format('%I.%I', n.nspname, c.collname) from pg_catalog.pg_collation c
                                 join pg_catalog.pg_namespace n on n.oid = c.collnamespace where c.oid = a.attcollation) end
               from pg_catalog.pg_type t
               join pg_catalog.pg_attribute a on a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
               join pg_catalog.pg_type b on b.oid = a.atttypid
              where t.oid = $1 order by a.attnum",
            &[&oid],
        )
        .await?;
    let attributes = rows.iter().map(|r| Ok((r.try_get(0)?, r.try_get(1)?, r.try_get(2)?)));
    Ok(TypeForm::Composite(attributes.collect::<Result<_>>()?))
}

async fn range<C: GenericClient>(client: &C, oid: u32) -> Result<TypeForm> {
    let row = client
        .query_one(
            "select pg_catalog.format_type(r.rngsubtype, null),
                    (select format('%I.%I', n.nspname, o.opcname) from pg_catalog.pg_opclass o
                       join pg_catalog.pg_namespace n on n.oid = o.opcnamespace
                      where o.oid = r.rngsubopc and not o.opcdefault),
                    case when r.rngcollation <> b.typcollation
                         then (select format('%I.%I', n.nspname, c.collname) from pg_catalog.pg_collation c
                                 join pg_catalog.pg_namespace n on n.oid = c.collnamespace where c.oid = r.rngcollation) end,
                    nullif(r.rngcanonical::oid, 0)::regproc::text, nullif(r.rngsubdiff::oid, 0)::regproc::text,
                    (select format('%I.%I', n.nspname, m.typname) from pg_catalog.pg_type m
                       join pg_catalog.pg_namespace n on n.oid = m.typnamespace where m.oid = r.rngmultitypid)
               from pg_catalog.pg_range r
               join pg_catalog.pg_type b on b.oid = r.rngsubtype
              where r.rngtypid = $1",
            &[&oid],
        )
        .await?;
    Ok(TypeForm::Range {
        subtype: row.try_get(0)?,
        opclass: row.try_get(1)?,
        collation: row.try_get(2)?,
        canonical: row.try_get(3)?,
        difference: row.try_get(4)?,
        multirange: row.try_get(5)?,
    })
}

/// Makes the types that are missing, in order, and compares those that are there. Gives the statements that were run.
///
/// # Errors
/// [`ErrorKind::State`](crate::ErrorKind::State) for a type that is there and is made of something else, or that
/// cannot be made; errors of the server.
pub(super) async fn ensure<C: GenericClient>(client: &C, types: &[TypeStruct]) -> Result<Vec<String>> {
    let mut done = Vec::new();
    for wanted in types {
        let row = client
            .query_opt(
                "select t.oid from pg_catalog.pg_type t join pg_catalog.pg_namespace n on n.oid = t.typnamespace
                  where n.nspname = $1 and t.typname = $2",
                &[&wanted.schema, &wanted.name],
            )
            .await?;
        let Some(row) = row else {
            for sql in
                [super::create::schema_if_missing(client, &wanted.schema).await?, Some(wanted.create_sql()?)]
                    .into_iter()
                    .flatten()
            {
                client
                    .batch_execute(&sql)
                    .await
                    .map_err(|e| Error::from(e).context(format!("creating type {}", wanted.quoted_name())))?;
                done.push(sql);
            }
            continue;
        };
        let here = load(client, &[row.try_get(0)?]).await?;
        let here = here.iter().find(|t| t.schema == wanted.schema && t.name == wanted.name);
        if here != Some(wanted) {
            let shown = |t: &TypeStruct| t.create_sql().unwrap_or_else(|e| e.to_string());
            return Err(Error::state(format!(
                "type {} differs: on the source it is: {}; here it is: {}",
                wanted.quoted_name(),
                shown(wanted),
                here.map_or_else(|| "another kind of type".to_owned(), shown)
            ))
            .hint("Make the two types alike with ALTER TYPE or ALTER DOMAIN, then try again."));
        }
    }
    Ok(done)
}
