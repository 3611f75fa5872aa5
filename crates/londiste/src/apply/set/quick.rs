//! Folding an event without taking it apart first: one pass from its url-encoded row to a line of COPY. No I/O.
//!
//! Nearly all events of a backlog look the same: the columns of the layout in its order, the key of the table. They are
//! recognised here byte by byte. Whatever looks different in any way, errors included, is left to the decoder of events,
//! so that there is one place only which judges it.

use pgq::change::Op;
use skytools::{copy, urlenc};

use super::accept::Rules;
use super::decide::Facts;
use super::layout::Layout;
use super::state::writes;
use crate::apply::target::TableShape;

/// What events look like that are taken in quickly.
#[derive(Debug, Clone)]
pub struct Quick {
    /// What follows `U:` and `D:` in their type.
    key_names: Box<[u8]>,
    /// The columns as the data names them.
    names: Box<[Box<[u8]>]>,
    /// Where the columns of the key are among them, in the key's order.
    key: Box<[usize]>,
    /// Whether an update writes anything.
    updates: bool,
}

/// One event, ready to be folded. Kept from one to the next for its memory.
#[derive(Debug, Default)]
pub struct Line {
    /// The values of the key, as in the row.
    pub key: Vec<u8>,
    /// A line of COPY with its line feed.
    pub row: Vec<u8>,
    /// Where the values are in the row.
    values: Vec<(usize, usize)>,
}

impl Quick {
    /// For events of this layout; `None` if they have to be taken apart.
    pub fn new(layout: &Layout, shape: &TableShape, facts: &Facts) -> Option<Self> {
        // The names are separated by commas and stand for themselves.
        if facts.key().iter().any(|name| name.contains(',')) || !layout.is_staged_whole() {
            return None;
        }
        Some(Quick {
            key_names: facts.key().join(",").into_bytes().into(),
            names: layout.names().map(|name| urlenc::encode(name).into_bytes().into()).collect(),
            key: layout.key().into(),
            updates: layout.names().any(|name| writes(name, shape, facts)),
        })
    }

    /// The operation of an event with this type.
    pub fn op(&self, ev_type: &[u8]) -> Option<Op> {
        match ev_type {
            // The key of an insert is in its row.
            [b'I', b':', ..] => Some(Op::Insert),
            [b'U', b':', names @ ..] if *names == *self.key_names && self.updates => Some(Op::Update),
            [b'D', b':', names @ ..] if *names == *self.key_names => Some(Op::Delete),
            _ => None,
        }
    }

    /// Makes the line of an event with this data, which is UTF-8; false if it has to be taken apart.
    pub fn encode(&self, data: &[u8], rules: &Rules, line: &mut Line) -> bool {
        let Line { key, row, values } = line;
        key.clear();
        row.clear();
        values.clear();
        let mut rest = data;
        let mut high = false;
        for (nth, name) in self.names.iter().enumerate() {
            if nth > 0 {
                let [b'&', after @ ..] = rest else { return false };
                rest = after;
                row.push(b'\t');
            }
            let Some(after) = rest.strip_prefix(&**name) else { return false };
            let start = row.len();
            rest = match after {
                [b'=', value @ ..] => {
                    let Some(after) = decode(value, row, &mut high) else { return false };
                    after
                }
                [] | [b'&', ..] => {
                    row.extend_from_slice(copy::NULL.as_bytes());
                    after
                }
                _ => return false,
            };
            values.push((start, row.len()));
        }
        row.push(b'\n');
        // Data that is UTF-8 stays so unless bytes were put together.
        if !rest.is_empty() || (high && std::str::from_utf8(row).is_err()) {
            return false;
        }
        for (nth, &place) in self.key.iter().enumerate() {
            let (start, end) = values[place];
            let value = &row[start..end];
            // With an escape, NULL among them, it is not the value itself.
            if value.contains(&b'\\') || !rules.is_canonical(nth, value) {
                return false;
            }
            if nth > 0 {
                key.push(b'\t');
            }
            key.extend_from_slice(value);
        }
        true
    }
}

