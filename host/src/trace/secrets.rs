//! What is secret in the trace of a node at work, and is left out of it.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::bytes::Piece;
use super::{Bytes, Call, Effect, Ended, Entry, HostCall, Session, Value, Work};
use crate::message;

/// Shorter than this, bytes are no key or share, and would be found by chance where they are not.
const SHORTEST: usize = 8;
/// From this length on, a text or byte string in a message may be anything that two nodes tell each other.
const LONG_IN_A_MESSAGE: usize = 16;
/// From this length on, a secret keeps more than enough of itself when its first two bytes are known.
const LONG: usize = 32;
/// Public keys stay: handlers parse them.
const PUBLIC: &[u8] = b"-----BEGIN PUBLIC KEY-----";
/// What comes from these is secret whatever it is.
const SECRET_IMPORTS: [&str; 4] = [
    "random.bytes",
    "sharing.share-for",
    "material.wait",
    "store.get",
];

/// What comes from these, or is given to them, is made of patients' data: not a byte of it is shown.
const OF_PATIENTS: [&str; 3] = [INPUT, "blinding.ids", "blinding.points"];
/// What hands a plugin the data themselves.
const INPUT: &str = "inputs.vector";

/// More secrets are not told apart: these took 171 MiB when that was measured.
const MOST: usize = 1_000_000;
/// So many bytes are hashed in search of the secrets in one message; a message of a peer can be made to need many more.
const MOST_SEARCHED: usize = 64 << 20;

/// There were more secrets than a trace has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {MOST} secrets were met, and no more can be told apart")]
pub struct TooMany;

/// The secrets met so far: the same bytes are the same secret, wherever they stand. They are known by a keyed digest alone, so
/// that none of them stays in memory for as long as a node records.
///
/// Secret are random bytes, shares, what was prepared for a run, what a plugin has stored, and in messages every text or byte
/// string of 16 bytes or more, and every integer as long, that is not a name of the session or a public key. Numbers, short
/// texts and the fields' names stay, and the first byte or two of what is 32 bytes or longer.
///
/// An operator's data, and points made of them, are secret to the last byte; so is what a plugin that was given them writes to the log.
pub struct Secrets {
    key: Hmac<Sha256>,
    handles: HashMap<[u8; 32], u32>,
    starts: RandomState,
    /// The lengths of the secrets that begin with the same bytes, which are known by a keyed hash too. The longest first.
    lengths: HashMap<u64, Vec<usize>>,
    most: usize,
    most_searched: usize,
}

impl Secrets {
    /// None yet. `key` is drawn for this trace and kept nowhere else.
    pub fn new(key: &[u8; 64]) -> Self {
        Self {
            key: Hmac::new(key.into()),
            handles: HashMap::new(),
            starts: RandomState::new(),
            lengths: HashMap::new(),
            most: MOST,
            most_searched: MOST_SEARCHED,
        }
    }

    /// Leaves the secrets of a session out. A session that brings too many must not be shown at all.
    pub fn hide(&mut self, session: &mut Session) -> Result<(), TooMany> {
        let names = names(session);
        let mut found = Found {
            secrets: self,
            names: &names,
        };
        found.gather(session);
        if self.handles.len() >= self.most {
            return Err(TooMany);
        }
        each_bytes(session, &mut |bytes| {
            *bytes = self.hidden(&bytes.stand_in(), &names);
        });
        if has_read_an_input(session) {
            hide_log(session);
        }
        Ok(())
    }

    /// Of a long one the first byte is shown, and the second where the first is only a sign: how many bytes an integer takes on
    /// the wire depends on them, and a plugin that is given a stand-in of another width makes another message.
    fn keep(&mut self, secret: &[u8]) {
        if secret.starts_with(PUBLIC) {
            return;
        }
        let shown = match secret {
            [0x00 | 0xff, ..] if secret.len() >= LONG => 2,
            _ if secret.len() >= LONG => 1,
            _ => 0,
        };
        self.keep_whole(&secret[shown..]);
    }

