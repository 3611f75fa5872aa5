//! Comparing the columns of two tables, for copy and compare.

use super::table::Column;

/// How the columns of a target differ from those of a source.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ColumnDiff {
    /// Columns of both, in the source's order.
    pub common: Vec<String>,
    /// Columns of the source that the target lacks.
    pub missing: Vec<String>,
    /// Columns of the target that the source lacks.
    pub extra: Vec<String>,
    /// Columns of both with different types: name, type at the source, type at the target.
    pub types: Vec<(String, String, String)>,
    /// Columns of both of which only one side is generated, or both by different expressions.
    pub generated: Vec<String>,
    /// Columns of both that are generated at the target: no value may be written to them.
    pub generated_on_target: Vec<String>,
    /// Columns of both that are generated at the source: `COPY table (…)` does not read them, a query does.
    pub generated_on_source: Vec<String>,
}

impl ColumnDiff {
    /// Compares.
    pub fn new(source: &[Column], target: &[Column]) -> Self {
        let mut diff = ColumnDiff::default();
        for column in source {
            let name = &column.name;
            let Some(other) = target.iter().find(|c| c.name == *name) else {
                diff.missing.push(name.clone());
                continue;
            };
            diff.common.push(name.clone());
            if column.type_name != other.type_name {
                diff.types.push((name.clone(), column.type_name.clone(), other.type_name.clone()));
            }
            if column.generated != other.generated {
                diff.generated.push(name.clone());
            }
            if column.generated.is_some() {
                diff.generated_on_source.push(name.clone());
            }
            if other.generated.is_some() {
                diff.generated_on_target.push(name.clone());
            }
        }
        diff.extra = target
            .iter()
            .filter(|c| source.iter().all(|s| s.name != c.name))
            .map(|c| c.name.clone())
            .collect();
        diff
    }

    /// Whether the two have the same columns of the same types.
    pub fn is_same(&self) -> bool {
        self.missing.is_empty() && self.extra.is_empty() && self.types.is_empty() && self.generated.is_empty()
    }

    /// The columns whose values are to be copied and applied: common ones that the target does not generate.
    pub fn copied(&self) -> Vec<&str> {
        self.common.iter().filter(|c| !self.generated_on_target.contains(c)).map(String::as_str).collect()
    }

    /// Whether reading the columns of [`copied`](Self::copied) needs `COPY (select …)`.
    pub fn needs_query(&self) -> bool {
        self.copied().iter().any(|c| self.generated_on_source.iter().any(|g| g == c))
    }

    /// The differences as lines for a reader.
    pub fn lines(&self) -> Vec<String> {
        let missing = self.missing.iter().map(|c| format!("column {c} is missing on the target"));
        let extra = self.extra.iter().map(|c| format!("column {c} is missing on the source"));
        let types = self
            .types
            .iter()
            .map(|(c, s, t)| format!("column {c} is {s} on the source and {t} on the target"));
        let generated = self.generated.iter().map(|c| format!("column {c} is generated differently"));
        missing.chain(extra).chain(types).chain(generated).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Generated;

    fn column(name: &str, type_name: &str, generated: Option<&str>) -> Column {
        Column {
            name: name.into(),
            type_name: type_name.into(),
            not_null: false,
            default: None,
            identity: None,
            generated: generated.map(|e| Generated { expression: e.into(), stored: true }),
            collation: None,
            storage: None,
            compression: None,
            inherited: false,
        }
    }

    #[test]
    fn what_is_copied() {
        let source = [
            column("a", "integer", None),
            column("b", "text", None),
            column("g", "integer", Some("a + 1")),
            column("h", "integer", Some("a + 2")),
            column("only_source", "text", None),
        ];
        let target = [
            column("b", "character varying", None),
            column("a", "integer", None),
            column("g", "integer", Some("a + 1")),
            column("h", "integer", None),
            column("only_target", "text", None),
        ];
        let diff = ColumnDiff::new(&source, &target);
        assert_eq!(diff.copied(), ["a", "b", "h"]);
        assert!(diff.needs_query());
        assert!(!diff.is_same());
        assert_eq!(
            diff.lines(),
            [
                "column only_source is missing on the target",
                "column only_target is missing on the source",
                "column b is text on the source and character varying on the target",
                "column h is generated differently",
            ]
        );
        let same = ColumnDiff::new(&source, &source);
        assert!(same.is_same() && !same.needs_query() && same.lines().is_empty());
        assert_eq!(same.copied(), ["a", "b", "only_source"]);
    }
}