/// Whether a byte stands for itself both in the encoded value and in a line of COPY.
const PLAIN: [bool; 256] = {
    let mut plain = [true; 256];
    let special = b"&+%\\\t\n\r";
    let mut at = 0;
    while at < special.len() {
        plain[special[at] as usize] = false;
        at += 1;
    }
    plain
};

/// Appends a value, decoded and with the escapes of COPY; returns what follows it, or `None` if it is malformed. `high`
/// becomes true if bytes beyond ASCII were decoded.
fn decode<'a>(data: &'a [u8], out: &mut Vec<u8>, high: &mut bool) -> Option<&'a [u8]> {
    let mut rest = data;
    loop {
        let run = rest.iter().position(|&b| !PLAIN[usize::from(b)]).unwrap_or(rest.len());
        let (plain, after) = rest.split_at(run);
        out.extend_from_slice(plain);
        let byte = match *after {
            [] | [b'&', ..] => return Some(after),
            [b'+', ref next @ ..] => {
                rest = next;
                b' '
            }
            [b'%', tens, ones, ref next @ ..] => {
                rest = next;
                urlenc::hex(tens)? << 4 | urlenc::hex(ones)?
            }
            [b'%', ..] => return None,
            [byte, ref next @ ..] => {
                rest = next;
                byte
            }
        };
        *high |= !byte.is_ascii();
        match copy::escape(byte) {
            Some(escaped) => out.extend_from_slice(escaped.as_bytes()),
            None => out.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use pgq::{Event, NewEvent, change};
    use proptest::prelude::*;
    use tokio_postgres::types::Type;

    use super::super::decide::ColumnFacts;
    use super::super::decide::tests::facts;
    use super::*;
    use crate::apply::target::tests::column;

    const NAMES: [&str; 3] = ["id", "a&b", "k"];

    /// A table with a key of two columns, given in another order than the table's.
    fn table() -> (TableShape, Facts) {
        let mut columns = NAMES.map(|name| column(name, "text"));
        columns[0].type_oid = Type::INT4.oid();
        columns[1].type_oid = Type::TEXT.oid();
        columns[2].type_oid = Type::TEXT.oid();
        let key = ["k", "id"].map(str::to_owned).to_vec();
        let shape = TableShape::from_parts("public.t", 1, false, columns.to_vec(), key.clone());
        let mut facts = facts();
        facts.any_character = true;
        facts.columns =
            NAMES.map(|name| ColumnFacts { name: name.to_owned(), ..Default::default() }).to_vec();
        facts.unique[0].columns = key;
        (shape, facts)
    }

    struct Both {
        layout: Layout,
        rules: Rules,
        quick: Quick,
    }

    fn both() -> Both {
        let (shape, facts) = table();
        let event = Event::synthetic(1, 1, &NewEvent::new("I:k,id", "id=1&a%26b=2&k=3").extra1("public.t"));
        let layout = Layout::of(&change::decode(&event).unwrap().unwrap(), &shape, &facts).unwrap();
        let rules = Rules::new(&shape, &facts, &layout.staged_names()).unwrap();
        let quick = Quick::new(&layout, &shape, &facts).unwrap();
        Both { layout, rules, quick }
    }

    /// Key and row by way of the decoder; `None` if it is an error, of another form, or the key has several spellings.
    fn apart(both: &Both, ev_type: &str, data: &str) -> Option<(String, String)> {
        let event = Event::synthetic(1, 1, &NewEvent::new(ev_type, data).extra1("public.t"));
        let change = change::decode(&event).ok()??;
        let (mut key, mut row) = (String::new(), String::new());
        if !both.layout.fits(&change) || !both.layout.encode_key(&change, &both.rules, &mut key) {
            return None;
        }
        both.layout.encode_row(&change, &mut row);
        Some((key, row))
    }

    fn quickly(both: &Both, ev_type: &str, data: &str) -> Option<(String, String)> {
        let mut line = Line::default();
        both.quick.op(ev_type.as_bytes())?;
        let done = both.quick.encode(data.as_bytes(), &both.rules, &mut line);
        done.then(|| (String::from_utf8(line.key).unwrap(), String::from_utf8(line.row).unwrap()))
    }

    #[test]
    fn plain_events_are_taken_in_quickly() {
        let both = both();
        for (data, key, row) in [
            ("id=7&a%26b=x+y%0a%5c%09&k=a+b", "a b\t7", "7\tx y\\n\\\\\\t\ta b\n"),
            ("id=-1&a%26b&k=", "\t-1", "-1\t\\N\t\n"),
            ("id=0&a%26b=a=b%3d&k=%c3%a9", "é\t0", "0\ta=b=\té\n"),
        ] {
            for ev_type in ["I:whatever", "U:k,id", "D:k,id"] {
                let found = quickly(&both, ev_type, data);
                assert_eq!(found, Some((key.to_owned(), row.to_owned())), "{ev_type} {data}");
            }
            assert_eq!(apart(&both, "U:k,id", data), quickly(&both, "U:k,id", data));
        }
    }

    #[test]
    fn everything_else_is_left_to_the_decoder() {
        let both = both();
        for data in [
            "",
            "id=7",
            "id=7&k=1&a%26b=2",
            "id=7&a%26b=2&k=1&",
            "id=7&a%26b=2&k=1&more=2",
            "&id=7&a%26b=2&k=1",
            "id=7&a%26b=%&k=1",
            "id=7&a%26b=%4&k=1",
            "id=7&a%26b=%zz&k=1",
            "id=7&a%26b=%ff&k=1",
            "id=7&a%26b=%c3&k=%a9",
            "id=7&a%26bb=2&k=1",
            "id=07&a%26b=2&k=1",
            "id&a%26b=2&k=1",
            "id=7&a%26b=2&k",
            "id=7&a%26b=2&k=%09",
            "id=7&a%26b=2&k=%5cN",
            "id=7&a%26b=2&k=%00",
        ] {
            assert_eq!(quickly(&both, "U:k,id", data), None, "{data}");
        }
        for ev_type in ["U:id,k", "U:k", "D:", "U", "R", "X:k,id", ""] {
            assert_eq!(both.quick.op(ev_type.as_bytes()), None, "{ev_type}");
        }
    }

    #[test]
    fn generated_columns_and_odd_names_are_left_to_the_decoder() {
        let (shape, mut facts) = table();
        let both = both();
        facts.unique[0].columns = vec!["k,id".to_owned()];
        assert!(Quick::new(&both.layout, &shape, &facts).is_none());
        let (mut columns, facts) = (shape.columns.clone(), table().1);
        columns[1].generated = true;
        let shape = TableShape::from_parts("public.t", 1, false, columns, shape.key);
        let event = Event::synthetic(1, 1, &NewEvent::new("I:k,id", "id=1&a%26b=2&k=3").extra1("public.t"));
        let layout = Layout::of(&change::decode(&event).unwrap().unwrap(), &shape, &facts).unwrap();
        assert!(Quick::new(&layout, &shape, &facts).is_none());
    }

    proptest! {
        #[test]
        fn what_is_taken_in_quickly_is_what_the_decoder_finds(
            data in r"(&?(id|a%26b|k|a)(=(%[0-9a-fA-F]{1,2}|[0-9]|%c3%a9|[a+=\t\\é]|){0,4})?){0,4}"
        ) {
            let both = both();
            if let Some(found) = quickly(&both, "U:k,id", &data) {
                prop_assert_eq!(Some(found), apart(&both, "U:k,id", &data));
            }
        }

        #[test]
        fn every_row_as_it_is_captured_is_taken_in_quickly(
            id in any::<i32>(), a in proptest::option::of("[^\0]*"), k in "[^\0\t\n\r\\\\]*"
        ) {
            let both = both();
            let id = id.to_string();
            let row = [("id", Some(id.as_str())), ("a&b", a.as_deref()), ("k", Some(k.as_str()))];
            let data = urlenc::encode_row(row);
            let found = quickly(&both, "D:k,id", &data);
            prop_assert!(found.is_some());
            prop_assert_eq!(found, apart(&both, "D:k,id", &data));
        }
    }
}
