//! Small requests are written in one piece.
//!
//! hyper writes a head and a body as a list of two. The kernel takes two pieces of some hundred bytes in
//! clearly more time than one, and a copy of so few costs next to nothing.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};

/// The most bytes that are copied.
const MOST_BYTES: usize = 4 * 1024;

/// A stream that joins the pieces of a small write.
pub(super) struct Gathered<S> {
    stream: S,
    /// What is written now; kept for its room.
    joined: Vec<u8>,
}

impl<S> Gathered<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            joined: Vec::new(),
        }
    }
}

impl<S: Read + Unpin> Read for Gathered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: Write + Unpin> Write for Gathered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Self { stream, joined } = self.get_mut();
        let stream = Pin::new(stream);
        if pieces.iter().map(|piece| piece.len()).sum::<usize>() > MOST_BYTES {
            return stream.poll_write_vectored(context, pieces);
        }
        joined.clear();
        for piece in pieces {
            joined.extend_from_slice(piece);
        }
        stream.poll_write(context, joined)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Notes what is written, a list for each call, and takes at most so many bytes.
    #[derive(Default)]
    struct Note {
        calls: Vec<Vec<Vec<u8>>>,
        most: usize,
    }

    impl Note {
        fn take(&mut self, pieces: Vec<Vec<u8>>) -> Poll<io::Result<usize>> {
            let length = pieces.concat().len().min(self.most);
            self.calls.push(pieces);
            Poll::Ready(Ok(length))
        }
    }

    impl Write for Note {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.take(vec![bytes.to_vec()])
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            pieces: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            self.take(pieces.iter().map(|piece| piece.to_vec()).collect())
        }
    }

    /// Writes pieces to what takes `most`; returns how many bytes it took and in which calls.
    fn written(pieces: &[&[u8]], most: usize) -> (usize, Vec<Vec<Vec<u8>>>) {
        let calls = Vec::new();
        let mut stream = Gathered::new(Note { calls, most });
        let pieces: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
        let mut context = Context::from_waker(std::task::Waker::noop());
        match Pin::new(&mut stream).poll_write_vectored(&mut context, &pieces) {
            Poll::Ready(Ok(count)) => (count, stream.stream.calls),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn small_pieces_are_written_as_one() {
        let (count, calls) = written(&[b"head", b"", b"body"], usize::MAX);
        assert_eq!((count, calls), (8, vec![vec![b"headbody".to_vec()]]));
    }

    #[test]
    fn what_was_not_taken_is_not_counted() {
        assert_eq!(written(&[b"head", b"body"], 5).0, 5);
    }

    #[test]
    fn large_pieces_are_not_copied() {
        let body = vec![7; MOST_BYTES];
        let (count, calls) = written(&[b"h", &body], usize::MAX);
        assert_eq!(
            (count, calls),
            (MOST_BYTES + 1, vec![vec![b"h".to_vec(), body]])
        );
    }
}
