//! What this process has taken of the machine so far, for reports only. Linux tells it in `/proc` (proc(5)).

use std::io;

/// Ticks a second of the times in `/proc`, on every architecture that this is built for.
const TICKS: f64 = 100.0;

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    /// Of all threads, in the program and in the kernel; steps of a hundredth.
    pub cpu_seconds: f64,
    /// Most memory that was resident at once, bytes.
    pub peak_memory: u64,
}

impl Usage {
    pub fn now() -> io::Result<Self> {
        let (stat, status) =
            (std::fs::read_to_string("/proc/self/stat")?, std::fs::read_to_string("/proc/self/status")?);
        let read = cpu_seconds(&stat).zip(peak_memory(&status));
        let (cpu_seconds, peak_memory) =
            read.ok_or_else(|| io::Error::other("/proc/self/stat or status is not as proc(5) says"))?;
        Ok(Self { cpu_seconds, peak_memory })
    }
}

/// `utime` and `stime`, fields 14 and 15. The second field, a name in brackets, may hold blanks and brackets.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let times = rest.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
    let times: Vec<u64> = times.collect::<Result<_, _>>().ok()?;
    (times.len() == 2).then(|| times.iter().sum::<u64>() as f64 / TICKS)
}

/// `VmHWM`, which stands in KiB.
fn peak_memory(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_proc() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194304 90 0 0 0 250 30 5 5 20 0 4 0 100 1 2";
        assert_eq!(cpu_seconds(stat), Some(2.8));
        assert_eq!(cpu_seconds("7 (a) S 1 2"), None);
        assert_eq!(peak_memory("VmPeak:\t 9 kB\n"), None);
        assert_eq!(peak_memory("VmPeak:\t 9 kB\nVmHWM:\t    2048 kB\n"), Some(2 * 1024 * 1024));
    }

    #[test]
    fn this_process_uses_memory() {
        assert!(Usage::now().expect("usage").peak_memory > 1024 * 1024);
    }
}
