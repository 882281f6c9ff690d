//! Arithmetic modulo N², on numbers written in base N: v = a + b·N.
//!
//! (a + bN)(c + dN) = ac + (ad + bc)·N, as N² is zero: three products of half the width. And as (1 + N)ˣ = 1 + xN, a
//! plaintext is the upper digit of a residue whose lower digit is one.
//!
//! Residues are kept in Montgomery form: v·R for v, with R = 2¹⁰²⁴ (P. Montgomery, 1985). To divide a product t < N·R by R, take
//! m = −t·N⁻¹ mod R and r = (t + mN)/R. Then t·R⁻¹ = r − m·R⁻¹·N: a reduction modulo N becomes one modulo N² when the
//! m that it added is taken off the upper digit.
//!
//! How long an operation takes depends on no digit and no exponent.

use crypto_bigint::modular::{FixedMontyForm, FixedMontyParams};
use crypto_bigint::{Choice, CtAssign, CtEq, CtSelect, Limb, NonZero, Odd, Uint, Word, nlimbs};
use zeroize::{DefaultIsZeroes, Zeroizing};

/// Bits of N.
pub(super) const BITS: u32 = 1024;

const LIMBS: usize = nlimbs(BITS);

/// A number below R; most are below N.
pub(super) type Digit = Uint<LIMBS>;

/// A number below R²; most are below N².
pub(super) type Wide = Uint<{ 2 * LIMBS }>;

/// Bits of an exponent treated at a time, and the powers kept for them.
const WINDOW: u32 = 4;
const POWERS: usize = 1 << WINDOW;

/// N, and what is computed from it once.
pub(super) struct Modulus {
    n: NonZero<Digit>,
    square: Wide,
    /// −N⁻¹ modulo R.
    negative_inverse: Digit,
    /// R² modulo N².
    r2: Residue,
    /// For what is needed modulo N only.
    modulo_n: FixedMontyParams<LIMBS>,
}

/// A number modulo N². Whether in Montgomery form, the functions say.
#[derive(Clone, Copy, Default)]
pub(super) struct Residue {
    pub(super) lower: Digit,
    pub(super) upper: Digit,
}

/// A secret exponent e = f·N + g, and a bound of f's length that may be known.
pub(super) struct Exponent<const L: usize> {
    quotient: Zeroizing<Uint<L>>,
    quotient_bits: u32,
    remainder: Zeroizing<Digit>,
}

impl DefaultIsZeroes for Residue {}

impl Modulus {
    /// For an `n` whose top bit is set. Meant for constants: panics for another.
    pub(super) const fn new(n: Odd<Digit>) -> Self {
        let square: Wide = n.as_ref().concatenating_square();
        assert!(n.as_ref().leading_zeros() == 0);
        // R² − N² is below N², since N is above R/√2 as well.
        let r2 = square.wrapping_neg();
        assert!(r2.cmp_vartime(&square).is_lt());
        Self {
            n: *n.as_nz_ref(),
            square,
            negative_inverse: n
                .as_ref()
                .invert_mod2k_vartime(BITS)
                .to_inner_unchecked()
                .wrapping_neg(),
            r2: split(&r2, n.as_nz_ref()),
            modulo_n: FixedMontyParams::new_vartime(n),
        }
    }

    /// N².
    pub(super) const fn square(&self) -> &Wide {
        &self.square
    }

    /// The Montgomery form of a number below N².
    pub(super) fn enter(&self, number: &Wide) -> Residue {
        self.mul(&split(number, &self.n), &self.r2)
    }

    /// The Montgomery form of 1 + xN.
    pub(super) fn enter_plaintext(&self, x: &Digit) -> Residue {
        let upper = x.rem(&self.n);
        let lower = Digit::ONE;
        self.mul(&Residue { lower, upper }, &self.r2)
    }

    /// The digits of what is in Montgomery form.
    pub(super) fn leave(&self, residue: &Residue) -> Residue {
        let one = Residue {
            lower: Digit::ONE,
            upper: Digit::ZERO,
        };
        self.mul(residue, &one)
    }

    /// The number of these digits, which are not in Montgomery form.
    pub(super) fn join(&self, digits: &Residue) -> Wide {
        let upper: Wide = digits.upper.concatenating_mul(self.n.as_ref());
        upper.wrapping_add(&digits.lower.resize())
    }

    /// The product, of Montgomery forms.
    pub(super) fn mul(&self, x: &Residue, y: &Residue) -> Residue {
        let lower = x.lower.widening_mul(&y.lower);
        let cross = x.lower.widening_mul(&y.upper);
        let other = x.upper.widening_mul(&y.lower);
        self.reduce(lower, cross, other)
    }

    fn square_of(&self, x: &Residue) -> Residue {
        let cross = x.lower.widening_mul(&x.upper);
        self.reduce(x.lower.widening_square(), cross, cross)
    }

