//! The training check (ITU-T T.30, 5.3.6.1.3, TCF): zeros for a second and a half, and whether they arrived.

use crate::modem::format::Rate;

/// Octets of a training check at a rate: 1.5 s.
pub fn check_octets(rate: Rate) -> usize {
    usize::try_from(rate.bits * 3 / 2 / 8).unwrap_or(0)
}

/// Whether what was received is good enough to send a page over. A receiver may begin late and end with rubbish, so
/// what counts is what lies between the first and the last longer run of zeros: long enough, and next to no ones in it.
pub fn check_holds(octets: &[u8], rate: Rate) -> bool {
    const RUN: usize = 16;
    let zeros = |run: &[u8]| run.iter().all(|octet| *octet == 0);
    let Some(first) = octets.windows(RUN).position(zeros) else { return false };
    let Some(last) = octets.windows(RUN).rposition(zeros) else { return false };
    let kept = octets.get(first..last + RUN).unwrap_or_default();
    let wrong = kept.iter().filter(|octet| **octet != 0).count();
    kept.len() * 10 >= check_octets(rate) * 7 && wrong * 100 <= kept.len()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn zeros_and_others() {
        for rate in Rate::STEPS {
            let count = check_octets(rate);
            let perfect = vec![0; count];
            assert!(check_holds(&perfect, rate));
            assert!(!check_holds(&perfect[..count / 2], rate), "too short");
            let mut garbage_first = vec![0xA5; 40];
            garbage_first.extend(&perfect);
            garbage_first.extend([0xFF; 20]);
            assert!(check_holds(&garbage_first, rate), "{rate}");
            let mut noisy = perfect.clone();
            noisy.iter_mut().step_by(30).for_each(|octet| *octet = 4);
            assert!(!check_holds(&noisy, rate), "{rate}");
            assert!(!check_holds(&vec![0xFF; count], rate));
            assert!(!check_holds(&[], rate));
        }
    }
}
