#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| peergraph_fuzz::invitation(data));
