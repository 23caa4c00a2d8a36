//! Which addresses requests may go to.
//!
//! | an address, or its host | may be connected to |
//! |---|---|
//! | in a range of `allow` | yes |
//! | in a range of `deny`, or its host matches a name there | no, unless its host matches a name of `allow` |
//! | link-local, or where clouds tell machines their secrets | no |
//! | any other, private ones and loopback included | yes |
//!
//! A name in `allow` lifts no more than `deny`: who answers for the name must not open what only a
//! range can. An IPv6 address that carries an IPv4 address (mapped, NAT64, 6to4 and the like) is judged
//! by that one, and is denied if it is in a denied range itself. The unspecified address (0.0.0.0, ::)
//! reaches this host, so it is denied where loopback is.
//!
//! A proxy looks up names by itself, so before it there are only names to judge, and ranges count for
//! none: those by which clouds' metadata is known are denied, whatever `allow` says.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use thiserror::Error;

use crate::pattern::{Pattern, PatternError};

/// 169.254.0.0/16 (RFC 3927).
const LINK_LOCAL: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(169, 254, 0, 0), 16);

/// Where Azure, Alibaba and Oracle answer beside 169.254.169.254.
const METADATA_V4: [Ipv4Addr; 3] = [
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
];

/// Where Amazon (and whatever else it will put there), Google and Scaleway answer over IPv6.
const METADATA_V6: [Ipv6Net; 3] = [
    Ipv6Net::new_assert(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0), 32),
    Ipv6Net::new_assert(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254), 128),
    Ipv6Net::new_assert(Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42), 128),
];

/// For NAT64 within a network (RFC 8215).
const LOCAL_NAT64: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48);

/// The names by which clouds' metadata is known.
const METADATA_NAMES: [&str; 9] = [
    "metadata",
    "metadata.google.internal",
    "metadata.goog",
    "instance-data",
    "instance-data.ec2.internal",
    "metadata.tencentyun.com",
    "metadata.packet.net",
    "metadata.platformequinix.com",
    "rancher-metadata",
];

/// What requests may connect to; by default all but link-local addresses and clouds' metadata.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// What may be connected to whatever else is said.
    pub allow: Vec<Entry>,
    /// What may not.
    pub deny: Vec<Entry>,
}

/// An entry of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// Addresses.
    Range(IpNet),
    /// Hosts as URLs name them.
    Host(Pattern),
}

/// Why a text is no [`Entry`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum EntryError {
    /// It has a `/`, and a part that is not as it must be.
    #[error("it is no range of addresses")]
    Range,
    /// `10.0.*`, say: it would match texts and no address.
    #[error("addresses have no patterns")]
    PatternOfAddress,
    /// `10.0.0`, say, which connecting takes for 10.0.0.0, and people for a range.
    #[error("an address has four numbers")]
    PartOfAddress,
    /// It has a port, a space or the like.
    #[error("it is neither a range of addresses nor a host")]
    Host,
    /// As hosts have them.
    #[error(transparent)]
    Pattern(#[from] PatternError),
}

/// An address or a host is not to be connected to.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{what} {reason}")]
pub struct Denied {
    /// The address or the host.
    what: String,
    /// Why.
    reason: Reason,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
enum Reason {
    #[error("is in `network.deny`")]
    Listed,
    #[error("is a link-local address, and not in `network.allow`")]
    LinkLocal,
    #[error("is where a cloud tells machines their secrets, and not in `network.allow`")]
    Metadata,
    #[error("is where a cloud tells machines their secrets")]
    MetadataName,
}

impl Denied {
    /// Returns what to do if it is to be connected to all the same.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self.reason {
            Reason::MetadataName => {
                "give the address in the URL, and name it in `network.allow`, if that is meant"
            }
            _ if spelled(&self.what).is_none() => {
                "name the host in `network.allow` if that is meant"
            }
            _ => "name the range in `network.allow` if that is meant",
        }
    }
}

