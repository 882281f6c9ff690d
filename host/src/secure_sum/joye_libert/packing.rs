//! Several values in one plaintext: in slots wide enough that the sums of all parties' values do not touch.

use super::residue::{BITS, Digit};

/// How values lie in plaintexts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packing {
    value_bits: u32,
    slot_bits: u32,
}

impl Packing {
    /// For values of up to `value_bits` bits, of which `parties` are summed. The reference's widths:
    /// value_bits + ⌈log₂(parties + 1)⌉ bits per slot, as many slots as 1024 bits hold.
    ///
    /// `None` if not even one slot fits, or a value more than 64 bits.
    pub fn new(value_bits: u32, parties: usize) -> Option<Self> {
        let party_bits = usize::BITS - parties.leading_zeros();
        let slot_bits = value_bits + party_bits;
        let fits = (1..=BITS).contains(&slot_bits) && parties > 0;
        fits.then_some(Self {
            value_bits,
            slot_bits,
        })
    }

    /// Values in one plaintext.
    pub fn per_plaintext(&self) -> usize {
        (BITS / self.slot_bits) as usize
    }

    /// Plaintexts for so many values.
    pub fn plaintexts(&self, values: usize) -> usize {
        values.div_ceil(self.per_plaintext())
    }

    /// The first value that does not fit its slot.
    pub(super) fn too_large(&self, values: &[u64]) -> Option<u64> {
        let bits = |value: &u64| u64::BITS - value.leading_zeros();
        let over = |value: &&u64| bits(value) > self.value_bits;
        values.iter().find(over).copied()
    }

    /// The plaintexts of values that fit, the first value in the lowest slot.
    pub(super) fn pack(&self, values: &[u64]) -> Vec<Digit> {
        let pack = |values: &[u64]| {
            let mut slots = Digit::ZERO;
            for value in values.iter().rev() {
                slots = slots.shl_vartime(self.slot_bits.min(BITS - 1));
                slots = slots.wrapping_add(&Digit::from(*value));
            }
            slots
        };
        values.chunks(self.per_plaintext()).map(pack).collect()
    }

    /// The first `values` sums out of plaintexts; `None` if one does not fit 64 bits.
    pub(super) fn unpack(&self, plaintexts: &[Digit], values: usize) -> Option<Vec<u64>> {
        let sum = |index: usize| {
            let plaintext = plaintexts.get(index / self.per_plaintext())?;
            let at = (index % self.per_plaintext()) as u32 * self.slot_bits;
            let above = BITS - at - self.slot_bits;
            let slot = plaintext
                .shl_vartime(above)
                .shr_vartime(BITS - self.slot_bits);
            let (low, rest) = slot.as_words().split_first()?;
            rest.iter().all(|word| *word == 0).then_some(*low)
        };
        (0..values).map(sum).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_values_that_no_plaintext_holds() {
        assert_eq!(Packing::new(BITS, 2), None);
        assert_eq!(Packing::new(0, 0), None);
        assert_eq!(Packing::new(30, 0), None);
        assert!(Packing::new(BITS - 2, 2).is_some());
    }

    #[test]
    fn slots_are_as_wide_as_the_reference_makes_them() {
        // ⌈log₂(parties + 1)⌉: 3 parties take 2 bits, 4 take 3.
        for (parties, slot, count) in [
            (2, 32, 32),
            (3, 32, 32),
            (4, 33, 31),
            (7, 33, 31),
            (8, 34, 30),
        ] {
            let packing = Packing::new(30, parties).expect("fits");
            assert_eq!((packing.slot_bits, packing.per_plaintext()), (slot, count));
        }
    }

    #[test]
    fn unpacks_what_it_packed() {
        for (value_bits, parties, count) in [(30, 2, 100), (63, 5, 41), (1, 1, 1025), (1000, 9, 3)]
        {
            let packing = Packing::new(value_bits, parties).expect("fits");
            let largest = u64::MAX >> (64 - value_bits.min(64));
            let values: Vec<u64> = (0..count).map(|index| largest - (index % 2)).collect();
            let packed = packing.pack(&values);
            assert_eq!(packed.len(), packing.plaintexts(values.len()));
            assert_eq!(packing.unpack(&packed, values.len()), Some(values));
        }
    }

    #[test]
    fn names_the_value_that_would_touch_its_neighbour() {
        let packing = Packing::new(30, 2).expect("fits");
        assert_eq!(packing.too_large(&[1, 1 << 30, 2]), Some(1 << 30));
        assert_eq!(packing.too_large(&[(1 << 30) - 1]), None);
    }

    #[test]
    fn a_sum_beyond_64_bits_is_none() {
        let packing = Packing::new(72, 2).expect("fits");
        assert_eq!(packing.unpack(&[Digit::ONE.shl_vartime(64)], 1), None);
    }
}
