//! The one source of randomness: every key, id, salt, nonce and jitter comes through it, so that a simulation can put
//! a seed in its place and get the same run again (design: determinism).

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng, TryCryptoRng, TryRng};

/// A cryptographically secure generator that can be shared. Clones draw from the same stream.
#[derive(Clone)]
pub struct Randomness {
    generator: Arc<Mutex<ChaCha20Rng>>,
    from_seed: bool,
}

impl Randomness {
    /// Seeded by the operating system. Fails when that has no randomness to give, as very early at boot.
    pub fn from_system() -> Result<Self, getrandom::Error> {
        let generator = ChaCha20Rng::try_from_rng(&mut getrandom::SysRng)?;
        Ok(Self {
            generator: Arc::new(Mutex::new(generator)),
            from_seed: false,
        })
    }

    /// For simulations and tests: the same seed gives the same stream.
    pub fn from_seed(seed: u64) -> Self {
        Self::from_rng(ChaCha20Rng::seed_from_u64(seed))
    }

    /// Of a generator that was seeded already.
    pub(crate) fn from_rng(generator: ChaCha20Rng) -> Self {
        Self {
            generator: Arc::new(Mutex::new(generator)),
            from_seed: true,
        }
    }

    /// Whether a seed decides what is drawn. Then all that is drawn has to come from here; else libraries may ask the system.
    pub fn is_from_seed(&self) -> bool {
        self.from_seed
    }

    fn generator(&self) -> MutexGuard<'_, ChaCha20Rng> {
        // A panic elsewhere cannot leave a stream cipher half-advanced in a way that matters.
        self.generator
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl TryRng for Randomness {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.generator().next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.generator().next_u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.generator().fill_bytes(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Randomness {}
