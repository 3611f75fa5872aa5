//! Functions that answer with `ret_code` and `ret_note`: the convention of every SQL module here.

use tokio_postgres::types::ToSql;
use tokio_postgres::{GenericClient, Row};

use crate::{Error, ErrorKind, Result};

/// One row of such a function.
#[derive(Debug, Clone)]
pub struct Ret {
    /// 1xx debug, 2xx done, 3xx warning; 4xx and up are errors and never get here.
    pub code: i32,
    /// The sentence for the reader.
    pub note: String,
    /// The whole row, for functions that return more.
    pub row: Row,
}

/// Calls a function that returns rows with `ret_code` and `ret_note` and logs each note at the level of its code:
/// 1xx debug, 2xx info, 3xx warning.
///
/// # Errors
/// The first row with a code of 400 or more, as [`ErrorKind::NotFound`] for 404 and [`ErrorKind::State`]
/// otherwise; a row without the columns; errors of the server. The caller rolls back.
pub async fn exec_ret<C: GenericClient>(
    client: &C,
    sql: &str,
    params: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Ret>> {
    let rows = client
        .query(sql, params)
        .await
        .map_err(|e| Error::from(e).context(format!("{} failed", called(sql))))?;
    let mut out = Vec::with_capacity(rows.len());
    for row in rows {
        let missing = |e| {
            Error::new(ErrorKind::Internal, format!("{} returned no ret_code and ret_note", called(sql)))
                .with_source(e)
        };
        let code: Option<i32> = row.try_get("ret_code").map_err(missing)?;
        let note: Option<String> = row.try_get("ret_note").map_err(missing)?;
        // A strict function that was given a null answers with a row of nulls.
        let (Some(code), note) = (code, note.unwrap_or_default()) else {
            return Err(Error::new(
                ErrorKind::Internal,
                format!("{} was given a null argument", called(sql)),
            ));
        };
        match code {
            ..200 => tracing::debug!("{note}"),
            200..300 => tracing::info!("{note}"),
            300..400 => tracing::warn!("{note}"),
            _ => {
                let kind = if code == 404 { ErrorKind::NotFound } else { ErrorKind::State };
                return Err(Error::new(kind, note));
            }
        }
        out.push(Ret { code, note, row });
    }
    Ok(out)
}

/// The first word with a dot before its parenthesis: `pgq_node.create_node`.
fn called(sql: &str) -> &str {
    let head = sql.split('(').next().unwrap_or(sql).trim_end();
    head.rsplit(|c: char| c.is_whitespace()).next().unwrap_or(head)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_function_is_named() {
        assert_eq!(super::called("select * from pgq_node.create_node($1, $2)"), "pgq_node.create_node");
        assert_eq!(super::called("select ret_code, ret_note\n from londiste.x (1)"), "londiste.x");
    }
}
