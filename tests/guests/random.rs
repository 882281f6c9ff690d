//! Components that chance made.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use arbitrary::Unstructured;
use backchannel::handlers::{Capability, Limits, LoadError, Plugin, Runtime, Terms};
use backchannel_test_guests::HONEST;

use crate::RUNNING;
use crate::made::{manifest, with_manifest};

const GENERATED: usize = 8150;
const GENERATED_AND_FLIPPED: usize = 1850;
const HONEST_AND_FLIPPED: usize = 150;
/// What chance has to choose from for one component, in bytes.
const CHOICES: usize = 4096;
/// The longest that a test may take on a busy machine.
const ALL: Duration = Duration::from_secs(300);

/// The same numbers for the same seed, on every machine (SplitMix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).expect("below a usize")
    }

    /// A component that wasm calls valid, with a manifest.
    fn component(&mut self) -> Vec<u8> {
        loop {
            let choices: Vec<u8> = (0..CHOICES / 8)
                .flat_map(|_| self.next().to_le_bytes())
                .collect();
            let mut choices = Unstructured::new(&choices);
            if let Ok(component) =
                wasm_smith::Component::new(wasm_smith::Config::default(), &mut choices)
            {
                return with_manifest(component.to_bytes(), manifest("odd", "OddRequest"));
            }
        }
    }

    fn flipped(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        for _ in 0..=self.below(3) {
            let at = self.below(bytes.len());
            bytes[at] ^= 1 << self.below(8);
        }
        bytes
    }
}

#[test]
fn ten_thousand_random_components_do_not_panic_the_host() {
    let _running = RUNNING.blocking_read();
    let began = Instant::now();
    let runtime = Runtime::new().expect("an engine");
    let mut chance = Chance(4);
    let mut verdicts = BTreeMap::<String, usize>::new();
    for number in 0..GENERATED + GENERATED_AND_FLIPPED + HONEST_AND_FLIPPED {
        let component = if number < GENERATED {
            chance.component()
        } else if number < GENERATED + GENERATED_AND_FLIPPED {
            let component = chance.component();
            chance.flipped(component)
        } else {
            chance.flipped(HONEST.to_vec())
        };
        let inspected = Plugin::inspect(&component, &Limits::default());
        let terms = Terms::granting(&Capability::ALL);
        let loaded = Plugin::load(&runtime, &component, terms);
        assert!(inspected.is_ok() || loaded.is_err(), "component {number}");
        let verdict = match loaded {
            Ok(_) => "loaded",
            Err(LoadError::NotAComponent(_)) => "no component",
            Err(LoadError::NotOffered { .. }) => "import not offered",
            Err(LoadError::WrongWorld(_)) => "another contract",
            Err(LoadError::Manifest(_)) => "no manifest",
            Err(LoadError::TooMuch { .. }) => "too much to begin with",
            Err(_) => "else",
        };
        *verdicts.entry(verdict.to_owned()).or_default() += 1;
    }
    println!("{verdicts:?} in {:?}", began.elapsed());
    assert!(began.elapsed() < ALL, "{:?}", began.elapsed());
}
