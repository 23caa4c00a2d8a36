//! One connection of a receiver: reads a request, asks the script, behaves.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::sleep;

use super::arrival::Given;
use super::behaviour::{Answer, Behaviour, reason};
use super::request::Reader;
use super::state::State;
use crate::wire::Wire;

/// What becomes of the connection after a behaviour.
enum Next {
    Keep,
    Close,
    Reset,
}

pub(super) async fn serve(mut wire: Box<dyn Wire>, number: u64, state: Arc<State>) {
    let mut connection = Connection {
        reader: Reader::new(number),
        answers: 0,
        given: Given::Nothing,
    };
    loop {
        let request = match connection.reader.read(&mut *wire).await {
            Ok(Some(request)) => request,
            Ok(None) => return,
            Err(error) => return state.malformed(&error),
        };
        let is_last = request.is_last();
        let (behaviour, mut in_flight) = state.record(request);
        connection.given = Given::Nothing;
        let next = connection.perform(behaviour, &mut *wire).await;
        in_flight.answer = connection.given;
        drop(in_flight);
        match next {
            Ok(Next::Keep) if !is_last => {}
            Ok(Next::Keep | Next::Close) => {
                // The client may have closed first, which is as good.
                let _ = wire.shutdown().await;
                return;
            }
            Ok(Next::Reset) => return wire.reset_on_close(),
            Err(_) => return,
        }
    }
}

struct Connection {
    reader: Reader,
    answers: u64,
    /// What the client was told about the last request.
    given: Given,
}

