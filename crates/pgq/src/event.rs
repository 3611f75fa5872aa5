//! One event as a consumer sees it, and one event as a producer writes it.
//!
//! The fields are those of `pgq.get_batch_events`: `ev_id, ev_time, ev_txid, ev_retry, ev_type, ev_data,
//! ev_extra1..ev_extra4`. Every text field may be NULL and NULL is not the empty string.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use skytools::{Error, Result};

use crate::time::Time;

/// Number of text columns of an event: `ev_type`, `ev_data`, `ev_extra1` to `ev_extra4`.
pub(crate) const TEXT_FIELDS: usize = 6;

/// The column names of the text fields, in column order.
pub(crate) const TEXT_NAMES: [&str; TEXT_FIELDS] =
    ["ev_type", "ev_data", "ev_extra1", "ev_extra2", "ev_extra3", "ev_extra4"];

/// An event read from a batch.
///
/// The text fields share one reference-counted buffer, so a clone costs one counter and copies no text. The
/// buffer is a slice of what was read from the socket (some 8 KiB of neighbouring events, or exactly one large
/// event): whoever keeps a few events of very many for long should keep [`Event::detached`] copies.
#[derive(Clone)]
pub struct Event {
    id: i64,
    time: Time,
    txid: i64,
    retry: Option<i32>,
    row: Bytes,
    spans: [Option<(u32, u32)>; TEXT_FIELDS],
}

impl Event {
    /// Builds an event whose text fields are the given ranges of `row`, checking that each is UTF-8.
    ///
    /// # Errors
    /// [`ErrorKind::Data`](skytools::ErrorKind::Data) naming the event and the column when a field is not UTF-8.
    pub(crate) fn from_parts(
        id: i64,
        time: Time,
        txid: i64,
        retry: Option<i32>,
        row: Bytes,
        ranges: &[Option<Range<usize>>; TEXT_FIELDS],
    ) -> Result<Self> {
        let mut spans = [None; TEXT_FIELDS];
        for ((span, range), name) in spans.iter_mut().zip(ranges).zip(TEXT_NAMES) {
            let Some(range) = range else { continue };
            let bytes = row
                .get(range.clone())
                .ok_or_else(|| Error::data(format!("event {id}: column {name} lies outside its row")))?;
            std::str::from_utf8(bytes).map_err(|e| {
                Error::data(format!("event {id}: column {name} is not valid UTF-8"))
                    .hint("the queue database has encoding SQL_ASCII and holds bytes of another encoding; filter the event out or correct it there")
                    .with_source(e)
            })?;
            let end = u32::try_from(range.end)
                .map_err(|e| Error::data(format!("event {id}: the row exceeds 4 GiB")).with_source(e))?;
            let start = u32::try_from(range.start)
                .map_err(|e| Error::data(format!("event {id}: the row exceeds 4 GiB")).with_source(e))?;
            *span = Some((start, end));
        }
        Ok(Event { id, time, txid, retry, row, spans })
    }

    /// Builds an event as a consumer would receive it, from a [`NewEvent`].
    ///
    /// Meant for tests of consumers and for handlers that rewrite events; nothing is sent anywhere.
    pub fn synthetic(id: i64, txid: i64, event: &NewEvent<'_>) -> Self {
        let mut row = BytesMut::new();
        let mut spans = [None; TEXT_FIELDS];
        for (span, text) in spans.iter_mut().zip(event.texts()) {
            let Some(text) = text else { continue };
            let start = row.len();
            row.extend_from_slice(text.as_bytes());
            *span = u32::try_from(start).ok().zip(u32::try_from(row.len()).ok());
        }
        let time = event.time.unwrap_or_else(Time::now);
        Event { id: event.id.unwrap_or(id), time, txid, retry: None, row: row.freeze(), spans }
    }

    /// `ev_id`: number from the queue's sequence. Unique among first deliveries, not dense, and not the order of
    /// commits; a retried event keeps its number.
    pub fn id(&self) -> i64 {
        self.id
    }

