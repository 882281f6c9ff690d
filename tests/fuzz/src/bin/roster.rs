#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    backchannel::fuzzing::roster(input);
});
