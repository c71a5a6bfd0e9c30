//! DIS and DCS (ITU-T T.30, table 2), bit by bit; and what is agreed between two stations.
//!
//! Bit 1 of the table is the lowest bit of the first octet.

use crate::modem::format::{Coding, PageFormat, PageWish, Rate, Resolution, Scheme};
use crate::modem::identity::Capabilities;

/// What a DIS says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dis {
    /// Bit 10: it can receive.
    pub receives: bool,
    /// Bit 9: it has something to be fetched.
    pub offers: bool,
    /// What it can do.
    pub capabilities: Capabilities,
    /// Bits 21 to 23 at standard resolution, in milliseconds.
    pub scan_line_standard_ms: u8,
    /// The same at fine resolution.
    pub scan_line_fine_ms: u8,
    /// The same at superfine resolution (bit 46).
    pub scan_line_superfine_ms: u8,
}

/// A field of bits that is as long as needed.
struct Bits(Vec<u8>);

impl Bits {
    fn has(field: &[u8], bit: usize) -> bool {
        // From the fourth octet on there is one only if the one before is said to be extended.
        let octet = (bit - 1) / 8;
        (3..=octet).all(|at| field.get(at - 1).is_some_and(|before| before & 0x80 != 0))
            && field.get(octet).is_some_and(|value| value >> ((bit - 1) % 8) & 1 == 1)
    }

    fn set(&mut self, bit: usize) {
        let octet = (bit - 1) / 8;
        if self.0.len() <= octet {
            self.0.resize(octet + 1, 0);
        }
        if let Some(value) = self.0.get_mut(octet) {
            *value |= 1 << ((bit - 1) % 8);
        }
    }

    fn set_if(&mut self, wanted: bool, bit: usize) {
        if wanted {
            self.set(bit);
        }
    }

    /// With the extend bits (24, 32, 40 ...) set as the length demands.
    fn finish(mut self) -> Vec<u8> {
        let last = self.0.len().saturating_sub(1);
        for (at, octet) in self.0.iter_mut().enumerate().skip(2) {
            if at < last {
                *octet |= 0x80;
            }
        }
        self.0
    }
}

impl Dis {
    /// Reads a DIS' information field.
    pub fn parse(field: &[u8]) -> Self {
        let has = |bit| Bits::has(field, bit);
        let mut rates = vec![Rate::LOWEST];
        let mut scheme = |scheme| rates.extend(Rate::STEPS.into_iter().filter(|rate| rate.scheme == scheme));
        // Bits 11 to 14.
        if has(12) {
            scheme(Scheme::V27ter);
        }
        if has(11) {
            scheme(Scheme::V29);
        }
        if has(11) && has(12) && has(14) {
            scheme(Scheme::V17);
        }
        let mut codings = vec![Coding::Mh];
        if has(16) {
            codings.push(Coding::Mr);
        }
        let ecm = has(27);
        if ecm && has(31) {
            codings.push(Coding::Mmr);
        }
        let resolution = match (has(41), has(15)) {
            (true, _) => Resolution::Superfine,
            (false, true) => Resolution::Fine,
            (false, false) => Resolution::Standard,
        };
        let width = match (has(17), has(18)) {
            (_, true) => 2432,
            (true, false) => 2048,
            (false, false) => 1728,
        };
        let (standard, halved) = match (has(21), has(22), has(23)) {
            (false, false, false) => (20, false),
            (false, false, true) => (40, false),
            (false, true, false) => (10, false),
            (true, false, false) => (5, false),
            (false, true, true) => (10, true),
            (true, true, false) => (20, true),
            (true, false, true) => (40, true),
            (true, true, true) => (0, false),
        };
        let fine = if halved { half(standard) } else { standard };
        Self {
            receives: has(10),
            offers: has(9),
            scan_line_standard_ms: standard,
            scan_line_fine_ms: fine,
            scan_line_superfine_ms: if has(46) { half(fine) } else { fine },
            capabilities: Capabilities {
                rates,
                ecm,
                short_frames: has(7),
                codings,
                resolution,
                width,
                minimum_scan_line_ms: standard,
                subaddress: has(49),
            },
        }
    }

