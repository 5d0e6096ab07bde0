//! The module's own queries, run with the rights of the current user.

use pgrx::datum::{Datum, DatumWithOid, UnboxDatum};
use pgrx::pg_sys::panic::ErrorReportable;
use pgrx::prelude::*;
use pgrx::spi::{SpiHeapTupleData, SpiResult};

use crate::postgres::text::lossy;

/// The rows of a query, each read by `read`. Raises PostgreSQL's error if it cannot be run.
pub fn rows<T>(sql: &str, read: impl Fn(&SpiHeapTupleData) -> SpiResult<T>) -> Vec<T> {
    rows_with(sql, &[], read)
}

/// The same, with values for `$1` and so on.
pub fn rows_with<T>(
    sql: &str,
    values: &[DatumWithOid<'_>],
    read: impl Fn(&SpiHeapTupleData) -> SpiResult<T>,
) -> Vec<T> {
    Spi::connect(|client| {
        let table = client.select(sql, None, values)?;
        table.map(|row| read(&row)).collect::<SpiResult<Vec<T>>>()
    })
    .unwrap_or_report()
}

/// A text; NULL is empty. What is not UTF-8 is replaced, whatever the encoding of the database: catalogs that all databases
/// share and files have bytes of any, and a login compares them with UTF-8.
pub fn text(row: &SpiHeapTupleData, column: usize) -> SpiResult<String> {
    Ok(text_or_null(row, column)?.unwrap_or_default())
}

/// The same; NULL is `None`.
pub fn text_or_null(row: &SpiHeapTupleData, column: usize) -> SpiResult<Option<String>> {
    let text = row.get::<Text>(column)?;
    Ok(text.map(|text| lossy(text.0)))
}

/// An array of texts, none of which is NULL; NULL is empty.
pub fn texts(row: &SpiHeapTupleData, column: usize) -> SpiResult<Vec<String>> {
    let texts = row.get::<Vec<Text>>(column)?.unwrap_or_default();
    Ok(texts.into_iter().map(|text| lossy(text.0)).collect())
}

/// The bytes of a text. pgrx reads one as a `String` only if it is UTF-8: it takes that for granted in a database with this
/// encoding, and panics in others.
struct Text(Vec<u8>);

impl FromDatum for Text {
    unsafe fn from_polymorphic_datum(
        datum: pg_sys::Datum,
        is_null: bool,
        type_oid: pg_sys::Oid,
    ) -> Option<Text> {
        // SAFETY: by this function's contract, a text, which is laid out as a bytea is.
        unsafe { Vec::from_polymorphic_datum(datum, is_null, type_oid) }.map(Text)
    }
}

/// pgrx asks for it to know which type is read.
impl IntoDatum for Text {
    fn into_datum(self) -> Option<pg_sys::Datum> {
        self.0.into_datum()
    }

    fn type_oid() -> pg_sys::Oid {
        pg_sys::TEXTOID
    }
}

// SAFETY: a text is laid out as a bytea is, and copied.
unsafe impl UnboxDatum for Text {
    type As<'src> = Text;

    unsafe fn unbox<'src>(datum: Datum<'src>) -> Text
    where
        Self: 'src,
    {
        // SAFETY: by this function's contract, a text.
        Text(unsafe { <&[u8]>::unbox(datum) }.to_vec())
    }
}
