//! Whether a table's changes may be applied as sets, and if not, why not. No I/O.
//!
//! Set-based apply replaces the replay of many changes by their net effect on each key. It is chosen only where every
//! rule below holds; then nothing but the table's own rows, found by its one key, takes part in the outcome, so the
//! changes of other keys and of other tables may come before or after.

use std::fmt;

/// Why a table's changes are applied in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// Too few changes of the table in the batch: single statements are faster.
    FewChanges,
    /// The session may not set the replica role: foreign keys are checked and triggers fire.
    NoReplicaRole,
    /// The table is partitioned, a partition, or has parents or children.
    Inheritance,
    /// A trigger fires for replicated changes (ENABLE ALWAYS or REPLICA).
    Trigger(String),
    /// A rule rewrites replicated changes.
    Rule(String),
    /// No unique index identifies a row.
    NoKey,
    /// The key's constraint is deferrable.
    DeferrableKey(String),
    /// A key column may be NULL.
    NullableKey(String),
    /// The key's index compares by another equality or collation than its columns do.
    KeyEquality(String),
    /// Another unique index, so that the order of changes of different keys matters.
    OtherUnique(String),
    /// An exclusion constraint.
    Exclusion(String),
    /// A check constraint that calls functions or uses types of the user's.
    Check {
        /// Name of the constraint.
        name: String,
        /// Whether it calls a function of the user's, which may read anything.
        function: bool,
    },
    /// A default that calls a function of the user's, which may read anything.
    DefaultFunction(String),
    /// A column of a domain, whose conditions are to be checked for every event.
    Domain(String),
    /// A column whose type cannot be staged as text: a cast from text, or a modifier, of the user's type.
    TypeCast(String),
    /// An identity column outside the key that updates may not write.
    Identity(String),
    /// The login may not create temporary tables.
    NoTemporary,
    /// More tables than are worth a temporary table each.
    ManyTables,
    /// The events name another key than the table has.
    EventKey,
    /// The events do not all carry the same columns.
    EventColumns,
    /// A column that no event carries has a default which depends on the order of inserts.
    Default(String),
    /// A check constraint needs a column that no event carries.
    CheckColumn(String),
    /// An index or generated column is computed from a column that no event carries.
    Expression(String),
    /// The attempt failed; the text is the server's.
    Failed(String),
}

impl Why {
    /// Whether a change of this table may read or change other tables: then everything before it has to be applied.
    pub fn reaches_others(&self) -> bool {
        matches!(
            self,
            Why::NoReplicaRole
                | Why::Trigger(_)
                | Why::Rule(_)
                | Why::DefaultFunction(_)
                | Why::Check { function: true, .. }
        )
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::FewChanges => f.write_str("few changes in the batch"),
            Why::NoReplicaRole => f.write_str("the login may not set session_replication_role"),
            Why::Inheritance => f.write_str("partitioned or inherited"),
            Why::Trigger(name) => write!(f, "trigger {name} fires during replay"),
            Why::Rule(name) => write!(f, "rule {name} applies during replay"),
            Why::NoKey => f.write_str("no unique key"),
            Why::DeferrableKey(name) => write!(f, "key {name} is deferrable"),
            Why::NullableKey(column) => write!(f, "key column {column} may be NULL"),
            Why::KeyEquality(name) => write!(f, "key {name} has an operator class or collation of its own"),
            Why::OtherUnique(name) => write!(f, "unique index {name} besides the key"),
            Why::Exclusion(name) => write!(f, "exclusion constraint {name}"),
            Why::Check { name, .. } => {
                write!(f, "check constraint {name} uses functions or types of the user's")
            }
            Why::DefaultFunction(column) => {
                write!(f, "the default of {column} calls a function of the user's")
            }
            Why::Domain(column) => write!(f, "column {column} has a domain as type"),
            Why::TypeCast(column) => {
                write!(f, "the type of column {column} reads text by a cast or a modifier of its own")
            }
            Why::Identity(column) => write!(f, "column {column} is generated always as identity"),
            Why::NoTemporary => f.write_str("the login may not create temporary tables"),
            Why::ManyTables => f.write_str("too many tables with temporary tables already"),
            Why::EventKey => f.write_str("the events name another key than the table has"),
            Why::EventColumns => f.write_str("the events carry varying columns"),
            Why::Default(column) => write!(
                f,
                "column {column}, which is not in the events, has no default, or one that may depend on order"
            ),
            Why::CheckColumn(name) => {
                write!(f, "check constraint {name} uses a column that is not in the events")
            }
            Why::Expression(name) => {
                write!(f, "{name} is computed from a column that is not in the events")
            }
            Why::Failed(text) => write!(f, "applying it as a set failed: {text}"),
        }
    }
}