    /// The information field of a DIS that says what we can do.
    pub fn field(ours: &Capabilities) -> Vec<u8> {
        let mut bits = Bits(vec![0; 3]);
        let offers = |scheme| offered(ours).iter().any(|rate| rate.scheme == scheme && *rate != Rate::LOWEST);
        bits.set(10);
        bits.set_if(offers(Scheme::V29), 11);
        bits.set_if(offers(Scheme::V27ter), 12);
        bits.set_if(offers(Scheme::V17), 14);
        bits.set_if(ours.resolution >= Resolution::Fine, 15);
        bits.set_if(ours.codings.contains(&Coding::Mr), 16);
        bits.set_if(ours.width == 2048, 17);
        bits.set_if(ours.width == 2432, 18);
        // Unlimited length.
        bits.set(20);
        set_scan_line(&mut bits, ours.minimum_scan_line_ms);
        if ours.ecm {
            bits.set(27);
            bits.set_if(ours.codings.contains(&Coding::Mmr), 31);
            bits.set_if(ours.short_frames, 7);
        }
        bits.set_if(ours.resolution >= Resolution::Superfine, 41);
        // Lines to the millimetre are what all of these are.
        bits.set_if(ours.resolution >= Resolution::Superfine, 45);
        bits.set_if(ours.subaddress, 49);
        bits.set_if(ours.subaddress, 50);
        bits.finish()
    }
}

/// Half of a scan line time; a DCS has nothing below 5 ms.
fn half(milliseconds: u8) -> u8 {
    match milliseconds {
        5 => 5,
        other => other / 2,
    }
}

fn set_scan_line(bits: &mut Bits, milliseconds: u8) {
    let set: &[usize] = match milliseconds {
        0 => &[21, 22, 23],
        1..=5 => &[21],
        6..=10 => &[22],
        11..=20 => &[],
        _ => &[23],
    };
    for bit in set {
        bits.set(*bit);
    }
}

/// What a DCS says, or is to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dcs {
    /// The page's format, the rate in it.
    pub format: PageFormat,
    /// Octets in an FCD frame: 256 or 64.
    pub frame_octets: usize,
    /// Whether a subaddress comes with it (bit 49).
    pub subaddress: bool,
}

impl Dcs {
    /// What two stations agree on for a page, at `rate`. Lines are as the document wants them if the far end can take
    /// them so; the nearest below it if not.
    pub fn agree(ours: &Capabilities, theirs: &Dis, wish: PageWish, rate: Rate, subaddress: bool) -> Self {
        let far = &theirs.capabilities;
        let ecm = ours.ecm && far.ecm;
        let both = |coding| ours.codings.contains(&coding) && far.codings.contains(&coding);
        let coding = if ecm && both(Coding::Mmr) {
            Coding::Mmr
        } else if both(Coding::Mr) {
            Coding::Mr
        } else {
            Coding::Mh
        };
        let resolution = wish.resolution.min(ours.resolution).min(far.resolution);
        let width = standard_width(wish.width.min(ours.width).min(far.width));
        let minimum_scan_line_ms = match (ecm, resolution) {
            (true, _) => 0,
            (false, Resolution::Standard) => theirs.scan_line_standard_ms,
            (false, Resolution::Fine) => theirs.scan_line_fine_ms,
            (false, Resolution::Superfine) => theirs.scan_line_superfine_ms,
        };
        let format = PageFormat { coding, width, resolution, minimum_scan_line_ms, ecm, rate, k: k(resolution) };
        let frame_octets = if ecm && (ours.short_frames || far.short_frames) { 64 } else { 256 };
        Self { format, frame_octets, subaddress }
    }

    /// Its information field.
    pub fn field(&self) -> Vec<u8> {
        let mut bits = Bits(vec![0; 3]);
        let format = &self.format;
        bits.set(10);
        for bit in rate_bits(format.rate) {
            bits.set(*bit);
        }
        bits.set_if(format.resolution == Resolution::Fine, 15);
        bits.set_if(format.coding == Coding::Mr, 16);
        bits.set_if(format.width == 2048, 17);
        bits.set_if(format.width == 2432, 18);
        bits.set(20);
        set_scan_line(&mut bits, format.minimum_scan_line_ms);
        if format.ecm {
            bits.set(27);
            bits.set_if(self.frame_octets == 64, 28);
            bits.set_if(format.coding == Coding::Mmr, 31);
        }
        bits.set_if(format.resolution == Resolution::Superfine, 41);
        bits.set_if(self.subaddress, 49);
        bits.finish()
    }

