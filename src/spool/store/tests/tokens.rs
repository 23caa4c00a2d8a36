//! Tokens of the admin API.

use super::super::{Limit, MAX_TOKENS, Made, NewToken, Role, Store, TokenId};
use crate::event::Timestamp;

const NOW: Timestamp = Timestamp::from_millis(1_000);

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().expect("a directory");
    let store = Store::open(dir.path()).expect("it opens").store;
    (dir, store)
}

fn token(name: &str, hash: u8, role: Role, limit: Option<Limit>) -> NewToken {
    NewToken {
        name: name.to_owned(),
        hash: [hash; 32],
        role,
        limit,
    }
}

#[test]
fn tokens_come_back_as_they_were_and_are_named_once() {
    let (dir, mut store) = store();
    let limits = [
        None,
        Some(Limit::Group("g".to_owned())),
        Some(Limit::Webhook("w".to_owned())),
        None,
    ];
    for (number, (role, limit)) in (0_u8..).zip(Role::ALL.into_iter().zip(limits)) {
        let new = token(&format!("t{number}"), number, role, limit);
        let Ok(Made::Token(row)) = store.make_token(&new, NOW) else {
            panic!("expected {new:?} to be made");
        };
        assert_eq!((row.token, row.created_at), (new, NOW));
    }
    let same_name = token("t0", 9, Role::Viewer, None);
    assert_eq!(
        store.make_token(&same_name, NOW).expect("writable"),
        Made::NameTaken
    );
    let tokens = store.tokens().expect("readable");
    assert_eq!(tokens.len(), 4);
    assert_eq!(tokens[2].token.limit, Some(Limit::Webhook("w".to_owned())));
    store.used_token(tokens[1].id, NOW).expect("writable");
    assert!(store.remove_token(tokens[3].id).expect("writable"));
    assert!(!store.remove_token(tokens[3].id).expect("writable"));
    drop(store);
    let mut store = Store::attach(dir.path()).expect("it is there");
    let tokens = store.tokens().expect("readable");
    assert_eq!((tokens.len(), tokens[1].last_used_at), (3, Some(NOW)));
    let Ok(Made::Token(row)) = store.make_token(&token("again", 3, Role::Viewer, None), NOW) else {
        panic!("expected another token");
    };
    assert_eq!(row.id, TokenId(5), "no number names two tokens");
}

#[test]
fn there_are_only_so_many_tokens() {
    let (_dir, mut store) = store();
    store
        .connection
        .execute_batch(&format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MAX_TOKENS})
             INSERT INTO tokens (name, hash, role, created_at)
             SELECT 'n' || i, zeroblob(28) || printf('%04d', i), 'viewer', 0 FROM n"
        ))
        .expect("writable");
    let made = store.make_token(&token("one too many", 1, Role::Admin, None), NOW);
    assert_eq!(made.expect("readable"), Made::TooMany);
}

#[test]
fn spoilt_tokens_are_left_out_and_are_not_the_same_as_none() {
    let (_dir, mut store) = store();
    store
        .make_token(&token("good", 1, Role::Admin, None), NOW)
        .expect("writable");
    store
        .make_token(&token("bad", 2, Role::Viewer, None), NOW)
        .expect("writable");
    for spoil in [
        "role = 'emperor'",
        "hash = x'00'",
        "hash = 'text'",
        "name = x'ff'",
        "group_name = 'g', webhook = 'w'",
        "created_at = -1",
    ] {
        let sql = format!("SAVEPOINT s; UPDATE tokens SET {spoil} WHERE name = 'bad'");
        store.connection.execute_batch(&sql).expect("writable");
        let names: Vec<String> = store
            .tokens()
            .expect("one is good")
            .into_iter()
            .map(|row| row.token.name)
            .collect();
        assert_eq!(names, ["good"], "{spoil}");
        store
            .connection
            .execute_batch("DELETE FROM tokens WHERE name = 'good'")
            .expect("writable");
        assert!(
            store.tokens().is_err(),
            "{spoil}: everybody would be let in"
        );
        store
            .connection
            .execute_batch("ROLLBACK TO s; RELEASE s")
            .expect("writable");
    }
}
