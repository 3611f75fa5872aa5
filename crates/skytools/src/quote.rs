//! Quoting for SQL text. Rules as in `PostgreSQL`'s `quote_ident` and `quote_literal`.

/// An identifier, double-quoted only when it needs to be.
pub fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `schema.table` split at the first dot (default schema `public`), both halves quoted.
pub fn fqname(name: &str) -> String {
    let (schema, table) = name.split_once('.').unwrap_or(("public", name));
    format!("{}.{}", ident(schema), ident(table))
}

/// A string literal; the `E''` form when there is a backslash.
pub fn literal(value: &str) -> String {
    let doubled = value.replace('\'', "''");
    if doubled.contains('\\') { format!("E'{}'", doubled.replace('\\', "\\\\")) } else { format!("'{doubled}'") }
}