    /// Reads a DCS' information field; `Err`: what of it nobody offered.
    pub fn parse(field: &[u8], ours: &Capabilities) -> Result<Self, &'static str> {
        let has = |bit| Bits::has(field, bit);
        let rate = rate_of(field).ok_or("an unknown rate")?;
        if !offered(ours).contains(&rate) {
            return Err("another rate");
        }
        let ecm = has(27);
        if ecm && !ours.ecm {
            return Err("error correction");
        }
        let coding = match (has(31), has(16)) {
            (true, _) => Coding::Mmr,
            (false, true) => Coding::Mr,
            (false, false) => Coding::Mh,
        };
        if (coding == Coding::Mmr && !ecm) || (coding != Coding::Mh && !ours.codings.contains(&coding)) {
            return Err("another coding");
        }
        let resolution = match (has(41), has(15)) {
            (true, _) => Resolution::Superfine,
            (false, true) => Resolution::Fine,
            (false, false) => Resolution::Standard,
        };
        if resolution > ours.resolution || has(42) || has(43) {
            return Err("another resolution");
        }
        let width = match (has(17), has(18)) {
            (false, false) => 1728,
            (true, false) => 2048,
            (false, true) => 2432,
            (true, true) => return Err("another width"),
        };
        if width > ours.width {
            return Err("another width");
        }
        let minimum_scan_line_ms = match (has(21), has(22), has(23)) {
            (true, true, true) => 0,
            (true, false, false) => 5,
            (false, true, _) => 10,
            (false, false, true) | (true, false, true) => 40,
            (false, false, false) | (true, true, false) => 20,
        };
        let format = PageFormat { coding, width, resolution, minimum_scan_line_ms, ecm, rate, k: k(resolution) };
        Ok(Self { format, frame_octets: if ecm && has(28) { 64 } else { 256 }, subaddress: has(49) })
    }

    /// The first 16 bits, which is what a CTC carries (T.30, A.4.3).
    pub fn rate_field(&self) -> Vec<u8> {
        self.field().into_iter().take(2).collect()
    }
}

/// The widest of the three standard lines that is no wider.
fn standard_width(width: u32) -> u32 {
    match width {
        2432.. => 2432,
        2048.. => 2048,
        _ => 1728,
    }
}

/// The parameter K (T.4, 4.2.2).
fn k(resolution: Resolution) -> u32 {
    match resolution {
        Resolution::Standard => 2,
        Resolution::Fine => 4,
        Resolution::Superfine => 8,
    }
}

/// Bits 11 to 14 of a DCS.
fn rate_bits(rate: Rate) -> &'static [usize] {
    match (rate.scheme, rate.bits) {
        (Scheme::V17, 14_400) => &[14],
        (Scheme::V17, 12_000) => &[12, 14],
        (Scheme::V17, 9600) => &[11, 14],
        (Scheme::V17, _) => &[11, 12, 14],
        (Scheme::V29, 9600) => &[11],
        (Scheme::V29, _) => &[11, 12],
        (Scheme::V27ter, 4800) => &[12],
        (Scheme::V27ter, _) => &[],
    }
}

/// The rate in a DCS or CTC.
pub fn rate_of(field: &[u8]) -> Option<Rate> {
    let wanted: Vec<usize> = (11..=14).filter(|bit| Bits::has(field, *bit)).collect();
    Rate::STEPS.into_iter().find(|rate| rate_bits(*rate) == wanted)
}

/// The rates that a DIS can offer: a scheme with all its rates, V.17 only together with the other two.
fn offered(ours: &Capabilities) -> Vec<Rate> {
    let all = |scheme| Rate::STEPS.iter().filter(|rate| rate.scheme == scheme).all(|rate| ours.rates.contains(rate));
    let v27ter = all(Scheme::V27ter);
    let v29 = all(Scheme::V29);
    let v17 = v27ter && v29 && all(Scheme::V17);
    let has = |rate: &Rate| match rate.scheme {
        Scheme::V27ter => v27ter || *rate == Rate::LOWEST,
        Scheme::V29 => v29,
        Scheme::V17 => v17,
    };
    Rate::STEPS.into_iter().filter(has).collect()
}

