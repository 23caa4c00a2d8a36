#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mqhook_fuzz::plugin(data));
