//! `PreferencesService`: each user's own values.

use crate::shared::{Shared, caller};
use crate::status;
use apex_bus::preferences::{
    MAX_PREFERENCE_BYTES, MAX_PREFERENCES, Preferences, SetPreference, UserPreference,
};
use apex_proto::convert::text;
use apex_proto::field::Fields;
use apex_proto::v1;
use apex_proto::v1::preferences_service_server::PreferencesService;
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// The preferences of this node's users.
#[derive(Clone, Debug)]
pub struct PreferencesServer {
    shared: Shared,
}

impl PreferencesServer {
    pub(crate) fn new(shared: Shared) -> PreferencesServer {
        PreferencesServer { shared }
    }

    fn port(&self) -> Result<&Arc<dyn Preferences>, Status> {
        let port = self.shared.preferences.as_ref();
        port.ok_or_else(|| status::not_here("preferences (a replay keeps none)"))
    }
}

fn check_name(fields: &mut Fields, field: &str, name: &str) {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if !(1..=64).contains(&name.len()) || !name.chars().all(allowed) {
        fields.refuse(field, "must be 1 to 64 letters, digits, '.', '_' and '-'");
    }
}

fn written(preference: UserPreference) -> v1::Preference {
    v1::Preference {
        name: preference.name,
        value: preference.value,
        version: preference.version,
        ts_updated_ns: preference.updated.0,
    }
}

#[tonic::async_trait]
impl PreferencesService for PreferencesServer {
    async fn get(
        &self,
        request: Request<v1::GetPreferencesRequest>,
    ) -> Result<Response<v1::GetPreferencesResponse>, Status> {
        let user_id = caller(&request)?.user_id;
        let names = request.into_inner().names;
        let mut fields = Fields::new();
        if names.len() > MAX_PREFERENCES {
            fields.refuse("names", format!("must be at most {MAX_PREFERENCES}"));
        } else {
            for (place, name) in names.iter().enumerate() {
                check_name(&mut fields, &format!("names[{place}]"), name);
            }
        }
        let checked = fields.finish(Some(()));
        checked.map_err(|errors| status::invalid(&errors))?;
        let found = self.port()?.get(user_id).await;
        let found = found
            .map_err(|error| status::preference(&error))?
            .into_iter();
        let wanted = found.filter(|one| names.is_empty() || names.contains(&one.name));
        Ok(Response::new(v1::GetPreferencesResponse {
            preferences: wanted.map(written).collect(),
        }))
    }

    async fn set(
        &self,
        request: Request<v1::SetPreferenceRequest>,
    ) -> Result<Response<v1::Preference>, Status> {
        let user_id = caller(&request)?.user_id;
        let request = request.into_inner();
        let mut fields = Fields::new();
        check_name(&mut fields, "name", &request.name);
        if request.value.len() > MAX_PREFERENCE_BYTES {
            fields.refuse(
                "value",
                format!("must be at most {MAX_PREFERENCE_BYTES} bytes"),
            );
        }
        let request_id = text::request_id(&mut fields, &request.request_id);
        let request_id = fields.finish(request_id);
        let request_id = request_id.map_err(|errors| status::invalid(&errors))?;
        let set = SetPreference {
            user_id,
            request_id,
            name: request.name,
            value: (!request.delete).then_some(request.value),
            expected: request.expected_version,
        };
        let changed = self.port()?.set(set).await;
        let changed = changed.map_err(|error| status::preference(&error))?;
        Ok(Response::new(written(changed)))
    }
}
