//! Every statement of the commands is valid on a fresh installation.

use anyhow::{Context as _, Result};

#[tokio::test]
async fn every_statement_prepares() -> Result<()> {
    let db = testkit::database().await?;
    let client = db.connect().await?;
    for statement in londiste::command::sql::ALL {
        client.prepare(statement).await.with_context(|| (*statement).to_owned())?;
    }
    Ok(())
}
