//! The structure of a table.

use crate::quote::ident;

use super::sequence::{SequenceOptions, SequenceStruct};
use super::types::TypeStruct;

/// Everything about a table that can be made again elsewhere. Two tables of equal structure compare equal.
///
/// Loaded by [`TableStruct::load`]; names are as in the catalog, unquoted; types, expressions and definitions are
/// SQL text with every name qualified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableStruct {
    /// Schema.
    pub schema: String,
    /// Name.
    pub name: String,
    /// Whether it is a table, a partitioned table or a foreign table.
    pub kind: TableKind,
    /// Whether it is unlogged.
    pub unlogged: bool,
    /// Columns in table order.
    pub columns: Vec<Column>,
    /// Primary key, unique, check and exclusion constraints, by name.
    pub constraints: Vec<Constraint>,
    /// Indexes that belong to no constraint, by name.
    pub indexes: Vec<Index>,
    /// Foreign keys of this table, by name.
    pub foreign_keys: Vec<ForeignKey>,
    /// Triggers, by name; internal ones are left out.
    pub triggers: Vec<Trigger>,
    /// Rewrite rules, by name.
    pub rules: Vec<Rule>,
    /// Privileges of roles other than the owner.
    pub grants: Vec<Grant>,
    /// Owning role.
    pub owner: String,
    /// Storage parameters, such as `fillfactor=90`.
    pub options: Vec<String>,
    /// Replica identity: `d` default, `n` nothing, `f` full, `i` the index named there.
    pub replica_identity: ReplicaIdentity,
    /// Inheritance parents, quoted and qualified; of a partition the partitioned table.
    pub parents: Vec<String>,
    /// Of a partition its bound: `FOR VALUES …` or `DEFAULT`.
    pub partition_bound: Option<String>,
    /// Of a partitioned table its key: `RANGE (…)`.
    pub partition_key: Option<String>,
    /// Sequences that column defaults use.
    pub sequences: Vec<SequenceStruct>,
    /// User-defined types that the columns need, each after those that it needs itself.
    pub types: Vec<TypeStruct>,
}

/// Kind of relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableKind {
    /// An ordinary table.
    Table,
    /// A partitioned table, which holds no rows itself.
    Partitioned,
    /// A foreign table.
    Foreign,
}

/// Replica identity of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplicaIdentity {
    /// The primary key.
    Default,
    /// None.
    Nothing,
    /// All columns.
    Full,
    /// The index of that name.
    Index(String),
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Name.
    pub name: String,
    /// Type with its modifier, qualified unless built in: `numeric(12,2)`, `public.mood[]`.
    pub type_name: String,
    /// Whether NULL is refused.
    pub not_null: bool,
    /// Default expression.
    pub default: Option<String>,
    /// Identity.
    pub identity: Option<Identity>,
    /// Generation expression.
    pub generated: Option<Generated>,
    /// Collation, quoted and qualified, when it is not that of the type.
    pub collation: Option<String>,
    /// Storage (`PLAIN`, `MAIN`, `EXTERNAL`, `EXTENDED`), when it is not that of the type.
    pub storage: Option<String>,
    /// Compression method, when one is set.
    pub compression: Option<String>,
    /// Whether it comes from a parent only.
    pub inherited: bool,
}

/// An identity column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// `GENERATED ALWAYS` as opposed to `BY DEFAULT`.
    pub always: bool,
    /// Options of its sequence.
    pub options: SequenceOptions,
}

/// A generated column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    /// The expression.
    pub expression: String,
    /// Stored, as opposed to computed when read (from PostgreSQL 18 on).
    pub stored: bool,
}

/// Kind of constraint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConstraintKind {
    /// Primary key.
    PrimaryKey,
    /// Unique.
    Unique,
    /// Check.
    Check,
    /// Exclusion.
    Exclusion,
}

