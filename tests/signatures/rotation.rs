//! A secret whose file is replaced takes effect without a restart.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use standardwebhooks::Webhook;
use support::receiver::{Behaviour, Request};
use support::setup::Setup;
use support::wait;

use super::{NEW, OLD, header, start};

/// Replaces a file as a careful program does.
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).expect("write a file");
    fs::rename(new, path).expect("replace the file");
}

async fn next(setup: &Setup) -> Request {
    setup.publish("t", "x").await;
    setup.receiver.next().await
}

fn is_signed_with(request: &Request, secret: &str) -> bool {
    let library = Webhook::new(secret).expect("it is a secret");
    let time = header(request, "webhook-timestamp")
        .parse()
        .expect("seconds");
    let expected = library.sign(&header(request, "webhook-id"), time, &request.body);
    header(request, "webhook-signature") == expected.expect("it signs")
}

/// Publishes until a request is signed with this secret, and returns how many were not.
async fn until_signed_with(setup: &Setup, secret: &str) -> usize {
    let mut others = 0;
    wait::until(Duration::from_secs(10), "the other secret", async || {
        let is_it = is_signed_with(&next(setup).await, secret);
        others += usize::from(!is_it);
        is_it.then_some(others)
    })
    .await
}

#[tokio::test]
async fn a_replaced_file_takes_effect_and_a_broken_one_does_not() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("signing-secret");
    replace(&path, &format!("{OLD}\n"));
    let setup = start(&format!("secret_file = \"{}\"", path.display())).await;
    assert!(is_signed_with(&next(&setup).await, OLD));
    replace(&path, &format!("{NEW}\n"));
    until_signed_with(&setup, NEW).await;

    replace(&path, "hunter2");
    let broken = "cannot use a changed file";
    wait::until(Duration::from_secs(10), broken, async || {
        assert!(is_signed_with(&next(&setup).await, NEW));
        setup.sidecar.log().contains(broken).then_some(())
    })
    .await;
    replace(&path, OLD);
    until_signed_with(&setup, OLD).await;
    let log = setup.sidecar.log();
    assert_eq!(log.matches(broken).count(), 1, "{log}");
    for secret in [OLD, NEW, "hunter2"] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[tokio::test]
async fn what_was_idle_does_not_sign_with_a_secret_of_yesterday() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("signing-secret");
    replace(&path, OLD);
    let setup = start(&format!("secret_file = \"{}\"", path.display())).await;
    replace(&path, NEW);
    // The first use looks at the file, and waits for that.
    assert!(is_signed_with(&next(&setup).await, NEW));
}

#[tokio::test]
async fn a_secret_that_is_replaced_as_the_receiver_goes_over_costs_no_event() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("signing-secret");
    replace(&path, OLD);
    for keys in ["", "scheme = \"github\"\n"] {
        replace(&path, OLD);
        let setup = start(&format!("{keys}secret_file = \"{}\"", path.display())).await;
        let is_standard = keys.is_empty();
        let script = move |secret: &'static str| {
            move |request: &Request| {
                let is_believed = if is_standard {
                    is_signed_with(request, secret)
                } else {
                    is_githubs(request, secret)
                };
                Behaviour::Status(if is_believed { 200 } else { 403 })
            }
        };
        setup.receiver.set_script(script(OLD));
        setup.publish("t", "x").await;
        let delivered = "mqhook_deliveries_total{webhook=\"a\",outcome=\"delivered\"}";
        setup.wait_for_metric(delivered, |count| count == 1).await;
        replace(&path, NEW);
        setup.receiver.set_script(script(NEW));
        for _ in 0..5 {
            setup.publish("t", "x").await;
        }
        setup.wait_for_metric(delivered, |count| count == 6).await;
        // One was refused, and sent once more, signed anew; unless a second has passed before it.
        let requests = setup.receiver.requests().len();
        assert!((6..=7).contains(&requests), "{keys}: {requests}");
    }
}

fn is_githubs(request: &Request, secret: &str) -> bool {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
    let signature = ring::hmac::sign(&key, &request.body);
    let hex = signature
        .as_ref()
        .iter()
        .fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("a string takes all");
            hex
        });
    header(request, "x-hub-signature-256") == format!("sha256={hex}")
}
