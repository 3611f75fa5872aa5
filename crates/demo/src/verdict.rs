//! The comparison of both sides, table by table.

/// What one side holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// Number of rows.
    pub rows: i64,
    /// Checksum over the text of all rows, order-independent.
    pub checksum: String,
}

/// Both sides of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// `schema.table`.
    pub table: String,
    /// The side that was written to.
    pub source: Side,
    /// The replicated side.
    pub target: Side,
}

impl Verdict {
    /// Whether rows and checksums agree.
    pub fn identical(&self) -> bool {
        self.source == self.target
    }
}

/// The table printed at the end of the run.
pub fn render(verdicts: &[Verdict]) -> String {
    let head =
        ["table", "rows (source)", "rows (target)", "checksum (source)", "checksum (target)", "verdict"];
    let mut rows: Vec<[String; 6]> = vec![head.map(str::to_owned)];
    for v in verdicts {
        rows.push([
            v.table.clone(),
            v.source.rows.to_string(),
            v.target.rows.to_string(),
            v.source.checksum.clone(),
            v.target.checksum.clone(),
            if v.identical() { "identical" } else { "DIFFERENT" }.to_owned(),
        ]);
    }
    let mut widths = [0; 6];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    for (line, row) in rows.iter().enumerate() {
        let cells: Vec<String> = row
            .iter()
            .zip(widths)
            .enumerate()
            .map(
                |(i, (cell, width))| {
                    if (1..5).contains(&i) { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
                },
            )
            .collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
        if line == 0 {
            out.push_str(&"-".repeat(widths.iter().sum::<usize>() + 10));
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_count_or_a_checksum_that_differs_is_different() {
        let side = |rows, checksum: &str| Side { rows, checksum: checksum.into() };
        let v = |a: Side, b: Side| Verdict { table: "t".into(), source: a, target: b };
        assert!(v(side(1, "5"), side(1, "5")).identical());
        assert!(!v(side(1, "5"), side(2, "5")).identical());
        assert!(!v(side(1, "5"), side(1, "6")).identical());
    }

    #[test]
    fn columns_are_aligned() {
        let v = Verdict {
            table: "public.née".into(),
            source: Side { rows: 10, checksum: "-5".into() },
            target: Side { rows: 9, checksum: "77".into() },
        };
        let text = render(&[v]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[2].ends_with("DIFFERENT"));
        assert!(lines[2].starts_with("public.née"));
    }
}
