//! Every finding: a stable code, what it is called, the likeliest cause, and the one next thing to do, in both languages.
//!
//! Codes are never given away again. Where the daemon or a screen has a code for the same thing it is that one: `CARD-001`,
//! `CARD-101` and those after it, `NET-001`, `LAMP-001`.

use serde::Serialize;

use super::words::{Words, words};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Something does not work.
    Failure,
    /// It works, and somebody should look.
    Warning,
}

/// One finding of the catalogue.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// The stable code.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What it is.
    pub title: Words,
    /// Why, most likely.
    pub cause: Words,
    /// What to do next.
    pub action: Words,
}

const fn failure(code: &'static str, title: Words, cause: Words, action: Words) -> Entry {
    Entry { code, severity: Severity::Failure, title, cause, action }
}

const fn warning(code: &'static str, title: Words, cause: Words, action: Words) -> Entry {
    Entry { code, severity: Severity::Warning, title, cause, action }
}

macro_rules! catalogue {
    ($($name:ident = $severity:ident($code:literal,
        $title_ja:literal / $title_en:literal,
        $cause_ja:literal / $cause_en:literal,
        $action_ja:literal / $action_en:literal);)*) => {
        $(
            #[doc = concat!("`", $code, "`: ", $title_en, ".")]
            pub static $name: Entry = $severity(
                $code, words($title_ja, $title_en), words($cause_ja, $cause_en), words($action_ja, $action_en),
            );
        )*
        /// All of them.
        pub static ALL: &[&Entry] = &[$(&$name),*];
    };
}

