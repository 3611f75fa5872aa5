use std::os::unix::fs::PermissionsExt;

use super::*;

fn resolve(text: &str, env: &Environment) -> Result<Settings> {
    Settings::resolve(&ConnectString::parse(text)?, env)
}

fn shown(text: &str, env: &Environment) -> String {
    match resolve(text, env) {
        Ok(s) => {
            let servers: Vec<String> = s
                .endpoints
                .iter()
                .map(|e| {
                    let address = match &e.address {
                        Address::Socket(dir) if dir == default_socket_dir() => "default".to_owned(),
                        Address::Socket(dir) => dir.clone(),
                        Address::Tcp(name, Some(ip)) => format!("{name}={ip}"),
                        Address::Tcp(name, None) => name.clone(),
                    };
                    format!(
                        "{address}:{}{}",
                        e.port,
                        e.password.as_ref().map_or(String::new(), |p| format!("/{p}"))
                    )
                })
                .collect();
            format!("{}@{} {}", s.user, s.dbname, servers.join(" "))
        }
        Err(e) => format!("ERROR {e}"),
    }
}

#[test]
fn defaults_and_lists() {
    let env = Environment::invented(&[], None, "joe");
    for (text, expected) in [
        ("", "joe@joe default:5432"),
        ("user=ann", "ann@ann default:5432"),
        ("dbname=x port=", "joe@x default:5432"),
        ("host=a,b port=1,2", "joe@joe a:1 b:2"),
        ("host=a,b port=7", "joe@joe a:7 b:7"),
        ("host=a,,/s port=1,,3", "joe@joe a:1 default:5432 /s:3"),
        ("hostaddr=127.0.0.1", "joe@joe 127.0.0.1=127.0.0.1:5432"),
        ("host=n hostaddr=::1 port=9", "joe@joe n=::1:9"),
        ("postgresql://[::1]:6/d", "joe@d ::1:6"),
        ("host=@abstract", "joe@joe @abstract:5432"),
        ("host=a,b hostaddr=127.0.0.1", "ERROR connect string: 2 host names for 1 hostaddr values"),
        ("host=a,b port=1,2,3", "ERROR connect string: 3 ports for 2 hosts"),
        ("port=x", "ERROR connect string: a port is not a number from 1 to 65535"),
        ("port=70000", "ERROR connect string: a port is not a number from 1 to 65535"),
        ("hostaddr=example.org", "ERROR connect string: hostaddr \"example.org\" is not an IP address"),
        ("sslmode=maybe", "ERROR connect string: invalid value of sslmode"),
        ("target_session_attrs=best", "ERROR connect string: invalid value of target_session_attrs"),
        ("connect_timeout=soon", "ERROR connect string: connect_timeout is not a whole number"),
    ] {
        assert_eq!(shown(text, &env), expected, "{text:?}");
    }
}

#[test]
fn environment_fills_what_is_not_written() {
    let vars = [
        ("PGHOST", "envhost"),
        ("PGPORT", "6000"),
        ("PGUSER", "envuser"),
        ("PGDATABASE", "envdb"),
        ("PGPASSWORD", "envpw"),
        ("PGSSLMODE", "disable"),
        ("PGCLIENTENCODING", "LATIN1"),
        ("PGTZ", "Europe/Tallinn"),
        ("PGOPTIONS", "-c work_mem=1MB"),
    ];
    let env = Environment::invented(&vars, None, "joe");
    assert_eq!(shown("", &env), "envuser@envdb envhost:6000/envpw");
    assert_eq!(shown("host=h dbname=d password=p user=u port=1", &env), "u@d h:1/p");
    let settings = resolve("", &env).unwrap();
    assert_eq!(settings.sslmode, SslMode::Disable);
    assert_eq!(settings.options.as_deref(), Some("-c TimeZone=Europe/Tallinn -c work_mem=1MB"));
    let strict = Environment::invented(&[("PGREQUIREPEER", "postgres")], None, "joe");
    assert_eq!(shown("", &strict), "ERROR connect string: keyword \"requirepeer\" is not supported here");
}

#[test]
fn service_before_environment() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(".pg_service.conf"), "[own]\nhost=svc\ndbname=svcdb\nuser=svcuser\n")
        .unwrap();
    std::fs::write(dir.path().join("pg_service.conf"), "[sys]\nhost=system\n").unwrap();
    std::fs::write(dir.path().join("third"), "[own]\nhost=third\n").unwrap();
    let sysconf = dir.path().to_str().unwrap();
    let base = [("PGSYSCONFDIR", sysconf), ("PGHOST", "envhost"), ("PGPORT", "6000")];
    let env = Environment::invented(&base, Some(dir.path()), "joe");
    assert_eq!(shown("service=own", &env), "svcuser@svcdb svc:6000");
    assert_eq!(shown("service=own dbname=mine", &env), "svcuser@mine svc:6000");
    assert_eq!(shown("service=sys", &env), "joe@joe system:6000");
    assert!(shown("service=none", &env).starts_with("ERROR definition of service \"none\" not found"));
    let third = dir.path().join("third");
    let file = third.to_str().unwrap();
    let env =
        Environment::invented(&[("PGSERVICE", "own"), ("PGSERVICEFILE", file)], Some(dir.path()), "joe");
    assert_eq!(shown("", &env), "joe@joe third:5432");
    let env = Environment::invented(&[("PGSERVICEFILE", "/nonexistent/file")], Some(dir.path()), "joe");
    assert_eq!(shown("service=own", &env), "ERROR cannot read service file /nonexistent/file");
}

#[test]
fn password_file_is_asked_per_host() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(".pgpass");
    std::fs::write(&file, "a:1:d:joe:for-a\nlocalhost:*:*:*:local\n/other:*:*:*:sock\nb:*:*:*:for-b\n")
        .unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let env = Environment::invented(&[], Some(dir.path()), "joe");
    assert_eq!(shown("host=a,b,c port=1 dbname=d", &env), "joe@d a:1/for-a b:1/for-b c:1");
    assert_eq!(shown("dbname=d", &env), "joe@d default:5432/local");
    assert_eq!(shown("host=/other dbname=d", &env), "joe@d /other:5432/sock");
    assert_eq!(shown("host=b password=x", &env), "joe@joe b:5432/x");
    let elsewhere = Environment::invented(&[("PGPASSFILE", file.to_str().unwrap())], None, "joe");
    assert_eq!(shown("host=b", &elsewhere), "joe@joe b:5432/for-b");
}

#[test]
fn times() {
    let env = Environment::invented(&[], None, "joe");
    let timeout = |text: &str| resolve(text, &env).unwrap().timeout.map(|t| t.as_secs());
    assert_eq!(timeout(""), Some(15));
    assert_eq!(timeout("connect_timeout=0"), None);
    assert_eq!(timeout("connect_timeout=1"), Some(2));
    assert_eq!(timeout("connect_timeout=7"), Some(7));
    let keep = |text: &str| {
        resolve(text, &env).unwrap().keepalives.map(|k| (k.idle.as_secs(), k.interval.as_secs(), k.count))
    };
    assert_eq!(keep(""), Some((240, 15, 4)));
    assert_eq!(keep("keepalives=0"), None);
    assert_eq!(keep("keepalives_idle=5 keepalives_interval=0 keepalives_count=9"), Some((5, 15, 9)));
    let user_timeout = |text: &str| resolve(text, &env).unwrap().tcp_user_timeout.map(|t| t.as_millis());
    assert_eq!(user_timeout(""), None);
    assert_eq!(user_timeout("tcp_user_timeout=2500"), Some(2500));
}
