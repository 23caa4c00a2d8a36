//! Server-sent events, as the HTML standard has them (9.2.6), as far as mqhook sends any.

/// The most bytes of one event.
const LARGEST: usize = 4 << 20;

/// Makes events of pieces of a stream.
#[derive(Debug, Default)]
pub(super) struct Parser {
    /// The end of what came, which has no line end yet.
    line: Vec<u8>,
    name: String,
    data: String,
}

/// One event.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// What it is; "message" if the stream does not say.
    pub(super) name: String,
    pub(super) data: String,
}

/// An event is larger than any that mqhook sends.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLarge;

impl Parser {
    /// Returns the events that end in a piece.
    pub(super) fn feed(&mut self, piece: &[u8]) -> Result<Vec<Event>, TooLarge> {
        let mut events = Vec::new();
        let mut rest = piece;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, behind) = rest.split_at(end);
            rest = &behind[1..];
            self.line.extend_from_slice(line);
            let line = std::mem::take(&mut self.line);
            let line = line.strip_suffix(b"\r").unwrap_or(&line);
            events.extend(self.line(&String::from_utf8_lossy(line)));
            if self.data.len() > LARGEST {
                return Err(TooLarge);
            }
        }
        self.line.extend_from_slice(rest);
        if self.line.len() > LARGEST {
            return Err(TooLarge);
        }
        Ok(events)
    }

    fn line(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            return self.end();
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => {
                self.data.push_str(value);
                self.data.push('\n');
            }
            // Comments, and fields that mean nothing here.
            _ => {}
        }
        None
    }

    fn end(&mut self) -> Option<Event> {
        let name = std::mem::take(&mut self.name);
        let mut data = std::mem::take(&mut self.data);
        data.pop()?;
        let is_named = !name.is_empty();
        let name = if is_named { name } else { "message".to_owned() };
        Some(Event { name, data })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STREAM: &str = ": hello\n\nevent: event\r\ndata: {\"a\":1}\r\n\r\ndata:x\ndata: y\nid: 7\nretry\n\n:\nevent: none\n\nevent: lagged\ndata\n\ndata: torn";

    fn expected() -> Vec<Event> {
        let event = |name: &str, data: &str| Event {
            name: name.to_owned(),
            data: data.to_owned(),
        };
        vec![
            event("event", "{\"a\":1}"),
            event("message", "x\ny"),
            event("lagged", ""),
        ]
    }

    proptest! {
        #[test]
        fn events_are_the_same_however_they_come(cuts in proptest::collection::vec(0..STREAM.len(), 0..6)) {
            let mut cuts = cuts;
            cuts.extend([0, STREAM.len()]);
            cuts.sort_unstable();
            let mut parser = Parser::default();
            let pieces = cuts.windows(2).map(|cut| &STREAM.as_bytes()[cut[0]..cut[1]]);
            let events: Vec<Event> = pieces.flat_map(|piece| parser.feed(piece).expect("it is small")).collect();
            prop_assert_eq!(events, expected());
        }
    }

    #[test]
    fn what_never_ends_is_refused() {
        let piece = vec![b'x'; 1 << 20];
        let mut parser = Parser::default();
        let fed: Vec<_> = (0..5).map(|_| parser.feed(&piece)).collect();
        assert_eq!(fed.last(), Some(&Err(TooLarge)));
        let mut parser = Parser::default();
        let line = [b"data: ".as_slice(), &piece, b"\n"].concat();
        let fed: Vec<_> = (0..5).map(|_| parser.feed(&line)).collect();
        assert_eq!(fed.last(), Some(&Err(TooLarge)));
    }
}
