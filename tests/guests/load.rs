//! Files that are not loaded.

use backchannel_test_guests::{ATTACKER, HONEST};

use crate::harness::run;
use crate::made::{component, handler, nested, plain_component, with_text};
use crate::stage::{Stage, refused};
use crate::{RUNNING, report};

/// An attack as it is offered: number, name, the file, the plugin's name, terms, and words of the reason.
struct Offer(
    u8,
    &'static str,
    Vec<u8>,
    &'static str,
    &'static [&'static str],
    &'static str,
);

fn import(name: &str) -> Vec<u8> {
    component(&format!(
        "(import \"{name}\" (instance (export \"get\" (func))))"
    ))
}

fn offers(native: Vec<u8>) -> Vec<Offer> {
    let odd = |number, name, file, reason| Offer(number, name, file, "odd", &[], reason);
    let wrong_type = r#"
        (core module $m (func (export "handle")))
        (core instance $i (instantiate $m))
        (func $handle (canon lift (core func $i "handle")))
        (instance $handler (export "handle" (func $handle)))
        (export "backchannel:n2n/handler@0.1.0" (instance $handler))"#;
    vec![
        odd(
            2,
            "memory-of-4-gib",
            handler("odd", "OddRequest", 65_536, "", ""),
            "memor",
        ),
        odd(
            2,
            "memory-over-its-limit",
            handler("odd", "OddRequest", 640, "", ""),
            "memory-mib = 32",
        ),
        odd(
            2,
            "ten-thousand-instances",
            component(&format!(
                "(core module) {}",
                "(core instance (instantiate 0))".repeat(10_000)
            )),
            "instances",
        ),
        odd(
            3,
            "sockets",
            import("wasi:sockets/tcp@0.2.6"),
            "wasi:sockets/tcp@0.2.6",
        ),
        odd(
            3,
            "files",
            import("wasi:filesystem/types@0.2.6"),
            "wasi:filesystem",
        ),
        odd(
            3,
            "http",
            import("wasi:http/outgoing-handler@0.2.6"),
            "wasi:http",
        ),
        odd(
            3,
            "key-store",
            import("backchannel:n2n/key-store@0.1.0"),
            "key-store",
        ),
        Offer(
            3,
            "not-granted",
            ATTACKER.to_vec(),
            "attacker",
            &["--grant", "log"],
            "it also asks for",
        ),
        odd(4, "file-of-5-mib", big(), "file-kib"),
        odd(4, "nested-20,000-deep", nested(20_000), "deeper than 100"),
        odd(
            4,
            "300,000-functions",
            handler("odd", "OddRequest", 1, &"(func)".repeat(300_000), ""),
            "not compiled",
        ),
        odd(5, "native-code", native, "native code"),
        odd(5, "elf", b"\x7fELF\x02\x01\x01".to_vec(), "native code"),
        odd(5, "truncated", HONEST[..HONEST.len() / 2].to_vec(), ""),
        odd(
            5,
            "core-module",
            b"\0asm\x01\0\0\0".to_vec(),
            "core wasm module",
        ),
        odd(
            6,
            "wrong-version",
            with_text(HONEST, "n2n/handler@0.1.1", "n2n/handler@0.9.0"),
            "contract",
        ),
        odd(
            6,
            "mistyped-export",
            plain_component(wrong_type),
            "contract",
        ),
        odd(6, "no-export", plain_component(""), "contract"),
        odd(
            6,
            "no-manifest",
            wat::parse_str("(component)").expect("a component"),
            "manifest",
        ),
        Offer(
            6,
            "two-for-one-kind",
            handler("second", "EchoRequest", 1, "", ""),
            "second",
            &[],
            "EchoRequest",
        ),
        odd(
            23,
            "random-not-granted",
            handler(
                "odd",
                "OddRequest",
                1,
                r#"(import "backchannel:n2n/random@0.1.0" "bytes" (func (param i32 i32)))"#,
                "",
            ),
            "random",
        ),
        odd(
            23,
            "clock",
            import("wasi:clocks/wall-clock@0.2.6"),
            "wasi:clocks",
        ),
        odd(
            23,
            "random",
            import("wasi:random/random@0.2.6"),
            "wasi:random",
        ),
    ]
}

fn big() -> Vec<u8> {
    let filler = vec![0; 5 << 20];
    let mut component = handler("odd", "OddRequest", 1, "", "");
    let section = wasm_encoder::CustomSection {
        name: "filler".into(),
        data: filler.into(),
    };
    wasm_encoder::ComponentSection::append_to_component(&section, &mut component);
    component
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_refused_changes_the_node() {
    let _running = RUNNING.read().await;
    let stage = Stage::with_honest_plugin().await;
    let data = stage.node().data();
    let plugins = stage.node().status()["plugins"].clone();
    for Offer(number, attack, file, name, terms, reason) in offers(native(data)) {
        let why = refused(&stage.network, &file, name, terms);
        assert!(why.contains(reason), "{attack}: {why}");
        assert_eq!(stage.node().status()["plugins"], plugins, "{attack}");
        stage.check(attack).await;
        report(number, attack, &why.chars().take(150).collect::<String>());
        // What was approved before it was refused must not stand in the next one's way.
        run(&["plugin", "remove", name, "--data", data]);
    }
}

/// Code that the node compiled, as a file of its own.
fn native(data: &str) -> Vec<u8> {
    let mut compiled = std::fs::read_dir(format!("{data}/compiled")).expect("compiled code");
    let file = compiled.next().expect("a file").expect("readable");
    // Behind the MAC that only the node itself can make.
    std::fs::read(file.path()).expect("read").split_off(32)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_changed_after_it_was_approved_is_not_loaded() {
    let _running = RUNNING.read().await;
    let stage = Stage::with_honest_plugin().await;
    let data = stage.node().data();
    let folder = format!("{data}/plugins");
    let honest = std::fs::read_dir(folder).expect("plugins");
    let mut files = honest.flatten().map(|entry| entry.path());
    let file = files
        .find(|path| path.extension().is_some_and(|end| end == "wasm"))
        .expect("the honest plugin");
    let mut bytes = std::fs::read(&file).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).expect("written");

    // Other terms, so that the node loads it again.
    let approve = ["plugin", "approve", "honest", "--data", data];
    let terms = ["--limit", "host-calls=7", "--reason", "a test"];
    let outcome = run(&[&approve[..], &terms, &["-o", "json"]].concat());
    assert_ne!(outcome.code, 0, "{outcome:?}");

    stage.check("bit-flipped").await;
    let said: serde_json::Value = serde_json::from_str(&outcome.out).expect("a problem");
    report(
        5,
        "bit-flipped",
        said["error"]["why"].as_str().expect("a reason"),
    );
}
