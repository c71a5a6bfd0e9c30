//! Why a card, or a correspondent's certificate, is refused (ST613, ST911; ST611, ST920): one stable code and one reason
//! in both languages for each thing that an administrator would do something else about.

/// What is wrong with a card, with a certificate, or with what the certificate server says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CardFault {
    /// The certificate server says: revoked.
    Revoked,
    /// The certificate's period is over.
    Expired,
    /// The certificate's period has not begun.
    NotYetValid,
    /// The certificate server does not know the certificate.
    Unknown,
    /// No path to our trust anchor.
    Untrusted,
    /// The card lacks a key, a certificate, an address or the mailbox login.
    Incomplete,
    /// The certificate server could not be asked: nothing is accepted then.
    Unchecked,
    /// The card or certificate cannot be read.
    Unreadable,
    /// The certificate server says: revoked for now (certificateHold).
    OnHold,
    /// The certificate speaks for another address.
    OtherAddress,
    /// Key usage does not allow what it is needed for: to encipher, to sign.
    KeyUsage,
    /// Extended key usage does not allow e-mail.
    Purpose,
    /// The signature on the certificate server's answer is wrong.
    AnswerForged,
    /// The answer belongs to an earlier question.
    AnswerReplayed,
    /// The answer's time is over.
    AnswerExpired,
    /// The answer's time has not come.
    AnswerFutureDated,
    /// The answer is from somebody who may not answer.
    ResponderUntrusted,
    /// The clocks of adapter and certificate server differ too much to judge any answer.
    Clock,
    /// The answer cannot be used for another reason.
    AnswerUnusable,
    /// A correspondent's certificate is another one than before, and that is configured to be refused.
    Changed,
    /// Whoever stands there is not the card's owner, as far as whatever is asked beside the card can tell.
    NotThePerson,
    /// What is asked beside the card gives no answer.
    PersonUnasked,
}

impl CardFault {
    /// All of them, in the order of their codes.
    pub const ALL: [Self; 22] = [
        Self::Revoked,
        Self::Expired,
        Self::NotYetValid,
        Self::Unknown,
        Self::Untrusted,
        Self::Incomplete,
        Self::Unchecked,
        Self::Unreadable,
        Self::OnHold,
        Self::OtherAddress,
        Self::KeyUsage,
        Self::Purpose,
        Self::AnswerForged,
        Self::AnswerReplayed,
        Self::AnswerExpired,
        Self::AnswerFutureDated,
        Self::ResponderUntrusted,
        Self::Clock,
        Self::AnswerUnusable,
        Self::Changed,
        Self::NotThePerson,
        Self::PersonUnasked,
    ];

