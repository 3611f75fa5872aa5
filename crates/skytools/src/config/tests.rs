//! Tests of the configuration reader.

use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

fn config(text: &str) -> Config {
    Config::from_text(text, &["main"], &[]).unwrap()
}

#[test]
fn both_dialects_are_read() {
    let text = "\u{feff}# comment\n; comment\nrem comment too\n[DEFAULT]\nd = 1\nshared: yes\n[main] ; x\nA = 1\r\nb : x = y\n\
                rem = key\nempty =\nlegacy_empty = \"\"\nquery = select 1 ; select 2\nmulti = 1\n\n  2\n  # dropped\n   3\n\n\
                a = 2\n[other]\nz = 1\n[main]\nshared = no\n";
    let c = config(text);
    assert_eq!(c.get("a").unwrap(), "2", "the last one of repeated keys");
    assert_eq!(c.get("A").unwrap(), "2", "keys have no case");
    assert_eq!(c.get("b").unwrap(), "x = y");
    assert_eq!(c.get("rem").unwrap(), "key");
    assert_eq!(c.get("empty").unwrap(), "");
    assert_eq!(c.get_opt("empty").unwrap(), None);
    assert_eq!(c.get("legacy_empty").unwrap(), "");
    assert_eq!(c.get("query").unwrap(), "select 1 ; select 2", "free text keeps its semicolon");
    assert_eq!(c.get("multi").unwrap(), "1\n\n2\n3");
    assert_eq!(c.get("d").unwrap(), "1");
    assert_eq!(c.get("shared").unwrap(), "no");
    assert_eq!(c.sections().collect::<Vec<_>>(), ["main", "other"]);
    assert!(c.has_section("other") && !c.has_section("DEFAULT") && !c.has_section("x"));
    assert!(c.has_option("D") && !c.has_option("z"));
    assert!(c.options().starts_with(&["a", "b", "rem"]) && c.options().ends_with(&["d"]));
}

#[test]
fn indented_keys_are_keys() {
    let c = config("[main]\n  a = 1\n    more\n  b = 2\n");
    assert_eq!((c.get("a").unwrap().as_str(), c.get("b").unwrap().as_str()), ("1\nmore", "2"));
}

#[test]
fn malformed_files_name_the_line() {
    for (text, place) in [
        ("x = 1\n", ":1:"),
        ("[main]\nx = 1\nnonsense\n", ":3:"),
        ("[main\n", ":1:"),
        ("[main]\n= 1\n", ":2:"),
        ("[]\n", ":1:"),
    ] {
        let error = Config::from_text(text, &["main"], &[]).unwrap_err();
        assert!(error.to_string().contains(place), "{error}");
    }
}

#[test]
fn missing_section_and_file() {
    let error = Config::from_text("[a]\nx=1\n", &["londiste3", "londiste"], &[]).unwrap_err();
    assert!(error.to_string().contains("no section [londiste3] or [londiste]; it has [a]"), "{error}");
    let error = Config::load(std::path::Path::new("/nowhere/x.ini"), &["a"], &[]).unwrap_err();
    assert!(error.to_string().contains("/nowhere/x.ini") && error.hint_text().is_some());
    let second = Config::from_text("[londiste]\nx=1\n", &["londiste3", "londiste"], &[]).unwrap();
    assert_eq!(second.section(), "londiste");
}

#[test]
fn percent_interpolation() {
    let text = "[DEFAULT]\nbase = /d\n[main]\nname = n\nfile = %(base)s/%(NAME)s.%%\nloop = %(loop)s\nbad = %(none)s\n\
                single = 5%\nopen = %(x\nurl = ${name}\n";
    let c = config(text);
    assert_eq!(c.get("file").unwrap(), "/d/n.%");
    assert_eq!(c.get("url").unwrap(), "${name}");
    for key in ["loop", "bad", "single", "open"] {
        let error = c.get(key).unwrap_err();
        assert!(error.to_string().contains(&format!("[main] {key}:")), "{error}");
    }
    assert!(c.items().is_err());
}

#[test]
fn nesting_is_limited() {
    let mut text = "[main]\nk0 = x\n".to_owned();
    for level in 1..=12 {
        text.push_str(&format!("k{level} = %(k{})s\n", level - 1));
    }
    let c = config(&text);
    assert_eq!(c.get("k9").unwrap(), "x");
    assert!(c.get("k10").is_err());
    let mut tower = "[main]\nk0 = xxxxxxxxxx\n".to_owned();
    for level in 1..=9 {
        tower.push_str(&format!("k{level} = {}\n", format!("%(k{})s", level - 1).repeat(50)));
    }
    assert!(config(&tower).get("k9").unwrap_err().to_string().contains("references"));
}

#[test]
fn dollar_interpolation() {
    let text = "[main]\nconfig_format = 2\na = 1\nb = ${a}-${other:A}-$$-%(a)s\nbad = ${other:nope}\nbad2 = $a\n[other]\na = ${z}\nz = 9\n";
    let c = config(text);
    assert_eq!(c.get("b").unwrap(), "1-9-$-%(a)s");
    assert!(c.get("bad").is_err() && c.get("bad2").is_err());
    assert!(Config::from_text("[main]\nconfig_format = 3\n", &["main"], &[]).is_err());
}

