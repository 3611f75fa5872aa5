//! How a figure is made: every contender in one run, after a warm-up, several rounds, the order rotated each round.
//!
//! A fixed order once made one contender look twice as fast as it was; absolute times of different runs are
//! never compared. Nor are those of different rounds: the speed of a machine wanders by a third within minutes, and the ratio
//! of two medians wanders with it. So each value is set against the reference's of the same round, and the median of these
//! ratios counts. Where work can be interrupted (rates), rounds are many and short: [`Windows`].

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::report::{Better, Figure, Output, Report, Role, Target};

/// One of the things compared.
pub struct Contender<'a> {
    /// What it is, with its version.
    pub name: String,
    /// One measurement, in the unit of the comparison.
    pub measure: Box<dyn FnMut() -> Result<f64> + 'a>,
    /// Whose it is.
    pub role: Role,
}

impl<'a> Contender<'a> {
    /// A peer or a baseline.
    pub fn peer(name: impl Into<String>, measure: impl FnMut() -> Result<f64> + 'a) -> Self {
        Contender { name: name.into(), measure: Box::new(measure), role: Role::Peer }
    }

    /// One of ours, with what it must reach.
    pub fn ours(
        name: impl Into<String>,
        targets: &[Target],
        measure: impl FnMut() -> Result<f64> + 'a,
    ) -> Self {
        Contender { name: name.into(), measure: Box::new(measure), role: Role::Ours(targets.to_vec()) }
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

impl Comparison<'_> {
    /// Runs everything and prints what was measured.
    ///
    /// # Errors
    /// A contender fails.
    pub fn run(mut self, rounds: usize, output: &Output) -> Result<()> {
        ensure!(self.reference < self.contenders.len(), "nothing to compare");
        let contenders = &mut self.contenders;
        let runs = rotate(contenders.len(), rounds, |at| (contenders[at].measure)())?;
        let figures = self
            .contenders
            .iter()
            .zip(runs)
            .map(|(c, runs)| Figure { name: c.name.clone(), runs, role: c.role.clone() })
            .collect();
        Report {
            title: self.title,
            unit: self.unit,
            better: self.better,
            reference: self.reference,
            figures,
        }
        .print(output);
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

#[cfg(test)]
mod tests {
    use super::*;

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
                Contender::ours("b", &[Target::Ratio(0, 1.0)], || {
                    order.borrow_mut().push('b');
                    Ok(1.0)
                }),
            ],
        };
        comparison.run(3, &Output::new(true)).unwrap();
        assert_eq!(order.into_inner().into_iter().collect::<String>(), "abbaabba");
    }
}
