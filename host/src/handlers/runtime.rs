//! The wasm engine: limits, the instance pool, and the clock that interrupts guests.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use wasmtime::component::Component;
use wasmtime::{Config, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig};

use super::{CompiledCode, Limit, LoadError, compile};

/// How many instances can be alive at once, over all plugins. The router admits fewer messages than this at a time.
pub(super) const INSTANCES: u32 = 1200;

/// The most linear memory any plugin may be given, in bytes.
const LARGEST_MEMORY: usize = (*Limit::MemoryMib.range().end() as usize) << 20;

/// The most stack of a call into a plugin, in bytes.
pub(super) const STACK: usize = 512 << 10;

/// What one call may have lifted into the host, in bytes about; the engine's default is 128 MiB.
pub(super) const LIFTED: usize = 8 << 20;

/// The most handles of resources that one instance may hold; the engine's default is 100,000.
pub(super) const HANDLES: usize = 1000;

/// The most memories of one instance. Compilers make one.
pub(super) const MEMORIES: u32 = 1;

/// A guest that computes is interrupted this often, yields to other tasks, and has one tick of its budget taken.
pub(super) const TICK: Duration = Duration::from_millis(1);

/// After so many ticks without an instance the clock rests: a node that treats one message after the other does not wake it for each.
const TICKS_BEFORE_REST: u32 = 20;

/// What a metered engine counts as a millisecond of computing: about as many instructions as a machine does in that time.
pub const FUEL_PER_MS: u64 = 1_000_000;

/// The engine all plugins of a process share. Clones are the same engine.
#[derive(Clone)]
pub struct Runtime {
    engine: Engine,
    ticker: Arc<Ticker>,
    compiler: Option<Arc<Path>>,
    kept: Option<Arc<CompiledCode>>,
    metered: bool,
}

impl Runtime {
    /// Builds the engine. Fails when the machine cannot reserve the pool's address space (about 160 GiB, none of it used).
    pub fn new() -> wasmtime::Result<Self> {
        let engine = Engine::new(&config())?;
        let ticker = Arc::new(Ticker::default());
        let (weak, turning) = (engine.weak(), Arc::downgrade(&ticker));
        std::thread::Builder::new()
            .name("wasm-epoch".into())
            .spawn(move || {
                let mut idle = 0;
                while let (Some(engine), Some(ticker)) = (weak.upgrade(), turning.upgrade()) {
                    engine.increment_epoch();
                    drop(engine);
                    ticker.wait(&mut idle);
                }
            })?;
        Ok(Self {
            engine,
            ticker,
            compiler: None,
            kept: None,
            metered: false,
        })
    }

    /// Compiles components that come from elsewhere in processes of `program`, each with a limit of time and memory; without
    /// a program, in this process and without limits. The program's `main` must begin with
    /// [`serve_compiler`](super::serve_compiler), and be built from the same source as this.
    pub fn compiling_in(mut self, program: Option<PathBuf>) -> Self {
        self.compiler = program.map(Into::into);
        self
    }

    /// Keeps compiled code in `kept`, and takes from there what was compiled before.
    pub fn keeping(mut self, kept: Option<CompiledCode>) -> Self {
        self.kept = kept.map(Arc::new);
        self
    }

    /// The compiled form of the component with this digest.
    pub(super) fn code(&self, component: &[u8], digest: &[u8; 32]) -> Result<Component, LoadError> {
        let compile = || self.compile(component);
        match &self.kept {
            Some(kept) => kept.get_or_compile(&self.engine, digest, compile),
            None => compile(),
        }
    }

    /// Compiles a component, elsewhere if there is where.
    fn compile(&self, component: &[u8]) -> Result<Component, LoadError> {
        let ours = backchannel_artifacts::ALL;
        match &self.compiler {
            Some(program) if !ours.iter().any(|(_, built_in)| *built_in == component) => {
                compile::elsewhere(program, &self.engine, component)
            }
            _ => compile::here(&self.engine, component),
        }
    }

