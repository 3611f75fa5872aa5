//! Which databases there are: the configured list, or what the server's catalog says.

use std::collections::BTreeSet;
use std::sync::Arc;

use skytools::{Error, Result};
use tokio::sync::mpsc;

use crate::database::Shared;
use crate::settings::Settings;
use crate::sql;
use crate::trouble::Trouble;

/// Sends the set of databases to serve whenever it was looked up, for ever.
///
/// A reload and a hint that a database may be gone lead to a look at once; otherwise it is taken each
/// `check_period`. With a configured list the server is not asked.
pub(crate) async fn run(shared: Shared, found: mpsc::Sender<BTreeSet<String>>) {
    let mut settings = shared.settings.clone();
    let mut trouble = Trouble::new("looking for databases".to_owned());
    loop {
        let now = settings.borrow_and_update().clone();
        let mut wait = now.check_period;
        let listed: BTreeSet<String> = now.database_list.iter().cloned().collect();
        let from_catalog = listed.is_empty();
        let outcome = if from_catalog { look(&now).await } else { Ok(listed) };
        match outcome {
            Ok(databases) => {
                trouble.over();
                if found.send(databases).await.is_err() {
                    return;
                }
            }
            Err(error) => wait = trouble.met(&error, wait).min(wait),
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            changed = settings.changed() => if changed.is_err() { return },
            // A list is not changed by what the server has; its databases are tried again by their own loops.
            () = shared.look_again.notified(), if from_catalog => {
                // Many loops notice the same restart: let them, and do not ask in a tight circle.
                tokio::time::sleep(wait.min(LOOK_AGAIN_AFTER)).await;
            }
        }
    }
}

/// The pause between a hint and the look that it causes.
const LOOK_AGAIN_AFTER: std::time::Duration = std::time::Duration::from_millis(500);

async fn look(settings: &Arc<Settings>) -> Result<BTreeSet<String>> {
    let connection = settings.target(&settings.initial_database)?.connect("pgqd").await?;
    let rows = connection.query(sql::DATABASES, &[]).await.map_err(Error::from)?;
    let names = rows.iter().map(|row| row.try_get::<_, String>(0)).collect::<Result<_, _>>();
    connection.close().await?;
    names.map_err(Error::from)
}
