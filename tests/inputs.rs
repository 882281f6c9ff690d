//! An operator's data in a real component: parts of a run are given numbers, and points in the place of ids.

use std::fs;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use backchannel::handlers::{
    CallError, Capability, Limit, LoadError, Next, Part, Plugin, Round, Runtime, Services, Start,
    Terms,
};
use backchannel::inputs::{Input, Inputs, Kind, Source};
use backchannel::message::{NodeId, Value};
use backchannel_test_guests::COMPARING;

const A: &str = "name, mrn ,age\nAda,007,57.5\nBea, 12 ,61\nCid,13,19\nAda again,007,57.5\n";
const B: &str = "mrn\n13\n7\n12\n99\n";

/// One engine for all: it reserves much address space.
fn runtime() -> Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| Runtime::new().expect("an engine"));
    runtime.clone()
}

fn column(folder: &Path, file: &str, column: &str, kind: Kind, least: u64) -> Input {
    let source = Source::Column {
        file: file.into(),
        column: column.to_owned(),
    };
    let input = Input::new(source, kind, Some(least)).expect("in range");
    input.within(folder)
}

/// What a hospital grants whose table is in `file`: its ids, and the numbers in its column of ages.
fn granted(folder: &Path, file: &str, least: u64) -> Inputs {
    let of = |name: &str, kind| column(folder, file, name, kind, least);
    [
        ("patients".parse().expect("a name"), of("mrn", Kind::Ids)),
        ("ages".parse().expect("a name"), of("age", Kind::Numbers)),
    ]
    .into()
}

fn load(inputs: Inputs, limits: &[(Limit, u64)]) -> Arc<Plugin> {
    let mut terms = Terms::granting(&[Capability::Inputs, Capability::Blinding]);
    terms.inputs = inputs;
    for (limit, value) in limits {
        terms.limits.set(*limit, *value).expect("in range");
    }
    Arc::new(Plugin::load(&runtime(), COMPARING, terms).expect("loaded"))
}

/// The part of `own` in a run of `a` and `b`.
async fn begun(plugin: &Arc<Plugin>, own: &str, seed: u64) -> Part {
    let node = |name: &str| NodeId::try_from(name).expect("an id");
    let start = Start {
        protocol: "comparing".into(),
        researcher: "r".parse().expect("an id"),
        run: "run".parse().expect("an id"),
        own: node(own),
        parties: vec![node("a"), node("b")],
        params: vec![0x80].into(),
    };
    let services = Services::blank(&node(own), seed).expect("a store");
    let begun = Part::begin(plugin, services, &start).await;
    begun.result.expect("a part")
}

async fn next(part: &mut Part) -> Result<Next, CallError> {
    part.next(&[]).await.result
}

async fn round(part: &mut Part) -> Round {
    match next(part).await {
        Ok(Next::Round(round)) => round,
        other => panic!("{other:?}"),
    }
}

/// The result's fields.
async fn done(part: &mut Part) -> Value {
    match next(part).await {
        Ok(Next::Done(result)) => Value::decode(&result).expect("MessagePack"),
        other => panic!("{other:?}"),
    }
}

/// What a part has failed with: the kind and the words.
fn failed<T: std::fmt::Debug>(result: Result<T, CallError>) -> (&'static str, String) {
    match result {
        Err(CallError::Failure { kind, text, .. }) => (kind, text),
        other => panic!("{other:?}"),
    }
}

