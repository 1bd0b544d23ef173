//! Warnings of the library, as people read them. With `--verbose` they are lines of a log instead.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::output;

/// `warning: a page cannot be read: Permission denied (folder /srv)`.
pub(super) struct ForPeople;

impl<S, N> FormatEvent<S, N> for ForPeople
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut said = Said::default();
        event.record(&mut said);
        let kind = if *event.metadata().level() == Level::ERROR { "error" } else { "warning" };
        writeln!(writer, "{kind}: {}", output::plain(&said.sentence()))
    }
}

/// The text of an event.
#[derive(Default)]
struct Said {
    message: String,
    error: Option<String>,
    more: Vec<String>,
}

impl Said {
    fn sentence(&self) -> String {
        let error = self.error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
        let more = match self.more.join(", ") {
            more if more.is_empty() => more,
            more => format!(" ({more})"),
        };
        format!("{}{error}{more}", self.message)
    }
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        match field.name() {
            "message" => self.message = text,
            "error" => self.error = Some(text),
            // Nothing was left out.
            "untold" if text == "0" => {}
            "untold" => self.more.push(format!("{text} more like this")),
            name => self.more.push(format!("{name} {text}")),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("no panic under this lock").write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn warnings_are_sentences() {
        let written = Shared::default();
        let writer = written.clone();
        let log = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .event_format(ForPeople)
            .finish();
        tracing::subscriber::with_default(log, || {
            let error = std::io::Error::other("no\u{1b}[31m room");
            tracing::warn!(folder = "/srv", %error, untold = 3, "a page cannot be read");
            tracing::error!(untold = 0, "what came is not stored: {}", "the storage is full");
        });
        let text = String::from_utf8(written.0.lock().expect("no panic").clone()).expect("text");
        let lines = [
            "warning: a page cannot be read: no\\u{1b}[31m room (folder /srv, 3 more like this)",
            "error: what came is not stored: the storage is full",
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), lines);
    }
}
