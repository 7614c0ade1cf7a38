//! Medians of rounds, and the table that sets ours beside the peer's. What it is not: it starts nothing and reads no
//! file; its input is the JSON objects that the programs printed. Start at [`Rounds`] and [`render`].

use serde_json::{Map, Value};

/// What one program printed, round by round.
pub(crate) struct Rounds {
    pub(crate) name: String,
    pub(crate) results: Vec<Map<String, Value>>,
}

/// One row of the table.
struct Measure {
    /// In the JSON objects.
    key: &'static str,
    label: &'static str,
    /// What a figure is divided by to be in the label's unit.
    unit: f64,
    better: &'static str,
}

const MEASURES: [Measure; 6] = [
    Measure { key: "load_s", label: "load, s", unit: 1.0, better: "lower" },
    Measure { key: "prefill_512_tok_s", label: "prefill of 512, tok/s", unit: 1.0, better: "higher" },
    Measure { key: "prefill_2048_tok_s", label: "prefill of 2,048, tok/s", unit: 1.0, better: "higher" },
    Measure { key: "decode_tok_s", label: "decode, tok/s", unit: 1.0, better: "higher" },
    Measure { key: "decode_4k_tok_s", label: "decode at 4,000, tok/s", unit: 1.0, better: "higher" },
    Measure { key: "resident_bytes", label: "resident memory, GiB", unit: 1_073_741_824.0, better: "lower" },
];

/// The figures of all rounds: their median, and the two farthest apart.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Spread {
    median: f64,
    low: f64,
    high: f64,
}

impl Spread {
    fn of(mut figures: Vec<f64>) -> Option<Self> {
        figures.sort_by(f64::total_cmp);
        let (&low, &high) = (figures.first()?, figures.last()?);
        let middle = figures.len() / 2;
        let median = match figures.len() % 2 {
            1 => figures[middle],
            _ => (figures[middle - 1] + figures[middle]) / 2.0,
        };
        Some(Self { median, low, high })
    }

    fn shown(self, unit: f64) -> String {
        let [median, low, high] = [self.median, self.low, self.high].map(|figure| three_digits(figure / unit));
        format!("{median} ({low} to {high})")
    }
}

impl Rounds {
    /// Of those rounds that have the figure.
    fn spread(&self, key: &str) -> Option<Spread> {
        Spread::of(self.figures(key).collect())
    }

    fn figures(&self, key: &str) -> impl Iterator<Item = f64> {
        self.results.iter().filter_map(move |result| figure(result, key))
    }

    /// What decode could reach if it did nothing but read its weights, in tokens a second, by its own reckoning.
    fn decode_limit(&self) -> Option<f64> {
        let limits = self
            .results
            .iter()
            .filter_map(|result| Some(figure(result, "decode_tok_s")? / figure(result, "decode_fraction_of_limit")?));
        Some(Spread::of(limits.collect())?.median)
    }
}

/// A figure of zero, or none at all, is one that was not measured.
fn figure(result: &Map<String, Value>, key: &str) -> Option<f64> {
    result.get(key)?.as_f64().filter(|figure| figure.is_finite() && *figure > 0.0)
}

/// Three digits that count; the figure is above zero.
fn three_digits(figure: f64) -> String {
    let n_decimals = (2.0 - figure.log10().floor()).clamp(0.0, 6.0) as usize;
    format!("{figure:.n_decimals$}")
}

/// A line for each measure: our figures, and each peer's with the ratio of the medians.
pub(crate) fn render(ours: Option<&Rounds>, peers: &[Rounds]) -> String {
    let mut header = vec![String::new()];
    header.extend(ours.map(|ours| ours.name.clone()));
    for peer in peers {
        header.push(peer.name.clone());
        header.extend(ours.map(|ours| format!("{}/{}", ours.name, peer.name)));
    }
    header.push("better".into());
    let mut rows = vec![header];
    rows.extend(MEASURES.iter().filter_map(|measure| row(measure, ours, peers)));
    let mut text = aligned(&rows);
    if let Some((ours, limit)) = ours.and_then(|ours| Some((ours, ours.decode_limit()?))) {
        text += &limit_line(limit, ours, peers);
    }
    text
}