    fn keep_whole(&mut self, secret: &[u8]) {
        let Some(start) = secret.first_chunk::<SHORTEST>() else {
            return;
        };
        if self.handles.len() >= self.most {
            return;
        }
        let id = u32::try_from(self.handles.len() + 1).unwrap_or(u32::MAX);
        self.handles.entry(self.digest(secret)).or_insert(id);
        let lengths = self.lengths.entry(self.starts.hash_one(start)).or_default();
        let place = lengths.partition_point(|length| *length > secret.len());
        if lengths.get(place) != Some(&secret.len()) {
            lengths.insert(place, secret.len());
        }
    }

    fn digest(&self, secret: &[u8]) -> [u8; 32] {
        let mut mac = self.key.clone();
        mac.update(secret);
        mac.finalize().into_bytes().into()
    }

    /// What a session calls by its name, it shows in full, even if it was taken for a secret in another, which does not say
    /// that it is a name.
    fn hidden(&self, bytes: &[u8], names: &[String]) -> Bytes {
        let mut pieces = Vec::new();
        let mut clear = Vec::new();
        let mut rest = bytes;
        let mut searched = 0;
        while let Some(first) = rest.first() {
            let found = self.first_of(rest, names, &mut searched);
            if searched > self.most_searched {
                // The handle of nothing else: what the rest is made of is not known.
                let (id, length) = (0, rest.len());
                pieces.push(Piece::Clear(std::mem::take(&mut clear)));
                pieces.push(Piece::Secret { id, length });
                break;
            }
            let Some((id, length)) = found else {
                clear.push(*first);
                rest = &rest[1..];
                continue;
            };
            pieces.push(Piece::Clear(std::mem::take(&mut clear)));
            pieces.push(Piece::Secret { id, length });
            rest = &rest[length..];
        }
        pieces.push(Piece::Clear(clear));
        Bytes::of(pieces)
    }

    /// The longest secret that `bytes` begin with: its handle and its length. What it took is added to `searched`, in bytes.
    fn first_of(
        &self,
        bytes: &[u8],
        names: &[String],
        searched: &mut usize,
    ) -> Option<(u32, usize)> {
        let start = bytes.first_chunk::<SHORTEST>()?;
        let lengths = self.lengths.get(&self.starts.hash_one(start))?;
        for length in lengths {
            let Some(part) = bytes.get(..*length) else {
                continue;
            };
            *searched += length;
            if *searched > self.most_searched {
                return None;
            }
            if let Some(id) = self.handles.get(&self.digest(part)) {
                let is_name = names.iter().any(|name| name.as_bytes() == part);
                return (!is_name).then_some((*id, *length));
            }
        }
        None
    }
}

/// The search for a session's secrets.
struct Found<'a> {
    secrets: &'a mut Secrets,
    names: &'a [String],
}

