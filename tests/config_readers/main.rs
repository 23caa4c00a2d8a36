//! The readers of configuration files, against texts that nobody has thought of.
//!
//! [`robustness`]: whatever the text, a reader answers, soon; a text that ends too early is
//! an error. [`differential`]: of random documents, ours and `hocon-rs` say the same.

mod differential;
mod robustness;
mod support;
