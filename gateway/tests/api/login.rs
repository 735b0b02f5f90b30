//! Logins, sessions, second factors, users and keys.

use crate::harness::{Authorized, Harness, put_user};
use apex_bus::access::AccessStore;
use apex_gateway::auth::{Grants, Role};
use apex_proto::v1;
use apex_proto::v1::auth_service_client::AuthServiceClient;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

pub const PASSWORD: &str = "correct horse battery";

pub type Client<T> = AuthServiceClient<T>;

pub fn reason(status: &Status) -> (Code, String) {
    let details = status.get_error_details();
    let info = details.error_info().map(|info| info.reason.clone());
    (status.code(), info.unwrap_or_default())
}

pub fn is(code: Code, text: &str) -> (Code, String) {
    (code, text.to_owned())
}

/// A user with a password that it chose itself.
pub async fn with_ann(harness: &Harness, role: Role) {
    put_user(&harness.keys, "ann", role, Grants::Only([].into()));
    let mut admin = Client::new(harness.admin().await);
    let reset = v1::ResetPasswordRequest {
        user_id: "ann".to_owned(),
        password: "given by an admin".to_owned(),
        request_id: "set-up".to_owned(),
    };
    admin.reset_password(reset).await.unwrap();
    let first = login(harness, "ann", "given by an admin", "")
        .await
        .unwrap();
    assert!(first.must_change_password);
    let change = v1::ChangePasswordRequest {
        old_password: "given by an admin".to_owned(),
        new_password: PASSWORD.to_owned(),
    };
    of(harness, &first)
        .await
        .change_password(change)
        .await
        .unwrap();
}

async fn open(harness: &Harness) -> Client<Channel> {
    Client::new(harness.channel().await)
}

pub async fn of(harness: &Harness, login: &v1::LoginResponse) -> Client<Authorized> {
    Client::new(harness.as_token(&login.access_token).await)
}

pub async fn login(
    harness: &Harness,
    user: &str,
    password: &str,
    code: &str,
) -> Result<v1::LoginResponse, Status> {
    let request = v1::LoginRequest {
        user_id: user.to_owned(),
        password: password.to_owned(),
        totp_code: code.to_owned(),
        ..Default::default()
    };
    let answer = open(harness).await.login(request).await;
    answer.map(tonic::Response::into_inner)
}

pub async fn refresh(harness: &Harness, token: &str) -> Result<v1::LoginResponse, Status> {
    let request = v1::RefreshRequest {
        refresh_token: token.to_owned(),
    };
    let answer = open(harness).await.refresh(request).await;
    answer.map(tonic::Response::into_inner)
}

pub async fn who(client: &mut Client<Authorized>) -> Result<v1::WhoAmIResponse, Code> {
    let answer = client.who_am_i(v1::WhoAmIRequest {}).await;
    answer
        .map(tonic::Response::into_inner)
        .map_err(|it| it.code())
}

#[tokio::test]
async fn a_login_opens_and_a_logout_closes() {
    let harness = Harness::start().await;
    with_ann(&harness, Role::Trader).await;
    let session = login(&harness, "ann", PASSWORD, "").await.unwrap();
    assert!(!session.must_change_password);
    assert_eq!(
        (session.user_id.as_str(), session.role()),
        ("ann", v1::Role::Trader)
    );
    let mut client = of(&harness, &session).await;
    let me = who(&mut client).await.unwrap();
    assert_eq!(
        (me.user_id.as_str(), me.credential_id),
        ("ann", session.session_id.clone())
    );
    let out = client.logout(v1::LogoutRequest::default()).await.unwrap();
    assert_eq!(out.into_inner().ended, 1);
    assert_eq!(who(&mut client).await, Err(Code::Unauthenticated));
    let late = refresh(&harness, &session.refresh_token).await.unwrap_err();
    assert_eq!(reason(&late), is(Code::Unauthenticated, "LOGIN_FAILED"));
}

