//! A server's output with a limit to each line: a message that never ends would else be collected until memory does.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, ReadBuf};

/// Bytes of a line, which is a message.
const MAX_LINE: usize = 16 << 20;

/// Reads on until a line is too long.
pub(super) struct Bounded<R> {
    inner: R,
    /// Of the line that has begun.
    n_bytes: usize,
}

impl<R> Bounded<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, n_bytes: 0 }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Bounded<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let n_before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        let new = &buffer.filled()[n_before..];
        self.n_bytes = match new.iter().rposition(|byte| *byte == b'\n') {
            Some(end) => new.len() - end - 1,
            None => self.n_bytes + new.len(),
        };
        Poll::Ready(match self.n_bytes > MAX_LINE {
            true => Err(io::Error::other(format!("a message of more than {MAX_LINE} bytes"))),
            false => Ok(()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn a_line_without_end_ends() {
        let lines = "x".repeat(1000) + "\n";
        let many = lines.repeat(2 * MAX_LINE / lines.len());
        let mut read = Vec::new();
        Bounded::new(many.as_bytes()).read_to_end(&mut read).await.unwrap();
        assert_eq!(read.len(), many.len());
        let endless = tokio::io::repeat(b'x');
        let error = Bounded::new(endless).read_to_end(&mut Vec::new()).await.unwrap_err();
        assert!(error.to_string().contains("more than"), "{error}");
    }
}
