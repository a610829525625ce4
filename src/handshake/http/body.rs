//! Bodies: an answer's text, and what clients send, which is read and thrown away.

use std::{
    convert::Infallible,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::super::answer::Answer;

/// How many bytes a request's body may have. No page needs one: it is read so that the connection can be kept.
const MAX: u64 = 64 * 1024;

/// An answer's text.
pub(super) struct Text(pub(super) Bytes);

impl Body for Text {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let text = std::mem::take(&mut self.0);
        Poll::Ready((!text.is_empty()).then(|| Ok(Frame::data(text))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.len() as u64)
    }
}

/// Reads a request's body to its end.
///
/// # Errors
/// What is answered to a body that is too long, or that is none. The rest of it is not read.
pub(super) async fn discard(mut body: Incoming) -> Result<(), Answer> {
    let mut len = body.size_hint().lower();
    if len > MAX {
        return Err(Answer::body_too_large(MAX));
    }
    len = 0;
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|_| Answer::bad_request("the request's body is malformed"))?;
        len += frame.data_ref().map_or(0, |data| data.len() as u64);
        if len > MAX {
            return Err(Answer::body_too_large(MAX));
        }
    }
    Ok(())
}