    /// `ev_time`: when the producer's transaction began, unless the producer set it.
    pub fn time(&self) -> Time {
        self.time
    }

    /// `ev_txid`: 64-bit id of the transaction that wrote the event (for a retried event, that re-inserted it).
    pub fn txid(&self) -> i64 {
        self.txid
    }

    /// `ev_retry`: how often the event was put back, or `None` on first delivery.
    pub fn retry(&self) -> Option<i32> {
        self.retry
    }

    /// `ev_type`.
    pub fn ev_type(&self) -> Option<&str> {
        self.text(0)
    }

    /// `ev_data`.
    pub fn data(&self) -> Option<&str> {
        self.text(1)
    }

    /// `ev_extra1`; capture triggers put the table name here.
    pub fn extra1(&self) -> Option<&str> {
        self.text(2)
    }

    /// `ev_extra2`; capture triggers with `backup` put the old row here.
    pub fn extra2(&self) -> Option<&str> {
        self.text(3)
    }

    /// `ev_extra3`.
    pub fn extra3(&self) -> Option<&str> {
        self.text(4)
    }

    /// `ev_extra4`.
    pub fn extra4(&self) -> Option<&str> {
        self.text(5)
    }

    /// All text fields in column order.
    pub fn texts(&self) -> [Option<&str>; TEXT_FIELDS] {
        std::array::from_fn(|i| self.text(i))
    }

    /// Bytes of text in this event, for callers that bound memory by bytes.
    pub fn text_len(&self) -> usize {
        self.spans.iter().flatten().map(|(start, end)| (end - start) as usize).sum()
    }

    /// The bytes of `ev_data` as a buffer that shares the event's memory.
    pub fn data_bytes(&self) -> Option<Bytes> {
        self.spans[1].map(|(start, end)| self.row.slice(start as usize..end as usize))
    }

    /// The bytes of `ev_type`, for a look at each of very many events. They are UTF-8.
    pub fn type_bytes(&self) -> Option<&[u8]> {
        self.slice(0)
    }

    /// The bytes of `ev_data`, as [`Event::type_bytes`].
    pub fn data_slice(&self) -> Option<&[u8]> {
        self.slice(1)
    }

    /// A copy with a buffer of its own, which keeps no neighbouring events in memory.
    #[must_use]
    pub fn detached(&self) -> Self {
        Event { row: Bytes::copy_from_slice(&self.row), ..self.clone() }
    }

    fn slice(&self, field: usize) -> Option<&[u8]> {
        let (start, end) = self.spans[field]?;
        Some(&self.row[start as usize..end as usize])
    }

    fn text(&self, field: usize) -> Option<&str> {
        let bytes = self.slice(field)?;
        Some(std::str::from_utf8(bytes).unwrap_or_else(|_| unreachable!("checked when the event was built")))
    }
}

impl fmt::Debug for Event {
    /// Shows identity and sizes, never data: log lines must not leak rows.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("id", &self.id)
            .field("time", &self.time)
            .field("txid", &self.txid)
            .field("retry", &self.retry)
            .field("type", &self.ev_type().map(|t| t.chars().take(40).collect::<String>()))
            .field("text_len", &self.text_len())
            .finish_non_exhaustive()
    }
}

/// An event to be written.
///
/// ```
/// use pgq::NewEvent;
/// let event = NewEvent::new("user.created", r#"{"id": 7}"#).extra1("public.users");
/// assert_eq!(event.ev_type(), Some("user.created"));
/// assert_eq!(event.texts()[3], None);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewEvent<'a> {
    pub(crate) id: Option<i64>,
    pub(crate) time: Option<Time>,
    texts: [Option<Cow<'a, str>>; TEXT_FIELDS],
}

impl<'a> NewEvent<'a> {
    /// An event with type and data.
    pub fn new(ev_type: impl Into<Cow<'a, str>>, data: impl Into<Cow<'a, str>>) -> Self {
        NewEvent::default().with_type(ev_type).data(data)
    }

