//! A body as server-sent events: the data of each, within limits.
//!
//! What it is not: the meaning of an event; `events` and `images` know theirs. Start at [`Frames::next`].

use super::error::{OpenAiError, shown};
use super::retry::Repeat;
use super::transport::{Body, Call, Failure, read};
use super::{Key, OpenAi};
use bytes::Bytes;
use futures_util::stream::{BoxStream, unfold};
use futures_util::{Stream, StreamExt};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sse_stream::{Sse, SseStream};
use std::sync::Arc;

/// The last word of some servers, which is no event.
const OVER: &str = "[DONE]";

/// The events of an answer.
pub(super) struct Frames {
    openai: OpenAi,
    call: &'static str,
    repeat: Repeat,
    key: Arc<Key>,
    stream: BoxStream<'static, Result<Sse, sse_stream::Error>>,
    /// Of the last event that had a number.
    last: Option<u64>,
}

/// An event of some type.
pub(super) struct Frame {
    call: &'static str,
    pub kind: String,
    number: Option<u64>,
    value: Value,
}

impl Frame {
    /// Reads an event's data.
    pub(super) fn parse(call: &'static str, data: &str) -> Result<Self, OpenAiError> {
        #[derive(Deserialize)]
        struct Head {
            #[serde(rename = "type")]
            kind: String,
            #[serde(default)]
            sequence_number: Option<u64>,
        }
        let value: Value = read(call, data)?;
        let Head { kind, sequence_number: number } =
            Head::deserialize(&value).map_err(|error| malformed(call, "an event", &error))?;
        Ok(Self { call, kind, number, value })
    }

    /// Its fields.
    pub(super) fn content<T: DeserializeOwned>(self) -> Result<T, OpenAiError> {
        serde_json::from_value(self.value).map_err(|error| malformed(self.call, &self.kind, &error))
    }
}

fn malformed(call: &str, what: &str, error: &serde_json::Error) -> OpenAiError {
    OpenAiError::Malformed { what: shown(&format!("{call}, {what}: {error}")) }
}

impl Frames {
    pub(super) fn new(openai: &OpenAi, call: &Call<'_>, body: Body) -> Self {
        let key = body.key();
        let stream = parsed(chunks(body), openai.limits().n_event_bytes);
        Self { openai: openai.clone(), call: call.name, repeat: call.repeat, key, stream, last: None }
    }

    /// The number of the last event that had one: where a stream can be taken up again.
    pub(super) fn last(&self) -> Option<u64> {
        self.last
    }

    /// The next event; `None` at the stream's end.
    pub(super) async fn next(&mut self) -> Result<Option<Frame>, OpenAiError> {
        loop {
            let Some(sse) = self.stream.next().await else { return Ok(None) };
            let sse = sse.map_err(|error| self.openai.broken(self.call, self.repeat, failure(error)))?;
            // An event without data is a sign of life.
            if let Some(data) = sse.data.filter(|data| data.trim() != OVER) {
                let frame = Frame::parse(self.call, &self.key.removed_from(data))?;
                self.last = frame.number.or(self.last);
                return Ok(Some(frame));
            }
        }
    }

    /// A stream that ended before it said that it does.
    pub(super) fn cut(&self) -> OpenAiError {
        self.openai.broken(self.call, self.repeat, Failure::Lost("the stream ended before the answer did".into()))
    }
}

fn failure(error: sse_stream::Error) -> Failure {
    match error {
        sse_stream::Error::Body(cause) => match cause.downcast::<Failure>() {
            Ok(failure) => *failure,
            Err(cause) => Failure::Lost(cause.to_string()),
        },
        error => Failure::Malformed(format!("no stream of events: {error}")),
    }
}

fn chunks(body: Body) -> impl Stream<Item = Result<Bytes, Failure>> + Send + 'static {
    unfold(Some(body), async |body| {
        let mut body = body?;
        match body.chunk().await {
            Ok(Some(chunk)) => Some((Ok(Bytes::from(chunk)), Some(body))),
            Ok(None) => None,
            Err(failure) => Some((Err(failure), None)),
        }
    })
}

