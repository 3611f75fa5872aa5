//! Differences of an installation from a fresh one, by the manifest that a fresh one was written to.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tokio_postgres::{GenericClient, IsolationLevel};

use super::inventory::{self, Inventory};
use super::mend::{self, Part};
use super::{Module, bundle, owners};
use crate::db::Connection;
use crate::{Error, ErrorKind, Result};

/// What a fresh installation of a module contains; kept as `sql/manifest/<module>.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Name of the module.
    pub module: String,
    /// What its `version()` returns.
    pub version: String,
    /// Everything in its schema.
    pub objects: Inventory,
}

impl Manifest {
    /// The manifest embedded for a module.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is none, [`ErrorKind::Internal`] when it cannot be read.
    pub fn embedded(module: Module) -> Result<Self> {
        let path = format!("manifest/{module}.json");
        let text = bundle::embedded(&path).ok_or_else(|| {
            Error::not_found(format!("this build has no manifest of module {module} (sql/{path})"))
        })?;
        serde_json::from_str(text)
            .map_err(|e| Error::new(ErrorKind::Internal, format!("sql/{path} cannot be read")).with_source(e))
    }

    /// What the database contains now, in the form of a manifest; `None` when the schema does not exist.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn of_database<C: GenericClient>(client: &C, module: Module) -> Result<Option<Self>> {
        let Some(version) = installed_version(client, module).await? else { return Ok(None) };
        let objects = inventory::read(client, module.name()).await?;
        Ok(Some(Manifest { module: module.name().to_owned(), version, objects }))
    }

    /// The text to commit.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when it cannot be written as JSON.
    pub fn to_json(&self) -> Result<String> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|e| Error::new(ErrorKind::Internal, "a manifest cannot be written").with_source(e))?;
        Ok(text + "\n")
    }

    /// The roles that a fresh installation grants to.
    fn roles(&self) -> BTreeSet<&str> {
        let aspects = self.objects.values().flat_map(BTreeMap::keys);
        aspects.filter_map(|a| a.strip_prefix(GRANT)).filter(|role| *role != "public").collect()
    }
}

pub(super) const GRANT: &str = "grant to ";

/// The version of an installed module: empty when its schema is there without a `version()` function, `None`
/// when there is no schema.
pub(super) async fn installed_version<C: GenericClient>(
    client: &C,
    module: Module,
) -> Result<Option<String>> {
    let row = client
        .query_one(
            "select to_regnamespace($1::text) is not null, to_regprocedure($1::text || '.version()') is not null",
            &[&module.name()],
        )
        .await?;
    let (schema, function): (bool, bool) = (row.try_get(0)?, row.try_get(1)?);
    if !schema {
        return Ok(None);
    }
    if !function {
        return Ok(Some(String::new()));
    }
    let row = client.query_one(&format!("select {module}.version()"), &[]).await?;
    let version: Option<String> = row.try_get(0)?;
    Ok(Some(version.unwrap_or_default()))
}

/// How an object differs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DifferenceKind {
    /// A fresh installation has it.
    Missing,
    /// It is there and not as in a fresh installation.
    #[default]
    Different,
    /// Somebody has put it on one of our tables, and it may swallow or change what is written there.
    Added,
}

/// One difference from a fresh installation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The object, such as `function pgq.version()`.
    pub object: String,
    /// How it differs.
    pub kind: DifferenceKind,
    /// What about it, for [`DifferenceKind::Different`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aspect: Option<String>,
    /// As in a fresh installation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// As found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// What only a person should do about it: an installation does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by_hand: Option<String>,
    /// Why an installation could not put it right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The state of one module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModuleState {
    /// Name of the module.
    pub module: String,
    /// Installed version; `None` when the module is not installed.
    pub version: Option<String>,
    /// The version of this program.
    pub fresh_version: String,
    /// What a fresh installation would have otherwise.
    pub differences: Vec<Difference>,
    /// Additions of the user in our schema: no damage.
    pub additions: Vec<String>,
    /// Roles that a fresh installation would grant to and that do not exist on this server.
    pub missing_roles: Vec<String>,
}

impl ModuleState {
    /// Whether the module is installed and equal to a fresh installation, roles aside.
    pub fn is_clean(&self) -> bool {
        self.version.is_some() && self.differences.is_empty()
    }
}

/// Compares modules with a fresh installation. Objects made for each queue, and additions of the user, are no
/// differences; additions are listed.
///
/// # Errors
/// Those of the server; [`ErrorKind::NotFound`] for a module that this build does not contain.
pub async fn verify(connection: &mut Connection, modules: &[Module]) -> Result<Vec<ModuleState>> {
    let transaction = connection
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await?;
    transaction.batch_execute("set local search_path = pg_catalog").await?;
    let mut states = Vec::with_capacity(modules.len());
    for module in modules {
        states.push(state(&transaction, *module).await?);
    }
    transaction.commit().await?;
    Ok(states)
}

