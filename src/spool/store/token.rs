//! Tokens of the admin API: who may do what. Only their hashes are kept.

use std::str::FromStr;

use rusqlite::{ErrorCode, Row};

use super::column::column;
use super::error::Unreadable;
use super::{Error, Store, time_as_sql};
use crate::event::Timestamp;

/// The most tokens that there may be: each request is compared with all.
pub const MAX_TOKENS: usize = 1_000;

/// What a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// To see everything but tokens, secrets and payloads.
    Viewer,
    /// Also to see payloads, and to enable, disable, test, replay and drop.
    Operator,
    /// Also to change what is configured.
    Admin,
    /// To publish events over HTTP, and nothing else.
    Publisher,
}

impl Role {
    /// Every role, in the order of the documentation.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Admin, Self::Publisher];

    /// Returns the word for it, such as `viewer`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
            Self::Publisher => "publisher",
        }
    }

    /// Returns whether it allows all that another does.
    #[must_use]
    pub const fn includes(self, least: Self) -> bool {
        match (self, least) {
            (Self::Publisher, other) => matches!(other, Self::Publisher),
            (Self::Viewer, other) => matches!(other, Self::Viewer),
            (Self::Operator, other) => !matches!(other, Self::Admin),
            (Self::Admin, _) => true,
        }
    }
}

impl FromStr for Role {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL
            .into_iter()
            .find(|role| role.name() == text)
            .ok_or(())
    }
}

/// What alone a token concerns.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Limit {
    /// The webhooks of the group of this name.
    Group(String),
    /// The webhook of this name.
    Webhook(String),
}

/// Names a token; none is used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenId(pub u64);

impl TokenId {
    fn as_sql(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }
}

/// What is to be kept of a new token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// Its name, for people; no two have the same.
    pub name: String,
    /// The SHA-256 of its text.
    pub hash: [u8; 32],
    /// What it allows.
    pub role: Role,
    /// What alone it concerns; `None`: everything.
    pub limit: Option<Limit>,
}

/// What is known of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// Names it.
    pub id: TokenId,
    /// What was said of it when it was made.
    pub token: NewToken,
    /// When that was.
    pub created_at: Timestamp,
    /// When it was used last, in coarse steps; `None`: never.
    pub last_used_at: Option<Timestamp>,
}

/// What came of making a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Made {
    /// It is there.
    Token(TokenRow),
    /// There is another of this name.
    NameTaken,
    /// There are [`MAX_TOKENS`].
    TooMany,
}

const COLUMNS: &str = "id, name, hash, role, group_name, webhook, created_at, last_used_at";

impl Store {
    /// Returns all tokens, the oldest first. Rows that somebody else has spoilt are left out.
    ///
    /// # Errors
    /// The database could not be read, or all rows are spoilt: without tokens more is allowed.
    pub fn tokens(&self) -> Result<Vec<TokenRow>, Error> {
        let read = || {
            let sql = format!("SELECT {COLUMNS} FROM tokens ORDER BY id LIMIT {MAX_TOKENS}");
            let mut statement = self.connection.prepare_cached(&sql)?;
            let mut rows = statement.query([])?;
            let mut tokens = Vec::new();
            let mut spoilt = None;
            while let Some(row) = rows.next()? {
                match read_token(row) {
                    Ok(token) => tokens.push(token),
                    Err(error) => spoilt = Some(error),
                }
            }
            match spoilt {
                Some(source) if tokens.is_empty() => Err(Error::Row {
                    table: "tokens",
                    source,
                }),
                _ => Ok(tokens),
            }
        };
        self.noted(read())
    }

    /// Makes a token.
    ///
    /// # Errors
    /// Nothing was changed.
    pub fn make_token(&mut self, token: &NewToken, now: Timestamp) -> Result<Made, Error> {
        let (group, webhook) = match &token.limit {
            None => (None, None),
            Some(Limit::Group(group)) => (Some(group), None),
            Some(Limit::Webhook(webhook)) => (None, Some(webhook)),
        };
        let write = || {
            let sql = format!(
                "INSERT INTO tokens (name, hash, role, group_name, webhook, created_at)
                 SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE (SELECT count(*) FROM tokens) < {MAX_TOKENS}"
            );
            let values = (
                &token.name,
                &token.hash[..],
                token.role.name(),
                group,
                webhook,
                time_as_sql(now),
            );
            self.connection.execute(&sql, values)
        };
        let made = match write() {
            Ok(0) => Ok(Made::TooMany),
            Ok(_) => Ok(Made::Token(TokenRow {
                id: TokenId(self.connection.last_insert_rowid().unsigned_abs()),
                token: token.clone(),
                created_at: now,
                last_used_at: None,
            })),
            Err(error) if is_taken(&error) => Ok(Made::NameTaken),
            Err(error) => Err(Error::from(error)),
        };
        self.noted(made)
    }

    /// Takes a token away; returns it, `None` if there was none.
    ///
    /// # Errors
    /// Nothing was changed.
    pub fn remove_token(&mut self, id: TokenId) -> Result<bool, Error> {
        let sql = "DELETE FROM tokens WHERE id = ?";
        let removed = self.connection.execute(sql, [id.as_sql()]);
        self.noted(removed.map(|rows| rows > 0).map_err(Error::from))
    }

    /// Notes that a token was used.
    ///
    /// # Errors
    /// Nothing was changed.
    pub fn used_token(&mut self, id: TokenId, at: Timestamp) -> Result<(), Error> {
        let sql = "UPDATE tokens SET last_used_at = ? WHERE id = ?";
        let updated = self.connection.execute(sql, (time_as_sql(at), id.as_sql()));
        self.noted(updated.map(drop).map_err(Error::from))
    }
}

fn is_taken(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation)
}

fn read_token(row: &Row<'_>) -> Result<TokenRow, Unreadable> {
    let limit = match (
        column(4, "group_name").text_or_null(row)?,
        column(5, "webhook").text_or_null(row)?,
    ) {
        (None, None) => None,
        (Some(group), None) => Some(Limit::Group(group.to_owned())),
        (None, Some(webhook)) => Some(Limit::Webhook(webhook.to_owned())),
        // What is limited to both is limited to neither: it must not allow more than was meant.
        (Some(_), Some(_)) => return Err(column(5, "webhook").unreadable()),
    };
    let hash = column(2, "hash");
    let bytes = hash.blob_or_null(row)?.unwrap_or_default();
    let used = column(7, "last_used_at").unsigned_or_null(row)?;
    Ok(TokenRow {
        id: TokenId(column(0, "id").unsigned(row)?),
        token: NewToken {
            name: column(1, "name").text(row)?.to_owned(),
            hash: bytes.try_into().map_err(|_| hash.unreadable())?,
            role: column(3, "role").parsed(row)?,
            limit,
        },
        created_at: Timestamp::from_millis(column(6, "created_at").unsigned(row)?),
        last_used_at: used.map(Timestamp::from_millis),
    })
}
