//! Histories from their seed, and histories again.

use anyhow::{Context, Result};
use cluster::Cluster;

use crate::dice::Dice;
use crate::generate::Generator;
use crate::refusals;
use crate::setup;
use crate::stage::{Finding, Stage, Wrong};
use crate::step::{Act, Form, Setup, Step};
use crate::world::Effect;

/// Steps between two comparisons.
const STEPS: usize = 100;
/// Comparisons of a history.
const PARTS: usize = 3;

/// What came of it.
#[derive(Debug, Default, Clone, Copy)]
pub struct Played {
    pub steps: usize,
    pub succeeded: usize,
    pub replayed: usize,
    pub batches: usize,
    /// Steps that had to wait for another session.
    pub waited: usize,
}

/// Which fault of capture an error is, if it is one.
pub fn wrong(error: &anyhow::Error) -> Option<Wrong> {
    error.chain().find_map(|e| e.downcast_ref::<Finding>()).map(|f| f.wrong)
}

/// A history as its seed has it. What has been done stands in `steps` also when it fails.
pub async fn play(
    cluster: &Cluster,
    seed: u64,
    form: Form,
    steps: &mut Vec<Step>,
    made: &mut Option<Setup>,
    money: &[&str],
) -> Result<Played> {
    let mut dice = Dice::new(seed);
    let (setup, world) = setup::setup(seed, &mut dice, form, money);
    *made = Some(setup.clone());
    let mut generator = Generator::new(dice, world, form, cluster.installation().major() >= 15);
    let mut stage = Stage::set(cluster, &setup).await?;
    let mut effects: Vec<Option<Effect>> = vec![None; setup.sessions.len() + 1];
    let mut played = Played::default();
    for _ in 0..PARTS {
        let mut left = STEPS;
        while let Some((step, effect)) = generator.next(&stage.busy(), left == 0) {
            left = left.saturating_sub(1);
            played.steps += 1;
            let session = step.session;
            effects[session] = Some(effect);
            steps.push(step.clone());
            let ended = stage.take(&step).await?;
            played.waited += usize::from(stage.busy()[session]);
            if !matches!(step.act, Act::Sql(_) | Act::Copy { .. }) {
                played.succeeded += 1;
                continue;
            }
            for (nr, outcome) in ended {
                let effect = effects[nr].take().context("a session ended a step that it never began")?;
                generator.world.ended(nr, effect, outcome.is_ok());
                match outcome {
                    Ok(()) => played.succeeded += 1,
                    Err(failure) => refusals::judge(form, &setup.source, steps, nr, &failure)?,
                }
            }
        }
        let compare = Step { session: setup.sessions.len(), act: Act::Compare };
        steps.push(compare.clone());
        stage.take(&compare).await?;
    }
    played.replayed = stage.replayed;
    played.batches = stage.batches;
    Ok(played)
}

/// The same steps once more, as far as they can be taken.
pub async fn again(cluster: &Cluster, setup: &Setup, steps: &[Step]) -> Result<()> {
    let mut stage = Stage::set(cluster, setup).await?;
    for (at, step) in steps.iter().enumerate() {
        if matches!(step.act, Act::Compare) {
            stage.close().await?;
        } else if stage.busy()[step.session] {
            continue;
        }
        for (nr, outcome) in stage.take(step).await? {
            if let Err(failure) = outcome {
                refusals::judge(setup.form, &setup.source, &steps[..=at], nr, &failure)?;
            }
        }
    }
    Ok(())
}
