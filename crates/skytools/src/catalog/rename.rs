//! Names of constraints and indexes of a table that is made under another name.

use std::collections::{BTreeMap, BTreeSet};

use super::table::{ConstraintKind, TableStruct};

/// The longest name that the server keeps, in bytes.
const NAME_LIMIT: usize = 63;

/// New names by old ones.
pub(super) struct Names(BTreeMap<String, String>);

impl Names {
    /// When `rename` is set every primary key, unique and exclusion constraint and every index gets the first free
    /// `<name>_<n>`; a number that the name ends in already is cut off first. Checks keep their names, which only have
    /// to be unique within a table.
    pub(super) fn new(table: &TableStruct, rename: bool, taken: &BTreeSet<String>) -> Self {
        let mut map = BTreeMap::new();
        if !rename {
            return Names(map);
        }
        let mut used = taken.clone();
        let constraints =
            table.constraints.iter().filter(|c| c.kind != ConstraintKind::Check).map(|c| &c.name);
        for old in constraints.chain(table.indexes.iter().map(|i| &i.name)) {
            let new = free(old, &used);
            used.insert(new.clone());
            map.insert(old.clone(), new);
        }
        Names(map)
    }

    /// The name to use.
    pub(super) fn get(&self, old: &str) -> String {
        self.0.get(old).cloned().unwrap_or_else(|| old.to_owned())
    }
}

fn free(old: &str, used: &BTreeSet<String>) -> String {
    let base = match old.rsplit_once('_') {
        Some((base, digits))
            if !base.is_empty() && !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) =>
        {
            base
        }
        _ => old,
    };
    for number in 1_u32.. {
        let suffix = format!("_{number}");
        let mut end = base.len().min(NAME_LIMIT - suffix.len());
        while !base.is_char_boundary(end) {
            end -= 1;
        }
        let name = format!("{}{suffix}", &base[..end]);
        if !used.contains(&name) {
            return name;
        }
    }
    old.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_free() {
        let used: BTreeSet<String> = ["t_pkey_1", "x_1", "x_2"].map(String::from).into();
        for (old, new) in
            [("t_pkey", "t_pkey_2"), ("x", "x_3"), ("y_17", "y_1"), ("_5", "_5_1"), ("z_", "z__1")]
        {
            assert_eq!(free(old, &used), new);
        }
        let long = "ä".repeat(31) + "z";
        assert_eq!(free(&long, &used), "ä".repeat(30) + "_1");
    }
}