#[tokio::test]
async fn a_refresh_token_is_good_for_one_renewal() {
    let harness = Harness::start().await;
    with_ann(&harness, Role::Trader).await;
    let first = login(&harness, "ann", PASSWORD, "").await.unwrap();
    let second = refresh(&harness, &first.refresh_token).await.unwrap();
    let third = refresh(&harness, &second.refresh_token).await.unwrap();
    assert_eq!(first.session_id, third.session_id);
    // Stolen: it had been replaced, and what replaced it too.
    let stolen = refresh(&harness, &first.refresh_token).await.unwrap_err();
    assert_eq!(reason(&stolen), is(Code::Unauthenticated, "LOGIN_FAILED"));
    for token in [&third.refresh_token, &second.refresh_token] {
        assert!(refresh(&harness, token).await.is_err());
    }
    assert_eq!(
        who(&mut of(&harness, &third).await).await,
        Err(Code::Unauthenticated)
    );
    for token in ["", "apexr_x_y.z", "apexr_5e55", &first.access_token] {
        let refused = refresh(&harness, token).await.unwrap_err();
        assert_eq!(
            reason(&refused),
            is(Code::Unauthenticated, "LOGIN_FAILED"),
            "{token:.20}"
        );
    }
}

#[tokio::test]
async fn a_browser_has_its_token_in_a_cookie() {
    let harness = Harness::start().await;
    with_ann(&harness, Role::Trader).await;
    let request = v1::LoginRequest {
        user_id: "ann".to_owned(),
        password: PASSWORD.to_owned(),
        browser: true,
        ..Default::default()
    };
    let mut client = open(&harness).await;
    let answer = client.login(request).await.unwrap();
    let cookie = answer
        .metadata()
        .get("set-cookie")
        .unwrap()
        .to_str()
        .unwrap();
    let pair = cookie.split(';').next().unwrap().to_owned();
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"),
        "{cookie}"
    );
    assert_eq!(answer.get_ref().refresh_token, "");

    let mut again = Request::new(v1::RefreshRequest::default());
    again.metadata_mut().insert("cookie", pair.parse().unwrap());
    let next = client.refresh(again).await.unwrap();
    let rotated = next.metadata().get("set-cookie").unwrap().to_str().unwrap();
    assert!(!rotated.starts_with(&pair), "it was replaced");
    let next = next.into_inner();
    assert_eq!(next.refresh_token, "");
    let out = of(&harness, &next)
        .await
        .logout(v1::LogoutRequest::default())
        .await
        .unwrap();
    let cleared = out.metadata().get("set-cookie").unwrap().to_str().unwrap();
    assert!(cleared.contains("Max-Age=0"), "{cleared}");
}

/// Whoever tries names learns nothing from answers: neither from their text nor from their order.
#[tokio::test]
async fn a_name_that_nobody_has_is_refused_as_one_that_somebody_has() {
    let harness = Harness::start().await;
    with_ann(&harness, Role::Trader).await;
    put_user(&harness.keys, "key-only", Role::Trader, Grants::All);
    put_user(&harness.keys, "gone", Role::Trader, Grants::All);
    let mut admin = Client::new(harness.admin().await);
    let disable = v1::DisableUserRequest {
        user_id: "gone".to_owned(),
        request_id: "r".to_owned(),
        ..Default::default()
    };
    admin.disable_user(disable).await.unwrap();
    let mut said = Vec::new();
    for name in ["ann", "nobody", "key-only", "gone"] {
        let mut of_name = Vec::new();
        let mut locked = None;
        for _ in 0..8 {
            let refused = login(&harness, name, "wrong password", "")
                .await
                .unwrap_err();
            let (code, why) = reason(&refused);
            if why == "LOGIN_LOCKED" {
                let delay = refused
                    .get_error_details()
                    .retry_info()
                    .unwrap()
                    .retry_delay;
                assert!(delay.unwrap() <= std::time::Duration::from_secs(1));
                locked = Some(code);
                // The right password is not looked at either.
                let right = login(&harness, name, PASSWORD, "").await.unwrap_err();
                assert_eq!(reason(&right), is(Code::ResourceExhausted, "LOGIN_LOCKED"));
                break;
            }
            of_name.push((code, why, refused.message().to_owned()));
        }
        said.push((of_name, locked));
    }
    assert_eq!(said[0].0.len(), 6, "{:?}", said[0]);
    assert_eq!(said[0].1, Some(Code::ResourceExhausted));
    for other in &said[1..] {
        assert_eq!(other, &said[0]);
    }
}

#[tokio::test]
async fn one_address_logs_in_so_often() {
    let harness = Harness::start_with_logins(2).await;
    let mut said = Vec::new();
    for _ in 0..3 {
        said.push(
            login(&harness, "nobody", "wrong password", "")
                .await
                .unwrap_err(),
        );
    }
    // Hashing takes a part of a second, in which the bucket may fill again by one.
    said.push(refresh(&harness, "apexr_x_y.z").await.unwrap_err());
    let limited = said
        .iter()
        .filter(|status| reason(status).1 == "LOGIN_RATE");
    assert!(limited.clone().count() >= 1, "{said:?}");
    for status in limited {
        assert!(status.get_error_details().retry_info().is_some());
    }
}

