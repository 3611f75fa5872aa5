//! What a script may set for its session, and what is put back after it.
//!
//! On the root a script has a session of its own, which ends with it. Here it runs in the session that applies changes: what it
//! leaves behind would decide how the next values are read.

use skytools::Result;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::apply::session::{Role, show_token};
use crate::script::{Lasts, set_role};

/// Settings that a session can change. Those of the transaction are over with it; the role goes its own way; `temp_buffers` cannot be put
/// back once there are temporary tables, and no value depends on it.
const NOTE: &str = "select name, setting from pg_catalog.pg_settings \
     where context in ('user', 'superuser') and name not like 'transaction\\_%' and name not in ('session_replication_role', 'temp_buffers')";

/// Puts back what is different now. (Of several arrays `unnest` is no function but syntax, with that name alone.)
const RESTORE: &str = "select pg_catalog.set_config(s.name, v.setting, false) \
     from unnest($1::text[], $2::text[]) as v (name, setting) \
     join pg_catalog.pg_settings s on s.name operator(pg_catalog.=) v.name \
    where s.setting is distinct from v.setting";

/// First: in these the names of the settings and their values are read.
const READABLE: &str = "reset session authorization; reset role; set client_encoding = 'UTF8'; set standard_conforming_strings = on";

/// The settings of a session.
pub(super) struct Settings {
    names: Vec<String>,
    values: Vec<String>,
}

impl Settings {
    /// The present ones.
    ///
    /// # Errors
    /// Whatever the server reports.
    pub async fn note(client: &Client) -> Result<Self> {
        let (mut names, mut values) = (Vec::new(), Vec::new());
        for row in client.query_typed(NOTE, &[]).await? {
            names.push(row.try_get(0)?);
            values.push(row.try_get(1)?);
        }
        Ok(Settings { names, values })
    }

    /// Puts them back for the rest of the session, and lets it apply changes again.
    ///
    /// # Errors
    /// Whatever the server reports.
    pub async fn restore(&self, client: &Client, queue: &str, role: Role) -> Result<()> {
        client.batch_execute(READABLE).await?;
        let params = [(&self.names as _, Type::TEXT_ARRAY), (&self.values as _, Type::TEXT_ARRAY)];
        client.query_typed(RESTORE, &params).await?;
        match role {
            Role::Replica => set_role(client, "replica", Lasts::Session).await,
            Role::Token => show_token(client, queue).await,
        }
    }
}
