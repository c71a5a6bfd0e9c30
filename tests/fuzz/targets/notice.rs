//! Arrival notifications: whom a mail at the adapter's door is for.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|mail: &[u8]| {
    let paths = ["hanako@b.example".to_owned()];
    if let Some(owner) = sealfax_adapter::server::notices::addressee(mail, &paths) {
        assert_eq!(owner.address, "hanako@b.example");
        assert!(!owner.name.chars().any(char::is_control) && owner.name.chars().count() <= 48);
    }
});
