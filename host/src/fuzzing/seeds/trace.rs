use std::fs;
use std::mem::discriminant;

use super::{Corpus, project};
use crate::trace::Trace;

pub(super) fn trace() -> Corpus {
    let recorded = project().join("tests/fixtures/traces/faulty.trace");
    let mut recorded = read(&fs::read(recorded).expect("a recording"));
    let mut kinds = Vec::new();
    recorded.events.retain(|event| {
        let new = !kinds.contains(&discriminant(&event.what));
        kinds.push(discriminant(&event.what));
        new
    });
    let mut plugins = Vec::new();
    recorded.sessions.retain(|session| {
        let new = !plugins.contains(&session.plugin);
        plugins.push(session.plugin.clone());
        new
    });
    let mut at_the_end_of_time = recorded.clone();
    for event in at_the_end_of_time.events.iter_mut().skip(2).step_by(3) {
        event.at = u64::MAX;
    }
    let recorded = written(&recorded);
    let beginning = |made: &str| {
        let header = HEADER.replace("\"test\"", made);
        written(&read(&line(&header)))
    };
    let run = [&line(HEADER)[..], &line(A_RUN)].concat();
    let changed = String::from_utf8_lossy(&recorded).replacen("node-2", "node-9", 1);
    let cut = recorded[..recorded.len() - 100].to_vec();
    let with = |fields: &str| line(&A_MESSAGE.replace("FIELDS", fields));
    let message = |fields: &str| [line(HEADER), with(fields)].concat();
    let deep = format!("{}\"none\"{}", "{\"list\":[".repeat(200), "]}".repeat(200));
    let deep = A_RUN.replace("{\"number\":7}", &deep);
    Corpus::from([
        ("recorded".into(), recorded),
        ("at-the-end-of-time".into(), written(&at_the_end_of_time)),
        ("changed".into(), changed.into_bytes()),
        ("cut".into(), cut),
        ("run".into(), written(&read(&run))),
        ("of-a-node".into(), beginning("\"node\"")),
        ("of-tests".into(), beginning("\"test\"")),
        ("later".into(), line(&HEADER.replace(":1,", ":2,"))),
        ("secrets".into(), message("82a161{1:9}a162c408{2:8}")),
        ("a-claimed-length".into(), message("{1:99999999}")),
        ("claimed-lengths".into(), message(&"{1:67108864}".repeat(9))),
        ("deep".into(), [line(HEADER), line(&deep)].concat()),
    ])
}

fn read(bytes: &[u8]) -> Trace {
    Trace::read(bytes).expect("a trace")
}

fn written(trace: &Trace) -> Vec<u8> {
    let mut written = Vec::new();
    trace.write(&mut written).expect("written");
    written
}

fn line(json: &str) -> Vec<u8> {
    format!("{json}\n").into_bytes()
}

const HEADER: &str = r#"{"trace":{"format":1,"made":"test","build":"0.1.0","contract":"0.1.0"}}"#;

const A_MESSAGE: &str = r#"{"session":{"node":"a","plugin":"p","digest":"00","work":{"message":{"researcher":"r","source":"b","setup":false,"assurance":"channel-key","kind":"K","fields":"FIELDS"}},"calls":[]}}"#;

/// With each effect, value and end that the others have not.
const A_RUN: &str = r#"{"session":{"node":"a","plugin":"p","digest":"00","work":{"run":{"kind":"SecaggRequest","researcher":"r","run":"s","experiment":"e","parties":["a","b"]}},"calls":[{"at":1,"entry":"begin","host-calls":[{"import":"i","given":[{"text":"t"},{"number":7},"none"],"result":{"list":[{"bytes":"00{1:8}"},"unanswered"]}},{"import":"i","result":{"failed":{"kind":"refused","text":"no"}}}],"ended":"found","cost":{"memory":1}},{"at":2,"entry":{"step":[{"from":"b","body":"81a16b01"}]},"ended":{"effects":{"effects":[{"deliver":{"body":"00"}},{"set-peer-key":{"pem":"2d"}},{"publish":{"run":"s","audience":"b","body":"00"}},{"publish":{"run":"s","body":""}},{"establish-pair-secrets":{"keys":[{"from":"b","body":"00"}]}},{"establish-server-key":{"shares":[{"from":"b","body":"00"}]}},{"store":{"key":"k","value":"00"}},{"store":{"key":"k"}}],"ask":[{"to":"b","kind":"K","fields":"80"}]}},"cost":{"fuel":9,"memory":1}},{"at":3,"entry":{"step":[]},"ended":{"failed":{"kind":"malformed","text":"x"}},"cost":{"memory":1}},{"at":4,"entry":{"step":[]},"ended":{"stopped":"trapped"},"cost":{"memory":1}},{"at":5,"entry":{"step":[]},"ended":"cancelled","cost":{"memory":1}}]}}"#;
