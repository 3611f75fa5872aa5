//! A change of a row as the triggers write it.

use pgq::{Event, NewEvent};
use skytools::urlenc;

use crate::templates::{Form, Template};

/// Names and values.
pub type Row = Vec<(String, Option<String>)>;

fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The event of a change; `row` begins with the key. A partial update is of the column `partly`.
pub fn event(id: i64, template: &Template, op: char, row: &Row, partly: usize) -> Event {
    let (ev_type, data) = match template.form {
        Form::Urlenc => (
            format!("{op}:{}", template.key.join(",")),
            urlenc::encode_row(row.iter().map(|(n, v)| (n, v.as_ref()))),
        ),
        Form::Json => as_json(template, op, row),
        Form::Sql => (op.to_string(), as_sql(template, op, row, partly)),
    };
    Event::synthetic(id, 1, &NewEvent::new(ev_type, data).extra1("x.y"))
}

fn as_json(template: &Template, op: char, row: &Row) -> (String, String) {
    let word = match op {
        'I' => "INSERT",
        'U' => "UPDATE",
        _ => "DELETE",
    };
    let keys: Vec<String> = template.key.iter().map(|k| json(k)).collect();
    let members: Vec<String> = row
        .iter()
        .map(|(n, v)| format!("{}: {}", json(n), v.as_ref().map_or("null".to_owned(), |v| json(v))))
        .collect();
    (
        format!("{{\"op\":\"{word}\",\"table\":[\"x\",\"y\"],\"pkey\":[{}]}}", keys.join(",")),
        format!("{{{}}}", members.join(", ")),
    )
}

fn as_sql(template: &Template, op: char, row: &Row, partly: usize) -> String {
    let quoted = |v: &Option<String>| match v {
        Some(text) => format!("'{}'", text.replace('\'', "''")),
        None => "null".to_owned(),
    };
    let name = |n: &str| format!("\"{n}\"");
    let (key, others) = row.split_at(template.key.len());
    let wheres: Vec<String> = key.iter().map(|(k, v)| format!("{}={}", name(k), quoted(v))).collect();
    let wheres = wheres.join(" and ");
    match op {
        'I' => {
            let names: Vec<String> = row.iter().map(|(n, _)| name(n)).collect();
            let values: Vec<String> = row.iter().map(|(_, v)| quoted(v)).collect();
            format!("({}) values ({})", names.join(","), values.join(","))
        }
        'U' => {
            let (n, v) = &others[partly % others.len()];
            format!("{}={} where {wheres}", name(n), quoted(v))
        }
        _ => wheres,
    }
}
