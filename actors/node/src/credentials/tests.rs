//! First starts, lost tokens, and several processes of one platform.

use super::*;
use apex_bus::access::Answered;
use apex_domain::access::Session;
use apex_storage::{Change, MemoryRecords};
use std::path::PathBuf;

struct Place {
    records: Arc<dyn Records>,
    file: PathBuf,
    _folder: tempfile::TempDir,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    Place {
        records: Arc::new(MemoryRecords::new()),
        file: folder.path().join("admin.token"),
        _folder: folder,
    }
}

impl Place {
    fn open(&self) -> Keys {
        open(&self.records, &self.file, &Clock::Wall).unwrap()
    }

    fn token(&self) -> String {
        let token = std::fs::read_to_string(&self.file).unwrap();
        token.trim().to_owned()
    }
}

fn opens(keys: &Keys, token: &str) -> bool {
    keys.access().verify(token, None).is_ok()
}

#[test]
fn a_lost_token_is_replaced_and_opens_nothing_any_more() {
    let place = place();
    assert!(place.open().made.is_some());
    let lost = place.token();
    let again = place.open();
    assert!(
        again.made.is_none() && opens(&again, &lost),
        "its file is there"
    );

    std::fs::remove_file(&place.file).unwrap();
    let keys = place.open();
    assert!(opens(&keys, &place.token()) && !opens(&keys, &lost));
    assert!(!opens(&place.open(), &lost), "nor after the next start");
}

#[test]
fn keys_of_an_older_build_go_on_opening() {
    let place = place();
    let new = new_key(&[7; RANDOM_BYTES], "ann", Role::Trader, Grants::All, 0);
    let hash: Vec<String> = new.record.secret_hash.iter().map(u8::to_string).collect();
    let old = |revoked: bool, id: &str| {
        format!(
            r#"{{"key_id":"{id}","secret_sha256":[{}],"user_id":"ann","role":"trader","grants":{{"only":["paper"]}},"revoked":{revoked}}}"#,
            hash.join(",")
        )
    };
    let id = new.record.key_id.clone();
    let put = |id: &str, text: String| {
        place.records.put(OLD_TABLE, id, text.as_bytes()).unwrap();
    };
    put(&id, old(false, &id));
    put("gone", old(true, "gone"));
    let keys = place.open();
    let caller = keys.access().verify(&new.token, None).unwrap();
    assert_eq!(
        (caller.user_id.as_str(), caller.role),
        ("ann", Role::Trader)
    );
    assert!(!caller.has_all());
    assert!(keys.shared().key("gone").unwrap().revoked_ns.is_some());
    assert_eq!(place.records.list(OLD_TABLE).unwrap(), []);

    put("bad", "{}".to_owned());
    let refused = open(&place.records, &place.file, &Clock::Wall).unwrap_err();
    assert!(refused.to_string().contains("bad"), "{refused}");
    assert_eq!(place.records.list(OLD_TABLE).unwrap().len(), 1);
}

#[tokio::test]
async fn what_one_process_changes_another_follows() {
    let place = place();
    let (here, there) = (place.open(), place.open());
    let ann = User::new("ann", Role::Trader, Grants::All, 0);
    let insert = write(vec![AccessChange::User(Swap::insert(ann.clone()))]);
    there.shared().change(insert).await.unwrap();
    assert!(here.shared().user("ann").is_none());
    here.store.follow().unwrap();
    let known = here.shared().user("ann").unwrap();

    // Both change what both have seen: one is told.
    let demoted = known.changed(|user| user.role = Role::Viewer);
    let disabled = known.changed(|user| user.disabled = true);
    let change = |after: &User| {
        let swap = Swap::replace(ann.clone(), after.clone());
        write(vec![AccessChange::User(swap)])
    };
    here.shared().change(change(&demoted)).await.unwrap();
    let late = there.shared().change(change(&disabled)).await;
    assert_eq!(late, Err(AccessError::Conflict));
    there.shared().refresh().await.unwrap();
    assert_eq!(*there.shared().user("ann").unwrap(), demoted);
}