impl Policy {
    /// Judges an address of a host.
    ///
    /// # Errors
    /// It must not be connected to.
    pub fn judge(&self, host: &str, address: IpAddr) -> Result<(), Denied> {
        let judged = meant(address)
            .into_iter()
            .try_for_each(|meant| self.reason(host, address, meant).map_or(Ok(()), Err));
        judged.map_err(|reason| Denied {
            what: if spelled(host) == Some(address) {
                address.to_string()
            } else {
                format!("{address} of {host}")
            },
            reason,
        })
    }

    /// Returns why an address that stands for `meant` must not be connected to, if it must not.
    fn reason(&self, host: &str, address: IpAddr, meant: IpAddr) -> Option<Reason> {
        if in_range(&self.allow, meant) {
            return None;
        }
        let mut all = vec![meant, address];
        if meant.is_unspecified() {
            all.extend([
                IpAddr::from(Ipv4Addr::LOCALHOST),
                Ipv6Addr::LOCALHOST.into(),
            ]);
        }
        let is_in_range = all.iter().any(|address| in_range(&self.deny, *address));
        let is_listed = is_in_range || names(&self.deny, host);
        if is_listed && !names(&self.allow, host) {
            return Some(Reason::Listed);
        }
        match meant {
            IpAddr::V4(v4) if LINK_LOCAL.contains(&v4) => Some(Reason::LinkLocal),
            IpAddr::V6(v6) if v6.is_unicast_link_local() => Some(Reason::LinkLocal),
            IpAddr::V4(v4) if METADATA_V4.contains(&v4) => Some(Reason::Metadata),
            IpAddr::V6(v6) if METADATA_V6.iter().any(|net| net.contains(&v6)) => {
                Some(Reason::Metadata)
            }
            _ => None,
        }
    }

    /// Judges a host before its addresses are known: by its address if it is one, however that is
    /// spelled, otherwise by its name.
    ///
    /// # Errors
    /// It must not be connected to.
    pub fn judge_host(&self, host: &str) -> Result<(), Denied> {
        // A range of `allow` may hold its addresses.
        let may_be_in_range = self
            .allow
            .iter()
            .any(|entry| matches!(entry, Entry::Range(_)));
        match spelled(host) {
            Some(address) => self.judge(host, address),
            None if may_be_in_range => Ok(()),
            None => self.judge_name(host),
        }
    }

    /// Judges a host that a proxy is to connect to, which looks up names by itself.
    ///
    /// # Errors
    /// It must not be connected to.
    pub fn judge_host_beyond_proxy(&self, host: &str) -> Result<(), Denied> {
        if let Some(address) = spelled(host) {
            return self.judge(host, address);
        }
        let name = bare(host).to_ascii_lowercase();
        if METADATA_NAMES.contains(&name.as_str()) {
            return Err(Denied {
                what: host.to_owned(),
                reason: Reason::MetadataName,
            });
        }
        self.judge_name(host)
    }

    fn judge_name(&self, host: &str) -> Result<(), Denied> {
        if names(&self.deny, host) && !names(&self.allow, host) {
            return Err(Denied {
                what: host.to_owned(),
                reason: Reason::Listed,
            });
        }
        Ok(())
    }
}

fn in_range(entries: &[Entry], address: IpAddr) -> bool {
    entries
        .iter()
        .any(|entry| matches!(entry, Entry::Range(range) if range.contains(&address)))
}

fn names(entries: &[Entry], host: &str) -> bool {
    let host = bare(host).to_ascii_lowercase();
    entries
        .iter()
        .any(|entry| matches!(entry, Entry::Host(pattern) if pattern.matches(&host)))
}

impl TryFrom<&str> for Entry {
    type Error = EntryError;

    fn try_from(text: &str) -> Result<Self, EntryError> {
        if let Ok(range) = text.parse::<IpNet>() {
            return Ok(Self::Range(range.trunc()));
        }
        if let Some(address) = spelled(text) {
            let is_whole = address.is_ipv6() || bare(text).split('.').count() == 4;
            let range = Self::Range(address.into());
            return is_whole.then_some(range).ok_or(EntryError::PartOfAddress);
        }
        if text.contains('/') {
            return Err(EntryError::Range);
        }
        let of_address = |c: char| c.is_ascii_digit() || matches!(c, '.' | '*' | '?');
        if text.contains(|c: char| c.is_ascii_digit()) && text.chars().all(of_address) {
            return Err(EntryError::PatternOfAddress);
        }
        let of_host = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '*' | '?');
        if !text.chars().all(of_host) {
            return Err(EntryError::Host);
        }
        let host = bare(text).to_ascii_lowercase();
        Ok(Self::Host(Pattern::try_from(host.as_str())?))
    }
}