impl Found<'_> {
    fn gather(&mut self, session: &Session) {
        if let Work::Message(incoming) = &session.work {
            self.message(&incoming.fields);
        }
        for call in &session.calls {
            if let Entry::Step(answers) = &call.entry {
                answers.iter().for_each(|answer| self.message(&answer.body));
            }
            call.host_calls.iter().for_each(|call| self.host_call(call));
            if let Ended::Effects { effects, ask } = &call.ended {
                effects.iter().for_each(|effect| self.effect(effect));
                ask.iter().for_each(|asked| self.message(&asked.fields));
            }
        }
    }

    fn host_call(&mut self, call: &HostCall) {
        if OF_PATIENTS.contains(&call.import.as_str()) {
            for value in call.given.iter().chain([&call.result]) {
                if let Value::Bytes(bytes) = value {
                    self.secrets.keep_whole(&bytes.stand_in());
                }
            }
        }
        if SECRET_IMPORTS.contains(&call.import.as_str())
            && let Value::Bytes(bytes) = &call.result
        {
            self.message(bytes);
            self.secrets.keep(&bytes.stand_in());
        }
    }

    fn effect(&mut self, effect: &Effect) {
        match effect {
            Effect::Reply { fields, .. } => self.message(fields),
            Effect::Deliver { body } => self.message(body),
            Effect::Publish { body, .. } => self.secrets.keep(&body.stand_in()),
            Effect::EstablishServerKey { shares } => shares
                .iter()
                .for_each(|share| self.secrets.keep(&share.body.stand_in())),
            Effect::Store { value, .. } => value
                .iter()
                .for_each(|value| self.secrets.keep(&value.stand_in())),
            Effect::SetPeerKey { .. } | Effect::EstablishPairSecrets { .. } => {}
        }
    }

    /// What is MessagePack is kept leaf by leaf, so that a plugin that reads it again finds its way; anything else whole.
    fn message(&mut self, bytes: &Bytes) {
        let bytes = bytes.stand_in();
        match message::Value::decode(&bytes) {
            Ok(value @ message::Value::Map(_)) => self.leaves(&value),
            _ => self.secrets.keep(&bytes),
        }
    }

    fn leaves(&mut self, value: &message::Value) {
        match value {
            message::Value::Str(text)
                if text.len() >= LONG_IN_A_MESSAGE && !self.names.contains(text) =>
            {
                self.secrets.keep_whole(text.as_bytes());
            }
            message::Value::Bin(bytes) => self.leaf(bytes),
            message::Value::Int(integer) => self.leaf(&integer.to_signed_bytes_be()),
            message::Value::List(items)
            | message::Value::Tuple(items)
            | message::Value::Set(items) => items.iter().for_each(|item| self.leaves(item)),
            message::Value::Map(entries) => {
                entries.iter().for_each(|(_, value)| self.leaves(value));
            }
            _ => {}
        }
    }

    fn leaf(&mut self, bytes: &[u8]) {
        if bytes.len() >= LONG_IN_A_MESSAGE {
            self.secrets.keep(bytes);
        }
    }
}

/// The names that both ends and the researcher know: without them a session makes no sense, and they are in every log.
fn names(session: &Session) -> Vec<String> {
    let mut names = vec![session.node.clone()];
    match &session.work {
        Work::Message(incoming) => {
            names.extend([&incoming.source, &incoming.researcher].map(Clone::clone));
            names.extend(incoming.request.clone());
        }
        Work::Run(run) => {
            names.extend([&run.run, &run.researcher, &run.experiment].map(Clone::clone));
            names.extend(run.parties.iter().cloned());
        }
    }
    for call in &session.calls {
        for host_call in &call.host_calls {
            // Runs and keys that the plugin asks for by name; what it logs is its own affair and shown as it is.
            names.extend(host_call.given.iter().filter_map(|value| match value {
                Value::Text(text) if host_call.import != "log.write" => Some(text.clone()),
                _ => None,
            }));
        }
    }
    names
}

fn host_calls(session: &Session) -> impl Iterator<Item = &HostCall> {
    session.calls.iter().flat_map(|call| &call.host_calls)
}

/// Whether the plugin was given an operator's data in the clear.
fn has_read_an_input(session: &Session) -> bool {
    host_calls(session).any(|call| call.import == INPUT && matches!(call.result, Value::Bytes(_)))
}

/// Leaves out what it has written to the log, whatever the length: the handle is that of nothing else.
fn hide_log(session: &mut Session) {
    let calls = session
        .calls
        .iter_mut()
        .flat_map(|call| &mut call.host_calls);
    for call in calls.filter(|call| call.import == "log.write") {
        if let Some(Value::Text(text)) = call.given.last() {
            let length = text.len();
            let left_out = Bytes::of(vec![Piece::Secret { id: 0, length }]);
            call.given.pop();
            call.given.push(Value::Bytes(left_out));
        }
    }
}

/// All bytes of a session, to be looked at or changed.
pub fn each_bytes(session: &mut Session, with: &mut impl FnMut(&mut Bytes)) {
    if let Work::Message(incoming) = &mut session.work {
        with(&mut incoming.fields);
    }
    for Call {
        entry,
        host_calls,
        ended,
        ..
    } in &mut session.calls
    {
        if let Entry::Step(answers) = entry {
            answers.iter_mut().for_each(|answer| with(&mut answer.body));
        }
        for call in host_calls {
            call.given
                .iter_mut()
                .for_each(|value| of_value(value, with));
            of_value(&mut call.result, with);
        }
        let Ended::Effects { effects, ask } = ended else {
            continue;
        };
        ask.iter_mut().for_each(|asked| with(&mut asked.fields));
        for effect in effects {
            match effect {
                Effect::Reply { fields: bytes, .. }
                | Effect::Deliver { body: bytes }
                | Effect::SetPeerKey { pem: bytes }
                | Effect::Publish { body: bytes, .. } => with(bytes),
                Effect::Store { value, .. } => value.iter_mut().for_each(&mut *with),
                Effect::EstablishPairSecrets { keys: of_parties }
                | Effect::EstablishServerKey { shares: of_parties } => {
                    of_parties.iter_mut().for_each(|one| with(&mut one.body));
                }
            }
        }
    }
}

