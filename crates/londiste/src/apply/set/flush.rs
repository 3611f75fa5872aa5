//! Writing what was folded in memory: deletes, updates and the keys of ghosts by way of the stage, then inserts, straight
//! into the table. Runs beside the reading of further events.

use std::pin::pin;

use bytes::Bytes;
use futures_util::SinkExt;
use skytools::copy::NULL;
use skytools::{Error, Result};
use tokio_postgres::{Client, SimpleQueryMessage, Statement};

use super::Folded;
use super::fold::{self, DELETE, GHOST, INSERT, UPDATE};
use super::net::{Fate, Net, Pieces};
use crate::apply::pipeline::Failure;

/// One flush.
pub struct Flush {
    pub net: Net,
    /// COPY into the stage, and the statements to be run when it is filled.
    pub staged: Option<(Statement, String)>,
    /// COPY straight into the table, for the inserts.
    pub direct: Option<Statement>,
    /// Where each column of the stage finds its value among those of the key.
    pub key_places: Vec<Option<usize>>,
}

impl Flush {
    /// Writes everything; returns how many changes have missed their row.
    pub async fn run(self, client: &Client) -> Result<u64, Failure> {
        let mut found = Folded::default();
        let mut early = 0;
        if let Some((copy, sql)) = &self.staged {
            early = self.stage(client, copy).await?;
            let answer = client.simple_query(sql).await.map_err(|e| Failure::of(e.into()))?;
            for row in &answer {
                if let SimpleQueryMessage::Row(row) = row {
                    found.read(row).map_err(Failure::of)?;
                }
            }
            if found.conflict {
                return Err(Failure::of(Error::data("an insert meets a row that is there already")));
            }
        }
        if let Some(copy) = &self.direct {
            let mut rows = self.net.each().filter(|(fate, ..)| inserts(*fate));
            copy_in(client, copy, |pieces| match rows.next() {
                Some((.., row)) => {
                    pieces.push(row);
                    true
                }
                None => false,
            })
            .await?;
        }
        Ok(early - found.found.min(early))
    }

    async fn stage(&self, client: &Client, copy: &Statement) -> Result<u64, Failure> {
        let mut early_in_all = 0;
        let mut changes = self.net.each();
        copy_in(client, copy, |pieces| {
            let Some((fate, early, key, row)) = changes.next() else { return false };
            let number = |op: u64| u64::from(early) << 2 | op;
            match fate {
                Fate::Update => push_row(pieces, number(UPDATE), row),
                Fate::Delete | Fate::Replace => self.push_key(pieces, number(DELETE), key),
                Fate::Ghost => self.push_key(pieces, GHOST, key),
                Fate::Insert => {}
            }
            if self.direct.is_none() && inserts(fate) {
                push_row(pieces, INSERT, row);
            }
            early_in_all += u64::from(early);
            true
        })
        .await?;
        Ok(early_in_all)
    }

    fn push_key(&self, pieces: &mut Pieces, number: u64, key: &[u8]) {
        pieces.push(number.to_string().as_bytes());
        for place in &self.key_places {
            pieces.push(b"\t");
            // Tabs inside a value are escaped.
            let value = place.and_then(|nth| key.split(|b| *b == b'\t').nth(nth));
            pieces.push(value.unwrap_or(NULL.as_bytes()));
        }
        pieces.push(b"\n");
    }
}

/// Whether a key of this fate ends with a row that is inserted.
pub fn inserts(fate: Fate) -> bool {
    matches!(fate, Fate::Insert | Fate::Replace)
}

fn push_row(pieces: &mut Pieces, number: u64, row: &[u8]) {
    pieces.push(number.to_string().as_bytes());
    pieces.push(b"\t");
    pieces.push(row);
}

/// Runs a COPY; `next` appends lines until it says that there are no more.
async fn copy_in(
    client: &Client,
    copy: &Statement,
    mut next: impl FnMut(&mut Pieces) -> bool,
) -> Result<(), Failure> {
    let begun = client.copy_in::<_, Bytes>(copy).await;
    let mut sink = pin!(begun.map_err(|e| Failure::of_connection(e.into()))?);
    let mut pieces = Pieces::default();
    while next(&mut pieces) {
        if let Some(piece) = pieces.full() {
            sink.send(piece).await.map_err(|e| Failure::of(e.into()))?;
        }
    }
    sink.send(pieces.take()).await.map_err(|e| Failure::of(e.into()))?;
    sink.as_mut().finish().await.map_err(|e| Failure::of(e.into()))?;
    Ok(())
}

/// What runs when the stage is filled with changes of these fates.
pub fn statements(net: &Net, sql: &fold::NetSql) -> String {
    let any = |wanted: fn(Fate) -> bool| net.any(wanted);
    let mut all = vec![fold::settings(true)];
    if any(|f| f == Fate::Ghost) {
        all.push(sql.ghosts.clone());
    }
    if any(|f| matches!(f, Fate::Delete | Fate::Replace)) {
        all.push(sql.delete.clone());
    }
    if any(|f| f == Fate::Update) {
        all.extend(sql.update.clone());
    }
    if sql.direct.is_none() && any(inserts) {
        all.push(sql.insert.clone());
    }
    all.push(fold::settings(false));
    all.join("; ")
}
