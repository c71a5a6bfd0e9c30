//! What a running program costs, as proc(5) tells it: processor time and memory, of the program and its children.

use super::BenchError;
use crate::peer::process::family;

/// Seconds of processor time used so far, user and system, of `id` and its children, also of those that have ended.
pub fn cpu_seconds(id: u32) -> Option<f64> {
    let (mut ticks, mut alive) = (0u64, false);
    // A child may end while we look.
    for own in family(id).into_iter().filter_map(ticks_of) {
        ticks += own;
        alive = true;
    }
    // USER_HZ is 100 on every architecture that Linux runs on with this user interface.
    alive.then_some(ticks as f64 / 100.0)
}

fn ticks_of(id: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The second field is a name in parentheses that may hold anything; utime and stime are fields 14 and 15, and behind them
    // those of children that have ended.
    let rest = text.rsplit_once(')')?.1;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    (0..4).map(|_| fields.next()?.parse::<u64>().ok()).sum()
}

/// Proportional set size (PSS) in octets, of `id` and its children: what they share counts once.
pub fn memory(id: u32) -> Option<u64> {
    let of = |member: u32| {
        let text = std::fs::read_to_string(format!("/proc/{member}/smaps_rollup")).ok()?;
        let line = text.lines().find(|line| line.starts_with("Pss:"))?;
        line.split_ascii_whitespace().nth(1)?.parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
    };
    family(id).into_iter().filter_map(of).reduce(|sum, one| sum + one)
}

/// KiB that are resident at most while this is done, above what was before (proc(5)).
pub fn growth(work: impl FnOnce() -> Result<(), BenchError>) -> Result<f64, BenchError> {
    // 5 sets the high-water mark back to what is resident now.
    std::fs::write("/proc/self/clear_refs", "5").map_err(BenchError::broken)?;
    let before = high_water()?;
    work()?;
    Ok(high_water()? - before)
}

fn high_water() -> Result<f64, BenchError> {
    let status = std::fs::read_to_string("/proc/self/status").map_err(BenchError::broken)?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let figure = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    figure.ok_or_else(|| BenchError::broken("no VmHWM in /proc/self/status"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_cost_can_be_read() {
        let id = std::process::id();
        let begin = std::time::Instant::now();
        let mut sum = 0u64;
        while begin.elapsed().as_millis() < 60 {
            sum = sum.wrapping_mul(31).wrapping_add(7);
        }
        assert!(std::hint::black_box(sum) != 1 && cpu_seconds(id).is_some());
        assert!(memory(id).is_some_and(|octets| octets > 100_000));
    }
}
