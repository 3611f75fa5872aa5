//! How a figure is made: every contender in one run, after a warm-up, several rounds, the order rotated each round.
//!
//! A fixed order once made one contender look twice as fast as it was; absolute times of different runs are
//! never compared. Nor are those of different rounds: the speed of a machine wanders by a third within minutes, and the ratio
//! of two medians wanders with it. So each value is set against the reference's of the same round, and the median of these
//! ratios counts. Where work can be interrupted (rates), rounds are many and short: [`Windows`].

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;

/// Whether large or small figures are good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// Rates.
    Higher,
    /// Durations and sizes.
    Lower,
}

/// One of the things compared.
pub struct Contender<'a> {
    /// What it is, with its version.
    pub name: String,
    /// One measurement, in the unit of the comparison.
    pub measure: Box<dyn FnMut() -> Result<f64> + 'a>,
    /// Whether this is ours, and which target it has against the peer (ratio, "at least").
    pub target: Option<f64>,
}

impl<'a> Contender<'a> {
    /// A peer or a baseline.
    pub fn peer(name: impl Into<String>, measure: impl FnMut() -> Result<f64> + 'a) -> Self {
        Contender { name: name.into(), measure: Box::new(measure), target: None }
    }

    /// One of ours, with the ratio it must reach against the reference.
    pub fn ours(name: impl Into<String>, target: f64, measure: impl FnMut() -> Result<f64> + 'a) -> Self {
        Contender { name: name.into(), measure: Box::new(measure), target: Some(target) }
    }
}

/// A comparison of several contenders; ratios are against the contender at `reference`.
pub struct Comparison<'a> {
    /// Title of the figure.
    pub title: String,
    /// Unit of the values.
    pub unit: &'static str,
    /// Direction.
    pub better: Better,
    /// The contenders.
    pub contenders: Vec<Contender<'a>>,
    /// Index of the one that ratios refer to.
    pub reference: usize,
}

/// The figures of one contender.
#[derive(Debug, Clone)]
pub struct Figure {
    /// Name with version.
    pub name: String,
    /// All rounds, without the warm-up.
    pub runs: Vec<f64>,
    /// The target ratio, for ours.
    pub target: Option<f64>,
}

impl Figure {
    /// The median of the rounds.
    pub fn median(&self) -> f64 {
        quantiles(&self.runs)[1]
    }
}

/// Lower quartile, median and upper quartile.
fn quantiles(values: &[f64]) -> [f64; 3] {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| {
        // Between the two neighbours of the place, as usual.
        let Some(places) = sorted.len().checked_sub(1).map(|last| last * quarter) else { return f64::NAN };
        let (below, above) = (sorted[places / 4], sorted[places.div_ceil(4)]);
        below + (above - below) * [0.0, 0.25, 0.5, 0.75][places % 4]
    })
}

/// The figures of all contenders, of which `ours` must reach `target` against the reference (0.0: is only shown).
pub fn figures<T>(
    names: &[String],
    runs: &[Vec<T>],
    ours: usize,
    target: f64,
    pick: impl Fn(&T) -> f64,
) -> Vec<Figure> {
    let of = |(at, (name, runs)): (usize, (&String, &Vec<T>))| Figure {
        name: name.clone(),
        runs: runs.iter().map(&pick).collect(),
        target: (at == ours).then_some(target),
    };
    names.iter().zip(runs).enumerate().map(of).collect()
}

impl Comparison<'_> {
    /// Runs everything and prints a table, or one JSON line per figure of ours.
    ///
    /// # Errors
    /// A contender fails.
    pub fn run(mut self, rounds: usize, as_json: bool) -> Result<()> {
        ensure!(self.reference < self.contenders.len(), "nothing to compare");
        let contenders = &mut self.contenders;
        let runs = rotate(contenders.len(), rounds, |at| (contenders[at].measure)())?;
        let figures = self
            .contenders
            .iter()
            .zip(runs)
            .map(|(c, runs)| Figure { name: c.name.clone(), runs, target: c.target })
            .collect();
        Report {
            title: self.title,
            unit: self.unit,
            better: self.better,
            reference: self.reference,
            figures,
        }
        .print(as_json);
        Ok(())
    }
}

/// Rounds of a comparison of rates: short windows, in which contenders that stand ready take turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// How many for each contender.
    pub count: usize,
    /// How long one is.
    pub length: Duration,
}

impl Windows {
    /// The longest one: below the time in which the machine's speed changes.
    const LONGEST: Duration = Duration::from_millis(500);
    /// A median of fewer says little.
    const FEWEST: u32 = 7;

    /// As many as make up `rounds` runs of `seconds`.
    pub fn of(rounds: usize, seconds: u32) -> Windows {
        let total =
            Duration::from_secs(u64::from(seconds.max(1))) * u32::try_from(rounds.max(1)).unwrap_or(u32::MAX);
        let count = total.as_millis().div_ceil(Self::LONGEST.as_millis());
        let count = u32::try_from(count).unwrap_or(u32::MAX).max(Self::FEWEST);
        Windows { count: count as usize, length: (total / count).min(Self::LONGEST) }
    }
}

