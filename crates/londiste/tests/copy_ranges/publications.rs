//! Where all tables of both nodes are published, PostgreSQL refuses to update or delete rows of tables without a replica identity.

use anyhow::Result;

use crate::fixture::{Fixture, THREE, write_some};

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_published_nodes_is_killed_and_goes_on() -> Result<()> {
    let f = Fixture::new().await?;
    f.pair.both("create publication everything for all tables").await?;
    f.interrupt().await?;
    // What was loaded is not what there is now: the end of the copy puts it right.
    write_some(&f.pair.on_root, 1).await?;
    f.resume(THREE).await?;
    f.assert_once().await?;
    f.londiste(&["resync", "public.t"]).await?;
    let worker = f.worker(THREE)?;
    write_some(&f.pair.on_root, 2).await?;
    f.until_equal().await?;
    worker.stop().await?;
    f.londiste(&["remove-table", "public.t"]).await.map(drop)
}
