//! Icebergs with other prices and quantities.

use super::{FIRST, Quantity, SENT, Side, check, check_at};
use crate::account::Refusal;
use crate::account::tests::support::{PERP, World, limit};
use crate::order::OrderStatus;

#[test]
fn an_amend_reaches_the_part_only_where_it_changes_that() {
    check(&[
        SENT,
        FIRST,
        // The hidden rest alone: the venue hears nothing.
        ("amend 40", "", "0+40+0=40 ACCEPTED"),
        ("amend 15", "", "0+15+0=15 ACCEPTED"),
        ("fill 1 a 3", "", "3+12+0=15 PARTIALLY_FILLED"),
        ("amend 7", "amend o/1 7@10000", "3+12+0=15 PENDING_AMEND"),
        ("amended 1 7 10000", "", "3+4+0=7 PARTIALLY_FILLED"),
        ("amended 1 7 10000", "", "3+4+0=7 PARTIALLY_FILLED"),
        // What is shown does not grow.
        ("amend 20", "", "3+17+0=20 PARTIALLY_FILLED"),
        (
            "fill 1 b 4",
            "new o/2 10@10000",
            "7+13+0=20 PARTIALLY_FILLED",
        ),
    ]);
    // The price: of this part and the later ones.
    check(&[
        SENT,
        FIRST,
        (
            "amend 30 9990",
            "amend o/1 10@9990",
            "0+25+0=25 PENDING_AMEND",
        ),
        // An answer from before it proves nothing.
        ("status 1 working 10", "", "0+25+0=25 PENDING_AMEND"),
        ("amended 1 10 9990", "", "0+30+0=30 ACCEPTED"),
        (
            "fill 1 a 10",
            "new o/2 10@9990",
            "10+20+0=30 PARTIALLY_FILLED",
        ),
    ]);
    // The venue itself makes the part smaller, and the order with it.
    check(&[
        SENT,
        FIRST,
        ("amended 1 6", "", "0+21+0=21 ACCEPTED"),
        (
            "fill 1 a 6",
            "new o/2 10@10000",
            "6+15+0=21 PARTIALLY_FILLED",
        ),
    ]);
    // A rest too small for an order joins what is shown.
    check_at(
        6,
        25,
        10,
        &[
            SENT,
            FIRST,
            ("amend 12", "amend o/1 12@10000", "0+25+0=25 PENDING_AMEND"),
            ("amended 1 12 10000", "", "0+12+0=12 ACCEPTED"),
            ("fill 1 a 12", "", "12+0+0=12 FILLED"),
        ],
    );
}

#[test]
fn no_part_leaves_while_an_amend_is_open() {
    check(&[
        SENT,
        FIRST,
        (
            "amend 25 9990",
            "amend o/1 10@9990",
            "0+25+0=25 PENDING_AMEND",
        ),
        ("fill 1 a 10", "", "10+15+0=25 PENDING_AMEND"),
        (
            "refused-amend 1",
            "new o/2 10@9990",
            "10+15+0=25 PARTIALLY_FILLED",
        ),
    ]);
}

/// The venue cannot amend a part that is filled; what it was not shown is amended here.
#[test]
fn an_amend_that_meets_the_end_of_its_part_counts_for_the_rest() {
    for (amend, sent, state, left) in [
        (
            "amend 30 9990",
            "amend o/1 10@9990",
            "10+20+0=30 PARTIALLY_FILLED",
            "new o/2 10@9990",
        ),
        (
            "amend 12 9990",
            "amend o/1 10@9990",
            "10+2+0=12 PARTIALLY_FILLED",
            "new o/2 2@9990",
        ),
        // Less than is filled by now: nothing more is shown.
        ("amend 7", "amend o/1 7@10000", "10+0+0=10 FILLED", ""),
    ] {
        let mut world = check(&[
            SENT,
            FIRST,
            (amend, sent, "0+25+0=25 PENDING_AMEND"),
            ("fill 1 a 10", "", "10+15+0=25 PENDING_AMEND"),
        ]);
        world.play("refused-amend 1");
        assert_eq!(world.left(), left, "{amend}");
        assert_eq!(world.quantities("o"), state, "{amend}");
        // What it says of the old part is past.
        world.play("amended 1 10 9980");
        assert_eq!(world.quantities("o"), state, "{amend}");
        world.assert_recovers();
    }
    // Refused while the part works: the venue's word stands.
    check(&[
        SENT,
        FIRST,
        (
            "amend 25 9990",
            "amend o/1 10@9990",
            "0+25+0=25 PENDING_AMEND",
        ),
        ("refused-amend 1", "query o/1", "0+25+0=25 ACCEPTED"),
        (
            "fill 1 a 10",
            "new o/2 10@10000",
            "10+15+0=25 PARTIALLY_FILLED",
        ),
    ]);
}

#[test]
fn an_amend_whose_answer_is_lost_is_settled_by_the_answer_to_a_query() {
    for (answer, left) in [
        ("status 1 filled 10 a 10", "new o/2 10@9990"),
        ("missing 1", "new o/2 10@9990"),
        ("amended 1 10 9990", "new o/2 10@9990"),
    ] {
        let mut world = check(&[
            SENT,
            FIRST,
            (
                "amend 25 9990",
                "amend o/1 10@9990",
                "0+25+0=25 PENDING_AMEND",
            ),
            ("fill 1 a 10", "", "10+15+0=25 PENDING_AMEND"),
            ("later", "query o/1", "10+15+0=25 PENDING_AMEND"),
        ]);
        world.play(answer);
        assert_eq!(world.left(), left, "{answer}");
        assert_eq!(
            world.quantities("o"),
            "10+15+0=25 PARTIALLY_FILLED",
            "{answer}"
        );
        world.assert_recovers();
    }
}

#[test]
fn an_amend_ends_with_its_part_when_fills_of_that_are_taken_back() {
    let mut world = check(&[
        SENT,
        FIRST,
        (
            "amend 25 9990",
            "amend o/1 10@9990",
            "0+25+0=25 PENDING_AMEND",
        ),
        ("fill 1 a 4", "", "4+21+0=25 PENDING_AMEND"),
        ("fill 1 b 6", "", "10+15+0=25 PENDING_AMEND"),
        ("bust 1 a", "", "6+19+0=25 PENDING_AMEND"),
        ("later", "query o/1", "6+19+0=25 PENDING_AMEND"),
    ]);
    world.play("status 1 canceled 10 b 6");
    assert_eq!(
        world.quantities("o"),
        "6+19+0=25 PARTIALLY_FILLED",
        "no later answer tells more of the amend"
    );
    world.assert_recovers();
}

/// At a venue that knows icebergs: it shows what it was told to.
#[test]
fn an_amend_to_less_than_is_shown_is_refused() {
    let mut world = World::small();
    let mut iceberg = limit("i", PERP, Side::Buy, 100, 9_000);
    iceberg.terms.display_quantity = Some(Quantity(50));
    world.working(iceberg);
    world.amend("i", Some(49), None);
    assert!(matches!(
        world.refusal(),
        Refusal::Invalid {
            field: "quantity",
            ..
        }
    ));
    assert!(world.commands().is_empty());
    world.amend("i", Some(50), None);
    assert_eq!(world.state("i"), OrderStatus::PendingAmend);
}
