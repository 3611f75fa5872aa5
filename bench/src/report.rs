//! Figures, what they are judged by, and how they are shown: a table, or one JSON line for each figure and peer.

use std::cell::RefCell;

use serde_json::{Value, json};

/// Whether large or small figures are good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// Rates.
    Higher,
    /// Durations and sizes.
    Lower,
}

/// What one of our figures must reach. Other figures are named by their place in the report.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    /// At least so many times as good as that figure.
    Ratio(usize, f64),
    /// At most so much, in the unit of the report: the median.
    AtMost(f64),
    /// At most so much in every single run.
    NeverAbove(f64),
    /// At most so much above that figure: the median of the differences, round by round.
    AtMostAbove(usize, f64),
}

/// Ours, or what it is compared with.
#[derive(Debug, Clone, PartialEq)]
pub enum Role {
    /// A peer or a baseline.
    Peer,
    /// Ours, with its targets; none when it is only shown.
    Ours(Vec<Target>),
}

/// The figures of one contender.
#[derive(Debug, Clone)]
pub struct Figure {
    /// Name with version.
    pub name: String,
    /// All rounds, without the warm-up.
    pub runs: Vec<f64>,
    /// Whose it is.
    pub role: Role,
}

impl Figure {
    /// The median of the rounds.
    pub fn median(&self) -> f64 {
        quantiles(&self.runs)[1]
    }

    fn smallest(&self) -> f64 {
        self.runs.iter().copied().fold(f64::INFINITY, f64::min)
    }

    fn largest(&self) -> f64 {
        self.runs.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }

    fn targets(&self) -> &[Target] {
        match &self.role {
            Role::Peer => &[],
            Role::Ours(targets) => targets,
        }
    }
}

/// Lower quartile, median and upper quartile.
pub fn quantiles(values: &[f64]) -> [f64; 3] {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| {
        // Between the two neighbours of the place, as usual.
        let Some(places) = sorted.len().checked_sub(1).map(|last| last * quarter) else { return f64::NAN };
        let (below, above) = (sorted[places / 4], sorted[places.div_ceil(4)]);
        below + (above - below) * [0.0, 0.25, 0.5, 0.75][places % 4]
    })
}

/// The figures of all contenders, of which the one at `ours` has targets.
pub fn figures<T>(
    names: &[String],
    runs: &[Vec<T>],
    ours: usize,
    targets: &[Target],
    pick: impl Fn(&T) -> f64,
) -> Vec<Figure> {
    let of = |(at, (name, runs)): (usize, (&String, &Vec<T>))| Figure {
        name: name.clone(),
        runs: runs.iter().map(&pick).collect(),
        role: if at == ours { Role::Ours(targets.to_vec()) } else { Role::Peer },
    };
    names.iter().zip(runs).enumerate().map(of).collect()
}

/// Where figures go, and which targets they missed.
#[derive(Debug, Default, Clone)]
pub struct Output {
    /// JSON lines instead of tables.
    pub json: bool,
    missed: RefCell<Vec<String>>,
}

impl Output {
    /// Tables or JSON lines.
    pub fn new(json: bool) -> Output {
        Output { json, missed: RefCell::default() }
    }

    /// Says which targets were missed, after everything else; returns whether there were any.
    pub fn conclude(&self) -> bool {
        let missed = self.missed.borrow();
        if missed.is_empty() {
            return false;
        }
        let text = format!("\ntargets missed:\n  {}", missed.join("\n  "));
        // Lines of JSON are read by programs.
        if self.json {
            eprintln!("{text}")
        } else {
            println!("{text}")
        }
        true
    }
}

/// Figures ready to be shown; the table's ratios are against the figure at `reference`.
pub struct Report {
    /// Title of the comparison.
    pub title: String,
    /// Unit of the values.
    pub unit: &'static str,
    /// Direction.
    pub better: Better,
    /// Index of the figure that ratios refer to.
    pub reference: usize,
    /// What was measured.
    pub figures: Vec<Figure>,
}

impl Report {
    /// How good `figure` is against the peer, round by round: 2.0 = twice as fast, whatever the direction.
    fn ratios(&self, figure: &Figure, peer: usize) -> Vec<f64> {
        let ratio = |(&value, &peer): (&f64, &f64)| match self.better {
            // Nothing and nothing are alike.
            _ if value == 0.0 && peer == 0.0 => 1.0,
            Better::Higher => value / peer,
            Better::Lower => peer / value,
        };
        figure.runs.iter().zip(&self.figures[peer].runs).map(ratio).collect()
    }