fn code_at(secret: &str, now_ns: i64, steps: i64) -> String {
    let secret = totp_rs::Secret::try_from_base32(secret).unwrap();
    let totp = totp_rs::Builder::new()
        .with_algorithm(totp_rs::Algorithm::SHA1)
        .with_digits(6)
        .with_skew(1)
        .with_step_duration(30)
        .with_secret(secret)
        .build()
        .unwrap();
    let seconds = now_ns / 1_000_000_000 + steps * 30;
    totp.generate(seconds as u64).to_string()
}

#[tokio::test]
async fn a_second_factor_is_asked_for_and_each_code_counts_once() {
    let harness = Harness::start().await;
    with_ann(&harness, Role::Trader).await;
    let session = login(&harness, "ann", PASSWORD, "").await.unwrap();
    let mut client = of(&harness, &session).await;
    let enable = |code: &str| v1::EnableTotpRequest {
        password: PASSWORD.to_owned(),
        code: code.to_owned(),
    };
    let wrong = v1::EnableTotpRequest {
        password: "another password".to_owned(),
        code: String::new(),
    };
    let refused = client.enable_totp(wrong).await.unwrap_err();
    assert_eq!(
        reason(&refused),
        is(Code::FailedPrecondition, "WRONG_PASSWORD")
    );
    let refused = client.enable_totp(enable("123456")).await.unwrap_err();
    assert_eq!(reason(&refused), is(Code::FailedPrecondition, "NOT_SET"));
    let begun = client.enable_totp(enable("")).await.unwrap().into_inner();
    assert!(begun.otpauth_url.contains(&begun.secret));
    // It is not on before the device has shown that it has it.
    let now = harness.keys.now_ns();
    let on = client
        .enable_totp(enable(&code_at(&begun.secret, now, -1)))
        .await;
    let recovery = on.unwrap().into_inner().recovery_codes;
    assert_eq!(recovery.len(), 10);

    let asked = login(&harness, "ann", PASSWORD, "").await.unwrap_err();
    assert_eq!(
        reason(&asked),
        is(Code::FailedPrecondition, "TOTP_REQUIRED")
    );
    let wrong = login(&harness, "ann", "wrong password", "")
        .await
        .unwrap_err();
    assert_eq!(reason(&wrong), is(Code::Unauthenticated, "LOGIN_FAILED"));
    let code = code_at(&begun.secret, now, 1);
    login(&harness, "ann", PASSWORD, &code).await.unwrap();
    let again = login(&harness, "ann", PASSWORD, &code).await.unwrap_err();
    assert_eq!(reason(&again), is(Code::Unauthenticated, "LOGIN_FAILED"));
    login(&harness, "ann", PASSWORD, &recovery[0])
        .await
        .unwrap();
    let again = login(&harness, "ann", PASSWORD, &recovery[0])
        .await
        .unwrap_err();
    assert_eq!(reason(&again), is(Code::Unauthenticated, "LOGIN_FAILED"));
    let off = v1::DisableTotpRequest {
        user_id: String::new(),
        password: PASSWORD.to_owned(),
        code: recovery[1].clone(),
    };
    client.disable_totp(off).await.unwrap();
    login(&harness, "ann", PASSWORD, "").await.unwrap();
}

