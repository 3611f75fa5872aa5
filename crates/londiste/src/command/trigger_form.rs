//! How a table can be captured, and why one is not captured as was asked for.

use skytools::{Error, Result};
use tokio_postgres::Transaction;
use tokio_postgres::error::SqlState;

use super::sql;

/// All forms, as options name them.
pub const FORMS: [&str; 3] = ["row", "statement", "generic"];
/// What a change can do that cannot be captured, as options name it.
pub const FAILURES: [&str; 2] = ["fail", "mark"];
/// The option of `pgq.capture_table` for that begins so.
pub const FAILURE: &str = "capture_failure=";

/// How tables are to be captured, as far as somebody asked for it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wish<'a> {
    /// One of [`FORMS`].
    pub form: Option<&'a str>,
    /// One of [`FAILURES`].
    pub failure: Option<&'a str>,
}

impl Wish<'_> {
    /// Whether anything was asked for.
    pub fn is_some(&self) -> bool {
        self.form.is_some() || self.failure.is_some()
    }

    /// Whether only generated code can do it.
    pub fn wants_generated(&self) -> bool {
        self.form.is_some_and(|form| form != "generic") || self.failure == Some("mark")
    }

    /// The options that ask for it, with their values or without.
    pub fn options(&self, values: bool) -> String {
        let options = [("--trigger-form", self.form), ("--capture-failure", self.failure)];
        let named = options.into_iter().filter_map(|(name, value)| {
            let value = value?;
            Some(if values { format!("{name}={value}") } else { name.to_owned() })
        });
        named.collect::<Vec<_>>().join(" ")
    }
}

/// Why a table is not captured as was asked for, and what to do about it.
#[derive(Debug)]
pub struct Impossible {
    reason: String,
    remedy: String,
}

impl Impossible {
    /// A reason and a remedy, as parts of a sentence each. In the remedy, `$OPTION` stands for what was asked for.
    pub fn new(reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Impossible { reason: reason.into(), remedy: remedy.into() }
    }

    /// What the server says about what it does not make of a table; other errors come back.
    ///
    /// # Errors
    /// The error itself.
    pub fn told_by(error: Error) -> Result<Self> {
        if !matches!(error.sqlstate(), Some(s) if *s == SqlState::FEATURE_NOT_SUPPORTED || *s == SqlState::NAME_TOO_LONG)
        {
            return Err(error);
        }
        let text = error.chain();
        // "form=statement is not possible for table t: it is a partition": the caller says the first half for all tables.
        let reason = match text.split_once(": ") {
            Some((head, tail))
                if (head.starts_with("form=") || head.starts_with(FAILURE))
                    && head.contains(" for table ") =>
            {
                tail.to_owned()
            }
            _ => text,
        };
        let remedy = error.hint_text().unwrap_or("leave $OPTION out");
        let mut letters = remedy.trim_end_matches('.').chars();
        let remedy: String =
            letters.next().map_or_else(String::new, |c| c.to_lowercase().chain(letters).collect());
        // as this command has it
        let remedy = remedy.replace(" form=", " --trigger-form=");
        Ok(Impossible { reason, remedy })
    }
}

/// Why the code of a table's trigger cannot be generated; `None` when it can.
///
/// # Errors
/// Those of the server.
pub async fn not_generated(tx: &Transaction<'_>, dest: &str, args: &[String]) -> Result<Option<Impossible>> {
    let row = tx.query_opt(sql::WHY_NOT_GENERATED, &[&dest, &args]).await?;
    row.map(|row| Ok(Impossible { reason: row.try_get(0)?, remedy: row.try_get(1)? })).transpose()
}

/// The error about all tables that are not captured as was asked for; the others are done.
pub fn impossible(wish: Wish<'_>, tables: &[(String, Impossible)], others: usize) -> Error {
    let reasons: Vec<String> =
        tables.iter().map(|(name, why)| format!("table {name}: {}", why.reason)).collect();
    let mut remedies: Vec<(&str, Vec<&str>)> = Vec::new();
    for (name, why) in tables {
        match remedies.iter_mut().find(|(remedy, _)| *remedy == why.remedy) {
            Some((_, names)) => names.push(name),
            None => remedies.push((&why.remedy, vec![name])),
        }
    }
    let hint = match &remedies[..] {
        [(remedy, _)] => (*remedy).to_owned(),
        _ => remedies
            .iter()
            .map(|(remedy, names)| format!("{}: {remedy}", names.join(", ")))
            .collect::<Vec<_>>()
            .join("; "),
    };
    let done = match others {
        0 => "nothing of that was changed".to_owned(),
        1 => "nothing of that was changed; one other table is done".to_owned(),
        n => format!("nothing of that was changed; {n} other tables are done"),
    };
    Error::state(format!("{} is not possible for {} ({done})", wish.options(true), reasons.join("; ")))
        .hint(hint.replace("$OPTION", &wish.options(false)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_is_named_once_with_what_to_do() {
        let why = || Impossible::new("it is partitioned", "leave $OPTION out");
        let row = Wish { form: Some("row"), failure: None };
        let one = impossible(row, &[("a".into(), why())], 0);
        assert_eq!(
            one.to_string(),
            "--trigger-form=row is not possible for table a: it is partitioned (nothing of that was changed)"
        );
        assert_eq!(one.hint_text(), Some("leave --trigger-form out"));
        let tables =
            [("a".into(), why()), ("b".into(), Impossible::new("so", "rename it")), ("c".into(), why())];
        let mark = Wish { failure: Some("mark"), ..row };
        let all = impossible(mark, &tables, 2);
        assert!(
            all.to_string().starts_with("--trigger-form=row --capture-failure=mark is not possible"),
            "{all}"
        );
        assert!(
            all.to_string().contains("table a: it is partitioned; table b: so; table c: it is partitioned")
        );
        assert!(all.to_string().contains("2 other tables are done"), "{all}");
        assert_eq!(all.hint_text(), Some("a, c: leave --trigger-form --capture-failure out; b: rename it"));
    }
}
