//! Whatever comes, in whatever order: only what the recipient signed makes a transmission delivered.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
use std::time::UNIX_EPOCH;

use proptest::prelude::*;

use super::*;

const IDS: [&str; 3] = ["<1@a.example>", "<2@a.example>", "<3@a.example>"];
const PEOPLE: [&str; 3] = ["hanako@b.example", "jiro@b.example", "mallory@m.example"];
/// The first two mails have the same content.
const CONTENTS: [&str; 3] = ["aa", "aa", "bb"];

/// What may happen. A notification names its signer because the signature was verified before: a forger can sign as himself
/// alone, and can bring again whatever was ever signed.
#[derive(Debug, Clone, Copy)]
enum Happening {
    Submitted(usize, usize),
    TimePasses(usize, usize),
    Bounce(usize, usize),
    Notification { signer: usize, of: usize, mail: usize, said: Said, digest: Option<&'static str>, receipt: Receipt },
}

fn happening() -> impl Strategy<Value = Happening> {
    let (mail, who) = (0usize..3, 0usize..3);
    let said = prop_oneof![3 => Just(Said::Printed), 2 => Just(Said::Refused), 1 => Just(Said::Other)];
    let digest = prop_oneof![3 => Just(Some("aa")), 2 => Just(Some("bb")), 1 => Just(None)];
    let receipt = prop_oneof![3 => Just(Receipt::Holds), 2 => Just(Receipt::Absent), 1 => Just(Receipt::Broken)];
    prop_oneof![
        3 => (mail.clone(), who.clone()).prop_map(|(mail, who)| Happening::Submitted(mail, who)),
        1 => (mail.clone(), who.clone()).prop_map(|(mail, who)| Happening::TimePasses(mail, who)),
        2 => (mail.clone(), who.clone()).prop_map(|(mail, who)| Happening::Bounce(mail, who)),
        6 => (who.clone(), who, mail, said, digest, receipt).prop_map(|(signer, of, mail, said, digest, receipt)| {
            Happening::Notification { signer, of, mail, said, digest, receipt }
        }),
    ]
}

proptest! {
    #[test]
    fn only_its_recipients_signature_under_its_own_content_delivers(
        story in prop::collection::vec(happening(), 1..60)
    ) {
        let mut standing: [[Option<Standing>; 3]; 3] = Default::default();
        for what in story {
            let before = standing;
            for mail in 0..3 {
                for who in 0..3 {
                    // Each is asked about each transmission, also about those it would never be looked up for.
                    let known = before[mail][who].map(|standing| Known {
                        message_id: IDS[mail],
                        recipient: PEOPLE[who],
                        content_digest: CONTENTS[mail],
                        standing,
                    });
                    let judged = match what {
                        Happening::Submitted(m, w) => {
                            if (m, w) == (mail, who) {
                                standing[m][w].get_or_insert(Standing::Open { overdue: false });
                            }
                            continue;
                        }
                        Happening::TimePasses(m, w) => {
                            if let Some(Standing::Open { overdue }) =
                                standing[m][w].as_mut().filter(|_| (m, w) == (mail, who))
                            {
                                *overdue = true;
                            }
                            continue;
                        }
                        Happening::Bounce(m, w) => judge_bounce(known.as_ref(), IDS[m], PEOPLE[w]),
                        Happening::Notification { signer, of, mail: m, said, digest, receipt } => {
                            let news = Signed {
                                signer: PEOPLE[signer],
                                recipient: PEOPLE[of],
                                message_id: IDS[m],
                                said,
                                digest,
                                receipt,
                            };
                            judge_signed(known.as_ref(), &news)
                        }
                    };
                    if let Judgement::Ends(ending, remark) = judged {
                        let was = before[mail][who];
                        prop_assert!(was.is_some(), "nothing ends that was never sent");
                        prop_assert_ne!(was, Some(Standing::Closed(Ending::Delivered)), "what is delivered stays so");
                        match (ending, what) {
                            (
                                Ending::Delivered,
                                Happening::Notification { signer, of, mail: m, said, digest, receipt },
                            ) => {
                                prop_assert_eq!((signer, of, m, said), (who, who, mail, Said::Printed));
                                prop_assert_eq!(digest, Some(CONTENTS[mail]));
                                prop_assert_ne!(receipt, Receipt::Broken);
                                let expected = match was {
                                    Some(Standing::Open { overdue: false }) => None,
                                    Some(Standing::Open { overdue: true }) => Some(Remark::Late),
                                    _ => Some(Remark::AfterAll),
                                };
                                prop_assert_eq!(remark, expected);
                            }
                            (Ending::Refused, Happening::Notification { signer, of, mail: m, said, .. }) => {
                                prop_assert_eq!((signer, of, m, said), (who, who, mail, Said::Refused));
                                prop_assert_ne!(was, Some(Standing::Closed(Ending::Refused)));
                            }
                            (Ending::Returned, Happening::Bounce(m, w)) => {
                                prop_assert_eq!((m, w), (mail, who));
                                let open = matches!(was, Some(Standing::Open { .. }));
                                prop_assert!(open, "a bounce ends what is open alone");
                            }
                            (ending, what) => prop_assert!(false, "{what:?} does not make {ending:?}"),
                        }
                        standing[mail][who] = Some(Standing::Closed(ending));
                    }
                }
            }
        }
    }

    #[test]
    fn a_batch_never_waits_longer_than_it_may(
        waiting in 0usize..6, urgent: bool, size in 0usize..6, limit in 0u64..5000, oldest in 0u64..10_000, now in 0u64..10_000
    ) {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let batch = Batch { waiting, urgent, oldest: Some(at(oldest)) };
        let due = batch.due(size, Duration::from_secs(limit), at(now));
        match due {
            Due::Never => prop_assert!(waiting == 0 || (limit == 0 && !urgent && waiting < size)),
            Due::Now => prop_assert!(waiting > 0),
            Due::At(then) => {
                prop_assert!(waiting < size && !urgent && then > at(now) && then <= at(now + limit));
                prop_assert_eq!(batch.due(size, Duration::from_secs(limit), then), Due::Now);
            }
        }
    }
}

#[test]
fn late_repeated_and_unknown_are_told_apart() {
    let known = |standing| Known { message_id: IDS[0], recipient: PEOPLE[0], content_digest: "aa", standing };
    let news = Signed {
        signer: PEOPLE[0],
        recipient: PEOPLE[0],
        message_id: IDS[0],
        said: Said::Printed,
        digest: Some("aa"),
        receipt: Receipt::Holds,
    };
    let judge = |standing: Option<Standing>| judge_signed(standing.map(known).as_ref(), &news);
    assert_eq!(judge(None), Judgement::Unknown);
    assert_eq!(judge(Some(Standing::Open { overdue: true })), Judgement::Ends(Ending::Delivered, Some(Remark::Late)));
    assert_eq!(judge(Some(Standing::Closed(Ending::Delivered))), Judgement::Repeated);
    let returned = Some(Standing::Closed(Ending::Returned));
    assert_eq!(judge(returned), Judgement::Ends(Ending::Delivered, Some(Remark::AfterAll)));
    let delivered = known(Standing::Closed(Ending::Delivered));
    assert_eq!(judge_bounce(Some(&delivered), IDS[0], PEOPLE[0]), Judgement::Repeated);
}