#[test]
fn typed_values() {
    let text = "[main]\ni = 5 ; comment\nf = 0.5\nt = Yes\nn = off\nl = a, b ,,c\nd = x: 1, y\nbytes = 10 mB\nfile = ~/x\n\
                dash = -\nempty =\nbad = zz\ninf = inf\n";
    let c = config(text);
    assert_eq!(c.get_int("i", 1).unwrap(), 5);
    assert_eq!(c.get_int("none", 7).unwrap(), 7);
    assert!((c.get_float("f", 0.0).unwrap() - 0.5).abs() < 1e-9);
    assert_eq!(c.get_duration("f", 0.0).unwrap().as_millis(), 500);
    assert!(c.get_bool("t", false).unwrap() && !c.get_bool("n", true).unwrap());
    assert_eq!(c.get_list("l").unwrap(), ["a", "b", "", "c"]);
    assert_eq!(c.get_list("empty").unwrap(), [""; 0]);
    assert_eq!(c.get_list("none").unwrap(), [""; 0]);
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(c.get_dict("d").unwrap(), [pair("x", "1"), pair("y", "y")]);
    assert_eq!(c.get_bytes("bytes", 0).unwrap(), 10 << 20);
    assert_eq!(c.get_file("dash").unwrap(), Some(PathBuf::from("-")));
    assert_eq!(c.get_file("empty").unwrap(), None);
    let home = std::env::home_dir().unwrap();
    assert_eq!(c.get_file("file").unwrap(), Some(home.join("x")));
    for key in ["bad", "empty", "inf"] {
        for error in [
            c.get_int(key, 1).unwrap_err(),
            c.get_float(key, 1.0).unwrap_err(),
            c.get_bool(key, true).unwrap_err(),
            c.get_bytes(key, 1).unwrap_err(),
        ] {
            assert!(error.to_string().contains(&format!("[main] {key}: ")), "{error}");
        }
    }
}

#[test]
fn sizes() {
    assert_eq!(parse_bytes("10G"), Some(10_737_418_240));
    assert_eq!(parse_bytes("12k"), Some(12_288));
    assert_eq!(parse_bytes("7 B"), Some(7));
    for bad in ["x", "", "1 QB", "1.5M", "-1", "99999999999E", "1Z", "1MBB"] {
        assert_eq!(parse_bytes(bad), None, "{bad}");
    }
}

#[test]
fn wildcards() {
    let c = config("[main]\na.x.y = 1\na.x.* = 2\na.*.* = 3\n");
    let get = |values: &[&str]| c.get_wildcard("a.*.*", values).unwrap().unwrap();
    assert_eq!(get(&["x", "y"]), "1");
    assert_eq!(get(&["x", "z"]), "2");
    assert_eq!(get(&["q", "y"]), "3");
    assert_eq!(c.get_wildcard("b.*", &["x"]).unwrap(), None);
}

#[test]
fn defaults_overrides_reload_and_clone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("my%job.ini");
    std::fs::write(
        &path,
        "[main]\na = 1\ngone = 1\nlog = %(config_dir)s/%(job_name)s\n[other]\nb = %(job_name)s\n",
    )
    .unwrap();
    let set = vec![("A".to_owned(), " 5 ".to_owned()), ("extra".to_owned(), "%(a)s".to_owned())];
    let defaults = [("script", "s"), ("service_name", "svc"), ("a", "0")];
    let mut c = Config::load_with_defaults(&path, &["main"], &set, &defaults).unwrap();
    assert_eq!(c.job_name(), "my%job");
    assert_eq!(c.get("log").unwrap(), format!("{}/my%job", dir.path().display()));
    assert_eq!(c.get("service_name").unwrap(), "svc");
    assert_eq!(c.get("script").unwrap(), "s");
    assert!(!c.get("host_name").unwrap().is_empty());
    assert_eq!(c.get("config_file").unwrap(), path.display().to_string());
    assert_eq!((c.get("a").unwrap().as_str(), c.get("extra").unwrap().as_str()), ("5", "5"));
    assert!(c.key_error("extra", "x").to_string().contains("--set"));

    let other = c.clone_section("other").unwrap();
    assert_eq!(other.get("b").unwrap(), "my%job");
    assert_eq!(other.get_opt("script").unwrap(), None);

    std::fs::write(&path, "[main]\na = 7\nnew = 2\n").unwrap();
    c.reload().unwrap();
    assert_eq!((c.get("a").unwrap().as_str(), c.get("new").unwrap().as_str()), ("5", "2"));
    assert_eq!(c.get("script").unwrap(), "s");
    assert_eq!(c.get_opt("gone").unwrap(), None);
    std::fs::write(&path, "[oops\n").unwrap();
    assert!(c.reload().is_err());
    assert_eq!(c.get("new").unwrap(), "2", "the old state stays in force");
    std::fs::write(&path, b"[main]\na = 1\nb = \xff\n").unwrap();
    assert!(c.reload().unwrap_err().to_string().contains(":3:"));
}

#[test]
fn passwords_are_not_shown() {
    let c = config("[main]\nloop_delay = dbname=x password=secret\n");
    let error = c.get_float("loop_delay", 1.0).unwrap_err().to_string();
    assert!(!error.contains("secret"), "{error}");
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "(\\[main\\]\n)?[a-c\\[\\]=:;#%$(){}s \n\t\"]{0,60}") {
        if let Ok(config) = Config::from_text(&text, &["main"], &[]) {
            for key in config.options() {
                let _outcome = (config.get(key), config.get_int(key, 1), config.get_list(key), config.get_file(key));
            }
        }
    }

    #[test]
    fn escaped_text_expands_to_itself(text in "[%$(){}a-z]{0,20}") {
        for format in [Format::Percent, Format::Dollar] {
            let escaped = format.escape(&text);
            prop_assert_eq!(interpolate::expand(format, "s", &escaped, &|_, _| None).unwrap(), text.clone());
        }
    }
}
