//! Which way each kind of table goes, in a batch that is known beforehand.

use anyhow::{Context, Result, ensure};
use londiste::apply::Tables;

use crate::dice::Dice;
use crate::history::Model;
use crate::play::{TYPES, by_set, dest, fill, in_order, prepared, rows};
use crate::templates::{FAILS, TEMPLATES};

/// With `N` for every number.
fn plain(text: &str) -> String {
    let word = |word: &str| {
        let number = word.trim_start_matches('(');
        if number.parse::<u64>().is_ok() { word.replace(number, "N") } else { word.to_owned() }
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// Otherwise the comparison of both ways would compare ordered replay with itself.
#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_table_goes_its_way() -> Result<()> {
    let db = testkit::database().await?;
    let other = db.connect().await?;
    other.batch_execute(TYPES).await?;
    let (ordered, sets) = (prepared(&db).await?, prepared(&db).await?);
    let (mut cache_a, mut cache_b) = (Tables::new(), Tables::new());
    let mut wrong = Vec::new();
    for template in TEMPLATES {
        for schema in ["a", "b"] {
            let again = format!(
                "drop schema if exists {schema} cascade; create schema {schema}; \
                 create table {schema}.log (n bigint generated always as identity, others bigint)"
            );
            other.batch_execute(&again).await?;
            other.batch_execute(&fill(template.ddl, schema, 0)).await.context(template.name)?;
        }
        let steps = Model::new(&[template], 30).tour(&mut Dice(7));
        let expected = in_order(&ordered, &mut cache_a, &steps, "a").await?;
        let (end, how) = by_set(&sets, &mut cache_b, &steps, "b", 0, usize::MAX).await?;
        ensure!(
            expected.is_ok() != (template.goes == FAILS) && end == expected,
            "{}: {expected:?}, {end:?}, {how}",
            template.name
        );
        let (a, b) = (rows(&other, &dest("a", 0)).await?, rows(&other, &dest("b", 0)).await?);
        ensure!(a == b, "{}: in order {a:#?}, by set {b:#?} ({how})", template.name);
        let goes = plain(how.trim_start_matches("b.t0: "));
        if expected.is_ok() && goes != template.goes {
            wrong.push(format!("{}: {goes}", template.name));
        }
    }
    ensure!(wrong.is_empty(), "these go another way:\n{}", wrong.join("\n"));
    Ok(())
}
