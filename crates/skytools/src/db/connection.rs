//! An open connection and the task that drives it.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_postgres::error::{DbError, Severity};
use tokio_postgres::types::Type;
use tokio_postgres::{AsyncMessage, CancelToken, NoTls, Notification};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::warnings::Warnings;
use crate::{Error, ErrorKind, Result};

/// Notifications kept for a reader that is busy. They are hints only, so later ones are dropped.
const NOTIFICATIONS_KEPT: usize = 64;

/// How long a dropped connection may take to say good-bye before the socket is closed.
const FAREWELL: Duration = Duration::from_millis(500);

/// Takes back whatever the user of a session may have done to it, but keeps what the server has learnt and the statements it has prepared.
const RENEW: &str = "close all; reset session authorization; reset all; unlisten *; \
     select pg_catalog.pg_advisory_unlock_all(); discard temp; discard sequences";

/// An open connection; derefs to [`tokio_postgres::Client`]. Dropping it closes the connection.
pub struct Connection {
    client: tokio_postgres::Client,
    canceller: Canceller,
    target: Arc<str>,
    server_version: i32,
    opened: Instant,
    /// The application's name is the caller's, not the connect string's or the environment's.
    named_by_caller: bool,
    notifications: Option<mpsc::Receiver<Notification>>,
    closing: Option<oneshot::Sender<()>>,
    driver: Option<JoinHandle<()>>,
}

/// Cancels whatever statement runs on a connection; may be sent to other tasks.
#[derive(Clone)]
pub struct Canceller {
    token: CancelToken,
    tls: Option<MakeRustlsConnect>,
}

impl Canceller {
    /// Asks the server, over a connection of its own with the same TLS settings, to cancel the running statement.
    /// Returns when the server has taken the request; the statement fails with SQLSTATE 57014 unless it had ended.
    ///
    /// # Errors
    /// [`ErrorKind::Connection`] when the server cannot be reached.
    pub async fn cancel(&self) -> Result<()> {
        let done = match &self.tls {
            Some(tls) => self.token.cancel_query(tls.clone()).await,
            None => self.token.cancel_query(NoTls).await,
        };
        done.map_err(|e| Error::from(e).context("cancelling a statement failed"))
    }
}

impl Connection {
    /// Takes over a fresh client and starts driving its connection.
    pub(super) fn start<S, T>(
        client: tokio_postgres::Client,
        connection: tokio_postgres::Connection<S, T>,
        tls: Option<MakeRustlsConnect>,
        target: &str,
        named_by_caller: bool,
    ) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let server_version = connection.parameter("server_version").map_or(0, version_number);
        let (notify, notifications) = mpsc::channel(NOTIFICATIONS_KEPT);
        let (closing, closed) = oneshot::channel();
        let target: Arc<str> = target.into();
        let driver = tokio::spawn(drive(connection, notify, closed, target.clone()));
        let canceller = Canceller { token: client.cancel_token(), tls };
        Connection {
            client,
            canceller,
            target,
            server_version,
            opened: Instant::now(),
            named_by_caller,
            notifications: Some(notifications),
            closing: Some(closing),
            driver: Some(driver),
        }
    }

    /// Whether the connection has ended, for whatever reason.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// The server's version in the form of `server_version_num`: 150020 is 15.20; 0 when it gave none.
    pub fn server_version(&self) -> i32 {
        self.server_version
    }

    /// Where this connection goes, for messages: host, port, database and user, no password.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// How long ago it was opened.
    pub fn age(&self) -> Duration {
        self.opened.elapsed()
    }

    /// Makes the session as it was when new, for another use of the same process: settings, locks, temporary tables, channels. `application_name`
    /// counts as in [`ConnectString::connect`](super::ConnectString::connect). It must be outside a transaction, and must be dropped when this fails.
    ///
    /// # Errors
    /// [`ErrorKind::Connection`] when it has ended meanwhile; whatever else the server reports.
    pub async fn renew(&mut self, application_name: &str) -> Result<()> {
        self.client.batch_execute(RENEW).await?;
        if self.named_by_caller {
            self.client
                .query_typed(
                    "select pg_catalog.set_config('application_name', $1, false)",
                    &[(&application_name, Type::TEXT)],
                )
                .await?;
        }
        Ok(())
    }

    /// A handle that cancels statements of this connection.
    pub fn canceller(&self) -> Canceller {
        self.canceller.clone()
    }

    /// As [`Canceller::cancel`].
    ///
    /// # Errors
    /// [`ErrorKind::Connection`] when the server cannot be reached.
    pub async fn cancel(&self) -> Result<()> {
        self.canceller.cancel().await
    }

    /// The stream of `LISTEN` notifications, once. They are hints: when nobody reads, later ones are dropped.
    pub fn take_notifications(&mut self) -> Option<mpsc::Receiver<Notification>> {
        self.notifications.take()
    }

    /// Closes the connection and waits until the socket is closed.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when the driving task panicked.
    pub async fn close(mut self) -> Result<()> {
        let driver = self.driver.take();
        drop(self);
        match driver {
            Some(driver) => driver.await.map_err(|e| {
                Error::new(ErrorKind::Internal, "the task that drives a connection failed").with_source(e)
            }),
            None => Ok(()),
        }
    }
}

