//! Tests of the log module.

use proptest::prelude::*;

use super::*;

fn record(message: &str) -> Record {
    let time: jiff::Zoned = "2026-11-20T10:15:47.343999+00:00[UTC]".parse().unwrap();
    Record {
        time,
        level: tracing::Level::INFO,
        target: "t",
        message: message.to_owned(),
        error: None,
        hint: None,
        fields: Vec::new(),
    }
}

fn formatter(text: &str, verbose: bool) -> Result<Formatter> {
    let config = Config::from_text(&format!("[main]\njob_name = job\n{text}"), &["main"], &[])?;
    Formatter::from_config(&config, "file", verbose, LineStyle::Framework)
}

#[test]
fn line_formats() {
    let pid = std::process::id();
    let mut warning = record("hello");
    warning.level = tracing::Level::WARN;
    let framework = Formatter::plain("job", LineStyle::Framework);
    assert_eq!(framework.line(&record("hello")), format!("2026-11-20 10:15:47,343 {pid} INFO hello\n"));
    assert_eq!(framework.line(&warning), format!("2026-11-20 10:15:47,343 {pid} WARNING hello\n"));
    let pgqd = Formatter::plain("pgqd", LineStyle::Pgqd);
    assert_eq!(pgqd.line(&record("hello")), format!("2026-11-20 10:15:47.343 UTC [{pid}] LOG hello\n"));
    let mut noise = record("x");
    noise.level = tracing::Level::TRACE;
    assert!(pgqd.line(&noise).contains(" NOISE x") && framework.line(&noise).contains(" TRACE x"));
}

#[test]
fn fields_are_readable() {
    let mut r = record("batch failed");
    r.error = Some("boom".to_owned());
    r.hint = Some("Look there.".to_owned());
    r.fields = vec![("queue", "q 1".into()), ("tick", 5.into())];
    assert_eq!(r.text(), "batch failed: boom (queue=q 1, tick=5) Hint: Look there.");
}

#[test]
fn templates() {
    let logfmt = "logfmt_file = %%(job_name)s|%%(asctime)s|%%(levelno)d|%%(levelname)-8s|%%(created)f|%%(message)s%%%%\n\
                  logdatefmt_file = %%H:%%M\nlogfmt_file_verbose = V %%(message)s\n";
    let line = formatter(logfmt, false).unwrap().line(&record("m"));
    assert_eq!(line, "job|10:15|20|INFO|1795169747.343999|m%\n");
    assert_eq!(formatter(logfmt, true).unwrap().line(&record("m")), "V m\n");
    for bad in
        ["logfmt_file = %%(nope)s", "logfmt_file = %%(message)", "logfmt_file = %%x", "log_format = xml"]
    {
        assert!(formatter(bad, false).is_err(), "{bad}");
    }
}

#[test]
fn json_lines() {
    let mut r = record("two\nlines password=secret");
    r.error = Some("e".to_owned());
    r.fields = vec![("pid", 7.into()), ("queue", "q".into())];
    let line = formatter("log_format = json\n", false).unwrap().line(&r);
    assert_eq!(line.matches('\n').count(), 1);
    let object: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(object["time"], "2026-11-20T10:15:47.343999+00:00");
    assert_eq!(object["level"], "INFO");
    assert_eq!(object["job_name"], "job");
    assert_eq!(object["message"], "two\nlines password=********");
    assert_eq!(object["pid"], std::process::id());
    assert_eq!((&object["field_pid"], &object["queue"]), (&7.into(), &"q".into()));
}

#[test]
fn one_record_stays_one() {
    let line = Formatter::plain("job", LineStyle::Framework)
        .line(&record("a\n2026-11-20 10:15:47,343 1 INFO fake\u{1b}[2J\r\n"));
    assert_eq!(line.lines().count(), 2);
    assert!(line.contains("a\n\t2026") && line.ends_with("fake\\u{1b}[2J\n"), "{line}");
}

#[test]
fn passwords_are_masked() {
    for (text, shown) in [
        ("dbname=x password=se'cret host=y", "dbname=x password=******** host=y"),
        ("PASSWORD = 's\\'x y' z", "PASSWORD = ******** z"),
        ("password='open", "password=********"),
        ("postgres://u:p@w@host/db?password=x&a=b", "postgres://u:********@host/db?password=********&a=b"),
        ("http://host:80/x user@y", "http://host:80/x user@y"),
        ("password authentication failed", "password authentication failed"),
        ("sslpassword=a b", "sslpassword=******** b"),
        ("nothing", "nothing"),
        ("password=", "password="),
    ] {
        assert_eq!(redact(text), shown);
    }
}

#[test]
fn files_rotate_and_reopen() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.log");
    let read = |suffix: &str| std::fs::read_to_string(format!("{}{suffix}", path.display())).ok();
    let mut file = RotatingFile::open(&path, 10, 2).unwrap();
    for line in ["one\n", "two\n", "three\n", "four five six\n", "7\n"] {
        file.write(line).unwrap();
    }
    assert_eq!(read("").as_deref(), Some("7\n"));
    assert_eq!(read(".1").as_deref(), Some("four five six\n"));
    assert_eq!(read(".2").as_deref(), Some("three\n"));
    assert_eq!(read(".3"), None);
    std::fs::rename(&path, dir.path().join("moved")).unwrap();
    file.write("8\n").unwrap();
    file.reopen().unwrap();
    file.write("9\n").unwrap();
    assert_eq!(read("").as_deref(), Some("9\n"));
    let mut never = RotatingFile::open(&path, 0, 3).unwrap();
    never.write(&"x".repeat(100)).unwrap();
    assert_eq!(read(".3"), None);
}

#[test]
fn statistics_lines() {
    let mut stats = Stats::new();
    assert!(stats.is_empty());
    stats.increase("count", 2);
    stats.put("duration", 1.5);
    stats.increase("count", 3);
    stats.put("who", "x");
    assert_eq!(stats.to_string(), "{count: 5, duration: 1.5000, who: x}");
    assert_eq!(stats.get("count"), Some(&stats::StatValue::Int(5)));
    stats.emit();
    assert!(stats.is_empty());
}

proptest! {
    #[test]
    fn redact_never_panics(text in "((password|PassWord|://|'|\"|=|@|:| |&|\\\\|ü|a)){0,12}") {
        prop_assert!(redact(&text).len() <= text.len() * 8);
    }

    #[test]
    fn redact_hides_the_secret(before in "[a-z= ]{0,10}", secret in "[A-Z0-9]{4,12}", after in "( [a-z= ]{0,10})?") {
        for text in [
            format!("{before} password={secret}{after}"),
            format!("{before} password = '{secret} {secret}'{after}"),
            format!("{before} postgresql://me:{secret}@host/db{after}"),
        ] {
            let shown = redact(&text);
            prop_assert!(!shown.contains(&secret) && shown.ends_with(&after), "{}", shown);
        }
    }
}
