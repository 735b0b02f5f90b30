//! Users and keys as admins and their owners change them.

use crate::harness::{Harness, put_user};
use crate::login::{Client, PASSWORD, is, login, of, reason, refresh, who, with_ann};
use apex_bus::access::AccessStore;
use apex_gateway::auth::{Grants, Role};
use apex_proto::v1;
use tonic::Code;

#[tokio::test]
async fn a_key_has_no_more_than_its_maker() {
    let harness = Harness::start().await;
    with_ann(&harness, Role::Trader).await;
    let session = login(&harness, "ann", PASSWORD, "").await.unwrap();
    let mut client = of(&harness, &session).await;
    let ask = |id: &str| v1::CreateApiKeyRequest {
        request_id: id.to_owned(),
        name: "bot".to_owned(),
        ..Default::default()
    };
    let refused = [
        (
            v1::CreateApiKeyRequest {
                role: v1::Role::Admin.into(),
                ..ask("a")
            },
            "NOT_YOURS",
        ),
        (
            v1::CreateApiKeyRequest {
                user_id: "admin".to_owned(),
                ..ask("a")
            },
            "NOT_YOURS",
        ),
        (
            v1::CreateApiKeyRequest {
                user_id: "nobody".to_owned(),
                ..ask("a")
            },
            "NOT_YOURS",
        ),
        (
            v1::CreateApiKeyRequest {
                account_ids: vec!["paper".to_owned()],
                ..ask("a")
            },
            "NOT_YOURS",
        ),
    ];
    for (asked, why) in refused {
        let status = client.create_api_key(asked.clone()).await.unwrap_err();
        assert_eq!(
            reason(&status),
            is(Code::PermissionDenied, why),
            "{asked:?}"
        );
    }
    let held = v1::CreateApiKeyRequest {
        scopes: vec![v1::Scope::Read.into()],
        networks: vec!["127.0.0.0/8".to_owned()],
        ..ask("b")
    };
    let made = client
        .create_api_key(held.clone())
        .await
        .unwrap()
        .into_inner();
    let again = client.create_api_key(held).await.unwrap().into_inner();
    assert_eq!(again.key, made.key);
    assert_eq!(again.token, "", "it is shown once");
    let key = made.key.unwrap();
    let mut by_key = Client::new(harness.as_token(&made.token).await);
    assert_eq!(who(&mut by_key).await.unwrap().credential_id, key.key_id);
    let more = by_key.create_api_key(ask("c")).await.unwrap_err();
    assert_eq!(reason(&more), is(Code::PermissionDenied, "SCOPE"));
    let far = v1::CreateApiKeyRequest {
        networks: vec!["192.0.2.0/24".to_owned()],
        ..ask("d")
    };
    let far = client.create_api_key(far).await.unwrap().into_inner();
    let mut by_far = Client::new(harness.as_token(&far.token).await);
    assert_eq!(who(&mut by_far).await, Err(Code::Unauthenticated));

    let listed = client
        .list_api_keys(v1::ListApiKeysRequest::default())
        .await
        .unwrap();
    assert_eq!(listed.into_inner().keys.len(), 2);
    let revoke = v1::RevokeApiKeyRequest {
        key_id: key.key_id.clone(),
        request_id: "e".to_owned(),
    };
    let revoked = client.revoke_api_key(revoke).await.unwrap().into_inner();
    assert!(revoked.ts_revoked_ns > 0);
    assert_eq!(who(&mut by_key).await, Err(Code::Unauthenticated));
    let foreign = v1::RevokeApiKeyRequest {
        key_id: harness.admin.record.key_id.clone(),
        request_id: "f".to_owned(),
    };
    let refused = client.revoke_api_key(foreign).await.unwrap_err();
    assert_eq!(reason(&refused), is(Code::NotFound, "KEY_NOT_FOUND"));
}

