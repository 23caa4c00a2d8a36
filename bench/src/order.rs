//! Which functions of mqhook the linker puts together: those that ran under callgrind, the busiest
//! first.
//!
//! ```text
//! callgrind's profiles: instructions of each symbol --+
//!                                                     +-> names, without what each build makes anew -> linker script
//! nm: bytes of each symbol ---------------------------+
//! ```

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};

/// Most bytes that a name may bring with it: of functions that are called the same and did not run.
const MOST_IDLE: u64 = 128 << 10;
/// Names that bring more than these with them come last, so that the busy ones stay close.
const FEW_IDLE: u64 = 4 << 10;

/// Arguments of the order.
#[derive(clap::Args)]
pub struct Args {
    /// What `nm --print-size` prints of mqhook.
    symbols: PathBuf,
    /// Files of callgrind, run with `--demangle=no`.
    #[arg(required = true)]
    profiles: Vec<PathBuf>,
}

/// Functions that have one name in the script.
#[derive(Default)]
struct Namesakes {
    instructions: u64,
    /// Bytes of those that ran.
    run: u64,
    /// Bytes of those that did not.
    idle: u64,
}

/// Prints the linker script.
///
/// # Errors
/// When a file cannot be read, or when nothing of mqhook ran.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let mut instructions = HashMap::new();
    for path in &args.profiles {
        add_profile(&mut instructions, &read(path)?);
    }
    let names = names(&read(&args.symbols)?, &instructions);
    ensure!(
        !names.is_empty(),
        "no function of mqhook is in the profiles"
    );
    print!("{}", script(&names));
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<String> {
    let bytes = fs::read(path).with_context(|| format!("read {}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Adds each symbol's own instructions, without those of what it calls.
///
/// A name is written out once, with a number that stands for it afterwards. The line behind `calls=`
/// counts the called function's instructions.
fn add_profile(instructions: &mut HashMap<String, u64>, profile: &str) {
    let mut named = HashMap::new();
    let (mut function, mut is_call) = ("", false);
    for line in profile.lines() {
        if let Some((key, reference)) = line.split_once("fn=")
            && matches!(key, "" | "c")
        {
            let (number, name) = reference.split_once(' ').unwrap_or((reference, ""));
            if !name.is_empty() {
                // Recursion has levels: `name'2`.
                named.insert(number, name.split('\'').next().unwrap_or(name));
            }
            if key.is_empty() {
                function = named.get(number).copied().unwrap_or("");
            }
        } else if line.starts_with("calls=") {
            is_call = true;
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            let cost = line
                .split(' ')
                .nth(1)
                .and_then(|cost| cost.parse::<u64>().ok());
            if let (false, Some(cost)) = (is_call, cost) {
                *instructions.entry(function.to_owned()).or_default() += cost;
            }
            is_call = false;
        }
    }
}

/// The names of what ran, the busiest first.
fn names(symbols: &str, instructions: &HashMap<String, u64>) -> Vec<String> {
    let mut all = BTreeMap::<String, Namesakes>::new();
    for (size, symbol) in symbols.lines().filter_map(symbol) {
        let namesakes = all.entry(name(symbol)).or_default();
        match instructions.get(symbol) {
            Some(count) => {
                namesakes.instructions += count;
                namesakes.run += size;
            }
            None => namesakes.idle += size,
        }
    }
    let mut ran = all
        .into_iter()
        .filter(|(_, namesakes)| namesakes.run > 0 && namesakes.idle <= MOST_IDLE)
        .collect::<Vec<_>>();
    ran.sort_by_key(|(_, namesakes)| (namesakes.idle > FEW_IDLE, Reverse(namesakes.instructions)));
    ran.into_iter().map(|(name, _)| name).collect()
}

/// Size and symbol in a line of `nm`: address, size, kind, name.
fn symbol(line: &str) -> Option<(u64, &str)> {
    let mut columns = line.split(' ').skip(1);
    let size = u64::from_str_radix(columns.next()?, 16).ok()?;
    let symbol = columns.nth(1)?;
    let is_plain = symbol
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"_.$".contains(&byte));
    is_plain.then_some((size, symbol))
}

/// A symbol as a pattern, with `*` for what another compiler or another version of a crate changes.
fn name(symbol: &str) -> String {
    /// Before the hash at the end of a path in Rust's older mangling.
    const HASH: &str = "17h";
    if symbol.starts_with("_ZN")
        && let Some(hash) = symbol.rfind(HASH)
    {
        return format!("{}*", &symbol[..hash + HASH.len()]);
    }
    if symbol.starts_with("_R") {
        return format!("{}*", without_disambiguators(symbol));
    }
    symbol.to_owned()
}

/// Crates are `Cs`, a number and `_` in Rust's newer mangling (RFC 2603).
fn without_disambiguators(symbol: &str) -> String {
    let mut parts = symbol.split("Cs");
    let mut name = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        name.push_str("Cs");
        match part.split_once('_') {
            Some((number, rest)) if number.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                name.push_str("*_");
                name.push_str(rest);
            }
            _ => name.push_str(part),
        }
    }
    name
}