    /// baseᵉ in Montgomery form, of a `base` below N that is not.
    ///
    /// gᴺ modulo N² depends on g modulo N alone. So baseᵉ = (baseᶠ)ᴺ · baseᵍ, where baseᶠ is needed modulo N only, and the
    /// other two powers share their squarings. N is no secret: its windows are looked up directly.
    pub(super) fn power<const L: usize>(&self, base: &Digit, exponent: &Exponent<L>) -> Residue {
        let inner = FixedMontyForm::new(base, &self.modulo_n)
            .pow_bounded_exp(&exponent.quotient, exponent.quotient_bits);
        let inner = Residue {
            lower: inner.to_montgomery(),
            upper: Digit::ZERO,
        };
        let of_inner = self.powers(&inner);
        let of_base = self.powers(&self.enter(&base.resize()));
        let mut power = Zeroizing::new(of_base[0]);
        for window in (0..BITS / WINDOW).rev() {
            for _ in 0..WINDOW {
                *power = self.square_of(&power);
            }
            let secret = select(&of_base, bits(&exponent.remainder, window));
            *power = self.mul(&power, &secret);
            *power = self.mul(&power, &of_inner[bits(self.n.as_ref(), window)]);
        }
        *power
    }

    /// The inverse, of Montgomery forms; `None` for what shares a factor with N.
    ///
    /// With i the inverse of v modulo N, v·i = 1 + kN, whose inverse is 1 − kN.
    pub(super) fn invert(&self, residue: &Residue) -> Option<Residue> {
        let lower = self.leave(residue).lower;
        let inverse = FixedMontyForm::new(&lower, &self.modulo_n).invert();
        let inverse = Option::from(inverse.map(|inverse| inverse.retrieve().resize()))?;
        let inverse = self.enter(&inverse);
        let k = self.leave(&self.mul(residue, &inverse)).upper;
        Some(self.mul(&inverse, &self.enter_plaintext(&k.neg_mod(&self.n))))
    }

    fn powers(&self, base: &Residue) -> Zeroizing<[Residue; POWERS]> {
        let mut powers = Zeroizing::new([Residue::default(); POWERS]);
        powers[0] = self.enter(&Wide::ONE);
        for exponent in 1..POWERS {
            powers[exponent] = self.mul(&powers[exponent - 1], base);
        }
        powers
    }

    /// (lower + (cross + other)·N)·R⁻¹. Each is a product of two digits below N, low half first.
    fn reduce(
        &self,
        lower: (Digit, Digit),
        cross: (Digit, Digit),
        other: (Digit, Digit),
    ) -> Residue {
        let (lower, excess, added) = self.divide(&lower.0, &lower.1);
        let (low, carry) = cross.0.carrying_add(&other.0, Limb::ZERO);
        let (high, carry) = cross.1.carrying_add(&other.1, carry);
        let (high, _) = self.subtract_n(&high, carry);
        // Minus what was added, and plus N if that is below it.
        let (low, borrow) = low.borrowing_sub(&added, Limb::ZERO);
        let (less, borrow) = high.borrowing_sub(&Digit::ZERO, borrow);
        let high = less.ct_select(
            &less.wrapping_add(self.n.as_ref()),
            borrow.ct_ne(&Limb::ZERO),
        );
        let (upper, _, _) = self.divide(&low, &high);
        let (upper, carry) = upper.carrying_add(&Digit::ZERO, Limb(excess.to_u8().into()));
        let (upper, _) = self.subtract_n(&upper, carry);
        Residue { lower, upper }
    }

    /// Montgomery's r below N, whether N was taken off to make it so, and his m. For t = high·R + low below N·R.
    fn divide(&self, low: &Digit, high: &Digit) -> (Digit, Choice, Digit) {
        let m = low.wrapping_mul(&self.negative_inverse);
        let (_, product) = m.widening_mul(self.n.as_ref());
        // The low halves add up to zero, with a carry unless both are zero.
        let carry = Limb(low.is_nonzero().to_u8().into());
        let (r, carry) = high.carrying_add(&product, carry);
        let (r, excess) = self.subtract_n(&r, carry);
        (r, excess, m)
    }

    /// A number below 2N, made smaller than N; and whether it was not.
    fn subtract_n(&self, number: &Digit, carry: Limb) -> (Digit, Choice) {
        let (less, borrow) = number.borrowing_sub(self.n.as_ref(), Limb::ZERO);
        let excess = carry.ct_ne(&Limb::ZERO) | borrow.ct_eq(&Limb::ZERO);
        (number.ct_select(&less, excess), excess)
    }
}

