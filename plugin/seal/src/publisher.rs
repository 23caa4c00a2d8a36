//! Who published a message, as bytes.

use crate::SealError;

/// Who published a message, and how; `None` is "there is none".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Publisher<'a> {
    /// When the broker took the message, in milliseconds since 1970.
    pub time_ms: u64,
    /// The quality of service that it was published with.
    pub qos: u8,
    /// 3 (MQTT 3.1), 4 (3.1.1) or 5; 0 if it is not known.
    pub protocol_version: u8,
    /// The client identifier.
    pub client_id: Option<&'a str>,
    /// The user name.
    pub username: Option<&'a str>,
    /// The network address, as the broker writes it.
    pub address: Option<&'a str>,
}

impl<'a> Publisher<'a> {
    /// Appends `time 8 | qos 1 | version 1 | client id | user name | address`, each text behind its
    /// length and one, 0 for none.
    pub(crate) fn write(self, to: &mut Vec<u8>) -> Result<(), SealError> {
        to.extend_from_slice(&self.time_ms.to_be_bytes());
        to.extend_from_slice(&[self.qos, self.protocol_version]);
        for text in [self.client_id, self.username, self.address] {
            let length = text.map_or(0, |text| text.len() + 1);
            let length = u16::try_from(length).map_err(|_| SealError::TooLong)?;
            to.extend_from_slice(&length.to_be_bytes());
            to.extend_from_slice(text.unwrap_or_default().as_bytes());
        }
        Ok(())
    }

    /// Reads what [`write`](Self::write) wrote, and any padding behind it.
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (time_ms, rest) = bytes.split_first_chunk()?;
        let (&[qos, protocol_version], mut rest) = rest.split_first_chunk()?;
        let mut text = || {
            let (length, more) = rest.split_first_chunk()?;
            let Some(length) = u16::from_be_bytes(*length).checked_sub(1) else {
                rest = more;
                return Some(None);
            };
            let (text, more) = more.split_at_checked(usize::from(length))?;
            rest = more;
            std::str::from_utf8(text).ok().map(Some)
        };
        Some(Self {
            time_ms: u64::from_be_bytes(*time_ms),
            qos: (qos <= 2).then_some(qos)?,
            protocol_version,
            client_id: text()?,
            username: text()?,
            address: text()?,
        })
    }
}