fn tables() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("a.csv"), A).expect("written");
    fs::write(folder.path().join("b.csv"), B).expect("written");
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn two_parties_count_what_they_share_and_no_id_leaves_either() {
    let folder = tables();
    let of = |file| load(granted(folder.path(), file, 3), &[]);
    let (a, b) = (NodeId::try_from("a"), NodeId::try_from("b"));
    let (a, b) = (a.expect("an id"), b.expect("an id"));
    let mut at_a = begun(&of("a.csv"), "a", 1).await;
    let mut at_b = begun(&of("b.csv"), "b", 2).await;

    for _ in 0..2 {
        let (from_a, from_b) = (round(&mut at_a).await, round(&mut at_b).await);
        let parcels = [from_a.broadcast, from_b.broadcast].map(|body| body.expect("points"));
        for parcel in &parcels {
            assert!(!parcel.windows(3).any(|bytes| bytes == b"007"));
            assert_eq!(parcel.len() % 33, 0);
        }
        at_a.accept(&b, &parcels[1]).await.result.expect("taken in");
        at_b.accept(&a, &parcels[0]).await.result.expect("taken in");
    }

    let called = at_a.next(&[]).await;
    assert_eq!(called.usage.inputs, [("ages".to_owned(), 4)].into());
    let Ok(Next::Done(found)) = called.result else {
        panic!("no result");
    };
    let found = Value::decode(&found).expect("MessagePack");
    assert_eq!(found.get("common"), Some(&Value::Int(2i64.into())));
    assert_eq!(found.get("sum"), Some(&Value::Float(195.0)));
    // B has no ages.
    let (kind, text) = failed(next(&mut at_b).await);
    assert_eq!(kind, "unavailable", "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_seed_makes_the_same_points_and_another_others() {
    let folder = tables();
    let plugin = load(granted(folder.path(), "a.csv", 3), &[]);
    let mut points = Vec::new();
    for seed in [1, 1, 2] {
        let mut part = begun(&plugin, "a", seed).await;
        points.push(round(&mut part).await.broadcast.expect("points").to_vec());
    }
    assert_eq!(points[0], points[1]);
    assert_ne!(points[0], points[2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_party_whose_points_are_none_is_at_fault() {
    let folder = tables();
    let plugin = load(granted(folder.path(), "a.csv", 3), &[]);
    let b = NodeId::try_from("b").expect("an id");
    let mut own = begun(&plugin, "a", 1).await;
    let good = round(&mut own).await.broadcast.expect("points").to_vec();
    for bad in [
        good[1..].to_vec(),
        good.repeat(2),
        vec![0; 33],
        vec![4; 66],
        [&[2], [0xff; 32].as_slice()].concat(),
        vec![3; 33 * 200_000],
    ] {
        let mut part = begun(&plugin, "a", 2).await;
        let _ = round(&mut part).await;
        let accepted = part.accept(&b, &bad.clone().into()).await.result;
        let (kind, text) = failed(accepted);
        assert_eq!(kind, "malformed", "{} bytes: {text}", bad.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn data_that_are_not_as_granted_are_not_given_and_the_words_hold_none() {
    let folder = tables();
    fs::create_dir(folder.path().join("folder.csv")).expect("made");
    fs::write(
        folder.path().join("bad.csv"),
        "mrn,age\n007,secret\n8,\n9,NaN\n",
    )
    .expect("written");
    let first = async |inputs| {
        let mut part = begun(&load(inputs, &[]), "a", 1).await;
        failed(next(&mut part).await)
    };
    let of = |file| granted(folder.path(), file, 3);
    let few = granted(folder.path(), "a.csv", 4);
    for (inputs, expected) in [
        (Inputs::new(), "unavailable"),
        (of("gone.csv"), "unavailable"),
        (of("folder.csv"), "unavailable"),
        (few, "refused"),
    ] {
        let (kind, text) = first(inputs).await;
        assert_eq!(kind, expected, "{text}");
        assert!(!text.contains("csv") && !text.contains("007"), "{text}");
    }
    let mut swapped = of("a.csv");
    let numbers = column(folder.path(), "a.csv", "age", Kind::Numbers, 1);
    swapped.insert("patients".parse().expect("a name"), numbers);
    assert_eq!(first(swapped).await.0, "refused");
    // Its ids can be had, its ages not.
    let plugin = load(of("bad.csv"), &[]);
    let mut part = begun(&plugin, "a", 1).await;
    let (_, _) = (round(&mut part).await, round(&mut part).await);
    let (kind, text) = failed(next(&mut part).await);
    assert!(kind == "unavailable" && !text.contains("secret"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_changes_is_read_as_it_is_then() {
    let folder = tables();
    let plugin = load(granted(folder.path(), "a.csv", 3), &[]);
    let points = async |seed| {
        let mut part = begun(&plugin, "a", seed).await;
        next(&mut part).await
    };
    fs::remove_file(folder.path().join("a.csv")).expect("gone");
    assert_eq!(failed(points(1).await).0, "unavailable");
    fs::write(folder.path().join("a.csv"), "mrn\n1\n2\n3\n4\n").expect("written");
    let Ok(Next::Round(round)) = points(1).await else {
        panic!("no round");
    };
    assert_eq!(round.broadcast.map(|body| body.len()), Some(4 * 33));
}

#[tokio::test(flavor = "multi_thread")]
async fn blinding_that_takes_longer_than_the_plugin_may_is_stopped() {
    let many: Vec<_> = (0..20_000).map(|n| n.to_string()).collect();
    let input = Input::new(Source::Values(many), Kind::Ids, None).expect("in range");
    let inputs = [("patients".parse().expect("a name"), input)].into();
    let plugin = load(inputs, &[(Limit::HandleWallMs, 100)]);
    let mut part = begun(&plugin, "a", 1).await;

    let stopped = next(&mut part).await;

    let Err(CallError::Limit { hit, .. }) = stopped else {
        panic!("{stopped:?}");
    };
    assert_eq!(hit.limit, Limit::HandleWallMs);
}

#[test]
fn a_component_that_asks_for_data_and_is_not_granted_any_does_not_load() {
    for (granted, lacks) in [
        (Capability::Inputs, Capability::Blinding),
        (Capability::Blinding, Capability::Inputs),
    ] {
        let terms = Terms::granting(&[granted]);
        let loaded = Plugin::load(&runtime(), COMPARING, terms);
        let Err(LoadError::NotGranted { capability, .. }) = loaded else {
            panic!("it loads");
        };
        assert_eq!(capability, lacks);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_found_is_told_of_and_not_more() {
    let folder = tables();
    let plugin = load(granted(folder.path(), "a.csv", 3), &[]);
    let mut part = begun(&plugin, "a", 1).await;
    let called = part.next(&[]).await;
    assert_eq!(called.usage.inputs, [("patients".to_owned(), 3)].into());
    assert!(called.usage.grants.contains(&Capability::Blinding));
    let _ = round(&mut part).await;
    let found = done(&mut part).await;
    assert_eq!(found.get("common"), Some(&Value::Int(0i64.into())));
}
