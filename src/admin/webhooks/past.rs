//! What a webhook leaves behind, which goes by its name: what waits for it, its dead letters and its log.
//!
//! Whoever has a webhook of that name has all that. So who is limited to a group cannot take a name that others have had,
//! and who moves a webhook to another group is told what it brings along.

use serde_json::Value;

use super::States;
use crate::admin::{Api, Problem, definitions};
use crate::delivery_log::{Filter, Page};
use crate::spool::store::{Limit, Store, TokenRow};

/// Refuses a name under which there may be something of others, or which a token of theirs is limited to.
pub(super) async fn refuse(api: &Api, name: &str) -> Result<(), Problem> {
    let wanted = name.to_owned();
    let read = move |store: &mut Store| {
        let is_it = |row: &TokenRow| row.token.limit == Some(Limit::Webhook(wanted.clone()));
        let is_known = store.backlog()?.iter().any(|it| it.name == wanted);
        Ok((is_known, store.tokens()?.iter().any(is_it)))
    };
    let (is_known, has_token) = api.store.read(read).await?;
    if is_known || is_logged(api, name).await? {
        let detail = "there was a webhook of this name, which left events behind; a token without a limit can make it";
        return Err(Problem::conflict(detail));
    }
    if has_token {
        let detail = "there is no webhook of this name, but a token is limited to it; a token without a limit can make it";
        return Err(Problem::conflict(detail));
    }
    Ok(())
}

async fn is_logged(api: &Api, name: &str) -> Result<bool, Problem> {
    let filter = Filter {
        webhook: Some(name.to_owned()),
        ..Filter::default()
    };
    let page = api.log.ask(move |log| log.attempts(&filter, None, 1));
    Ok(page.await? != Page::default())
}

/// Returns what is to be said of a webhook that comes into another group, if it has left anything in the one before.
pub(super) async fn warning(api: &Api, name: &str, group: &str) -> Option<Value> {
    let known = States::read(api).await.unwrap_or_default();
    let backlog = known.backlog.get(name);
    let (waiting, letters) = backlog.map_or((0, 0), |it| (it.waiting(), it.dead_letters));
    let is_logged = is_logged(api, name).await.unwrap_or(true);
    if waiting == 0 && letters == 0 && !is_logged {
        return None;
    }
    let detail = format!(
        "it brings along what it had before, which tokens of the group `{group}` see now: {letters} dead letters, \
         {waiting} events that wait, and its log"
    );
    let help = "to keep that from them, make another webhook for the group and delete this one";
    Some(definitions::warning("/group", &detail, Some(help)))
}

/// Has the database know the name of a webhook that is about to go: of one that is not durable it has nothing.
pub(super) async fn keep_name(api: &Api, name: &str) -> Result<(), Problem> {
    let name = name.to_owned();
    let keep = move |store: &mut Store| store.register(&name).map(drop);
    api.store.write(keep).await
}