/// How a table's changes are applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// As sets, when a batch has enough changes of the table.
    Set,
    /// One by one, in the order of events.
    Ordered(Why),
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mode::Set => f.write_str("set"),
            Mode::Ordered(why) => write!(f, "ordered: {why}"),
        }
    }
}

/// A unique or exclusion index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UniqueIndex {
    /// Name.
    pub name: String,
    /// Key columns, raw; empty when one is an expression.
    pub columns: Vec<String>,
    /// Whether it is complete, checked at once, and covers all rows.
    pub immediate: bool,
    /// Whether it has a condition, or is not valid (it may still refuse rows).
    pub partial: bool,
    /// Whether it belongs to an exclusion constraint.
    pub exclusion: bool,
    /// Whether all columns use the default operator class of their type and the column's own collation.
    pub plain: bool,
}

/// A check constraint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Check {
    /// Name.
    pub name: String,
    /// The condition as SQL.
    pub condition: String,
    /// Raw names of the columns; `None` when it uses the whole row or system columns.
    pub columns: Option<Vec<String>>,
    /// Whether it depends on anything that is not built in.
    pub foreign: bool,
    /// Whether it calls a function that is not built in.
    pub function: bool,
}

/// Something that the table computes from every row that it stores: an index on an expression, a generated column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expression {
    /// Name of the index or column.
    pub name: String,
    /// As SQL.
    pub sql: String,
    /// For which rows, as SQL; all without a condition.
    pub condition: Option<String>,
    /// Raw names of the columns it uses.
    pub columns: Vec<String>,
}

/// What the catalog says about one column, besides its shape.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnFacts {
    /// Raw name.
    pub name: String,
    /// Whether it is NOT NULL.
    pub not_null: bool,
    /// The default as SQL; none for generated columns.
    pub default: Option<String>,
    /// Whether the default calls a function that is not built in.
    pub default_function: bool,
    /// Whether it is an identity column of either kind.
    pub identity: bool,
    /// Whether it is `generated always as identity`.
    pub identity_always: bool,
    /// Whether the table computes it.
    pub generated: bool,
    /// Whether the type is a domain.
    pub domain: bool,
    /// Whether the type belongs to the user: it is staged as text.
    pub user_type: bool,
    /// Whether text becomes the user's type by something else than its input function, or a modifier takes part.
    pub text_cast: bool,
    /// The collation as SQL, where equal texts may differ in bytes.
    pub collation: Option<String>,
    /// Whether an index holds it and its values vary in size: the index takes values of some 2 700 bytes at most.
    pub indexed: bool,
}

/// What the catalog says about a table, and what the session may do with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Whether the session has the replica role: foreign keys and ordinary triggers are silent.
    pub replica_role: bool,
    /// Whether it is partitioned, a partition, or has parents or children.
    pub inheritance: bool,
    /// Whether the login may create temporary tables here.
    pub may_use_temp: bool,
    /// First trigger that fires under the replica role.
    pub trigger: Option<String>,
    /// First rule that applies under the replica role.
    pub rule: Option<String>,
    /// Unique and exclusion indexes.
    pub unique: Vec<UniqueIndex>,
    /// Check constraints.
    pub checks: Vec<Check>,
    /// What is computed from rows that are stored.
    pub expressions: Vec<Expression>,
    /// Whether an index is on an expression, has a condition, or is of a kind that may refuse values of ordinary size.
    pub odd_index: bool,
    /// Whether the login may COPY into the table.
    pub may_copy: bool,
    /// Whether the database can hold every character.
    pub any_character: bool,
    /// Columns in table order.
    pub columns: Vec<ColumnFacts>,
}

impl Facts {
    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&ColumnFacts> {
        self.columns.iter().find(|c| c.name == name)
    }

    /// The key columns, where [`decide`] says [`Mode::Set`].
    pub fn key(&self) -> &[String] {
        self.unique.first().map_or(&[], |index| &index.columns)
    }
}

/// Decides by the table alone. What the events carry is looked at by [`events`].
pub fn decide(facts: &Facts) -> Mode {
    match refusal(facts) {
        Some(why) => Mode::Ordered(why),
        None => Mode::Set,
    }
}