    /// An event whose text fields are all NULL.
    pub fn empty() -> Self {
        NewEvent::default()
    }

    /// Keeps a given `ev_id` instead of taking the next number of the queue (cascades do; applications should not).
    #[must_use]
    pub fn id(mut self, id: i64) -> Self {
        self.id = Some(id);
        self
    }

    /// Keeps a given `ev_time` instead of the start of the transaction.
    #[must_use]
    pub fn time(mut self, time: Time) -> Self {
        self.time = Some(time);
        self
    }

    /// Sets `ev_type`.
    #[must_use]
    pub fn with_type(self, text: impl Into<Cow<'a, str>>) -> Self {
        self.set(0, text.into())
    }

    /// Sets `ev_data`.
    #[must_use]
    pub fn data(self, text: impl Into<Cow<'a, str>>) -> Self {
        self.set(1, text.into())
    }

    /// Sets `ev_extra1`.
    #[must_use]
    pub fn extra1(self, text: impl Into<Cow<'a, str>>) -> Self {
        self.set(2, text.into())
    }

    /// Sets `ev_extra2`.
    #[must_use]
    pub fn extra2(self, text: impl Into<Cow<'a, str>>) -> Self {
        self.set(3, text.into())
    }

    /// Sets `ev_extra3`.
    #[must_use]
    pub fn extra3(self, text: impl Into<Cow<'a, str>>) -> Self {
        self.set(4, text.into())
    }

    /// Sets `ev_extra4`.
    #[must_use]
    pub fn extra4(self, text: impl Into<Cow<'a, str>>) -> Self {
        self.set(5, text.into())
    }

    /// `ev_type` as set so far.
    pub fn ev_type(&self) -> Option<&str> {
        self.texts[0].as_deref()
    }

    /// All text fields in column order.
    pub fn texts(&self) -> [Option<&str>; TEXT_FIELDS] {
        std::array::from_fn(|i| self.texts[i].as_deref())
    }

    fn set(mut self, field: usize, text: Cow<'a, str>) -> Self {
        self.texts[field] = Some(text);
        self
    }
}

/// The same event once more: text only, with a new number, time and transaction when written.
/// Chain [`NewEvent::id`] and [`NewEvent::time`] to keep those.
impl<'a> From<&'a Event> for NewEvent<'a> {
    fn from(event: &'a Event) -> Self {
        NewEvent { id: None, time: None, texts: event.texts().map(|t| t.map(Cow::Borrowed)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_and_empty_text_differ() {
        let event = Event::synthetic(5, 9, &NewEvent::empty().data("").extra4("ü"));
        assert_eq!(event.ev_type(), None);
        assert_eq!(event.data(), Some(""));
        assert_eq!(event.extra4(), Some("ü"));
        assert_eq!(event.text_len(), 2);
        assert_eq!(event.detached().texts(), event.texts());
        assert_eq!((event.id(), event.txid(), event.retry()), (5, 9, None));
    }

    #[test]
    fn bad_utf8_names_event_and_column() {
        let ranges = [None, Some(0..2), None, None, None, None];
        let error =
            Event::from_parts(77, Time::UNIX_EPOCH, 1, None, Bytes::from_static(&[0xc3, 0x28]), &ranges)
                .expect_err("not UTF-8");
        assert!(error.to_string().contains("event 77") && error.to_string().contains("ev_data"), "{error}");
    }

    #[test]
    fn debug_shows_no_data() {
        let event = Event::synthetic(1, 1, &NewEvent::new("t", "secret"));
        assert!(!format!("{event:?}").contains("secret"));
    }

    #[test]
    fn an_event_can_be_written_again() {
        let event = Event::synthetic(1, 1, &NewEvent::new("t", "d").extra2("x"));
        assert_eq!(NewEvent::from(&event).texts(), event.texts());
    }
}
