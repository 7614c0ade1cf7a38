//! `ossicle bench`: how fast the model runs here.
//!
//! What it is not: it measures nothing itself; [`crate::engine::cpu::bench`] does. Start at [`bench`].

use super::report::{Failure, exit};
use super::screen::Screen;
use super::{args, session, terminal};
use crate::config;
use crate::engine::cpu::bench::{Bench, Measured};
use crate::engine::models::{self, amount};
use crate::world::SystemClock;
use std::io::Write;
use std::sync::Arc;

/// Tokens of a prompt of instructions and tools.
const PREFIX: usize = 3000;

pub(super) async fn bench(command: &args::Bench, flags: &args::Session, screen: &Screen) -> Result<(), Failure> {
    let (mut settings, paths) = session::settings(flags)?;
    if let Some(threads) = command.threads {
        settings.threads = Some(threads.get());
    }
    if command.random {
        settings.model = Some(models::Source::Random);
    }
    if command.remove {
        let forms = models::prepared_forms(&paths.prepared()).into_iter();
        let random = forms.filter(|form| form.is_called(models::RANDOM));
        let removed: u64 = random.map(|form| form.remove()).sum::<Result<_, _>>()?;
        writeln!(std::io::stdout(), "removed {}", amount(removed))?;
        return Ok(());
    }
    let (what, screen) = (command.what.clone(), screen.clone());
    let measured = tokio::task::spawn_blocking(move || measure(&what, &settings, &paths, &screen))
        .await
        .map_err(config::ConfigError::from)??;
    let text = match command.json {
        true => serde_json::json!(measured).to_string() + "\n",
        false => terminal::block(&table(&measured)).into_owned(),
    };
    write!(std::io::stdout(), "{text}")?;
    Ok(())
}

fn measure(
    what: &[args::Measure],
    settings: &config::Settings,
    paths: &config::Paths,
    screen: &Screen,
) -> Result<Measured, Failure> {
    // Written beforehand, so that loading is what it is every other day.
    config::checkpoint(settings, paths, &session::preparing(screen))?;
    screen.settle();
    let open = || config::checkpoint(settings, paths, &session::preparing(screen)).map_err(Failure::from);
    let clock = Arc::new(SystemClock::new());
    let mut bench = Bench::open(open, config::options(settings, paths), clock)?;
    for measure in what {
        screen.wait(measure.doing());
        match measure {
            args::Measure::Decode => bench.decode_and_bandwidth(),
            args::Measure::Prefill512 => bench.measured.prefill_512_tok_s = Some(bench.prefill(512)),
            args::Measure::Prefill2048 => bench.measured.prefill_2048_tok_s = Some(bench.prefill(2048)),
            args::Measure::Decode4k => bench.measured.decode_4k_tok_s = Some(bench.decode(Some(4000))),
            args::Measure::FirstToken => {}
        }
    }
    bench.memory();
    if what.contains(&args::Measure::FirstToken) {
        screen.wait(args::Measure::FirstToken.doing());
        // One folder for all: what an interrupted measurement has left is the next one's.
        let folder = paths.cache.join("bench");
        let result = bench.first_tokens(PREFIX, &folder);
        let _ = std::fs::remove_dir_all(&folder); // a measurement's own
        result.map_err(|error| Failure::from_error(exit::FAILURE, &error))?;
    }
    screen.settle();
    Ok(bench.measured)
}

fn table(m: &Measured) -> String {
    let mut lines = vec![
        ("model".to_owned(), m.model.clone()),
        ("kernels".into(), format!("{}, {} threads", m.kernels, m.n_threads)),
        ("load".into(), seconds(m.load_s)),
    ];
    let mut speed = |name: &str, value: Option<f64>| {
        lines.extend(value.map(|value| (name.to_owned(), format!("{value:.1} tokens/s"))));
    };
    speed("read 512 tokens", m.prefill_512_tok_s);
    speed("read 2,048 tokens", m.prefill_2048_tok_s);
    speed("write", m.decode_tok_s);
    speed("write after 4,000", m.decode_4k_tok_s);
    let mut line = |name: &str, value: Option<String>| lines.extend(value.map(|value| (name.to_owned(), value)));
    let first = m.first_token_cold_s.zip(m.first_token_memory_s).zip(m.first_token_disk_s);
    line(
        "first token",
        first.map(|((cold, memory), disk)| {
            format!(
                "{} after 3,000 new tokens, {} when they are in memory, {} from the disk",
                seconds(cold),
                seconds(memory),
                seconds(disk)
            )
        }),
    );
    line("weights", Some(format!("{} for each token", amount(m.bytes_per_token))));
    line("bandwidth", m.bandwidth_gb_s.map(|bandwidth| format!("{bandwidth:.1} GB/s, read by the same threads")));
    line("of the limit", m.decode_fraction_of_limit.map(|part| format!("{:.0} % of what that allows", 100.0 * part)));
    line("memory", m.resident_bytes.map(|bytes| format!("{} at most", amount(bytes))));
    line(
        "huge pages",
        m.huge_page_bytes.map(|bytes| match bytes {
            0 => "none: reading memory takes longer (the file system or the kernel has none for files)".into(),
            bytes => format!("{} of the weights", amount(bytes)),
        }),
    );
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    lines.iter().map(|(name, value)| format!("{name:width$}  {value}\n")).collect()
}

fn seconds(time: f64) -> String {
    if time < 1.0 { format!("{:.0} ms", 1000.0 * time) } else { format!("{time:.1} s") }
}
