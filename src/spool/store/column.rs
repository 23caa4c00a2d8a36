//! Values out of rows that somebody else may have written: wrong ones are errors that name the
//! column.

use rusqlite::Row;
use rusqlite::types::ValueRef;

use super::error::Unreadable;

/// A column: its place in the row, and its name for errors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    pub(crate) at: usize,
    pub(crate) name: &'static str,
}

impl Column {
    pub(crate) fn unreadable(self) -> Unreadable {
        Unreadable { column: self.name }
    }

    fn value<'r>(self, row: &'r Row<'_>) -> Result<ValueRef<'r>, Unreadable> {
        row.get_ref(self.at).map_err(|_| self.unreadable())
    }

    /// Returns what `convert` makes of the value; `None` of it is an error.
    fn convert<'r, T>(
        self,
        row: &'r Row<'_>,
        convert: impl FnOnce(ValueRef<'r>) -> Option<T>,
    ) -> Result<T, Unreadable> {
        convert(self.value(row)?).ok_or_else(|| self.unreadable())
    }

    pub(crate) fn integer(self, row: &Row<'_>) -> Result<i64, Unreadable> {
        self.convert(row, |value| value.as_i64().ok())
    }

    /// Returns an integer that is not negative and that `T` holds.
    pub(crate) fn unsigned<T: TryFrom<u64>>(self, row: &Row<'_>) -> Result<T, Unreadable> {
        self.convert(row, |value| {
            u64::try_from(value.as_i64().ok()?).ok()?.try_into().ok()
        })
    }

    /// Returns the same, `None` for NULL.
    pub(crate) fn unsigned_or_null<T: TryFrom<u64>>(
        self,
        row: &Row<'_>,
    ) -> Result<Option<T>, Unreadable> {
        match self.value(row)? {
            ValueRef::Null => Ok(None),
            _ => self.unsigned(row).map(Some),
        }
    }

    pub(crate) fn text<'r>(self, row: &'r Row<'_>) -> Result<&'r str, Unreadable> {
        self.convert(row, |value| value.as_str().ok())
    }

    pub(crate) fn text_or_null<'r>(self, row: &'r Row<'_>) -> Result<Option<&'r str>, Unreadable> {
        self.convert(row, |value| value.as_str_or_null().ok())
    }

    pub(crate) fn blob_or_null<'r>(self, row: &'r Row<'_>) -> Result<Option<&'r [u8]>, Unreadable> {
        self.convert(row, |value| value.as_blob_or_null().ok())
    }

    /// Returns what the text reads as.
    pub(crate) fn parsed<T: std::str::FromStr>(self, row: &Row<'_>) -> Result<T, Unreadable> {
        self.convert(row, |value| value.as_str().ok()?.parse().ok())
    }
}

/// Returns the column of this name in this place.
pub(crate) const fn column(at: usize, name: &'static str) -> Column {
    Column { at, name }
}
