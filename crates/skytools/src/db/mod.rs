//! Connections by libpq's conventions: connect strings, `PG*` variables, service files, the password file, TLS.
//!
//! ```no_run
//! # async fn example() -> skytools::Result<()> {
//! let target = skytools::db::ConnectString::parse("service=orders sslmode=verify-full")?;
//! let db = target.connect("my_job").await?;
//! let row = db.query_one("select 1", &[]).await?;
//! # Ok(()) }
//! ```
//!
//! Two defaults differ from libpq's, because daemons depend on them and the original set them: `connect_timeout`
//! is 15 s per server, and TCP keepalives start after 240 s (four probes, 15 s apart).

mod connect;
mod connect_string;
mod connection;
mod conninfo;
mod environment;
mod keyword;
mod passfile;
mod result_code;
mod server_check;
mod service_file;
mod settings;
mod tls;
mod warnings;

pub use connect_string::ConnectString;
pub use connection::{Canceller, Connection};
pub use result_code::{Ret, exec_ret};