fn of_value(value: &mut Value, with: &mut impl FnMut(&mut Bytes)) {
    match value {
        Value::Bytes(bytes) => with(bytes),
        Value::List(values) => values.iter_mut().for_each(|value| of_value(value, with)),
        Value::None
        | Value::Unanswered
        | Value::Text(_)
        | Value::Number(_)
        | Value::Failed { .. } => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Cost, Incoming};
    use std::collections::BTreeSet;

    use super::*;

    const SHARE: &[u8] = b"\x11share that nobody else may see\x22";

    fn no_secrets() -> Secrets {
        Secrets::new(&[7; 64])
    }

    fn session() -> Session {
        let share =
            message::Value::Int(message::Integer::from_signed_bytes_be(SHARE).expect("an integer"));
        let fields = |share| {
            message::Value::Map(vec![
                ("secagg_id".into(), "a run with a long name".into()),
                ("share".into(), share),
                ("note".into(), "patient 4711 was here".into()),
            ])
        };
        let fields = Bytes::from(fields(share).encode());
        Session {
            node: "a".into(),
            plugin: "p".into(),
            digest: String::new(),
            work: Work::Message(Incoming {
                id: None,
                researcher: "r".into(),
                source: "b".into(),
                setup: false,
                assurance: "channel-key".into(),
                kind: "K".into(),
                request: None,
                fields: fields.clone(),
            }),
            calls: vec![Call {
                at: 0,
                entry: Entry::Handle,
                host_calls: vec![HostCall {
                    import: "material.wait".into(),
                    given: vec![Value::Text("a run with a long name".into())],
                    result: Value::Bytes(Bytes::from(SHARE)),
                }],
                ended: Ended::Effects {
                    effects: vec![Effect::Deliver { body: fields }],
                    ask: vec![],
                },
                cost: Cost::default(),
            }],
        }
    }

    #[test]
    fn nothing_secret_is_in_what_is_written_and_names_are() {
        let mut hidden = session();
        no_secrets().hide(&mut hidden).expect("few");
        let text = serde_json::to_string(&hidden).expect("written");

        for secret in [&SHARE[1..], b"patient 4711 was here"] {
            assert!(!text.contains(&hex::encode(secret)), "{text}");
        }
        assert!(
            text.contains(&hex::encode("a run with a long name")),
            "{text}"
        );
    }

    #[test]
    fn not_a_byte_of_patients_data_is_in_what_is_written_nor_what_is_logged_of_them() {
        let call = |import: &str, given, result: &[u8]| HostCall {
            import: import.into(),
            given,
            result: Value::Bytes(Bytes::from(result)),
        };
        let number = 57.25_f64.to_le_bytes();
        let (ids, points, others) = ([2_u8; 33], [3_u8; 66], [4_u8; 66]);
        let line = vec![Value::Text("info".into()), Value::Text("57.25".into())];
        let mut hidden = session();
        hidden.calls[0].host_calls = vec![
            call("inputs.vector", vec![Value::Text("ages".into())], &number),
            call("blinding.ids", vec![Value::Text("mrns".into())], &ids),
            call(
                "blinding.points",
                vec![Value::Bytes(Bytes::from(&others[..]))],
                &points,
            ),
            HostCall {
                result: Value::None,
                ..call("log.write", line.clone(), b"")
            },
        ];
        let logged = HostCall {
            result: Value::None,
            ..call("log.write", line, b"")
        };
        let known = BTreeSet::new();

        no_secrets().hide(&mut hidden).expect("few");

        let text = serde_json::to_string(&hidden).expect("written");
        for part in ["4c40", "0202", "0303", "0404", "57.25"] {
            assert!(!text.contains(part), "{part}: {text}");
        }
        for name in ["ages", "mrns", "info"] {
            assert!(text.contains(name), "{name}: {text}");
        }
        let replayed = &hidden.calls[0].host_calls[3];
        assert!(replayed.asks_for_the_same(&logged, &known));
    }

    #[test]
    fn what_is_logged_by_a_plugin_that_was_given_no_data_stays() {
        let mut hidden = session();
        hidden.calls[0].host_calls.push(HostCall {
            import: "log.write".into(),
            given: vec![Value::Text("info".into()), Value::Text("begun".into())],
            result: Value::None,
        });
        no_secrets().hide(&mut hidden).expect("few");
        let text = serde_json::to_string(&hidden).expect("written");
        assert!(text.contains("begun"), "{text}");
    }

    #[test]
    fn the_same_secret_has_one_handle_and_the_message_keeps_its_form() {
        let mut hidden = session();
        no_secrets().hide(&mut hidden).expect("few");

        let Value::Bytes(material) = &hidden.calls[0].host_calls[0].result else {
            panic!("material");
        };
        let Work::Message(incoming) = &hidden.work else {
            panic!("a message");
        };
        let handle = material.secrets().next().expect("secret");
        assert!(incoming.fields.secrets().any(|id| id == handle));
        let read = message::Value::decode(&incoming.fields.stand_in()).expect("MessagePack");
        let share = read
            .get("share")
            .and_then(message::Value::as_int)
            .expect("an integer");
        assert_eq!(&*share.to_signed_bytes_be(), material.stand_in().as_slice());
    }

    #[test]
    fn a_name_that_another_session_took_for_a_secret_is_shown_where_it_is_known() {
        let run = "a run with a long name";
        let mut secrets = no_secrets();
        let mut nameless = session();
        nameless.calls[0].host_calls.clear();
        secrets.hide(&mut nameless).expect("few");
        let mut named = session();
        secrets.hide(&mut named).expect("few");

        let written = |session| serde_json::to_string(session).expect("written");
        assert!(!written(&nameless).contains(&hex::encode(run)));
        assert!(written(&named).contains(&hex::encode(run)));
    }

    #[test]
    fn public_keys_stay() {
        let pem = [PUBLIC, b"\nMFkw...\n"].concat();
        let mut secrets = no_secrets();
        secrets.keep(&pem);

        assert!(!secrets.hidden(&pem, &[]).has_secrets());
    }

    #[test]
    fn a_session_that_brings_too_many_is_told_of() {
        let mut secrets = no_secrets();
        secrets.most = 2;

        assert_eq!(secrets.hide(&mut session()), Err(TooMany));
        assert_eq!(secrets.handles.len(), 2);
    }

    #[test]
    fn what_is_made_to_be_searched_for_long_is_left_out_whole() {
        let mut secrets = no_secrets();
        secrets.most_searched = 1000;
        let same = [b'a'; 200];
        for length in 20..50 {
            secrets.keep_whole(&[&same[..length], b"b"].concat());
        }
        let bytes = [b"clear", &same[..], b"end"].concat();

        let hidden = secrets.hidden(&bytes, &[]);

        let [Piece::Clear(clear), Piece::Secret { id: 0, length }] = hidden.pieces() else {
            panic!("a clear and a hidden part");
        };
        assert!(clear.len() < 16 && clear.starts_with(b"clear"));
        assert_eq!(clear.len() + length, bytes.len());
    }

    #[test]
    fn of_secrets_that_begin_alike_the_longest_is_found() {
        let mut secrets = no_secrets();
        let texts = [
            "a text of some length",
            "a text of some",
            "a text of some length more",
        ];
        for text in texts {
            secrets.keep_whole(text.as_bytes());
        }

        for (text, id) in texts.iter().zip(1..) {
            let hidden = secrets.hidden(text.as_bytes(), &[]);
            assert!(hidden.secrets().eq([id]), "{text}");
            assert_eq!(hidden.pieces().len(), 1, "{text}");
        }
    }
}
