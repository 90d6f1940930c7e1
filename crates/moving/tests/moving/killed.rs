//! A move that is killed at any moment goes on, and ends with the same.

use banter_moving::{MoveError, export, import, migrate};
use banter_store::behaviour::{Random, seed};

use super::installations::{embedded, fill, is_half_moved, lines, quiet};
use super::mortal::Life;
use super::random::installation;

fn died(error: &MoveError) -> bool {
    error.to_string().contains("killed")
}

/// Killed at its first operation, at its second, and so on, each in a target of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_goes_on_after_a_kill_at_each_operation() {
    let seed = seed();
    eprintln!("BANTER_SEED={seed}");
    let mut random = Random::new(seed);
    let from = embedded().await;
    fill(&from.installation, &installation(&mut random, 6, 8).records).await;
    let expected = lines(&from.installation, from.folder.path(), "expected").await;
    // As many operations as it takes when nobody kills it.
    let long = Life::new(1 << 40, 0);
    let to = embedded().await;
    migrate(&long.of(&from.installation), &long.of(&to.installation), &quiet).await.unwrap();
    let all = long.done();
    // The first, the last, and every few in between, never the same in two runs.
    let mut kills: Vec<u64> = (0..8).chain(all - 8..=all).collect();
    kills.extend((0..30).map(|_| random.below(all)));
    eprintln!("{all} operations");
    for operations in kills {
        let to = embedded().await;
        let life = Life::new(operations, random.below(3));
        let first = migrate(&life.of(&from.installation), &life.of(&to.installation), &quiet).await;
        match &first {
            Ok(_) => assert!(operations >= all),
            Err(error) => assert!(died(error) && operations < all, "after {operations} of {all} operations: {error}"),
        }
        // Killed before anything was noted: it begins. Killed after the end was noted: it is there, as the last operation may have been
        // done without an answer.
        match migrate(&from.installation, &to.installation, &quiet).await {
            Ok(_) => {}
            Err(MoveError::NotEmpty) => assert!(operations + 1 >= all, "after {operations} of {all} operations"),
            Err(error) => panic!("after {operations} of {all} operations: {error}"),
        }
        assert!(!is_half_moved(&*to.history).await);
        let moved = lines(&to.installation, to.folder.path(), "moved").await;
        assert!(moved == expected, "after {operations} of {all} operations");
    }
}

/// Killed again and again, a little further each time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_goes_on_after_many_kills() {
    let seed = seed();
    eprintln!("BANTER_SEED={seed}");
    let mut random = Random::new(seed);
    let from = embedded().await;
    fill(&from.installation, &installation(&mut random, 200, 8).records).await;
    let expected = lines(&from.installation, from.folder.path(), "export").await;
    let path = from.folder.path().join("export");
    let to = embedded().await;
    let mut kills = 0;
    loop {
        let life = Life::new(3 + random.below(12), random.below(3));
        match import(&path, &life.of(&to.installation), &quiet).await {
            Ok(_) => break,
            Err(MoveError::NotEmpty) => break,
            Err(error) => assert!(died(&error), "{error}"),
        }
        kills += 1;
        // In the end what has arrived is compared, which takes more operations than that.
        if kills > 30 {
            import(&path, &to.installation, &quiet).await.unwrap();
            break;
        }
    }
    assert!(kills > 1);
    assert_eq!(lines(&to.installation, to.folder.path(), "moved").await, expected);
}

/// An export that was killed anywhere, in the middle of a line even, goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_goes_on_after_a_kill() {
    let seed = seed();
    eprintln!("BANTER_SEED={seed}");
    let mut random = Random::new(seed);
    let from = embedded().await;
    fill(&from.installation, &installation(&mut random, 6, 8).records).await;
    let folder = from.folder.path();
    let whole = folder.join("whole");
    export(&from.installation, &whole, 7, &quiet).await.unwrap();
    let expected = std::fs::read(&whole).unwrap();
    let length = expected.len() as u64;
    let mut cuts = vec![0, 1, length, length - 1];
    cuts.extend((0..40).map(|_| random.below(length)));
    for (number, cut) in cuts.into_iter().enumerate() {
        let (path, part) = (folder.join(format!("again{number}")), folder.join(format!("again{number}.part")));
        let mut left = expected[..cut as usize].to_vec();
        // After a power cut there may be something else than was written.
        if random.below(3) == 0 {
            left.extend([0; 5_000]);
        }
        std::fs::write(&part, left).unwrap();
        export(&from.installation, &path, 7, &quiet).await.unwrap();
        assert!(std::fs::read(&path).unwrap() == expected, "cut at {cut} of {length}");
        assert!(!part.exists());
    }
    // What is left of an export of another state is no use.
    let other = embedded().await;
    fill(&other.installation, &installation(&mut random, 3, 8).records).await;
    std::fs::write(folder.join("other.part"), &expected[..expected.len() / 2]).unwrap();
    let lines = lines(&other.installation, folder, "other").await;
    assert_eq!(lines, super::installations::lines(&other.installation, folder, "other again").await);
}

/// A life in which nothing but reading is done is long enough to see that reading dies too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_dies_with_its_source() {
    let mut random = Random::new(1);
    let from = embedded().await;
    fill(&from.installation, &installation(&mut random, 20, 8).records).await;
    let path = from.folder.path().join("export");
    for operations in 0.. {
        let life = Life::new(operations, 0);
        match export(&life.of(&from.installation), &path, 7, &quiet).await {
            Ok(_) => break,
            Err(error) => assert!(died(&error) && !path.exists(), "{error}"),
        }
    }
    let expected = lines(&from.installation, from.folder.path(), "at once").await;
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().skip(1).collect::<Vec<_>>(), expected);
}
