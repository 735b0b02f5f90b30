//! What the wire and wrong settings can do.

use super::*;
use crate::conformance::{ObjectsBackend, objects_suite};
use crate::testkit::{Moto, Proxy, here};
use bytes::Bytes;
use std::sync::atomic::{AtomicUsize, Ordering};

fn options(endpoint: &str, bucket: &str) -> S3Options {
    S3Options {
        endpoint: endpoint.to_owned(),
        bucket: bucket.to_owned(),
        access_key: "an-access-key".to_owned(),
        secret_key: "a-secret-of-the-test".to_owned(),
        timeout: Duration::from_secs(10),
    }
}

struct InBucket(S3Options);

impl ObjectsBackend for InBucket {
    fn open(&self) -> Result<Box<dyn Objects>, StorageError> {
        Ok(Box::new(S3Objects::connect(self.0.clone())?))
    }
}

fn key(text: &str) -> ObjectKey {
    ObjectKey::new(text).expect("a key")
}

#[test]
fn objects_on_a_server_keep_the_promises() {
    let Some(moto) = here(Moto::start()) else {
        return;
    };
    let number = AtomicUsize::new(0);
    objects_suite(|| {
        let bucket = format!("case-{}", number.fetch_add(1, Ordering::Relaxed));
        moto.make_bucket(&bucket).expect("a bucket");
        InBucket(options(&moto.endpoint(), &bucket))
    });
}

#[test]
fn a_wire_cut_in_mid_put_leaves_the_old_object_or_the_whole_new_one() {
    let Some(moto) = here(Moto::start()) else {
        return;
    };
    moto.make_bucket("reports").expect("a bucket");
    let proxy = Proxy::start(moto.port()).expect("a proxy starts");
    let through = format!("http://127.0.0.1:{}", proxy.port());
    let objects = S3Objects::connect(options(&through, "reports")).expect("it connects");
    let direct = S3Objects::connect(options(&moto.endpoint(), "reports")).expect("it connects");
    let old = vec![1_u8; 9 << 20];
    direct.put(&key("a"), &mut &old[..]).expect("it is stored");
    let new = vec![2_u8; 9 << 20];
    // Each cut somewhere else: the answers to the beginning, to a part, to the end.
    for cut in 0..8 {
        if cut % 2 == 0 {
            proxy.swallow_next_answer();
        } else {
            proxy.cut();
        }
        objects
            .put(&key("a"), &mut &new[..])
            .expect("it is sent again");
        let stored = direct.get(&key("a")).expect("it is whole");
        assert!(stored.is_some_and(|stored| stored == new), "{cut}");
        direct.put(&key("a"), &mut &old[..]).expect("it is stored");
    }
    proxy.set_refusing(true);
    proxy.cut();
    let error = objects
        .put(&key("a"), &mut &new[..])
        .expect_err("nobody answers");
    assert!(matches!(error, StorageError::Unavailable { .. }), "{error}");
    let stored = direct.get(&key("a")).expect("it is whole");
    assert!(
        stored.is_some_and(|stored| stored == old),
        "the old one stands"
    );
    assert!(proxy.swallowed() >= 4);
}

#[test]
fn changed_content_is_found() {
    let Some(moto) = here(Moto::start()) else {
        return;
    };
    moto.make_bucket("reports").expect("a bucket");
    let objects = S3Objects::connect(options(&moto.endpoint(), "reports")).expect("it connects");
    let wrong = ContentHash([7; 32]);
    objects
        .put_small(&key("a"), Bytes::from_static(b"content"), wrong)
        .expect("the server does not know");
    let error = objects
        .get(&key("a"))
        .expect_err("it is not what was stored");
    let text = "damaged at segment object a byte 0 (sequence 0): checksum mismatch";
    assert_eq!(error.to_string(), text);
}

#[test]
fn a_presigned_url_reads_one_object_for_a_while() {
    let Some(moto) = here(Moto::start()) else {
        return;
    };
    moto.make_bucket("reports").expect("a bucket");
    let objects = S3Objects::connect(options(&moto.endpoint(), "reports")).expect("it connects");
    objects
        .put(&key("a/b"), &mut &b"content"[..])
        .expect("it is stored");
    let url = objects.presign(&key("a/b"), Duration::from_secs(60));
    let url = url.expect("a URL").expect("a server has them");
    assert!(
        url.starts_with(&format!("{}/reports/a/b?", moto.endpoint())),
        "{url}"
    );
    for part in ["X-Amz-Expires=60", "X-Amz-Signature="] {
        assert!(url.contains(part), "{url}");
    }
    assert!(!url.contains("a-secret"), "{url}");
}

#[test]
fn a_rule_removes_old_objects_and_leaves_the_rules_of_others() {
    let Some(moto) = here(Moto::start()) else {
        return;
    };
    moto.make_bucket("reports").expect("a bucket");
    let objects = S3Objects::connect(options(&moto.endpoint(), "reports")).expect("it connects");
    objects.expire("reports/", 30).expect("a rule");
    objects.expire("archive/", 400).expect("another one");
    objects.expire("reports/", 60).expect("the first again");
    let rules = objects.lifecycle().expect("they can be read");
    let rules: Vec<(String, i64)> = rules
        .into_iter()
        .filter_map(|rule| Some((rule.id?, rule.expiration?.days?)))
        .collect();
    let expected = [("apextrade-archive/", 400), ("apextrade-reports/", 60)];
    assert_eq!(rules, expected.map(|(id, days)| (id.to_owned(), days)));
}

#[test]
fn settings_that_cannot_work_name_their_variable_and_no_secret() {
    let Some(moto) = here(Moto::start()) else {
        return;
    };
    for (options, variable, expected) in [
        (options("nowhere", "x"), "APEX_S3_ENDPOINT", "is no URL"),
        (
            options("http://127.0.0.1:1", "x"),
            "APEX_S3_ENDPOINT",
            "refused",
        ),
        (
            options(&moto.endpoint(), "none"),
            "APEX_S3_BUCKET",
            "make the bucket first",
        ),
    ] {
        let error = S3Objects::connect(options).expect_err(expected).to_string();
        assert!(error.contains(variable), "{error}");
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("a-secret"), "{error}");
    }
}