    /// The stable code a person reads to the administrator, of one's own card.
    pub fn code(self) -> &'static str {
        self.codes().0
    }

    /// The same of a correspondent's certificate.
    pub fn correspondent_code(self) -> &'static str {
        self.codes().1
    }

    /// The numbers agree, so that one table explains both; they are never given away again.
    fn codes(self) -> (&'static str, &'static str) {
        match self {
            Self::Revoked => ("CARD-101", "TRUST-101"),
            Self::Expired => ("CARD-102", "TRUST-102"),
            Self::NotYetValid => ("CARD-103", "TRUST-103"),
            Self::Unknown => ("CARD-104", "TRUST-104"),
            Self::Untrusted => ("CARD-105", "TRUST-105"),
            Self::Incomplete => ("CARD-106", "TRUST-106"),
            Self::Unchecked => ("CARD-107", "TRUST-107"),
            Self::Unreadable => ("CARD-108", "TRUST-108"),
            Self::OnHold => ("CARD-109", "TRUST-109"),
            Self::OtherAddress => ("CARD-110", "TRUST-110"),
            Self::KeyUsage => ("CARD-111", "TRUST-111"),
            Self::Purpose => ("CARD-112", "TRUST-112"),
            Self::AnswerForged => ("CARD-113", "TRUST-113"),
            Self::AnswerReplayed => ("CARD-114", "TRUST-114"),
            Self::AnswerExpired => ("CARD-115", "TRUST-115"),
            Self::AnswerFutureDated => ("CARD-116", "TRUST-116"),
            Self::ResponderUntrusted => ("CARD-117", "TRUST-117"),
            Self::Clock => ("CARD-118", "TRUST-118"),
            Self::AnswerUnusable => ("CARD-119", "TRUST-119"),
            Self::Changed => ("CARD-120", "TRUST-004"),
            Self::NotThePerson => ("CARD-121", "TRUST-121"),
            Self::PersonUnasked => ("CARD-122", "TRUST-122"),
        }
    }

    /// Nothing is known against the certificate itself: only what was said of it cannot be relied on. When that is mended,
    /// the same card and the same document are good.
    pub fn is_of_the_answer(self) -> bool {
        matches!(
            self,
            Self::Unchecked
                | Self::AnswerForged
                | Self::AnswerReplayed
                | Self::AnswerExpired
                | Self::AnswerFutureDated
                | Self::ResponderUntrusted
                | Self::Clock
                | Self::AnswerUnusable
        )
    }

    /// In a few words, Japanese and English.
    pub(super) fn reason(self) -> (&'static str, &'static str) {
        match self {
            Self::Revoked => ("失効", "revoked"),
            Self::Expired => ("期限切れ", "expired"),
            Self::NotYetValid => ("有効期間前", "not valid yet"),
            Self::Unknown => ("未登録", "not registered"),
            Self::Untrusted => ("発行者不明", "issuer not trusted"),
            Self::Incomplete => ("内容不足", "incomplete"),
            Self::Unchecked => ("確認不能", "could not be checked"),
            Self::Unreadable => ("読取不能", "cannot be read"),
            Self::OnHold => ("一時停止中", "on hold"),
            Self::OtherAddress => ("アドレス不一致", "for another address"),
            Self::KeyUsage => ("鍵の用途違い", "key not for this use"),
            Self::Purpose => ("メール用ではない", "not for e-mail"),
            Self::AnswerForged => ("応答の署名が不正", "answer forged"),
            Self::AnswerReplayed => ("応答の再送", "answer replayed"),
            Self::AnswerExpired => ("応答の期限切れ", "answer expired"),
            Self::AnswerFutureDated => ("応答の日付が未来", "answer dated ahead"),
            Self::ResponderUntrusted => ("応答者不明", "answered by a stranger"),
            Self::Clock => ("時計のずれ", "clocks differ"),
            Self::AnswerUnusable => ("応答が使用不能", "answer unusable"),
            Self::Changed => ("証明書の変更", "changed"),
            Self::NotThePerson => ("本人と確認できません", "you were not recognised"),
            Self::PersonUnasked => ("本人確認装置の故障", "the reader of fingers failed"),
        }
    }

    /// What the person does next.
    pub(super) fn instruction(self) -> (&'static str, &'static str) {
        match self {
            Self::Unreadable | Self::NotThePerson => ("カードを入れ直してください", "Insert the card again"),
            Self::Unchecked => ("しばらくしてから入れ直してください", "Try again in a while"),
            Self::Clock => ("時計を合わせてもらってください", "Have the clock set"),
            _ => ("管理者に連絡してください", "Call your administrator"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_has_a_code_and_a_reason_of_its_own() {
        let codes: BTreeSet<&str> =
            CardFault::ALL.iter().flat_map(|fault| [fault.code(), fault.correspondent_code()]).collect();
        assert_eq!(codes.len(), 2 * CardFault::ALL.len());
        let reasons: BTreeSet<_> = CardFault::ALL.iter().map(|fault| fault.reason()).collect();
        assert_eq!(reasons.len(), CardFault::ALL.len());
    }
}
