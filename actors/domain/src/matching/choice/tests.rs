use super::*;
use crate::matching::tests::instrument;

/// What each text is said as again; `None` is refused.
const WORDS: &[(Model, &str, Option<&str>)] = &[
    (Model::Latency, "5ms", Some("5ms")),
    (Model::Latency, "5000us", Some("5ms")),
    (Model::Latency, "90s", Some("90s")),
    (Model::Latency, "7d", Some("7d")),
    (Model::Latency, "none", Some("none")),
    (Model::Latency, "0ms", Some("none")),
    (Model::Latency, "2ms/3ms", Some("2ms/3ms")),
    (Model::Latency, "2ms/2000us", Some("2ms")),
    (Model::Latency, "tail:1ms:500us", Some("tail:1ms:500us")),
    (
        Model::Latency,
        "samples:1ms,3ms/none",
        Some("samples:1ms,3ms/none"),
    ),
    (Model::Latency, "data", Some("data")),
    (Model::Latency, "data/1ms", Some("data/1ms")),
    (Model::Latency, "8d", None),
    (Model::Latency, "5", None),
    (Model::Latency, "-5ms", None),
    (Model::Latency, "1.5ms", None),
    (Model::Latency, "ms", None),
    (Model::Latency, "99999999999999999999d", None),
    (Model::Latency, "tail:1ms", None),
    (Model::Latency, "samples:", None),
    (Model::Latency, "1ms/", None),
    (Model::Latency, "", None),
    (Model::Queue, "back", Some("back")),
    (Model::Queue, "proportional", Some("proportional")),
    (Model::Queue, "front", Some("front")),
    (Model::Queue, "Front", None),
    (Model::BarPath, "adaptive", Some("adaptive")),
    (Model::BarPath, "high-first", Some("high-first")),
    (Model::BarPath, "low-first", Some("low-first")),
    (Model::BarPath, "ohlc", None),
    (Model::BarVolume, "unlimited", Some("unlimited")),
    (Model::BarVolume, "quarters", Some("quarters")),
    (Model::BarVolume, "half", None),
    (Model::Slippage, "none", Some("none")),
    (Model::Slippage, "2ticks", Some("2ticks")),
    (Model::Slippage, "0.50bps", Some("0.5bps")),
    (Model::Slippage, "10000bps", Some("10000bps")),
    (Model::Slippage, "10001bps", None),
    (Model::Slippage, "-1bps", None),
    (Model::Slippage, "+1ticks", None),
    (Model::Slippage, "5", None),
    (Model::Fee, "none", Some("none")),
    (Model::Fee, "5bps", Some("5bps")),
    (Model::Fee, "-1bps:5bps", Some("-1bps:5bps")),
    (Model::Fee, "5bps:5bps", Some("5bps")),
    (Model::Fee, "per-share:0.005", Some("per-share:0.005")),
    (
        Model::Fee,
        "per-share:0.0050:min:1.00",
        Some("per-share:0.005:min:1"),
    ),
    (Model::Fee, "per-share:-1", None),
    (Model::Fee, "per-share:1:max:2", None),
    (Model::Fee, "1:5", None),
    (Model::Fee, "10001bps", None),
    (Model::PriceCollar, "0.10", Some("0.1")),
    (Model::PriceCollar, "1", Some("1")),
    (Model::PriceCollar, "none", Some("none")),
    (Model::PriceCollar, "1.1", None),
    (Model::PriceCollar, "-0.1", None),
    (Model::PriceCollar, "10%", None),
];

#[test]
fn words_are_read_and_said_again_and_others_are_refused_with_what_is_allowed() {
    for (model, text, expected) in WORDS {
        let mut choices = ModelChoices::default();
        let done = choices.choose(*model, text);
        match expected {
            Some(said) => {
                done.unwrap_or_else(|error| panic!("{model} {text}: {error}"));
                let chosen = choices.chosen();
                assert_eq!(chosen, [(*model, (*said).to_owned())], "{model} {text}");
                assert!(choices.statements()[0].contains(said), "{model} {text}");
                let mut again = ModelChoices::default();
                again.choose(*model, said).unwrap();
                assert_eq!(again, choices, "{model} {text}");
            }
            None => {
                let line = done.unwrap_err().to_string();
                assert!(line.contains(model.name()), "{line}");
                assert!(line.contains(model.allowed()), "{line}");
                assert_eq!(choices, ModelChoices::default(), "{model} {text}");
            }
        }
    }
}

#[test]
fn a_model_where_it_does_not_go_is_refused_and_a_general_one_left_out() {
    let mut choices = ModelChoices::default();
    choices.choose_generally(Model::Queue, "front").unwrap();
    choices.choose(Model::Fee, "5bps").unwrap();
    let fitted = choices.clone().fit("bars", &[Model::Fee]).unwrap();
    assert_eq!(fitted.chosen(), [(Model::Fee, "5bps".to_owned())]);
    let kept = choices.clone().fit("books", &[Model::Fee, Model::Queue]);
    assert_eq!(kept.unwrap().queue, Some(QueueModel::Front));
    choices.choose(Model::Queue, "back").unwrap();
    let line = choices.fit("bars", &[Model::Fee]).unwrap_err().to_string();
    assert!(line.starts_with("queue does not go with bars"), "{line}");
    assert!(line.ends_with("bars has fee"), "{line}");
}

#[test]
fn a_definition_takes_fee_and_collar_and_keeps_its_decimals() {
    let mut choices = ModelChoices::default();
    let mut definition = instrument("BTCUSDT.SIM");
    definition.fees.decimals = Some(2);
    let before = definition.clone();
    choices.define(&mut definition);
    assert_eq!(definition, before, "nothing chosen changes nothing");
    choices.choose(Model::Fee, "1bps:5bps").unwrap();
    choices.choose(Model::PriceCollar, "0.2").unwrap();
    choices.define(&mut definition);
    assert_eq!(definition.fees.maker, Rate::parse("0.0001").unwrap());
    assert_eq!(definition.fees.taker, Rate::parse("0.0005").unwrap());
    assert_eq!(definition.fees.decimals, Some(2));
    let collar = definition.rules.price_collar;
    assert_eq!(collar, Some(Rate::parse("0.2").unwrap()));
}

#[test]
fn no_latency_puts_nothing_in_between() {
    let mut choices = ModelChoices::default();
    assert_eq!(choices.latencies(1), None);
    choices.choose(Model::Latency, "none").unwrap();
    assert_eq!(choices.latencies(1), None);
    choices.choose(Model::Latency, "none/1ms").unwrap();
    assert!(choices.latencies(1).is_some() && !choices.is_random());
    choices.choose(Model::Latency, "tail:1ms:1ms").unwrap();
    assert!(choices.is_random());
}

#[test]
fn the_latency_of_the_data_goes_with_a_recording_only() {
    let mut choices = ModelChoices::default();
    choices.choose(Model::Latency, "1ms/data").unwrap();
    assert!(!choices.is_random());
    let exchange = [Model::Latency, Model::Fee];
    let refused = choices.clone().fit("venue-sim", &exchange).unwrap_err();
    assert_eq!(refused, ChoiceError::NoRecording { place: "venue-sim" });
    let replay = [Model::Latency, Model::Slippage];
    assert!(
        choices
            .fit("a replay", &replay)
            .unwrap()
            .latencies(1)
            .is_some()
    );
    // Of the settings, it is left out there.
    let mut general = ModelChoices::default();
    general.choose_generally(Model::Latency, "data").unwrap();
    assert_eq!(
        general.fit("venue-sim", &exchange).unwrap().latencies(1),
        None
    );
}
