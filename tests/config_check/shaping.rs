//! In which order, how many at once and how often events are posted.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use mqhook::dispatch::{Batch, OrderBy, Rate, Sequence, Shaping};
use mqhook::http::{BatchFormat, Compression};

use crate::keeping::webhook;

#[test]
fn without_keys_each_event_goes_by_itself() {
    let webhook = webhook("");
    assert_eq!(webhook.shaping, Shaping::default());
    assert_eq!(webhook.http.batch, None);
    assert_eq!(webhook.http.compression, Compression::None);
}

#[test]
fn every_key_counts() {
    let text = r#"
        order_by = "client"
        order_skip_after = "5m"
        rate_limit = "90 / m"
        compression = "zstd"
        batch = { max_events = 7, max_bytes = "2KiB", max_wait = "0s", format = "ndjson" }"#;
    let webhook = webhook(text);
    let expected = Shaping {
        sequence: Sequence::InOrder {
            by: OrderBy::Client,
            skip_after: Duration::from_mins(5),
        },
        batch: Some(Batch {
            max_events: NonZeroUsize::new(7).expect("it is not zero"),
            max_bytes: 2_048,
            max_wait: Duration::ZERO,
        }),
        rate_limit: Some(Rate {
            attempts: NonZeroU32::new(90).expect("it is not zero"),
            per: Duration::from_mins(1),
        }),
    };
    assert_eq!(webhook.shaping, expected);
    assert_eq!(webhook.http.batch, Some(BatchFormat::Ndjson));
    assert_eq!(webhook.http.compression, Compression::Zstd);
}

#[test]
fn an_empty_batch_table_has_the_defaults() {
    let webhook = webhook("batch = {}");
    assert_eq!(webhook.shaping.batch, Some(Batch::default()));
    assert_eq!(webhook.http.batch, Some(BatchFormat::Json));
}

#[test]
fn the_newest_of_a_topic_comes_in_the_order_of_topics_anyway() {
    let sequence = |keys| webhook(keys).shaping.sequence;
    assert_eq!(sequence("conflate = \"topic\""), Sequence::Latest);
    assert_eq!(
        sequence("conflate = \"topic\"\norder_by = \"topic\""),
        Sequence::Latest
    );
    assert_eq!(sequence("conflate = \"none\""), Sequence::Free);
}
