//! The server's `hashtext()`, for programs that must choose the same partition as SQL does.
//!
//! Both are Bob Jenkins's hashes over the bytes of the text, with the server's starting values: [`hashtext`] is what
//! `PostgreSQL` 8.4 and later compute on little-endian machines, [`hashtext_old`] what 8.3 and earlier did.

/// Added to the starting value by the server.
const SEED: u32 = 3_923_095;
const GOLDEN: u32 = 0x9e37_79b9;

/// The hash of `PostgreSQL` 8.4 and later.
pub fn hashtext(text: &str) -> i32 {
    let bytes = text.as_bytes();
    let start = GOLDEN.wrapping_add(length(bytes)).wrapping_add(SEED);
    let (mut a, mut b, mut c) = (start, start, start);
    let mut chunks = bytes.chunks_exact(12);
    for chunk in &mut chunks {
        let [x, y, z] = words(chunk);
        (a, b, c) = mix_new(a.wrapping_add(x), b.wrapping_add(y), c.wrapping_add(z));
    }
    // The server keeps the lowest byte of the third word free even here.
    let [x, y, z] = words(chunks.remainder());
    signed(final_new(a.wrapping_add(x), b.wrapping_add(y), c.wrapping_add(z << 8)))
}

/// The hash of `PostgreSQL` 8.3 and earlier.
pub fn hashtext_old(text: &str) -> i32 {
    let bytes = text.as_bytes();
    let (mut a, mut b, mut c) = (GOLDEN, GOLDEN, SEED);
    let mut chunks = bytes.chunks_exact(12);
    for chunk in &mut chunks {
        let [x, y, z] = words(chunk);
        (a, b, c) = mix_old(a.wrapping_add(x), b.wrapping_add(y), c.wrapping_add(z));
    }
    let [x, y, z] = words(chunks.remainder());
    // The lowest byte of the third word holds the length.
    let last = (z << 8).wrapping_add(length(bytes));
    signed(mix_old(a.wrapping_add(x), b.wrapping_add(y), c.wrapping_add(last)).2)
}

/// The length as the hash sees it, modulo 2^32.
fn length(bytes: &[u8]) -> u32 {
    let [a, b, c, d, ..] = bytes.len().to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// Up to twelve bytes as three little-endian words, zero-padded.
fn words(bytes: &[u8]) -> [u32; 3] {
    let mut padded = [0u8; 12];
    padded[..bytes.len()].copy_from_slice(bytes);
    let word = |at: usize| u32::from_le_bytes([padded[at], padded[at + 1], padded[at + 2], padded[at + 3]]);
    [word(0), word(4), word(8)]
}

fn signed(hash: u32) -> i32 {
    i32::from_ne_bytes(hash.to_ne_bytes())
}

fn mix_new(mut a: u32, mut b: u32, mut c: u32) -> (u32, u32, u32) {
    for turns in [[4, 6, 8], [16, 19, 4]] {
        a = a.wrapping_sub(c) ^ c.rotate_left(turns[0]);
        c = c.wrapping_add(b);
        b = b.wrapping_sub(a) ^ a.rotate_left(turns[1]);
        a = a.wrapping_add(c);
        c = c.wrapping_sub(b) ^ b.rotate_left(turns[2]);
        b = b.wrapping_add(a);
    }
    (a, b, c)
}

fn final_new(mut a: u32, mut b: u32, mut c: u32) -> u32 {
    c = (c ^ b).wrapping_sub(b.rotate_left(14));
    a = (a ^ c).wrapping_sub(c.rotate_left(11));
    b = (b ^ a).wrapping_sub(a.rotate_left(25));
    c = (c ^ b).wrapping_sub(b.rotate_left(16));
    a = (a ^ c).wrapping_sub(c.rotate_left(4));
    b = (b ^ a).wrapping_sub(a.rotate_left(14));
    (c ^ b).wrapping_sub(b.rotate_left(24))
}

fn mix_old(mut a: u32, mut b: u32, mut c: u32) -> (u32, u32, u32) {
    for [x, y, z] in [[13, 8, 13], [12, 16, 5], [3, 10, 15]] {
        a = a.wrapping_sub(b).wrapping_sub(c) ^ (c >> x);
        b = b.wrapping_sub(c).wrapping_sub(a) ^ (a << y);
        c = c.wrapping_sub(a).wrapping_sub(b) ^ (b >> z);
    }
    (a, b, c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        let new = [
            ("", -1_477_818_771),
            ("x", 1_074_944_137),
            ("xxxxx", -370_454_118),
            ("xxxxxxxxxxxx", 631_527_812),
        ];
        for (text, hash) in new {
            assert_eq!(hashtext(text), hash, "{text}");
        }
        let old =
            [("", -863_449_762), ("x", 37_835_117), ("xxxxx", 1_422_906_842), ("xxxxxxxxxxxx", -495_599_455)];
        for (text, hash) in old {
            assert_eq!(hashtext_old(text), hash, "{text}");
        }
    }

    #[tokio::test]
    async fn same_as_the_server() {
        let db = testkit::empty_database().await.unwrap();
        let client = db.connect().await.unwrap();
        let sql = "select t, hashtext(t) from (select repeat('aé€😀z', 8) as s) x, \
                   lateral (select substr(s, 1, n) as t from generate_series(0, 40) n) y";
        let rows = client.query(sql, &[]).await.unwrap();
        assert_eq!(rows.len(), 41);
        for row in rows {
            let (text, hash): (&str, i32) = (row.get(0), row.get(1));
            assert_eq!(hashtext(text), hash, "{text}");
        }
    }
}
