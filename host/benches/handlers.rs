//! What a message costs that a plugin treats in a fresh sandbox: instance, `handle`, `finalize`; beside the same done natively, and on two
//! threads beside one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use backchannel::handlers::{
    Assurance, Effect, Envelope, Message, Outgoing, Plugin, Runtime, Services, Terms,
};
use backchannel::message::Value;
use backchannel_test_guests::HONEST;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// What a message says, in bytes.
const SAID: usize = 512;

fn envelope() -> Envelope {
    Envelope {
        researcher_id: "researcher".into(),
        source: "peer".into(),
        setup: false,
        assurance: Assurance::IdentityKey,
    }
}

fn message() -> Message {
    let fields = Value::Map(vec![("text".into(), "x".repeat(SAID).into())]);
    Message {
        kind: "EchoRequest".into(),
        request_id: Some("id".into()),
        fields: fields.encode(),
    }
}

struct Bench {
    plugin: Arc<Plugin>,
    services: Services,
}

impl Bench {
    fn new() -> Self {
        let runtime = Runtime::new().expect("an engine");
        let plugin = Plugin::load(&runtime, HONEST, Terms::default()).expect("loaded");
        Self {
            plugin: Arc::new(plugin),
            services: Services::blank(&"node".parse().expect("an id"), 1).expect("services"),
        }
    }

    async fn treat(&self) -> Vec<Effect> {
        let called = self.plugin.handle(&self.services, envelope(), message());
        let found = called.await.result.expect("handled").expect("something");
        found.finalize().await.result.expect("effects")
    }
}

/// What the plugin does, without a sandbox.
fn natively() -> Effect {
    let fields = Value::decode(&message().fields).expect("fields");
    let text = fields.get("text").and_then(Value::as_str).expect("a text");
    Effect::Reply(Outgoing {
        kind: "EchoReply".into(),
        fields: Value::Map(vec![("text".into(), text.into())]),
    })
}

fn handlers(criterion: &mut Criterion) {
    let bench = Arc::new(Bench::new());
    let mut group = criterion.benchmark_group("a message of 512 B");
    group.throughput(Throughput::Elements(1));
    group.bench_function("natively", |bench| bench.iter(natively));
    for threads in [1, 2] {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .enable_all()
            .build()
            .expect("a runtime");
        let name = format!("in a fresh sandbox, threads: {threads}");
        group.bench_function(&name, |bencher| {
            bencher.iter_custom(|messages| on_threads(&runtime, &bench, threads as u64, messages));
        });
    }
    group.finish();
}

/// So many messages, one after the other on each thread.
fn on_threads(
    runtime: &tokio::runtime::Runtime,
    bench: &Arc<Bench>,
    threads: u64,
    messages: u64,
) -> Duration {
    let begun = Instant::now();
    let workers: Vec<_> = (0..threads)
        .map(|thread| {
            let bench = bench.clone();
            let share = messages / threads + u64::from(thread < messages % threads);
            runtime.spawn(async move {
                for _ in 0..share {
                    bench.treat().await;
                }
            })
        })
        .collect();
    runtime.block_on(async {
        for worker in workers {
            worker.await.expect("no panic");
        }
    });
    begun.elapsed()
}

criterion_group!(benches, handlers);
criterion_main!(benches);
