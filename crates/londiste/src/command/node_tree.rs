//! The tree of nodes, as `status` draws it.

use std::fmt::Write as _;

/// Column at which the information lines start.
const INFO_COLUMN: usize = 30;
/// Width of the title, and of each piece of information, in the compact form.
const COMPACT_TITLE: usize = 60;

/// One node to draw.
#[derive(Debug, Clone, Default)]
pub struct TreeNode {
    /// Name of the node; providers are given by it.
    pub name: String,
    /// Service name in its connect string, where there is one.
    pub service: String,
    /// Title: name, type, service.
    pub title: String,
    /// Name of the provider; a node without one, or with an unknown one, is drawn as a root.
    pub provider: Option<String>,
    /// Whether to draw the node as a root whatever its provider says.
    pub is_root: bool,
    /// The lines beside it.
    pub info: Vec<String>,
}

/// The nodes in the order and depth in which they are drawn.
pub struct Tree<'a> {
    nodes: &'a [TreeNode],
    children: Vec<Vec<usize>>,
    roots: Vec<usize>,
}

impl<'a> Tree<'a> {
    /// Finds parents and sorts children: flat ones first, then those with few descendants, then by name.
    pub fn new(nodes: &'a [TreeNode]) -> Self {
        let index = |name: &str| nodes.iter().position(|n| n.name == name);
        let mut children = vec![Vec::new(); nodes.len()];
        let mut roots = Vec::new();
        for (i, node) in nodes.iter().enumerate() {
            let parent =
                node.provider.as_deref().filter(|p| !node.is_root && *p != node.name).and_then(index);
            match parent {
                Some(parent) => children[parent].push(i),
                None => roots.push(i),
            }
        }
        // Nodes that wait for each other in a circle hang below no root; draw the first of each circle as one.
        let mut reached = vec![false; nodes.len()];
        let mut pending: Vec<usize> = roots.clone();
        loop {
            while let Some(i) = pending.pop() {
                if !std::mem::replace(&mut reached[i], true) {
                    pending.extend(&children[i]);
                }
            }
            let Some(lost) = reached.iter().position(|r| !r) else { break };
            for list in &mut children {
                list.retain(|c| *c != lost);
            }
            roots.push(lost);
            pending.push(lost);
        }
        let mut tree = Tree { nodes, children, roots };
        for i in 0..nodes.len() {
            let mut list = std::mem::take(&mut tree.children[i]);
            list.sort_by_cached_key(|c| {
                let (levels, total) = tree.extent(*c);
                (levels, total, nodes[*c].service.clone(), nodes[*c].name.clone())
            });
            tree.children[i] = list;
        }
        tree
    }

    /// Levels below (a childless node has one) and number of descendants.
    fn extent(&self, node: usize) -> (usize, usize) {
        let mut levels = 1;
        let mut total = self.children[node].len();
        for child in &self.children[node] {
            let (below, count) = self.extent(*child);
            levels = levels.max(below + 1);
            total += count;
        }
        (levels, total)
    }

    /// The tree with guides; information stands beside, below the title of its node.
    pub fn draw(&self) -> String {
        let mut out = String::new();
        for root in &self.roots {
            let rest = self.draw_node(*root, "", &[], &mut out);
            info_lines(" ", &rest, &mut out);
        }
        out
    }

    /// Draws a node and what is below it; returns the information that is still to be written, because its guides
    /// depend on what comes next.
    fn draw_node(&self, node: usize, prefix: &str, pending: &[String], out: &mut String) -> Vec<String> {
        let stem = prefix.strip_suffix([' ', '|']).unwrap_or(prefix);
        let (guide, branch) = if prefix.is_empty() {
            (String::new(), String::new())
        } else {
            (format!("{stem}|"), format!("{stem}+--: "))
        };
        info_lines(&guide, pending, out);
        out.push_str(&branch);
        out.push_str(&self.nodes[node].title);
        out.push('\n');
        let mut pending = self.nodes[node].info.clone();
        let last = self.children[node].len().saturating_sub(1);
        for (i, child) in self.children[node].iter().enumerate() {
            let suffix = if i < last { "  |" } else { "   " };
            pending = self.draw_node(*child, &format!("{prefix}{suffix}"), &pending, out);
        }
        pending
    }

