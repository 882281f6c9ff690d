//! What is left of secrets in a node's memory: the test starts itself once more, as a process with two nodes in it, and reads that
//! process's memory while they talk, when their session has ended, and when they are gone.
//!
//! The process draws from the system and writes down what it drew, so this one can compute all secrets, by the formulas of the
//! design and not by the code that keeps them. Those that must be gone are looked for in all memory that can be written, by halves and
//! in both orders of bytes; those that must still be there are looked for in the same way, and found.
//!
//! What cannot be cleared, and is not:
//!
//! - Values that are moved, and what a function computes with, leave copies on the stack, which later calls overwrite. Here a call does
//!   that on purpose ([`overwrite_stack`]): a node that has just treated a message and does nothing else may have some of its keys
//!   there.
//! - The registers, and what the system wrote to a swap space or a core file.
//! - A message belongs to who hands it over to be sealed and to who gets it opened. This test clears both, and so shows that no
//!   other copy is made.

use std::convert::Infallible;
use std::env;
use std::fs::{self, File};
use std::hint::black_box;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, Stdio};

use aho_corasick::AhoCorasick;
use backchannel::message::{Inner, OverlayMessage, Value};
use backchannel::sessions::{Known, Moment, Opened, Sealed, Sessions, Suite};
use getrandom::SysRng;
use p256::elliptic_curve::Generate;
use p256::{PublicKey, SecretKey};
use rand_core::{CryptoRng, TryCryptoRng, TryRng};
use zeroize::Zeroize;

use crate::secrets::{CONTENT_BYTES, KEPT_BYTES, Secret, UNANSWERED, Until, secrets};
use crate::stage::{HELD, first_moment, hello, known, limits, node, researcher};

/// Names the file that the process writes what it draws to.
const DRAWN: &str = "BACKCHANNEL_TEST_DRAWN";
/// The number of the suite that the nodes talk in.
const SUITE: &str = "BACKCHANNEL_TEST_SUITE";
/// Into the stack of a test, which has 2 MiB.
const STACK_BYTES: usize = 1 << 19;

/// Draws from the system, and writes it down without a copy in memory.
struct Recorder(File);

/// Draws what was written down.
struct Given<'a>(&'a [u8]);

impl TryRng for Recorder {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        panic!("only bytes are drawn");
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        panic!("only bytes are drawn");
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        SysRng.try_fill_bytes(bytes).expect("randomness");
        self.0.write_all(bytes).expect("written");
        Ok(())
    }
}

impl TryCryptoRng for Recorder {}

impl TryRng for Given<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        panic!("only bytes are drawn");
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        panic!("only bytes are drawn");
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        let (given, rest) = self.0.split_at(bytes.len());
        bytes.copy_from_slice(given);
        self.0 = rest;
        Ok(())
    }
}

impl TryCryptoRng for Given<'_> {}

/// Two nodes, and what they sent.
struct Talk {
    a: Sessions,
    b: Sessions,
    sent: Vec<OverlayMessage>,
}

/// Two nodes that are made, get a session, and say something to each other.
#[inline(never)]
fn talk(suite: Suite, now: Moment, rng: &mut impl CryptoRng) -> Box<Talk> {
    let [of_a, of_b] = [(); 2].map(|()| SecretKey::generate_from_rng(rng));
    let publics = [&of_a, &of_b].map(SecretKey::public_key);
    let mut a = knowing(
        suite,
        "b",
        publics[1],
        Sessions::new(node("a"), of_a, hello("a")),
        now,
    );
    let mut b = knowing(
        suite,
        "a",
        publics[0],
        Sessions::new(node("b"), of_b, hello("b")),
        now,
    );
    for number in 0..UNANSWERED {
        let elsewhere = format!("elsewhere {number:02}");
        let elsewhere = elsewhere.parse().expect("an id");
        let begun = a.begin(&node("b"), &elsewhere, now, rng);
        begun.expect("known").expect("nothing under way");
    }

    let first = a.begin(&node("b"), &researcher(), now, rng);
    let first = first.expect("known").expect("nothing under way");
    let Ok(Opened::Answer(second)) = b.open(&first, now, rng) else {
        panic!("no answer");
    };
    let Ok(Opened::Established { proof, .. }) = a.open(&second, now, rng) else {
        panic!("no session");
    };
    b.open(&proof, now, rng).expect("proven");
    let forth = say("a", &mut a, &mut b, now, rng);
    let back = say("b", &mut b, &mut a, now, rng);
    let sent = vec![first, second, proof, forth, back];
    Box::new(Talk { a, b, sent })
}

