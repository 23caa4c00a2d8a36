//! What cannot be built.

use super::*;
use crate::sink::Outcome;

#[test]
fn two_receivers_of_one_name_are_refused() {
    let mut config = Config::new();
    config.admin.listen = None;
    config.spool.backend = Backend::Memory;
    let receiver = || {
        let sink = Arc::new(|_| async { Outcome::Delivered });
        Receiver::new("closure", Vec::new(), sink)
    };
    let app = App::with_receivers(&config, vec![receiver(), receiver()]);
    let name = match app {
        Err(Error::SameName { name }) => name,
        Err(other) => panic!("refused, but for {other:?}"),
        Ok(_) => panic!("two receivers share a queue"),
    };
    assert_eq!(name, "closure");
}
