//! Preferences of users.

use crate::harness::Harness;
use crate::orders::{fields, reason};
use apex_bus::preferences::{
    PreferenceAnswer, PreferenceError, Preferences, SetPreference, UserPreference,
};
use apex_domain::UnixNanos;
use apex_gateway::auth::Role;
use apex_proto::v1;
use apex_proto::v1::preferences_service_client::PreferencesServiceClient;
use std::sync::{Arc, Mutex};
use tonic::Code;

#[derive(Default)]
struct Kept(Mutex<Vec<(String, UserPreference)>>);

impl Preferences for Kept {
    fn get(&self, user_id: String) -> PreferenceAnswer<'_, Vec<UserPreference>> {
        let kept = self.0.lock().unwrap().clone();
        let own = kept.into_iter().filter(|(of, _)| *of == user_id);
        let own = own.map(|(_, preference)| preference).collect();
        Box::pin(async { Ok(own) })
    }

    fn set(&self, set: SetPreference) -> PreferenceAnswer<'_, UserPreference> {
        if set.expected > 0 {
            let (expected, actual) = (set.expected, 0);
            return Box::pin(
                async move { Err(PreferenceError::StaleVersion { expected, actual }) },
            );
        }
        let preference = UserPreference {
            name: set.name,
            value: set.value.unwrap_or_default(),
            version: 1,
            updated: UnixNanos(5),
        };
        self.0
            .lock()
            .unwrap()
            .push((set.user_id, preference.clone()));
        Box::pin(async { Ok(preference) })
    }
}

#[tokio::test]
async fn users_have_their_own_preferences_within_bounds() {
    let kept = Arc::new(Kept::default());
    let own = kept.clone();
    let harness = Harness::with(|options| options.preferences = Some(own)).await;
    let (token, _) = harness.user(2, Role::Viewer, &[]);
    let mut viewer = PreferencesServiceClient::new(harness.as_token(&token).await);
    let mut admin = PreferencesServiceClient::new(harness.admin().await);
    let wish = |name: &str, size: usize| v1::SetPreferenceRequest {
        name: name.into(),
        value: vec![7; size],
        request_id: "q".into(),
        ..Default::default()
    };
    let made = viewer
        .set(wish("layout", 64 << 10))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((made.version, made.value.len()), (1, 64 << 10));
    let all = v1::GetPreferencesRequest::default();
    let found = admin.get(all.clone()).await.unwrap().into_inner();
    assert!(found.preferences.is_empty(), "another's");
    let found = viewer.get(all).await.unwrap().into_inner();
    assert_eq!(found.preferences, [made]);
    let refused = viewer.set(wish("a/b", (64 << 10) + 1)).await.unwrap_err();
    assert_eq!(fields(&refused), ["name", "value"]);
    let stale = v1::SetPreferenceRequest {
        expected_version: 3,
        ..wish("layout", 1)
    };
    let refused = viewer.set(stale).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::Aborted, "STALE_VERSION")
    );
    let named = v1::GetPreferencesRequest {
        names: vec!["layout".into(), String::new()],
    };
    assert_eq!(fields(&viewer.get(named).await.unwrap_err()), ["names[1]"]);
}
