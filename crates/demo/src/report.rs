//! The self-contained HTML report: verdict table, lag and throughput over time as inline SVG.

use std::fmt::Write as _;

use crate::sample::{Sample, rate};
use crate::verdict::Verdict;

/// Facts of the run that head the report.
#[derive(Debug, Clone)]
pub struct Heading {
    /// `PostgreSQL 15.20` and the like, source then target.
    pub servers: (String, String),
    /// Seconds of load.
    pub seconds: u64,
    /// pgbench scale and clients.
    pub load: (u32, u32),
    /// Transactions per second as pgbench printed it.
    pub tps: Option<f64>,
    /// Seconds from the start of the load until every table was in state `ok`.
    pub copied_after: f64,
    /// Seconds from the end of the load until the target had everything.
    pub caught_up_after: f64,
}

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 64.0;
const BOTTOM: f64 = 28.0;
const TOP: f64 = 12.0;

/// One line of a plot.
struct Line<'a> {
    label: &'a str,
    class: &'a str,
    points: Vec<(f64, f64)>,
}

/// Renders the whole page. It refers to nothing outside itself.
pub fn render(heading: &Heading, samples: &[Sample], verdicts: &[Verdict]) -> String {
    let identical = verdicts.iter().all(Verdict::identical);
    let mut page = String::with_capacity(64 * 1024);
    page.push_str(include_str!("report_head.html"));
    let (word, class) = if identical { ("identical", "good") } else { ("different", "bad") };
    let _ = write!(
        page,
        "<h1>SkyTools demonstration: <span class=\"{class}\">{word}</span></h1>\n<p>{} → {} · pgbench scale {}, {} clients for {} s{} · \
         all tables copied {:.1} s after the load began · caught up {:.1} s after it ended</p>\n",
        escape(&heading.servers.0),
        escape(&heading.servers.1),
        heading.load.0,
        heading.load.1,
        heading.seconds,
        heading.tps.map(|tps| format!(", {tps:.0} transactions/s")).unwrap_or_default(),
        heading.copied_after,
        heading.caught_up_after,
    );
    page.push_str(&verdict_table(verdicts));
    let right = samples.last().map_or(1.0, |s| s.at.max(1.0));
    page.push_str("<h2>Throughput, events per second</h2>\n");
    page.push_str(&plot(
        &[
            Line { label: "written", class: "written", points: rates(samples, |s| s.written) },
            Line { label: "replayed", class: "replayed", points: rates(samples, |s| s.replayed) },
        ],
        right,
    ));
    page.push_str("<h2>Lag, seconds</h2>\n");
    page.push_str(&plot(
        &[Line { label: "lag", class: "lag", points: samples.iter().map(|s| (s.at, s.lag)).collect() }],
        right,
    ));
    page.push_str("</main></body></html>\n");
    page
}

fn verdict_table(verdicts: &[Verdict]) -> String {
    let mut out = String::from(
        "<table><thead><tr><th>table</th><th class=num>rows, source</th><th class=num>rows, target</th>\
         <th class=num>checksum, source</th><th class=num>checksum, target</th><th>verdict</th></tr></thead><tbody>\n",
    );
    for v in verdicts {
        let (word, class) = if v.identical() { ("identical", "good") } else { ("DIFFERENT", "bad") };
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td class=num>{}</td><td class=num>{}</td><td class=num>{}</td><td class=num>{}</td><td class=\"{class} word\">{word}</td></tr>",
            escape(&v.table),
            v.source.rows,
            v.target.rows,
            escape(&v.source.checksum),
            escape(&v.target.checksum)
        );
    }
    out.push_str("</tbody></table>\n");
    out
}

/// Rates over windows of at least half a second, so that single samples do not make needles.
fn rates(samples: &[Sample], value: impl Fn(&Sample) -> i64) -> Vec<(f64, f64)> {
    let mut points = Vec::new();
    let mut from = 0;
    for (i, sample) in samples.iter().enumerate() {
        let seconds = sample.at - samples[from].at;
        if seconds >= 0.5 {
            points.push((sample.at, rate(value(&samples[from]), value(sample), seconds)));
            from = i;
        }
    }
    points
}