/// The state of one module, in the caller's transaction with `search_path = pg_catalog`.
pub(super) async fn state<C: GenericClient>(client: &C, module: Module) -> Result<ModuleState> {
    let fresh = Manifest::embedded(module)?;
    let roles: Vec<String> = fresh.roles().into_iter().map(str::to_owned).collect();
    let missing_roles: Vec<String> = client
        .query(
            "select r from unnest($1::text[]) r where not exists (select 1 from pg_catalog.pg_roles where rolname = r) order by r",
            &[&roles],
        )
        .await?
        .iter()
        .map(|row| row.try_get(0))
        .collect::<Result<_, _>>()?;
    let found = Manifest::of_database(client, module).await?;
    let (mut differences, additions) = match &found {
        None => (Vec::new(), Vec::new()),
        Some(found) => compare(&fresh, found, &missing_roles),
    };
    differences.extend(owners::differences(client, module, &fresh).await?);
    for difference in &mut differences {
        difference.by_hand = mend::by_hand(difference, &fresh);
    }
    Ok(ModuleState {
        module: module.name().to_owned(),
        version: found.map(|f| f.version),
        fresh_version: fresh.version,
        differences,
        additions,
        missing_roles,
    })
}

/// Differences and additions.
fn compare(fresh: &Manifest, found: &Manifest, missing_roles: &[String]) -> (Vec<Difference>, Vec<String>) {
    let mut differences = Vec::new();
    let mut missing: Vec<&str> = Vec::new();
    let managed = fresh.roles();
    let role_of = |aspect: &'_ str| aspect.strip_prefix(GRANT).map(str::to_owned);
    for (object, expected) in &fresh.objects {
        // Of a table that is missing its columns are not listed one by one.
        if missing.iter().any(|m| is_part_of(object, m)) {
            continue;
        }
        let Some(actual) = found.objects.get(object) else {
            missing.push(object);
            differences.push(Difference {
                object: object.clone(),
                kind: DifferenceKind::Missing,
                ..Difference::default()
            });
            continue;
        };
        let aspects: BTreeSet<&String> = expected.keys().chain(actual.keys()).collect();
        for aspect in aspects {
            let (want, have) = (expected.get(aspect), actual.get(aspect));
            // Rights of roles that the user made are the user's business, rights of ours and of everybody are not.
            let foreign_grant = role_of(aspect).is_some_and(|r| {
                (r != "public" && !managed.contains(r.as_str())) || missing_roles.contains(&r)
            });
            if want != have && !foreign_grant {
                differences.push(Difference {
                    object: object.clone(),
                    kind: DifferenceKind::Different,
                    aspect: Some(aspect.clone()),
                    expected: want.cloned(),
                    found: have.cloned(),
                    ..Difference::default()
                });
            }
        }
    }
    let mut additions: Vec<String> = Vec::new();
    for (object, aspects) in &found.objects {
        if in_the_way(object, aspects, fresh) {
            differences.push(Difference {
                object: object.clone(),
                kind: DifferenceKind::Added,
                found: aspects.get("definition").cloned(),
                ..Difference::default()
            });
        } else if !fresh.objects.contains_key(object) && !additions.iter().any(|a| is_part_of(object, a)) {
            additions.push(object.clone());
        }
    }
    (differences, additions)
}

/// Rules, and triggers that fire before a row is written, may have it never written. Others that fire later do not.
fn in_the_way(object: &str, aspects: &BTreeMap<String, String>, fresh: &Manifest) -> bool {
    if fresh.objects.contains_key(object) {
        return false;
    }
    let before = || aspects.get("definition").is_some_and(|d| d.contains(" BEFORE "));
    let table = match mend::part(object) {
        Some((table, Part::Rule(_))) => table,
        Some((table, Part::Trigger(_))) if before() => table,
        _ => return false,
    };
    fresh.objects.contains_key(table)
}

/// Whether `object` is a column, constraint, index or trigger of the table `whole`.
fn is_part_of(object: &str, whole: &str) -> bool {
    object.strip_prefix(whole).is_some_and(|rest| rest.starts_with(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(objects: &[(&str, &[(&str, &str)])]) -> Manifest {
        let objects = objects
            .iter()
            .map(|(object, aspects)| {
                let aspects = aspects.iter().map(|(a, v)| ((*a).to_owned(), (*v).to_owned())).collect();
                ((*object).to_owned(), aspects)
            })
            .collect();
        Manifest { module: "pgq".into(), version: "4".into(), objects }
    }

    fn shown(fresh: &Manifest, found: &Manifest, missing_roles: &[&str]) -> Vec<String> {
        let roles: Vec<String> = missing_roles.iter().map(|r| (*r).to_owned()).collect();
        let (differences, additions) = compare(fresh, found, &roles);
        differences
            .iter()
            .map(|d| format!("{} {}", d.object, d.aspect.as_deref().unwrap_or("missing")))
            .chain(additions.iter().map(|a| format!("+{a}")))
            .collect()
    }

    #[test]
    fn what_counts() {
        let fresh = manifest(&[
            ("function f()", &[("body", "1"), ("grant to reader", "execute")]),
            ("function g()", &[]),
            ("table t", &[]),
            ("table t column a", &[("type", "int")]),
        ]);
        assert!(shown(&fresh, &fresh, &[]).is_empty());
        let found = manifest(&[
            ("function f()", &[("body", "2"), ("grant to public", "execute"), ("grant to joe", "execute")]),
            ("function h()", &[("body", "3")]),
            ("table t2", &[]),
            ("table t2 column a", &[]),
            ("table u", &[]),
            ("table u column a", &[]),
        ]);
        assert_eq!(
            shown(&fresh, &found, &[]),
            [
                "function f() body",
                "function f() grant to public",
                "function f() grant to reader",
                "function g() missing",
                "table t missing",
                "+function h()",
                "+table t2",
                "+table u"
            ]
        );
        assert!(!shown(&fresh, &found, &["reader"]).contains(&"function f() grant to reader".to_owned()));
    }
}