/// Each of two last admins that are demoted at the same time sees the other.
#[tokio::test]
async fn a_rule_over_all_users_holds_in_both_processes() {
    let place = place();
    let (here, there) = (place.open(), place.open());
    let second = User::new("second", Role::Admin, Grants::All, 0);
    let insert = write(vec![AccessChange::User(Swap::insert(second.clone()))]);
    here.shared().change(insert).await.unwrap();
    for keys in [&here, &there] {
        keys.shared().refresh().await.unwrap();
    }
    let demote = |keys: &Keys, user: &User| {
        let after = user.changed(|user| user.role = Role::Viewer);
        let mut write = write(vec![AccessChange::User(Swap::replace(user.clone(), after))]);
        write.only_at = Some(keys.shared().generation());
        write
    };
    let admin = here.shared().user(ADMIN).unwrap();
    let (one, other) = (demote(&here, &admin), demote(&there, &second));
    assert_eq!(here.shared().change(one).await, Ok(()));
    let late = there.shared().change(other.clone()).await;
    assert_eq!(late, Err(AccessError::Conflict));
    // Whoever decides again at the newest state may.
    there.shared().refresh().await.unwrap();
    let again = demote(&there, &second);
    assert_ne!(again.only_at, other.only_at);
    assert_eq!(there.shared().change(again).await, Ok(()));
}

#[tokio::test]
async fn a_request_is_answered_once_by_all_processes() {
    let place = place();
    let (here, there) = (place.open(), place.open());
    let request = apex_bus::access::AccessRequest {
        user_id: ADMIN.to_owned(),
        request_id: "r-1".to_owned(),
        method: "S/M",
        content: b"asked".to_vec(),
    };
    let mut answering = write(Vec::new());
    answering.answer = Some((request.clone(), b"yes".to_vec()));
    here.shared().change(answering.clone()).await.unwrap();
    let late = there.shared().change(answering).await;
    assert_eq!(late, Err(AccessError::Conflict));
    let same = there.shared().answered(request).await;
    assert_eq!(same, Ok(Answered::Same(b"yes".to_vec())));
}

#[tokio::test]
async fn a_link_is_used_once_and_what_is_over_is_taken_away() {
    let place = place();
    let keys = place.open();
    let secret = keys.login_link().unwrap();
    let id = secret.split('_').nth(1).unwrap().to_owned();
    let link = keys.shared().link(id.clone()).await.unwrap().unwrap();
    let take = write(vec![AccessChange::Link(Swap::remove(link))]);
    keys.shared().change(take.clone()).await.unwrap();
    let again = keys.shared().change(take).await;
    assert_eq!(again, Err(AccessError::Conflict));
    assert_eq!(keys.shared().link(id).await, Ok(None));

    let ended = Session {
        session_id: "5e55".to_owned(),
        user_id: ADMIN.to_owned(),
        created_ns: 0,
        renewed_ns: 0,
        key_hash: [0; 32],
        current: Vec::new(),
        previous: Vec::new(),
        rotated_ns: 0,
        ended: None,
        browser: false,
        peer: String::new(),
        user_agent: String::new(),
    };
    let insert = write(vec![AccessChange::Session(Swap::insert(ended))]);
    keys.shared().change(insert).await.unwrap();
    keep::clear(&keys.store).unwrap();
    assert_eq!(keys.shared().sessions(ADMIN), []);
    keys.store.follow().unwrap();
    assert_eq!(keys.shared().sessions(ADMIN), []);
}

#[tokio::test]
async fn a_store_that_fails_leaves_what_is_known() {
    let place = place();
    let keys = place.open();
    let damaged = Change::put(apex_storage::records::ACCESS_TABLE, "user/bad", "{}");
    let anew = Change::put(apex_storage::records::ACCESS_TABLE, "generation/users", "x");
    place.records.change(&[damaged, anew]).unwrap();
    let refused = keys.shared().refresh().await;
    assert!(
        matches!(refused, Err(AccessError::Unavailable(_))),
        "{refused:?}"
    );
    assert!(opens(&keys, &place.token()));
}