    /// An engine that counts instructions instead of looking at a clock, as simulations need it: a guest is stopped at the same
    /// instruction on every machine. A millisecond of a limit is [`FUEL_PER_MS`] of them. Instances are not taken from a pool: it
    /// would be shared by all simulated nodes, of which a hundred have more in work than one.
    pub fn metered() -> wasmtime::Result<Self> {
        let mut config = config();
        config
            .epoch_interruption(false)
            .consume_fuel(true)
            .allocation_strategy(InstanceAllocationStrategy::OnDemand);
        Ok(Self {
            engine: Engine::new(&config)?,
            ticker: Arc::default(),
            compiler: None,
            kept: None,
            metered: true,
        })
    }

    pub(super) fn is_metered(&self) -> bool {
        self.metered
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Keeps the clock ticking while the guard lives. Held by every instance.
    pub(super) fn ticking(&self) -> Ticking {
        self.ticker.begin();
        Ticking(self.ticker.clone())
    }
}

/// Counts instances, so that a node without work is not woken a thousand times a second. Counting takes no system call, unless the clock rests.
#[derive(Default)]
struct Ticker {
    running: AtomicUsize,
    is_resting: AtomicBool,
    rests: Mutex<()>,
    wake: Condvar,
}

impl Ticker {
    fn begin(&self) {
        self.running.fetch_add(1, Ordering::SeqCst);
        // Either this is seen to be true, or the clock sees the instance before it rests.
        if self.is_resting.load(Ordering::SeqCst) {
            let _rests = self.rests.lock().unwrap_or_else(PoisonError::into_inner);
            self.wake.notify_one();
        }
    }

    fn end(&self) {
        self.running.fetch_sub(1, Ordering::SeqCst);
    }

    /// Waits for the next tick. After so many in a row without instances, it waits until there is one, or a second has passed.
    fn wait(&self, idle: &mut u32) {
        if self.running.load(Ordering::SeqCst) > 0 {
            *idle = 0;
        }
        if *idle < TICKS_BEFORE_REST {
            *idle += 1;
            return std::thread::sleep(TICK);
        }
        let rests = self.rests.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_resting.store(true, Ordering::SeqCst);
        if self.running.load(Ordering::SeqCst) == 0 {
            let _ = self.wake.wait_timeout(rests, Duration::from_secs(1));
        }
        self.is_resting.store(false, Ordering::SeqCst);
    }
}

/// See [`Runtime::ticking`].
pub(super) struct Ticking(Arc<Ticker>);

impl Drop for Ticking {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// The most of something that one plugin may be given; the pool has as much for every instance.
fn most(limit: Limit) -> u32 {
    u32::try_from(*limit.range().end()).unwrap_or(u32::MAX)
}

/// With these settings an instance costs no system call, and half the time that it costs with the defaults.
pub(super) fn config() -> Config {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(INSTANCES)
        // Only counted, not reserved.
        .total_core_instances(INSTANCES * most(Limit::Instances))
        .total_memories(INSTANCES * MEMORIES)
        .total_tables(INSTANCES * most(Limit::Tables))
        .total_stacks(INSTANCES)
        .max_core_instances_per_component(most(Limit::Instances))
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(most(Limit::Tables))
        .max_memory_size(LARGEST_MEMORY)
        .table_elements(most(Limit::TableElements) as usize)
        .max_component_instance_size(1 << 20)
        .max_unused_warm_slots(100)
        // At least the guests' initial memory: resetting it by copying beats giving pages back.
        .linear_memory_keep_resident(256 << 10)
        .table_keep_resident(256 << 10)
        .async_stack_keep_resident(256 << 10);
    let mut config = Config::new();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .memory_reservation(LARGEST_MEMORY as u64)
        .memory_guard_size(32 << 10)
        .max_wasm_stack(STACK)
        .async_stack_size(1 << 20)
        .cranelift_opt_level(OptLevel::Speed)
        .epoch_interruption(true)
        // Component-model async costs two to three times as much and buys no cancellation that dropping does not.
        .concurrency_support(false);
    config
}
