//! Values of columns, by their names.

use crate::dice::Dice;
use crate::history::Mood;

/// A value as the provider might write it. One that is not wrong is taken by every table that has a column of that name.
pub fn value(dice: &mut Dice, column: &str, mood: Mood) -> Option<String> {
    // The columns that a table gets on the way: `xv` is NOT NULL.
    let mandatory = matches!(column, "n") || column.starts_with("xv");
    if dice.one_in(8) && !mandatory || mood.wrong && dice.one_in(400) {
        return None;
    }
    let wrong = |dice: &mut Dice| mood.wrong && dice.one_in(500);
    Some(match column {
        "n" => match dice.roll(300) {
            0 if mood.wrong => "3".to_owned(),
            1 if mood.wrong => "no number".to_owned(),
            other if mood.wrong => (other + 10).to_string(),
            other => (other + 50).to_string(),
        },
        "amount" => format!("{}.{}", dice.roll(990), dice.roll(1000)),
        "at" => format!("2024-02-{:02} 10:00:00+0{}", dice.roll(28) + 1, dice.roll(9)),
        "c" => (*dice.pick(&["", "a", "ab ", "abc"])).to_owned(),
        "d" if wrong(dice) => "2024-02-30".to_owned(),
        "d" => match dice.roll(100) {
            0 => "infinity".to_owned(),
            day => format!("2024-02-{:02}", day % 28 + 1),
        },
        "f" => (*dice.pick(&["1.5", "-7", "1e10", "NaN", "0.25", "12"])).to_owned(),
        "v" if wrong(dice) => "far too long".to_owned(),
        "v" => match dice.roll(500) {
            0 => "blanks                ".to_owned(),
            n => format!("v {n}"),
        },
        "j" if wrong(dice) => "{no json".to_owned(),
        "j" => format!("{{\"a\": {}}}", dice.roll(500)),
        "i" => (*dice.pick(&["5", "03:30:00", "2 days"])).to_owned(),
        "m" => (*dice.pick(&["sad", "ok", "it's \"fine\""])).to_owned(),
        "ma" => (*dice.pick(&["{}", "{sad,NULL}", "{ok,ok}"])).to_owned(),
        _ if column.starts_with("xi") => dice.roll(1000).to_string(),
        _ if column.starts_with("xv") => format!("e {}", dice.roll(100)),
        _ => match dice.roll(60) {
            0 if mood.awkward => "x".repeat(dice.index(9000) + 1000),
            1 => "a\tb\\N\nc\r\u{e9}%&=+ '\"".to_owned(),
            2 => String::new(),
            _ => format!("text {}", dice.roll(1000)),
        },
    })
}
