//! The module's own queries, run with the rights of the current user.

use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::panic::ErrorReportable;
use pgrx::prelude::*;
use pgrx::spi::{SpiHeapTupleData, SpiResult};

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

/// A text; NULL is empty.
pub fn text(row: &SpiHeapTupleData, column: usize) -> SpiResult<String> {
    Ok(row.get(column)?.unwrap_or_default())
}
