//! Random and mutated commands against the card; a card pulled or failing anywhere against the client.
use super::*;
use proptest::prelude::*;

/// What an adapter really sends, one after the other.
fn transcript() -> Vec<Vec<u8>> {
    let mut block = vec![0x82, 0];
    tlv::write(&mut block, 0x81, &[1; 256]);
    let template = tlv::encode(0x7C, &block);
    let (first, last) = template.split_at(255);
    let mut link = Command::new(ins::GENERAL_AUTHENTICATE, 0x07, 0x9C, first, 0);
    link.cla = 0x10;
    let last = Command::new(ins::GENERAL_AUTHENTICATE, 0x07, 0x9C, last, 256);
    [
        "00A4040009A0000003080000100000",
        "00CB3FFF055C035FC10A00",
        "00C0000000",
        "00200080",
        "0020008008303030303030FFFF",
        "00CB3FFF055C035FC10900",
        "0024008010303030303030FFFF313131313131FFFF",
        "002C0080103030303030303030313131313131FFFF",
    ]
    .iter()
    .map(|octets| unhex(octets))
    .chain([link.short().unwrap().to_vec(), last.short().unwrap().to_vec()])
    .collect()
}

#[derive(Debug, Clone)]
enum Sent {
    Noise(Vec<u8>),
    /// A real command; if there is a mutation: this octet, that value.
    Real(usize, Option<(prop::sample::Index, u8)>),
    Cut(usize, prop::sample::Index),
    PowerCycle,
}

fn sent() -> impl Strategy<Value = Sent> {
    prop_oneof![
        1 => prop::collection::vec(any::<u8>(), 0..300).prop_map(Sent::Noise),
        4 => (0..10usize).prop_map(|n| Sent::Real(n, None)),
        4 => (0..10usize, any::<prop::sample::Index>(), any::<u8>()).prop_map(|(n, i, v)| Sent::Real(n, Some((i, v)))),
        1 => (0..10usize, any::<prop::sample::Index>()).prop_map(|(n, i)| Sent::Cut(n, i)),
        1 => Just(Sent::PowerCycle),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_command_panics_the_card_or_raises_a_counter(commands in prop::collection::vec(sent(), 1..60)) {
        let mut card = VirtualCard::new(rsa());
        let transcript = transcript();
        for command in commands {
            let before = (card.pin_tries(), card.puk_tries());
            let octets = match command {
                Sent::Noise(octets) => octets,
                Sent::Real(number, mutation) => {
                    let mut octets = transcript[number].clone();
                    if let Some((index, value)) = mutation {
                        let index = index.index(octets.len());
                        octets[index] = value;
                    }
                    octets
                }
                Sent::Cut(number, index) => {
                    let octets = &transcript[number];
                    octets[..index.index(octets.len())].to_vec()
                }
                Sent::PowerCycle => {
                    card.power_up();
                    continue;
                }
            };
            let answer = card.transmit(&octets);
            prop_assert!((2..=258).contains(&answer.len()));
            prop_assert!(card.pin_tries() <= before.0 && card.puk_tries() <= before.1);
        }
    }

    #[test]
    fn a_client_ends_well_wherever_the_card_fails(pull in 0u32..24, fail_at in 0u32..24, status in any::<u16>()) {
        let (reader, slot) = inserted(p256());
        let count = Arc::new(Mutex::new(0u32));
        let inner = slot.clone();
        slot.observe(Arc::new(move |_| {
            let mut count = count.lock().unwrap();
            *count += 1;
            if *count == fail_at {
                inner.fail_next(status);
            }
        }));
        slot.pull_after(pull);
        let whole = || -> Result<(), CardError> {
            let mut piv = Piv::select(reader.connect()?)?;
            piv.guid()?;
            piv.certificate(Slot::Signature)?;
            piv.certificate(Slot::KeyManagement)?;
            piv.verify_pin(&pin("271828"), LastTry::Refuse)?;
            piv.mailbox_login()?;
            piv.verify_pin(&pin("271828"), LastTry::Refuse)?;
            piv.raw(Slot::Signature, Algorithm::P256, &[7; 32])?;
            Ok(())
        };
        let result = whole();
        if pull < 10 {
            prop_assert!(result.is_err());
        }
    }
}
