//! Every statement of the crate is known to the server.

use anyhow::{Context, Result};

use crate::fixture::{Fixture, Schema, on_both};

on_both!(every_statement_prepares);

async fn every_statement_prepares(schema: Schema) -> Result<()> {
    let f = Fixture::new(schema).await?;
    for (name, statement) in pgq::sql::QUEUE_STATEMENTS {
        f.client.prepare(statement).await.with_context(|| format!("statement {name}"))?;
    }
    Ok(())
}
