//! Which parts of a table are meant: a set of flags.

use std::ops::{BitOr, Sub};

/// A set of parts of a table. The values are those of the original's `T_*` flags, where it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Parts(u32);

impl Parts {
    /// Nothing.
    pub const NONE: Parts = Parts(0);
    /// The table with its columns: types, collations, not null, generated columns, identity.
    pub const TABLE: Parts = Parts(1);
    /// Constraints other than the primary key and foreign keys: unique, check, exclusion.
    pub const CONSTRAINT: Parts = Parts(2);
    /// Indexes that belong to no constraint.
    pub const INDEX: Parts = Parts(4);
    /// Triggers, but not those that capture for a queue.
    pub const TRIGGER: Parts = Parts(8);
    /// Rewrite rules.
    pub const RULE: Parts = Parts(16);
    /// Privileges of other roles on the table and its columns.
    pub const GRANT: Parts = Parts(32);
    /// The owner.
    pub const OWNER: Parts = Parts(64);
    /// Sequences that defaults use, and which column owns them.
    pub const SEQUENCE: Parts = Parts(128);
    /// Inheritance parents, or the partitioned table that it is a partition of, and its own partition key.
    pub const PARENT: Parts = Parts(256);
    /// Column defaults.
    pub const DEFAULT: Parts = Parts(512);
    /// Storage parameters, column storage and compression (an addition to the original's flags).
    pub const STORAGE: Parts = Parts(1024);
    /// The primary key.
    pub const PKEY: Parts = Parts(1 << 20);

    /// What `add-table --create` makes.
    pub const CREATE: Parts = Parts(Self::TABLE.0 | Self::PKEY.0 | Self::DEFAULT.0 | Self::SEQUENCE.0);
    /// What `add-table --create-full` makes: all but foreign keys and parents.
    pub const CREATE_FULL: Parts = Parts(
        Self::CREATE.0
            | Self::CONSTRAINT.0
            | Self::INDEX.0
            | Self::TRIGGER.0
            | Self::RULE.0
            | Self::GRANT.0
            | Self::OWNER.0
            | Self::STORAGE.0,
    );
    /// What is dropped before an initial copy and made again after it: everything that slows loading down.
    pub const COPY_DROPS: Parts =
        Parts(Self::CONSTRAINT.0 | Self::PKEY.0 | Self::INDEX.0 | Self::RULE.0 | Self::PARENT.0);

    /// Whether all of `other` is in this set.
    pub const fn contains(self, other: Parts) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Parts {
    type Output = Parts;
    fn bitor(self, other: Parts) -> Parts {
        Parts(self.0 | other.0)
    }
}

impl Sub for Parts {
    type Output = Parts;
    fn sub(self, other: Parts) -> Parts {
        Parts(self.0 & !other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets() {
        assert!(Parts::CREATE_FULL.contains(Parts::CREATE));
        assert!(!Parts::CREATE_FULL.contains(Parts::PARENT));
        assert!(!(Parts::CREATE - Parts::PKEY).contains(Parts::PKEY));
        assert!((Parts::NONE | Parts::RULE).contains(Parts::RULE));
        assert!(Parts::NONE.contains(Parts::NONE));
    }
}