/// `None` where nobody measured it.
fn row(measure: &Measure, ours: Option<&Rounds>, peers: &[Rounds]) -> Option<Vec<String>> {
    let spread = |rounds: &Rounds| rounds.spread(measure.key);
    let shown = |spread: Option<Spread>| spread.map_or("-".into(), |spread| spread.shown(measure.unit));
    if ours.into_iter().chain(peers).all(|rounds| spread(rounds).is_none()) {
        return None;
    }
    let mut cells = vec![measure.label.to_owned()];
    cells.extend(ours.map(|ours| shown(spread(ours))));
    for peer in peers {
        let theirs = spread(peer);
        cells.push(shown(theirs));
        cells.extend(ours.map(|ours| match (spread(ours), theirs) {
            (Some(ours), Some(theirs)) => three_digits(ours.median / theirs.median),
            _ => "-".into(),
        }));
    }
    cells.push(measure.better.into());
    Some(cells)
}

/// Both read the same bytes for a token, so the limit that ours reckons holds for the peer.
fn limit_line(limit: f64, ours: &Rounds, peers: &[Rounds]) -> String {
    let bandwidth = ours.spread("bandwidth_gb_s").map_or("?".into(), |spread| spread.shown(1.0));
    let reached = std::iter::once(ours).chain(peers).filter_map(|rounds| {
        let decode = rounds.spread("decode_tok_s")?.median;
        Some(format!("{} {:.0} %", rounds.name, 100.0 * decode / limit))
    });
    let reached: Vec<String> = reached.collect();
    let limit = three_digits(limit);
    format!("Memory reads {bandwidth} GB/s, so decode ends at {limit} tok/s: {}\n", reached.join(", "))
}

fn aligned(rows: &[Vec<String>]) -> String {
    let n_columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..n_columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text += cells.join("  ").trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rounds(name: &str, results: &[Value]) -> Rounds {
        Rounds {
            name: name.into(),
            results: results.iter().map(|result| result.as_object().unwrap().clone()).collect(),
        }
    }

    #[test]
    fn a_median_is_the_middle_whatever_the_order() {
        for (figures, expected) in [
            (vec![], None),
            (vec![2.0], Some((2.0, 2.0, 2.0))),
            (vec![9.0, 1.0, 2.0], Some((2.0, 1.0, 9.0))),
            (vec![4.0, 1.0, 3.0, 2.0], Some((2.5, 1.0, 4.0))),
        ] {
            let spread = Spread::of(figures.clone()).map(|spread| (spread.median, spread.low, spread.high));
            assert_eq!(spread, expected, "{figures:?}");
        }
    }

    #[test]
    fn the_table_sets_both_figures_and_their_ratio_in_one_line() {
        let ours = [
            json!({"load_s": 0.4, "decode_tok_s": 9.0, "decode_fraction_of_limit": 0.75, "bandwidth_gb_s": 31.0}),
            json!({"load_s": 0.5, "decode_tok_s": 10.0, "decode_fraction_of_limit": 0.8, "bandwidth_gb_s": 32.0}),
        ];
        let theirs = [json!({"load_s": 45.0, "decode_tok_s": 6.25, "resident_bytes": 21_474_836_480_u64})];
        let table = render(Some(&rounds("ours", &ours)), &[rounds("avx2", &theirs)]);
        let expected = [
            "                      ours                    avx2                 ours/avx2  better",
            "load, s               0.450 (0.400 to 0.500)  45.0 (45.0 to 45.0)  0.0100     lower",
            "decode, tok/s         9.50 (9.00 to 10.0)     6.25 (6.25 to 6.25)  1.52       higher",
            "resident memory, GiB  -                       20.0 (20.0 to 20.0)  -          lower",
            "Memory reads 31.5 (31.0 to 32.0) GB/s, so decode ends at 12.2 tok/s: ours 78 %, avx2 51 %",
        ];
        assert_eq!(table.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn without_ours_there_are_no_ratios() {
        let table = render(None, &[rounds("avx2", &[json!({"load_s": 2})]), rounds("native", &[json!({"load_s": 3})])]);
        assert_eq!(table.lines().nth(1), Some("load, s  2.00 (2.00 to 2.00)  3.00 (3.00 to 3.00)  lower"));
    }

    #[test]
    fn what_is_no_figure_counts_as_not_measured() {
        for value in [json!(null), json!("9"), json!(0), json!(-1), json!([1])] {
            assert_eq!(rounds("x", &[json!({"load_s": value})]).spread("load_s"), None, "{value}");
        }
    }
}
