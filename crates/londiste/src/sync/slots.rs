//! Which tables may be copied now: at most `parallel_copies` at once, in the order of registration.

use crate::table::{MergeState, TableRow};

/// A table whose copy may begin, as far as the local node is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Name in the queue.
    pub table: String,
    /// Whether the provider's own copy has to be complete first. Not so with an explicit copy source.
    pub provider_must_be_ok: bool,
}

/// Number of free slots, and the tables that wait for one, first registered first.
///
/// A table keeps its slot from `in-copy` until it is `ok`.
pub fn choose_copies(tables: &[TableRow], parallel_copies: usize) -> (usize, Vec<Candidate>) {
    let local = || tables.iter().filter(|t| t.local);
    let busy = local().filter(|t| t.merge_state.is_copying()).count();
    let waiting = local()
        .filter(|t| t.merge_state == MergeState::Missing)
        .map(|t| Candidate {
            table: t.table_name.clone(),
            provider_must_be_ok: t.attrs.copy_node().is_none(),
        })
        .collect();
    (parallel_copies.saturating_sub(busy), waiting)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::TableAttrs;

    fn table(name: &str, local: bool, state: Option<&str>) -> TableRow {
        TableRow {
            table_name: name.to_owned(),
            local,
            merge_state: MergeState::parse(state).unwrap(),
            custom_snapshot: None,
            attrs: TableAttrs::default(),
            dropped_ddl: None,
            copy_role: None,
            copy_pos: 0,
            dest_table: None,
        }
    }

    #[test]
    fn tables_under_way_hold_their_slots() {
        let tables = [
            table("public.a", true, Some("wanna-sync:4")),
            table("public.b", true, None),
            table("public.c", false, None),
            table("public.d", true, Some("ok")),
            table("public.e", true, None),
        ];
        let names = |candidates: Vec<Candidate>| candidates.into_iter().map(|c| c.table).collect::<Vec<_>>();
        let (free, waiting) = choose_copies(&tables, 3);
        assert_eq!(free, 2);
        assert_eq!(names(waiting), ["public.b", "public.e"]);
        assert_eq!(choose_copies(&tables, 1).0, 0);
    }

    #[test]
    fn an_explicit_source_needs_no_complete_provider() {
        let mut row = table("public.a", true, None);
        row.attrs.set("copy_node", "?");
        assert!(!choose_copies(&[row], 1).1[0].provider_must_be_ok);
    }
}
