//! The two forms of a connect string: `keyword=value …` and `postgresql://…`.
//!
//! Grammar as in the PostgreSQL documentation, section "Connection Strings". No error text repeats anything
//! that could be part of a password: a value that was not quoted spills its words over what follows.

use super::keyword::{self, Treatment};
use crate::{Error, Result};

/// Parses either form into keyword and value, in order; a later value of the same keyword replaces the former.
pub(super) fn parse(text: &str) -> Result<Vec<(String, String)>> {
    let pairs = match text.strip_prefix("postgresql://").or_else(|| text.strip_prefix("postgres://")) {
        Some(rest) => parse_uri(rest)?,
        None => parse_keywords(text)?,
    };
    let mut out: Vec<(String, String)> = Vec::new();
    let mut after_password = false;
    for (name, value) in pairs {
        check(&name, &value, after_password)?;
        after_password |= keyword::is_secret(&name);
        match out.iter_mut().find(|(n, _)| *n == name) {
            Some(slot) => slot.1 = value,
            None => out.push((name, value)),
        }
    }
    Ok(out)
}

/// Whether the keyword exists and is available with this value.
pub(super) fn check(name: &str, value: &str, after_password: bool) -> Result<()> {
    let Some(known) = keyword::find(name) else {
        return Err(if after_password {
            Error::config("bad connect string: an unknown keyword follows the password")
                .hint("Quote a password with spaces or equal signs: password='two words'.")
        } else {
            Error::config(format!("bad connect string: unknown keyword \"{name}\""))
                .hint("See \"Parameter Key Words\" in the PostgreSQL documentation of libpq.")
        });
    };
    if let Treatment::Refused { harmless, instead } = known.treatment
        && !harmless.contains(&value.to_ascii_lowercase().as_str())
    {
        return Err(
            Error::config(format!("connect string: keyword \"{name}\" is not supported here")).hint(instead)
        );
    }
    Ok(())
}

fn parse_keywords(text: &str) -> Result<Vec<(String, String)>> {
    let mut chars = text.chars().peekable();
    let mut out = Vec::new();
    loop {
        while chars.next_if(|c| c.is_ascii_whitespace()).is_some() {}
        if chars.peek().is_none() {
            return Ok(out);
        }
        let number = out.len() + 1;
        let mut name = String::new();
        while let Some(c) = chars.next_if(|c| *c != '=' && !c.is_ascii_whitespace()) {
            name.push(c);
        }
        while chars.next_if(|c| c.is_ascii_whitespace()).is_some() {}
        if chars.next() != Some('=') || name.is_empty() {
            return Err(Error::config(format!(
                "bad connect string: item {number} is not of the form keyword=value"
            ))
            .hint("Write dbname=NAME for a database, and quote values with spaces: keyword='two words'."));
        }
        while chars.next_if(|c| c.is_ascii_whitespace()).is_some() {}
        out.push((name, keyword_value(&mut chars, number)?));
    }
}

/// A value: bare up to white space, or in single quotes; a backslash takes the next character as it is.
fn keyword_value(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, number: usize) -> Result<String> {
    let mut value = String::new();
    if chars.next_if_eq(&'\'').is_none() {
        while let Some(c) = chars.next_if(|c| !c.is_ascii_whitespace()) {
            value.extend(if c == '\\' { chars.next() } else { Some(c) });
        }
        return Ok(value);
    }
    loop {
        match chars.next() {
            Some('\'') => return Ok(value),
            Some('\\') => value.extend(chars.next()),
            Some(c) => value.push(c),
            None => {
                return Err(Error::config(format!(
                    "bad connect string: the quoted value of item {number} has no end"
                )));
            }
        }
    }
}

