pub use wasmtime_c_api::*; // keeps every C symbol in the static library
