//! Goal: no file of a data folder but the identity's own holds a secret. Method: a real host with every kind of secret;
//! then every file of its folder is searched for each of them in each form.

use std::fs;
use std::path::{Path, PathBuf};

use peergraph::peergraph_core::stored::{Secret, SecretKind};
use peergraph::{Folder, Host, InviteOptions, Password, Role};
use sha2::{Digest as _, Sha512};

const PASSWORD: &str = "correct horse battery staple";

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("readable");
    let below = |path: PathBuf| if path.is_dir() { files(&path) } else { vec![path] };
    entries.flat_map(|entry| below(entry.expect("readable").path())).collect()
}

/// A key as it is (so it is in DER and CBOR, too), as Ed25519 expands it, and as texts.
fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    use data_encoding::{BASE64, HEXLOWER};
    let expanded = Sha512::digest(secret)[..32].to_vec();
    let texts = [HEXLOWER.encode(secret), BASE64.encode(secret)].map(String::into_bytes);
    [vec![secret.to_vec(), expanded], texts.to_vec()].concat()
}

fn holds(bytes: &[u8], form: &[u8]) -> bool {
    bytes.windows(form.len()).any(|window| window == form)
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_a_data_folder_hold_no_secret_but_the_identitys() {
    let place = tempfile::tempdir().expect("a folder");
    let loopback = "127.0.0.1:0".parse().expect("an address");
    let start = || Host::builder().name("Ada").data(place.path()).udp(loopback).start();
    let host = start().await.expect("starts");
    let peer = host.peer_id();
    let group = host.create_group("Trip to Lisbon").await.expect("made");
    let password = Password::new(PASSWORD).expect("long enough");
    let options = InviteOptions::password(Role::Member, password).uses(5);
    group.invite(options).await.expect("invited");
    let link = group.invite(InviteOptions::bearer(Role::Member)).await.expect("invited");
    let link = link.to_link("https://page.example/");
    let link = link.split('#').next_back().expect("a fragment").to_owned();
    host.shutdown().await.expect("ends");

    let folder = Folder::open(place.path()).expect("opens");
    let identity = folder.identity(peer).expect("read");
    let stored = folder.groups(peer).expect("read");
    let secrets: Vec<Secret> = stored[0].secrets(&identity).expect("opened");
    let kinds: Vec<_> = secrets.iter().map(|secret| secret.kind).collect();
    assert_eq!(kinds, [SecretKind::GroupKey, SecretKind::Password]);

    let private = identity.to_bytes();
    let at = private.windows(2).position(|it| it == [0x58, 32]).expect("a key in CBOR");
    let own = &private[at + 2..at + 34];
    let mut searched = 0;
    for file in files(place.path()) {
        let bytes = fs::read(&file).expect("readable");
        searched += bytes.len();
        let is_identity = file.file_name().is_some_and(|name| name == "identity");
        assert_eq!(holds(&bytes, own), is_identity, "{}", file.display());
        for secret in &secrets {
            for (n, form) in forms(&secret.bytes[..]).iter().enumerate() {
                let (kind, file) = (secret.kind, file.display());
                assert!(!holds(&bytes, form), "{kind:?} in form {n} in {file}");
            }
        }
        for text in [PASSWORD, &link] {
            assert!(!holds(&bytes, text.as_bytes()), "{text} in {}", file.display());
        }
        if file.extension().is_some_and(|it| it == "redb") {
            assert!(holds(&bytes, b"Trip to Lisbon"), "what is not secret is found");
        }
    }
    assert!(searched > 10_000, "the store is there");

    // A store beside another identity is refused, with the reason, and stays as it is.
    let stranger = folder.new_identity("Eve", "").expect("made").peer_id();
    let [from, to] = [peer, stranger]
        .map(|it| place.path().join("identities").join(it.to_string()).join("store.redb"));
    fs::copy(from, &to).expect("copied");
    let refused = Host::builder().data(place.path()).identity(stranger).udp(loopback).start().await;
    let Err(refused) = refused else { panic!("a store of another identity was opened") };
    let refused = refused.to_string();
    assert!(refused.contains("another identity"), "{refused}");
    assert_eq!(folder.groups(stranger).expect("read").len(), 1, "nothing was deleted");

    // And the host that owns it has its group again.
    let host = start().await.expect("starts");
    let group = host.groups().await.expect("listed").remove(0);
    let password = Password::new("another of my passwords").expect("long enough");
    group.invite(InviteOptions::password(Role::Member, password)).await.expect("invited");
    let invitations = group.invitations().await.expect("listed");
    assert_eq!(invitations.len(), 3);
    for invitation in invitations {
        group.withdraw(invitation.id).await.expect("withdrawn");
    }
    host.shutdown().await.expect("ends");
    let left = folder.groups(peer).expect("read")[0].secrets(&identity).expect("opened");
    let kinds: Vec<_> = left.iter().map(|secret| secret.kind).collect();
    assert_eq!(kinds, [SecretKind::GroupKey], "what passwords became went with their invitations");
}
