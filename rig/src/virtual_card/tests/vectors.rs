//! Card behaviour as a table of steps, clause by clause (NIST SP 800-73-5 part 2).
use super::*;

enum Step {
    /// A command, the status word it must get.
    Send(&'static str, u16),
    /// A command, its whole answer.
    Answer(&'static str, &'static str),
    /// VERIFY with these digits.
    Verify(&'static str, u16),
    /// GENERAL AUTHENTICATE of a small sound block with an RSA key, in two links; the status of the last.
    Use(u8, u16),
    /// The same, its first link only.
    FirstLink(u8, u16),
    /// The second link only.
    LastLink(u8, u16),
    /// Power off and on.
    PowerCycle,
}
use Step::*;

fn verify(digits: &str) -> Vec<u8> {
    let block = pin(digits).padded();
    Command::new(ins::VERIFY, 0, 0x80, &block[..], 0).short().unwrap().to_vec()
}

fn links(key: u8) -> [Vec<u8>; 2] {
    let mut block = [0; 256];
    block[255] = 2;
    let mut inner = vec![0x82, 0];
    tlv::write(&mut inner, 0x81, &block);
    let template = tlv::encode(0x7C, &inner);
    let (first, last) = template.split_at(255);
    let mut link = Command::new(ins::GENERAL_AUTHENTICATE, 0x07, key, first, 0);
    link.cla = 0x10;
    let end = Command::new(ins::GENERAL_AUTHENTICATE, 0x07, key, last, 256);
    [link.short().unwrap().to_vec(), end.short().unwrap().to_vec()]
}

fn run(name: &str, steps: &[Step]) {
    let mut card = VirtualCard::new(rsa());
    for (number, step) in steps.iter().enumerate() {
        let (answer, expected) = match step {
            Send(octets, sw) => (card.transmit(&unhex(octets)), *sw),
            Answer(octets, expected) => {
                assert_eq!(card.transmit(&unhex(octets)), unhex(expected), "{name}, step {number}");
                continue;
            }
            Verify(digits, sw) => (card.transmit(&verify(digits)), *sw),
            Use(key, sw) => {
                let [first, last] = links(*key);
                let answer = card.transmit(&first);
                assert_eq!(status_of(&answer), 0x9000, "{name}, step {number}");
                (card.transmit(&last), *sw)
            }
            FirstLink(key, sw) => (card.transmit(&links(*key)[0]), *sw),
            LastLink(key, sw) => (card.transmit(&links(*key)[1]), *sw),
            PowerCycle => {
                card.power_up();
                continue;
            }
        };
        assert_eq!(status_of(&answer), expected, "{name}, step {number}");
    }
}

const SELECT: Step = Send("00A4040009A0000003080000100000", 0x9000);
const GOOD: &str = "271828";
const BAD: &str = "000000";

#[test]
fn steps() {
    run(
        "select",
        &[
            Send("00CB3FFF035C017E00", 0x6D00),
            Send("00A4040007A0000002471001", 0x6A82),
            Send("00A4040004A000000300", 0x6A82),
            Send("00A4040005A00000030800", 0x9000),
            Send("00A404000BA00000030800001000010000", 0x9000),
            Send("00A404000CA0000003080000100001000000", 0x6A82),
            Send("00A4000009A0000003080000100000", 0x6A86),
            Answer(
                "00A4040009A0000003080000100000",
                "612B 4F06000010000100 79074F05A000000308 50185365616C666178207669727475616C205049562063617264 9000",
            ),
        ],
    );
    run(
        "select again keeps the security status",
        &[SELECT, Verify(GOOD, 0x9000), SELECT, Send("00200080", 0x9000), PowerCycle, SELECT, Send("00200080", 0x63C3)],
    );
    run(
        "get data",
        &[
            SELECT,
            Answer("00CB3FFF035C017E00", "7E12 4F0BA000000308000010000100 5F2F024000 9000"),
            Send("00CB3FFF055C035FC10200", 0x9000),
            Send("00CB3FFF055C035FC10A00", 0x6100),
            Send("00CB3FFF055C035FC10A", 0x6100),
            Send("00CB3FFF055C035FC10900", 0x6982),
            Send("00CB3FFF055C035FC10F00", 0x6A82),
            Send("00CB3FFF045C035FC100", 0x6A80),
            Send("00CB0000055C035FC10A00", 0x6A86),
            Verify(GOOD, 0x9000),
            Send("00CB3FFF055C035FC10900", 0x9000),
            Send("0020FF80", 0x9000),
            Send("00CB3FFF055C035FC10900", 0x6982),
        ],
    );
    run(
        "get response",
        &[
            SELECT,
            Send("00C0000000", 0x6985),
            Send("00CB3FFF055C035FC10A00", 0x6100),
            Send("00C0010000", 0x6A86),
            Send("00C0000010", 0x6100),
            Send("00200080", 0x63C3),
            Send("00C0000000", 0x6985),
            Send("00CB3FFF055C035FC1020A", 0x6133),
            Send("00C0000040", 0x6C33),
            Send("00C0000033", 0x9000),
        ],
    );
    run(
        "verify",
        &[
            SELECT,
            Send("00200080", 0x63C3),
            Send("00200000", 0x6A88),
            Send("00200180", 0x6A86),
            Send("0020008006323731383238", 0x6700),
            Send("00200080083237313832 38FF31", 0x6A80),
            Send("00200080083237313832FFFFFF", 0x6A80),
            Send("00200080", 0x63C3),
            Verify(BAD, 0x63C2),
            Send("00200080", 0x63C2),
            Verify(GOOD, 0x9000),
            Send("00200080", 0x9000),
            Verify(BAD, 0x63C2),
            Send("00200080", 0x63C2),
            Verify(BAD, 0x63C1),
            Verify(BAD, 0x63C0),
            Verify(GOOD, 0x6983),
            Send("00200080", 0x6983),
            PowerCycle,
            SELECT,
            Verify(GOOD, 0x6983),
        ],
    );
    run(
        "change reference data",
        &[
            SELECT,
            Send("002400801032373138 3238FFFF3331343135 39FFFF", 0x9000),
            Send("00200080", 0x9000),
            Use(0x9C, 0x6982),
            Verify(GOOD, 0x63C2),
            Verify("314159", 0x9000),
            Send("00240080103331343135 39FFFF3331FFFFFFFFFFFF", 0x6A80),
            Send("002400801030303030 3030FFFF323731383238FFFF", 0x63C2),
            Send("00200080", 0x63C2),
            Send("00240081103132333435363738 3837363534333231", 0x9000),
            Send("00240081103132333435363738 3837363534333231", 0x63C2),
            Send("0024008210313233343536373838373635343332 31", 0x6A88),
            Send("0024018010313233343536373838373635343332 31", 0x6A86),
            Send("0024008008 3132333435363738", 0x6700),
        ],
    );
    run(
        "reset retry counter",
        &[
            SELECT,
            Verify(BAD, 0x63C2),
            Verify(BAD, 0x63C1),
            Verify(BAD, 0x63C0),
            Send("002C0080103030303030303030 333134313539FFFF", 0x63C2),
            Send("002C0080103132333435363738 3331FFFFFFFFFFFF", 0x6A80),
            Send("002C0080103132333435363738 333134313539FFFF", 0x9000),
            Send("00200080", 0x63C3),
            Verify("314159", 0x9000),
            Send("002C0080103030303030303030 333134313539FFFF", 0x63C2),
            Send("002C0080103030303030303030 333134313539FFFF", 0x63C1),
            Send("002C0080103030303030303030 333134313539FFFF", 0x63C0),
            Send("002C0080103132333435363738 333134313539FFFF", 0x6983),
        ],
    );
    run(
        "PIN always for 9C, once for 9D and 9A",
        &[
            SELECT,
            Use(0x9C, 0x6982),
            Use(0x9D, 0x6982),
            Verify(GOOD, 0x9000),
            Use(0x9C, 0x6108),
            Use(0x9C, 0x6982),
            Use(0x9D, 0x6108),
            Use(0x9D, 0x6108),
            Use(0x9A, 0x6108),
            Verify(GOOD, 0x9000),
            Send("00200080", 0x9000),
            Use(0x9C, 0x6982),
            Verify(GOOD, 0x9000),
            SELECT,
            Use(0x9C, 0x6982),
            Verify(GOOD, 0x9000),
            Send("00", 0x6700),
            Use(0x9C, 0x6982),
            Verify(GOOD, 0x9000),
            Use(0x9D, 0x6108),
            Use(0x9C, 0x6982),
            PowerCycle,
            SELECT,
            Use(0x9D, 0x6982),
        ],
    );
    run(
        "chaining",
        &[
            SELECT,
            Verify(GOOD, 0x9000),
            LastLink(0x9D, 0x6A80),
            FirstLink(0x9D, 0x9000),
            LastLink(0x9A, 0x6A80),
            LastLink(0x9D, 0x6A80),
            Verify(GOOD, 0x9000),
            FirstLink(0x9C, 0x9000),
            Send("00200080", 0x9000),
            FirstLink(0x9C, 0x9000),
            LastLink(0x9C, 0x6982),
            Send("1020008008323731383238FFFF", 0x6884),
            Send("00200080", 0x9000),
        ],
    );
    run(
        "general authenticate",
        &[
            SELECT,
            Verify(GOOD, 0x9000),
            Send("0087119D067C048200810000", 0x6A86),
            Send("0087079B067C048200810000", 0x6A86),
            Send("0087079D067C048200810000", 0x6A80),
            Send("0087079D067C048200850000", 0x6A80),
            Send("0087079D047C02800000", 0x6A80),
            Send("0087079D0100", 0x6A80),
        ],
    );
    run(
        "classes and instructions",
        &[
            SELECT,
            Send("0CCB3FFF035C017E00", 0x6882),
            Send("01CB3FFF035C017E00", 0x6881),
            Send("80CB3FFF035C017E00", 0x6E00),
            Send("00B0000000", 0x6D00),
            Send("00DB3FFF035C017E", 0x6982),
            Send("0047009C05AC03800107", 0x6982),
            Send("00CB3FFF0000035C017E0000", 0x6700),
            Send("00CB3FFF055C017E00", 0x6700),
            Send("", 0x6700),
        ],
    );
}

#[test]
fn a_block_not_below_the_modulus_is_refused() {
    let mut card = VirtualCard::new(rsa());
    let mut piv_block = vec![0x82, 0];
    tlv::write(&mut piv_block, 0x81, &[0xff; 256]);
    let template = tlv::encode(0x7C, &piv_block);
    card.transmit(&unhex("00A4040009A0000003080000100000"));
    card.transmit(&verify(GOOD));
    let (first, last) = template.split_at(255);
    let mut link = Command::new(ins::GENERAL_AUTHENTICATE, 0x07, 0x9D, first, 0);
    link.cla = 0x10;
    card.transmit(&link.short().unwrap());
    let end = Command::new(ins::GENERAL_AUTHENTICATE, 0x07, 0x9D, last, 256);
    assert_eq!(card.transmit(&end.short().unwrap()), [0x6A, 0x80]);
}

#[test]
fn a_chain_does_not_grow_without_bound() {
    let mut card = VirtualCard::new(rsa());
    card.transmit(&unhex("00A4040009A0000003080000100000"));
    let mut link = Command::new(ins::GENERAL_AUTHENTICATE, 0x07, 0x9D, &[0; 255], 0);
    link.cla = 0x10;
    let link = link.short().unwrap();
    let statuses: Vec<_> = (0..40).map(|_| status_of(&card.transmit(&link))).collect();
    assert!(statuses.contains(&0x6700));
    assert!(statuses.iter().all(|sw| matches!(sw, 0x9000 | 0x6700)));
}