impl Deref for Connection {
    type Target = tokio_postgres::Client;
    fn deref(&self) -> &Self::Target {
        &self.client
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.client
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("target", &self.target).finish_non_exhaustive()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(closing) = self.closing.take() {
            // An error means that the driver has ended already: nothing is left to close.
            closing.send(()).ok();
        }
    }
}

/// Logs what the server says beside its answers. Its warnings concern the operator; what comes with each call is told once.
fn tell(notice: &DbError, target: &str, warnings: &mut Warnings) {
    let text = notice.message();
    // The severity that is not translated.
    let warning = notice.parsed_severity() == Some(Severity::Warning);
    if !(warning && warnings.is_news(text, Instant::now())) {
        tracing::debug!("{}: {text}", notice.severity());
    } else if let Some(hint) = notice.hint() {
        tracing::warn!(hint, "{target}: {text}");
    } else {
        tracing::warn!("{target}: {text}");
    }
}

/// Moves bytes, forwards notices to the log and notifications to their reader, until the connection ends
/// or its owner is gone.
async fn drive<S, T>(
    mut connection: tokio_postgres::Connection<S, T>,
    notify: mpsc::Sender<Notification>,
    closed: oneshot::Receiver<()>,
    target: Arc<str>,
) where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut warnings = Warnings::default();
    let messages = async {
        while let Some(message) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {
            match message {
                Ok(AsyncMessage::Notice(notice)) => {
                    tell(&notice, &target, &mut warnings);
                }
                // A full channel means that a wake-up is waiting to be seen already.
                Ok(AsyncMessage::Notification(notification)) => {
                    notify.try_send(notification).ok();
                }
                Ok(_) => {}
                // The client's next call reports it with what was being done.
                Err(error) => {
                    tracing::debug!("connection to {target} ended: {}", Error::from(error).chain());
                    break;
                }
            }
        }
    };
    let farewell = async {
        // Both a message and a dropped sender mean that the owner is gone.
        closed.await.ok();
        tokio::time::sleep(FAREWELL).await;
    };
    tokio::select! {
        () = messages => {}
        () = farewell => {}
    }
}

/// `15.20 (Debian …)` as 150020, `18beta1` as 180000, `9.6.3` as 90603.
fn version_number(text: &str) -> i32 {
    let digits: String = text.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    let mut parts = digits.split('.').map(|p| p.parse::<i32>().unwrap_or(0));
    let (major, second, third) =
        (parts.next().unwrap_or(0), parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    if major >= 10 { major * 10_000 + second } else { major * 10_000 + second * 100 + third }
}

#[cfg(test)]
mod tests {
    #[test]
    fn version_numbers() {
        for (text, number) in [
            ("15.20 (Debian 15.20-0+deb12u1)", 150_020),
            ("18beta1", 180_000),
            ("17devel", 170_000),
            ("9.6.3", 90_603),
            ("14.0", 140_000),
            ("", 0),
        ] {
            assert_eq!(super::version_number(text), number, "{text}");
        }
    }
}