/// A constraint other than a foreign key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constraint {
    /// Name.
    pub name: String,
    /// Kind.
    pub kind: ConstraintKind,
    /// As `ADD CONSTRAINT name` takes it: `PRIMARY KEY (a, b)`.
    pub definition: String,
    /// Key columns in index order; of a check the columns it looks at.
    pub columns: Vec<String>,
    /// Whether it can be checked at commit.
    pub deferrable: bool,
    /// Whether it comes from a parent and can neither be dropped nor made here.
    pub inherited: bool,
    /// Whether the table was last clustered on its index.
    pub clustered: bool,
}

/// An index that belongs to no constraint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// Name.
    pub name: String,
    /// Unique.
    pub unique: bool,
    /// What follows `ON table USING`: `btree (lower(name)) WHERE …`.
    pub definition: String,
    /// Whether it is attached to an index of a partitioned parent and cannot be dropped here.
    pub inherited: bool,
    /// Whether the table was last clustered on it.
    pub clustered: bool,
}

/// A foreign key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    /// Name.
    pub name: String,
    /// The table that has it, as `schema.table`, unquoted.
    pub from_table: String,
    /// The table that it points to, as `schema.table`, unquoted.
    pub to_table: String,
    /// As `ADD CONSTRAINT name` takes it.
    pub definition: String,
    /// Referencing columns.
    pub columns: Vec<String>,
}

/// A trigger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// Name.
    pub name: String,
    /// `CREATE TRIGGER … ` up to ` ON `.
    pub(super) head: String,
    /// What follows the table's name.
    pub(super) tail: String,
    /// When it fires.
    pub enabled: Enabled,
    /// Whether it captures changes for a queue of Londiste: such a trigger belongs to the node and not to the table.
    pub captures: bool,
    /// Whether it was cloned from a partitioned parent.
    pub inherited: bool,
}

/// A rewrite rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Name.
    pub name: String,
    /// `CREATE RULE … TO `.
    pub(super) head: String,
    /// What follows the table's name.
    pub(super) tail: String,
    /// When it acts.
    pub enabled: Enabled,
}

/// When a trigger or rule is active, by the session's replication role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enabled {
    /// In roles `origin` and `local`.
    Origin,
    /// Never.
    Disabled,
    /// In role `replica`.
    Replica,
    /// Always.
    Always,
}

/// Privileges of a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The role; `None` is everybody.
    pub role: Option<String>,
    /// Privileges, in lower case.
    pub privileges: Vec<String>,
    /// The column, when it is for one column only.
    pub column: Option<String>,
    /// Whether the role may pass them on.
    pub grantable: bool,
}

impl TableStruct {
    /// `schema.table` as it is, unquoted.
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    /// `schema.table`, quoted.
    pub fn quoted_name(&self) -> String {
        format!("{}.{}", ident(&self.schema), ident(&self.name))
    }

    /// The primary key.
    pub fn primary_key(&self) -> Option<&Constraint> {
        self.constraints.iter().find(|c| c.kind == ConstraintKind::PrimaryKey)
    }

    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|c| c.name == name)
    }

    /// Names of the columns, in table order.
    pub fn column_names(&self) -> Vec<&str> {
        self.columns.iter().map(|c| c.name.as_str()).collect()
    }
}

impl Enabled {
    /// From the letter of `pg_trigger.tgenabled` and `pg_rewrite.ev_enabled`.
    pub(super) fn from_letter(letter: &str) -> Enabled {
        match letter {
            "D" => Enabled::Disabled,
            "R" => Enabled::Replica,
            "A" => Enabled::Always,
            _ => Enabled::Origin,
        }
    }

    /// `ENABLE`, `DISABLE`, …; `None` for the state that things are made in.
    pub(super) fn verb(self) -> Option<&'static str> {
        match self {
            Enabled::Origin => None,
            Enabled::Disabled => Some("disable"),
            Enabled::Replica => Some("enable replica"),
            Enabled::Always => Some("enable always"),
        }
    }
}
