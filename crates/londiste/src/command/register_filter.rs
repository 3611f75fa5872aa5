//! Which names enter the node's lists: `register_only_tables`, `register_skip_tables`, and the same for sequences.

use std::collections::HashSet;

use skytools::Result;
use skytools::config::Config;

/// A filter over full names; exact, no patterns. Names without schema mean `public`.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    only: HashSet<String>,
    skip: HashSet<String>,
}

impl Filter {
    /// The filter for tables.
    ///
    /// # Errors
    /// Bad interpolation in the configuration.
    pub fn tables(config: &Config) -> Result<Self> {
        Self::read(config, "register_only_tables", "register_skip_tables")
    }

    /// The filter for sequences.
    ///
    /// # Errors
    /// Bad interpolation in the configuration.
    pub fn sequences(config: &Config) -> Result<Self> {
        Self::read(config, "register_only_seqs", "register_skip_seqs")
    }

    fn read(config: &Config, only: &str, skip: &str) -> Result<Self> {
        let names = |key: &str| -> Result<HashSet<String>> {
            let list = config.get_list(key)?;
            Ok(list.iter().filter(|n| !n.is_empty()).map(|n| super::expansion::full_name(n)).collect())
        };
        Ok(Filter { only: names(only)?, skip: names(skip)? })
    }

    /// Whether the name may be registered on this node.
    pub fn admits(&self, name: &str) -> bool {
        (self.only.is_empty() || self.only.contains(name)) && !self.skip.contains(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_and_skip_together() {
        // The scenario of the original's own test: only t1-t3, without t2 and t4.
        let config = Config::from_text(
            "[londiste]\nregister_only_tables = public.t1, t2, public.t3\nregister_skip_tables = public.t2, public.t4\n",
            &["londiste"],
            &[],
        )
        .unwrap();
        let filter = Filter::tables(&config).unwrap();
        let admitted: Vec<&str> = ["public.t1", "public.t2", "public.t3", "public.t4", "public.t5"]
            .into_iter()
            .filter(|t| filter.admits(t))
            .collect();
        assert_eq!(admitted, ["public.t1", "public.t3"]);
        assert!(Filter::sequences(&config).unwrap().admits("public.s"));
    }
}
