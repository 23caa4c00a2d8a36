//! File systems that fill up and break down, where mounting is allowed.

use std::fs;
use std::io::ErrorKind;

use support::disk::Disk;

const MIB: u64 = 1 << 20;

#[test]
fn a_tmpfs_fills_up_and_grows() {
    let disk = match Disk::tmpfs(MIB) {
        Ok(disk) => disk,
        Err(why) => return println!("skipped: {why}"),
    };
    let file = disk.path().join("file");
    let bytes = b".".repeat(2 << 20);
    let full = fs::write(&file, &bytes).map_err(|error| error.kind());
    assert_eq!(full, Err(ErrorKind::StorageFull));
    disk.resize(4 * MIB);
    fs::write(&file, &bytes).expect("there is room");
    let path = disk.path().to_owned();
    drop(disk);
    assert!(!path.exists(), "the directory goes with the disk");
}

#[test]
fn a_broken_ext4_is_read_only_until_it_is_repaired() {
    let disk = match Disk::ext4(16 * MIB) {
        Ok(disk) => disk,
        Err(why) => return println!("skipped: {why}"),
    };
    let file = disk.path().join("file");
    fs::write(&file, "kept").expect("a fresh file system takes a file");
    fs::File::open(&file)
        .and_then(|file| file.sync_all())
        .expect("synced");
    if let Err(why) = disk.break_down() {
        return println!("skipped: {why}");
    }
    let refused = fs::write(&file, "more").map_err(|error| error.kind());
    assert_eq!(refused, Err(ErrorKind::ReadOnlyFilesystem));
    disk.repair();
    assert_eq!(fs::read_to_string(&file).expect("still there"), "kept");
    fs::write(&file, "more").expect("repaired");
}
