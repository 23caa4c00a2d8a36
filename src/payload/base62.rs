//! Base 62 of any number of bytes, as `NanoMQ` writes it since 0.24.9.
//!
//! The bytes are one big-endian number, written with the digits 0-9, A-Z, a-z, the most
//! significant first; each leading zero byte gives one leading `0`. Digit by digit that
//! takes quadratic time (64 KiB: a second), so the number is divided by a power of 62 with
//! half its digits, and the halves likewise, until they fit the `base62` crate's `u128`.

use dashu_int::UBig;
use dashu_int::ops::{BitTest, DivRem};

/// Digits that a leaf holds: 62^21 is the last power of 62 below 2^128.
const LEAF_DIGITS: usize = 21;
const LEAF_LIMIT: u128 = 62_u128.pow(21);

/// Returns the base-62 digits of `bytes`; of no bytes, no digits.
pub(super) fn encode(bytes: &[u8]) -> String {
    let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
    let number = UBig::from_be_bytes(&bytes[zeros..]);
    let mut digits = Vec::with_capacity(zeros + bytes.len() * 27 / 20 + LEAF_DIGITS);
    digits.resize(zeros, b'0');
    if !number.is_zero() {
        let powers = powers_up_to(&number);
        write_first(number, &powers, &mut digits);
    }
    String::from_utf8(digits).expect("base62 digits are ASCII")
}

/// Returns 62^21, 62^42, 62^84, ... as far as their squares are needed to divide `number`.
fn powers_up_to(number: &UBig) -> Vec<UBig> {
    let mut powers = vec![UBig::from(LEAF_LIMIT)];
    while let Some(last) = powers.last()
        && last.bit_len() * 2 <= number.bit_len() + 1
    {
        powers.push(last.sqr());
    }
    powers
}

/// Writes a number without leading zeros.
fn write_first(number: UBig, powers: &[UBig], digits: &mut Vec<u8>) {
    match powers.split_last() {
        Some((power, smaller)) if number >= *power => {
            let (high, low) = number.div_rem(power);
            write_first(high, smaller, digits);
            write_padded(low, smaller, digits);
        }
        Some((_, smaller)) => write_first(number, smaller, digits),
        None => {
            let start = digits.len();
            digits.resize(start + LEAF_DIGITS, 0);
            let length = write_leaf(&number, &mut digits[start..]);
            digits.truncate(start + length);
        }
    }
}

/// Writes a number below `62^(21 * 2^powers.len())` with all its leading zeros.
fn write_padded(number: UBig, powers: &[UBig], digits: &mut Vec<u8>) {
    if let Some((power, smaller)) = powers.split_last() {
        let (high, low) = number.div_rem(power);
        write_padded(high, smaller, digits);
        write_padded(low, smaller, digits);
    } else {
        let mut leaf = [0; LEAF_DIGITS];
        let length = write_leaf(&number, &mut leaf);
        digits.resize(digits.len() + LEAF_DIGITS - length, b'0');
        digits.extend_from_slice(&leaf[..length]);
    }
}

fn write_leaf(number: &UBig, digits: &mut [u8]) -> usize {
    let number = u128::try_from(number).expect("a leaf is below 62^21");
    ::base62::encode_bytes(number, digits).expect("21 digits hold a number below 62^21")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALPHABET: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

    /// Vectors that NanoMQ 0.25.3 posted, and its own test's.
    #[test]
    fn digits_are_nanomqs() {
        let check = |bytes: &[u8], expected: &str| assert_eq!(encode(bytes), expected);
        check(b"", "");
        check(b"hello", "7tQLFHz");
        check(b"f", "1e");
        check(b"fo", "6ox");
        check(b"foo", "SAPP");
        check(b"foob", "1sIyuo");
        check(b"Hello World!", "T8dgcjRGkZ3aysdN");
        check(b"messagei+/", "2a7oZkl5ty6sG7");
        check(&[0], "0");
        check(&[0, 0], "00");
        check(&[0, 0, 1, 2], "004A");
        check(&[0xff, 0xfe, 0x80, b'a', b'b', b'c'], "1HvPVo55P");
        check(&[0xfb, 0xef, 0xbe, 0xff], "4c3C07");
        check(&[0xff; 16], "7n42DGM5Tflk9n8mt7Fhc7");
        check(&[0xff; 17], "WAaf8lXCcWT8aQuHrZwq5R1");
    }

    proptest! {
        #[test]
        fn digits_equal_the_oracles(bytes in prop::collection::vec(any::<u8>(), 0..600), zeros in 0..3_usize) {
            let mut padded = vec![0; zeros];
            padded.extend(bytes);
            prop_assert_eq!(encode(&padded), base_x::encode(ALPHABET, &padded));
        }
    }
}
