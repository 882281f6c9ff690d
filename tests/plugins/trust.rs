//! Signatures: what the policy demands is demanded at every step, and again when a node loads.

use backchannel::packages::{Digest, Role, Signature, SigningKey, Statement};
use time::{Duration, OffsetDateTime};

use crate::component::echo;
use crate::harness::Folder;
use crate::{INPUT, REFUSED, plugin, refused, row_of};

struct Signer(SigningKey);

impl Signer {
    fn new() -> Self {
        let (file, _) = SigningKey::create("x").expect("a key");
        Self(SigningKey::unlock(&file, "x").expect("unlocked"))
    }

    fn key(&self) -> String {
        self.0.public_key().expect("a key").to_string()
    }

    /// Signs for a year from `from_days` on.
    fn sign(&self, component: &[u8], from_days: i64) -> String {
        let from = OffsetDateTime::now_utc() + Duration::days(from_days);
        let statement = Statement {
            name: "echo".into(),
            version: "1.0.0".into(),
            sha256: Digest::of(component),
            from,
            until: from + Duration::days(365),
            role: Role::Reviewer,
            checks: vec!["read it".into()],
        };
        Signature::sign(component, &statement, &self.0)
            .expect("signed")
            .to_string()
    }
}

#[test]
fn two_of_three_keys_must_have_signed() {
    let folder = Folder::new();
    let data = &folder.at("n");
    std::fs::create_dir(data).expect("a folder");
    let signers = [Signer::new(), Signer::new(), Signer::new()];
    let [a, b, c] = &signers;
    let policy = format!(
        "version = 1\n[trust]\nrequire = 2\n[trust.keys]\na = \"{}\"\nb = \"{}\"\nc = \"{}\"\n",
        a.key(),
        b.key(),
        c.key()
    );
    std::fs::write(format!("{data}/policy.toml"), policy).expect("written");
    let component = echo("1.0.0");
    let file = folder.write("echo.wasm", &component);
    let signature = |name: &str, text: String| folder.write(&format!("{name}.minisig"), text);
    let (first, second) = (
        signature("a", a.sign(&component, -1)),
        signature("b", b.sign(&component, -1)),
    );
    let expired = signature("expired", b.sign(&component, -400));
    let early = signature("early", b.sign(&component, 1));
    let foreign = signature("foreign", Signer::new().sign(&component, -1));
    let other = signature("other", b.sign(&echo("1.0.1"), -1));
    let damaged = signature("damaged", "untrusted comment: x\n".into());

    let install = |signatures: &[&String]| {
        let flags = signatures
            .iter()
            .flat_map(|file| ["--signature", file.as_str()]);
        ["install", &file]
            .into_iter()
            .chain(flags)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let why = |exit: i32, signatures: &[&String]| {
        let words = install(signatures);
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        refused(exit, data, &words).why
    };
    for (signatures, says) in [
        (&[][..], "0 of 2"),
        (&[&first], "1 of 2"),
        (&[&first, &first], "1 of 2"),
        (&[&first, &expired], "expired"),
        (&[&first, &early], "not valid before"),
        (&[&first, &foreign], "not trusted"),
        (&[&first, &other], "changed or swapped"),
    ] {
        let why = why(REFUSED, signatures);
        assert!(why.contains(says), "{says}: {why}");
    }
    why(INPUT, &[&first, &damaged]);

    let words = install(&[&first, &second]);
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let installed = plugin(data, &words);
    let digest = installed["digest"].as_str().expect("a digest");
    plugin(data, &["approve", "echo", "--reason", "trial"]);
    plugin(data, &["enable", "echo"]);
    assert_eq!(
        row_of(data, digest)["signed_by"],
        serde_json::json!(["a", "b"])
    );

    // A signature that is gone counts no more, whatever was decided before.
    let hex = digest.trim_start_matches("sha256:");
    let mut signatures = std::fs::read_dir(format!("{data}/plugins")).expect("a folder");
    let signature = signatures.find_map(|entry| {
        let path = entry.expect("an entry").path();
        let name = path.file_name()?.to_str()?;
        (name.starts_with(hex) && name.ends_with(".minisig")).then_some(path)
    });
    std::fs::remove_file(signature.expect("a signature")).expect("removed");
    let problem = refused(REFUSED, data, &["reload"]);
    assert!(problem.why.contains("1 of 2"), "{problem:?}");
}