impl<const L: usize> Exponent<L> {
    /// `exponent` is below 2^`bits`, a bound that may be known.
    pub(super) fn new(exponent: &Uint<L>, bits: u32, modulus: &Modulus) -> Self {
        let (quotient, remainder) = exponent.div_rem(&modulus.n);
        Self {
            quotient: Zeroizing::new(quotient),
            // N is at least half of R.
            quotient_bits: bits.saturating_sub(BITS - 1),
            remainder: Zeroizing::new(remainder),
        }
    }
}

const fn split(number: &Wide, n: &NonZero<Digit>) -> Residue {
    let (upper, lower) = number.div_rem(n);
    Residue {
        lower,
        upper: upper.resize(),
    }
}

/// The bits of a window, counted from the lowest.
fn bits(digit: &Digit, window: u32) -> usize {
    let bit = window * WINDOW;
    let limb = digit.as_words()[(bit / Word::BITS) as usize];
    (limb >> (bit % Word::BITS)) as usize % POWERS
}

/// `powers[at]`, reading all of them alike.
fn select(powers: &[Residue; POWERS], at: usize) -> Zeroizing<Residue> {
    let mut selected = Zeroizing::new(powers[0]);
    for (index, power) in powers.iter().enumerate() {
        let here = (index as Word).ct_eq(&(at as Word));
        selected.lower.ct_assign(&power.lower, here);
        selected.upper.ct_assign(&power.upper, here);
    }
    selected
}

#[cfg(test)]
mod tests {
    use num_bigint::BigUint;
    use rand_chacha::ChaCha20Rng;
    use rand_core::{Rng, SeedableRng};

    use super::super::BIPRIME as MODULUS;
    use super::*;

    fn big<const L: usize>(number: &Uint<L>) -> BigUint {
        let text = number.to_string_radix_vartime(16);
        BigUint::parse_bytes(text.as_bytes(), 16).expect("hexadecimal")
    }

    fn n2() -> BigUint {
        big(MODULUS.n.as_ref()).pow(2)
    }

    /// Random numbers below N², and those where carries and borrows are.
    fn numbers() -> Vec<Wide> {
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        let n: Wide = MODULUS.n.as_ref().resize();
        let mut numbers = vec![
            Wide::ZERO,
            Wide::ONE,
            n,
            n.wrapping_sub(&Wide::ONE),
            n.wrapping_add(&Wide::ONE),
            MODULUS.square.wrapping_sub(&Wide::ONE),
            MODULUS.square.wrapping_sub(&n),
            Wide::ONE.shl_vartime(BITS),
        ];
        for _ in 0..8 {
            let mut bytes = [0; BITS as usize / 4];
            rng.fill_bytes(&mut bytes);
            bytes[0] &= 0x7f;
            numbers.push(Wide::from_be_slice(&bytes));
        }
        numbers
    }

    #[test]
    fn enters_and_leaves_unchanged() {
        for number in numbers() {
            let digits = MODULUS.leave(&MODULUS.enter(&number));
            assert_eq!(MODULUS.join(&digits), number);
        }
    }

    #[test]
    fn multiplies_and_squares_as_big_integers_do() {
        for x in numbers() {
            let entered = MODULUS.enter(&x);
            for y in numbers() {
                let product = MODULUS.mul(&entered, &MODULUS.enter(&y));
                let product = MODULUS.join(&MODULUS.leave(&product));
                assert_eq!(big(&product), big(&x) * big(&y) % n2());
            }
            let square = MODULUS.join(&MODULUS.leave(&MODULUS.square_of(&entered)));
            assert_eq!(big(&square), big(&x).pow(2) % n2());
        }
    }

    #[test]
    fn raises_to_powers_as_big_integers_do() {
        let ones: Wide = Wide::MAX.shr_vartime(3);
        for exponent in numbers().into_iter().chain([ones]) {
            for base in [
                Digit::ZERO,
                Digit::ONE,
                Digit::from(7u8),
                numbers()[9].resize(),
            ] {
                let base = base.rem(&MODULUS.n);
                let split = Exponent::new(&exponent, 2 * BITS, &MODULUS);
                let power = MODULUS.join(&MODULUS.leave(&MODULUS.power(&base, &split)));
                assert_eq!(big(&power), big(&base).modpow(&big(&exponent), &n2()));
            }
        }
    }

    #[test]
    fn inverts_what_has_an_inverse_only() {
        let one = MODULUS.enter(&Wide::ONE);
        for number in numbers() {
            let entered = MODULUS.enter(&number);
            match MODULUS.invert(&entered) {
                Some(inverse) => {
                    let product = MODULUS.leave(&MODULUS.mul(&entered, &inverse));
                    assert_eq!(MODULUS.join(&product), MODULUS.join(&MODULUS.leave(&one)));
                }
                None => assert_eq!(big(&number) % big(MODULUS.n.as_ref()), BigUint::ZERO),
            }
        }
    }
}