impl Connection {
    async fn perform(&mut self, behaviour: Behaviour, wire: &mut dyn Wire) -> io::Result<Next> {
        let Some(behaviour) = self.past_waits(behaviour, wire).await? else {
            return Ok(Next::Close);
        };
        match behaviour {
            Behaviour::Status(status) => self.answer(wire, &Answer::new(status)).await,
            Behaviour::Answer(answer) => self.answer(wire, &answer).await,
            Behaviour::NonUtf8Header => {
                let answer = Answer::new(200).header("X-Note", b"caf\xe9 \xff\xfe");
                self.answer(wire, &answer).await
            }
            Behaviour::CloseAfterAnswer { answers, announced } => {
                self.last_answer(wire, answers, announced).await
            }
            Behaviour::CloseWhenIdle(after) => self.close_when_idle(wire, after).await,
            Behaviour::ResetBeforeAnswer => Ok(Next::Reset),
            Behaviour::CloseBeforeAnswer => Ok(Next::Close),
            Behaviour::ResetInHeaders => {
                send(wire, b"HTTP/1.1 200 OK\r\nContent-Le").await?;
                Ok(Next::Reset)
            }
            Behaviour::ResetAfterHeaders => {
                send(wire, b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n").await?;
                Ok(Next::Reset)
            }
            Behaviour::DripBody { every, length } => self.drip(wire, every, length).await,
            Behaviour::EndlessBody => endless_body(wire).await,
            Behaviour::EndlessHeaders => endless_headers(wire).await,
            Behaviour::WrongLength { declared, sent } => {
                self.wrong_length(wire, declared, sent).await
            }
            Behaviour::Http10(status) => {
                let answer = format!("HTTP/1.0 {status} {}\r\n\r\nold", reason(status));
                self.send_answer(wire, status, answer.as_bytes()).await?;
                Ok(Next::Close)
            }
            Behaviour::Garbage => {
                send(wire, b"\x16\x03 this is not HTTP\r\n\r\n\0\0\0").await?;
                Ok(Next::Close)
            }
            Behaviour::Delay(..)
            | Behaviour::Hold(..)
            | Behaviour::Continue100ThenAnswer(_)
            | Behaviour::Never => {
                unreachable!("past_waits has dealt with those that wait or wrap")
            }
        }
    }

    /// Waits out what surrounds a behaviour; `None` when the client closed meanwhile.
    async fn past_waits(
        &mut self,
        mut behaviour: Behaviour,
        wire: &mut dyn Wire,
    ) -> io::Result<Option<Behaviour>> {
        loop {
            let (waited, inner) = match behaviour {
                Behaviour::Delay(time, inner) => (self.while_open(wire, sleep(time)).await, inner),
                Behaviour::Hold(gate, inner) => (self.while_open(wire, gate.passed()).await, inner),
                Behaviour::Continue100ThenAnswer(inner) => {
                    send(wire, b"HTTP/1.1 100 Continue\r\n\r\n").await?;
                    (Some(()), inner)
                }
                Behaviour::Never => {
                    self.reader.until_closed(wire).await;
                    return Ok(None);
                }
                other => return Ok(Some(other)),
            };
            if waited.is_none() {
                return Ok(None);
            }
            behaviour = *inner;
        }
    }

    async fn while_open(
        &mut self,
        wire: &mut dyn Wire,
        wait: impl Future<Output = ()>,
    ) -> Option<()> {
        tokio::select! {
            biased;
            () = wait => Some(()),
            () = self.reader.until_closed(wire) => None,
        }
    }

    async fn answer(&mut self, wire: &mut dyn Wire, answer: &Answer) -> io::Result<Next> {
        self.send_answer(wire, answer.status(), &answer.encode())
            .await
    }

    /// Sends an answer that is complete with these bytes.
    async fn send_answer(
        &mut self,
        wire: &mut dyn Wire,
        status: u16,
        bytes: &[u8],
    ) -> io::Result<Next> {
        send(wire, bytes).await?;
        self.answered(status);
        Ok(Next::Keep)
    }

    fn answered(&mut self, status: u16) {
        self.answers += 1;
        self.given = Given::Status(status);
    }

    async fn close_when_idle(&mut self, wire: &mut dyn Wire, after: Duration) -> io::Result<Next> {
        self.answer(wire, &Answer::new(200)).await?;
        tokio::select! {
            biased;
            () = self.reader.until_more(wire) => Ok(Next::Keep),
            () = sleep(after) => Ok(Next::Close),
        }
    }

    async fn last_answer(
        &mut self,
        wire: &mut dyn Wire,
        answers: u64,
        announced: bool,
    ) -> io::Result<Next> {
        let last = self.answers + 1 >= answers;
        let answer = Answer::new(200);
        let answer = if last && announced {
            answer.header("Connection", "close")
        } else {
            answer
        };
        self.answer(wire, &answer).await?;
        Ok(if last { Next::Close } else { Next::Keep })
    }

    async fn drip(
        &mut self,
        wire: &mut dyn Wire,
        every: Duration,
        length: Option<u64>,
    ) -> io::Result<Next> {
        let (framing, piece) = match length {
            Some(length) => (format!("Content-Length: {length}"), &b"."[..]),
            None => ("Transfer-Encoding: chunked".to_owned(), &b"1\r\n.\r\n"[..]),
        };
        send(
            wire,
            format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n").as_bytes(),
        )
        .await?;
        for _ in 0..length.unwrap_or(u64::MAX) {
            if self.while_open(wire, sleep(every)).await.is_none() {
                return Ok(Next::Close);
            }
            send(wire, piece).await?;
        }
        self.answered(200);
        Ok(Next::Keep)
    }

    async fn wrong_length(
        &mut self,
        wire: &mut dyn Wire,
        declared: u64,
        sent: u64,
    ) -> io::Result<Next> {
        let mut bytes =
            format!("HTTP/1.1 200 OK\r\nContent-Length: {declared}\r\n\r\n").into_bytes();
        let body = usize::try_from(sent).expect("a body that fits in memory");
        bytes.resize(bytes.len() + body, b'.');
        if sent < declared {
            send(wire, &bytes).await?;
            return Ok(Next::Close);
        }
        self.send_answer(wire, 200, &bytes).await
    }
}

/// Ends with the error of a client that has gone.
async fn endless_headers(wire: &mut dyn Wire) -> io::Result<Next> {
    send(wire, b"HTTP/1.1 200 OK\r\n").await?;
    let header = b"X-More: and more\r\n".repeat(100);
    loop {
        send(wire, &header).await?;
    }
}

/// Ends with the error of a client that has gone.
async fn endless_body(wire: &mut dyn Wire) -> io::Result<Next> {
    send(
        wire,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    )
    .await?;
    let mut chunk = b"4000\r\n".to_vec();
    chunk.resize(chunk.len() + 0x4000, b'.');
    chunk.extend_from_slice(b"\r\n");
    loop {
        send(wire, &chunk).await?;
    }
}

async fn send(wire: &mut dyn Wire, bytes: &[u8]) -> io::Result<()> {
    wire.write_all(bytes).await?;
    wire.flush().await
}
