//! `add-seq`, `remove-seq`.

use anyhow::Result;

use crate::nodes::pair;

#[tokio::test]
async fn sequences_come_and_go() -> Result<()> {
    let (root, leaf) = pair().await?;
    root.sql("create sequence s; select nextval('s'); create schema x; create sequence x.odd as int increment 2 start 7 maxvalue 1000000 cycle")?;
    let before = root.traces()?;
    root.run(&["add-seq", "nosuch"]).await?.fails(1, &["public.nosuch", "missing"]);
    root.run(&["add-seq"]).await?.fails(1, &["No names"]);
    assert_eq!(before, root.traces()?);
    let before = leaf.traces()?;
    leaf.run(&["add-seq", "s"]).await?.fails(1, &["public.s", "node \"n1\" first"]);
    assert_eq!(before, leaf.traces()?);
    root.run(&["add-seq", "--all"]).await?.says(&["Sequence added: public.s", "Sequence added: x.odd"]);
    root.run(&["add-seq", "s"]).await?.says(&["public.s already processed"]);
    leaf.run(&["add-seq", "s"]).await?.fails(1, &["'public.s' missing on local node", "--create"]);
    assert_eq!(before, leaf.traces()?);
    leaf.run(&["add-seq", "s", "--skip-non-existing"]).await?.says(&["missing on local node, skipping"]);
    leaf.run(&["add-seq", "*.*", "--create"])
        .await?
        .says(&["Sequence added: public.s", "Sequence added: x.odd"]);
    assert_eq!(
        leaf.sql("select seqtypid::regtype || ' ' || seqincrement || ' ' || seqmax || ' ' || seqcycle from pg_sequence where seqrelid = 'x.odd'::regclass")?,
        "integer 2 1000000 true"
    );
    // The published value is ahead of the root's, and the leaf's sequence stands there.
    assert_eq!(leaf.sql("select last_value from s")?, "30001");
    leaf.run(&["remove-seq", "nosuch"]).await?.fails(1, &["public.nosuch", "seqs"]);
    leaf.run(&["remove-seq", "s"]).await?.ok();
    assert_eq!(
        leaf.sql("select string_agg(seq_name || local, ' ' order by seq_name) from londiste.seq_info")?,
        "public.sfalse x.oddtrue"
    );
    root.run(&["remove-seq", "--all"]).await?.ok();
    assert_eq!(root.sql("select count(*) from londiste.seq_info")?, "0");
    Ok(())
}
