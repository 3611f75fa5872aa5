//! A network that fails on command: a proxy in front of a server that cuts, delays, stalls and refuses.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use cluster::Cluster;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
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

/// A proxy in front of a server, on a unix socket or a loopback port of its own. Ends with the value.
#[derive(Debug)]
pub struct Proxy {
    host: String,
    port: u16,
    tail: String,
    weather: watch::Sender<Weather>,
    listener: tokio::task::JoinHandle<()>,
    /// Holds the unix socket.
    _dir: Option<tempfile::TempDir>,
}

impl Proxy {
    /// Starts a proxy from a unix socket to the cluster's unix socket.
    pub fn start(cluster: &Cluster, db: &str) -> Result<Proxy> {
        let dir = tempfile::Builder::new().prefix("px-").tempdir()?;
        let file = format!(".s.PGSQL.{}", cluster.port());
        let upstream = cluster.socket_dir().join(&file);
        let listener = UnixListener::bind(dir.path().join(&file)).context("binding the proxy's socket")?;
        let (weather, watching) = watch::channel(Weather::default());
        let host = dir.path().display().to_string();
        let listener = tokio::spawn(accept_unix(listener, upstream, watching));
        Ok(Proxy {
            host,
            port: cluster.port(),
            tail: tail_of(cluster, db)?,
            weather,
            listener,
            _dir: Some(dir),
        })
    }

    /// Starts a proxy from a loopback port to the cluster's loopback port (for TLS); the cluster is built with `tcp`.
    pub async fn start_tcp(cluster: &Cluster, db: &str) -> Result<Proxy> {
        cluster.tcp_connstr(db)?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("binding the proxy's port")?;
        let port = listener.local_addr()?.port();
        let (weather, watching) = watch::channel(Weather::default());
        let listener = tokio::spawn(accept_tcp(listener, cluster.port(), watching));
        Ok(Proxy {
            host: "127.0.0.1".to_owned(),
            port,
            tail: tail_of(cluster, db)?,
            weather,
            listener,
            _dir: None,
        })
    }

    /// The connect string through the proxy.
    #[must_use]
    pub fn connstr(&self) -> String {
        format!("{} {}", self.base_connstr(), self.tail)
    }

    /// Host and port of the proxy, as a connect string.
    #[must_use]
    pub fn base_connstr(&self) -> String {
        format!("host={} port={}", self.host, self.port)
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

/// User and database of the cluster's connect string.
fn tail_of(cluster: &Cluster, db: &str) -> Result<String> {
    let whole = cluster.connstr(db);
    let tail = whole.split_once(" user=").map(|(_, rest)| format!("user={rest}"));
    tail.context("a connect string with a user")
}

async fn accept_unix(listener: UnixListener, upstream: PathBuf, weather: watch::Receiver<Weather>) {
    while let Ok((client, _)) = listener.accept().await {
        let (upstream, weather) = (upstream.clone(), weather.clone());
        tokio::spawn(async move {
            // A server that is down is the same to the client as a refusing network.
            if !weather.borrow().refusing
                && let Ok(server) = UnixStream::connect(upstream).await
            {
                carry(client.into_split(), server.into_split(), weather).await;
            }
        });
    }
}

async fn accept_tcp(listener: TcpListener, upstream: u16, weather: watch::Receiver<Weather>) {
    while let Ok((client, _)) = listener.accept().await {
        let weather = weather.clone();
        tokio::spawn(async move {
            if !weather.borrow().refusing
                && let Ok(server) = TcpStream::connect(("127.0.0.1", upstream)).await
            {
                carry(client.into_split(), server.into_split(), weather).await;
            }
        });
    }
}

/// Passes bytes both ways until one side ends or the connection is cut.
async fn carry<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
    client: (R, W),
    server: (R, W),
    weather: watch::Receiver<Weather>,
) {
    let cuts = weather.borrow().cuts;
    let mut ending = weather.clone();
    tokio::select! {
        _ = ending.wait_for(|w| w.cuts != cuts) => {}
        () = pass(client.0, server.1, weather.clone()) => {}
        () = pass(server.0, client.1, weather) => {}
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