/// The rates both have, best first; never empty, for everybody has the lowest.
pub fn common_rates(ours: &Capabilities, theirs: &Capabilities) -> Vec<Rate> {
    let has = |all: &Capabilities, rate: &Rate| *rate == Rate::LOWEST || all.rates.contains(rate);
    Rate::STEPS.into_iter().filter(|rate| has(ours, rate) && has(theirs, rate)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_dis_reads_back() {
        let ours = Capabilities::default();
        let dis = Dis::parse(&Dis::field(&ours));
        assert!(dis.receives && !dis.offers);
        let mut rates = dis.capabilities.rates.clone();
        rates.dedup();
        assert_eq!(common_rates(&ours, &dis.capabilities), Rate::STEPS);
        assert_eq!(Capabilities { rates: ours.rates.clone(), ..dis.capabilities }, ours);
        let basic = Dis::parse(&Dis::field(&Capabilities::basic()));
        assert_eq!(basic.capabilities, Capabilities::basic());
        assert_eq!(Dis::field(&Capabilities::basic()), [0x00, 0x02, 0x08]);
    }

    #[test]
    fn bits_beyond_an_octet_that_is_not_extended_do_not_count() {
        // Bit 27 set, bit 24 not.
        assert!(!Dis::parse(&[0x00, 0x02, 0x00, 0x04]).capabilities.ecm);
        assert!(Dis::parse(&[0x00, 0x02, 0x80, 0x04]).capabilities.ecm);
    }

    #[test]
    fn a_scheme_is_offered_whole_or_not() {
        let mut ours = Capabilities::default();
        ours.rates.retain(|rate| rate.bits <= 9600);
        // V.29 and V.27ter.
        assert_eq!(Dis::field(&ours).get(1).map(|octet| octet & 0x3C), Some(0x0C));
        ours.rates = vec![Rate::STEPS[0]];
        assert_eq!(Dis::field(&ours).get(1).map(|octet| octet & 0x3C), Some(0));
        assert_eq!(offered(&ours), [Rate::LOWEST]);
        assert_eq!(offered(&Capabilities::default()), Rate::STEPS);
    }

    #[test]
    fn every_rate_has_its_bits() {
        for (rate, octet) in Rate::STEPS.into_iter().zip([0x20, 0x28, 0x24, 0x04, 0x2C, 0x0C, 0x08, 0x00]) {
            let dcs = Dcs { format: PageFormat { rate, ..PageFormat::BASIC }, frame_octets: 256, subaddress: false };
            assert_eq!(dcs.field().get(1).map(|value| value & 0x3C), Some(octet), "{rate}");
            assert_eq!(Dcs::parse(&dcs.field(), &Capabilities::default()), Ok(dcs));
            assert_eq!(rate_of(&dcs.rate_field()), Some(rate));
        }
    }

    #[test]
    fn what_was_not_offered_is_refused() {
        let dcs = |format| Dcs { format, frame_octets: 256, subaddress: false }.field();
        let basic = Capabilities::basic();
        assert!(Dcs::parse(&dcs(PageFormat::BASIC), &basic).is_ok());
        for format in [
            PageFormat { coding: Coding::Mr, ..PageFormat::BASIC },
            PageFormat { coding: Coding::Mmr, ecm: true, ..PageFormat::BASIC },
            PageFormat { width: 2048, ..PageFormat::BASIC },
            PageFormat { resolution: Resolution::Fine, ..PageFormat::BASIC },
            PageFormat { rate: Rate { scheme: Scheme::V17, bits: 14_400 }, ..PageFormat::BASIC },
        ] {
            assert!(Dcs::parse(&dcs(format), &basic).is_err(), "{format:?}");
        }
    }

    proptest! {
        /// What is agreed can be read by who offered it, whatever the DIS says.
        #[test]
        fn agreed_is_understood(field in proptest::collection::vec(any::<u8>(), 0..12), width in 0u32..3000) {
            let theirs = Dis::parse(&field);
            let ours = Capabilities::default();
            let rate = common_rates(&ours, &theirs.capabilities)[0];
            let wish = PageWish { width, resolution: Resolution::Superfine };
            let dcs = Dcs::agree(&ours, &theirs, wish, rate, false);
            prop_assert_eq!(Dcs::parse(&dcs.field(), &theirs.capabilities), Ok(dcs));
            let _ = Dcs::parse(&field, &ours);
        }
    }
}
