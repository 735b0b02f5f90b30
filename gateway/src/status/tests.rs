//! Every refusal has a status that says what it is.

use super::*;
use apex_domain::ClientOrderId;
use apex_domain::risk::ReasonCode;
use apex_domain::{InstrumentId, RequestId};

#[test]
fn every_refusal_has_a_named_code() {
    let id = ClientOrderId::new("c-1").unwrap();
    let instrument = InstrumentId::new("A.SIM").unwrap();
    let rule = Refusal::Rule {
        code: ReasonCode::OrderRate,
        detail: "too fast".into(),
    };
    let cases = [
        (
            Refusal::AlreadyExists(id),
            Code::AlreadyExists,
            "CLIENT_ORDER_ID_REUSED",
        ),
        (
            Refusal::RequestExists(RequestId::new("r").unwrap()),
            Code::AlreadyExists,
            "REQUEST_ID_REUSED",
        ),
        (Refusal::OrderNotFound, Code::NotFound, "ORDER_NOT_FOUND"),
        (
            Refusal::StaleSequence {
                expected: 1,
                actual: 2,
            },
            Code::Aborted,
            "STALE_SEQUENCE",
        ),
        (
            Refusal::OrderClosed("FILLED"),
            Code::FailedPrecondition,
            "ORDER_CLOSED",
        ),
        (
            Refusal::ChangePending,
            Code::FailedPrecondition,
            "CHANGE_PENDING",
        ),
        (rule, Code::FailedPrecondition, "ORDER_RATE"),
        (Refusal::NotOpen, Code::Unavailable, "ACCOUNT_NOT_OPEN"),
        (
            Refusal::PositionModeInUse {
                positions: 1,
                orders: 2,
            },
            Code::FailedPrecondition,
            "POSITION_MODE_IN_USE",
        ),
        (
            Refusal::TooManyClosings(64),
            Code::ResourceExhausted,
            "TOO_MANY_CLOSINGS",
        ),
    ];
    for (refusal, code, reason) in cases {
        let status = command(&CommandError::Refused(refusal));
        let details = status.get_error_details();
        let found = details.error_info().map(|info| info.reason.as_str());
        assert_eq!((status.code(), found), (code, Some(reason)));
    }
    let of_list = command(&CommandError::Refused(Refusal::InvalidOrder {
        place: 1,
        field: "expire_at",
        detail: "is in the past".to_owned(),
    }));
    let details = of_list.get_error_details();
    let bad_request = details.bad_request().unwrap();
    let violation = &bad_request.field_violations[0];
    assert_eq!(of_list.code(), Code::InvalidArgument);
    assert_eq!(violation.field, "orders[1].expire_at_ns");
    let unknown = command(&CommandError::Refused(Refusal::UnknownInstrument(
        instrument,
    )));
    assert_eq!(unknown.code(), Code::InvalidArgument);
    let details = unknown.get_error_details();
    assert_eq!(
        details.bad_request().unwrap().field_violations[0].field,
        "instrument_id"
    );
}

#[test]
fn what_may_be_tried_again_says_when() {
    for error in [
        CommandError::JournalFull,
        CommandError::JournalAway,
        CommandError::Overloaded { limit: 1 },
        CommandError::Stopped,
    ] {
        let details = command(&error).get_error_details();
        assert!(
            details
                .retry_info()
                .is_some_and(|retry| retry.retry_delay.is_some())
        );
    }
    let not_sent = command(&CommandError::NotSent);
    assert_eq!(not_sent.code(), Code::Unavailable);
    assert!(not_sent.get_error_details().retry_info().is_none());
    let timeout = command(&CommandError::Timeout { timeout_ms: 1 });
    assert_eq!(timeout.code(), Code::DeadlineExceeded);
    assert!(timeout.get_error_details().retry_info().is_none());
}

#[test]
fn very_many_wrong_fields_fit_into_the_headers_that_clients_take() {
    let mut fields = apex_proto::field::Fields::new();
    for number in 0..20_000 {
        fields.refuse(&format!("orders[{number}].side"), "is no known value");
    }
    fields.refuse("text", "é".repeat(70_000));
    let errors = fields.finish::<()>(None).unwrap_err();
    let headers = |status: Status| {
        let response = status.into_http::<()>();
        let lengths = response.headers().iter().map(|(_, value)| value.len());
        lengths.sum::<usize>()
    };
    assert!(headers(invalid(&errors)) < 8_192);
    let told = invalid(&errors);
    assert!(told.message().ends_with("more"), "{}", told.message());
    let one = FieldErrors::one("text", "é".repeat(70_000));
    assert!(headers(invalid(&one)) < 8_192);
    let few = FieldErrors::one("side", "is no known value");
    assert_eq!(invalid(&few).message(), few.to_string());
}