/// Calls `measure` with the number of each of `count` contenders: once to warm up, then `rounds` times, each round
/// beginning with the next contender. Returns what each contender measured, without the warm-up.
///
/// # Errors
/// A measurement fails.
pub fn rotate<T>(
    count: usize,
    rounds: usize,
    mut measure: impl FnMut(usize) -> Result<T>,
) -> Result<Vec<Vec<T>>> {
    ensure!(rounds >= 1, "at least one round");
    let mut runs: Vec<Vec<T>> = (0..count).map(|_| Vec::with_capacity(rounds)).collect();
    for round in 0..=rounds {
        for position in 0..count {
            let at = (position + round) % count;
            let value = measure(at)?;
            // Round 0 warms caches and plans.
            if round > 0 {
                runs[at].push(value);
            }
        }
    }
    Ok(runs)
}

/// Figures ready to be shown; ratios are against the figure at `reference`.
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
    /// How good `figure` is against the reference, round by round: 2.0 = twice as fast, whatever the direction.
    fn ratios(&self, figure: &Figure) -> Vec<f64> {
        let ratio = |(&value, &reference): (&f64, &f64)| match self.better {
            Better::Higher => value / reference,
            Better::Lower => reference / value,
        };
        figure.runs.iter().zip(&self.figures[self.reference].runs).map(ratio).collect()
    }

    /// Prints a table, or one JSON line per figure of ours.
    pub fn print(&self, as_json: bool) {
        let figures = &self.figures;
        if as_json {
            for figure in figures.iter().filter(|f| f.target.is_some()) {
                let peer = &figures[self.reference];
                let ratios = self.ratios(figure);
                println!(
                    "{}",
                    json!({
                        "figure": self.title, "unit": self.unit, "name": figure.name, "ours": figure.median(),
                        "peer": peer.name, "peer_value": peer.median(), "ratio": quantiles(&ratios)[1],
                        "target": figure.target, "runs": figure.runs, "peer_runs": peer.runs, "ratios": ratios,
                    })
                );
            }
            return;
        }
        println!("\n{} ({})", self.title, self.unit);
        let width = figures.iter().map(|f| f.name.chars().count()).max().unwrap_or(0);
        for figure in figures {
            let [low_ratio, ratio, high_ratio] = quantiles(&self.ratios(figure));
            let low = figure.runs.iter().copied().fold(f64::INFINITY, f64::min);
            let high = figure.runs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let verdict = match figure.target {
                // No floor was set: the figure is ours, and only shown.
                Some(0.0) | None => String::new(),
                Some(target) if ratio >= target => format!("target {target:.2}: reached"),
                Some(target) => format!("target {target:.2}: MISSED"),
            };
            println!(
                "  {:width$}  {:>12}  {ratio:>6.2} x [{low_ratio:.2} … {high_ratio:.2}]  ({} … {})  {verdict}",
                figure.name,
                number(figure.median()),
                number(low),
                number(high)
            );
        }
    }
}

fn number(value: f64) -> String {
    if value.abs() >= 100.0 { format!("{value:.0}") } else { format!("{value:.3}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_of_odd_and_even() {
        let figure = |runs: &[f64]| Figure { name: String::new(), runs: runs.to_vec(), target: None };
        assert!((figure(&[3.0, 1.0, 2.0]).median() - 2.0).abs() < 1e-9);
        assert!((figure(&[4.0, 1.0, 2.0, 3.0]).median() - 2.5).abs() < 1e-9);
        assert!(figure(&[]).median().is_nan());
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
        let figure = |runs: &[f64]| Figure { name: String::new(), runs: runs.to_vec(), target: None };
        // The machine is three times as fast in the second round: medians of the values would say anything.
        let report = |better| Report {
            title: String::new(),
            unit: "",
            better,
            reference: 0,
            figures: vec![figure(&[10.0, 30.0, 10.0]), figure(&[20.0, 60.0, 30.0])],
        };
        let (higher, lower) = (report(Better::Higher), report(Better::Lower));
        assert_eq!(higher.ratios(&higher.figures[1]), [2.0, 2.0, 3.0]);
        assert_eq!(lower.ratios(&lower.figures[1]), [0.5, 0.5, 1.0 / 3.0]);
        assert_eq!(higher.ratios(&higher.figures[0]), [1.0; 3]);
    }

    #[test]
    fn windows_add_up() {
        let windows = |rounds, seconds| {
            let Windows { count, length } = Windows::of(rounds, seconds);
            (count, length.as_millis())
        };
        assert_eq!(windows(3, 5), (30, 500));
        assert_eq!(windows(1, 1), (7, 142));
        assert_eq!(windows(0, 0), (7, 142));
        assert_eq!(windows(2, 2), (8, 500));
    }

    #[test]
    fn every_contender_runs_in_every_position() {
        let order = std::cell::RefCell::new(Vec::new());
        let comparison = Comparison {
            title: "t".into(),
            unit: "s",
            better: Better::Lower,
            reference: 0,
            contenders: vec![
                Contender::peer("a", || {
                    order.borrow_mut().push('a');
                    Ok(2.0)
                }),
                Contender::ours("b", 1.0, || {
                    order.borrow_mut().push('b');
                    Ok(1.0)
                }),
            ],
        };
        comparison.run(3, true).unwrap();
        assert_eq!(order.into_inner().into_iter().collect::<String>(), "abbaabba");
    }
}
