//! What `create … if not exists` in the files of a module leaves as it is: defaults, NOT NULL, constraints, triggers that are disabled. Each is
//! put right by a statement written from the manifest, where that loses nothing; else the statement is told.

use std::fmt::Write as _;

use tokio_postgres::Transaction;

use super::verify::{self, Difference, DifferenceKind, Manifest, ModuleState};
use super::{Module, owners};
use crate::quote::ident;
use crate::{Error, Result};

/// What follows the table in the name of an object of the inventory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part<'a> {
    Column(&'a str),
    Constraint(&'a str),
    Index(&'a str),
    UniqueIndex(&'a str),
    Trigger(&'a str),
    Rule(&'a str),
}

/// Splits `table pgq.queue column queue_name`.
pub(super) fn part(object: &str) -> Option<(&str, Part<'_>)> {
    let rest = object.strip_prefix("table ")?;
    let (_, rest) = rest.split_once(' ')?;
    let table = &object[..object.len() - rest.len() - 1];
    let split = |prefix: &str| rest.strip_prefix(prefix);
    let part = if let Some(name) = split("column ") {
        Part::Column(name)
    } else if let Some(definition) = split("constraint ") {
        Part::Constraint(definition)
    } else if let Some(definition) = split("index ") {
        Part::Index(definition)
    } else if let Some(definition) = split("unique index ") {
        Part::UniqueIndex(definition)
    } else if let Some(name) = split("trigger ") {
        Part::Trigger(name)
    } else {
        Part::Rule(split("rule ")?)
    };
    Some((table, part))
}

/// What an installation does about a difference that the files of the module leave: a statement, if there is one.
fn statement(difference: &Difference, fresh: &Manifest) -> Option<String> {
    let Difference { object, kind, aspect, expected, found, .. } = difference;
    let aspect = aspect.as_deref().unwrap_or_default();
    if let Some(role) = aspect.strip_prefix(verify::GRANT) {
        return grant(object, role, expected.as_deref());
    }
    let aspects = fresh.objects.get(object)?;
    let named = found.as_deref().and_then(|f| f.strip_prefix("false: "));
    let Some((table, part)) = part(object) else {
        return match (kind, aspect) {
            (DifferenceKind::Missing, _) if object.starts_with("sequence ") => {
                Some(format!("create {object}{}", sequence(aspects.get("definition")?)?))
            }
            (DifferenceKind::Different, "definition") if object.starts_with("sequence ") => {
                Some(format!("alter {object}{}", sequence(expected.as_deref()?)?))
            }
            (DifferenceKind::Different, "persistence") if expected.is_none() => {
                Some(format!("alter {object} set logged"))
            }
            (DifferenceKind::Different, "persistence") => Some(format!("alter {object} set unlogged")),
            _ => None,
        };
    };
    match (kind, part, aspect) {
        (DifferenceKind::Different, Part::Column(column), "default") => Some(match expected {
            Some(value) => format!("alter {table} alter column {column} set default {value}"),
            None => format!("alter {table} alter column {column} drop default"),
        }),
        (DifferenceKind::Different, Part::Column(column), "not null") => {
            let verb = if expected.as_deref() == Some("true") { "set" } else { "drop" };
            Some(format!("alter {table} alter column {column} {verb} not null"))
        }
        (DifferenceKind::Missing, Part::Constraint(definition), _) => {
            Some(format!("alter {table} add {definition}"))
        }
        (DifferenceKind::Different, Part::Constraint(_), "validated") => {
            Some(format!("alter {table} validate constraint {}", named?))
        }
        // Its own triggers only a superuser may enable; and nobody has looked at the rows meanwhile.
        (DifferenceKind::Different, Part::Constraint(definition), "enforced") => {
            let name = named?;
            Some(format!("alter {table} drop constraint {name}, add constraint {name} {definition}"))
        }
        (DifferenceKind::Missing, Part::Index(definition), _) => {
            Some(format!("create index on {} using {definition}", table.strip_prefix("table ")?))
        }
        (DifferenceKind::Missing, Part::UniqueIndex(definition), _) => {
            Some(format!("create unique index on {} using {definition}", table.strip_prefix("table ")?))
        }
        (DifferenceKind::Different, Part::Index(_) | Part::UniqueIndex(_), "valid") => {
            Some(format!("reindex index {}", named?))
        }
        (DifferenceKind::Missing, Part::Trigger(name), _) => {
            let create = trigger(aspects.get("definition")?)?;
            Some(format!("{create}; {}", enabled(table, name, aspects.get("enabled")?)))
        }
        (DifferenceKind::Different, Part::Trigger(name), "definition") => {
            let create = trigger(expected.as_deref()?)?.replacen("CREATE ", "CREATE OR REPLACE ", 1);
            Some(format!("{create}; {}", enabled(table, name, aspects.get("enabled")?)))
        }
        (DifferenceKind::Different, Part::Trigger(name), "enabled") => {
            Some(enabled(table, name, expected.as_deref()?))
        }
        _ => None,
    }
}

/// The manifest has triggers without their parentheses: only those without a condition can be written from it.
fn trigger(definition: &str) -> Option<String> {
    (!definition.contains(" WHEN ")).then(|| format!("{definition}()"))
}

fn enabled(table: &str, trigger: &str, how: &str) -> String {
    let how = match how {
        "no" => "disable",
        "always" => "enable always",
        "on replica" => "enable replica",
        _ => "enable",
    };
    format!("alter {table} {how} trigger {trigger}")
}

/// `bigint increment 1 minimum 1 maximum 9 cache 1`, as the options of a sequence.
fn sequence(definition: &str) -> Option<String> {
    let (kind, options) = definition.split_once(" increment ")?;
    let (options, cycle) =
        options.strip_suffix(" cycle").map_or((options, "no cycle"), |options| (options, "cycle"));
    let options = options.replace("minimum", "minvalue").replace("maximum", "maxvalue");
    Some(format!(" as {kind} increment {options} {cycle}"))
}

fn grant(object: &str, role: &str, expected: Option<&str>) -> Option<String> {
    let on = match object.split_once(' ')?.0 {
        "table" | "sequence" | "function" | "procedure" | "schema" => object,
        _ => return None,
    };
    let role = if role == "public" { role.to_owned() } else { ident(role) };
    let mut sql = format!("revoke all on {on} from {role}");
    if let Some(privileges) = expected {
        if privileges.contains(" with grant option") {
            return None;
        }
        // Writing to a String cannot fail.
        write!(sql, "; grant {privileges} on {on} to {role}").ok();
    }
    Some(sql)
}

/// What a person is to do about a difference that no installation removes.
pub(super) fn by_hand(difference: &Difference, fresh: &Manifest) -> Option<String> {
    let Difference { object, kind, aspect, expected, .. } = difference;
    let aspect = aspect.as_deref().unwrap_or_default();
    if aspect == "row security" {
        return Some(format!("alter {object} disable row level security, no force row level security"));
    }
    match (kind, part(object)?) {
        (DifferenceKind::Added, (table, Part::Rule(name))) => {
            Some(format!("drop rule {name} on {}", table.strip_prefix("table ")?))
        }
        (DifferenceKind::Added, (table, Part::Trigger(name))) => {
            Some(format!("drop trigger {name} on {}", table.strip_prefix("table ")?))
        }
        (DifferenceKind::Missing, (table, Part::Column(column))) => {
            let aspects = fresh.objects.get(object)?;
            let mut sql = format!("alter {table} add column {column} {}", aspects.get("type")?);
            if aspects.get("not null").is_some_and(|n| n == "true") {
                sql.push_str(" not null");
            }
            if let Some(default) = aspects.get("default") {
                // Writing to a String cannot fail.
                write!(sql, " default {default}").ok();
            }
            Some(format!("{sql}; its content has to come from a backup"))
        }
        (DifferenceKind::Different, (table, Part::Column(column))) if aspect == "type" => {
            Some(format!("alter {table} alter column {column} type {}", expected.as_deref()?))
        }
        (DifferenceKind::Different, (table, Part::Trigger(name)))
            if aspect == "definition" && trigger(expected.as_deref()?).is_none() =>
        {
            Some(format!("drop trigger {name} on {}, then install", table.strip_prefix("table ")?))
        }
        _ => None,
    }
}

/// Puts right what the files have left, each in a savepoint: what fails stays, with its error and the statement to run.
///
/// # Errors
/// Those of the connection, and of locks that others hold.
pub(super) async fn mend(
    transaction: &mut Transaction<'_>,
    module: Module,
    mut state: ModuleState,
) -> Result<ModuleState> {
    let Ok(fresh) = Manifest::embedded(module) else { return Ok(state) };
    // One statement may make the next possible: a foreign key takes the key that it refers to.
    loop {
        let mut errors = Vec::new();
        for difference in &state.differences {
            let Some(sql) = statement(difference, &fresh).filter(|_| difference.by_hand.is_none()) else {
                continue;
            };
            if let Err(error) = attempt(transaction, &sql).await? {
                errors.push((difference.object.clone(), difference.aspect.clone(), sql, error));
            }
        }
        let mut after = verify::state(&*transaction, module).await?;
        let better = after.differences.len() < state.differences.len();
        for difference in &mut after.differences {
            let failed = errors.iter().find(|e| e.0 == difference.object && e.1 == difference.aspect);
            if let Some((_, _, sql, error)) = failed {
                difference.by_hand = Some(sql.clone());
                difference.error = Some(error.clone());
            } else if difference.by_hand.is_none() {
                difference.by_hand = Some(last_resort(difference));
            }
        }
        state = after;
        if !better || state.differences.is_empty() {
            return Ok(state);
        }
        for difference in &mut state.differences {
            difference.by_hand = by_hand(difference, &fresh);
        }
    }
}

/// Something that neither the files nor a statement have put right.
fn last_resort(difference: &Difference) -> String {
    let Difference { object, aspect, expected, .. } = difference;
    match (aspect.as_deref(), expected) {
        (Some(owners::ASPECT), Some(owner)) => format!("alter {object} owner to {}", ident(owner)),
        _ if object.starts_with("function ") => {
            format!("drop {object}, then install; what uses it is to be made anew")
        }
        (Some(aspect), expected) => {
            format!("have its {aspect} be {}", expected.as_deref().unwrap_or("none"))
        }
        _ => format!("create {object} as in a fresh installation"),
    }
}

/// Runs statements in a savepoint. The outer error is that of the connection, or of a lock that others hold.
async fn attempt(transaction: &mut Transaction<'_>, sql: &str) -> Result<std::result::Result<(), String>> {
    let inner = transaction.savepoint("mend").await?;
    match inner.batch_execute(sql).await {
        Ok(()) => {
            inner.commit().await?;
            Ok(Ok(()))
        }
        Err(error) => {
            let error = Error::from(error);
            if error.sqlstate().is_none_or(|s| s.code() == "55P03") {
                return Err(error);
            }
            inner.rollback().await?;
            Ok(Err(error.chain()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn different(object: &str, aspect: &str, expected: Option<&str>, found: Option<&str>) -> Difference {
        Difference {
            object: object.to_owned(),
            aspect: Some(aspect.to_owned()),
            expected: expected.map(str::to_owned),
            found: found.map(str::to_owned),
            ..Difference::default()
        }
    }

    #[test]
    fn every_object_of_a_table_has_its_part() {
        for module in Module::available() {
            for object in Manifest::embedded(module).unwrap().objects.keys() {
                let is_table = object.starts_with("table ") && object.matches(' ').count() == 1;
                let in_table = object.starts_with("table ") && !is_table;
                assert_eq!(part(object).is_some(), in_table, "{object}");
            }
        }
    }

    #[test]
    fn statements_are_written_from_the_manifest() {
        let fresh = Manifest::embedded(Module::Pgq).unwrap();
        for (difference, sql) in [
            (
                different("table pgq.tick column tick_time", "default", Some("now()"), None),
                "alter table pgq.tick alter column tick_time set default now()",
            ),
            (
                different("sequence pgq.batch_id_seq", "grant to public", None, Some("usage")),
                "revoke all on sequence pgq.batch_id_seq from public",
            ),
            (
                different(
                    "table pgq.queue trigger queue_state_trigger",
                    "enabled",
                    Some("always"),
                    Some("no"),
                ),
                "alter table pgq.queue enable always trigger queue_state_trigger",
            ),
            (
                different("table pgq.trigger_plan", "persistence", Some("unlogged"), None),
                "alter table pgq.trigger_plan set unlogged",
            ),
        ] {
            assert_eq!(statement(&difference, &fresh).as_deref(), Some(sql));
        }
        let when = different(
            "table pgq.queue trigger queue_code_trigger",
            "definition",
            Some("CREATE TRIGGER a AFTER UPDATE ON pgq.queue FOR EACH ROW WHEN x EXECUTE FUNCTION pgq.y"),
            None,
        );
        assert_eq!(statement(&when, &fresh), None);
        assert!(by_hand(&when, &fresh).is_some_and(|s| s.starts_with("drop trigger queue_code_trigger")));
    }
}
