//! A network that fails on command: a proxy in front of a server that cuts, delays, stalls and refuses.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

/// The state of the network, watched by every connection through the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Weather {
    /// Counts the cuts: a connection ends when it sees another number than it began with.
    cuts: u64,
    refusing: bool,
    stalled: bool,
    delay: Duration,
}

/// A proxy on a unix socket of its own, in front of another unix socket. Ends with the value.
#[derive(Debug)]
pub struct Proxy {
    dir: tempfile::TempDir,
    weather: watch::Sender<Weather>,
    listener: tokio::task::JoinHandle<()>,
    tail: String,
}

impl Proxy {
    /// Starts a proxy in front of a cluster.
    pub fn start(cluster: &cluster::Cluster, db: &str) -> Result<Proxy> {
        let dir = tempfile::Builder::new().prefix("px-").tempdir()?;
        let file = format!(".s.PGSQL.{}", cluster.port());
        let upstream = Arc::new(cluster.socket_dir().join(&file));
        let listener = UnixListener::bind(dir.path().join(&file)).context("binding the proxy's socket")?;
        let (weather, watching) = watch::channel(Weather::default());
        let listener = tokio::spawn(accept(listener, upstream, watching));
        // Everything of the cluster's connect string but the host.
        let tail = cluster.connstr(db);
        let tail =
            tail.split_once(" port=").map(|(_, rest)| format!("port={rest}")).context("a connect string")?;
        Ok(Proxy { dir, weather, listener, tail })
    }

    /// The connect string through the proxy.
    #[must_use]
    pub fn connstr(&self) -> String {
        format!("host={} {}", self.dir.path().display(), self.tail)
    }

    /// Closes every connection that is open now, in the middle of whatever it does.
    pub fn cut(&self) {
        self.weather.send_modify(|w| w.cuts += 1);
    }

    /// Closes new connections at once, or stops doing so.
    pub fn refuse(&self, refusing: bool) {
        self.weather.send_modify(|w| w.refusing = refusing);
    }

    /// Keeps connections open without passing on a byte, or goes on where it stopped.
    pub fn stall(&self, stalled: bool) {
        self.weather.send_modify(|w| w.stalled = stalled);
    }

    /// Delays every chunk of data, in both directions.
    pub fn delay(&self, delay: Duration) {
        self.weather.send_modify(|w| w.delay = delay);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

async fn accept(listener: UnixListener, upstream: Arc<PathBuf>, weather: watch::Receiver<Weather>) {
    while let Ok((client, _)) = listener.accept().await {
        if weather.borrow().refusing {
            continue;
        }
        let (upstream, weather) = (upstream.clone(), weather.clone());
        tokio::spawn(async move {
            // A server that is down is the same to the client as a refusing network.
            let Ok(server) = UnixStream::connect(upstream.as_path()).await else { return };
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            let cuts = weather.borrow().cuts;
            let mut ending = weather.clone();
            tokio::select! {
                _ = ending.wait_for(|w| w.cuts != cuts) => {}
                () = pass(from_client, to_server, weather.clone()) => {}
                () = pass(from_server, to_client, weather) => {}
            }
        });
    }
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut weather: watch::Receiver<Weather>,
) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let Ok(read @ 1..) = from.read(&mut buffer).await else { return };
        let delay = match weather.wait_for(|w| !w.stalled).await {
            Ok(now) => now.delay,
            Err(_) => return,
        };
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