/// Bytes as events, none of which has more than `limit` bytes.
fn parsed(
    bytes: impl Stream<Item = Result<Bytes, Failure>> + Send + 'static,
    limit: usize,
) -> BoxStream<'static, Result<Sse, sse_stream::Error>> {
    let mut size = EventSize::new(limit);
    let bounded = bytes.map(move |chunk| match chunk {
        Ok(chunk) if size.is_too_long(&chunk) => Err(Failure::TooLong(limit)),
        chunk => chunk,
    });
    // What comes after an error is not asked for: the parser would go on in the middle of things.
    let mut is_broken = false;
    let until_broken = SseStream::from_bytes_stream(Box::pin(bounded)).take_while(move |event| {
        let goes_on = !is_broken;
        is_broken |= event.is_err();
        std::future::ready(goes_on)
    });
    until_broken.boxed()
}

/// Counts the bytes of an event that has not ended yet: an empty line ends it.
struct EventSize {
    limit: usize,
    n_bytes: usize,
    has_line_begun: bool,
}

impl EventSize {
    fn new(limit: usize) -> Self {
        Self { limit, n_bytes: 0, has_line_begun: false }
    }

    fn is_too_long(&mut self, chunk: &[u8]) -> bool {
        for byte in chunk {
            self.n_bytes += 1;
            match byte {
                b'\n' | b'\r' if !self.has_line_begun => self.n_bytes = 0,
                b'\n' => self.has_line_begun = false,
                // It may end a line alone, or with the feed that follows; the feed then looks like an empty line, which
                // makes the count too small by a line at most.
                b'\r' => self.has_line_begun = false,
                _ => self.has_line_begun = true,
            }
            if self.n_bytes > self.limit {
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::super::events::known;
    use super::*;
    use futures_util::stream::iter;
    use proptest::prelude::*;

    #[test]
    fn an_event_without_end_is_too_long_and_many_short_ones_are_not() {
        for end in ["\n\n", "\r\n\r\n", "\r\r"] {
            let mut size = EventSize::new(100);
            assert!((0..1000).all(|_| !size.is_too_long(format!("data: x{end}").as_bytes())), "{end:?}");
            assert!(size.is_too_long("x".repeat(101).as_bytes()));
        }
        let mut size = EventSize::new(100);
        assert!((0..9).all(|_| !size.is_too_long(b"data: 5678\n")));
        assert!(size.is_too_long(b"data: 5678\n"));
    }

    /// The events in these pieces, as far as they can be read.
    fn collected(pieces: Vec<Vec<u8>>, limit: usize) -> Vec<Result<Sse, sse_stream::Error>> {
        let bytes = iter(pieces.into_iter().map(|piece| Ok(Bytes::from(piece))));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(parsed(bytes, limit).collect())
    }

    /// Text that looks like a stream's, and other bytes.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let line = prop_oneof![
            Just(
                b"data: {\"type\":\"response.completed\",\"response\":{\"id\":\"r\",\"status\":\"completed\"}}\n\n"
                    .to_vec()
            ),
            Just(b"data: {\"type\":\"response.output_text.delta\",\"delta\":".to_vec()),
            Just(b"event: x\r\n: y\rid: 7\nretry: 9\n".to_vec()),
            Just(b"\n\n".to_vec()),
            Just("data: [[[[{\"type\":\"".repeat(200).into_bytes()),
            proptest::collection::vec(any::<u8>(), 0..40),
        ];
        proptest::collection::vec(line, 0..12).prop_map(|lines| lines.concat())
    }

    proptest! {
        #[test]
        fn any_bytes_are_events_or_an_error_and_at_most_one(bytes in bytes(), n in 1_usize..50) {
            let pieces = bytes.chunks(n).map(<[u8]>::to_vec).collect();
            let events = collected(pieces, 4096);
            prop_assert!(events.iter().rev().skip(1).all(Result::is_ok), "nothing comes after an error");
            let data = events.into_iter().flatten().filter_map(|sse| sse.data);
            for data in data {
                if let Ok(frame) = Frame::parse("x", &data) {
                    let _ = known(frame);
                }
            }
        }

        #[test]
        fn an_event_never_holds_more_than_the_limit(sizes in proptest::collection::vec(0_usize..300, 1..30)) {
            let pieces = sizes.iter().map(|n| [b"data: ".to_vec(), vec![b'x'; *n], b"\n\n".to_vec()].concat()).collect();
            let is_long = |n: &usize| b"data: ".len() + n + b"\n".len() > 100;
            let events = collected(pieces, 100);
            let n_good = sizes.iter().take_while(|n| !is_long(n)).count();
            prop_assert_eq!(events.iter().filter(|event| event.is_ok()).count(), n_good);
            prop_assert_eq!(events.iter().any(Result::is_err), sizes.iter().any(is_long));
        }
    }
}