/// What reaches beyond the table comes first: it decides about the other tables too.
fn refusal(facts: &Facts) -> Option<Why> {
    if !facts.replica_role {
        return Some(Why::NoReplicaRole);
    }
    if let Some(name) = &facts.trigger {
        return Some(Why::Trigger(name.clone()));
    }
    if let Some(name) = &facts.rule {
        return Some(Why::Rule(name.clone()));
    }
    if let Some(check) = facts.checks.iter().find(|c| c.function) {
        return Some(Why::Check { name: check.name.clone(), function: true });
    }
    if let Some(column) = facts.columns.iter().find(|c| c.default_function) {
        return Some(Why::DefaultFunction(column.name.clone()));
    }
    if !facts.may_use_temp {
        return Some(Why::NoTemporary);
    }
    if facts.inheritance {
        return Some(Why::Inheritance);
    }
    if let Some(index) = facts.unique.iter().find(|i| i.exclusion) {
        return Some(Why::Exclusion(index.name.clone()));
    }
    let [key] = &facts.unique[..] else {
        // The primary key comes first.
        return Some(facts.unique.get(1).map_or(Why::NoKey, |other| Why::OtherUnique(other.name.clone())));
    };
    if key.partial || key.columns.is_empty() {
        return Some(Why::OtherUnique(key.name.clone()));
    }
    if !key.immediate {
        return Some(Why::DeferrableKey(key.name.clone()));
    }
    if !key.plain {
        return Some(Why::KeyEquality(key.name.clone()));
    }
    if let Some(column) = key.columns.iter().find(|c| facts.column(c).is_none_or(|f| !f.not_null)) {
        return Some(Why::NullableKey(column.clone()));
    }
    if let Some(check) = facts.checks.iter().find(|c| c.foreign) {
        return Some(Why::Check { name: check.name.clone(), function: false });
    }
    facts.columns.iter().find_map(|column| {
        let name = || column.name.clone();
        if column.domain {
            Some(Why::Domain(name()))
        } else if column.user_type && column.text_cast {
            Some(Why::TypeCast(name()))
        } else if column.identity_always && !key.columns.contains(&column.name) {
            Some(Why::Identity(name()))
        } else {
            None
        }
    })
}

