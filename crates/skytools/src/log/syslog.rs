//! Records for the local syslog daemon, over its datagram socket (RFC 3164, as the C library writes them).

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use super::record::Record;
use super::redact::redact;
use crate::Result;
use crate::config::Config;

/// Where syslog daemons listen.
const SOCKET: &str = "/dev/log";

/// Facility numbers of RFC 3164, by the names of `syslog.conf`.
const FACILITIES: &[(&str, u8)] = &[
    ("user", 1),
    ("mail", 2),
    ("daemon", 3),
    ("auth", 4),
    ("syslog", 5),
    ("lpr", 6),
    ("news", 7),
    ("uucp", 8),
    ("cron", 9),
    ("authpriv", 10),
    ("ftp", 11),
    ("local0", 16),
    ("local1", 17),
    ("local2", 18),
    ("local3", 19),
    ("local4", 20),
    ("local5", 21),
    ("local6", 22),
    ("local7", 23),
];

/// Writes records to syslog. As with the C library's `syslog`, a record that cannot be delivered is lost silently:
/// the log file and standard error are there besides.
pub(super) struct Syslog {
    path: PathBuf,
    socket: Option<UnixDatagram>,
    ident: String,
    facility: u8,
}

impl Syslog {
    /// By the keys `syslog` (default on), `syslog_ident` and `syslog_facility`; `None` when it is switched off.
    ///
    /// # Errors
    /// A key is malformed, or the facility unknown.
    pub fn from_config(config: &Config, default_ident: &str) -> Result<Option<Self>> {
        if !config.get_bool("syslog", true)? {
            return Ok(None);
        }
        let name = config.get_or("syslog_facility", "daemon")?;
        let facility = FACILITIES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
        let facility = facility.ok_or_else(|| {
            let known: Vec<&str> = FACILITIES.iter().map(|(known, _)| *known).collect();
            config
                .key_error("syslog_facility", format_args!("{name:?} is no facility"))
                .hint(format!("Use one of: {}.", known.join(", ")))
        })?;
        let ident = config.get_or("syslog_ident", default_ident)?;
        Ok(Some(Self::at(Path::new(SOCKET), ident, facility)))
    }

    fn at(path: &Path, ident: String, facility: u8) -> Self {
        Syslog { path: path.to_owned(), socket: None, ident, facility }
    }

    /// Sends one record. A daemon that was restarted has a new socket, so a failure is tried once more.
    pub fn write(&mut self, record: &Record) {
        let severity = match record.level {
            tracing::Level::ERROR => 3,
            tracing::Level::WARN => 4,
            tracing::Level::INFO => 6,
            tracing::Level::DEBUG | tracing::Level::TRACE => 7,
        };
        let datagram = format!(
            "<{}>{} {}[{}]: {}",
            u16::from(self.facility) * 8 + severity,
            record.time.strftime("%b %e %H:%M:%S"),
            self.ident,
            std::process::id(),
            redact(&record.text())
        );
        for _ in 0..2 {
            if self.socket.is_none() {
                self.socket = connect(&self.path);
            }
            match &self.socket {
                Some(socket) if socket.send(datagram.as_bytes()).is_ok() => return,
                Some(_) => self.socket = None,
                None => return,
            }
        }
    }
}

/// Never blocks: a syslog daemon that hangs must not hang the program.
fn connect(path: &Path) -> Option<UnixDatagram> {
    let socket = UnixDatagram::unbound().ok()?;
    socket.set_nonblocking(true).ok()?;
    socket.connect(path).ok()?;
    Some(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(message: &str) -> Record {
        Record {
            time: jiff::civil::date(2026, 11, 5).at(9, 8, 7, 0).to_zoned(jiff::tz::TimeZone::UTC).unwrap(),
            level: tracing::Level::WARN,
            target: "test",
            message: message.to_owned(),
            error: None,
            hint: None,
            fields: Vec::new(),
        }
    }

    #[test]
    fn a_restarted_daemon_gets_the_next_record() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut syslog = Syslog::at(&path, "pgqd".to_owned(), 3);
        syslog.write(&record("nobody listens"));
        for _ in 0..2 {
            let daemon = UnixDatagram::bind(&path).unwrap();
            syslog.write(&record("hello password=secret"));
            let mut buffer = [0; 500];
            let length = daemon.recv(&mut buffer).unwrap();
            let got = std::str::from_utf8(&buffer[..length]).unwrap().to_owned();
            assert!(got.starts_with("<28>Nov  5 09:08:07 pgqd["), "{got}");
            assert!(got.contains("]: hello") && !got.contains("secret"), "{got}");
            drop(daemon);
            std::fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn keys() {
        let of = |text: &str| {
            Syslog::from_config(
                &Config::from_text(&format!("[pgqd]\n{text}"), &["pgqd"], &[]).unwrap(),
                "pgqd",
            )
        };
        assert!(of("syslog = 0").unwrap().is_none());
        let set = of("syslog_ident = me\nsyslog_facility = local3").unwrap().unwrap();
        assert_eq!((set.ident.as_str(), set.facility), ("me", 19));
        let Err(error) = of("syslog_facility = nowhere") else { panic!("accepted") };
        assert!(error.hint_text().unwrap().contains("local7"));
    }
}