/// `[user[:password]@][host[:port],…][/dbname][?keyword=value&…]`, without the scheme.
fn parse_uri(rest: &str) -> Result<Vec<(String, String)>> {
    let mut out = Vec::new();
    let (before_query, query) = rest.split_once('?').map_or((rest, None), |(a, b)| (a, Some(b)));
    let (authority, dbname) =
        before_query.split_once('/').map_or((before_query, None), |(a, b)| (a, Some(b)));
    let hosts = match authority.split_once('@') {
        Some((credentials, hosts)) => {
            let (user, password) =
                credentials.split_once(':').map_or((credentials, None), |(u, p)| (u, Some(p)));
            if !user.is_empty() {
                out.push(("user".to_owned(), percent_decode(user, "user")?));
            }
            if let Some(password) = password {
                out.push(("password".to_owned(), percent_decode(password, "password")?));
            }
            hosts
        }
        None => authority,
    };
    if !hosts.is_empty() {
        let (mut names, mut ports) = (Vec::new(), Vec::new());
        for one in hosts.split(',') {
            let (name, port) = host_and_port(one)?;
            names.push(percent_decode(name, "host")?);
            ports.push(port.to_owned());
        }
        out.push(("host".to_owned(), names.join(",")));
        if ports.iter().any(|p| !p.is_empty()) {
            out.push(("port".to_owned(), ports.join(",")));
        }
    }
    if let Some(dbname) = dbname.filter(|d| !d.is_empty()) {
        out.push(("dbname".to_owned(), percent_decode(dbname, "dbname")?));
    }
    for (number, item) in query.unwrap_or("").split('&').filter(|i| !i.is_empty()).enumerate() {
        let (name, value) = item.split_once('=').ok_or_else(|| {
            Error::config(format!(
                "bad connection URI: parameter {} is not of the form keyword=value",
                number + 1
            ))
        })?;
        let name = percent_decode(name, "a parameter name")?;
        let value = percent_decode(value, &name)?;
        // JDBC's spelling, accepted by libpq.
        if name == "ssl" && value == "true" {
            out.push(("sslmode".to_owned(), "require".to_owned()));
        } else {
            out.push((name, value));
        }
    }
    Ok(out)
}

/// `host`, `host:port`, `[v6]`, `[v6]:port`.
fn host_and_port(text: &str) -> Result<(&str, &str)> {
    if let Some(inner) = text.strip_prefix('[') {
        let (address, after) = inner
            .split_once(']')
            .ok_or_else(|| Error::config("bad connection URI: an IPv6 address has no closing bracket"))?;
        if address.is_empty() {
            return Err(Error::config("bad connection URI: an IPv6 address is empty"));
        }
        return match after {
            "" => Ok((address, "")),
            _ => after
                .strip_prefix(':')
                .map(|port| (address, port))
                .ok_or_else(|| Error::config("bad connection URI: only a port may follow an IPv6 address")),
        };
    }
    Ok(text.split_once(':').unwrap_or((text, "")))
}

fn percent_decode(text: &str, what: &str) -> Result<String> {
    let bad = || Error::config(format!("bad connection URI: invalid percent-encoding in {what}"));
    let mut bytes = Vec::with_capacity(text.len());
    let mut iter = text.bytes();
    while let Some(byte) = iter.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (Some(high), Some(low)) = (iter.next().and_then(hex), iter.next().and_then(hex)) else {
            return Err(bad());
        };
        match high * 16 + low {
            0 => return Err(bad()),
            decoded => bytes.push(decoded),
        }
    }
    String::from_utf8(bytes).map_err(|_| bad())
}

