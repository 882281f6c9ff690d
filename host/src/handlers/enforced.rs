//! Each limit on a guest that goes past it: the guest is stopped, and the error names the limit and its value.

use std::time::Duration;

use super::guests::{Guest, LOG, handle, treat};
use super::{
    CallError, Called, Effect, Limit, LimitHit, LoadError, Plugin, Refused, Runtime, Services,
    Terms, Usage,
};

/// What stops a guest under these limits, and what it took.
async fn stopped(guest: Guest<'_>, limits: &[(Limit, u64)]) -> (LimitHit, Usage) {
    let Called { usage, result } = treat(&guest.load(limits)).await;
    let hit = match result {
        Err(CallError::Limit { hit, .. }) => hit,
        other => panic!("not stopped at a limit: {other:?}"),
    };
    assert!(usage.hits.contains(&hit), "the limit is in what it took");
    (hit, usage)
}

/// An instance of which nothing is called.
async fn alone(plugin: &Plugin) -> Called<()> {
    let node = "node".to_owned().try_into().expect("an id");
    let services = Services::blank(&node, 1).expect("services");
    plugin.instance_alone(services).await
}

fn hit(limit: Limit, value: u64) -> LimitHit {
    LimitHit { limit, value }
}

const ENDLESS: &str = "(loop $again (br $again))";

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_keeps_to_its_limits_is_not_stopped_and_what_it_took_is_told() {
    let guest = Guest {
        imports: LOG,
        module: "(func $work (drop (memory.grow (i32.const 3))))",
        handle: "(call $work) (call $log (i32.const 0) (i32.const 0) (i32.const 5))",
        ..Guest::default()
    };
    let Called { usage, result } = treat(&guest.load(&[])).await;
    assert!(result.expect("treated").is_empty());
    assert_eq!((usage.host_calls, usage.peak_memory), (1, 4 << 16));
    // Five bytes of zero, escaped.
    assert_eq!((usage.log_lines, usage.log_bytes), (1, r"\u{0}".len() * 5));
    assert!(usage.hits.is_empty());
    assert!(usage.computing > Duration::ZERO && usage.wall >= usage.computing);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_alone_is_made_as_for_a_message_and_nothing_of_it_is_called() {
    let trapping = Guest {
        handle: "unreachable",
        module: "(table 7 funcref)",
        ..Guest::default()
    };
    let Called { usage, result } = alone(&trapping.load(&[])).await;
    assert!(result.is_ok(), "{result:?}");
    assert_eq!((usage.peak_memory, usage.table_elements), (1 << 16, 7));
    assert!(usage.computing > Duration::ZERO && usage.host_calls == 0);

    let endless = Guest {
        module: "(func $begin (loop $again (br $again))) (start $begin)",
        ..Guest::default()
    };
    let error = alone(&endless.load(&[(Limit::HandleCpuMs, 20)])).await;
    let found = error.result.err().and_then(|error| error.limit());
    assert_eq!(found, Some(hit(Limit::HandleCpuMs, 20)));
}

#[tokio::test(flavor = "multi_thread")]
async fn handle_and_finalize_compute_no_longer_than_each_may() {
    let endless = Guest {
        handle: ENDLESS,
        ..Guest::default()
    };
    let (found, usage) = stopped(endless, &[(Limit::HandleCpuMs, 20)]).await;
    assert_eq!(found, hit(Limit::HandleCpuMs, 20));
    assert!(usage.computing >= Duration::from_millis(10), "{usage:?}");
    let endless = Guest {
        finalize: "(loop $again (br $again)) (i32.const 0)",
        ..Guest::default()
    };
    let (found, _) = stopped(endless, &[(Limit::FinalCpuMs, 20)]).await;
    assert_eq!(found, hit(Limit::FinalCpuMs, 20));
}

#[tokio::test]
async fn a_metered_engine_stops_a_guest_at_the_same_instruction_each_time() {
    let runtime = Runtime::metered().expect("an engine");
    let endless = Guest {
        handle: ENDLESS,
        ..Guest::default()
    };
    let plugin = endless.load_on(&runtime, &[(Limit::HandleCpuMs, 2)]);
    let mut costs = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let Called { usage, result } = treat(&plugin).await;
        let Err(CallError::Limit { hit: found, .. }) = result else {
            panic!("not stopped: {result:?}");
        };
        assert_eq!(found, hit(Limit::HandleCpuMs, 2));
        costs.insert((usage.fuel, usage.computing));
    }

    let all_of_it = (Some(2_000_000), Duration::from_millis(2));
    assert_eq!(costs.into_iter().collect::<Vec<_>>(), [all_of_it]);
}

