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

/// Takes connections and says nothing, as a frozen server does.
fn silent_server() -> (std::net::TcpListener, String) {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    (listener, endpoint)
}

#[test]
fn a_server_that_says_nothing_is_given_up_by_name() {
    let (_listener, endpoint) = silent_server();
    let options = S3Options {
        timeout: Duration::from_millis(200),
        ..options(&endpoint, "x")
    };
    let error = S3Objects::connect(options).expect_err("nobody answers");
    assert!(matches!(error, StorageError::Unavailable { .. }), "{error}");
    let text = error.to_string();
    for part in [&endpoint, "no sign of life for 0.2 s", "APEX_S3_ENDPOINT"] {
        assert!(text.contains(part), "{text}");
    }
}

/// Answers a request with the beginning of an object, and nothing behind it.
#[test]
fn an_answer_that_stops_in_its_middle_is_given_up_too() {
    let (listener, endpoint) = silent_server();
    std::thread::spawn(move || {
        let answers = [
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nbegun",
            "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nbegun",
        ];
        let mut open = Vec::new();
        let mut answers = answers.iter();
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            // A connection may be used again, so each gets all that is left of the answers.
            let mut request = [0_u8; 4096];
            while std::io::Read::read(&mut stream, &mut request).is_ok_and(|read| read > 0) {
                let Some(answer) = answers.next() else { return };
                let _ = std::io::Write::write_all(&mut stream, answer.as_bytes());
                if answer.ends_with("begun") {
                    break;
                }
            }
            open.push(stream);
        }
    });
    let options = S3Options {
        timeout: Duration::from_millis(300),
        ..options(&endpoint, "x")
    };
    let objects = S3Objects::connect(options).expect("it connects");
    let error = objects.read(&key("a"), None).expect_err("it never ends");
    assert!(error.to_string().contains("no sign of life"), "{error}");
}

/// Answers each request with the next of `answers`, each on a connection of its own.
fn answering(answers: Vec<String>) -> String {
    let (listener, endpoint) = silent_server();
    std::thread::spawn(move || {
        for (answer, stream) in answers.iter().zip(listener.incoming()) {
            let Ok(mut stream) = stream else { return };
            let mut request = [0_u8; 4096];
            let _ = std::io::Read::read(&mut stream, &mut request);
            let _ = std::io::Write::write_all(&mut stream, answer.as_bytes());
        }
    });
    endpoint
}

#[test]
fn an_upload_whose_last_answer_was_lost_is_known_by_its_hash() {
    let (sent, other) = (ContentHash([7; 32]), ContentHash([8; 32]));
    let answer = |status: &str, more: &str| {
        format!("HTTP/1.1 {status}\r\n{more}content-length: 0\r\nconnection: close\r\n\r\n")
    };
    let found = |hash: ContentHash| answer("200 OK", &format!("x-amz-meta-sha256: {hash}\r\n"));
    let gone = answer("404 Not Found", "");
    for (head, is_there) in [
        (found(sent), true),
        (found(other), false),
        (answer("200 OK", ""), false),
        (gone.clone(), false),
    ] {
        let endpoint = answering(vec![answer("200 OK", ""), gone.clone(), head.clone()]);
        let objects = S3Objects::connect(options(&endpoint, "x")).expect("it connects");
        let finished = objects.finish(&key("a"), "1", Vec::new(), sent);
        assert_eq!(finished.is_ok(), is_there, "{head}: {finished:?}");
    }
}

#[test]
fn an_upload_that_is_done_in_words_alone_is_not_taken_for_stored() {
    let sent = ContentHash([7; 32]);
    let answer = |more: &str, body: &str| {
        let length = body.len();
        format!(
            "HTTP/1.1 200 OK\r\n{more}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
        )
    };
    let error = "<?xml version=\"1.0\"?><Error><Code>InternalError</Code>\
                 <Message>We encountered an internal error.</Message></Error>";
    let done = "<CompleteMultipartUploadResult><ETag>1</ETag></CompleteMultipartUploadResult>";
    let there = answer(&format!("x-amz-meta-sha256: {sent}\r\n"), "");
    let gone = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    for (body, head, is_there) in [
        (error, gone, false),
        ("", gone, false),
        (done, gone, false),
        (error, &there, true),
        (done, &there, true),
    ] {
        let answers = vec![answer("", ""), answer("", body), head.to_owned()];
        let endpoint = answering(answers);
        let objects = S3Objects::connect(options(&endpoint, "x")).expect("it connects");
        let finished = objects.finish(&key("a"), "1", Vec::new(), sent);
        assert_eq!(finished.is_ok(), is_there, "{body} {head}: {finished:?}");
    }
}

#[test]
fn keys_that_are_refused_are_named_by_their_variables() {
    let (listener, endpoint) = silent_server();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0_u8; 4096];
            let _ = std::io::Read::read(&mut stream, &mut request);
            let answer =
                b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            let _ = std::io::Write::write_all(&mut stream, answer);
        }
    });
    let error = S3Objects::connect(options(&endpoint, "x")).expect_err("nobody is let in");
    assert!(matches!(error, StorageError::Setting { .. }), "{error}");
    let text = error.to_string();
    assert!(text.starts_with("APEX_S3_ACCESS_KEY "), "{text}");
    assert!(text.contains("APEX_S3_SECRET_KEY"), "{text}");
    assert!(!text.contains("a-secret"), "{text}");
}

#[test]
fn a_probe_leaves_nothing() {
    let Some(moto) = here(Moto::start()) else {
        return;
    };
    moto.make_bucket("probed").expect("a bucket");
    let objects = S3Objects::connect(options(&moto.endpoint(), "probed")).expect("it connects");
    let kept = objects.probe().expect("it may write and read");
    assert!(kept.is_none(), "{kept:?}");
    let left = objects.list("", None, 10).expect("they can be listed");
    assert!(left.is_empty(), "{left:?}");
}

/// Another process takes the object away in between, or the server forgets it.
#[test]
fn a_probe_that_reads_nothing_back_fails() {
    let empty = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let gone = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let list = "<ListBucketResult></ListBucketResult>";
    let list = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{list}",
        list.len()
    );
    let answers = [empty, empty, gone, &list, gone].map(str::to_owned);
    let endpoint = answering(answers.to_vec());
    let objects = S3Objects::connect(options(&endpoint, "x")).expect("it connects");
    let error = objects.probe().expect_err("nothing came back");
    assert!(error.to_string().contains(probe::PROBES), "{error}");
}

#[test]
fn settings_that_cannot_work_name_their_variable_and_no_secret() {
    let Some(moto) = here(Moto::start()) else {
        return;
    };
    for (options, variable, expected) in [
        (options("nowhere", "x"), "APEX_S3_ENDPOINT", "is no URL"),
        (
            options("http://ann:a-secret@127.0.0.1:1", "x"),
            "APEX_S3_ENDPOINT",
            "user or password",
        ),
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
        assert!(!format!("{options:?}").contains("a-secret"));
        let error = S3Objects::connect(options).expect_err(expected).to_string();
        assert!(error.contains(variable), "{error}");
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("a-secret"), "{error}");
    }
}