/// Returns the host without brackets and without the dot of the root.
fn bare(host: &str) -> &str {
    let inner = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let host = inner.unwrap_or(host);
    host.strip_suffix('.').unwrap_or(host)
}

/// Returns the address that a host is, as connecting takes it: also as one number, octal,
/// hexadecimal, or with fewer than four parts, which the system's look-up understands.
#[must_use]
pub fn spelled(host: &str) -> Option<IpAddr> {
    let host = bare(host);
    if let Ok(address) = host.parse() {
        return Some(address);
    }
    let parts: Option<Vec<u64>> = host.split('.').map(number).collect();
    let parts = parts?;
    let (last, first) = parts.split_last()?;
    if first.len() > 3 || first.iter().any(|part| *part > 255) {
        return None;
    }
    let room = 8 * (4 - u32::try_from(first.len()).ok()?);
    if *last >> room != 0 {
        return None;
    }
    let high = first.iter().fold(0, |high, part| high << 8 | part);
    let all = u32::try_from(high << room | last).ok()?;
    Some(Ipv4Addr::from(all).into())
}

/// Returns the number of a part as C reads it.
fn number(part: &str) -> Option<u64> {
    let lower = part.to_ascii_lowercase();
    let (digits, radix) = match lower.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None if lower.len() > 1 && lower.starts_with('0') => (&lower[1..], 8),
        None => (lower.as_str(), 10),
    };
    let is_number = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
    if is_number {
        u64::from_str_radix(digits, radix).ok()
    } else {
        None
    }
}

/// Returns what an address may stand for: itself, or the IPv4 addresses that it may carry.
fn meant(address: IpAddr) -> Vec<IpAddr> {
    let carried = match address {
        IpAddr::V4(_) => Vec::new(),
        IpAddr::V6(v6) if LOCAL_NAT64.contains(&v6) => translated(v6),
        IpAddr::V6(v6) => carried(v6).into_iter().collect(),
    };
    if carried.is_empty() {
        return vec![address];
    }
    carried.into_iter().map(IpAddr::V4).collect()
}

/// Returns the IPv4 address that an IPv6 address stands for.
fn carried(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let (high, low) = match v6.segments() {
        // Unspecified and loopback (RFC 4291, 2.5).
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => return None,
        // In turn: mapped and compatible (RFC 4291, 2.5.5), translated (RFC 2765), NAT64 (RFC 6052),
        // ISATAP (RFC 5214), 6to4 (RFC 3056).
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [_, _, _, _, 0 | 0x200, 0x5efe, high, low]
        | [0x2002, high, low, ..] => (high, low),
        // Teredo (RFC 4380).
        [0x2001, 0, _, _, _, _, high, low] => (!high, !low),
        _ => return None,
    };
    Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)))
}

/// Returns the IPv4 addresses that an address of [`LOCAL_NAT64`] may carry: the network's prefix may
/// have 48, 56, 64 or 96 bits, which does not show, and the address stands behind it, around the
/// ninth byte (RFC 6052, 2.2).
fn translated(v6: Ipv6Addr) -> Vec<Ipv4Addr> {
    let bytes = v6.octets();
    let around = |at: [usize; 4], end: usize| {
        let is_one = bytes[8] == 0 && bytes[end..].iter().all(|byte| *byte == 0);
        is_one.then(|| Ipv4Addr::from(at.map(|at| bytes[at])))
    };
    let short = [
        around([6, 7, 9, 10], 11),
        around([7, 9, 10, 11], 12),
        around([9, 10, 11, 12], 13),
    ];
    let long = Ipv4Addr::new(bytes[12], bytes[13], bytes[14], bytes[15]);
    short.into_iter().flatten().chain([long]).collect()
}

#[cfg(test)]
mod tests;
