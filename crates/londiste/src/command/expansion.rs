//! From the names and patterns of the command line to the objects to work on.

use std::collections::HashSet;

use skytools::{Error, Result};

/// What a name may turn out to be.
#[derive(Debug, Default)]
pub struct Candidates {
    /// Objects that the command can work on, in the order to work.
    pub open: Vec<String>,
    /// Objects for which there is nothing left to do.
    pub done: HashSet<String>,
}

/// How to treat names that are neither open nor done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// Refuse to do anything.
    Refuse,
    /// Take the name, with a warning (`--force`).
    Force,
    /// Take the name silently (the handler needs no table).
    Take,
}

/// The full name: `public.` is added where there is no dot.
pub fn full_name(name: &str) -> String {
    if name.contains('.') { name.to_owned() } else { format!("public.{name}") }
}

/// Whether `name` matches `pattern`, where `*` is any text and `?` any one character.
pub(crate) fn glob_matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // Where to go on when what follows the latest star does not match: the star, and one character more of the name.
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                retry = Some((p, n));
                p += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((star, from)) = retry else { return false };
                retry = Some((star, from + 1));
                p = star + 1;
                n = from + 1;
            }
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// Resolves names and patterns. Without any, `all` takes every open object. What was already done is only
/// mentioned; so is having nothing left to do.
///
/// # Errors
/// Names that are neither open nor done, unless `unknown` says otherwise; empty names.
pub fn expand(args: &[String], all: bool, candidates: &Candidates, unknown: Unknown) -> Result<Vec<String>> {
    if args.is_empty() && !all {
        return Err(Error::usage("what to do ? No names are given").hint("give names or patterns, or --all"));
    }
    let mut found: Vec<String> = Vec::new();
    let mut refused: Vec<String> = Vec::new();
    if args.is_empty() && all {
        found.clone_from(&candidates.open);
    }
    for arg in args {
        let name = full_name(arg);
        if name.starts_with('.') || name.ends_with('.') {
            return Err(Error::usage(format!("\"{arg}\" is not a name: an empty schema or object"))
                .hint("write SCHEMA.NAME, without quotes"));
        }
        if arg.contains(['*', '?']) {
            let before = found.len();
            for candidate in &candidates.open {
                if glob_matches(&name, candidate) && !found.contains(candidate) {
                    found.push(candidate.clone());
                }
            }
            if found.len() == before && !candidates.done.iter().any(|d| glob_matches(&name, d)) {
                tracing::warn!("{arg} matches nothing");
            }
        } else if found.contains(&name) {
        } else if candidates.open.contains(&name) {
            found.push(name);
        } else if candidates.done.contains(&name) {
            tracing::info!("{name} already processed");
        } else {
            match unknown {
                Unknown::Take => found.push(name),
                Unknown::Force => {
                    tracing::warn!("{name} not available, but --force is used");
                    found.push(name);
                }
                Unknown::Refuse => {
                    tracing::warn!("{name} not available");
                    refused.push(name);
                }
            }
        }
    }
    if !refused.is_empty() {
        return Err(Error::not_found(format!("Cannot proceed: not available: {}", refused.join(", "))));
    }
    if found.is_empty() {
        tracing::info!("what to do ?");
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn candidates() -> Candidates {
        Candidates {
            open: ["public.a", "public.ab", "s.a", "s.b.c", "public.it's \"q\""].map(str::to_owned).to_vec(),
            done: HashSet::from(["public.done".to_owned()]),
        }
    }

    fn run(args: &[&str], all: bool, unknown: Unknown) -> Result<Vec<String>> {
        expand(&args.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>(), all, &candidates(), unknown)
    }

    #[test]
    fn names_get_public_and_come_once() {
        assert_eq!(run(&["a", "public.a", "s.a"], false, Unknown::Refuse).unwrap(), ["public.a", "s.a"]);
        assert_eq!(run(&["it's \"q\""], false, Unknown::Refuse).unwrap(), ["public.it's \"q\""]);
        assert_eq!(run(&["s.b.c"], false, Unknown::Refuse).unwrap(), ["s.b.c"]);
    }

    #[test]
    fn patterns() {
        assert_eq!(run(&["a*"], false, Unknown::Refuse).unwrap(), ["public.a", "public.ab"]);
        assert_eq!(run(&["*.a"], false, Unknown::Refuse).unwrap(), ["public.a", "s.a"]);
        assert_eq!(run(&["a?"], false, Unknown::Refuse).unwrap(), ["public.ab"]);
        assert_eq!(run(&["s.*", "a"], false, Unknown::Refuse).unwrap(), ["s.a", "s.b.c", "public.a"]);
        assert!(run(&["z*"], false, Unknown::Refuse).unwrap().is_empty());
        // A pattern is not a regular expression.
        assert!(run(&["public[.]a*"], false, Unknown::Refuse).unwrap().is_empty());
    }

    #[test]
    fn all_counts_only_without_names() {
        assert_eq!(run(&[], true, Unknown::Refuse).unwrap().len(), 5);
        assert_eq!(run(&["a"], true, Unknown::Refuse).unwrap(), ["public.a"]);
        assert!(run(&[], false, Unknown::Refuse).is_err());
    }

    #[test]
    fn unknown_and_done_names() {
        assert!(run(&["done"], false, Unknown::Refuse).unwrap().is_empty());
        let error = run(&["a", "x", "s.y"], false, Unknown::Refuse).unwrap_err();
        assert_eq!(error.to_string(), "Cannot proceed: not available: public.x, s.y");
        assert_eq!(run(&["x"], false, Unknown::Force).unwrap(), ["public.x"]);
        assert_eq!(run(&["x"], false, Unknown::Take).unwrap(), ["public.x"]);
        for bad in ["", "s.", ".t", "."] {
            assert!(run(&[bad], false, Unknown::Force).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn globs_agree_with_a_naive_matcher(pattern in "[ab*?]{0,8}", name in "[ab]{0,8}") {
            fn naive(p: &[char], n: &[char]) -> bool {
                match (p.first(), n.first()) {
                    (None, None) => true,
                    (Some('*'), _) => naive(&p[1..], n) || (!n.is_empty() && naive(p, &n[1..])),
                    (Some(c), Some(x)) => (*c == '?' || c == x) && naive(&p[1..], &n[1..]),
                    _ => false,
                }
            }
            let (p, n): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
            prop_assert_eq!(glob_matches(&pattern, &name), naive(&p, &n));
        }
    }
}
