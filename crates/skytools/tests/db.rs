//! Connections to a live server: errors that help, password and service files, TLS modes, the driving task.

use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use cluster::Cluster;
use skytools::ErrorKind;
use skytools::db::{ConnectString, Connection, exec_ret};
use testkit::wait_for;

async fn connect(text: &str) -> skytools::Result<Connection> {
    ConnectString::parse(text)?.connect("db test").await
}

async fn uses_tls(connection: &Connection) -> Result<bool> {
    let row = connection.query_one("select ssl from pg_stat_ssl where pid = pg_backend_pid()", &[]).await?;
    Ok(row.try_get(0)?)
}

/// A file that only its owner may read.
fn private_file(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(())
}

fn openssl(dir: &Path, arguments: &str) -> Result<()> {
    let output = Command::new("openssl").args(arguments.split(' ')).current_dir(dir).output()?;
    ensure!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// An authority, a server certificate for `localhost` only, client certificates for `cert_user`, and a second
/// authority that signed nothing.
fn make_certificates(dir: &Path) -> Result<()> {
    let key = "-newkey rsa:2048 -nodes -sha256";
    for authority in ["ca", "other"] {
        openssl(
            dir,
            &format!(
                "req -x509 {key} -days 2 -keyout {authority}.key -out {authority}.crt -subj /CN={authority}"
            ),
        )?;
    }
    for (name, subject, extension) in [
        ("server", "/CN=ignored", "subjectAltName=DNS:localhost"),
        ("client", "/CN=cert_user", "keyUsage=digitalSignature"),
    ] {
        openssl(dir, &format!("req {key} -keyout {name}.key -out {name}.csr -subj {subject}"))?;
        std::fs::write(dir.join("ext"), extension)?;
        openssl(
            dir,
            &format!(
                "x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out {name}.crt"
            ),
        )?;
    }
    openssl(
        dir,
        &format!(
            "req -x509 {key} -days 2 -keyout own.key -out own.crt -subj /CN=own -addext subjectAltName=DNS:localhost"
        ),
    )?;
    // As PostgreSQL's documentation makes them: the name as common name only, and whatever version openssl likes.
    openssl(dir, &format!("req {key} -keyout old.key -out old.csr -subj /CN=localhost"))?;
    openssl(dir, "x509 -req -in old.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -out old.crt")?;
    std::fs::write(dir.join("ext"), "keyUsage=digitalSignature")?;
    std::fs::copy(dir.join("old.key"), dir.join("common.key"))?;
    openssl(
        dir,
        "x509 -req -in old.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out common.crt",
    )?;
    for name in ["client.key", "ca.key"] {
        std::fs::set_permissions(dir.join(name), std::fs::Permissions::from_mode(0o600))?;
    }
    Ok(())
}

/// Puts a certificate and its key where the server reads them.
fn give_to_server(cluster: &Cluster, dir: &Path, name: &str) -> Result<()> {
    let data = cluster.data_dir();
    let owner = std::fs::metadata(&data)?;
    for (from, to) in [
        (format!("{name}.crt"), "server.crt"),
        (format!("{name}.key"), "server.key"),
        ("ca.crt".into(), "ca.crt"),
    ] {
        let to = data.join(to);
        std::fs::copy(dir.join(&from), &to)?;
        std::fs::set_permissions(&to, std::fs::Permissions::from_mode(0o600))?;
        chown(&to, Some(owner.uid()), Some(owner.gid()))?;
    }
    Ok(())
}

#[tokio::test]
async fn tls_modes() -> Result<()> {
    let certificates = tempfile::tempdir()?;
    let dir = certificates.path();
    make_certificates(dir)?;
    let cluster = testkit::own_cluster(|b| b.tcp()).await?;
    give_to_server(&cluster, dir, "server")?;
    cluster.psql(
        "postgres",
        "create role tls_user login password 'right'; create role cert_user login; create role any_user login; create role plain_user login",
    )?;
    // The first match decides, and lines are put in front.
    for line in [
        "host all all all reject",
        "host all any_user all trust",
        "hostnossl all plain_user all trust",
        "hostssl all cert_user all cert",
        "hostssl all tls_user all scram-sha-256",
    ] {
        cluster.add_hba(line)?;
    }
    let place =
        |host: &str| format!("host={host} hostaddr=127.0.0.1 port={} dbname=postgres", cluster.port());
    let local = place("localhost");

    // Before the server has TLS.
    assert!(!uses_tls(&connect(&format!("{local} user=any_user sslmode=prefer")).await?).await?);
    let error = connect(&format!("{local} user=any_user sslmode=require")).await.unwrap_err();
    assert!(error.chain().contains("does not support TLS"), "{error:?}");
    assert_eq!(error.kind(), ErrorKind::Connection);

    for line in
        ["ssl = on", "ssl_cert_file = 'server.crt'", "ssl_key_file = 'server.key'", "ssl_ca_file = 'ca.crt'"]
    {
        cluster.add_conf(line)?;
    }
    cluster.reload()?;
    wait_for("TLS is on", testkit::PATIENCE, async || {
        Ok(connect(&format!("{local} user=any_user sslmode=require")).await.ok())
    })
    .await?;

    let d = dir.display();
    let ca = format!("sslrootcert={d}/ca.crt");
    let client = format!("sslcert={d}/client.crt sslkey={d}/client.key");
    let password = "user=tls_user password=right";
    let missing = format!("sslrootcert={d}/none.crt");
    for (words, expected) in [
        ("user=any_user sslmode=disable".to_owned(), Ok(false)),
        ("user=any_user sslmode=allow".into(), Ok(false)),
        ("user=any_user sslmode=prefer".into(), Ok(true)),
        ("user=any_user".into(), Ok(true)),
        ("user=any_user sslmode=require".into(), Ok(true)),
        // Rules of pg_hba.conf make the second attempt of allow and prefer succeed.
        (format!("{password} sslmode=allow"), Ok(true)),
        ("user=plain_user sslmode=prefer".into(), Ok(false)),
        ("user=plain_user sslmode=require".into(), Err("pg_hba.conf")),
        (format!("{password} sslmode=disable"), Err("pg_hba.conf")),
        (format!("{password} sslmode=verify-full {ca}"), Ok(true)),
        (format!("{password} sslmode=verify-ca {ca}"), Ok(true)),
        (format!("{password} sslmode=verify-full {missing}"), Err("does not exist")),
        (format!("{password} sslmode=verify-full sslrootcert={d}/other.crt"), Err("TLS handshake")),
        (format!("{password} sslmode=verify-ca sslrootcert={d}/other.crt"), Err("TLS handshake")),
        // A root file that exists is used in every mode.
        (format!("{password} sslmode=require sslrootcert={d}/other.crt"), Err("TLS handshake")),
        (format!("{password} sslmode=require {missing}"), Ok(true)),
        (format!("{password} sslmode=verify-ca sslrootcert=system"), Err("needs sslmode=verify-full")),
        (format!("{password} sslmode=verify-full {ca} channel_binding=require"), Ok(true)),
        ("user=any_user sslmode=require channel_binding=require".into(), Err("channel binding")),
        (format!("{password} sslmode=verify-full {ca} ssl_min_protocol_version=TLSv1.3"), Ok(true)),
        (format!("{password} sslmode=verify-full {ca} ssl_max_protocol_version=TLSv1.2 sslsni=0"), Ok(true)),
        (format!("user=cert_user sslmode=verify-full {ca} {client}"), Ok(true)),
        (format!("user=cert_user sslmode=verify-full {ca}"), Err("certificate")),
        (
            format!("user=any_user sslmode=require sslcert={d}/client.crt sslkey={d}/server.key"),
            Err("cannot be used"),
        ),
        (
            format!("user=any_user sslmode=require sslcert={d}/client.crt sslkey={d}/nokey"),
            Err("cannot read client key"),
        ),
        (format!("{password}wrong sslmode=require"), Err("password authentication failed")),
    ] {
        let text = format!("{local} {words}");
        match (connect(&text).await, expected) {
            (Ok(connection), Ok(tls)) => assert_eq!(uses_tls(&connection).await?, tls, "{words}"),
            (Err(error), Err(part)) => {
                assert!(error.chain().contains(part), "{words}: {error:?}");
                assert!(!format!("{error:?}").contains("right"), "{words}: {error:?}");
            }
            (Ok(_), Err(part)) => panic!("{words}: connected, expected {part}"),
            (Err(error), Ok(_)) => panic!("{words}: {error:?}"),
        }
    }

    // The certificate is for localhost and not for the address.
    let by_address = place("127.0.0.1");
    let error = connect(&format!("{by_address} {password} sslmode=verify-full {ca}")).await.unwrap_err();
    assert!(error.hint_text().is_some_and(|h| h.contains("subjectAltName")), "{error:?}");
    connect(&format!("{by_address} {password} sslmode=verify-ca {ca}")).await?;

    // A key that others can read is refused.
    std::fs::set_permissions(dir.join("client.key"), std::fs::Permissions::from_mode(0o644))?;
    let error = connect(&format!("{local} user=cert_user sslmode=require {client}")).await.unwrap_err();
    assert!(error.hint_text().is_some_and(|h| h.contains("chmod 600")), "{error:?}");

    // A statement is cancelled over TLS.
    let connection = connect(&format!("{local} {password} sslmode=verify-full {ca}")).await?;
    let canceller = connection.canceller();
    let sleeping = tokio::spawn(async move { connection.batch_execute("select pg_sleep(600)").await });
    let watcher = testkit::connect(&cluster.connstr("postgres")).await?;
    wait_for("the statement runs", testkit::PATIENCE, async || {
        let row = watcher
            .query_one(
                "select count(*) from pg_stat_activity where usename = 'tls_user' and wait_event = 'PgSleep'",
                &[],
            )
            .await?;
        Ok((row.try_get::<_, i64>(0)? == 1).then_some(()))
    })
    .await?;
    canceller.cancel().await?;
    let error = skytools::Error::from(sleeping.await?.unwrap_err());
    assert_eq!(error.sqlstate().map(|s| s.code()), Some("57014"));

    // A certificate with a common name only.
    give_to_server(&cluster, dir, "common")?;
    cluster.reload()?;
    let by_name = format!("{local} {password} sslmode=verify-full {ca}");
    wait_for("the common name is compared", testkit::PATIENCE, async || {
        let other = connect(&format!("{} {password} sslmode=verify-full {ca}", place("LOCALHOST"))).await;
        let wrong = connect(&format!("{} {password} sslmode=verify-full {ca}", place("other.host"))).await;
        Ok((connect(&by_name).await.is_ok() && other.is_ok() && wrong.is_err()).then_some(()))
    })
    .await?;

    // One of version 1 still encrypts.
    give_to_server(&cluster, dir, "old")?;
    cluster.reload()?;
    let serial = std::fs::read(dir.join("old.crt"))?;
    wait_for("the old certificate is used", testkit::PATIENCE, async || {
        Ok((std::fs::read(cluster.data_dir().join("server.crt"))? == serial
            && uses_tls(&connect(&format!("{local} user=any_user sslmode=require")).await?).await?)
            .then_some(()))
    })
    .await?;

    // A self-signed certificate that is its own root.
    give_to_server(&cluster, dir, "own")?;
    cluster.reload()?;
    let own = format!("{local} {password} sslmode=verify-full sslrootcert={d}/own.crt");
    wait_for("the new certificate is used", testkit::PATIENCE, async || Ok(connect(&own).await.ok())).await?;
    let by_address = format!("{by_address} {password} sslrootcert={d}/own.crt");
    assert!(connect(&format!("{by_address} sslmode=verify-full")).await.is_err());
    connect(&format!("{by_address} sslmode=verify-ca")).await?;
    let error = connect(&format!("{local} {password} sslmode=verify-full {ca}")).await.unwrap_err();
    assert!(error.hint_text().is_some_and(|h| h.contains("sslrootcert")), "{error:?}");
    Ok(())
}

#[tokio::test]
async fn passwords_come_from_files_and_never_show() -> Result<()> {
    let cluster = testkit::own_cluster(|b| b.tcp()).await?;
    cluster.psql("postgres", "create role \"jo:e\" login password 'se:cret\\x'")?;
    cluster.add_hba("host all \"jo:e\" all scram-sha-256")?;
    cluster.reload()?;
    let port = cluster.port();
    let base = format!("host=127.0.0.1 port={port} dbname=postgres user=jo:e");
    wait_for("the password is asked for", testkit::PATIENCE, async || {
        Ok(connect(&format!("{base} passfile=/nonexistent")).await.is_err().then_some(()))
    })
    .await?;

    let error = connect(&format!("{base} passfile=/nonexistent")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Permission, "{error:?}");
    assert!(error.hint_text().is_some_and(|h| h.contains(".pgpass")), "{error:?}");
    let error = connect(&format!("{base} password=wrong-pass")).await.unwrap_err();
    assert_eq!(error.sqlstate().map(|s| s.code()), Some("28P01"));
    assert_eq!(error.kind(), ErrorKind::Permission);
    let shown = format!("{error:?} {error}");
    assert!(!shown.contains("wrong-pass"), "{shown}");
    for part in ["127.0.0.1", &port.to_string(), "postgres", "jo:e"] {
        assert!(shown.contains(part), "{part} is not in: {shown}");
    }

    let dir = tempfile::tempdir()?;
    let passfile = dir.path().join("pass");
    private_file(
        &passfile,
        &format!("# comment\nother:*:*:*:no\n127.0.0.1:{port}:postgres:jo\\:e:se\\:cret\\\\x\n"),
    )?;
    connect(&format!("{base} passfile={}", passfile.display())).await?;
    std::fs::set_permissions(&passfile, std::fs::Permissions::from_mode(0o640))?;
    assert!(connect(&format!("{base} passfile={}", passfile.display())).await.is_err());
    std::fs::set_permissions(&passfile, std::fs::Permissions::from_mode(0o600))?;

    let services = dir.path().join("services");
    std::fs::write(
        &services,
        format!(
            "[mine]\nhost=127.0.0.1\nport={port}\ndbname=postgres\nuser=jo:e\npassfile={}\n",
            passfile.display()
        ),
    )?;
    let service = connect(&format!("service=mine servicefile={}", services.display())).await?;
    let row =
        service.query_one("select current_user::text, current_setting('application_name')", &[]).await?;
    assert_eq!((row.try_get::<_, &str>(0)?, row.try_get::<_, &str>(1)?), ("jo:e", "db test"));
    let error = connect(&format!("service=yours servicefile={}", services.display())).await.unwrap_err();
    assert!(error.to_string().contains("\"yours\""), "{error}");
    Ok(())
}

#[tokio::test]
async fn unreachable_servers_are_named() -> Result<()> {
    let free = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let error =
        connect(&format!("host=127.0.0.1 port={free} user=u dbname=d sslmode=disable")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert!(error.is_retryable());
    let expected = format!("cannot connect to host \"127.0.0.1\" port {free} database \"d\" as user \"u\"");
    assert_eq!(error.to_string(), expected);
    assert!(error.hint_text().is_some_and(|h| h.contains("server running")), "{error:?}");

    let error = connect("host=/nonexistent user=u dbname=d").await.unwrap_err();
    assert!(error.to_string().contains("socket directory \"/nonexistent\""), "{error:?}");
    assert!(error.hint_text().is_some());

    let error = connect("host=no-such-host.invalid user=u dbname=d").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection);

    // It accepts and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let port = silent.local_addr()?.port();
    let error = connect(&format!("host=127.0.0.1 port={port} user=u connect_timeout=1")).await.unwrap_err();
    assert!(error.to_string().ends_with("no answer within 2 s"), "{error:?}");
    assert_eq!(error.kind(), ErrorKind::Connection);

    let db = testkit::empty_database().await?;
    let error = connect(&format!("{} dbname=no_such_db", db.connstr())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    Ok(())
}

#[tokio::test]
async fn servers_of_a_list_are_tried_in_turn() -> Result<()> {
    let cluster = testkit::own_cluster(|b| b.tcp()).await?;
    let free = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let (dir, port) = (cluster.socket_dir().display(), cluster.port());
    let list = format!("host=127.0.0.1,{dir} port={free},{port} user=postgres dbname=postgres");
    let second = connect(&list).await?;
    assert!(second.target().contains("socket directory"), "{}", second.target());
    assert!(second.server_version() >= 140_000);
    let uri =
        connect(&format!("postgresql://postgres@127.0.0.1:{free},127.0.0.1:{port}/postgres?sslmode=disable"))
            .await?;
    assert!(!uses_tls(&uri).await?);

    for (attrs, fits) in [
        ("any", true),
        ("read-write", true),
        ("primary", true),
        ("prefer-standby", true),
        ("read-only", false),
        ("standby", false),
    ] {
        let result = connect(&format!("{list} target_session_attrs={attrs} load_balance_hosts=random")).await;
        assert_eq!(result.is_ok(), fits, "{attrs}: {result:?}");
        if let Err(error) = result {
            assert_eq!(error.kind(), ErrorKind::Connection);
        }
    }
    let read_only = format!("{list} options='-c default_transaction_read_only=on'");
    assert!(connect(&format!("{read_only} target_session_attrs=read-write")).await.is_err());
    connect(&format!("{read_only} target_session_attrs=read-only")).await?;

    // Nobody listens on either.
    let nobody = format!("host=127.0.0.1,127.0.0.1 port={free},{free} user=postgres dbname=postgres");
    let error = connect(&nobody).await.unwrap_err();
    assert!(error.to_string().contains("none of the 2 servers"), "{error:?}");
    Ok(())
}

#[tokio::test]
async fn the_end_of_a_connection_is_noticed() -> Result<()> {
    let db = testkit::empty_database().await?;
    let connection = connect(db.connstr()).await?;
    assert!(!connection.is_closed());
    let pid: i32 = connection.query_one("select pg_backend_pid()", &[]).await?.try_get(0)?;
    let other = db.connect().await?;
    other.query_one("select pg_terminate_backend($1)", &[&pid]).await?;
    wait_for("the connection is closed", testkit::PATIENCE, async || {
        Ok(connection.is_closed().then_some(()))
    })
    .await?;
    let error = skytools::Error::from(connection.batch_execute("select 1").await.unwrap_err());
    assert!(error.is_retryable(), "{error:?}");

    let connection = connect(db.connstr()).await?;
    let pid: i32 = connection.query_one("select pg_backend_pid()", &[]).await?.try_get(0)?;
    connection.close().await?;
    let dropped = connect(db.connstr()).await?;
    let dropped_pid: i32 = dropped.query_one("select pg_backend_pid()", &[]).await?.try_get(0)?;
    drop(dropped);
    wait_for("the backends are gone", testkit::PATIENCE, async || {
        let row = other
            .query_one("select count(*) from pg_stat_activity where pid in ($1, $2)", &[&pid, &dropped_pid])
            .await?;
        Ok((row.try_get::<_, i64>(0)? == 0).then_some(()))
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn notices_are_logged_and_notifications_delivered() -> Result<()> {
    #[derive(Clone, Default)]
    struct Buffer(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);
    impl std::io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("nobody panics here").extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let log = Buffer::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_writer(move || writer.clone())
        .finish();
    let _logging = tracing::subscriber::set_default(subscriber);

    let db = testkit::empty_database().await?;
    let mut connection = connect(db.connstr()).await?;
    let mut notifications = connection.take_notifications().context("the first call gives it")?;
    assert!(connection.take_notifications().is_none());
    connection
        .batch_execute(
            "do $$ begin raise notice 'by the way'; end $$;
             do $$ begin for n in 1..3 loop raise warning 'look here: %', n; end loop; end $$;
             listen bell; notify bell, 'rings'",
        )
        .await?;
    let notification = notifications.recv().await.context("the connection is open")?;
    assert_eq!((notification.channel(), notification.payload()), ("bell", "rings"));
    let text = String::from_utf8(log.0.lock().expect("nobody panics here").clone())?;
    assert!(text.contains("NOTICE: by the way"), "{text}");
    // An operator is told once.
    let told = |line: &&str| line.contains("WARN ") && line.contains("look here");
    assert_eq!(text.lines().filter(told).count(), 1, "{text}");
    assert_eq!(text.matches("WARNING: look here").count(), 2, "{text}");
    Ok(())
}

#[tokio::test]
async fn return_codes_decide() -> Result<()> {
    let db = testkit::empty_database().await?;
    let connection = connect(db.connstr()).await?;
    let call = async |rows: &str| {
        exec_ret(
            &*connection,
            &format!("select * from (values {rows}) as v (ret_code, ret_note, extra)"),
            &[],
        )
        .await
    };
    let rows = call("(100, 'Ok', 1), (200, 'Done', 2), (301, 'Careful', 3)").await?;
    assert_eq!(rows.iter().map(|r| r.code).collect::<Vec<_>>(), [100, 200, 301]);
    assert_eq!(rows[2].row.try_get::<_, i32>("extra")?, 3);
    let error = call("(200, 'Done', 1), (404, 'No such queue: x', 2)").await.unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::NotFound, "No such queue: x"));
    let error = call("(403, 'Not allowed', 1)").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::State);
    let error = call("(null::int, null::text, 1)").await.unwrap_err();
    assert!(error.to_string().contains("null argument"), "{error}");
    let error = exec_ret(&*connection, "select 1 as other", &[]).await.unwrap_err();
    assert!(error.to_string().contains("returned no ret_code"), "{error}");
    let error = exec_ret(&*connection, "select * from no.such_function($1)", &[&1]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().starts_with("no.such_function failed"), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_renewed_session_is_as_new() -> Result<()> {
    let database = testkit::database().await?;
    let other = database.connect().await?;
    let mut connection = connect(database.connstr()).await?;
    connection
        .batch_execute(
            "set search_path = nowhere; set work_mem = '1MB'; create temp table t (n int); listen c;
             declare cur cursor with hold for select 1; select pg_advisory_lock(77)",
        )
        .await?;
    // What the client knows of types stays valid.
    connection.query_one("select '{}'::pgq.queue[]", &[]).await?;
    let before: i32 = connection.query_one("select pg_backend_pid()", &[]).await?.try_get(0)?;
    connection.renew("another").await?;
    let row = connection
        .query_one(
            "select current_setting('application_name'), current_setting('search_path'), current_setting('client_encoding'),
                    to_regclass('pg_temp.t') is null, (select count(*) from pg_cursors where is_holdable), (select count(*) from pg_listening_channels()),
                    pg_backend_pid(), '{}'::pgq.queue[] is not null",
            &[],
        )
        .await?;
    let text = |i: usize| row.try_get::<_, String>(i);
    ensure!((text(0)?, text(2)?) == ("another".to_owned(), "UTF8".to_owned()) && text(1)?.contains("public"));
    ensure!(row.try_get::<_, bool>(3)? && row.try_get::<_, i64>(4)? == 0 && row.try_get::<_, i64>(5)? == 0);
    ensure!(row.try_get::<_, i32>(6)? == before, "another session");
    ensure!(other.query_one("select pg_try_advisory_lock(77)", &[]).await?.get::<_, bool>(0), "still locked");
    // A name that the operator has given stays.
    let mut named = connect(&format!("{} application_name=mine", database.connstr())).await?;
    named.renew("another").await?;
    let name: String =
        named.query_one("select current_setting('application_name')", &[]).await?.try_get(0)?;
    ensure!(name == "mine");
    Ok(())
}
