//! What the worker does on which kind of node, and where a batch stands against what is applied here. No I/O.

use pgq::cascade::{NodeInfo, NodeType};
use skytools::{Error, Result};

/// The worker's duty on this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duty {
    /// Root: publishes watermarks and sequence values, applies nothing.
    Standby,
    /// Plain leaf: applies the provider's batches.
    Replay,
}

/// The duty that the node's kind gives the worker.
///
/// # Errors
/// A kind of node that this version does not serve, or that does not exist.
pub fn duty(info: &NodeInfo) -> Result<Duty> {
    let refuse = |what: &str| {
        Err(Error::state(format!(
            "node \"{}\" is a {what}; this worker serves roots and plain leafs only",
            info.node_name
        ))
        .hint("run the worker of SkyTools 3 on this node, or create it as a leaf"))
    };
    match (info.node_type, info.combined_type, info.combined_queue.as_deref()) {
        (NodeType::Root, None, None) => Ok(Duty::Standby),
        (NodeType::Leaf, None, None) => Ok(Duty::Replay),
        (NodeType::Branch, None, None) => refuse("branch (it would have to copy the queue on)"),
        (NodeType::Leaf, _, Some(queue)) => {
            refuse(&format!("merge leaf (it feeds the combined queue \"{queue}\")"))
        }
        (kind, combined, queue) => Err(Error::data(format!(
            "node \"{}\" is a {kind} with combined queue {queue:?} of type {combined:?}, which cannot be",
            info.node_name
        ))),
    }
}

/// Where a batch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is the next one to apply.
    Next,
    /// It was applied; the process ended before it told the provider.
    Applied,
    /// It neither begins nor ends where this node stands.
    Lost,
}

/// Compares a batch (from tick `previous` to tick `current`) with the tick that is completed here.
pub fn standing(previous: i64, current: i64, completed: i64) -> Standing {
    if completed == previous {
        Standing::Next
    } else if completed == current {
        Standing::Applied
    } else {
        Standing::Lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(node_type: NodeType, combined: Option<(NodeType, &str)>) -> NodeInfo {
        NodeInfo {
            node_type,
            node_name: "n1".to_owned(),
            global_watermark: None,
            local_watermark: None,
            provider_node: None,
            provider_location: None,
            combined_queue: combined.map(|(_, name)| name.to_owned()),
            combined_type: combined.map(|(kind, _)| kind),
            worker_name: None,
            worker_paused: false,
            worker_uptodate: true,
            worker_last_tick: None,
            node_attrs: None,
            target_for: Vec::new(),
        }
    }

    #[test]
    fn roots_stand_by_and_plain_leafs_replay() {
        assert_eq!(duty(&info(NodeType::Root, None)).unwrap(), Duty::Standby);
        assert_eq!(duty(&info(NodeType::Leaf, None)).unwrap(), Duty::Replay);
    }

    #[test]
    fn other_kinds_are_refused_by_name() {
        let branch = duty(&info(NodeType::Branch, None)).unwrap_err();
        assert!(branch.to_string().contains("branch") && branch.hint_text().is_some());
        let merge = duty(&info(NodeType::Leaf, Some((NodeType::Root, "all")))).unwrap_err();
        assert!(merge.to_string().contains("merge leaf") && merge.to_string().contains("all"));
        assert!(duty(&info(NodeType::Root, Some((NodeType::Root, "x")))).is_err());
    }

    #[test]
    fn only_two_standings_are_good() {
        assert_eq!(standing(4, 5, 4), Standing::Next);
        assert_eq!(standing(4, 5, 5), Standing::Applied);
        assert_eq!(standing(4, 7, 5), Standing::Lost);
        assert_eq!(standing(4, 5, 3), Standing::Lost);
        assert_eq!(standing(4, 5, 6), Standing::Lost);
    }
}