    /// What the target says, whether it is reached, and by what.
    fn judge(&self, figure: &Figure, target: Target) -> (String, bool, f64) {
        match target {
            Target::Ratio(peer, floor) => {
                let ratio = quantiles(&self.ratios(figure, peer))[1];
                (format!("target {floor:.2}"), ratio >= floor, ratio)
            }
            Target::AtMost(limit) => {
                let value = figure.median();
                (format!("at most {} {}", number(limit), self.unit), value <= limit, value)
            }
            Target::NeverAbove(limit) => {
                let value = figure.largest();
                (format!("never above {} {}", number(limit), self.unit), value <= limit, value)
            }
            Target::AtMostAbove(other, limit) => {
                let differences: Vec<f64> =
                    figure.runs.iter().zip(&self.figures[other].runs).map(|(a, b)| a - b).collect();
                let value = quantiles(&differences)[1];
                (
                    format!("at most {} {} more than {}", number(limit), self.unit, self.figures[other].name),
                    value <= limit,
                    value,
                )
            }
        }
    }

    /// Whom a figure of ours is compared with: every peer, and what a target names; where there is no peer, the reference.
    fn compared_with(&self, at: usize) -> Vec<usize> {
        let named = |other: usize| {
            self.figures[at].targets().iter().any(|t| matches!(t, Target::Ratio(peer, _) if *peer == other))
        };
        let alone = self.figures.iter().all(|f| f.role != Role::Peer);
        (0..self.figures.len())
            .filter(|&other| {
                let peer = self.figures[other].role == Role::Peer || (alone && other == self.reference);
                other != at && (peer || named(other))
            })
            .collect()
    }

    /// One object for each figure of ours and each of those it is compared with.
    fn lines(&self) -> Vec<Value> {
        let mut lines = Vec::new();
        for (at, figure) in self.figures.iter().enumerate().filter(|(_, f)| f.role != Role::Peer) {
            let limits: Vec<Value> = figure
                .targets()
                .iter()
                .filter(|t| !matches!(t, Target::Ratio(..)))
                .map(|&target| {
                    let (wanted, reached, value) = self.judge(figure, target);
                    json!({"wanted": wanted, "value": value, "reached": reached})
                })
                .collect();
            for other in self.compared_with(at) {
                let peer = &self.figures[other];
                let ratios = self.ratios(figure, other);
                let ratio = quantiles(&ratios)[1];
                let target = figure.targets().iter().find_map(|t| match t {
                    Target::Ratio(peer, floor) if *peer == other => Some(*floor),
                    _ => None,
                });
                lines.push(json!({
                    "figure": self.title, "unit": self.unit, "name": figure.name, "ours": figure.median(),
                    "peer": peer.name, "peer_value": peer.median(), "ratio": ratio,
                    "target": target, "reached": target.map(|floor| ratio >= floor), "limits": limits,
                    "runs": figure.runs, "peer_runs": peer.runs, "ratios": ratios,
                }));
            }
        }
        lines
    }

    fn table(&self) -> String {
        let mut text = format!("\n{} ({})\n", self.title, self.unit);
        let width = self.figures.iter().map(|f| f.name.chars().count()).max().unwrap_or(0);
        for figure in &self.figures {
            let [low_ratio, ratio, high_ratio] = quantiles(&self.ratios(figure, self.reference));
            let verdict = |target: Target| {
                let (wanted, reached, _) = self.judge(figure, target);
                format!("{wanted}: {}", if reached { "reached" } else { "MISSED" })
            };
            let (mut beside, mut below) = (String::new(), String::new());
            for &target in figure.targets() {
                match target {
                    Target::Ratio(peer, _) if peer == self.reference => beside = verdict(target),
                    Target::Ratio(peer, _) => {
                        let [low, median, high] = quantiles(&self.ratios(figure, peer));
                        below += &format!(
                            "  {:width$}  {:>12}  {median:>6.2} x [{low:.2} … {high:.2}]  of {}  {}\n",
                            "",
                            "",
                            self.figures[peer].name,
                            verdict(target)
                        );
                    }
                    _ => below += &format!("  {:width$}  {:>12}  {}\n", "", "", verdict(target)),
                }
            }
            text += &format!(
                "  {:width$}  {:>12}  {ratio:>6.2} x [{low_ratio:.2} … {high_ratio:.2}]  ({} … {})  {beside}\n{below}",
                figure.name,
                number(figure.median()),
                number(figure.smallest()),
                number(figure.largest())
            );
        }
        text
    }

    /// Prints a table, or the JSON lines, and remembers which targets were missed.
    pub fn print(&self, output: &Output) {
        if output.json {
            for line in self.lines() {
                println!("{line}");
            }
        } else {
            print!("{}", self.table());
        }
        for figure in &self.figures {
            for &target in figure.targets() {
                let (wanted, reached, value) = self.judge(figure, target);
                if !reached {
                    let of = match target {
                        Target::Ratio(peer, _) => format!(" against {}", self.figures[peer].name),
                        _ => String::new(),
                    };
                    let line = format!("{}: {}{of}: {}, {wanted}", self.title, figure.name, number(value));
                    output.missed.borrow_mut().push(line);
                }
            }
        }
    }
}

