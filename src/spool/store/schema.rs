//! The versions of the schema, and the way from one to the next.

use rusqlite::{Connection, TransactionBehavior};

/// Marks the file as mqhook's, in its header (`PRAGMA application_id`): "mqhw".
pub(super) const APPLICATION_ID: u32 = 0x6d71_6877;

/// What makes each version out of the one before; the first out of an empty database.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("schema_1.sql"),
    include_str!("schema_2.sql"),
    include_str!("schema_3.sql"),
    include_str!("schema_4.sql"),
    include_str!("schema_5.sql"),
];

/// The version that this program reads and writes.
pub(super) fn current() -> u32 {
    version_after(MIGRATIONS)
}

fn version_after(migrations: &[&str]) -> u32 {
    u32::try_from(migrations.len()).expect("there are few versions")
}

/// Whose database it is and how old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// One that mqhook wrote at this version; 0 for one in which nothing is yet.
    Ours(u32),
    /// Another program's.
    Foreign,
}

/// Returns whose the database is.
pub(super) fn found(connection: &Connection) -> rusqlite::Result<Found> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let version = u32::try_from(pragma("user_version")?);
    Ok(match (pragma("application_id")?, version) {
        (0, Ok(0)) if tables == 0 => Found::Ours(0),
        (id, Ok(version)) if id == i64::from(APPLICATION_ID) => Found::Ours(version),
        _ => Found::Foreign,
    })
}

/// Brings a database of an older version to the newest, each step in a transaction of its own.
pub(super) fn migrate(
    connection: &mut Connection,
    found: u32,
    migrations: &[&str],
) -> rusqlite::Result<()> {
    for version in found..version_after(migrations) {
        let step = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        step.execute_batch(migrations[version as usize])?;
        step.pragma_update(None, "application_id", APPLICATION_ID)?;
        step.pragma_update(None, "user_version", version + 1)?;
        step.commit()?;
    }
    Ok(())
}
