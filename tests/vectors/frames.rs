//! `frames.json`: protobuf, and where messages are cut.

use backchannel::proto::researcher::{TaskRequest, TaskResponse, TaskResult};
use backchannel::transport::chunks::{MAX_SLICE, Slice, cut};
use prost::Message;
use serde_json::Value as Json;

use crate::fixture::{Report, bytes, list, load, number, text};

pub const FILE: &str = "frames.json";

#[test]
fn vectors_frames() {
    let file = load(FILE);
    let mut report = Report::new(FILE);
    assert_eq!(MAX_SLICE as u64, number(&file["max_chunk"]));
    check_request(&file["task_request"]);
    report.checked();
    for case in list(&file, "task_result") {
        check_result(case);
        report.checked();
    }
    for case in list(&file, "cuts") {
        check_cut(case);
        report.checked();
    }
    report.finish();
}

fn check_request(case: &Json) {
    let request = TaskRequest {
        node: text(case, "node").into(),
        protocol_version: text(case, "protocol_version").into(),
    };
    let sent = bytes(case, "protobuf");
    assert_eq!(request.encode_to_vec(), sent);
    assert_eq!(TaskRequest::decode(sent.as_slice()), Ok(request));
}

/// A response has the same fields as a result.
fn check_result(case: &Json) {
    let slice = Slice {
        size: number(&case["size"]) as i32,
        iteration: number(&case["iteration"]) as i32,
        bytes: bytes(case, "bytes").into(),
    };
    let sent = bytes(case, "protobuf");
    assert_eq!(TaskResult::from(slice.clone()).encode_to_vec(), sent);
    assert_eq!(TaskResponse::from(slice.clone()).encode_to_vec(), sent);
    let received = TaskResult::decode(sent.as_slice()).expect("a result");
    assert_eq!(Slice::from(received), slice);
}

fn check_cut(case: &Json) {
    let message = vec![7; number(&case["message_bytes"]) as usize];
    let slices = cut(message).map(|slice| {
        let length = slice.bytes.len() as u64;
        [slice.size as u64, slice.iteration as u64, length]
    });
    let chunk = |chunk: &Json| [0, 1, 2].map(|index| number(&chunk[index]));
    let expected: Vec<[u64; 3]> = list(case, "chunks").iter().map(chunk).collect();
    assert_eq!(slices.collect::<Vec<_>>(), expected);
}
