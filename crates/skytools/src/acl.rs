//! Access privileges in `PostgreSQL`'s text form: `role=arw*/owner`.

use crate::quote::unquote_ident;

/// One entry of a privilege list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acl {
    /// Who holds the privileges; `None` for PUBLIC.
    pub role: Option<String>,
    /// Privilege letters, each followed by `*` when it may be passed on.
    pub privileges: String,
    /// Who granted them, when stated.
    pub grantor: Option<String>,
}

/// Parses `[group |user ]role=privileges[/grantor]`; `None` when the text has another form.
pub fn parse_acl(text: &str) -> Option<Acl> {
    let text = text.strip_prefix("group ").or_else(|| text.strip_prefix("user ")).unwrap_or(text);
    let (role, rest) = name(text)?;
    let rest = rest.strip_prefix('=')?;
    let end = rest.find(|c: char| !c.is_ascii_alphabetic() && c != '*').unwrap_or(rest.len());
    let (privileges, rest) = rest.split_at(end);
    let grantor = match rest.strip_prefix('/') {
        None if rest.is_empty() => None,
        None => return None,
        Some(rest) => match name(rest)? {
            (Some(grantor), "") => Some(grantor),
            _ => return None,
        },
    };
    Some(Acl { role, privileges: privileges.to_owned(), grantor })
}

/// A role name, quoted or not, and what follows it; an empty name is `None`.
fn name(text: &str) -> Option<(Option<String>, &str)> {
    if text.starts_with('"') {
        let mut quotes = text.char_indices().skip(1).filter(|&(_, c)| c == '"').map(|(at, _)| at).peekable();
        while let Some(at) = quotes.next() {
            if quotes.next_if_eq(&(at + 1)).is_none() {
                let (quoted, rest) = text.split_at(at + 1);
                return Some((Some(unquote_ident(quoted).ok()?), rest));
            }
        }
        return None;
    }
    let end = text.find(['=', '/', '"']).unwrap_or(text.len());
    let (plain, rest) = text.split_at(end);
    Some(((!plain.is_empty()).then(|| plain.to_owned()), rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn acl(role: Option<&str>, privileges: &str, grantor: Option<&str>) -> Option<Acl> {
        let own = |name: Option<&str>| name.map(str::to_owned);
        Some(Acl { role: own(role), privileges: privileges.to_owned(), grantor: own(grantor) })
    }

    #[test]
    fn forms() {
        assert_eq!(parse_acl("=/f"), acl(None, "", Some("f")));
        assert_eq!(parse_acl("me=a*r*w"), acl(Some("me"), "a*r*w", None));
        assert_eq!(parse_acl("group x=r/y"), acl(Some("x"), "r", Some("y")));
        assert_eq!(parse_acl("\"a \"\"=/\"=rw/\"B\""), acl(Some("a \"=/"), "rw", Some("B")));
        for bad in ["", "a", "a=r/", "a=1", "\"a=r", "a=r/b/c", "a\"b=r"] {
            assert_eq!(parse_acl(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "[a\"=/*ü ]{0,12}") {
            if let Some(acl) = parse_acl(&text) {
                prop_assert!(acl.privileges.len() <= text.len());
            }
        }
    }
}
