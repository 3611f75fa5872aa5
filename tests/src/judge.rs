//! The judge: compares the content of tables on both sides with SQL of its own, not with the product's compare.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use tokio_postgres::Client;

/// Settings under which the text of a value is the same wherever it is read.
const CANONICAL: &str =
    "set datestyle = 'ISO'; set intervalstyle = 'postgres'; set timezone = 'UTC'; set extra_float_digits = 1;
    set bytea_output = 'hex'; set lc_monetary = 'C'; set search_path = pg_catalog; set xmloption = content;";

/// Rows of a table as text with the number of times each occurs.
///
/// # Errors
/// What the server says.
pub async fn content(db: &Client, table: &str) -> Result<BTreeMap<String, i64>> {
    db.batch_execute(CANONICAL).await?;
    let rows = db.query(&format!("select t::text, count(*) from {table} t group by 1"), &[]).await?;
    Ok(rows.iter().map(|r| (r.get(0), r.get(1))).collect())
}

/// Fails, naming up to five rows, unless the table (quoted for SQL) is the same on both sides.
///
/// # Errors
/// The difference.
pub async fn assert_identical(source: &Client, target: &Client, tables: &[&str]) -> Result<()> {
    for table in tables {
        let (left, right) = (content(source, table).await?, content(target, table).await?);
        let missing: Vec<_> = left.iter().filter(|(row, n)| right.get(*row) != Some(n)).take(5).collect();
        let extra: Vec<_> = right.iter().filter(|(row, n)| left.get(*row) != Some(n)).take(5).collect();
        ensure!(
            missing.is_empty() && extra.is_empty(),
            "{table}: {} rows on the source, {} on the target\nonly on the source (row, times): {missing:?}\nonly on the target: {extra:?}",
            left.values().sum::<i64>(),
            right.values().sum::<i64>(),
        );
    }
    Ok(())
}