    /// One line per node.
    pub fn draw_compact(&self) -> String {
        let mut out = String::new();
        for root in &self.roots {
            self.draw_compact_node(*root, 0, &mut out);
        }
        out
    }

    fn draw_compact_node(&self, node: usize, depth: usize, out: &mut String) {
        let indent = depth * 3;
        let width = COMPACT_TITLE.saturating_sub(indent);
        // Writing to a String cannot fail.
        write!(out, "{:indent$}{:<width$}", "", self.nodes[node].title).unwrap_or_default();
        for info in &self.nodes[node].info {
            write!(out, "{info:<INFO_COLUMN$}").unwrap_or_default();
        }
        out.push('\n');
        for child in &self.children[node] {
            self.draw_compact_node(*child, depth + 1, out);
        }
    }
}

fn info_lines(guide: &str, lines: &[String], out: &mut String) {
    for line in lines {
        writeln!(out, "{guide:<INFO_COLUMN$}{line}").unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, kind: &str, provider: &str, info: &[&str]) -> TreeNode {
        TreeNode {
            name: name.to_owned(),
            title: format!("{name} ({kind})"),
            provider: (!provider.is_empty()).then(|| provider.to_owned()),
            is_root: kind == "root",
            info: info.iter().map(|s| (*s).to_owned()).collect(),
            ..TreeNode::default()
        }
    }

    fn cascade() -> Vec<TreeNode> {
        vec![
            node("node1", "root", "node1", &["Tables: 0/0/0", "Lag: 1d2h3s, Tick: 1, NOT UPTODATE"]),
            node("node2", "branch", "node1", &["Tables: 0/0/0", "Attr: sync_watermark=node1,node2"]),
            node("node3", "leaf", "node2", &["Tables: 0/0/0", "ERR: other: bad"]),
            node("node4", "leaf", "node1", &["Tables: 0/0/0"]),
            node("node5", "branch", "node2", &["Tables: 0/0/0"]),
            node("node6", "dead", "", &["Lag: (n/a), PAUSED, NOT UPTODATE"]),
        ]
    }

    #[test]
    fn tree_is_that_of_the_original() {
        // Recorded from Londiste 3.12 with these six nodes.
        let expected = "\
node1 (root)
  |                           Tables: 0/0/0
  |                           Lag: 1d2h3s, Tick: 1, NOT UPTODATE
  +--: node4 (leaf)
  |                           Tables: 0/0/0
  +--: node2 (branch)
     |                        Tables: 0/0/0
     |                        Attr: sync_watermark=node1,node2
     +--: node3 (leaf)
     |                        Tables: 0/0/0
     |                        ERR: other: bad
     +--: node5 (branch)
                              Tables: 0/0/0
node6 (dead)
                              Lag: (n/a), PAUSED, NOT UPTODATE
";
        assert_eq!(Tree::new(&cascade()).draw(), expected);
    }

    #[test]
    fn compact_form_is_that_of_the_original() {
        let nodes = cascade();
        let text = Tree::new(&nodes).draw_compact();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 6);
        assert_eq!(
            lines[0],
            "node1 (root)                                                Tables: 0/0/0                 \
             Lag: 1d2h3s, Tick: 1, NOT UPTODATE"
        );
        assert_eq!(
            lines[3],
            "      node3 (leaf)                                          Tables: 0/0/0                 \
             ERR: other: bad               "
        );
    }

    #[test]
    fn a_circle_of_providers_is_still_drawn() {
        let nodes =
            [node("a", "branch", "b", &[]), node("b", "branch", "a", &[]), node("c", "leaf", "b", &[])];
        let text = Tree::new(&nodes).draw();
        assert_eq!(text, "a (branch)\n  +--: b (branch)\n     +--: c (leaf)\n");
    }

    #[test]
    fn guides_run_past_subtrees() {
        let nodes = [
            node("r", "root", "r", &["i"]),
            node("x", "branch", "r", &["i"]),
            node("x1", "leaf", "x", &["i"]),
            node("y", "branch", "r", &["i"]),
            node("y1", "leaf", "y", &["i"]),
        ];
        let expected = "\
r (root)
  |                           i
  +--: x (branch)
  |  |                        i
  |  +--: x1 (leaf)
  |                           i
  +--: y (branch)
     |                        i
     +--: y1 (leaf)
                              i
";
        assert_eq!(Tree::new(&nodes).draw(), expected);
    }
}