/// The next 1, 2 or 5 times a power of ten at or above `value`.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let power = 10f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0].iter().map(|m| m * power).find(|top| *top >= value).unwrap_or(10.0 * power)
}

fn plot(lines: &[Line<'_>], right: f64) -> String {
    let all = || lines.iter().flat_map(|l| l.points.iter());
    let top = round_up(all().map(|p| p.1).fold(0.0, f64::max));
    let x = |t: f64| LEFT + t / right * (WIDTH - LEFT - 8.0);
    let y = |v: f64| TOP + (1.0 - v / top) * (HEIGHT - TOP - BOTTOM);
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">\n");
    for step in 0..=4 {
        let value = top * f64::from(step) / 4.0;
        let _ = writeln!(
            svg,
            "<line class=grid x1={LEFT} x2={WIDTH} y1={0:.1} y2={0:.1} /><text class=axis x={1} y={2:.1} text-anchor=end>{3}</text>",
            y(value),
            LEFT - 6.0,
            y(value) + 4.0,
            number(value)
        );
    }
    for step in 0..=5 {
        let at = right * f64::from(step) / 5.0;
        let _ = writeln!(
            svg,
            "<text class=axis x={:.1} y={} text-anchor=middle>{at:.0} s</text>",
            x(at).min(WIDTH - 14.0),
            HEIGHT - 8.0
        );
    }
    for (i, line) in lines.iter().enumerate() {
        let path: Vec<String> =
            line.points.iter().map(|(t, v)| format!("{:.1},{:.1}", x(*t), y(*v))).collect();
        let _ = writeln!(svg, "<polyline class={} points=\"{}\" />", line.class, path.join(" "));
        #[expect(clippy::cast_precision_loss, reason = "two or three legend entries")]
        let offset = LEFT + 12.0 + 110.0 * i as f64;
        let _ = writeln!(
            svg,
            "<line class={0} x1={offset} x2={1} y1=20 y2=20 /><text class=axis x={2} y=24>{3}</text>",
            line.class,
            offset + 22.0,
            offset + 28.0,
            line.label
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn number(value: f64) -> String {
    if value >= 1000.0 {
        format!("{:.1}k", value / 1000.0)
    } else if value >= 10.0 || value == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}

/// Text for HTML: names of tables may hold anything.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Side;

    fn side(rows: i64, checksum: &str) -> Side {
        Side { rows, checksum: checksum.to_owned() }
    }

    fn heading() -> Heading {
        Heading {
            servers: ("PostgreSQL 15".into(), "PostgreSQL <16>".into()),
            seconds: 20,
            load: (10, 4),
            tps: Some(1234.5),
            copied_after: 3.0,
            caught_up_after: 0.5,
        }
    }

    #[test]
    fn page_is_self_contained_and_names_the_verdict() {
        let samples: Vec<Sample> = (0..40)
            .map(|i| Sample {
                at: f64::from(i) * 0.25,
                written: i64::from(i) * 100,
                replayed: i64::from(i) * 90,
                lag: 0.2,
            })
            .collect();
        let verdicts =
            [Verdict { table: "public.<b>\"x\"".into(), source: side(2, "7"), target: side(2, "7") }];
        let page = render(&heading(), &samples, &verdicts);
        assert!(page.contains("class=\"good\">identical<"));
        assert!(page.contains("public.&lt;b&gt;&quot;x&quot;"));
        assert!(page.contains("PostgreSQL &lt;16&gt;"));
        assert_eq!(page.matches("<polyline").count(), 3);
        assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("src="));
    }

    #[test]
    fn one_different_table_makes_the_whole_different() {
        let verdicts = [
            Verdict { table: "a".into(), source: side(2, "7"), target: side(2, "7") },
            Verdict { table: "b".into(), source: side(2, "7"), target: side(2, "8") },
        ];
        let page = render(&heading(), &[], &verdicts);
        assert!(page.contains("class=\"bad\">different<"));
        assert!(page.contains("DIFFERENT"));
    }

    #[test]
    fn axis_tops_are_round() {
        for (value, top) in [(0.0, 1.0), (0.3, 0.5), (1.0, 1.0), (3.0, 5.0), (7200.0, 10_000.0)] {
            assert!((round_up(value) - top).abs() < 1e-9, "{value}");
        }
    }
}