#[tokio::test]
async fn a_chosen_password_opens_nothing_but_its_change() {
    let harness = Harness::start().await;
    let mut admin = Client::new(harness.admin().await);
    let create = v1::CreateUserRequest {
        request_id: "r-1".to_owned(),
        user_id: "bob".to_owned(),
        role: v1::Role::Trader.into(),
        password: "chosen by an admin".to_owned(),
        account_ids: vec!["paper".to_owned()],
        ..Default::default()
    };
    let bob = admin
        .create_user(create.clone())
        .await
        .unwrap()
        .into_inner();
    assert!(bob.has_password && bob.must_change_password);
    // The same request is the same user, and another of the name is refused.
    assert_eq!(
        admin
            .create_user(create.clone())
            .await
            .unwrap()
            .into_inner(),
        bob
    );
    let other = v1::CreateUserRequest {
        role: v1::Role::Admin.into(),
        ..create.clone()
    };
    let refused = admin.create_user(other).await.unwrap_err();
    assert_eq!(
        reason(&refused),
        is(Code::AlreadyExists, "REQUEST_ID_REUSED")
    );
    let twin = v1::CreateUserRequest {
        request_id: "r-2".to_owned(),
        user_id: "BOB".to_owned(),
        ..create
    };
    let refused = admin.create_user(twin).await.unwrap_err();
    assert_eq!(reason(&refused), is(Code::AlreadyExists, "USER_EXISTS"));

    let session = login(&harness, "bob", "chosen by an admin", "")
        .await
        .unwrap();
    let channel = harness.as_token(&session.access_token).await;
    let mut orders = v1::order_service_client::OrderServiceClient::new(channel.clone());
    let list = v1::ListOrdersRequest::default();
    let refused = orders.list_orders(list.clone()).await.unwrap_err();
    assert_eq!(
        reason(&refused),
        is(Code::FailedPrecondition, "PASSWORD_CHANGE_REQUIRED")
    );
    let mut client = Client::new(channel);
    assert!(who(&mut client).await.unwrap().must_change_password);
    let change = |new: &str| v1::ChangePasswordRequest {
        old_password: "chosen by an admin".to_owned(),
        new_password: new.to_owned(),
    };
    for bad in ["", "short", "chosen by an admin", &"x".repeat(129)] {
        let refused = client.change_password(change(bad)).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{bad}");
    }
    client.change_password(change(PASSWORD)).await.unwrap();
    orders.list_orders(list).await.unwrap();
}

#[tokio::test]
async fn a_changed_password_ends_the_other_sessions() {
    let harness = Harness::start().await;
    with_ann(&harness, Role::Trader).await;
    let other = login(&harness, "ann", PASSWORD, "").await.unwrap();
    let here = login(&harness, "ann", PASSWORD, "").await.unwrap();
    let mut client = of(&harness, &here).await;
    let change = v1::ChangePasswordRequest {
        old_password: PASSWORD.to_owned(),
        new_password: "another long password".to_owned(),
    };
    client.change_password(change).await.unwrap();
    assert!(who(&mut client).await.is_ok());
    assert_eq!(
        who(&mut of(&harness, &other).await).await,
        Err(Code::Unauthenticated)
    );
    assert!(login(&harness, "ann", PASSWORD, "").await.is_err());
}

/// A key that somebody made with a password that somebody else chose would outlive its change.
#[tokio::test]
async fn a_chosen_password_makes_no_keys_and_no_second_factor() {
    let harness = Harness::start().await;
    put_user(&harness.keys, "ann", Role::Trader, Grants::All);
    let mut admin = Client::new(harness.admin().await);
    let reset = v1::ResetPasswordRequest {
        user_id: "ann".to_owned(),
        password: "given by an admin".to_owned(),
        request_id: "r".to_owned(),
    };
    admin.reset_password(reset).await.unwrap();
    let first = login(&harness, "ann", "given by an admin", "")
        .await
        .unwrap();
    let mut client = of(&harness, &first).await;
    let key = v1::CreateApiKeyRequest {
        request_id: "k".to_owned(),
        ..Default::default()
    };
    let refused = client.create_api_key(key).await.unwrap_err();
    let why = is(Code::FailedPrecondition, "PASSWORD_CHANGE_REQUIRED");
    assert_eq!(reason(&refused), why);
    let totp = v1::EnableTotpRequest {
        password: "given by an admin".to_owned(),
        code: String::new(),
    };
    let refused = client.enable_totp(totp).await.unwrap_err();
    assert_eq!(reason(&refused), why);
}

/// However many guesses come at once, each counts.
#[tokio::test]
async fn guesses_at_once_are_all_counted() {
    let harness = Harness::start().await;
    with_ann(&harness, Role::Trader).await;
    let guesses = (0..12).map(|_| login(&harness, "ann", "wrong password", ""));
    let outcomes = futures::future::join_all(guesses).await;
    let failed = outcomes
        .iter()
        .filter(|it| matches!(it, Err(status) if reason(status).1 == "LOGIN_FAILED"));
    assert!(failed.count() <= 6, "{outcomes:?}");
    let right = login(&harness, "ann", PASSWORD, "").await.unwrap_err();
    assert_eq!(reason(&right), is(Code::ResourceExhausted, "LOGIN_LOCKED"));
}