fn hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// A value as the keyword form writes it.
pub(super) fn quote_value(value: &str) -> String {
    let bare = !value.is_empty() && !value.contains(|c: char| c.is_whitespace() || c == '\'' || c == '\\');
    if bare {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The parsed pairs in libpq's keyword form, unquoted, joined by `|`.
    fn shown(text: &str) -> String {
        match parse(text) {
            Ok(pairs) => pairs.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join("|"),
            Err(e) => format!("ERROR {e}"),
        }
    }

    #[test]
    fn keyword_form() {
        for (text, expected) in [
            ("", ""),
            ("  ", ""),
            ("host=a port = 5 dbname= x", "host=a|port=5|dbname=x"),
            ("dbname='two words' user='it\\'s' ", "dbname=two words|user=it's"),
            ("user=a\\ b password=c\\\\d", "user=a b|password=c\\d"),
            ("dbname=''", "dbname="),
            ("host=a host=b", "host=b"),
            ("dbname=a=b", "dbname=a=b"),
            ("host=a\n\tport=6", "host=a|port=6"),
            ("dbname=täst", "dbname=täst"),
            ("hostt=a", "ERROR bad connect string: unknown keyword \"hostt\""),
            ("mydb", "ERROR bad connect string: item 1 is not of the form keyword=value"),
            ("host=a b", "ERROR bad connect string: item 2 is not of the form keyword=value"),
            ("=x", "ERROR bad connect string: item 1 is not of the form keyword=value"),
            ("dbname='x", "ERROR bad connect string: the quoted value of item 1 has no end"),
            ("replication=database", "ERROR connect string: keyword \"replication\" is not supported here"),
            ("gssencmode=prefer", "gssencmode=prefer"),
            (
                "client_encoding=latin1",
                "ERROR connect string: keyword \"client_encoding\" is not supported here",
            ),
        ] {
            assert_eq!(shown(text), expected, "{text:?}");
        }
    }

    #[test]
    fn uri_form() {
        for (text, expected) in [
            ("postgresql://", ""),
            ("postgresql:///", ""),
            ("postgres://localhost", "host=localhost"),
            ("postgresql://localhost:5433", "host=localhost|port=5433"),
            ("postgresql://localhost/mydb", "host=localhost|dbname=mydb"),
            ("postgresql://u@h", "user=u|host=h"),
            ("postgresql://u:p%40ss@h/d", "user=u|password=p@ss|host=h|dbname=d"),
            ("postgresql://:p@h", "password=p|host=h"),
            ("postgresql://h1:1,h2:2,h3/d", "host=h1,h2,h3|port=1,2,|dbname=d"),
            ("postgresql://[2001:db8::1]:5/d", "host=2001:db8::1|port=5|dbname=d"),
            ("postgresql://[::1]", "host=::1"),
            ("postgresql://%2Fvar%2Frun/d", "host=/var/run|dbname=d"),
            ("postgresql:///d?host=/tmp&port=7", "dbname=d|host=/tmp|port=7"),
            (
                "postgresql://h/d?sslmode=verify-full&connect_timeout=3",
                "host=h|dbname=d|sslmode=verify-full|connect_timeout=3",
            ),
            ("postgresql://h/d?ssl=true", "host=h|dbname=d|sslmode=require"),
            ("postgresql://h/a%20b%2Fc", "host=h|dbname=a b/c"),
            ("postgresql://h?options=-c%20a%3Db", "host=h|options=-c a=b"),
            ("postgresql://h/d?nosuch=1", "ERROR bad connect string: unknown keyword \"nosuch\""),
            ("postgresql://h/d?x", "ERROR bad connection URI: parameter 1 is not of the form keyword=value"),
            ("postgresql://h/%zz", "ERROR bad connection URI: invalid percent-encoding in dbname"),
            ("postgresql://h/%00", "ERROR bad connection URI: invalid percent-encoding in dbname"),
            ("postgresql://[::1/d", "ERROR bad connection URI: an IPv6 address has no closing bracket"),
            ("postgresql://[::1]x/d", "ERROR bad connection URI: only a port may follow an IPv6 address"),
            ("postgresql://[]/d", "ERROR bad connection URI: an IPv6 address is empty"),
        ] {
            assert_eq!(shown(text), expected, "{text:?}");
        }
    }

    #[test]
    fn errors_never_repeat_a_password_that_was_not_quoted() {
        for text in
            ["password=sec ret", "password=sec ret=x", "password='sec ret", "postgresql://u:%zsecret@h"]
        {
            let error = parse(text).unwrap_err();
            assert!(!format!("{error:?}").contains("ret"), "{error:?}");
        }
    }

    #[test]
    fn quoting_round_trips() {
        for value in ["", "a", "a b", "it's", "back\\slash", "'", "täst=x", "\\'"] {
            let text = format!("dbname={} user=u", quote_value(value));
            assert_eq!(shown(&text), format!("dbname={value}|user=u"));
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "\\PC*") {
            parse(&text).ok();
            parse(&format!("postgresql://{text}")).ok();
        }

        #[test]
        fn any_value_round_trips(value in "\\PC*") {
            let pairs = parse(&format!("dbname={} port=5", quote_value(&value))).unwrap();
            proptest::prop_assert_eq!(&pairs[0].1, &value);
            proptest::prop_assert_eq!(pairs.len(), 2);
        }
    }
}
