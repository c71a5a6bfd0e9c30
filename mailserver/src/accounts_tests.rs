#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use super::*;
use crate::store::EmbeddedStore;
use sealfax_client::seam::Seams;

#[test]
fn an_alias_is_the_same_mailbox_and_a_suspended_account_opens_for_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let entropy = Seams::system().entropy;
    let open = || {
        let store = Arc::new(EmbeddedStore::open(folder.path(), &entropy).unwrap());
        Accounts::open(store, entropy.clone()).unwrap().cheap()
    };
    let accounts = open();
    let password = Password::new(b"correct horse".to_vec());
    for address in ["hanako@b.test", "jiro@b.test"] {
        accounts.add(address, "", &password, &[]).unwrap();
    }
    let alias = |list: &[&str]| {
        let list: Vec<String> = list.iter().map(|alias| (*alias).to_owned()).collect();
        accounts.set_aliases("hanako@b.test", &list)
    };
    assert!(matches!(alias(&["jiro@b.test"]), Err(AccountError::Exists(_))));
    assert!(matches!(alias(&["hanako@B.test"]), Err(AccountError::Exists(_))));
    assert!(matches!(alias(&["no address"]), Err(AccountError::BadAddress(_))));
    alias(&["sales@B.test", "sales@b.test"]).unwrap();
    alias(&["sales@b.test", "info@b.test"]).unwrap();
    assert!(matches!(accounts.add("sales@b.test", "", &password, &[]), Err(AccountError::Exists(_))));
    assert_eq!(accounts.verify("sales@B.test", &password).unwrap().address, "hanako@b.test");
    assert!(matches!(accounts.remove("sales@b.test"), Err(AccountError::Unknown(_))));
    accounts.suspend("sales@b.test", true).unwrap();
    assert!(accounts.verify("hanako@b.test", &password).is_none());
    drop(accounts);
    // It is so after a start as well.
    let accounts = open();
    let account = accounts.find("info@b.test").unwrap();
    assert_eq!((account.address.as_str(), account.suspended), ("hanako@b.test", true));
    accounts.suspend("hanako@b.test", false).unwrap();
    assert!(accounts.verify("info@b.test", &password).is_some());
}

#[test]
fn a_remembered_password_opens_while_it_is_the_password() {
    let folder = tempfile::tempdir().unwrap();
    let entropy = Seams::system().entropy;
    let store = Arc::new(EmbeddedStore::open(folder.path(), &entropy).unwrap());
    let accounts = Accounts::open(store, entropy).unwrap().cheap();
    let password = |text: &str| Password::new(text.as_bytes().to_vec());
    let (old, new) = (password("old-password"), password("new-password"));
    let opens = |password: &Password| accounts.verify("hanako@b.test", password).is_some();
    accounts.add("hanako@b.test", "Hanako", &old, &[]).unwrap();
    assert!(!opens(&new));
    let account = accounts.find("hanako@b.test").unwrap();
    assert!(!accounts.remembered.knows(&account, &new), "a wrong one is not remembered");
    assert!(opens(&old) && accounts.remembered.knows(&account, &old) && opens(&old));
    accounts.set_password("hanako@b.test", &new).unwrap();
    assert!(!opens(&old) && opens(&new));
    accounts.remove("hanako@b.test").unwrap();
    assert!(!opens(&old) && !opens(&new));
    accounts.add("hanako@b.test", "Another Hanako", &old, &[]).unwrap();
    assert!(opens(&old) && !opens(&new));
}

#[test]
fn a_deputy_is_another_account_and_stays_the_same_person() {
    let folder = tempfile::tempdir().unwrap();
    let entropy = Seams::system().entropy;
    let store = Arc::new(EmbeddedStore::open(folder.path(), &entropy).unwrap());
    let accounts = Accounts::open(store, entropy).unwrap().cheap();
    let password = Password::new(b"correct horse".to_vec());
    for address in ["hanako@b.test", "jiro@b.test"] {
        accounts.add(address, "", &password, &[]).unwrap();
    }
    accounts.set_aliases("jiro@b.test", &["desk@b.test".to_owned()]).unwrap();
    let deputy = || accounts.find("hanako@b.test").unwrap().deputy;
    assert!(matches!(accounts.set_deputy("hanako@b.test", Some("x@b.test")), Err(AccountError::Unknown(_))));
    assert!(matches!(accounts.set_deputy("hanako@b.test", Some("hanako@B.test")), Err(AccountError::OwnDeputy(_))));
    assert!(matches!(accounts.set_deputy("x@b.test", Some("jiro@b.test")), Err(AccountError::Unknown(_))));
    accounts.set_deputy("hanako@b.test", Some("desk@B.test")).unwrap();
    assert_eq!(deputy().as_deref(), Some("jiro@b.test"));
    accounts.rename("jiro@b.test", "j.ito@b.test").unwrap();
    assert_eq!(deputy().as_deref(), Some("j.ito@b.test"));
    accounts.remove("j.ito@b.test").unwrap();
    assert_eq!(deputy(), None);
    accounts.add("jiro@b.test", "", &password, &[]).unwrap();
    accounts.set_deputy("hanako@b.test", Some("jiro@b.test")).unwrap();
    accounts.set_deputy("hanako@b.test", None).unwrap();
    assert_eq!(deputy(), None);
}