fn script(names: &[String]) -> String {
    let mut script = String::from(
        "/* Functions that run from mqhook's start until it rests, and per event, the busiest first.\n   \
         Made by bench/order. */\n\
         SECTIONS\n{\n  .text.ordered : {\n",
    );
    for name in names {
        // Those that the compiler takes for cold are in sections of another name.
        writeln!(script, "    *(.text*.{name})").expect("a string takes everything");
    }
    script.push_str("  }\n}\nINSERT BEFORE .text;\n");
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILE: &str = "\
fn=(1) _ZN6mqhook4main17h0123456789abcdefE
10 5
calls=2 7
+3 1000
* 1
fn=(2) sqlite3_step'2
cfn=(1)
calls=1 1
-4 77
12 900
fn=(1)
3 4
";

    #[test]
    fn instructions_are_each_functions_own() {
        let mut instructions = HashMap::new();
        add_profile(&mut instructions, PROFILE);
        let expected = [
            ("_ZN6mqhook4main17h0123456789abcdefE", 10),
            ("sqlite3_step", 900),
        ];
        assert_eq!(
            instructions,
            HashMap::from(expected.map(|(name, count)| (name.to_owned(), count)))
        );
    }

    #[test]
    fn names_outlive_a_build() {
        let cases = [
            (
                "_ZN6mqhook4main17h0123456789abcdefE.llvm.12",
                "_ZN6mqhook4main17h*",
            ),
            (
                "_RNvMs0_NtCsjrHSEGnQ3l9_3std4sync",
                "_RNvMs0_NtCs*_3std4sync*",
            ),
            ("_RNvCsa1_3barCsb2_3foo", "_RNvCs*_3barCs*_3foo*"),
            ("releaseMemArray.part.0", "releaseMemArray.part.0"),
        ];
        for (symbol, expected) in cases {
            assert_eq!(name(symbol), expected);
        }
    }

    #[test]
    fn what_ran_is_kept_together() {
        let symbols = "\
0000000000001000 0000000000000010 t seldom
0000000000002000 0000000000000020 T often
0000000000003000 0000000000000020 T never
0000000000004000 0000000000000008 t _ZN3one17h0123456789abcdefE
0000000000005000 0000000000002000 t _ZN3one17hfedcba9876543210E
0000000000008000 0000000000000008 t _ZN4many17h0123456789abcdefE
0000000000009000 0000000000100000 t _ZN4many17hfedcba9876543210E
                 U memcpy
0000000000010000 d data
";
        let ran = [
            ("seldom", 1),
            ("often", 9),
            ("memcpy", 90),
            ("_ZN3one17h0123456789abcdefE", 50),
            ("_ZN4many17h0123456789abcdefE", 60),
        ];
        let instructions = ran.map(|(name, count)| (name.to_owned(), count)).into();
        assert_eq!(
            names(symbols, &instructions),
            ["often", "seldom", "_ZN3one17h*"]
        );
    }
}
