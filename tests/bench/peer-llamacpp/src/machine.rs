//! The machine that a figure is from, and what this process takes of it, as Linux tells. What it is not: it measures
//! no time and no bandwidth. Start at [`processor`] and [`Memory::of_this_process`].

use crate::Failure;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// The instruction sets on which the speed of either program depends, in the kernel's spelling.
const FLAGS: [&str; 17] = [
    "avx",
    "avx2",
    "fma",
    "f16c",
    "bmi2",
    "avx_vnni",
    "avx512f",
    "avx512bw",
    "avx512vl",
    "avx512_vnni",
    "avx512_vbmi",
    "avx512_bf16",
    "amx_int8",
    "asimddp",
    "i8mm",
    "sve",
    "sve2",
];

/// The processor's name, how many there are, and their instruction sets.
pub(crate) fn processor() -> Result<String, Failure> {
    let path = Path::new("/proc/cpuinfo");
    Ok(described(&fs::read_to_string(path).map_err(Failure::read(path))?))
}

fn described(cpuinfo: &str) -> String {
    let fields =
        || cpuinfo.lines().filter_map(|line| line.split_once(':')).map(|(key, value)| (key.trim(), value.trim()));
    let first = |names: [&str; 2]| fields().find(|(key, _)| names.contains(key)).map_or("", |(_, value)| value);
    let name = match first(["model name", "Model"]) {
        "" => "a processor without a name",
        name => name,
    };
    let n_processors = fields().filter(|(key, _)| *key == "processor").count();
    let flags = first(["flags", "Features"]);
    let flags: Vec<&str> = FLAGS.into_iter().filter(|flag| flags.split(' ').any(|other| other == *flag)).collect();
    let family = match (first(["cpu family", ""]), first(["model", ""])) {
        ("", _) | (_, "") => String::new(),
        (family, model) => format!(" (family {family}, model {model})"),
    };
    format!("{name}{family}, {n_processors} processors: {}", flags.join(" "))
}

/// What a process holds, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    /// The most that it ever held.
    pub(crate) peak: u64,
    /// Its own: pages that no file backs.
    pub(crate) anonymous: u64,
    /// Pages of files that are mapped, and can be dropped when memory is short.
    pub(crate) file: u64,
}

impl Memory {
    pub(crate) fn of_this_process() -> Result<Self, Failure> {
        let path = Path::new("/proc/self/status");
        Ok(Self::parse(&fs::read_to_string(path).map_err(Failure::read(path))?))
    }

    /// A line that is missing counts as nothing.
    fn parse(status: &str) -> Self {
        let bytes = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
            let kib = line.and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
            kib.map_or(0, |kib| kib.saturating_mul(1024))
        };
        Self { peak: bytes("VmHWM"), anonymous: bytes("RssAnon"), file: bytes("RssFile") }
    }

    /// As an entry of the result: what had been done, and three amounts.
    pub(crate) fn after(self, step: &str) -> Value {
        json!({
            "after": step,
            "peak_bytes": self.peak,
            "anonymous_bytes": self.anonymous,
            "file_bytes": self.file,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_is_named_with_the_flags_that_matter() {
        let x86 = "processor\t: 0\ncpu family\t: 25\nmodel\t\t: 1\nmodel name\t: AMD EPYC\n\
            flags\t\t: fpu avx fma avx2 vaes\n\nprocessor\t: 1\n";
        let arm = "processor\t: 0\nFeatures\t: fp asimd asimddp i8mm\n";
        for (cpuinfo, description) in [
            (x86, "AMD EPYC (family 25, model 1), 2 processors: avx avx2 fma"),
            (arm, "a processor without a name, 1 processors: asimddp i8mm"),
            ("", "a processor without a name, 0 processors: "),
        ] {
            assert_eq!(described(cpuinfo), description);
        }
    }

    #[test]
    fn memory_is_read_in_bytes_and_nothing_where_the_kernel_says_nothing() {
        let status = "VmPeak:\t 9 kB\nVmHWM:\t  2048 kB\nVmRSS:\t 7 kB\nRssAnon:\t 3 kB\nRssFile:\t 4 kB\n";
        assert_eq!(Memory::parse(status), Memory { peak: 2 << 20, anonymous: 3072, file: 4096 });
        assert_eq!(Memory::parse("VmHWM:\t x kB\n"), Memory { peak: 0, anonymous: 0, file: 0 });
        assert!(Memory::of_this_process().unwrap().peak > 0);
    }
}