#[tokio::test(flavor = "multi_thread")]
async fn code_that_runs_at_the_start_is_part_of_handle() {
    let endless = Guest {
        module: "(func $begin (loop $again (br $again))) (start $begin)",
        ..Guest::default()
    };
    let (found, _) = stopped(endless, &[(Limit::HandleCpuMs, 20)]).await;
    assert_eq!(found, hit(Limit::HandleCpuMs, 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn handle_and_finalize_end_when_their_time_is_up_whatever_they_do() {
    let endless = Guest {
        handle: ENDLESS,
        ..Guest::default()
    };
    let (found, _) = stopped(endless, &[(Limit::HandleWallMs, 20)]).await;
    assert_eq!(found, hit(Limit::HandleWallMs, 20));
    let waiting = Guest {
        imports: r#"(import "backchannel:n2n/material@0.1.1" "wait" (func $wait (param i32 i32 i32)))"#,
        handle: "(loop $again (call $wait (i32.const 0) (i32.const 3) (i32.const 64)) (br $again))",
        ..Guest::default()
    };
    let limits = [(Limit::HandleWallMs, 50), (Limit::HostCalls, 1_000_000)];
    let (found, usage) = stopped(waiting, &limits).await;
    assert_eq!(found, hit(Limit::HandleWallMs, 50));
    assert!(
        usage.computing < usage.wall,
        "waiting is no computing: {usage:?}"
    );
    let endless = Guest {
        finalize: "(loop $again (br $again)) (i32.const 0)",
        ..Guest::default()
    };
    let limits = [(Limit::FinalWallMs, 20), (Limit::FinalCpuMs, 10_000)];
    let (found, _) = stopped(endless, &limits).await;
    assert_eq!(found, hit(Limit::FinalWallMs, 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_and_tables_grow_no_further_than_they_may() {
    let memory = Guest {
        handle: "(loop $more (drop (memory.grow (i32.const 16))) (br $more))",
        ..Guest::default()
    };
    let (found, usage) = stopped(memory, &[(Limit::MemoryMib, 2)]).await;
    assert_eq!(found, hit(Limit::MemoryMib, 2));
    assert!(usage.peak_memory <= 2 << 20);
    let table = Guest {
        module: "(table $table 1 funcref)",
        handle: "(loop $more (drop (table.grow $table (ref.null func) (i32.const 100))) (br $more))",
        ..Guest::default()
    };
    let (found, _) = stopped(table, &[(Limit::TableElements, 500)]).await;
    assert_eq!(found, hit(Limit::TableElements, 500));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_instances_of_a_plugin_share_one_bound_of_memory_and_give_theirs_back() {
    let guest = Guest {
        handle: "(drop (memory.grow (i32.const 9)))",
        ..Guest::default()
    };
    let plugin = guest.load(&[(Limit::AllMemoryMib, 1)]);
    let first = handle(&plugin, vec![0x80]).await.result;
    let second = handle(&plugin, vec![0x80]).await.result;
    let refused = second.err().and_then(|error| error.limit());
    assert_eq!(refused, Some(hit(Limit::AllMemoryMib, 1)));
    drop(first);
    assert!(handle(&plugin, vec![0x80]).await.result.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn imports_are_called_no_more_often_than_they_may_in_both_halves_together() {
    let guest = Guest {
        imports: LOG,
        handle: "(call $log (i32.const 0) (i32.const 0) (i32.const 1)) (call $log (i32.const 0) (i32.const 0) (i32.const 1))",
        finalize: "(call $log (i32.const 0) (i32.const 0) (i32.const 1)) (i32.const 0)",
        ..Guest::default()
    };
    let (found, usage) = stopped(guest, &[(Limit::HostCalls, 2)]).await;
    assert_eq!(found, hit(Limit::HostCalls, 2));
    assert_eq!(usage.host_calls, 2);
    assert!(
        treat(&guest.load(&[(Limit::HostCalls, 3)]))
            .await
            .result
            .is_ok()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_full_is_told_and_stops_nobody() {
    let guest = Guest {
        imports: LOG,
        handle: "(call $log (i32.const 0) (i32.const 0) (i32.const 2000)) (call $log (i32.const 0) (i32.const 0) (i32.const 1))",
        ..Guest::default()
    };
    for limit in [Limit::LogLines, Limit::LogKib] {
        let Called { usage, result } = treat(&guest.load(&[(limit, 1)])).await;
        assert!(result.is_ok());
        assert!(usage.hits.contains(&hit(limit, 1)), "{usage:?}");
    }
}

/// The result at 32: a list of `count` effects at 64, 32 bytes each. The first is filled in by `effect`; zeroes are a reply
/// without kind and fields.
fn effects(count: usize, effect: &str) -> String {
    format!(
        "(i32.store (i32.const 36) (i32.const 64)) (i32.store (i32.const 40) (i32.const {count})) {effect} (i32.const 32)"
    )
}

/// `deliver` of 2000 bytes.
const DELIVER: &str =
    "(i32.store8 (i32.const 64) (i32.const 1)) (i32.store (i32.const 72) (i32.const 2000))";

/// `store` of no bytes under a key of one.
const STORE: &str = "(i32.store8 (i32.const 64) (i32.const 5)) (i32.store (i32.const 72) (i32.const 1)) \
     (i32.store8 (i32.const 76) (i32.const 1))";

#[tokio::test(flavor = "multi_thread")]
async fn effects_are_no_more_and_no_larger_than_they_may() {
    let large = effects(1, DELIVER);
    let guest = Guest {
        finalize: &large,
        ..Guest::default()
    };
    let (found, usage) = stopped(guest, &[(Limit::EffectKib, 1)]).await;
    assert_eq!(found, hit(Limit::EffectKib, 1));
    assert_eq!((usage.effects, usage.effect_bytes), (1, 2000));
    let within = treat(&guest.load(&[])).await.result.expect("within");
    assert!(matches!(within.as_slice(), [Effect::Deliver(body)] if body.len() == 2000));
    let many = effects(3, DELIVER);
    let guest = Guest {
        finalize: &many,
        ..Guest::default()
    };
    let (found, _) = stopped(guest, &[(Limit::Effects, 2)]).await;
    assert_eq!(found, hit(Limit::Effects, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_is_stored_where_that_is_granted_and_its_key_can_be_one() {
    let storing = effects(1, STORE);
    let guest = Guest {
        finalize: &storing,
        ..Guest::default()
    };
    let stored = treat(&guest.load(&[])).await.result.expect("granted");
    assert!(matches!(stored.as_slice(), [Effect::Store(entry)] if entry.key.len() == 1));

    let runtime = Runtime::new().expect("an engine");
    let plugin = Plugin::load(&runtime, &guest.component(), Terms::default());
    let refused = treat(&plugin.expect("it imports nothing").into())
        .await
        .result;
    assert!(matches!(
        refused,
        Err(CallError::Effect {
            why: Refused::NotGranted {
                effect: "store",
                ..
            },
            ..
        })
    ));

    let keyless = storing.replace(
        "(i32.const 72) (i32.const 1)",
        "(i32.const 72) (i32.const 0)",
    );
    let guest = Guest {
        finalize: &keyless,
        ..Guest::default()
    };
    let refused = treat(&guest.load(&[])).await.result;
    assert!(matches!(
        refused,
        Err(CallError::Effect {
            why: Refused::Key(0),
            ..
        })
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn randomness_is_drawn_in_small_pieces() {
    let import = r#"(import "backchannel:n2n/random@0.1.1" "bytes" (func $bytes (param i32 i32)))"#;
    let drawing = |count: u32, refused: u32| {
        format!(
            "(call $bytes (i32.const {count}) (i32.const 64)) \
             (if (i32.ne (i32.load8_u (i32.const 64)) (i32.const {refused})) (then unreachable))"
        )
    };
    for (count, refused) in [(4096, 0), (4097, 1)] {
        let handle = drawing(count, refused);
        let guest = Guest {
            imports: import,
            handle: &handle,
            ..Guest::default()
        };
        assert!(
            treat(&guest.load(&[])).await.result.is_ok(),
            "{count} bytes"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_fills_more_than_a_quarter_of_the_memory_is_not_begun() {
    let plugin = Guest::default().load(&[(Limit::MemoryMib, 1)]);
    assert!(handle(&plugin, vec![0; 256 << 10]).await.result.is_ok());
    let refused = handle(&plugin, vec![0; (256 << 10) + 1]).await.result.err();
    let refused = refused.expect("refused");
    assert!(matches!(refused, CallError::TooLarge { .. }));
    assert_eq!(refused.limit(), Some(hit(Limit::MemoryMib, 1)));
    assert!(!refused.is_grave(), "the peer's, not the plugin's");
}

#[test]
fn a_file_that_is_too_large_is_refused_with_the_key_to_raise() {
    let component = vec![0; (1 << 10) + 1];
    let mut terms = Terms::default();
    terms.limits.set(Limit::FileKib, 1).expect("in range");
    let runtime = Runtime::new().expect("an engine");
    let error = Plugin::load(&runtime, &component, terms)
        .err()
        .expect("refused");
    assert!(matches!(error, LoadError::TooLarge { .. }));
    assert!(error.advice().contains("file-kib"), "{}", error.advice());
}