/// Has a node know its peer; and another, which comes and goes, so that what is known of the peer is moved.
fn knowing(
    suite: Suite,
    peer: &str,
    identity: PublicKey,
    mut sessions: Sessions,
    now: Moment,
) -> Sessions {
    let limits = limits(suite);
    let of_peer = Known {
        identity,
        ..known(peer, limits)
    };
    sessions.know(node(peer), of_peer, now);
    for first in ["0", "1"] {
        sessions.know(node(first), known(first, limits), now);
    }
    sessions.forget(&node("0"));
    sessions
}

/// Something is said that was drawn; what both ends have of it is cleared.
fn say(
    from: &str,
    sender: &mut Sessions,
    receiver: &mut Sessions,
    now: Moment,
    rng: &mut impl CryptoRng,
) -> OverlayMessage {
    let mut bytes = vec![0; CONTENT_BYTES];
    rng.fill_bytes(&mut bytes);
    let mut content = Inner {
        source: node(from),
        dest: node(if from == "a" { "b" } else { "a" }),
        request_id: None,
        kind: "SiteGreeting".into(),
        fields: Value::Map(vec![("bytes".into(), Value::Bin(bytes))]),
    };
    let sealed = sender.seal(&researcher(), &content, now, rng);
    let Ok(Sealed::Message { message, .. }) = sealed else {
        panic!("no message");
    };
    let Ok(Opened::Message { mut inner, .. }) = receiver.open(&message, now, rng) else {
        panic!("not opened");
    };
    assert!(inner == content, "another message");
    content.fields.zeroize();
    inner.fields.zeroize();
    message
}

/// The session ends, and what a relay may still hold of it is too old.
#[inline(never)]
fn close(talk: &mut Talk, now: Moment, rng: &mut impl CryptoRng) {
    let closed = talk.a.close(&node("b"), &researcher(), now, rng);
    let closed = closed.expect("a session");
    assert_eq!(talk.b.open(&closed, now, rng), Ok(Opened::Closed));
    let later = Moment {
        running: now.running + HELD,
        wall: now.wall + HELD,
    };
    talk.a.tidy(later);
    talk.b.tidy(later);
}

/// Overwrites what calls before have left.
#[inline(never)]
fn overwrite_stack() {
    let zeros = [0u8; STACK_BYTES];
    black_box(&zeros);
}

/// The process with the nodes. At each stop it says where it is, and waits.
fn be_the_nodes(suite: Suite, drawn: &str) {
    let stop = |at: &str| {
        overwrite_stack();
        println!("{at}");
        std::io::stdin()
            .read_line(&mut String::new())
            .expect("a line");
    };
    let now = first_moment();
    let mut rng = Recorder(File::create(drawn).expect("a file"));
    let mut kept = Box::new([0; KEPT_BYTES]);
    rng.try_fill_bytes(kept.as_mut_slice()).expect("randomness");
    let mut nodes = talk(suite, now, &mut rng);
    stop("they talk");
    close(&mut nodes, now, &mut rng);
    stop("they closed");
    drop(nodes);
    stop("they are gone");
    black_box(kept);
}