catalogue! {
    CONFIG_001 = failure("CONFIG-001",
        "設定ファイルを読めません" / "The configuration cannot be read",
        "ファイルがないか、読む権限がありません" / "the file is not there, or this user may not read it",
        "--config で場所を指定するか、root で実行してください" / "give its place with --config, or run this as root");
    CONFIG_002 = failure("CONFIG-002",
        "設定ファイルに誤りがあります" / "The configuration is not usable",
        "書き間違い、または知らない項目があります" / "a key is misspelt, missing or of a wrong kind",
        "示された行を直してください" / "mend the line that is named");

    POWER_001 = failure("POWER-001",
        "電圧が不足しています" / "The supply voltage is too low",
        "電源アダプターかケーブルが弱すぎます" / "the power supply or its cable is too weak for the board and what hangs on it",
        "ボード付属と同等の電源に交換してください" / "replace the power supply by one made for this board");
    POWER_002 = warning("POWER-002",
        "起動後に電圧不足がありました" / "The supply voltage has been too low since the start",
        "電源アダプターかケーブルに余裕がありません" / "the power supply or its cable is at its limit",
        "電源ケーブルを短く太いものに替えてください" / "use a shorter and thicker power cable");
    POWER_003 = warning("POWER-003",
        "高温のため速度を落としています" / "The board is too hot and slows down",
        "風通しが悪いか、日が当たっています" / "air does not reach it, or the sun does",
        "風通しのよい場所に移してください" / "move it to where air can reach it");

    DISK_001 = failure("DISK-001",
        "記憶領域がいっぱいです" / "The disk is full",
        "ログなど他のファイルが場所を使い切りました" / "something else has used up the space, often logs",
        "不要なファイルを消してください（journalctl --vacuum-size=50M）" / "make room: journalctl --vacuum-size=50M");
    DISK_002 = failure("DISK-002",
        "記憶領域に書き込めません（読取専用）" / "The data partition is read-only",
        "SDカードの故障で読取専用に切り替わりました" / "the kernel switched it to read-only after an error of the SD card",
        "SDカードを交換してください" / "replace the SD card");
    DISK_003 = failure("DISK-003",
        "データ用フォルダーがありません" / "The data folder is not there",
        "パーティションがマウントされていないか、設定が違います" / "its partition is not mounted, or `data` names another place",
        "設定の data の場所を作るかマウントしてください" / "mount or make the folder that `data` names");
    DISK_004 = failure("DISK-004",
        "データ用フォルダーに書き込めません" / "The data folder cannot be written to",
        "記憶装置の故障か、フォルダーの持ち主が違います" / "the medium fails, or the folder belongs to somebody else",
        "dmesg で記憶装置のエラーを確認してください" / "look for errors of the medium with dmesg");
    DISK_005 = warning("DISK-005",
        "記憶領域の残りが少なくなっています" / "The disk is nearly full",
        "ログなど他のファイルが増えています" / "something else is filling it, often logs",
        "不要なファイルを消してください（journalctl --vacuum-size=50M）" / "make room: journalctl --vacuum-size=50M");

    GPIO_001 = failure("GPIO-001",
        "GPIO がありません" / "The GPIO chip is not there",
        "対応するボードではないか、gpio.chip の指定が違います" / "this is another board, or `gpio.chip` names another chip",
        "gpio.chip を一覧にある名前に直してください" / "set gpio.chip to one of the labels that are listed");
    GPIO_002 = failure("GPIO-002",
        "配線を他のプログラムが使っています" / "A line is held by another program",
        "他のプログラムかカーネルの機能が同じ番号を使っています" / "another program or an overlay of the kernel uses the same number",
        "示されたプログラムを止めてください" / "stop the program that is named");
    GPIO_003 = failure("GPIO-003",
        "指定した番号の線がありません" / "The chip has no such line",
        "BCM 番号ではなくピン番号が書かれています" / "the number is that of a pin on the header, not of the BCM line",
        "設定 [gpio] の番号を BCM 番号に直してください" / "write the BCM number into [gpio]");
    GPIO_004 = failure("GPIO-004",
        "GPIO を使う権限がありません" / "The GPIO chip may not be opened",
        "実行ユーザーが gpio グループに入っていません" / "this user is not in the group gpio",
        "root で実行するか、gpio グループに加えてください" / "run this as root, or add the user to the group gpio");
    LAMP_001 = failure("LAMP-001",
        "ランプを操作できません" / "The lamp cannot be driven",
        "配線の不良か、他のプログラムが使っています" / "the wiring, or another program that holds the line",
        "`diagnose` で GPIO の項目を確認してください" / "look at the lines with `sealfax-adapter diagnose`");
    LAMP_101 = failure("LAMP-101",
        "ランプが点滅しませんでした" / "The lamp was not seen to blink",
        "ランプか配線の不良です" / "the lamp is broken, or it is wired to another pin",
        "ランプと配線を確認してください" / "check the lamp and its wires against the wiring diagram");
    LAMP_002 = failure("LAMP-002",
        "ランプの線が信号に従いません" / "The lamp's line does not follow",
        "線が短絡しているか、他の装置とつながっています" / "the line is short-circuited, or something else drives it harder",
        "ランプの配線を確認してください" / "check the lamp's wires");
    LAMP_003 = failure("LAMP-003",
        "ランプの電圧が信号と一致しません" / "The lamp's sense line does not follow",
        "ランプ線の断線か短絡です" / "a wire of the lamp is broken or short-circuited",
        "ランプの配線を確認してください" / "check the lamp's wires");
    BUZZER_001 = failure("BUZZER-001",
        "ブザーを操作できません" / "The buzzer cannot be driven",
        "配線の不良か、他のプログラムが使っています" / "the wiring, or another program that holds the line",
        "`diagnose` で GPIO の項目を確認してください" / "look at the lines with `sealfax-adapter diagnose`");
    BUZZER_101 = failure("BUZZER-101",
        "ブザーが聞こえませんでした" / "The buzzer was not heard",
        "ブザーか配線の不良です" / "the buzzer is broken, passive, or wired to another pin",
        "ブザーと配線を確認してください" / "check the buzzer and its wires against the wiring diagram");

    DISPLAY_001 = failure("DISPLAY-001",
        "画面に表示できません" / "The display cannot be drawn to",
        "他のプログラムが画面を使っています" / "another program has the screen, perhaps the running adapter",
        "サービスを止めてから試してください" / "stop the service and try again");
    DISPLAY_003 = failure("DISPLAY-003",
        "画面がつながっていません" / "No screen is connected",
        "HDMI ケーブルが抜けているか、画面の電源が切れています" / "the HDMI cable is out, or the screen is switched off",
        "HDMI ケーブルを差し直してください" / "plug the HDMI cable in again at both ends");
    DISPLAY_102 = failure("DISPLAY-102",
        "画面の装置がありません" / "There is no display device",
        "グラフィックの機能が有効になっていません" / "the graphics driver is not loaded",
        "config.txt に dtoverlay=vc4-kms-v3d があるか確認してください" / "check that config.txt has dtoverlay=vc4-kms-v3d");
    DISPLAY_103 = failure("DISPLAY-103",
        "試験画面が正しく見えませんでした" / "The test picture was not seen as it should be",
        "画面の入力切替か画面サイズの設定です" / "the screen shows another input, or cuts the edges off",
        "画面の入力を HDMI にし、オーバースキャンを切ってください" / "set the screen to this HDMI input and switch overscan off");

    MODEM_001 = failure("MODEM-001",
        "ファクスモデムが応答しません" / "The fax modem does not answer",
        "モデムが接続されていないか、別のプログラムが使用中です" / "it is not plugged in, switched off, or in another program's hands",
        "モデムを差し直し、terminal.modem.device を確認してください" / "plug the modem in again, and check terminal.modem.device");
    MODEM_002 = failure("MODEM-002",
        "モデムにファクス クラス1 がありません" / "The modem has no fax class 1",
        "音声専用かクラス2専用のモデムです" / "it is a modem for data alone, or of class 2 alone",
        "クラス1対応のファクスモデムに交換してください" / "use a fax modem of class 1, which nearly all are");

    CARD_001 = failure("CARD-001",
        "カード読取装置がありません" / "No card reader",
        "USB ケーブルが抜けています" / "it is not plugged in",
        "読取装置を差し直してください" / "plug the card reader in again");
    CARD_004 = failure("CARD-004",
        "カードサービス pcscd が動いていません" / "The card service pcscd is not running",
        "pcscd が止まったか、入っていません" / "pcscd was stopped, has crashed, or is not installed",
        "systemctl restart pcscd.socket を実行してください" / "run systemctl restart pcscd.socket");
    CARD_005 = failure("CARD-005",
        "このシステムのカードではありません（PIV なし）" / "An unknown card: it has no PIV application",
        "別の用途のカードが入っています" / "a card for something else is in the reader",
        "このシステム用のカードを入れてください" / "insert a card that was issued for this system");
    CARD_007 = failure("CARD-007",
        "読取装置が認識されません" / "The reader is plugged in, and pcscd does not know it",
        "ドライバー libccid がないか、装置が対応していません" / "its driver is missing, or it is no CCID reader",
        "libccid を入れて pcscd を再起動してください" / "install libccid and restart pcscd");
    CARD_008 = failure("CARD-008",
        "使う読取装置が決まりません" / "It is not clear which reader is meant",
        "card.reader に合う装置がないか、複数あります" / "none of the readers fits card.reader, or several do",
        "card.reader を一覧にある名前に直してください" / "set card.reader to one of the names that are listed");
    CARD_009 = warning("CARD-009",
        "読取装置の状態がわかりません" / "The reader's state could not be learnt",
        "pcscd が問い合わせに答えません" / "pcscd does not answer as it should",
        "pcscd を再起動してください" / "restart pcscd");
    CARD_101 = failure("CARD-101",
        "カードは失効しています" / "The card is revoked",
        "管理者がカードを失効させました" / "the administrator revoked it",
        "管理者に連絡してください" / "ask the administrator for another card");
    CARD_102 = failure("CARD-102",
        "カードの証明書が期限切れです" / "The certificate on the card has expired",
        "更新されないまま期限を過ぎました" / "it was not renewed in time",
        "`sealfax-adapter card renew` で更新してください" / "renew it with `sealfax-adapter card renew`");
    CARD_103 = failure("CARD-103",
        "カードの証明書はまだ有効ではありません" / "The certificate on the card is not valid yet",
        "発行側の時計が進んでいます" / "the clock of the issuer is ahead",
        "有効になる日時まで待つか、発行し直してください" / "wait for the date that is named, or issue the card again");
    CARD_104 = failure("CARD-104",
        "証明書サーバーがこのカードを知りません" / "The certificate server does not know the card",
        "別の認証局が発行したか、索引が失われました" / "another authority issued it, or the authority's index was lost",
        "管理者に連絡してください" / "ask the administrator to issue the card again");
    CARD_105 = failure("CARD-105",
        "カードの発行者を信頼できません" / "The card's issuer is not trusted here",
        "信頼の起点が違うか、中間証明書がありません" / "`network.anchors` has another root, or an intermediate certificate is missing",
        "network.anchors と intermediates を確認してください" / "check network.anchors and network.intermediates");
    CARD_106 = failure("CARD-106",
        "カードに必要なものがそろっていません" / "The card is not complete",
        "発行が途中で終わりました" / "its issue was broken off",
        "`sealfax-adapter card issue` をやり直してください" / "give the same `sealfax-adapter card issue` again");
    CARD_108 = failure("CARD-108",
        "カードを読めません" / "The card cannot be read",
        "向きが違うか、接点が汚れています" / "it is in the wrong way round, or its contacts are dirty",
        "カードの向きを確かめて入れ直してください" / "insert it again, contacts first and facing the right way");
    CARD_109 = failure("CARD-109",
        "カードは一時停止中です" / "The card is on hold",
        "管理者がカードを一時停止しました" / "the administrator put it on hold",
        "管理者に連絡してください" / "ask the administrator");
    CARD_110 = failure("CARD-110",
        "カードの二つの証明書の持ち主が違います" / "The two certificates on the card are of different people",
        "発行の誤りです" / "it was issued wrongly",
        "カードを発行し直してください" / "issue the card again");
    CARD_111 = failure("CARD-111",
        "証明書の用途が違います" / "A certificate on the card may not be used as it has to be",
        "9C と 9D の証明書が入れ替わっています" / "the certificates of 9C and 9D are swapped, or were issued for something else",
        "カードを発行し直してください" / "issue the card again");
    CARD_112 = failure("CARD-112",
        "証明書はメール用ではありません" / "A certificate on the card is not for mail",
        "別の用途で発行されています" / "it was issued for something else",
        "カードを発行し直してください" / "issue the card again");
    CARD_202 = failure("CARD-202",
        "このプログラムはカード読取装置に対応していません" / "This program was built without card readers",
        "pcsc なしで作られています" / "it was built without the feature pcsc",
        "パッケージ版を入れてください" / "install the package, or build with --features pcsc");
    PIN_002 = failure("PIN-002",
        "暗証番号が使用停止になっています" / "The card's PIN is blocked",
        "誤った番号が続けて入力されました" / "wrong PINs were entered one after another",
        "管理者に `card unblock` を頼んでください" / "have the administrator run `sealfax-adapter card unblock`");
    PIN_003 = warning("PIN-003",
        "暗証番号の残り回数が1回です" / "The card's PIN has one try left",
        "誤った番号が入力されました" / "wrong PINs were entered",
        "番号が確かでなければ管理者に連絡してください" / "ask the administrator unless you are sure of the PIN");

    NET_001 = failure("NET-001",
        "ネットワーク側ポートにケーブルがありません" / "The network port has no link",
        "ケーブルが抜けているか、相手の電源が切れています" / "the cable is out, or the switch at its other end is off",
        "ネットワーク側のケーブルを差し直してください" / "plug the network cable in again at both ends");
    NET_002 = failure("NET-002",
        "ファクス側ポートにケーブルがありません" / "The fax machine's port has no link",
        "ケーブルが抜けているか、ファクスの電源が切れています" / "the cable is out, or the fax machine is off",
        "ファクスの電源とケーブルを確認してください" / "check that the fax machine is on and its cable is in");
    NET_003 = failure("NET-003",
        "二つのポートの間で転送が有効です" / "The adapter forwards packets between its ports",
        "net.ipv4.ip_forward が 1 になっています" / "net.ipv4.ip_forward is 1; another program or a setting switched it on",
        "sysctl -w net.ipv4.ip_forward=0 を実行してください" / "run sysctl -w net.ipv4.ip_forward=0");
    NET_004 = failure("NET-004",
        "二つのポートが入れ替わっています" / "The two ports are swapped",
        "ケーブルが逆か、[ports] の設定が逆です" / "the paths in [ports] are the wrong way round, or the addresses are on the wrong ports",
        "[ports] の terminal と network を入れ替えてください" / "exchange terminal and network in [ports]");
    NET_005 = failure("NET-005",
        "設定されたポートがありません" / "A configured port is not there",
        "USB の LAN アダプターが抜けたか、別の口に差されています" / "the Ethernet adapter is out, or in another socket than before",
        "元の口に差すか、[ports] を一覧の値に直してください" / "plug it into its old socket, or set [ports] to a path that is listed");
    NET_006 = failure("NET-006",
        "ポートにアドレスがありません" / "A port does not have its address",
        "DHCP の応答がないか、固定アドレスの設定がありません" / "DHCP did not answer, or the fixed address is not set",
        "`ip address` でポートのアドレスを確認してください" / "set the address that the configuration names on this port");

    NAME_001 = failure("NAME-001",
        "DNS サーバーが答えません" / "A DNS server does not answer",
        "アドレスが違うか、DNS サーバーが止まっています" / "its address is wrong, or it is down",
        "network.dns_servers を確認してください" / "check network.dns_servers");
    NAME_002 = failure("NAME-002",
        "名前が見つかりません" / "A name does not exist",
        "設定の名前か DNS の登録が違います" / "it is misspelt in the configuration, or not in the zone",
        "設定の名前を確認してください" / "check the name in the configuration");

    CERT_001 = failure("CERT-001",
        "証明書ファイルを使えません" / "A file of certificates cannot be used",
        "ファイルがないか、PEM 形式ではありません" / "it is not there, not readable, or no PEM",
        "示されたファイルを置き直してください" / "put the file that is named in its place again");
    CERT_002 = failure("CERT-002",
        "信頼の起点が期限切れです" / "A trust anchor or authority has expired",
        "新しい証明書に替えられていません" / "its successor was not installed",
        "後継の証明書を入れてください" / "install its successor");
    CERT_003 = warning("CERT-003",
        "証明書の期限が近づいています" / "A certificate expires within 30 days",
        "更新の時期です" / "its time comes to an end",
        "期限までに更新してください" / "have it renewed before that date");

    SERVER_001 = failure("SERVER-001",
        "サーバーに接続できません" / "A server cannot be reached",
        "サーバーが止まっているか、アドレスが違います" / "it is down, a firewall is between, or its address is wrong",
        "示されたサーバーが動いているか確認してください" / "check that the server that is named is running");
    SERVER_002 = failure("SERVER-002",
        "サーバーの応答が違います" / "Something else answers in a server's place",
        "アドレスかポート番号が違います" / "address or port in [network] is that of another service",
        "設定 [network] のアドレスを確認してください" / "check its address and port in [network]");
    TRUST_001 = failure("TRUST-001",
        "サーバーの証明書を信頼できません" / "What a server presents is not trusted",
        "信頼の起点が合っていないか、なりすましです" / "the configured anchors are not those of this server, or somebody poses as it",
        "管理者に信頼の起点を確認してください" / "compare the anchors in the configuration with the administrator's");

    CLOCK_001 = failure("CLOCK-001",
        "時計が合っていません" / "The clock is wrong",
        "電池のないボードが時刻を受け取れていません" / "the board has no battery and could not get the time",
        "timedatectl set-ntp true を実行してください" / "run timedatectl set-ntp true and check the time server");
    CLOCK_002 = warning("CLOCK-002",
        "時計が自動調整されていません" / "The clock is not being kept right",
        "時刻サーバーに接続できていません" / "no time server could be reached yet",
        "timedatectl timesync-status で確認してください" / "look at timedatectl timesync-status");
    CLOCK_003 = warning("CLOCK-003",
        "サーバーの時計が互いに違います" / "The servers' clocks differ from each other",
        "どれかのサーバーの時計が狂っています" / "the clock of one of the servers is wrong",
        "示されたサーバーの時計を確認してください" / "check the clock of the server that is named");

    SERVICE_101 = failure("SERVICE-101",
        "アダプターのサービスが動いていません" / "The adapter is not running",
        "止められたか、起動に失敗しました" / "it was stopped, or could not start",
        "systemctl restart sealfax-adapter を実行してください" / "run systemctl restart sealfax-adapter");
    SERVICE_102 = failure("SERVICE-102",
        "サービスの受け口の一部が開いていません" / "Some of the adapter's doors are closed",
        "他のプログラムが同じポートを使っているか、起動の途中です" / "another program has the port, or the adapter is just starting",
        "示されたポートを使うプログラムを止めてください" / "stop the program that uses the port that is named");
    SERVICE_103 = warning("SERVICE-103",
        "サービスが何度も再起動しています" / "The adapter was started again and again",
        "起動後に異常終了しています" / "it ends by itself after a while",
        "journalctl -u sealfax-adapter を確認してください" / "look at journalctl -u sealfax-adapter");
}

/// The finding with a code that another part of the program gave.
pub fn find(code: &str) -> Option<&'static Entry> {
    ALL.iter().find(|entry| entry.code == code).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_there_once_and_every_word_in_both_languages() {
        for (n, entry) in ALL.iter().enumerate() {
            assert_eq!(ALL.iter().position(|one| one.code == entry.code), Some(n), "{}", entry.code);
            for words in [entry.title, entry.cause, entry.action] {
                assert!(words.ja.chars().any(|c| c > '\u{3000}'), "{}: {}", entry.code, words.ja);
                assert!(!words.en.is_empty() && words.en.is_ascii() && !words.en.ends_with('.'), "{}", entry.code);
            }
        }
    }
}