fn number(value: f64) -> String {
    if value.abs() >= 100.0 { format!("{value:.0}") } else { format!("{value:.3}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(name: &str, runs: &[f64], role: Role) -> Figure {
        Figure { name: name.to_owned(), runs: runs.to_vec(), role }
    }

    fn report(better: Better, figures: Vec<Figure>) -> Report {
        Report { title: "t".to_owned(), unit: "s", better, reference: 0, figures }
    }

    #[test]
    fn median_of_odd_and_even() {
        let median = |runs: &[f64]| figure("", runs, Role::Peer).median();
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn quartiles_lie_between_neighbours() {
        let close = |values: &[f64], wanted: [f64; 3]| {
            let found = quantiles(values);
            assert!(found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-9), "{found:?}");
        };
        close(&[7.0], [7.0; 3]);
        close(&[3.0, 1.0, 2.0, 5.0, 4.0], [2.0, 3.0, 4.0]);
        close(&[1.0, 2.0], [1.25, 1.5, 1.75]);
        close(&[4.0, 3.0, 2.0, 1.0], [1.75, 2.5, 3.25]);
    }

    #[test]
    fn a_round_is_compared_with_itself() {
        // The machine is three times as fast in the second round: medians of the values would say anything.
        let both = || {
            vec![
                figure("a", &[10.0, 30.0, 10.0], Role::Peer),
                figure("b", &[20.0, 60.0, 30.0], Role::Ours(Vec::new())),
            ]
        };
        let (higher, lower) = (report(Better::Higher, both()), report(Better::Lower, both()));
        assert_eq!(higher.ratios(&higher.figures[1], 0), [2.0, 2.0, 3.0]);
        assert_eq!(lower.ratios(&lower.figures[1], 0), [0.5, 0.5, 1.0 / 3.0]);
        assert_eq!(higher.ratios(&higher.figures[0], 0), [1.0; 3]);
    }

    #[test]
    fn every_figure_of_ours_has_a_line_for_every_peer() {
        let shown = report(
            Better::Lower,
            vec![
                figure("COPY", &[2.0], Role::Peer),
                figure("native", &[3.0], Role::Peer),
                figure("ours", &[2.0], Role::Ours(vec![Target::Ratio(1, 1.0), Target::AtMost(1.0)])),
                figure("ours again", &[1.0], Role::Ours(vec![Target::Ratio(2, 3.0)])),
                figure("ours, only shown", &[4.0], Role::Ours(Vec::new())),
            ],
        );
        let lines: Vec<(String, String, f64, Option<bool>)> = shown
            .lines()
            .iter()
            .map(|l| {
                let text = |key: &str| l[key].as_str().unwrap().to_owned();
                (text("name"), text("peer"), l["ratio"].as_f64().unwrap(), l["reached"].as_bool())
            })
            .collect();
        let line =
            |name: &str, peer: &str, ratio, reached| (name.to_owned(), peer.to_owned(), ratio, reached);
        assert_eq!(
            lines,
            [
                line("ours", "COPY", 1.0, None),
                line("ours", "native", 1.5, Some(true)),
                line("ours again", "COPY", 2.0, None),
                line("ours again", "native", 3.0, None),
                line("ours again", "ours", 2.0, Some(false)),
                line("ours, only shown", "COPY", 0.5, None),
                line("ours, only shown", "native", 0.75, None),
            ]
        );
        assert_eq!(shown.lines()[0]["limits"][0]["reached"], json!(false));
        let table = shown.table();
        for wanted in
            ["of native  target 1.00: reached", "at most 1.000 s: MISSED", "of ours  target 3.00: MISSED"]
        {
            assert!(table.contains(wanted), "{table}");
        }
    }

    #[test]
    fn limits_are_of_medians_differences_or_every_run() {
        let ours = |target| {
            let shown = report(
                Better::Lower,
                vec![
                    figure("one", &[1.0, 5.0, 9.0], Role::Peer),
                    figure("ours", &[2.0, 6.0, 30.0], Role::Ours(vec![target])),
                ],
            );
            let output = Output::new(true);
            shown.print(&output);
            !output.conclude()
        };
        assert!(ours(Target::AtMost(6.0)) && !ours(Target::AtMost(5.9)));
        assert!(ours(Target::NeverAbove(30.0)) && !ours(Target::NeverAbove(29.0)));
        assert!(ours(Target::AtMostAbove(0, 1.0)) && !ours(Target::AtMostAbove(0, 0.9)));
        assert!(ours(Target::Ratio(0, 0.5)) && !ours(Target::Ratio(0, 0.9)));
    }
}