/// All that a process has in memory that can be written.
fn image(process: u32) -> Vec<Vec<u8>> {
    let memory = File::open(format!("/proc/{process}/mem")).expect("its memory");
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).expect("its maps");
    let writable = maps.lines().filter(|line| line.contains(" rw"));
    let read = writable.map(|line| {
        let range = line
            .split(' ')
            .next()
            .and_then(|range| range.split_once('-'));
        let (from, to) = range.expect("a range");
        let [from, to] = [from, to].map(|at| u64::from_str_radix(at, 16).expect("hex"));
        let mut bytes = vec![0; (to - from) as usize];
        memory.read_exact_at(&mut bytes, from).expect("read");
        bytes
    });
    read.collect()
}

/// Which secrets are in the image, whole or by half.
fn found(secrets: &[Secret], image: &[Vec<u8>]) -> Vec<bool> {
    let mut needles = Vec::new();
    let mut of = Vec::new();
    for (at, secret) in secrets.iter().enumerate() {
        for half in secret.bytes.chunks_exact(16) {
            // Numbers are held in words, the least one first.
            let reversed: Vec<u8> = half.iter().rev().copied().collect();
            needles.extend([half.to_vec(), reversed]);
            of.extend([at; 2]);
        }
    }
    let search = AhoCorasick::new(&needles).expect("needles");
    let mut found = vec![false; secrets.len()];
    for bytes in image {
        for hit in search.find_overlapping_iter(bytes) {
            found[of[hit.pattern().as_usize()]] = true;
        }
    }
    found
}

/// Reads what the process says until it has stopped there.
fn wait_for(process: &mut Child, lines: &mut impl BufRead, at: &str) {
    let mut line = String::new();
    while !line.contains(at) {
        line.clear();
        let read = lines.read_line(&mut line).expect("a line");
        assert!(read > 0, "ended: {:?}", process.wait());
    }
}

#[test]
fn no_secret_is_in_memory_for_longer_than_it_is_of_use() {
    if let Ok(drawn) = env::var(DRAWN) {
        let suite = env::var(SUITE).ok().and_then(|number| number.parse().ok());
        let suite = suite.and_then(Suite::of_number).expect("a suite");
        return be_the_nodes(suite, &drawn);
    }
    Suite::ALL.into_iter().for_each(no_secret_stays);
}

fn no_secret_stays(suite: Suite) {
    let folder = tempfile::tempdir().expect("a folder");
    let drawn = folder.path().join("drawn");
    let test = "erased::no_secret_is_in_memory_for_longer_than_it_is_of_use";
    let mut process = Command::new(env::current_exe().expect("this program"))
        .args(["--exact", test, "--nocapture"])
        .env(DRAWN, &drawn)
        .env(SUITE, suite.number().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let mut lines = BufReader::new(process.stdout.take().expect("a pipe"));
    let mut go_on = process.stdin.take().expect("a pipe");
    let mut wrong = Vec::new();
    for (at, now) in [
        ("they talk", Until::Used),
        ("they closed", Until::Closed),
        ("they are gone", Until::Gone),
    ] {
        wait_for(&mut process, &mut lines, at);
        let image = image(process.id());
        let drawn = fs::read(&drawn).expect("what was drawn");
        let (_, of_nodes) = drawn.split_at(KEPT_BYTES);
        let talk = talk(suite, first_moment(), &mut Given(of_nodes));
        let secrets = secrets(suite, &drawn, &talk.sent);
        let found = found(&secrets, &image);
        let bytes: usize = image.iter().map(Vec::len).sum();
        let count = |there: bool| secrets.iter().filter(|s| (s.until > now) == there).count();
        let (gone, there) = (count(false), count(true));
        println!("{suite:?}, {at}: {bytes} bytes; {gone} must be gone, {there} must be there");
        for (secret, found) in secrets.iter().zip(found) {
            if found != (secret.until > now) {
                let said = if found { "there" } else { "not found" };
                wrong.push(format!("{suite:?}, {at}: {} is {said}", secret.name));
            }
        }
        go_on.write_all(b"\n").expect("it goes on");
    }
    assert!(process.wait().expect("an end").success());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