/// Decides by what the events of inserts and updates carry: the table must not have to add anything of its own that
/// depends on the order, nor check anything that the events do not say.
pub fn events(facts: &Facts, carried: &dyn Fn(&str) -> bool) -> Option<Why> {
    if facts.key().iter().any(|k| !carried(k)) {
        return Some(Why::EventKey);
    }
    for column in facts.columns.iter().filter(|c| !c.generated && !carried(&c.name)) {
        // Without a call the default is a constant, or the same all through a transaction.
        if column.identity || column.default.as_ref().is_some_and(|d| d.contains('(')) {
            return Some(Why::Default(column.name.clone()));
        }
    }
    // Without a value for it, an insert fails; but not one that a delete follows.
    let empty =
        |c: &&ColumnFacts| c.default.as_ref().is_none_or(|d| d.to_ascii_uppercase().starts_with("NULL"));
    let mut missing = facts.columns.iter().filter(|c| c.not_null && !c.generated && !carried(&c.name));
    if let Some(column) = missing.find(empty) {
        return Some(Why::Default(column.name.clone()));
    }
    if let Some(computed) = facts.expressions.iter().find(|e| !e.columns.iter().all(|c| carried(c))) {
        return Some(Why::Expression(computed.name.clone()));
    }
    facts.checks.iter().find_map(|check| {
        let known = check.columns.as_ref().is_some_and(|names| {
            names.iter().all(|n| carried(n) && facts.column(n).is_some_and(|c| !c.generated && !c.user_type))
        });
        (!known).then(|| Why::CheckColumn(check.name.clone()))
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn facts() -> Facts {
        let column =
            |name: &str, not_null| ColumnFacts { name: name.to_owned(), not_null, ..Default::default() };
        Facts {
            replica_role: true,
            may_use_temp: true,
            unique: vec![UniqueIndex {
                name: "t_pkey".to_owned(),
                columns: vec!["id".to_owned()],
                immediate: true,
                plain: true,
                ..Default::default()
            }],
            columns: vec![column("id", true), column("v", false)],
            ..Default::default()
        }
    }

    fn why(change: impl FnOnce(&mut Facts)) -> Why {
        let mut facts = facts();
        change(&mut facts);
        match decide(&facts) {
            Mode::Ordered(why) => why,
            Mode::Set => panic!("set: {facts:?}"),
        }
    }

    #[test]
    fn a_table_with_one_key_goes_by_set() {
        assert_eq!(decide(&facts()), Mode::Set);
        assert_eq!(facts().key(), ["id"]);
    }

    #[test]
    fn every_obstacle_is_named() {
        let name = |s: &str| s.to_owned();
        assert_eq!(why(|f| f.replica_role = false), Why::NoReplicaRole);
        assert_eq!(why(|f| f.inheritance = true), Why::Inheritance);
        assert_eq!(why(|f| f.may_use_temp = false), Why::NoTemporary);
        assert_eq!(why(|f| f.trigger = Some(name("a"))), Why::Trigger(name("a")));
        assert_eq!(why(|f| f.rule = Some(name("r"))), Why::Rule(name("r")));
        assert_eq!(why(|f| f.unique.clear()), Why::NoKey);
        assert_eq!(why(|f| f.unique[0].immediate = false), Why::DeferrableKey(name("t_pkey")));
        assert_eq!(why(|f| f.unique[0].plain = false), Why::KeyEquality(name("t_pkey")));
        assert_eq!(why(|f| f.unique[0].partial = true), Why::OtherUnique(name("t_pkey")));
        assert_eq!(why(|f| f.unique[0].columns.clear()), Why::OtherUnique(name("t_pkey")));
        assert_eq!(why(|f| f.unique[0].columns = vec![name("v")]), Why::NullableKey(name("v")));
        assert_eq!(why(|f| f.unique[0].exclusion = true), Why::Exclusion(name("t_pkey")));
        assert_eq!(
            why(|f| {
                let other = UniqueIndex { name: name("t_v"), ..f.unique[0].clone() };
                f.unique.push(other);
            }),
            Why::OtherUnique(name("t_v"))
        );
        assert_eq!(why(|f| f.columns[1].domain = true), Why::Domain(name("v")));
        assert_eq!(why(|f| f.columns[1].default_function = true), Why::DefaultFunction(name("v")));
        assert_eq!(
            why(|f| (f.columns[1].user_type, f.columns[1].text_cast) = (true, true)),
            Why::TypeCast(name("v"))
        );
        assert_eq!(why(|f| f.columns[1].identity_always = true), Why::Identity(name("v")));
        let check = |foreign, function| Check { name: name("c"), foreign, function, ..Default::default() };
        assert_eq!(
            why(|f| f.checks.push(check(true, false))),
            Why::Check { name: name("c"), function: false }
        );
        assert!(why(|f| f.checks.push(check(true, true))).reaches_others());
        assert!(why(|f| f.trigger = Some(name("a"))).reaches_others());
        assert!(why(|f| f.replica_role = false).reaches_others());
        assert!(!why(|f| f.unique.clear()).reaches_others());
    }

    #[test]
    fn an_identity_key_is_no_obstacle() {
        let mut facts = facts();
        facts.columns[0].identity_always = true;
        assert_eq!(decide(&facts), Mode::Set);
    }

    #[test]
    fn events_must_carry_what_the_table_would_add_or_check() {
        let mut facts = facts();
        let id_only = |n: &str| n == "id";
        assert_eq!(events(&facts, &id_only), None);
        assert_eq!(events(&facts, &|n| n == "v"), Some(Why::EventKey));
        for (default, fine) in [("0", true), ("CURRENT_TIMESTAMP", true), ("nextval('s'::regclass)", false)] {
            facts.columns[1].default = Some(default.to_owned());
            assert_eq!(events(&facts, &id_only).is_none(), fine, "{default}");
            assert_eq!(events(&facts, &|_| true), None, "{default}");
        }
        facts.columns[1].default = None;
        facts.columns[1].not_null = true;
        assert_eq!(events(&facts, &id_only), Some(Why::Default("v".to_owned())));
        facts.columns[1].not_null = false;
        facts.expressions.push(Expression {
            name: "i".to_owned(),
            columns: vec!["v".to_owned()],
            ..Default::default()
        });
        assert_eq!(events(&facts, &id_only), Some(Why::Expression("i".to_owned())));
        facts.expressions.clear();
        facts.checks.push(Check {
            name: "c".to_owned(),
            columns: Some(vec!["v".to_owned()]),
            ..Default::default()
        });
        assert_eq!(events(&facts, &id_only), Some(Why::CheckColumn("c".to_owned())));
        assert_eq!(events(&facts, &|_| true), None);
        facts.checks[0].columns = None;
        assert!(events(&facts, &|_| true).is_some());
    }

    #[test]
    fn a_mode_says_its_reason() {
        assert_eq!(Mode::Set.to_string(), "set");
        assert_eq!(
            Mode::Ordered(Why::OtherUnique("t_v".to_owned())).to_string(),
            "ordered: unique index t_v besides the key"
        );
    }
}
