//! Bit streams of T.4 data in both fill orders (TIFF 6.0, FillOrder).

/// Which bit of an octet comes first on the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FillOrder {
    /// FillOrder 1: most significant bit first.
    #[default]
    MsbFirst,
    /// FillOrder 2: least significant bit first, as modems and profile S have it.
    LsbFirst,
}

/// Reads bits; past the end it yields zeros, which no code word consists of.
#[derive(Clone, Copy)]
pub(crate) struct BitReader<'a> {
    data: &'a [u8],
    /// Octets already in `held`.
    taken: usize,
    /// Bits not yet consumed, left aligned.
    held: u64,
    count: u32,
    /// Bits handed out that the data did not have.
    overrun: u64,
    order: FillOrder,
}

impl<'a> BitReader<'a> {
    pub(crate) fn new(data: &'a [u8], order: FillOrder) -> Self {
        Self { data, taken: 0, held: 0, count: 0, overrun: 0, order }
    }

    #[inline(always)]
    fn refill(&mut self) {
        if let Some(chunk) = self.data.get(self.taken..).and_then(<[u8]>::first_chunk::<8>) {
            let word = match self.order {
                FillOrder::MsbFirst => u64::from_be_bytes(*chunk),
                FillOrder::LsbFirst => u64::from_le_bytes(*chunk).reverse_bits(),
            };
            // Bits of an octet that does not fit whole are there already and come once more: they are the same.
            self.held |= word >> self.count;
            self.taken += ((63 - self.count) / 8) as usize;
            self.count |= 56;
        } else {
            *self = self.refilled_at_the_end();
        }
    }

    /// By value, so that the reader may live in registers everywhere else.
    #[cold]
    fn refilled_at_the_end(mut self) -> Self {
        while self.count <= 56 {
            let Some(octet) = self.data.get(self.taken) else { break };
            let octet = if self.order == FillOrder::LsbFirst { octet.reverse_bits() } else { *octet };
            self.held |= u64::from(octet) << (56 - self.count);
            self.count += 8;
            self.taken += 1;
        }
        self
    }

    /// At least 56 bits are at hand, as far as there are any.
    #[inline(always)]
    pub(crate) fn fill(&mut self) {
        // Whether any are missing is hard to foresee, and asking costs more than reading them.
        self.refill();
    }

    /// The next `n` bits (1 to 32) without consuming them.
    #[inline(always)]
    pub(crate) fn peek(&mut self, n: u32) -> u32 {
        if self.count < n {
            self.refill();
        }
        (self.held >> (64 - n)) as u32
    }

    /// Consumes `n` bits (at most 32).
    #[inline(always)]
    pub(crate) fn skip(&mut self, n: u32) {
        if self.count < n {
            self.refill();
        }
        if self.count < n {
            self.overrun += u64::from(n - self.count);
            self.count = 0;
            self.held = 0;
            return;
        }
        self.held <<= n;
        self.count -= n;
    }

    /// Bits that can be looked at and taken without asking for more.
    #[inline(always)]
    pub(crate) fn at_hand(&self) -> u32 {
        self.count
    }

    /// The next `n` bits (1 to 32) of those at hand.
    #[inline(always)]
    pub(crate) fn look(&self, n: u32) -> u32 {
        (self.held >> (64 - n)) as u32
    }

    /// Consumes `n` bits (at most 63) of those at hand.
    #[inline(always)]
    pub(crate) fn take(&mut self, n: u32) {
        self.held <<= n;
        self.count -= n;
    }

    /// Consumes any number of bits.
    pub(crate) fn skip_far(&mut self, mut n: u32) {
        while n > 32 {
            self.skip(32);
            n -= 32;
        }
        self.skip(n);
    }

    /// Consumes up to the next octet boundary.
    pub(crate) fn align(&mut self) {
        self.skip(self.count % 8);
    }

    /// No bit is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0 && self.taken >= self.data.len()
    }

    /// More was consumed than there was.
    pub(crate) fn overran(&self) -> bool {
        self.overrun > 0
    }

    /// Bits consumed so far.
    #[cfg(test)]
    pub(crate) fn position(&self) -> u64 {
        self.taken as u64 * 8 - u64::from(self.count)
    }
}

/// Collects bits, most significant first.
#[derive(Default)]
pub(crate) struct BitWriter {
    out: Vec<u8>,
    held: u64,
    count: u32,
}

impl BitWriter {
    pub(crate) fn with_capacity(octets: usize) -> Self {
        Self { out: Vec::with_capacity(octets), held: 0, count: 0 }
    }

    /// Appends the low `n` bits (at most 32) of `bits`.
    #[inline]
    pub(crate) fn put(&mut self, bits: u32, n: u32) {
        self.held = (self.held << n) | u64::from(bits);
        self.count += n;
        if self.count >= 32 {
            self.count -= 32;
            self.out.extend_from_slice(&((self.held >> self.count) as u32).to_be_bytes());
        }
    }

    /// Bits beyond the last whole octet.
    pub(crate) fn odd_bits(&self) -> u32 {
        self.count % 8
    }

    /// Bits written so far.
    pub(crate) fn bits(&self) -> usize {
        self.out.len() * 8 + self.count as usize
    }

    /// Appends so many zeros.
    pub(crate) fn fill(&mut self, mut zeros: usize) {
        while zeros > 0 {
            let step = zeros.min(32);
            self.put(0, step as u32);
            zeros -= step;
        }
    }

    /// Fills with zeros up to an octet boundary.
    pub(crate) fn align(&mut self) {
        let odd = self.odd_bits();
        if odd != 0 {
            self.put(0, 8 - odd);
        }
    }

    /// The octets, the last one filled with zeros, in the given order.
    pub(crate) fn finish(mut self, order: FillOrder) -> Vec<u8> {
        self.align();
        while self.count > 0 {
            self.count -= 8;
            self.out.push((self.held >> self.count) as u8);
        }
        if order == FillOrder::LsbFirst {
            for octet in &mut self.out {
                *octet = octet.reverse_bits();
            }
        }
        self.out
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(fields in prop::collection::vec((any::<u32>(), 1u32..=24), 0..200), lsb: bool) {
            let order = if lsb { FillOrder::LsbFirst } else { FillOrder::MsbFirst };
            let mut writer = BitWriter::default();
            for (bits, n) in &fields {
                writer.put(bits & ((1 << n) - 1), *n);
            }
            let data = writer.finish(order);
            let mut reader = BitReader::new(&data, order);
            let mut at = 0;
            for (bits, n) in &fields {
                prop_assert_eq!(reader.peek(*n), bits & ((1 << n) - 1));
                reader.skip(*n);
                at += u64::from(*n);
                prop_assert_eq!(reader.position(), at);
            }
            reader.align();
            prop_assert!(reader.is_empty() && !reader.overran());
            reader.skip(1);
            prop_assert!(reader.overran());
        }
    }
}
