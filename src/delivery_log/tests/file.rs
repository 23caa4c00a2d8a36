//! The log's file: its bounds, and what may happen to it.

use std::fs;

use super::*;

fn recorder_log(world: &World) -> &Metrics {
    &world.log.0.metrics
}

#[test]
fn the_oldest_go_when_all_take_too_much() {
    let config = Config {
        max_bytes: 256 << 10,
        successes: Successes::Disk,
        keep_events: true,
        ..Config::default()
    };
    let world = World::new(config);
    let mut recorder = world.log.recorder("a");
    for _ in 0..400 {
        record(&mut recorder, &event("t", 4_096), Ending::Delivered);
    }
    let newest = event("t", 1);
    record(&mut recorder, &newest, Ending::Delivered);
    let file = world.dir.path().join("deliveries.db");
    wait_for("the file to become small", || {
        let size = fs::metadata(&file).map_or(0, |file| file.len());
        let count = world.on_disk();
        size > 0 && size <= 2 << 20 && (1..=64).contains(&count)
    });
    assert_eq!(world.attempts(&Filter::default())[0].event, newest.id);
    assert!(recorder_log(&world).missing() == 0, "nothing was left out");
}

#[test]
fn the_oldest_go_when_they_are_too_old() {
    let config = Config {
        max_age: Duration::from_millis(300),
        ..Config::default()
    };
    let world = World::new(config);
    let mut recorder = world.log.recorder("a");
    record(&mut recorder, &event("t", 1), Ending::Retry);
    world.wait_for_disk(1);
    std::thread::sleep(Duration::from_millis(300));
    record(&mut recorder, &event("t", 1), Ending::Retry);
    wait_for("the first to go", || {
        let newest = world.attempts(&Filter::default());
        newest.len() <= 1
    });
}

#[test]
fn a_damaged_file_is_set_aside_and_a_new_one_begun() {
    let mut world = World::new(Config::default());
    let mut recorder = world.log.recorder("a");
    record(&mut recorder, &event("t", 1), Ending::Retry);
    drop(recorder);
    world.restart();
    drop(world.thread.take());
    let file = world.dir.path().join("deliveries.db");
    fs::write(&file, vec![0x5a; 20_000]).expect("it is ours");
    world.restart();
    let mut recorder = world.log.recorder("a");
    let last = event("t", 1);
    wait_for("a new file", || file.with_extension("db.corrupt").exists());
    record(&mut recorder, &last, Ending::Retry);
    world.wait_for_disk(1);
    assert_eq!(world.attempts(&Filter::default())[0].event, last.id);
}

#[test]
fn a_file_that_cannot_be_used_costs_the_log_and_nothing_else() {
    let world = World::new(Config::default());
    fs::create_dir(world.dir.path().join("deliveries.db")).expect("nothing is there");
    let mut recorder = world.log.recorder("a");
    record(&mut recorder, &event("t", 1), Ending::Delivered);
    record(&mut recorder, &event("t", 1), Ending::Retry);
    wait_for("a count", || recorder_log(&world).missing() == 1);
    assert!(world.log.attempts(&Filter::default(), None, 1).is_err());
}

#[test]
fn another_programs_file_is_left_alone() {
    let world = World::new(Config::default());
    let file = world.dir.path().join("deliveries.db");
    let theirs = rusqlite::Connection::open(&file).expect("a database");
    theirs
        .execute_batch("CREATE TABLE theirs (a); INSERT INTO theirs VALUES (7)")
        .expect("it can be written");
    let mut recorder = world.log.recorder("a");
    record(&mut recorder, &event("t", 1), Ending::Retry);
    wait_for("a count", || recorder_log(&world).missing() == 1);
    let seven: i64 = theirs
        .query_row("SELECT a FROM theirs", [], |row| row.get(0))
        .expect("it is still there");
    assert_eq!(seven, 7);
}

#[test]
fn rows_of_strangers_are_left_out() {
    let world = World::new(Config::default());
    let mut recorder = world.log.recorder("a");
    for _ in 0..3 {
        record(&mut recorder, &event("t", 1), Ending::Retry);
    }
    world.wait_for_disk(3);
    let file = world.dir.path().join("deliveries.db");
    let other = rusqlite::Connection::open(file).expect("a database");
    let vandalism =
        "UPDATE attempts SET kind = 'nonsense' WHERE id = (SELECT min(id) FROM attempts);
         UPDATE attempts SET latency_us = -1 WHERE id = (SELECT max(id) FROM attempts);";
    other.execute_batch(vandalism).expect("it can be written");
    assert_eq!(world.attempts(&Filter::default()).len(), 1);
}

#[test]
fn a_storm_writes_a_thousand_and_says_what_it_left_out() {
    let world = World::new(Config::default());
    let mut recorder = world.log.recorder("a");
    let event = event("t", 1);
    let start = std::time::Instant::now();
    let mut count = 0_u64;
    while count < 20_000 {
        record(&mut recorder, &event, Ending::Retry);
        count += 1;
    }
    let most = 1_000 + start.elapsed().as_millis() as usize / 50 + 1;
    wait_for("what was queued to be written", || {
        let queue = world.log.0.queue.as_ref().expect("there is a disk");
        let mut waiting = 0;
        queue.see(|_| waiting += 1);
        waiting == 0
    });
    assert!((1_000..=most).contains(&world.on_disk()));
    std::thread::sleep(Duration::from_millis(60));
    record(&mut recorder, &event, Ending::Retry);
    let last = &world.attempts(&Filter::default())[0];
    assert!(last.left_out > 10_000, "{last:?}");
    // The totals have them all.
    let hour = world.log.last_hour(Timestamp::now());
    let failed: u32 = hour[0].minutes.iter().map(|minute| minute.failed).sum();
    assert_eq!(failed, 20_001);
}