#[tokio::test]
async fn a_change_of_a_user_holds_at_its_next_call() {
    let harness = Harness::start().await;
    with_ann(&harness, Role::Viewer).await;
    let session = login(&harness, "ann", PASSWORD, "").await.unwrap();
    let mut client = of(&harness, &session).await;
    let mut admin = Client::new(harness.admin().await);
    let version = harness.keys.user("ann").unwrap().version;
    let role = v1::SetUserRoleRequest {
        user_id: "ann".to_owned(),
        role: v1::Role::Trader.into(),
        request_id: "r-1".to_owned(),
        expected_version: version,
    };
    let changed = admin
        .set_user_role(role.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(changed.version, version + 1);
    assert_eq!(who(&mut client).await.unwrap().role(), v1::Role::Trader);
    let stale = v1::SetUserRoleRequest {
        request_id: "r-2".to_owned(),
        ..role
    };
    let stale = admin.set_user_role(stale).await.unwrap_err();
    assert_eq!(reason(&stale), is(Code::Aborted, "STALE_VERSION"));
    let grant = v1::GrantAccountRequest {
        user_id: "ann".to_owned(),
        account_ids: vec!["paper".to_owned()],
        request_id: "r-3".to_owned(),
        ..Default::default()
    };
    let unknown = v1::GrantAccountRequest {
        account_ids: vec!["papper".to_owned()],
        ..grant.clone()
    };
    let refused = admin.grant_account(unknown).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    admin.grant_account(grant.clone()).await.unwrap();
    assert_eq!(who(&mut client).await.unwrap().account_ids, ["paper"]);
    let revoke = v1::GrantAccountRequest {
        revoke: true,
        request_id: "r-4".to_owned(),
        ..grant
    };
    admin.grant_account(revoke).await.unwrap();
    assert!(who(&mut client).await.unwrap().account_ids.is_empty());
    let disable = v1::DisableUserRequest {
        user_id: "ann".to_owned(),
        request_id: "r-5".to_owned(),
        ..Default::default()
    };
    admin.disable_user(disable).await.unwrap();
    assert_eq!(who(&mut client).await, Err(Code::Unauthenticated));
    assert!(refresh(&harness, &session.refresh_token).await.is_err());
    let users = admin.list_users(v1::ListUsersRequest {
        page_size: 1,
        ..Default::default()
    });
    let page = users.await.unwrap().into_inner();
    assert_eq!(
        (page.users.len(), page.next_page_token.as_str()),
        (1, "admin")
    );
    let rest = v1::ListUsersRequest {
        page_size: 10,
        page_token: page.next_page_token,
    };
    let rest = admin.list_users(rest).await.unwrap().into_inner();
    assert!(
        rest.users
            .iter()
            .any(|user| user.user_id == "ann" && user.disabled)
    );
    assert_eq!(rest.next_page_token, "");
}

#[tokio::test]
async fn the_last_admin_stays_one() {
    let harness = Harness::start().await;
    let mut admin = Client::new(harness.admin().await);
    let demote = |id: &str| v1::SetUserRoleRequest {
        user_id: "admin".to_owned(),
        role: v1::Role::Viewer.into(),
        request_id: id.to_owned(),
        expected_version: 0,
    };
    let refused = admin.set_user_role(demote("r-1")).await.unwrap_err();
    assert_eq!(reason(&refused), is(Code::FailedPrecondition, "LAST_ADMIN"));
    let disable = v1::DisableUserRequest {
        user_id: "admin".to_owned(),
        request_id: "r-2".to_owned(),
        ..Default::default()
    };
    let refused = admin.disable_user(disable).await.unwrap_err();
    assert_eq!(reason(&refused), is(Code::FailedPrecondition, "LAST_ADMIN"));
    put_user(&harness.keys, "second", Role::Admin, Grants::All);
    admin.set_user_role(demote("r-3")).await.unwrap();
    // Its key is the key of a viewer now.
    let refused = admin.set_user_role(demote("r-4")).await.unwrap_err();
    assert_eq!(reason(&refused), is(Code::PermissionDenied, "ROLE"));
}

/// What a key is held to, it must not shake off by making a user that is not.
#[tokio::test]
async fn a_key_of_an_admin_that_is_held_to_something_changes_no_users() {
    let harness = Harness::start().await;
    put_user(&harness.keys, "ann", Role::Trader, Grants::All);
    let mut admin = Client::new(harness.admin().await);
    let held = v1::CreateApiKeyRequest {
        request_id: "k".to_owned(),
        networks: vec!["127.0.0.0/8".to_owned()],
        ..Default::default()
    };
    let held = admin.create_api_key(held).await.unwrap().into_inner();
    let mut client = Client::new(harness.as_token(&held.token).await);
    let create = v1::CreateUserRequest {
        request_id: "u".to_owned(),
        user_id: "mallory".to_owned(),
        role: v1::Role::Admin.into(),
        ..Default::default()
    };
    let reset = v1::ResetPasswordRequest {
        user_id: "ann".to_owned(),
        password: "chosen by mallory".to_owned(),
        request_id: "r".to_owned(),
    };
    let role = v1::SetUserRoleRequest {
        user_id: "ann".to_owned(),
        role: v1::Role::Admin.into(),
        request_id: "s".to_owned(),
        expected_version: 0,
    };
    let refused = [
        client.create_user(create).await.unwrap_err(),
        client.reset_password(reset).await.unwrap_err(),
        client.set_user_role(role).await.unwrap_err(),
    ];
    for status in refused {
        assert_eq!(reason(&status), is(Code::PermissionDenied, "NOT_YOURS"));
    }
}

#[tokio::test]
async fn one_account_of_all_is_not_taken_away_in_silence() {
    let harness = Harness::start().await;
    put_user(&harness.keys, "ann", Role::Trader, Grants::All);
    let mut admin = Client::new(harness.admin().await);
    let revoke = v1::GrantAccountRequest {
        user_id: "ann".to_owned(),
        account_ids: vec!["paper".to_owned()],
        revoke: true,
        request_id: "r".to_owned(),
        ..Default::default()
    };
    let refused = admin.grant_account(revoke).await.unwrap_err();
    let why = is(Code::FailedPrecondition, "HAS_ALL_ACCOUNTS");
    assert_eq!(reason(&refused), why);
}
