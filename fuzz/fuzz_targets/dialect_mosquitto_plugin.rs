#![no_main]

use mqhook::dialect::Name;

libfuzzer_sys::fuzz_target!(|data: &[u8]| mqhook_fuzz::dialect(Name::MosquittoPlugin, data));
